//! What a finished leg costs: started units of exact decimals, free minutes and pages, the class of
//! a toll-free caller, the month that it belongs to (S-43, S-90 to S-98, S-115).
//!
//! Talk is counted in whole seconds, an answered call in at least one, so that nobody pays for more
//! than was talked. A leg belongs to the billing month in which it was answered, as a whole. A leg
//! that a transfer made is charged to the ID that asked for it: the leg names its device.

mod asked;
mod charged;
mod month;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;

pub use charged::Charged;
pub(crate) use charged::legs_of;
pub use month::BillingMonth;

use crate::model::Plan;
use crate::model::device::Device;
use crate::model::objects::Object;
use crate::model::tariff::{ChargedLeg, PAYPHONE, Per, Rate, Tariff, TariffOption, UNKNOWN};
use crate::read::Money;

/// Who was called, or who called a toll-free number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Far {
    /// The class that the gate found.
    Class(Arc<str>),
    /// The number.
    Number(Arc<str>),
    /// A caller who hides the number, or has none.
    Anonymous,
    /// A payphone, as the calling party's category says.
    Payphone,
}

/// A leg that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedLeg {
    /// What kind of leg.
    pub leg: ChargedLeg,
    /// The device that is charged, by its name in the plan; none for forwarded and toll-free legs.
    pub device: Option<Arc<str>>,
    /// The other side.
    pub far: Far,
    /// When it was answered.
    pub answered: Timestamp,
    /// How long it was up.
    pub talk: Duration,
    /// Pages of a fax.
    pub pages: u32,
    /// A fax that the app of the device sent, which alone may be free (S-43).
    pub by_app: bool,
}

/// What of a billing month matters to the next charge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Pages that the device's app has sent in this month.
    pub fax_pages: u32,
    /// Options that the device has lost (S-95), by their names in the tariff.
    pub withdrawn: Vec<Arc<str>>,
}

/// A charge and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Exact.
    pub amount: Money,
    /// The class of the other side.
    pub class: Arc<str>,
    /// The month that the leg belongs to.
    pub month: BillingMonth,
    /// The month in which it is billed: later for legs whose costs come late (S-98).
    pub billed: BillingMonth,
    /// One line for the CDR and the invoice.
    pub text: String,
}

/// Why a leg has no price; `check` finds both before a call is made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RateError {
    /// No such tenant, or it has no tariff: configuration.
    #[error("{tenant} has no tariff")]
    NoTariff {
        /// The tenant's id.
        tenant: Arc<str>,
    },
    /// No rate covers the leg: configuration.
    #[error("no rate for {leg} to or from class {class}")]
    NoRate {
        /// The word of the tariff.
        leg: &'static str,
        /// The class of the other side.
        class: Arc<str>,
    },
}

/// Rates a finished leg.
pub(crate) fn rate(plan: &Plan, leg: &FinishedLeg, account: &Account) -> Result<Charge, RateError> {
    let tenant = &plan.tenant.id.value;
    let no_tariff = || RateError::NoTariff { tenant: Arc::clone(tenant) };
    let tariff = plan.tariff.as_ref().ok_or_else(no_tariff)?;
    let day = plan.tenant.timezone.to_datetime(leg.answered).date();
    let device = leg.device.as_ref().and_then(|device| plan.devices.find(device));
    let class = class_of(plan, leg, day);
    let kind = device.map(|device| device.kind);
    let found = tariff.rate_of(leg.leg, kind, &class, day).or_else(|| {
        // Callers come from anywhere, also from classes that nobody has thought of.
        let caller = leg.leg == ChargedLeg::TollfreeIn;
        caller.then(|| tariff.rate_of(leg.leg, kind, UNKNOWN, day)).flatten()
    });
    let Some(rate) = found else {
        return Err(RateError::NoRate { leg: leg.leg.as_str(), class });
    };
    let months = Months { tariff, day, later: rate.billed_after };
    Ok(months.charge(rate, &class, leg, &Free { tariff, device, account, class: &class }))
}

/// The class of the other side, as rates name it.
fn class_of(plan: &Plan, leg: &FinishedLeg, day: Date) -> Arc<str> {
    let unknown = || Arc::from(UNKNOWN);
    match &leg.far {
        Far::Class(class) => Arc::clone(class),
        Far::Payphone => Arc::from(PAYPHONE),
        Far::Anonymous => unknown(),
        Far::Number(number) => {
            let entry = plan.classes.of(&plan.tenant.country.canonical(number), day);
            entry.map_or_else(unknown, |entry| Arc::clone(&entry.class))
        }
    }
}

struct Months<'t> {
    tariff: &'t Tariff,
    day: Date,
    later: u32,
}

impl Months<'_> {
    fn charge(&self, rate: &Rate, class: &str, leg: &FinishedLeg, free: &Free<'_>) -> Charge {
        let seconds = leg.talk.as_secs().max(1);
        let price = rate.price;
        let word = leg.leg.as_str();
        let mut text = format!("{word} {class} {}", clock(seconds));
        let mut paid = seconds;
        let units = match rate.per {
            // A free allowance is of time; a price of a call is none of time.
            Per::Call => 1,
            Per::Started(unit) => {
                let (name, seconds_free) = free.seconds(leg);
                if seconds_free > 0 {
                    text.push_str(&format!(", {} free ({name})", clock(seconds_free.min(paid))));
                    paid = paid.saturating_sub(seconds_free);
                }
                if let Some((name, share, pages)) = free.pages(leg) {
                    text.push_str(&format!(", {pages} of {} pages free ({name})", leg.pages));
                    paid = share;
                }
                paid.div_ceil(unit.as_secs().max(1))
            }
        };
        let amount = price.times(units);
        let unit = match rate.per {
            Per::Call => String::from("a call"),
            Per::Started(unit) => format!("{} s", unit.as_secs()),
        };
        text.push_str(&format!(": {units} x {price} for each {unit} = {amount}"));
        let month = BillingMonth::of(self.day, self.tariff.close_day);
        Charge { amount, class: Arc::from(class), billed: month.later(self.later), month, text }
    }
}

/// What the device's options make free.
struct Free<'f> {
    tariff: &'f Tariff,
    device: Option<&'f Object<Device>>,
    account: &'f Account,
    class: &'f str,
}

impl Free<'_> {
    fn options(&self, leg: ChargedLeg) -> impl Iterator<Item = &Object<TariffOption>> {
        let device = self.device.map(|device| &device.value);
        self.tariff.options.iter().filter(move |option| {
            let lost = self.account.withdrawn.contains(&option.name);
            device.is_some_and(|device| {
                device.has_option(&option.name)
                    && !lost
                    && (option.devices.is_empty() || option.devices.contains(&device.kind))
                    && (option.legs.is_empty() || option.legs.contains(&leg))
                    && !option.except.iter().any(|class| &**class == self.class)
            })
        })
    }

    /// S-92: the talk time of every call that costs nothing.
    fn seconds(&self, leg: &FinishedLeg) -> (&str, u64) {
        let free = self
            .options(leg.leg)
            .filter_map(|option| option.free_per_call.map(|free| (&*option.name, free.as_secs())));
        free.max_by_key(|(_, seconds)| *seconds).unwrap_or_default()
    }

    /// S-43: free pages of the month. Of a job that crosses the last of them only the pages past it
    /// are charged, at their share of the time: the option, the seconds, the free pages.
    fn pages(&self, leg: &FinishedLeg) -> Option<(&str, u64, u32)> {
        if leg.leg != ChargedLeg::FaxOut || !leg.by_app || leg.pages == 0 {
            return None;
        }
        let options = self.options(leg.leg);
        let (name, most) = options
            .filter_map(|option| Some((&*option.name, option.free_pages_per_month?)))
            .max_by_key(|(_, pages)| *pages)?;
        let free = most.saturating_sub(self.account.fax_pages).min(leg.pages);
        if free == 0 {
            return None;
        }
        let charged = u128::from(leg.pages.saturating_sub(free));
        let millis = leg.talk.as_millis().saturating_mul(charged) / u128::from(leg.pages);
        let seconds = u64::try_from(millis.div_ceil(1_000)).unwrap_or(u64::MAX);
        Some((name, seconds, free))
    }
}

fn clock(seconds: u64) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
