//! A device that is called by its extension, and what its own forwarding makes of it.

use std::sync::Arc;

use super::ringing::Ringing;
use super::{Asker, Call, outbound, plain_release};
use crate::decision::{DiversionCause, Release, RingTarget, Step};
use crate::model::Plan;
use crate::model::device::Device;
use crate::model::forwarding::DeviceForward;
use crate::model::objects::Object;

/// Rings a device, or does what its forwarding says instead.
pub(super) fn ring<'p>(
    call: &mut Call<'p, '_>,
    plan: &'p Plan,
    device: &'p Object<Device>,
    target: RingTarget,
) -> Release {
    let rule = format!("device.{}", device.name);
    let mut ringing = Ringing { rule: &rule, at_most: None, called_name: None };
    let Some(forward) = &device.forward else {
        return call.ring_targets(plan, vec![target], outbound::INTERNAL_TIMEOUT, &ringing);
    };
    if let Some(to) = &forward.always {
        return go_on(call, plan, device, (DiversionCause::Unconditional, &to.value));
    }
    let after = forward.no_answer.as_ref().map(|_| forward.after);
    ringing.at_most = after;
    let timeout = after.unwrap_or(outbound::INTERNAL_TIMEOUT);
    let before = call.steps.len();
    let release = call.ring_targets(plan, vec![target], timeout, &ringing);
    if call.steps.len() > before {
        later(call, device, forward);
        return release;
    }
    let at_once = match &*release.cause {
        "not-reachable" => forward.unreachable.as_ref().map(|to| (DiversionCause::Unreachable, to)),
        _ => forward.busy.as_ref().map(|to| (DiversionCause::Busy, to)),
    };
    match at_once {
        Some((cause, to)) => go_on(call, plan, device, (cause, &to.value)),
        None => release,
    }
}

/// What is known only when the phone has been rung.
fn later(call: &mut Call<'_, '_>, device: &Object<Device>, forward: &DeviceForward) {
    let target = |to: &Option<crate::source::At<Arc<str>>>| Some(Arc::clone(&to.as_ref()?.value));
    let (busy, no_answer) = (target(&forward.busy), target(&forward.no_answer));
    let unreachable = target(&forward.unreachable);
    if busy.is_some() || no_answer.is_some() || unreachable.is_some() {
        let extension = Arc::clone(&device.ext.value);
        let device = Arc::clone(&device.name);
        call.steps.push(Step::Divert { device, extension, busy, no_answer, unreachable });
    }
}

/// Goes on as a call of the device that forwards: its rules and its caller number hold.
fn go_on<'p>(
    call: &mut Call<'p, '_>,
    plan: &'p Plan,
    device: &'p Object<Device>,
    (cause, to): (DiversionCause, &'p Arc<str>),
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
