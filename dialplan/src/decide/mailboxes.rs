//! Whose mailbox is whose: a device has the box of the number that it shows, and those of the
//! numbers that it rings for. And how long an office's recordings are kept, and where PINs stand.

use std::sync::Arc;

use crate::model::Plan;
use crate::model::objects::Object;
use crate::model::services::{Extension, Queue};
use crate::plans::Plans;

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

/// Where the PINs of a conference room stand, as the plan writes it.
#[derive(Clone, Copy, Debug)]
pub struct RoomSecrets<'p> {
    /// The tenant's id.
    pub tenant: &'p Arc<str>,
    /// The room's name in the plan.
    pub room: &'p Arc<str>,
    /// Of the PIN.
    pub pin: Option<&'p Arc<str>>,
    /// Of the moderator's PIN.
    pub moderator_pin: Option<&'p Arc<str>>,
}

impl Plans {
    /// How long recordings of an office are kept, and from which minute of the next day on they may
    /// be seen (S-71, S-72).
    #[must_use]
    pub fn recording_rules(&self, tenant: &str) -> (std::time::Duration, u16) {
        let rules = self.plan(tenant).map(|plan| plan.rules.recording);
        rules.map_or((std::time::Duration::ZERO, 0), |rules| {
            (rules.keep, u16::from(rules.visible_from) * 30)
        })
    }

    /// What is recorded, at least when a party asks for it: tenant, and number
    /// or room.
    pub fn recorded(&self) -> impl Iterator<Item = (&str, String)> {
        self.tenants().filter_map(|tenant| Some((tenant, self.plan(tenant)?))).flat_map(
            |(tenant, plan)| {
                let numbers = plan.numbers.iter().filter(|number| number.record.is_some());
                let numbers = numbers.map(|number| format!("number {}", number.name));
                let rooms = plan.rooms.iter().filter(|room| room.record);
                let rooms = rooms.map(|room| format!("room {}", room.name));
                numbers.chain(rooms).map(move |what| (&**tenant, what))
            },
        )
    }

    /// The voicemail boxes of a device: that of the number that it shows first, then those of the
    /// numbers that it rings for.
    #[must_use]
    pub fn mailboxes(&self, tenant: &str, device: &str) -> Vec<Arc<str>> {
        let plan = self.plan(tenant);
        plan.map(|plan| of_device(plan, device)).unwrap_or_default()
    }

    /// Where the PINs of conference rooms stand, of those that have any.
    pub fn room_pins(&self) -> impl Iterator<Item = RoomSecrets<'_>> {
        self.tenants().filter_map(|tenant| self.plan(tenant)).flat_map(|plan| {
            let tenant = &plan.tenant.id.value;
            plan.rooms.iter().filter_map(move |room| {
                let (pin, moderator_pin) = (room.pin.as_ref(), room.moderator_pin.as_ref());
                let any = pin.is_some() || moderator_pin.is_some();
                any.then_some(RoomSecrets { tenant, room: &room.name, pin, moderator_pin })
            })
        })
    }

    /// Every queue: tenant, name and what the plan says of it.
    pub fn queues(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>, &Arc<Queue>)> {
        self.tenants().filter_map(|tenant| self.plan(tenant)).flat_map(|plan| {
            let tenant = &plan.tenant.id.value;
            plan.queues.iter().map(move |queue| (tenant, &queue.name, &queue.value))
        })
    }

    /// The first extension of an office that lets who dials it hear itself.
    #[must_use]
    pub fn echo_of(&self, tenant: &str) -> Option<&Arc<str>> {
        let extensions = self.plan(tenant)?.extensions.iter();
        let echo = |extension: &&Object<Extension>| extension.action.is_echo();
        extensions.into_iter().find(echo).map(|extension| &extension.dial.value.first)
    }

    /// Where the PINs of voicemail boxes stand: tenant, box and the plan's word.
    pub fn voicemail_pins(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>, &Arc<str>)> {
        self.tenants().filter_map(|tenant| self.plan(tenant)).flat_map(|plan| {
            let boxes = plan.voicemail_boxes.iter();
            let tenant = &plan.tenant.id.value;
            boxes.filter_map(move |found| Some((tenant, &found.name, found.pin.as_ref()?)))
        })
    }
}
