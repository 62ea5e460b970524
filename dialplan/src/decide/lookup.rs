//! What an office wants to know of a caller before a call from outside is decided (`[lookup]`).

use std::sync::Arc;
use std::time::Duration;

use super::inbound;
use crate::decision::{Facts, Origin};
use crate::plans::Plans;

/// What is asked of a module before a call is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerQuestion {
    /// The office that asks.
    pub tenant: Arc<str>,
    /// The module that is asked.
    pub module: Arc<str>,
    /// The caller's number as it is the same in every country (`+81455550001`).
    pub number: Arc<str>,
    /// The same as it is dialled in the office's country (`0455550001`).
    pub national: Arc<str>,
    /// The number that was called, as it is the same in every country.
    pub called: Arc<str>,
    /// So long the call waits at most.
    pub within: Duration,
}

impl Plans {
    /// What the called office wants to know of the caller before a call from outside is decided;
    /// the answer belongs into [`Caller::refused`](crate::Caller::refused). Nothing when nobody
    /// wants to know, when the caller has no number, and when the plan refuses it anyhow.
    #[must_use]
    pub fn lookup(&self, facts: &Facts<'_>) -> Option<CallerQuestion> {
        let Origin::Trunk { tenant, trunk } = facts.origin else { return None };
        let number = facts.caller.number.as_deref().filter(|_| !facts.caller.anonymous)?;
        let (plan, called) = inbound::number_of(self, tenant.as_deref(), trunk, facts.called)?;
        let wanted = plan.lookup.as_ref()?;
        let country = &plan.tenant.country;
        let national = country.canonical(number);
        let rules = inbound::target_of(plan, called).unwrap_or(called);
        if inbound::is_blocked(plan, rules, &national) {
            return None;
        }
        Some(CallerQuestion {
            tenant: Arc::clone(&plan.tenant.id.value),
            module: Arc::clone(&wanted.module),
            number: Arc::from(&*country.e164(&national)),
            national: Arc::from(&*national),
            called: plan.global_did(called),
            within: wanted.within,
        })
    }
}
