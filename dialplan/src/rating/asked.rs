//! What the switch and the tools ask of the plans about prices.

use std::sync::Arc;
use std::time::Duration;

use super::{Account, Charge, FinishedLeg, RateError, legs_of, rate};
use crate::plans::Plans;
use crate::{Decision, Facts};

impl Plans {
    /// What a finished leg costs.
    ///
    /// # Errors
    /// The tariff has no price for it, which `check` refuses.
    pub fn rate(
        &self,
        tenant: &str,
        leg: &FinishedLeg,
        account: &Account,
    ) -> Result<Charge, RateError> {
        let no_tariff = || RateError::NoTariff { tenant: Arc::from(tenant) };
        rate(self.plan(tenant).ok_or_else(no_tariff)?, leg, account)
    }

    /// The legs of a decision that would be charged after so much talk, for simulations, each with
    /// the tenant that pays for it.
    #[must_use]
    pub fn charged_legs(
        &self,
        decision: &Decision,
        facts: &Facts<'_>,
        talk: Duration,
    ) -> Vec<(Arc<str>, FinishedLeg)> {
        legs_of(decision, facts.origin, facts.caller, facts.at, talk)
    }

    /// How many calls of a device in one day look like telemarketing to an option that it has
    /// (S-95): the option's name and the count.
    #[must_use]
    pub fn suspect_calls(&self, tenant: &str, device: &str) -> Vec<(Arc<str>, u32)> {
        let Some(plan) = self.plan(tenant) else { return Vec::new() };
        let (device, tariff) = (plan.devices.find(device), plan.tariff.as_ref());
        let options = tariff.into_iter().flat_map(|tariff| tariff.options.iter());
        let has = |name: &str| device.is_some_and(|device| device.has_option(name));
        let suspect = options.filter(|option| has(&option.name));
        suspect
            .filter_map(|option| Some((Arc::clone(&option.name), option.suspect_calls_per_day?)))
            .collect()
    }

    /// Whether the tenant's calls are rated at all.
    #[must_use]
    pub fn has_tariff(&self, tenant: &str) -> bool {
        self.plan(tenant).is_some_and(|plan| plan.tariff.is_some())
    }
}
