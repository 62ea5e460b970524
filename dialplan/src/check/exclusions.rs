//! The rows of the service that exclude or require one another, each with its sentence.

use super::contract;
use crate::diagnostic::did_you_mean;
use crate::model::Plan;
use crate::model::announcement::Announcement;
use crate::model::device::{Device, DeviceKind};
use crate::model::number::{Mode, Number, Role};
use crate::model::objects::Object;
use crate::model::ring::{Ring, Wait};
use crate::model::rules::Used;
use crate::read::{Do, Kind, Reader};
use crate::source::Place;

pub(crate) fn check(reader: &Reader<'_>, plan: &Plan) {
    if plan.numbers.len() == reader.names.of(Kind::Number).count() {
        contract::check(reader, plan);
    }
    for number in plan.numbers.iter().filter(|number| !number.faulty) {
        exclusions(reader, plan, number);
        entitlement(reader, plan, number);
        toll_free(reader, plan, number);
        if let Some(ring) = &number.ring {
            let after = number.voicemail.as_ref().map(|voicemail| &voicemail.after);
            tiers(reader, plan, ring, &format!("number.{}", number.name));
            if let (Some(after), (start, place)) = (after, ring.last_start())
                && !start.is_zero()
                && after.value <= start
                && ring.step.value != Wait::Never
            {
                let message = format!("the last phones of number.{} never ring", number.name);
                let hint = format!(
                    "they begin after {} s, but voicemail answers after {} s ({})",
                    start.as_secs(),
                    after.value.as_secs(),
                    reader.files.brief(after.place)
                );
                reader.error(place, message, hint);
            }
        }
    }
    for group in plan.groups.iter() {
        tiers(reader, plan, &group.ring, &format!("group.{}", group.name));
    }
    for device in plan.devices.iter() {
        device_options(reader, plan, device);
    }
    let files = plan.announcements.iter().filter(|a| matches!(a.value, Announcement::File(_)));
    let most = plan.rules.own_files;
    for announcement in files.skip(usize::try_from(most).unwrap_or(usize::MAX)) {
        let message = format!("announcement.{} is one file too many", announcement.name);
        reader.error(announcement.place, message, format!("at most {most} own files (S-25)"));
    }
    must_block(reader, plan);
}

/// What cannot stand together on a number.
fn exclusions(reader: &Reader<'_>, plan: &Plan, number: &Object<Number>) {
    let name = &number.name;
    for exclusion in &plan.rules.exclusions {
        let Some(place) = uses(number, exclusion.forbids) else { continue };
        let other = |other: &&Object<Number>| {
            (exclusion.whole_office || other.name == number.name)
                && uses(other, exclusion.option).is_some()
        };
        if let Some(other) = plan.numbers.iter().find(other) {
            let (option, forbids) = (exclusion.option.word(), exclusion.forbids.word());
            let message = if other.name == number.name {
                format!("number.{name} has both {option} and {forbids}")
            } else {
                format!("number.{name} has {forbids}, number.{} has {option}", other.name)
            };
            reader.error(place, message, &*exclusion.sentence);
        }
    }
    if number.mode == Mode::Schedule && number.schedule.is_none() {
        let hint = "name one with schedule = \"...\"";
        reader.error(number.place, format!("number.{name} follows no schedule"), hint);
    }
    if number.mode == Mode::Ring && number.ring.is_none() && number.role != Role::Tollfree {
        let hint = "add ring = { devices = [...] }";
        reader.error(number.place, format!("number.{name} rings nobody"), hint);
    }
    if number.mode == Mode::Forward && number.forward_to.is_none() {
        let hint = "add forward_to = \"...\"";
        reader.error(number.place, format!("number.{name} is forwarded to nowhere"), hint);
    }
    inert(reader, number);
    schedule(reader, plan, number);
}

/// What is allowed, but does nothing (warnings).
fn inert(reader: &Reader<'_>, number: &Object<Number>) {
    let name = &number.name;
    if let Some(voicemail) = number.voicemail.as_ref().filter(|_| number.mode == Mode::Forward) {
        let message = format!("the voicemail of number.{name} is inert");
        reader.warn(voicemail.mailbox.place, message, "the number is forwarded (S-50)");
    }
    if let Some(record) = number.record.as_ref().filter(|_| number.mode == Mode::Forward) {
        let message = format!("calls to number.{name} are not recorded");
        reader.warn(record.place, message, "forwarded calls never are (S-75)");
    }
    let fax = number.fax.as_ref().and_then(|fax| fax.value.after.as_ref());
    if let (Some(after), Some(voicemail)) = (fax, &number.voicemail)
        && after.value >= voicemail.after.value
    {
        let message = format!("number.{name} never answers as a fax");
        let voicemail = voicemail.after.value.as_secs();
        let hint = format!("voicemail answers after {voicemail} s, before or with `fax.after`");
        reader.warn(after.place, message, hint);
    }
}

/// A schedule that says what the number cannot do.
fn schedule(reader: &Reader<'_>, plan: &Plan, number: &Object<Number>) {
    let name = &number.name;
    let schedule = number.schedule.as_ref();
    let Some((place, schedule)) =
        schedule.and_then(|name| Some((name.place, plan.schedules.find(&name.value)?)))
    else {
        return;
    };
    let uses = |what: fn(&Do) -> bool| schedule.actions().find(|action| what(&action.what));
    if let Some(cell) = uses(|what| matches!(what, Do::Forward(None)))
        && number.forward_to.is_none()
    {
        let at = reader.files.brief(cell.place);
        let message = format!("number.{name} is forwarded to nowhere by its schedule");
        reader.error(place, message, format!("{at} says forward; add forward_to = \"...\""));
    }
    if let Some(cell) = uses(|what| matches!(what, Do::Ring))
        && number.ring.is_none()
    {
        let at = reader.files.brief(cell.place);
        let message = format!("number.{name} rings nobody");
        reader.error(place, message, format!("{at} says ring; add ring = {{ devices = [...] }}"));
    }
}

/// Where a number uses something, when it does.
fn uses(number: &Object<Number>, used: Used) -> Option<Place> {
    match used {
        Used::BusyAnnouncement => number.busy_announcement.then_some(number.place),
        Used::Voicemail => number.voicemail.as_ref().map(|voicemail| voicemail.mailbox.place),
        Used::OffHours => {
            let schedule = number.schedule.as_ref().filter(|_| number.mode == Mode::Schedule);
            schedule.map(|schedule| schedule.place)
        }
        Used::Forwarding => {
            let written = number.forward_to.as_ref().map(|to| to.place);
            written.or_else(|| (number.mode == Mode::Forward).then_some(number.place))
        }
        Used::Fax => number.fax.as_ref().map(|fax| fax.place),
        Used::Recording => number.record.as_ref().map(|record| record.place),
    }
}

/// What is used must be subscribed (S-111), and some of it needs a verified office (S-27, S-65).
fn entitlement(reader: &Reader<'_>, plan: &Plan, number: &Object<Number>) {
    for (option, used) in Used::WORDS {
        let Some(place) = uses(number, used) else { continue };
        if used != Used::BusyAnnouncement && !number.subscribes(option) {
            let message = format!("number.{} uses {option} without its option", number.name);
            reader.error(place, message, format!("add \"{option}\" to its `options`"));
        }
        if plan.rules.verified.contains(&used) && !plan.tenant.verified {
            let message = format!("{option} cannot be set before the office is verified");
            let hint = "tenant.verified is not true (S-27, S-65)";
            reader.error(place, message, hint);
        }
    }
    fax_entitlement(reader, plan, number);
}

/// S-41: with one device the fax option of the contract number is enough; with several, a device
/// sends and reads by its own; an additional number alone entitles nobody.
fn fax_entitlement(reader: &Reader<'_>, plan: &Plan, number: &Object<Number>) {
    let Some(fax) = &number.fax else { return };
    let contract = plan.numbers.iter().find(|number| number.role == Role::Contract);
    let bought = plan.devices.len() < 2 && contract.is_some_and(|number| number.subscribes("fax"));
    let devices = plan.devices.iter().any(|device| device.has_option("cloudfax"));
    let machine = fax.value.device.is_some();
    if !bought && !devices && !machine {
        let message = format!("nobody may read the faxes of number.{}", number.name);
        let hint = "with several devices one of them needs the option \"cloudfax\" (S-41)";
        reader.warn(fax.place, message, hint);
    }
}

/// S-97 and S-98.
fn toll_free(reader: &Reader<'_>, plan: &Plan, number: &Object<Number>) {
    let name = &number.name;
    let target = number.target.as_ref();
    if number.role != Role::Tollfree {
        if let Some(target) = target {
            let message = format!("number.{name} has a target");
            reader.error(target.place, message, "only a toll-free number goes on as another");
        }
        return;
    }
    if plan.devices.len() < 2 {
        let message = format!("number.{name} is toll-free in an office with one ID");
        reader.error(number.place, message, "toll-free needs several IDs (S-98)");
    }
    match target {
        None => {
            let message = format!("number.{name} has no target");
            reader.error(number.place, message, "a toll-free number goes on as another number");
        }
        Some(target) => {
            let other = plan.numbers.find(&target.value);
            if other.is_some_and(|other| other.role == Role::Tollfree) {
                let message = format!("number.{name} goes on as a toll-free number");
                reader.error(target.place, message, "the target must be an ordinary number");
            }
        }
    }
}

/// Devices that a ring order leaves out, and tiers without a device.
fn tiers(reader: &Reader<'_>, plan: &Plan, ring: &Ring, owner: &str) {
    for (name, tier) in ring.order(&plan.devices) {
        let Some(device) = plan.devices.find(&name.value) else { continue };
        if device.fax_machine {
            let message = format!("device \"{}\" is a fax machine", name.value);
            reader.error(name.place, message, "it is never rung for voice");
        } else if tier.is_none() && !ring.tiers.is_empty() {
            let message = format!("device \"{}\" is in no tier of {owner}", name.value);
            let hint = format!("it is of kind \"{}\" and would never ring", device.kind.as_str());
            reader.error(name.place, message, hint);
        }
    }
    // Of a device with an error in it nothing is known.
    let known = |name: &crate::source::Name| plan.devices.find(&name.value);
    if ring.devices.iter().any(|name| known(name).is_none_or(|device| device.faulty)) {
        return;
    }
    for (index, tier) in ring.tiers.iter().enumerate() {
        let here = |found: Option<u32>| found == u32::try_from(index).ok();
        if let (Some(first), false) =
            (tier.first(), ring.order(&plan.devices).any(|(_, tier)| here(tier)))
        {
            let message = format!("unreachable tier in {owner}.ring");
            reader.error(first.place, message, "none of the devices that ring is of it");
        }
    }
}

/// S-93 and the names of options; S-98 for the shown number.
fn device_options(reader: &Reader<'_>, plan: &Plan, device: &Object<Device>) {
    let tariff = plan.tariff.as_ref();
    for option in &device.options {
        let priced = tariff.and_then(|tariff| tariff.options.find(&option.value));
        if priced.is_none() && !Device::known_options().contains(&&*option.value) {
            let message = format!("unknown option \"{}\"", option.value.escape_debug());
            let named = tariff.into_iter().flat_map(|t| t.options.iter().map(|o| &*o.name));
            let known = Device::known_options().iter().copied().chain(named);
            reader.error(option.place, message, did_you_mean(&option.value, known, "options"));
        }
        let apps_only = &*option.value == "free10" && device.kind != DeviceKind::App;
        let elsewhere =
            priced.is_some_and(|o| !o.devices.is_empty() && !o.devices.contains(&device.kind));
        if apps_only || elsewhere {
            let message =
                format!("\"{}\" on a device of kind {}", option.value, device.kind.as_str());
            reader.error(option.place, message, "the option is for other devices (S-93)");
        }
    }
    let shown = device.caller_id.iter().chain(&device.allow_caller_id);
    for name in shown {
        let number = plan.numbers.find(&name.value);
        if number.is_some_and(|number| !number.can_be_shown()) {
            let message = format!("toll-free number.{} cannot be shown", name.value);
            let hint = "it needs the option \"number_notification\" (S-98)";
            reader.error(name.place, message, hint);
        }
    }
}

/// What the plan wants blocked.
fn must_block(reader: &Reader<'_>, plan: &Plan) {
    for class in &plan.rules.block {
        if !plan.outbound.block.iter().any(|name| name.value == *class) {
            let message = format!("the plan \"{}\" blocks class {class}", plan.rules.title);
            let hint = format!("add \"{class}\" to outbound.block");
            reader.error(plan.tenant.place, message, hint);
        }
    }
}
