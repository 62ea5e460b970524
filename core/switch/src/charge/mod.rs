//! What the legs of calls cost: kept with each leg from its beginning, rated by the plans that
//! decided the call, written into its record, and added up for the caps of `[limits]`.

mod alerts;
mod pages;
mod usage;

use std::sync::Arc;

use jiff::Timestamp;
use koukan_dialplan::{Account, Charge, Charged, ChargedLeg, Money, OutsideLeg, Plans, RateError};
use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::leg::Leg;
use crate::switch::Switch;

pub use alerts::{CAPS_OWNER, CapCount};

pub use pages::FAX_PAGES_OWNER;

pub(crate) use alerts::Alerts;
pub(crate) use pages::FaxPages;
pub(crate) use usage::Usages;

/// The charge of a leg as its record keeps it: as it stands while the leg is up, final when it is
/// over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CdrCharge {
    /// The tenant that pays.
    pub payer: String,
    /// `out`, `forward`, `fax-out`, `tollfree-in`.
    pub leg: String,
    /// The device whose ID is charged, by its name in the plan.
    pub device: Option<String>,
    /// What it comes to; `None` in an office without a tariff, whose minutes count all the same.
    #[serde(flatten)]
    pub price: Option<CdrPrice>,
}

/// What a leg comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CdrPrice {
    /// The class of the other side.
    pub class: String,
    /// An exact decimal in the currency of the tariff.
    pub amount: String,
    /// The billing month that the leg belongs to (`2026-07`).
    pub month: String,
    /// The month in which it is billed.
    pub billed: String,
    /// How it came about.
    pub text: String,
}

impl CdrCharge {
    fn new(charged: &Charged, charge: Option<&Charge>) -> Self {
        Self {
            payer: charged.payer.to_string(),
            leg: charged.leg.as_str().to_owned(),
            device: charged.device.as_ref().map(ToString::to_string),
            price: charge.map(|charge| CdrPrice {
                class: charge.class.to_string(),
                amount: charge.amount.to_string(),
                month: charge.month.to_string(),
                billed: charge.billed.to_string(),
                text: charge.text.clone(),
            }),
        }
    }

    /// What it comes to; of one without a price, nothing.
    fn amount(&self) -> Money {
        let amount = self.price.as_ref().and_then(|price| Money::parse(&price.amount));
        amount.unwrap_or_default()
    }
}

/// A leg that is over, as the store has kept it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastCharge {
    /// What it cost.
    pub charge: CdrCharge,
    /// When it was answered.
    pub answered: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
}

/// What a leg is charged as.
#[derive(Debug)]
pub(crate) struct Paying {
    charged: Charged,
    /// The number that it is a call of, by its name in the plan.
    number: Option<Arc<str>>,
    /// It is a fax that an app sends.
    app: Option<pages::AppPages>,
    /// Set when the leg is over and its charge has been added up.
    settled: bool,
}

impl Paying {
    pub(crate) fn new(charged: Charged, number: Option<Arc<str>>) -> Box<Self> {
        Box::new(Self { charged, number, app: None, settled: false })
    }

    pub(crate) fn outside(leg: &OutsideLeg) -> Box<Self> {
        Self::new(Charged::outside(leg), leg.shown_number.clone())
    }

    /// Who pays.
    pub(crate) const fn payer(&self) -> &Arc<str> {
        &self.charged.payer
    }

    /// Whether the leg was made to outside; toll-free callers made theirs themselves.
    fn is_outside(&self) -> bool {
        self.charged.leg != ChargedLeg::TollfreeIn
    }
}

/// What a leg costs, as it stands at a moment or finally; `None` for one that is not answered or
/// that nobody pays for.
fn price(plans: &Plans, leg: &Leg, at: Timestamp) -> Option<Result<Charge, RateError>> {
    let (paying, answered) = (leg.paying.as_ref()?, leg.answered?);
    let talk = leg.ended.unwrap_or(at).duration_since(answered).unsigned_abs();
    let (mut finished, mut account) = (paying.charged.finished(answered, talk), Account::default());
    if let Some(app) = &paying.app {
        (finished.by_app, finished.pages) = (true, app.confirmed);
        account.fax_pages = app.before;
    }
    Some(plans.rate(&paying.charged.payer, &finished, &account))
}

/// The charge of a leg for its record.
pub(crate) fn charge_of(plans: &Plans, leg: &Leg, at: Timestamp) -> Option<CdrCharge> {
    let charge = price(plans, leg, at)?.ok();
    leg.paying.as_ref().map(|paying| CdrCharge::new(&paying.charged, charge.as_ref()))
}

/// The price of a call: what its legs cost together; `None` when it was not answered or its office
/// has no tariff.
pub(crate) fn price_of(call: &Call, charges: &[Option<CdrCharge>]) -> Option<String> {
    let charges = charges.iter().flatten();
    let priced = charges.clone().any(|charge| charge.price.is_some());
    let rated = call.plans.has_tariff(&call.tenant) || priced;
    if call.answered.is_none() || !rated {
        return None;
    }
    let sum = charges.fold(Money::default(), |sum, charge| sum.plus(charge.amount()));
    Some(sum.to_string())
}

impl Switch {
    /// Adds up what legs that are over cost, and notes which are up: whenever a call was handled.
    pub(crate) fn note_charges(&mut self, call: &mut Call) {
        let plans = Arc::clone(&call.plans);
        for leg in &mut call.legs {
            let Some(ended) = leg.ended else { continue };
            if leg.paying.as_ref().is_none_or(|paying| paying.settled) {
                continue;
            }
            let counted = self.count_pages(&plans, leg);
            let outcome = price(&plans, leg, ended);
            counted.into_iter().for_each(|words| self.explain(call.id, words));
            let Some(paying) = leg.paying.as_mut() else { continue };
            paying.settled = true;
            let Some(answered) = leg.answered else { continue };
            let payer = Arc::clone(&paying.charged.payer);
            let amount = outcome.as_ref().and_then(|outcome| Some(outcome.as_ref().ok()?.amount));
            let day = plans.local_date(&payer, ended);
            let amount = amount.unwrap_or_default();
            if paying.is_outside() {
                let talk = ended.duration_since(answered).unsigned_abs();
                self.usages.add(&payer, day, amount, talk);
            } else {
                self.usages.add_tollfree(&payer, day, amount);
            }
            match outcome {
                Some(Ok(charge)) => {
                    let line = format!("charge: {} ({}) to {payer}", charge.amount, charge.text);
                    self.explain(call.id, line);
                }
                // An office without a tariff pays nothing here.
                None | Some(Err(RateError::NoTariff { .. })) => {}
                Some(Err(error)) => self.explain(call.id, format!("charge: unknown, {error}")),
            }
        }
        self.usages.note(call);
    }

    /// Says in the log what a call came to, when no leg of it costs anything (S-14, S-96).
    pub(crate) fn explain_free(&mut self, call: &Call) {
        let paid = call.legs.iter().any(|leg| leg.paying.is_some() && leg.answered.is_some());
        if call.answered.is_some() && !paid && call.plans.has_tariff(&call.tenant) {
            self.explain(call.id, "charge: 0");
        }
    }

    /// Takes over what the offices have used of the outside, from the records of earlier starts;
    /// before anything else comes in.
    pub fn restore_charges(&mut self, past: impl IntoIterator<Item = PastCharge>) {
        for PastCharge { charge, answered, ended } in past {
            let day = self.directory.plans.local_date(&charge.payer, ended);
            let amount = charge.amount();
            if charge.leg == ChargedLeg::TollfreeIn.as_str() {
                self.usages.add_tollfree(&charge.payer.into(), day, amount);
                continue;
            }
            let talk = ended.duration_since(answered).unsigned_abs();
            self.usages.add(&charge.payer.into(), day, amount, talk);
        }
    }
}
