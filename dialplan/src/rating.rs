//! What a finished leg costs: started units of exact decimals (S-90 to S-97).

use std::time::Duration;

use crate::model::Plan;
use crate::model::device::{Device, DeviceKind};
use crate::model::tariff::{ChargedLeg, Per, Tariff};
use crate::read::Money;

/// A leg to be charged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leg<'l> {
    pub(crate) leg: ChargedLeg,
    /// The device that is charged; none for a forwarded or toll-free leg.
    pub(crate) device: Option<&'l Device>,
    /// The class of the called number, or of the toll-free caller.
    pub(crate) far: &'l str,
    pub(crate) talk: Duration,
}

/// A charge and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) amount: Money,
    pub(crate) text: String,
}

/// The charge of a leg; `None` when the tariff has no rate for it, which `check` refuses.
pub(crate) fn charge(plan: &Plan, leg: &Leg<'_>) -> Option<Charge> {
    let tariff = plan.tariff.as_ref()?;
    let kind = leg.device.map(|device| device.kind);
    let rate = tariff.rates.iter().find(|rate| rate.covers(leg.leg, kind, leg.far))?;
    let free = leg.device.map_or(Duration::ZERO, |device| free(tariff, device, leg));
    let (units, unit) = match rate.per {
        // A free allowance is of time; a price of a call is none of time.
        Per::Call => (1, String::from("a call")),
        Per::Started(unit) => {
            let paid = leg.talk.saturating_sub(free);
            (started(paid, unit), format!("{} s", unit.as_secs()))
        }
    };
    let amount = rate.price.times(units);
    let text = format!("{units} x {} for each {unit}, {} s free", rate.price, free.as_secs());
    Some(Charge { amount, text })
}

/// The talk time of a call that the device's options make free.
fn free(tariff: &Tariff, device: &Device, leg: &Leg<'_>) -> Duration {
    let subscribed = |name: &str| device.has_option(name);
    let options = tariff.options.iter().filter(|option| subscribed(&option.name));
    let applies = |kinds: &[DeviceKind], legs: &[ChargedLeg]| {
        (kinds.is_empty() || kinds.contains(&device.kind))
            && (legs.is_empty() || legs.contains(&leg.leg))
    };
    let free = options
        .filter(|option| applies(&option.devices, &option.legs))
        .filter(|option| !option.except.iter().any(|class| &**class == leg.far))
        .filter_map(|option| option.free_per_call);
    free.max().unwrap_or_default()
}

/// How many units were begun.
fn started(talk: Duration, unit: Duration) -> u64 {
    let units = talk.as_nanos().div_ceil(unit.as_nanos().max(1));
    u64::try_from(units).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_charged_when_it_is_begun() {
        let seconds = Duration::from_secs;
        let cases = [(0, 0), (1, 1), (30, 1), (31, 2), (60, 2)];
        for (talk, units) in cases {
            assert_eq!(started(seconds(talk), seconds(30)), units, "{talk} s");
        }
    }
}
