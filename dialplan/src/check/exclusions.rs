//! The rows of the service that exclude or require one another, each with its sentence.

use crate::diagnostic::did_you_mean;
use crate::model::Plan;
use crate::model::announcement::Announcement;
use crate::model::device::{Device, DeviceKind};
use crate::model::number::{Mode, Number, Role};
use crate::model::objects::Object;
use crate::model::ring::{Ring, Wait};
use crate::read::{Do, Kind, Reader};
use crate::source::Place;

pub(crate) fn check(reader: &Reader<'_>, plan: &Plan) {
    if plan.numbers.len() == reader.names.of(Kind::Number).count() {
        numbers_of_the_contract(reader, plan);
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
    for announcement in files.skip(OWN_FILES) {
        let message = format!("announcement.{} is one file too many", announcement.name);
        reader.error(announcement.place, message, format!("at most {OWN_FILES} own files (S-25)"));
    }
}

/// S-01 and S-03: one contract number, few additional ones.
fn numbers_of_the_contract(reader: &Reader<'_>, plan: &Plan) {
    let of = |role| plan.numbers.iter().filter(move |number| number.role == role);
    for number in of(Role::Contract).skip(1) {
        let message = format!("number.{} is a second contract number", number.name);
        reader.error(number.place, message, "an office has exactly one (S-01)");
    }
    let direct = of(Role::Direct).count();
    if of(Role::Contract).count() + direct == 0 && !plan.numbers.is_empty() {
        let message = "the office has no contract number";
        reader.error(plan.tenant.place, message, "one number needs role = \"contract\" (S-01)");
    }
    let additional_ids = plan.devices.len().saturating_sub(1);
    for (index, number) in of(Role::Additional).enumerate() {
        if index >= ADDITIONAL_NUMBERS {
            let message = format!("number.{} is one additional number too many", number.name);
            let hint = format!("at most {ADDITIONAL_NUMBERS} additional numbers (S-03)");
            reader.error(number.place, message, hint);
        } else if index >= additional_ids {
            let message = format!("number.{} has no additional ID", number.name);
            let hint = format!(
                "additional numbers never outnumber additional IDs, here {additional_ids} (S-03)"
            );
            reader.error(number.place, message, hint);
        }
    }
}

/// What cannot stand together on a number.
fn exclusions(reader: &Reader<'_>, plan: &Plan, number: &Object<Number>) {
    let name = &number.name;
    if let Some(voicemail) = number.voicemail.as_ref().filter(|_| number.busy_announcement) {
        reader.error(
            voicemail.mailbox.place,
            format!("number.{name} has both busy_announcement and voicemail"),
            "with all channels full the caller goes to voicemail; choose one (S-09)",
        );
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
    if let Some(voicemail) = number.voicemail.as_ref().filter(|_| number.mode == Mode::Forward) {
        let message = format!("the voicemail of number.{name} is inert");
        reader.warn(voicemail.mailbox.place, message, "the number is forwarded (S-50)");
    }
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

/// What is used must be subscribed (S-111), and some of it needs a verified office (S-27, S-65).
fn entitlement(reader: &Reader<'_>, plan: &Plan, number: &Object<Number>) {
    let forwards = number.mode == Mode::Forward || number.forward_to.is_some();
    let scheduled = number.mode == Mode::Schedule;
    let used: [(&str, &str, Option<Place>, bool); 5] = [
        ("voicemail", "voicemail", number.voicemail.as_ref().map(|v| v.mailbox.place), false),
        ("schedule", "off_hours", number.schedule.as_ref().map(|s| s.place), true),
        ("fax", "fax", number.fax.as_ref().map(|_| number.place), false),
        ("forwarding", "forwarding", forward_place(number), true),
        ("recording", "recording", number.record.then_some(number.place), false),
    ];
    for (what, option, place, needs_verified) in used {
        let active = match option {
            "off_hours" => scheduled,
            "forwarding" => forwards,
            _ => true,
        };
        let Some(place) = place.filter(|_| active) else { continue };
        if !number.subscribes(option) {
            let message = format!("number.{} uses {what} without its option", number.name);
            reader.error(place, message, format!("add \"{option}\" to its `options`"));
        }
        if needs_verified && !plan.tenant.verified {
            let message = format!("{what} cannot be set before the office is verified");
            let hint = "tenant.verified is not true (S-27, S-65)";
            reader.error(place, message, hint);
        }
    }
}

fn forward_place(number: &Object<Number>) -> Option<Place> {
    let written = number.forward_to.as_ref().map(|to| to.place);
    written.or_else(|| (number.mode == Mode::Forward).then_some(number.place))
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
        let hidden = number.is_some_and(|number| {
            number.role == Role::Tollfree && !number.subscribes("number_notification")
        });
        if hidden {
            let message = format!("toll-free number.{} cannot be shown", name.value);
            let hint = "it needs the option \"number_notification\" (S-98)";
            reader.error(name.place, message, hint);
        }
    }
}

/// S-25.
const OWN_FILES: usize = 10;
/// S-03.
const ADDITIONAL_NUMBERS: usize = 2;
