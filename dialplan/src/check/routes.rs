//! The way out: classes, trunks, forward targets.

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::model::Plan;
use crate::model::outside::NumberFormat;
use crate::read::{Do, Reader};
use crate::source::{Name, Place};

pub(crate) fn check(reader: &Reader<'_>, plan: &Plan, today: Date) {
    for (to, place) in targets(plan) {
        forward(reader, plan, to, place, today);
    }
    for trunks in plan.outbound.route.values() {
        mixed_profiles(reader, plan, trunks);
    }
    let outbound = &plan.outbound;
    for (kind, classes) in &outbound.allow {
        for class in classes {
            if outbound.block.iter().any(|blocked| blocked.value == class.value) {
                let message = format!("class {} is blocked and allowed", class.value);
                let hint = format!("`block` wins: {} cannot call it", kind.as_str());
                reader.error(class.place, message, hint);
            }
        }
    }
    let classes: BTreeSet<_> = plan.classes.iter().map(|(_, entry)| &entry.class).collect();
    // An office that says nothing of the outside has the classes of its country and calls nobody.
    let silent = outbound.default_trunk.is_none() && outbound.route.is_empty();
    let of_country = |class| reader.names.place(crate::read::Kind::Class, class).is_none();
    for class in classes.into_iter().filter(|class| !silent || !of_country(class)) {
        let blocked = outbound.block.iter().any(|blocked| blocked.value == *class);
        let routed = outbound.route.contains_key(class) || outbound.default_trunk.is_some();
        if !blocked && !routed && !plan.devices.is_empty() {
            let place = reader.names.place(crate::read::Kind::Class, class).unwrap_or_default();
            let message = format!("class.{class} has no trunk");
            let hint = "add outbound.default_trunk, a route, or block the class";
            reader.error(place, message, hint);
        }
    }
}

/// Every number that something of the files forwards to, where it is written.
pub(super) fn targets(plan: &Plan) -> impl Iterator<Item = (&str, Place)> {
    let numbers = plan.numbers.iter().filter_map(|number| number.forward_to.as_ref());
    let devices = plan.devices.iter().filter_map(|device| device.forward.as_ref());
    let devices = devices.flat_map(|forward| forward.targets());
    let devices = devices.filter(|to| plan.inside.find(&to.value).is_none());
    let actions = plan.actions().filter_map(|action| match &action.what {
        Do::Forward(Some(to)) => Some((&**to, action.place)),
        _ => None,
    });
    numbers.chain(devices).map(|to| (&*to.value, to.place)).chain(actions)
}

/// A target that nobody could reach is a mistake now, not at night.
fn forward(reader: &Reader<'_>, plan: &Plan, to: &str, place: Place, today: Date) {
    let number = plan.tenant.country.canonical(to);
    if plan.numbers.iter().any(|own| *plan.did(own) == *number) {
        return;
    }
    let Some(entry) = plan.classes.of(&number, today) else {
        let message = format!("{to} is of no class");
        reader.error(place, message, "no trunk would be asked for it; check the digits");
        return;
    };
    if let Some(block) = plan.outbound.block.iter().find(|name| name.value == entry.class) {
        let message = format!("{to} is of the blocked class {}", entry.class);
        reader.error(place, message, format!("blocked at {}", reader.files.brief(block.place)));
    }
}

/// A list of trunks gets one number: all of them must write it the same way.
fn mixed_profiles(reader: &Reader<'_>, plan: &Plan, trunks: &[Name]) {
    let e164 =
        |name: &Name| plan.trunks.find(&name.value).map(|trunk| trunk.format == NumberFormat::E164);
    let Some(first) = trunks.first().and_then(e164) else { return };
    if let Some(other) = trunks.iter().find(|name| e164(name).is_some_and(|e164| e164 != first)) {
        let message = format!("trunk {} writes numbers in another way", other.value);
        reader.error(other.place, message, "the trunks of one route must share the number format");
    }
}
