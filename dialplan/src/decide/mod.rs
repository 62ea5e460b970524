//! The fixed evaluation order (DIALPLAN, section 4): facts in, steps and reasons out.

mod inbound;
mod outbound;

use std::sync::Arc;

use crate::decision::{Decision, Facts, Origin, PromptRef, Reason, Release, Step};
use crate::plan::Plan;
use crate::plans::Plans;

/// One decision in the making.
pub(crate) struct Decider<'d> {
    plans: &'d Plans,
    facts: &'d Facts<'d>,
    reasons: Vec<Reason>,
    /// Toll-free numbers point at numbers; a plan that made a circle would end here.
    depth: u8,
}

impl<'d> Decider<'d> {
    pub(crate) const fn new(plans: &'d Plans, facts: &'d Facts<'d>) -> Self {
        Self { plans, facts, reasons: Vec::new(), depth: 0 }
    }

    pub(crate) fn decide(self) -> Decision {
        match self.facts.origin {
            Origin::Device { device, .. } => match self.plans.plan_of(self.facts.origin) {
                Some(plan) => self.call_of_device(plan, device),
                None => self.unknown(None, "the caller's tenant has no plan"),
            },
            Origin::Trunk { trunk, .. } => self.call_of_trunk(trunk),
        }
    }

    fn because(&mut self, rule: impl Into<Arc<str>>, text: impl Into<String>) {
        self.reasons.push(Reason { rule: rule.into(), text: text.into() });
    }

    /// The decision that these steps are.
    fn steps(
        self,
        plan: &Plan,
        number: Option<Arc<str>>,
        uses_channel: bool,
        steps: Vec<Step>,
        release: Release,
    ) -> Decision {
        Decision {
            tenant: plan.tenant.clone(),
            number,
            uses_channel,
            steps,
            release,
            reasons: self.reasons,
        }
    }

    /// A refusal with the prompt that says why.
    fn refused(
        mut self,
        plan: Option<&Plan>,
        (rule, text): (&str, String),
        status: u16,
        prompt: &str,
        cause: &str,
    ) -> Decision {
        self.because(rule, text);
        let language: Arc<str> = plan.map_or_else(|| "ja".into(), |plan| plan.language.clone());
        let prompt = Some(PromptRef { language, name: prompt.into() });
        Decision {
            tenant: plan.map_or_else(|| "".into(), |plan| plan.tenant.clone()),
            number: None,
            uses_channel: false,
            steps: Vec::new(),
            release: Release { status, prompt, cause: cause.into() },
            reasons: self.reasons,
        }
    }

    fn unknown(self, plan: Option<&Plan>, why: &str) -> Decision {
        self.refused(plan, ("number", why.to_owned()), 404, "unallocated", "unknown-number")
    }
}

/// A release without a prompt.
fn release(status: u16, cause: &str) -> Release {
    Release { status, prompt: None, cause: cause.into() }
}
