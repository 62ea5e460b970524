//! `[[expect]]` as decisions: each claim is proved or reported at its place.

use std::sync::Arc;

use jiff::Timestamp;

use crate::decision::{Caller, Decision, Facts, Origin};
use crate::model::Plan;
use crate::model::expect::Expect;
use crate::outcome::Outcome;
use crate::plans::Plans;
use crate::rating::{Account, legs_of, rate};
use crate::read::{Money, Reader};
use crate::source::Place;
use crate::state::Idle;

/// Proves every expectation of a tenant; `plans` holds the tenant.
pub(crate) fn check(reader: &Reader<'_>, plan: &Plan, plans: &Plans, now: Timestamp) {
    for expect in &plan.expects {
        prove(reader, plan, plans, expect, now);
    }
}

fn prove(reader: &Reader<'_>, plan: &Plan, plans: &Plans, expect: &Expect, now: Timestamp) {
    let at = match expect.at {
        None => now,
        Some(local) => match plan.tenant.timezone.to_timestamp(local) {
            Ok(at) => at,
            Err(_) => {
                let message = "this moment does not exist in the tenant's time zone";
                reader.error(expect.place, message, "");
                return;
            }
        },
    };
    let tenant = &plan.tenant.id.value;
    let (origin, caller) = match (&expect.from_device, &expect.from) {
        (Some(device), _) => {
            let device = Arc::clone(&device.value);
            (Some(Origin::Device { tenant: Arc::clone(tenant), device }), Caller::default())
        }
        (None, from) => {
            let number = from.clone().filter(|from| &**from != "anonymous");
            let anonymous = number.is_none();
            (plans.bringing_trunk(&expect.to), Caller { number, anonymous, ..Caller::default() })
        }
    };
    let Some(origin) = origin else {
        let hint = "a trunk must bring the number before anybody can call it";
        reader.error(expect.place, format!("no trunk brings {}", expect.to), hint);
        return;
    };
    let facts = Facts { at, origin: &origin, caller: &caller, called: &expect.to, state: &Idle };
    let decision = plans.decide(&facts);
    let asked = Asked { origin: &origin, caller: &caller, at: &at };
    let (outcome, decision) = (decision.outcome(), &decision);
    let claims = Claims { reader, plan, expect, outcome, decision, asked };
    claims.prove();
}

struct Claims<'c> {
    reader: &'c Reader<'c>,
    plan: &'c Plan,
    expect: &'c Expect,
    outcome: Outcome,
    decision: &'c Decision,
    asked: Asked<'c>,
}

/// The question that was decided.
struct Asked<'c> {
    origin: &'c Origin,
    caller: &'c Caller,
    at: &'c Timestamp,
}

impl Claims<'_> {
    fn prove(&self) {
        let Self { expect, outcome, .. } = self;
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        if let Some(claim) = &expect.rings {
            let sorted = |mut names: Vec<&str>| {
                names.sort_unstable();
                names.join(", ")
            };
            let wanted = sorted(claim.value.iter().map(|name| &*name.value).collect());
            let got = sorted(outcome.rings.iter().map(|name| &**name).collect());
            self.claim(claim.place, "rings", &wanted, Some(got).filter(|got| !got.is_empty()));
        }
        if let Some(claim) = &expect.announces {
            self.claim(claim.place, "announces", &claim.value, text(&outcome.announces));
        }
        if let Some(claim) = &expect.then {
            self.claim(claim.place, "then", &claim.value, outcome.then.clone());
        }
        let country = &self.plan.tenant.country;
        let canonical = |number: &str| country.canonical(number).into_owned();
        if let Some(claim) = &expect.forwards {
            let got = outcome.forwards.as_deref().map(canonical);
            self.claim(claim.place, "forwards", &canonical(&claim.value), got);
        }
        if let Some(claim) = &expect.shown_caller {
            let got = outcome.shown_caller.as_deref().map(canonical);
            self.claim(claim.place, "shown_caller", &canonical(&claim.value), got);
        }
        if let Some(claim) = &expect.refused {
            self.claim(claim.place, "refused", &claim.value, text(&outcome.refused));
        }
        if let Some(claim) = &expect.charge {
            let got = self.charge().map(|amount| amount.to_string());
            self.claim(claim.place, "charge", &claim.value.to_string(), got);
        }
    }

    fn claim(&self, place: Place, what: &str, wanted: &str, got: Option<String>) {
        if got.as_deref() == Some(wanted) {
            return;
        }
        let name = self.expect.name.as_ref().map(|name| format!(" \"{name}\""));
        let got = got.unwrap_or_else(|| String::from("nothing"));
        self.reader.error(
            place,
            format!("expectation{} fails: {what}", name.unwrap_or_default()),
            format!("expected {wanted}, got {got}; the call {}", self.outcome),
        );
    }

    /// What the call costs the office after `talk`: its legs to outside and the toll-free one.
    fn charge(&self) -> Option<Money> {
        let talk = self.expect.talk.unwrap_or_default();
        let Asked { origin, caller, at } = self.asked;
        let legs = legs_of(self.decision, origin, caller, *at, talk);
        let account = Account::default();
        let own = legs.iter().filter(|(payer, _)| *payer == self.plan.tenant.id.value);
        let mut charges = own.map(|(_, leg)| rate(self.plan, leg, &account).ok());
        charges.try_fold(Money::default(), |sum, charge| Some(sum.plus(charge?.amount)))
    }
}
