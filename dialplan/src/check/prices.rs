//! A rate for everything that can be charged: a missing pair is an error, not a free call.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::civil::Date;

use crate::model::Plan;
use crate::model::device::DeviceKind;
use crate::model::number::Role;
use crate::model::outside::Allowed;
use crate::model::tariff::{CALLER_CLASSES, ChargedLeg, Tariff};
use crate::read::Reader;

pub(crate) fn check(reader: &Reader<'_>, plan: &Plan, today: Date) {
    let Some(tariff) = &plan.tariff else { return };
    let classes: BTreeSet<&Arc<str>> = plan.classes.iter().map(|(_, entry)| &entry.class).collect();
    let kinds = DeviceKind::WORDS.into_iter().map(|(_, kind)| kind);
    let kinds = kinds.filter(|kind| plan.devices.iter().any(|device| device.kind == *kind));
    let kinds: Vec<DeviceKind> = kinds.collect();
    for class in classes.iter().filter(|class| plan.classes.is_alive(class, today)) {
        let missing = kinds.iter().filter(|kind| {
            reachable(plan, **kind, class)
                && !has(tariff, today, ChargedLeg::Out, Some(**kind), class)
        });
        let missing: Vec<&str> = missing.map(|kind| kind.as_str()).collect();
        if !missing.is_empty() {
            let message = format!("no rate for calls from {} to class {class}", missing.join(", "));
            let hint = "add a rate with leg = \"out\", or block the class";
            reader.error(tariff.place, message, hint);
        }
    }
    overlaps(reader, tariff);
    for (to, place) in super::routes::targets(plan) {
        let number = plan.tenant.country.canonical(to);
        if plan.numbers.iter().any(|own| *plan.did(own) == *number) {
            continue;
        }
        let Some(entry) = plan.classes.of(&number, today) else { continue };
        let blocked = plan.outbound.block.iter().any(|name| name.value == entry.class);
        if !blocked && !has(tariff, today, ChargedLeg::Forward, None, &entry.class) {
            let message = format!("no rate for forwarding to class {}", entry.class);
            reader.error(place, message, "add a rate with leg = \"forward\"");
        }
    }
    if plan.numbers.iter().any(|number| number.role == Role::Tollfree) {
        let named = ["fixed", "mobile", "ip050"];
        let defined =
            named.into_iter().filter(|name| classes.iter().any(|class| &***class == *name));
        for caller in defined.chain(CALLER_CLASSES) {
            if !has(tariff, today, ChargedLeg::TollfreeIn, None, caller) {
                let message = format!("no rate for toll-free calls from {caller}");
                let hint = "add a rate with leg = \"tollfree-in\"";
                reader.error(tariff.place, message, hint);
            }
        }
    }
}

/// Two rates for one leg: the second would never be asked.
fn overlaps(reader: &Reader<'_>, tariff: &Tariff) {
    for (index, rate) in tariff.rates.iter().enumerate() {
        let mut earlier = tariff.rates.iter().take(index);
        if let Some((other, what)) = earlier.find_map(|o| Some((o, rate.overlap(o)?))) {
            let message = format!("two rates for {what}");
            let hint = format!("the first stands at {}", reader.files.brief(other.place));
            reader.error(rate.place, message, hint);
        }
    }
}

fn has(tariff: &Tariff, today: Date, leg: ChargedLeg, kind: Option<DeviceKind>, far: &str) -> bool {
    tariff.rate_of(leg, kind, far, today).is_some()
}

/// Whether devices of a kind can call a class at all.
fn reachable(plan: &Plan, kind: DeviceKind, class: &str) -> bool {
    let listed = |names: &[crate::source::Name]| names.iter().any(|name| &*name.value == class);
    let kind = Allowed::Kind(kind);
    let allow = plan.outbound.allow.iter().find(|(allowed, _)| *allowed == kind);
    !listed(&plan.outbound.block) && allow.is_none_or(|(_, classes)| listed(classes))
}
