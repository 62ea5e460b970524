//! A call from a device (outbound order, 1 to 9).

use std::sync::Arc;
use std::time::Duration;

use super::gate::{self, Wish};
use super::{Call, inbound, plain_release};
use crate::country;
use crate::decision::{Direction, Release, RingTarget, Start, Step};
use crate::limits;
use crate::model::device::Device;
use crate::model::objects::Object;
use crate::model::{Plan, Target};

pub(super) fn from_device(call: &mut Call<'_, '_>, tenant: &str, device: &str) -> Release {
    call.direction = Direction::Internal;
    let plans = call.plans;
    let found = plans.plan(tenant).and_then(|plan| Some((plan, plan.devices.find(device)?)));
    let Some((plan, device)) = found else {
        call.because("outbound.device", format!("{device} is no device of {tenant}"));
        return plain_release(403, "unknown-device");
    };
    call.tenant = Arc::clone(&plan.tenant.id.value);
    call.caller = Some(Arc::clone(&device.ext.value));
    let called = call.facts.called;
    if !can_be_dialled(called) {
        call.because("outbound.dialled", "it is no number that can be dialled");
        return plain_release(484, "not-a-number");
    }
    match plan.inside.find(called) {
        Some(target) => to_inside(call, plan, device, target),
        None => match feature(plan, called) {
            Some((name, argument)) => {
                call.because(format!("feature_codes.{name}"), "dialled");
                let (name, argument) = (Arc::from(name), Arc::from(argument));
                call.steps.push(Step::Feature { name, argument });
                plain_release(480, "finished")
            }
            None => to_outside(call, plan, device),
        },
    }
}

/// 1: a device, an extension, a group or a park slot of the own office.
fn to_inside<'p>(
    call: &mut Call<'p, '_>,
    plan: &'p Plan,
    from: &Object<Device>,
    target: &'p Target,
) -> Release {
    let called = call.facts.called;
    match target {
        Target::Device(name) if *name == from.name => {
            call.because(
                format!("device.{name}"),
                format!("{called} is the calling device itself"),
            );
            plain_release(486, "own-extension")
        }
        Target::Device(name) => {
            let tenant = &plan.tenant.id.value;
            let Some(device) = call.plans.device(tenant, name) else {
                return plain_release(404, "unknown-device");
            };
            let target = RingTarget {
                device: Arc::clone(&device.device),
                user: Arc::clone(&device.user),
                start: Start::After(Duration::ZERO),
            };
            call.ring_targets(plan, vec![target], INTERNAL_TIMEOUT, None, &format!("device.{name}"))
        }
        Target::Extension(name) => match plan.extensions.find(name) {
            Some(extension) => {
                call.because(format!("extension.{name}"), format!("{called} is dialled"));
                call.perform(plan, &extension.action)
            }
            None => plain_release(404, "unknown-extension"),
        },
        Target::Group(name) => match plan.groups.find(name) {
            Some(group) => call.ring_group(plan, name, group),
            None => plain_release(404, "unknown-extension"),
        },
        Target::Slot => {
            call.because("park.slots", format!("slot {called}"));
            call.steps.push(Step::Park { slot: Some(Arc::from(called)) });
            plain_release(480, "finished")
        }
    }
}

/// 1: a feature code, what follows it is its argument; the longest code wins.
fn feature<'p, 'c>(plan: &'p Plan, called: &'c str) -> Option<(&'p str, &'c str)> {
    let codes = plan.feature_codes.codes.iter();
    let found = codes.filter_map(|(name, code)| {
        called.strip_prefix(&*code.value.first).map(|argument| (*name, argument))
    });
    found.min_by_key(|(_, argument)| argument.len())
}

/// 2 to 9: everything that is not inside.
fn to_outside<'p>(call: &mut Call<'p, '_>, plan: &'p Plan, device: &'p Object<Device>) -> Release {
    let japan = &country::JAPAN;
    let mut digits = call.facts.called;
    if let Some(prefix) = &plan.outbound.outside_prefix
        && !digits.starts_with('+')
    {
        let Some(rest) = digits.strip_prefix(&*prefix.value).filter(|rest| !rest.is_empty()) else {
            let text = format!("{digits} is no extension and does not begin with {}", prefix.value);
            call.because("outbound.outside_prefix", text);
            let prompt = Some(call.prompt(plan, "unallocated"));
            return Release { status: 404, prompt, cause: Arc::from("unknown-extension") };
        };
        digits = rest;
    }
    // A phone asks with its Privacy header, for this call; 184 and 186 have the last word.
    let mut anonymous = device.privacy || call.facts.caller.anonymous;
    for (prefix, hide) in [(japan.hide, true), (japan.show, false)] {
        if let Some(rest) = digits.strip_prefix(prefix).filter(|rest| !rest.is_empty()) {
            let text =
                if hide { "the caller number is hidden" } else { "the caller number is shown" };
            call.because(format!("outbound.{prefix}"), text);
            (digits, anonymous) = (rest, hide);
            break;
        }
    }
    let area_code = device.area_code.as_deref().or(plan.outbound.area_code.as_deref());
    let with_area = japan.with_area(digits, area_code);
    if with_area.len() != digits.len() {
        call.because("outbound.area_code", format!("{digits} is the local number {with_area}"));
    }
    let to = japan.canonical(&with_area);
    let shown = match &device.caller_id {
        Some(name) => plan.numbers.find(&name.value),
        None => plan.main_number(),
    };
    let plans = call.plans;
    if let Some((other, number)) = plans.number_by_did(&to) {
        call.because("outbound.on_net", format!("{to} is number.{} of this server", number.name));
        if other.tenant.id.value != plan.tenant.id.value {
            // A neighbour sees the office's number, as it would from outside.
            call.caller = shown.filter(|_| !anonymous).map(|number| Plan::did(number));
        }
        return inbound::to_number(call, other, number, None);
    }
    call.direction = Direction::Outbound;
    call.number = shown.map(|number| Arc::clone(&number.name));
    let wish = Wish { to: &to, shown, anonymous, kind: Some(device.kind) };
    match gate::pass(call, plan, &wish, true) {
        Ok(leg) => {
            call.steps.push(Step::Trunk(leg));
            let prompt = Some(call.prompt(plan, "trunks-busy"));
            Release { status: 503, prompt, cause: Arc::from("trunk-failed") }
        }
        Err(release) => release,
    }
}

fn can_be_dialled(called: &str) -> bool {
    let digits = called.strip_prefix('+').unwrap_or(called);
    let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'*' | b'#');
    (1..=limits::DIALLED_CHARS.default).contains(&(digits.len() as u64))
        && digits.bytes().all(plain)
}

/// How long a colleague's phone rings.
const INTERNAL_TIMEOUT: Duration = Duration::from_secs(60);
