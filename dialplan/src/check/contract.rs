//! How many numbers of which role an office may have (S-01, S-03, S-04, S-06).

use crate::model::Plan;
use crate::model::number::{Number, Role};
use crate::model::objects::Object;
use crate::model::rules::PerId;
use crate::read::Reader;

pub(super) fn check(reader: &Reader<'_>, plan: &Plan) {
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
    additional(reader, plan, of(Role::Additional));
    if plan.rules.numbers.direct_per_id {
        direct_numbers(reader, plan);
    }
}

/// S-03, S-04: few additional numbers, and never more than IDs for them. A human may allow more
/// where the plan says so, and the check writes that down.
fn additional<'p>(
    reader: &Reader<'_>,
    plan: &Plan,
    numbers: impl Iterator<Item = &'p Object<Number>>,
) {
    let rules = plan.rules.numbers;
    let (ids, row, what) = match rules.per_id {
        PerId::Additional => (plan.devices.len().saturating_sub(1), "S-03", "additional IDs"),
        PerId::All => (plan.devices.len(), "S-04", "IDs"),
    };
    let most = usize::try_from(rules.additional).unwrap_or(usize::MAX);
    let allowed = plan.tenant.more_numbers.as_ref();
    if let Some(reason) = allowed.filter(|_| !rules.may_override) {
        let message = "more numbers cannot be allowed in this plan";
        let hint = format!("the plan \"{}\" has no `override`", plan.rules.title);
        reader.error(reason.place, message, hint);
    }
    for (index, number) in numbers.enumerate() {
        let name = &number.name;
        let (message, hint) = if index >= most {
            let message = format!("number.{name} is one additional number too many");
            (message, format!("at most {most} additional numbers ({row})"))
        } else if index >= ids {
            let message = format!("number.{name} has no additional ID");
            let hint = format!("additional numbers never outnumber {what}, here {ids} ({row})");
            (message, hint)
        } else {
            continue;
        };
        match allowed.filter(|_| rules.may_override) {
            Some(reason) => {
                let hint = format!("{hint}; allowed by hand: {}", reason.value);
                reader.warn(number.place, message, hint);
            }
            None => reader.error(number.place, message, hint),
        }
    }
}

/// S-06: every device has a number of its own, which rings there and nowhere else, used or not.
fn direct_numbers(reader: &Reader<'_>, plan: &Plan) {
    let direct: Vec<_> = plan.numbers.iter().filter(|n| n.role == Role::Direct).collect();
    for number in &direct {
        let devices = number.ring.as_ref().map_or(0, |ring| ring.devices.len());
        if devices != 1 {
            let message = format!("number.{} rings {devices} devices", number.name);
            reader.error(number.place, message, "a direct number rings its one device (S-06)");
        }
    }
    for device in plan.devices.iter() {
        let own = direct.iter().filter(|number| {
            let ring = number.ring.as_ref();
            ring.is_some_and(|ring| ring.devices.iter().any(|name| name.value == device.name))
        });
        match own.count() {
            1 => {}
            0 => {
                let message = format!("device.{} has no direct number", device.name);
                reader.error(device.place, message, "every ID carries its own (S-06)");
            }
            _ => {
                let message = format!("device.{} has several direct numbers", device.name);
                reader.error(device.place, message, "every ID carries one of its own (S-06)");
            }
        }
    }
}
