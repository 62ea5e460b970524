//! A device that is called by its extension, and what its own forwarding makes of it: as it was set
//! last, else as the plan says.

use std::sync::Arc;

use super::ringing::Ringing;
use super::{Asker, Call, outbound, plain_release};
use crate::decision::{DiversionCause, Release, RingTarget, Step};
use crate::live::OFF;
use crate::model::Plan;
use crate::model::device::Device;
use crate::model::forwarding::AFTER;
use crate::model::objects::Object;

/// Rings a device, or does what its forwarding says instead.
pub(super) fn ring<'p>(
    call: &mut Call<'p, '_>,
    plan: &'p Plan,
    device: &'p Object<Device>,
    target: RingTarget,
) -> Release {
    if let Some(to) = forward(call, device, DiversionCause::Unconditional) {
        return go_on(call, plan, device, (DiversionCause::Unconditional, &to));
    }
    let [busy, no_answer, unreachable] =
        [DiversionCause::Busy, DiversionCause::NoAnswer, DiversionCause::Unreachable]
            .map(|cause| forward(call, device, cause));
    let after = device.forward.as_ref().map_or(AFTER, |forward| forward.after);
    let after = no_answer.as_ref().map(|_| after);
    let rule = format!("device.{}", device.name);
    let ringing = Ringing { rule: &rule, at_most: after, called_name: None };
    let timeout = after.unwrap_or(outbound::INTERNAL_TIMEOUT);
    let before = call.steps.len();
    let release = call.ring_targets(plan, vec![target], timeout, &ringing);
    if call.steps.len() > before {
        if busy.is_some() || no_answer.is_some() || unreachable.is_some() {
            let extension = Arc::clone(&device.ext.value);
            let device = Arc::clone(&device.name);
            call.steps.push(Step::Divert { device, extension, busy, no_answer, unreachable });
        }
        return release;
    }
    let at_once = match &*release.cause {
        "not-reachable" => (DiversionCause::Unreachable, unreachable),
        _ => (DiversionCause::Busy, busy),
    };
    match at_once {
        (cause, Some(to)) => go_on(call, plan, device, (cause, &to)),
        (_, None) => release,
    }
}

/// Where the calls of a device go on for a reason.
fn forward(
    call: &Call<'_, '_>,
    device: &Object<Device>,
    cause: DiversionCause,
) -> Option<Arc<str>> {
    let live = call.live.and_then(|live| live.device(&device.name)?.forward(cause));
    let file = device.forward.as_ref().and_then(|forward| forward.target(cause));
    let to = live.map(|set| &set.value).or(file.map(|to| &to.value))?;
    (**to != *OFF).then(|| Arc::clone(to))
}

/// Goes on as a call of the device that forwards: its rules and its caller number hold.
fn go_on<'p>(
    call: &mut Call<'p, '_>,
    plan: &'p Plan,
    device: &'p Object<Device>,
    (cause, to): (DiversionCause, &Arc<str>),
) -> Release {
    if let Err(release) = call.hop() {
        return release;
    }
    let rule = format!("device.{}.forward.{}", device.name, cause.as_str());
    call.because(rule.as_str(), format!("goes on to {to}"));
    let number = Arc::clone(&device.ext.value);
    if call.diverted.iter().any(|diversion| diversion.number == number) {
        call.because(rule, "it goes in a circle and is released");
        return plain_release(482, "loop");
    }
    call.divert(number, cause);
    outbound::dialled(call, plan, device, Asker::Forward, to)
}
