//! What each office has used of the outside today, for the caps of `[limits]`: legs that are over
//! are added up by the day on which they ended, legs that are up count with their present price,
//! and legs that are still to be made count from the decision that allowed them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use koukan_base::CallId;
use koukan_dialplan::{Account, Charged, ChargedLeg, Money, Plans, Step, Usage};

use crate::call::Call;

/// Days that are kept of an office: today, and those around it that a clock which is set may ask
/// for.
const DAYS: usize = 3;

/// Every office's use of the outside.
#[derive(Debug, Default)]
pub(crate) struct Usages {
    offices: HashMap<Arc<str>, Office>,
    /// Calls with legs to outside.
    calls: HashMap<CallId, Running>,
}

#[derive(Debug, Default)]
struct Office {
    days: BTreeMap<Date, Day>,
    /// Calls with legs that it pays for.
    calls: BTreeSet<CallId>,
    legs: u32,
    /// Callers of its toll-free numbers.
    tollfree_legs: u32,
    /// Forwarded legs by number.
    forwards: HashMap<Arc<str>, u32>,
}

/// What legs came to that ended on one day.
#[derive(Clone, Copy, Debug, Default)]
struct Day {
    spent: Money,
    talked: Duration,
    tollfree: Money,
}

/// The legs of one call that somebody pays for.
#[derive(Debug)]
struct Running {
    plans: Arc<Plans>,
    legs: Vec<Up>,
}

/// A leg to outside that is up, is being made, or is allowed; or a toll-free caller.
#[derive(Debug)]
struct Up {
    payer: Arc<str>,
    tollfree: bool,
    forwarded_by: Option<Arc<str>>,
    /// Since it was answered.
    talks: Option<(Charged, Timestamp)>,
}

impl Up {
    fn new(charged: Charged, number: Option<&Arc<str>>, answered: Option<Timestamp>) -> Self {
        let forwarded = charged.leg == ChargedLeg::Forward;
        Self {
            payer: Arc::clone(&charged.payer),
            tollfree: charged.leg == ChargedLeg::TollfreeIn,
            forwarded_by: number.filter(|_| forwarded).cloned(),
            talks: answered.map(|answered| (charged, answered)),
        }
    }
}

/// The legs of a call as it stands that somebody pays for.
fn legs_of(call: &Call) -> Vec<Up> {
    let steps = call.steps.iter().filter_map(|step| match step.unguarded() {
        Step::Trunk(leg) | Step::Forward(leg) => {
            Some(Up::new(Charged::outside(leg), leg.shown_number.as_ref(), None))
        }
        _ => None,
    });
    let legs = call.legs.iter().filter(|leg| !leg.is_over()).filter_map(|leg| {
        let paying = leg.paying.as_ref()?;
        Some(Up::new(paying.charged.clone(), paying.number.as_ref(), leg.answered))
    });
    steps.chain(legs).collect()
}

impl Usages {
    /// A leg that is over.
    pub(crate) fn add(&mut self, payer: &Arc<str>, day: Date, amount: Money, talk: Duration) {
        let of = self.day(payer, day);
        of.spent = of.spent.plus(amount);
        of.talked = of.talked.saturating_add(talk);
    }

    /// A toll-free caller that has hung up.
    pub(crate) fn add_tollfree(&mut self, payer: &Arc<str>, day: Date, amount: Money) {
        let of = self.day(payer, day);
        of.tollfree = of.tollfree.plus(amount);
    }

    fn day(&mut self, payer: &Arc<str>, day: Date) -> &mut Day {
        let days = &mut self.offices.entry(Arc::clone(payer)).or_default().days;
        while days.len() >= DAYS && !days.contains_key(&day) {
            days.pop_first();
        }
        days.entry(day).or_default()
    }

    /// Takes a call as it stands in the place of what was noted of it.
    pub(crate) fn note(&mut self, call: &Call) {
        let legs = legs_of(call);
        if legs.is_empty() && !self.calls.contains_key(&call.id) {
            return;
        }
        self.forget(call.id);
        if legs.is_empty() {
            return;
        }
        for leg in &legs {
            let office = self.offices.entry(Arc::clone(&leg.payer)).or_default();
            office.calls.insert(call.id);
            let legs = if leg.tollfree { &mut office.tollfree_legs } else { &mut office.legs };
            *legs = legs.saturating_add(1);
            if let Some(number) = &leg.forwarded_by {
                let count = office.forwards.entry(Arc::clone(number)).or_default();
                *count = count.saturating_add(1);
            }
        }
        self.calls.insert(call.id, Running { plans: Arc::clone(&call.plans), legs });
    }

    fn forget(&mut self, call: CallId) {
        let Some(running) = self.calls.remove(&call) else { return };
        for leg in running.legs {
            let Some(office) = self.offices.get_mut(&leg.payer) else { continue };
            office.calls.remove(&call);
            let legs = if leg.tollfree { &mut office.tollfree_legs } else { &mut office.legs };
            *legs = legs.saturating_sub(1);
            if let Some(number) = leg.forwarded_by
                && let Some(count) = office.forwards.get_mut(&number)
            {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    office.forwards.remove(&number);
                }
            }
        }
    }

    /// Calls that are lost use nothing any more.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(CallId) -> bool) {
        let lost: Vec<CallId> =
            self.calls.keys().filter(|call| !is_kept(**call)).copied().collect();
        for call in lost {
            self.forget(call);
        }
    }

    /// What an office has used on a day; the legs that are up with their price at the moment.
    pub(crate) fn of(&self, tenant: &str, day: Date, at: Timestamp) -> Usage {
        let Some(office) = self.offices.get(tenant) else { return Usage::default() };
        let Day { mut spent, mut talked, mut tollfree } =
            office.days.get(&day).copied().unwrap_or_default();
        for running in office.calls.iter().filter_map(|call| self.calls.get(call)) {
            for leg in running.legs.iter().filter(|leg| *leg.payer == *tenant) {
                let Some((charged, answered)) = &leg.talks else { continue };
                // A clock that was set back makes no talk.
                let talk = at.duration_since(*answered).try_into().unwrap_or_default();
                let leg = charged.finished(*answered, talk);
                let charge = running.plans.rate(tenant, &leg, &Account::default());
                let amount = charge.map(|charge| charge.amount).unwrap_or_default();
                if charged.leg == ChargedLeg::TollfreeIn {
                    tollfree = tollfree.plus(amount);
                    continue;
                }
                spent = spent.plus(amount);
                talked = talked.saturating_add(talk);
            }
        }
        Usage {
            spent,
            talked,
            outside_legs: office.legs,
            tollfree_spent: tollfree,
            tollfree_legs: office.tollfree_legs,
        }
    }

    /// Calls that a number forwards now.
    pub(crate) fn forwards(&self, tenant: &str, number: &str) -> u32 {
        let office = self.offices.get(tenant);
        office.and_then(|office| office.forwards.get(number)).copied().unwrap_or(0)
    }

    /// Calls that have legs to outside.
    pub(crate) fn running(&self) -> usize {
        self.calls.len()
    }
}
