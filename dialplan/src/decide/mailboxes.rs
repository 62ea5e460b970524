//! Whose mailbox is whose: a device has the box of the number that it shows, and those of the
//! numbers that it rings for.

use std::sync::Arc;

use crate::model::Plan;

/// The voicemail boxes of a device, its own number's first.
pub(crate) fn of_device(plan: &Plan, device: &str) -> Vec<Arc<str>> {
    let own = plan.devices.find(device).and_then(|device| device.caller_id.as_ref());
    let own = own.and_then(|name| plan.numbers.find(&name.value));
    let rings = plan.numbers.iter().filter(|number| {
        let ring = number.ring.as_ref();
        ring.is_some_and(|ring| ring.devices.iter().any(|name| *name.value == *device))
    });
    let mut boxes: Vec<Arc<str>> = Vec::new();
    for number in own.into_iter().chain(rings) {
        let Some(voicemail) = &number.voicemail else { continue };
        if !boxes.contains(&voicemail.mailbox.value) {
            boxes.push(Arc::clone(&voicemail.mailbox.value));
        }
    }
    boxes
}
