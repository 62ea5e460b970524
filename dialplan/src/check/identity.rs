//! What must be unique: DIDs, SIP users, domains in the whole server; codes in an office.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::load::Taken;
use crate::model::Plan;
use crate::model::services::ShortCode;
use crate::read::{Digits, Reader};
use crate::source::Place;

/// Takes what is unique in the whole server from `taken`.
pub(crate) fn check(reader: &Reader<'_>, plan: &Plan, taken: &mut Taken<'_>) {
    let mut take = |what: &'static str, value: &Arc<str>, shown: &str, place: Place| {
        if let Some(before) = taken.take(what, value, || reader.files.brief(place)) {
            let hint = format!("already taken at {before}");
            reader.error(place, format!("{what} {shown} is taken twice"), hint);
        }
    };
    let tenant = &plan.tenant;
    take("tenant id", &tenant.id.value, &tenant.id.value, tenant.id.place);
    for domain in &tenant.domains {
        take("domain", &domain.value, &domain.value, domain.place);
    }
    for number in plan.numbers.iter() {
        let did = &number.did;
        take("DID", &plan.global_did(number), &plan.did(number), did.place);
    }
    let mut extensions = HashSet::new();
    for (device, info) in plan.devices.iter().zip(&plan.device_infos) {
        if !extensions.insert(&info.extension) && device.user.is_none() {
            // The same extension makes the same user: one error, that of the extension.
            continue;
        }
        let place = device.user.as_ref().map_or(device.ext.place, |user| user.place);
        take("SIP user", &info.user, &info.user, place);
    }
}

/// Codes that are dialled inside: none twice, none that hides an outside number.
pub(super) fn codes(reader: &Reader<'_>, plan: &Plan) {
    let codes = plan.short_codes();
    let mut single: HashMap<&str, &ShortCode> = HashMap::with_capacity(codes.len());
    let mut ranges: Vec<&ShortCode> = Vec::new();
    for code in &codes {
        let is_range = code.digits.first != code.digits.last;
        let before = if is_range {
            let other = single.values().find(|other| other.digits.overlaps(&code.digits));
            other.copied()
        } else {
            single.get(&*code.digits.first).copied()
        };
        let overlapping = || ranges.iter().find(|other| other.digits.overlaps(&code.digits));
        if let Some(other) = before.or_else(|| overlapping().copied()) {
            reader.error(
                code.place,
                format!("{} is dialled for {} and for {}", code.digits, other.owner, code.owner),
                format!("first at {}", reader.files.brief(other.place)),
            );
        }
        if is_range {
            ranges.push(code);
        } else {
            single.insert(&code.digits.first, code);
        }
        shadow(reader, plan, code);
    }
}

/// A code that would hide a number of the outside: 1XX, a class, the outside prefix.
fn shadow(reader: &Reader<'_>, plan: &Plan, code: &ShortCode) {
    let service = Digits { first: Arc::from("100"), last: Arc::from("199") };
    if code.digits.overlaps(&service) {
        let hint = "three-digit numbers that begin with 1 are emergency and service numbers";
        reader.error(code.place, format!("{} shadows 1XX", code.digits), hint);
        return;
    }
    if let Some(prefix) = &plan.outbound.outside_prefix {
        if code.digits.first.starts_with(&*prefix.value) {
            let message =
                format!("{} begins with the outside prefix {}", code.digits, prefix.value);
            let hint = format!("set at {}", reader.files.brief(prefix.place));
            reader.error(code.place, message, hint);
        }
        return;
    }
    let class = |number: &str| plan.classes.ever(number);
    let hidden = class(&code.digits.first).or_else(|| class(&code.digits.last));
    if let Some(entry) = hidden {
        let message = format!("{} shadows class.{}", code.digits, entry.class);
        let hint = format!("defined at {}", reader.files.brief(entry.place));
        reader.error(code.place, message, hint);
    }
}
