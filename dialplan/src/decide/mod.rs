//! The fixed order of evaluation: facts in, steps with reasons out (the whole semantics of the
//! language). Nothing here depends on the order of files or tables.

mod gate;
mod inbound;
mod outbound;

use std::sync::Arc;

use jiff::civil::DateTime;

use crate::decision::{
    Decision, Direction, Facts, Origin, PromptRef, Reason, Release, RingTarget, Start, Step,
};
use crate::limits;
use crate::model::Plan;
use crate::model::ring::{Ring, Wait};
use crate::model::services::Group;
use crate::plans::Plans;
use crate::read::{Action, Do};

/// Decides a call.
pub(crate) fn decide(plans: &Plans, facts: &Facts<'_>) -> Decision {
    let mut call = Call::new(plans, facts);
    let release = match facts.origin {
        Origin::Trunk { tenant, trunk } => inbound::from_trunk(&mut call, tenant.as_deref(), trunk),
        Origin::Device { tenant, device } => outbound::from_device(&mut call, tenant, device),
    };
    call.finish(release)
}

/// A decision in the making.
struct Call<'p, 'f> {
    plans: &'p Plans,
    facts: &'f Facts<'f>,
    tenant: Arc<str>,
    direction: Direction,
    number: Option<Arc<str>>,
    caller: Option<Arc<str>>,
    uses_channel: bool,
    steps: Vec<Step>,
    reasons: Vec<Reason>,
    /// How often the call has passed from one object to the next.
    hops: u64,
}

impl<'p, 'f> Call<'p, 'f> {
    fn new(plans: &'p Plans, facts: &'f Facts<'f>) -> Self {
        Self {
            plans,
            facts,
            tenant: plans.nobody(),
            direction: Direction::Inbound,
            number: None,
            caller: None,
            uses_channel: false,
            steps: Vec::with_capacity(2),
            reasons: Vec::with_capacity(8),
            hops: 0,
        }
    }

    fn finish(self, release: Release) -> Decision {
        let Self { tenant, direction, number, caller, uses_channel, steps, reasons, .. } = self;
        Decision { tenant, direction, number, caller, uses_channel, steps, release, reasons }
    }

    /// Writes down a rule that was applied.
    fn because(&mut self, rule: impl Into<Arc<str>>, text: impl Into<String>) {
        self.reasons.push(Reason { rule: rule.into(), text: text.into() });
    }

    /// Counts a passage from one object to the next; an error when there were too many.
    fn hop(&mut self) -> Result<(), Release> {
        self.hops += 1;
        if self.hops <= limits::HOPS.default {
            return Ok(());
        }
        self.because("limits.plan_hops", "the call went in a circle and is released");
        Err(plain_release(482, "loop"))
    }

    /// The tenant's own date and time of the call.
    fn local(&self, plan: &Plan) -> DateTime {
        plan.tenant.timezone.to_datetime(self.facts.at)
    }

    /// Plays an announcement of the plan.
    fn announce(&mut self, plan: &Plan, name: &Arc<str>) -> Release {
        if let Some(announcement) = plan.announcements.find(name) {
            let prompt = announcement.prompt(&plan.tenant.language);
            self.steps.push(Step::Announce { name: Arc::clone(name), prompt, answered: true });
            self.because(format!("announcement.{name}"), "the caller hears it");
        }
        plain_release(480, "announced")
    }

    /// Does an action; how the caller is released when its steps are used up.
    fn perform(&mut self, plan: &'p Plan, action: &'p Action) -> Release {
        if let Err(release) = self.hop() {
            return release;
        }
        let step = match &action.what {
            // The checker refuses these two where no number stands behind them.
            Do::Ring | Do::Forward(None) => return plain_release(480, "no-answer"),
            Do::Reject(status) => {
                self.because("action.reject", format!("released with {status}"));
                return plain_release(*status, "rejected");
            }
            Do::Announce(name) => return self.announce(plan, &name.value),
            Do::Forward(Some(to)) => {
                let shown = plan.main_number();
                return gate::forward(self, plan, shown, to, "action.forward");
            }
            Do::Group(name) => match plan.groups.find(&name.value) {
                Some(group) => return self.ring_group(plan, &group.name, group),
                None => return plain_release(480, "no-answer"),
            },
            Do::Voicemail(mailbox) => Step::Voicemail { mailbox: Arc::clone(&mailbox.value) },
            Do::VoicemailMenu => Step::VoicemailMenu,
            Do::Menu(menu) => Step::Menu { menu: Arc::clone(&menu.value) },
            Do::Queue(queue) => Step::Queue { queue: Arc::clone(&queue.value) },
            Do::Conference(room) => Step::Conference { room: Arc::clone(&room.value) },
            Do::Fax(mailbox) => Step::Fax { mailbox: Arc::clone(&mailbox.value) },
            Do::Echo => Step::Echo,
            Do::Park => Step::Park { slot: None },
            Do::Module { module, arguments } => Step::Module {
                module: Arc::clone(module),
                arguments: Arc::clone(arguments),
                on_error: self.way_on(plan, action.on_error.as_deref()),
            },
        };
        self.steps.push(step);
        plain_release(480, "finished")
    }

    /// The step that a module's failure leads to, when the plan names one.
    fn way_on(&mut self, plan: &'p Plan, on_error: Option<&'p Action>) -> Option<Box<Step>> {
        let action = on_error?;
        let before = self.steps.len();
        let release = self.perform(plan, action);
        let mut steps = self.steps.drain(before..);
        Some(Box::new(steps.next().unwrap_or(Step::Release(release))))
    }

    fn ring_group(&mut self, plan: &'p Plan, name: &str, group: &'p Group) -> Release {
        let release = self.ring(plan, &group.ring, &format!("group.{name}"), None, None);
        match &group.no_answer {
            Some(action) => {
                self.because(format!("group.{name}.no_answer"), "then, when nobody answers");
                self.perform(plan, action)
            }
            None => release,
        }
    }

    /// Adds the ring step, when anybody can be reached; the release when nobody answers.
    fn ring(
        &mut self,
        plan: &Plan,
        ring: &Ring,
        rule: &str,
        called_name: Option<Arc<str>>,
        at_most: Option<std::time::Duration>,
    ) -> Release {
        let timeout = at_most.map_or(ring.timeout.value, |most| most.min(ring.timeout.value));
        let mut targets = Vec::with_capacity(ring.devices.len());
        for (name, tier) in ring.order(&plan.devices) {
            let Some(device) = self.plans.device(&plan.tenant.id.value, &name.value) else {
                continue;
            };
            let fax = plan.devices.find(&name.value).is_none_or(|device| device.fax_machine);
            let Some(tier) = tier.filter(|_| !fax) else { continue };
            let start = match ring.step.value {
                Wait::For(step) => Start::After(step.saturating_mul(tier)),
                Wait::Never if tier == 0 => Start::After(std::time::Duration::ZERO),
                Wait::Never => Start::WhenUnreachable,
            };
            targets.push(RingTarget {
                device: Arc::clone(&device.device),
                user: Arc::clone(&device.user),
                start,
            });
        }
        self.ring_targets(plan, targets, timeout, called_name, rule)
    }

    fn ring_targets(
        &mut self,
        plan: &Plan,
        targets: Vec<RingTarget>,
        timeout: std::time::Duration,
        called_name: Option<Arc<str>>,
        rule: &str,
    ) -> Release {
        let state = self.facts.state;
        let tenant = &plan.tenant.id.value;
        if !targets.iter().any(|target| state.reachable(tenant, &target.device)) {
            self.because(rule, "none of its devices can be reached now");
            let prompt = Some(self.prompt(plan, "not-reachable"));
            return Release { status: 480, prompt, cause: Arc::from("not-reachable") };
        }
        let mut text = String::from("rings ");
        for (index, target) in targets.iter().enumerate() {
            text.push_str(if index > 0 { ", " } else { "" });
            text.push_str(&target.device);
        }
        self.because(rule, text);
        self.steps.push(Step::Ring { targets, timeout, called_name });
        plain_release(480, "no-answer")
    }

    /// A standard prompt in the tenant's language.
    fn prompt(&self, plan: &Plan, name: &str) -> PromptRef {
        PromptRef { language: Arc::clone(&plan.tenant.language), name: Arc::from(name) }
    }
}

fn plain_release(status: u16, cause: &str) -> Release {
    Release { status, prompt: None, cause: Arc::from(cause) }
}
