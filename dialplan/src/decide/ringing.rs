//! Who rings, and when each begins (S-02, S-05, S-12).

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::{Call, plain_release};
use crate::decision::{Origin, Release, RingTarget, Start, Step};
use crate::model::Plan;
use crate::model::ring::{Ring, Wait};
use crate::model::services::Group;

/// How a ring step is to be made.
pub(super) struct Ringing<'r> {
    /// The rule that is named in the reasons.
    pub(super) rule: &'r str,
    /// How long at most, when something else takes over earlier.
    pub(super) at_most: Option<Duration>,
    pub(super) called_name: Option<Arc<str>>,
}

impl<'p> Call<'p, '_> {
    pub(super) fn ring_group(&mut self, plan: &'p Plan, name: &str, group: &'p Group) -> Release {
        let rule = format!("group.{name}");
        let ringing = Ringing { rule: &rule, at_most: None, called_name: None };
        let release = self.ring(plan, &group.ring, ringing);
        match &group.no_answer {
            Some(action) => {
                self.because(format!("group.{name}.no_answer"), "then, when nobody answers");
                self.perform(plan, action)
            }
            None => release,
        }
    }

    /// Adds the ring step, when anybody can be reached; the release when nobody answers.
    pub(super) fn ring(&mut self, plan: &Plan, ring: &Ring, ringing: Ringing<'_>) -> Release {
        let own = ring.timeout.value;
        let timeout = ringing.at_most.map_or(own, |most| most.min(own));
        let mut targets = Vec::with_capacity(ring.devices.len());
        for (name, tier) in ring.order(&plan.devices) {
            let Some(device) = self.plans.device(&plan.tenant.id.value, &name.value) else {
                continue;
            };
            let fax = plan.devices.find(&name.value).is_none_or(|device| device.fax_machine);
            let Some(tier) = tier.filter(|_| !fax) else { continue };
            let start = match ring.step.value {
                Wait::For(step) => Start::After(step.saturating_mul(tier)),
                Wait::Never if tier == 0 => Start::After(Duration::ZERO),
                Wait::Never => Start::WhenUnreachable,
            };
            let (device, user) = (Arc::clone(&device.device), Arc::clone(&device.user));
            targets.push(RingTarget { device, user, start });
        }
        self.ring_targets(plan, targets, timeout, &ringing)
    }

    /// Adds a ring step of these targets, without the phones that take one call at a time and are
    /// in one.
    pub(super) fn ring_targets(
        &mut self,
        plan: &Plan,
        mut targets: Vec<RingTarget>,
        timeout: Duration,
        ringing: &Ringing<'_>,
    ) -> Release {
        let (state, rule) = (self.facts.state, ringing.rule);
        let tenant = &plan.tenant.id.value;
        // Who calls a number or a group that it rings for itself calls the others.
        if let Origin::Device { tenant: own, device } = self.facts.origin
            && own == tenant
        {
            targets.retain(|target| target.device != *device);
        }
        let asked_for = targets.len();
        let disturbs =
            |target: &RingTarget| self.live.is_none_or(|live| live.dnd(&target.device).is_none());
        targets.retain(disturbs);
        if targets.is_empty() && asked_for > 0 {
            self.because(rule, "nobody wants to be disturbed");
            return plain_release(486, "do-not-disturb");
        }
        if !targets.iter().any(|target| state.reachable(tenant, &target.device)) {
            self.because(rule, "none of its devices can be reached now");
            let prompt = Some(self.prompt(plan, "not-reachable"));
            return Release { status: 480, prompt, cause: Arc::from("not-reachable") };
        }
        let one = |name: &Arc<str>| plan.devices.find(name).is_some_and(|device| device.busy_one);
        targets.retain(|target| !(one(&target.device) && state.in_call(tenant, &target.device)));
        if !targets.iter().any(|target| state.reachable(tenant, &target.device)) {
            self.because(rule, "every device that can be reached is in a call");
            return plain_release(486, "busy");
        }
        let mut text = String::from("rings ");
        for (index, target) in targets.iter().enumerate() {
            let _ = write!(text, "{}{}", if index > 0 { ", " } else { "" }, target.device);
        }
        self.because(rule, text);
        let called_name = ringing.called_name.clone();
        self.steps.push(Step::Ring { targets, timeout, called_name });
        plain_release(480, "no-answer")
    }
}
