//! A call from a device (outbound order, 1 to 11).

use std::sync::Arc;
use std::time::Duration;

use super::gate::{self, Wish};
use super::{Asker, Call, forwarded, inbound, plain_release, settings};
use crate::decision::{Direction, Release, RingTarget, Start, Step};
use crate::limits;
use crate::model::device::Device;
use crate::model::number::Number;
use crate::model::objects::Object;
use crate::model::services::FeatureCode;
use crate::model::{Plan, Target};

pub(super) fn from_device(
    call: &mut Call<'_, '_>,
    (tenant, device): (&str, &str),
    asker: Asker,
) -> Release {
    call.direction = Direction::Internal;
    let plans = call.plans;
    let found = plans.plan(tenant).and_then(|plan| Some((plan, plan.devices.find(device)?)));
    let Some((plan, device)) = found else {
        call.because("outbound.device", format!("{device} is no device of {tenant}"));
        return plain_release(403, "unknown-device");
    };
    call.enter(plan);
    call.caller = Some(Arc::clone(&device.ext.value));
    dialled(call, plan, device, asker, call.facts.called)
}

/// 1: what was dialled is inside, a feature code, or outside.
pub(super) fn dialled<'p>(
    call: &mut Call<'p, '_>,
    plan: &'p Plan,
    device: &'p Object<Device>,
    asker: Asker,
    called: &str,
) -> Release {
    if !can_be_dialled(called) {
        call.because("outbound.dialled", "it is no number that can be dialled");
        return plain_release(484, "not-a-number");
    }
    if let Some(target) = plan.inside.find(called) {
        return to_inside(call, plan, device, called, target);
    }
    let outside = Outside { device, asker, shown: None };
    let Some((feature, argument)) = feature(plan, called).filter(|_| dials(asker)) else {
        return to_outside(call, plan, called, &outside);
    };
    call.because(format!("feature_codes.{}", feature.as_str()), "dialled");
    if feature == FeatureCode::ShowNumber {
        return with_number(call, plan, (device, asker), argument);
    }
    if feature == FeatureCode::Intercom {
        return call.intercom(plan, device, argument);
    }
    if matches!(feature, FeatureCode::Monitor | FeatureCode::Whisper | FeatureCode::Barge) {
        return supervise(call, plan, device, feature, argument);
    }
    if feature == FeatureCode::Voicemail && argument.is_empty() {
        return call.perform(plan, &crate::read::Action::of(crate::read::Do::VoicemailMenu));
    }
    if let Some(changes) = settings::changes(call, plan, device, feature, argument) {
        return settings::set(call, plan, changes);
    }
    let argument = Arc::from(argument);
    call.steps.push(Step::Feature { feature, argument });
    plain_release(480, "finished")
}

/// Whether feature codes mean something: what a phone dials, transfers to or redirects to.
const fn dials(asker: Asker) -> bool {
    matches!(asker, Asker::Phone | Asker::Transfer | Asker::Redirect)
}

/// A device, an extension, a group or a park slot of the own office.
fn to_inside<'p>(
    call: &mut Call<'p, '_>,
    plan: &'p Plan,
    from: &Object<Device>,
    called: &str,
    target: &'p Target,
) -> Release {
    match target {
        Target::Device(name) if *name == from.name => {
            let text = format!("{called} is the calling device itself");
            call.because(format!("device.{name}"), text);
            plain_release(486, "own-extension")
        }
        Target::Device(name) => ring_device(call, plan, name),
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
            let Some(park) = &plan.park else { return plain_release(404, "unknown-extension") };
            let (slot, spec) = (Some(Arc::from(called)), Arc::clone(park));
            call.steps.push(Step::Park { slot, spec });
            plain_release(480, "finished")
        }
    }
}

/// Rings a device as who dials its extension does.
pub(super) fn ring_device<'p>(call: &mut Call<'p, '_>, plan: &'p Plan, name: &str) -> Release {
    let device = call.plans.device(&plan.tenant.id.value, name);
    let (Some(info), Some(device)) = (device, plan.devices.find(name)) else {
        return plain_release(404, "unknown-device");
    };
    let target = RingTarget {
        device: Arc::clone(&info.device),
        user: Arc::clone(&info.user),
        start: Start::After(Duration::ZERO),
    };
    forwarded::ring(call, plan, device, target)
}

/// A feature code, what follows it is its argument; the longest code wins.
fn feature<'c>(plan: &Plan, called: &'c str) -> Option<(FeatureCode, &'c str)> {
    let codes = plan.feature_codes.codes.iter();
    let found = codes.filter_map(|(feature, code)| {
        called.strip_prefix(&*code.value.first).map(|argument| (*feature, argument))
    });
    let found = found.min_by_key(|(_, argument)| argument.len());
    found.filter(|(feature, argument)| argument.is_empty() || feature.takes_argument())
}

/// Listens to the call of a colleague, when the plan lets this device do so.
fn supervise(
    call: &mut Call<'_, '_>,
    plan: &Plan,
    device: &Object<Device>,
    feature: FeatureCode,
    called: &str,
) -> Release {
    let named = match plan.inside.find(called) {
        Some(Target::Device(name)) => device.supervises.iter().find(|known| known.value == *name),
        _ => None,
    };
    let rule = format!("device.{}.supervises", device.name);
    let Some(named) = named else {
        call.because(rule, format!("{called} is none of them"));
        let prompt = Some(call.prompt(plan, "refused"));
        return Release { status: 403, prompt, cause: Arc::from("supervision") };
    };
    call.because(rule, format!("{} is one of them", named.value));
    call.steps.push(Step::Feature { feature, argument: Arc::clone(&named.value) });
    plain_release(480, "finished")
}

/// 7: another caller number for one call: its place among those that the device may show, then
/// the number to call.
fn with_number<'p>(
    call: &mut Call<'p, '_>,
    plan: &'p Plan,
    (device, asker): (&'p Object<Device>, Asker),
    argument: &str,
) -> Release {
    let rule = format!("device.{}.allow_caller_id", device.name);
    let mut chars = argument.chars();
    let place = chars.next().and_then(|digit| digit.to_digit(10));
    let place = place.and_then(|place| usize::try_from(place).ok()?.checked_sub(1));
    let name = place.and_then(|place| device.allow_caller_id.get(place));
    let number = name.and_then(|name| plan.numbers.find(&name.value));
    let Some(number) = number.filter(|number| number.can_be_shown()) else {
        call.because(rule, "there is no such choice");
        let prompt = Some(call.prompt(plan, "refused"));
        return Release { status: 403, prompt, cause: Arc::from("caller-number") };
    };
    call.because(rule, format!("number.{} for this call", number.name));
    let outside = Outside { device, asker, shown: Some(number) };
    to_outside(call, plan, chars.as_str(), &outside)
}

/// A call of a device that leaves the office.
struct Outside<'p> {
    device: &'p Object<Device>,
    asker: Asker,
    /// The number chosen for this call.
    shown: Option<&'p Object<Number>>,
}

/// 2 to 10: everything that is not inside.
fn to_outside<'p>(
    call: &mut Call<'p, '_>,
    plan: &'p Plan,
    dialled: &str,
    outside: &Outside<'p>,
) -> Release {
    let Outside { device, asker, shown } = outside;
    let (digits, anonymous) = match prefixes(call, plan, device, dialled) {
        Ok(found) => found,
        Err(release) => return release,
    };
    let country = &plan.tenant.country;
    let area_code = device.area_code.as_deref().or(plan.outbound.area_code.as_deref());
    let with_area = country.with_area(digits, area_code);
    if with_area.len() != digits.len() {
        call.because("outbound.area_code", format!("{digits} is the local number {with_area}"));
    }
    let to = country.canonical(&with_area);
    let preferred = if shown.is_none() { preferred(call, plan, device, *asker) } else { None };
    let shown = shown.or(preferred).or_else(|| shown_of(call, plan, device));
    let plans = call.plans;
    if let Some((other, number)) = plans.number_by_did(country, &to) {
        call.because("outbound.on_net", format!("{to} is number.{} of this server", number.name));
        if other.tenant.id.value != plan.tenant.id.value {
            // A neighbour sees the office's number, as it would from outside.
            call.caller = shown.filter(|_| !anonymous).map(|number| plan.did(number));
        }
        return inbound::to_number(call, other, number, None);
    }
    if plans.is_neighbours(country, &to) {
        let wish = Wish { to: &to, shown, anonymous, device: Some(device), asker: *asker };
        let leg = gate::neighbour(call, plan, &wish);
        call.steps.push(match asker {
            Asker::Forward => Step::Forward(leg),
            _ => Step::Trunk(leg),
        });
        return plain_release(503, "trunk-failed");
    }
    call.direction = Direction::Outbound;
    call.number = shown.map(|number| (plan, number));
    let own_channel = !call.uses_channel;
    let wish = Wish { to: &to, shown, anonymous, device: Some(device), asker: *asker };
    match gate::pass(call, plan, &wish, own_channel) {
        Ok(leg) => {
            // S-75: a forwarded call is never recorded.
            call.record = match asker {
                Asker::Forward => None,
                _ => shown.and_then(|number| Some(number.record.as_ref()?.value)),
            };
            call.steps.push(match asker {
                Asker::Forward => Step::Forward(leg),
                _ => Step::Trunk(leg),
            });
            let prompt = Some(call.prompt(plan, "trunks-busy"));
            Release { status: 503, prompt, cause: Arc::from("trunk-failed") }
        }
        Err(release) => release,
    }
}

/// The number that a phone asks to be shown as (RFC 3325, 6), when it is one of those that the
/// plan lets it show; another one is passed over (RFC 3325, 5: the default takes its place).
fn preferred<'p>(
    call: &mut Call<'p, '_>,
    plan: &'p Plan,
    device: &Object<Device>,
    asker: Asker,
) -> Option<&'p Object<Number>> {
    let wish = call.facts.caller.preferred.as_deref().filter(|_| asker == Asker::Phone)?;
    let country = &plan.tenant.country;
    let found = call.plans.number_by_did(country, &country.canonical(wish));
    let own = found.filter(|(owner, _)| owner.tenant.id.value == plan.tenant.id.value);
    let number = own.map(|(_, number)| number).filter(|number| {
        let mut named = device.caller_id.iter().chain(&device.allow_caller_id);
        number.can_be_shown() && named.any(|name| *name.value == *number.name)
    });
    let rule = format!("device.{}.allow_caller_id", device.name);
    match number {
        Some(number) => call.because(rule, format!("number.{}, as the phone asks", number.name)),
        None => call.because(rule, format!("{wish} may not be shown")),
    }
    number
}

/// The number that a device shows: as it was set last (S-11), else as the plan says, else the
/// office's first.
pub(super) fn shown_of<'p>(
    call: &mut Call<'p, '_>,
    plan: &'p Plan,
    device: &Object<Device>,
) -> Option<&'p Object<Number>> {
    let live = call.live.and_then(|live| live.device(&device.name));
    if let Some(set) = live.and_then(|live| live.caller_id.as_ref())
        && let Some(number) = plan.numbers.find(&set.value)
    {
        let text = format!("number.{}, set by {} at {}", number.name, set.by, set.at);
        call.because(format!("device.{}.caller_id", device.name), text);
        return Some(number);
    }
    match &device.caller_id {
        Some(name) => plan.numbers.find(&name.value),
        None => plan.main_number(),
    }
}

/// 2 and 3: the outside prefix, and whether the caller number is hidden.
fn prefixes<'d>(
    call: &mut Call<'_, '_>,
    plan: &Plan,
    device: &Object<Device>,
    dialled: &'d str,
) -> Result<(&'d str, bool), Release> {
    let mut digits = dialled;
    if let Some(prefix) = &plan.outbound.outside_prefix
        && !digits.starts_with('+')
    {
        let Some(rest) = digits.strip_prefix(&*prefix.value).filter(|rest| !rest.is_empty()) else {
            let text = format!("{digits} is no extension and does not begin with {}", prefix.value);
            call.because("outbound.outside_prefix", text);
            let prompt = Some(call.prompt(plan, "unallocated"));
            return Err(Release { status: 404, prompt, cause: Arc::from("unknown-extension") });
        };
        digits = rest;
    }
    // A phone asks with its Privacy header, for this call; 184 and 186 have the last word.
    let mut anonymous = device.privacy || call.facts.caller.anonymous;
    let country = &plan.tenant.country;
    for (prefix, hide) in [(&country.hide, true), (&country.show, false)] {
        let rest = prefix.as_ref().and_then(|prefix| digits.strip_prefix(&**prefix));
        if let (Some(rest), Some(prefix)) = (rest.filter(|rest| !rest.is_empty()), prefix) {
            let text =
                if hide { "the caller number is hidden" } else { "the caller number is shown" };
            call.because(format!("outbound.{prefix}"), text);
            (digits, anonymous) = (rest, hide);
            break;
        }
    }
    Ok((digits, anonymous))
}

fn can_be_dialled(called: &str) -> bool {
    let digits = called.strip_prefix('+').unwrap_or(called);
    let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'*' | b'#');
    (1..=limits::DIALLED_CHARS.default).contains(&(digits.len() as u64))
        && digits.bytes().all(plain)
}

/// How long a colleague's phone rings.
pub(super) const INTERNAL_TIMEOUT: Duration = Duration::from_secs(60);
