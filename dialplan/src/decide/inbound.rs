//! A call to a number of ours (DIALPLAN, section 4, "Inbound to a DID").

use std::sync::Arc;
use std::time::Duration;

use super::{Decider, release};
use crate::decision::{Decision, Origin, Release, RingTarget, Start, Step, TrunkCall};
use crate::plan::{Mode, Number, Plan, Ring, Strategy};
use crate::schema::Action;

impl Decider<'_> {
    pub(super) fn call_of_trunk(mut self, trunk: &str) -> Decision {
        let called = national(self.facts.called);
        let Some((plan, number)) = self.plans.number(&called) else {
            let plan = self.plans.plan_of(self.facts.origin);
            return self.unknown(plan, &format!("no tenant has the number {called}"));
        };
        let Origin::Trunk { tenant, .. } = self.facts.origin else {
            return self.unknown(None, "not a trunk");
        };
        let known = plan.trunks.iter().find(|known| *known.name == *trunk);
        let listed = known
            .is_none_or(|known| known.numbers.is_empty() || known.numbers.contains(&number.name));
        let own = tenant.as_ref().is_none_or(|tenant| *tenant == plan.tenant);
        if !own || !listed {
            let why = format!("the trunk {trunk} does not carry the number {called}");
            return self.unknown(Some(plan), &why);
        }
        self.because(
            format!("number.{}", number.name),
            format!("{called} is the number {} of {}", number.name, plan.tenant),
        );
        self.inbound(plan, number, true)
    }

    /// The call goes to `number`; `outside` when it occupies a channel.
    pub(super) fn inbound(mut self, plan: &Plan, number: &Number, outside: bool) -> Decision {
        if let Some(target) = &number.target {
            self.depth = self.depth.saturating_add(1);
            self.because(
                format!("number.{}.target", number.name),
                format!("toll-free, goes on as {target}; the callee pays"),
            );
            return match plan.number(target).filter(|_| self.depth < 4) {
                Some(target) => self.inbound(plan, target, outside),
                None => self.unknown(Some(plan), "the toll-free number's target is missing"),
            };
        }
        let caller = self.facts.caller.number.as_deref().unwrap_or("");
        if !caller.is_empty() && number.blocked.iter().any(|blocked| **blocked == *caller) {
            let rule = format!("number.{}.blocked", number.name);
            let text = format!("{caller} is on the block list");
            return self.refused(Some(plan), (&rule, text), 603, "refused", "blocked-caller");
        }
        let action = self.action_of(plan, number);
        if outside && self.is_full(plan, number) && takes_channel(&action) {
            return self.full(plan, number, &action);
        }
        if number.fax.as_ref().is_some_and(|(_, only)| *only) && takes_channel(&action) {
            let mailbox = number.fax.as_ref().map(|(name, _)| name.clone()).unwrap_or_default();
            self.because(format!("number.{}.fax", number.name), "every call is a fax");
            let steps = vec![Step::Fax { mailbox }];
            return self.number_steps(plan, number, outside, steps, release(480, "fax"));
        }
        self.perform(plan, number, &action, outside)
    }

    /// Mode, or the cell of the schedule.
    fn action_of(&mut self, plan: &Plan, number: &Number) -> Action {
        let rule = format!("number.{}.mode", number.name);
        match number.mode {
            Mode::Ring => {
                self.because(rule, "mode is ring");
                Action::Ring
            }
            Mode::Forward => {
                self.because(rule, "mode is forward");
                Action::Forward(None)
            }
            Mode::Schedule => {
                let local = plan.local(self.facts.at);
                let name = number.schedule.clone().unwrap_or_default();
                let Some(schedule) = plan.schedules.get(&name) else { return Action::Ring };
                let (class, holiday) = schedule.class_of(local.date());
                let action = schedule.at(local).clone();
                let holiday = holiday.map_or_else(String::new, |name| format!(" ({name})"));
                self.because(
                    format!("schedule.{name}.{}", class.key()),
                    format!(
                        "{} {:02}:{:02} is a {}{holiday}: {}",
                        local.date(),
                        local.hour(),
                        local.minute(),
                        class.key(),
                        describe(&action)
                    ),
                );
                action
            }
        }
    }

    fn is_full(&mut self, plan: &Plan, number: &Number) -> bool {
        let tenant = self.facts.state.tenant_channels(&plan.tenant);
        let own = self.facts.state.number_channels(&plan.tenant, &number.name);
        let (text, full) = match number.channels {
            Some(limit) if own >= limit => {
                (format!("{own} of {limit} channels of the number are taken"), true)
            }
            _ => (
                format!("{tenant} of {} channels are taken", plan.channels),
                tenant >= plan.channels,
            ),
        };
        self.because("tenant.channels", text);
        full
    }

    /// DIALPLAN, section 4, step 5: what happens when all channels are taken.
    fn full(mut self, plan: &Plan, number: &Number, action: &Action) -> Decision {
        let rule = format!("number.{}", number.name);
        let voicemail = number.voicemail.as_ref().filter(|_| *action == Action::Ring);
        if let Some((mailbox, _)) = voicemail {
            self.because(rule, "all channels are taken: straight to voicemail");
            let steps = vec![Step::Voicemail { mailbox: mailbox.clone() }];
            return self.number_steps(plan, number, false, steps, release(486, "channels-full"));
        }
        let prompt = number.busy_announcement.then(|| plan.prompt("lines-busy"));
        let text = if prompt.is_some() {
            "all channels are taken: the busy announcement"
        } else {
            "all channels are taken"
        };
        self.because(rule, text);
        let release = Release { status: 486, prompt, cause: "channels-full".into() };
        self.number_steps(plan, number, false, Vec::new(), release)
    }

    fn number_steps(
        self,
        plan: &Plan,
        number: &Number,
        uses_channel: bool,
        steps: Vec<Step>,
        release: Release,
    ) -> Decision {
        self.steps(plan, Some(number.name.clone()), uses_channel, steps, release)
    }

    fn perform(mut self, plan: &Plan, number: &Number, action: &Action, outside: bool) -> Decision {
        let voicemail = |steps: &mut Vec<Step>| {
            if let Some((mailbox, _)) = &number.voicemail {
                steps.push(Step::Voicemail { mailbox: mailbox.clone() });
            }
        };
        match action {
            Action::Ring => self.ring(plan, number, outside),
            Action::Announce(name) => {
                let mut steps = self.plain(plan, action);
                self.because(format!("announcement.{name}"), "played, then the call ends");
                voicemail(&mut steps);
                self.number_steps(plan, number, false, steps, release(480, "announced"))
            }
            Action::Forward(target) => {
                let Some(target) = target.clone().or_else(|| number.forward_to.clone()) else {
                    return self.unknown(Some(plan), "the number has no forward target");
                };
                match self.gate(plan, None, &target) {
                    Ok(mut call) => {
                        // S-58: the forwarded phone sees the forwarding number.
                        call.shown_caller = Some(number.did.clone());
                        self.because(
                            format!("number.{}.forward_to", number.name),
                            format!("forwarded to {target}, showing {}", number.did),
                        );
                        let steps = vec![Step::Forward(call)];
                        self.number_steps(plan, number, outside, steps, release(480, "forward"))
                    }
                    Err(refusal) => self.turned_away(plan, refusal),
                }
            }
            other => {
                let steps = self.plain(plan, other);
                let uses = outside && takes_channel(other);
                let release = match other {
                    Action::Reject(status) => release(*status, "rejected"),
                    _ => release(480, "ended"),
                };
                self.number_steps(plan, number, uses, steps, release)
            }
        }
    }

    /// The steps of an action that needs nothing else to be known.
    pub(super) fn plain(&mut self, plan: &Plan, action: &Action) -> Vec<Step> {
        let step = match action {
            Action::Announce(name) => {
                let Some(prompt) = plan.announcements.get(name).cloned() else { return Vec::new() };
                Step::Announce { name: name.clone(), prompt, answered: true }
            }
            Action::Voicemail(name) => Step::Voicemail { mailbox: name.clone() },
            Action::VoicemailMenu => Step::VoicemailMenu,
            Action::Echo => Step::Echo,
            Action::Fax(name) => Step::Fax { mailbox: name.clone() },
            Action::Conference(name) => Step::Conference { room: name.clone() },
            Action::Menu(name) => Step::Menu { menu: name.clone() },
            Action::Queue(name) => Step::Queue { queue: name.clone() },
            Action::Park => Step::Park { slot: None },
            Action::Module(name) => {
                Step::Module { module: name.clone(), arguments: "{}".into(), on_error: None }
            }
            Action::Group(_) | Action::Ring | Action::Forward(_) | Action::Reject(_) => {
                return Vec::new();
            }
        };
        vec![step]
    }

    fn ring(mut self, plan: &Plan, number: &Number, outside: bool) -> Decision {
        let Some(ring) = &number.ring else {
            return self.unknown(Some(plan), "the number has no devices to ring");
        };
        let targets = targets(plan, ring);
        let names: Vec<&str> = targets.iter().map(|target| &*target.device).collect();
        self.because(format!("number.{}.ring", number.name), format!("rings {}", names.join(" ")));
        let timeout = match &number.voicemail {
            Some((mailbox, after)) => {
                let text = format!("answers after {} s", after.as_secs());
                self.because(format!("voicemail_box.{mailbox}"), text);
                ring.timeout.min(*after)
            }
            None => ring.timeout,
        };
        let called_name = number.shown_name.clone();
        let mut steps = vec![Step::Ring { targets, timeout, called_name }];
        if let Some((mailbox, _)) = &number.voicemail {
            steps.push(Step::Voicemail { mailbox: mailbox.clone() });
        } else if let Some(action) = &number.no_answer {
            let more = self.plain(plan, action);
            steps.extend(more);
        }
        self.number_steps(plan, number, outside, steps, release(480, "no-answer"))
    }
}

/// Whom a ring set rings, and when (S-12). Fax machines are never rung for voice.
fn targets(plan: &Plan, ring: &Ring) -> Vec<RingTarget> {
    let devices = ring
        .devices
        .iter()
        .filter_map(|name| plan.device(name))
        .filter(|device| !device.fax_machine);
    let start = |tier: usize| match (tier, ring.step) {
        (0, _) => Start::After(Duration::ZERO),
        (_, None) => Start::WhenUnreachable,
        (tier, Some(step)) => {
            Start::After(step.saturating_mul(u32::try_from(tier).unwrap_or(u32::MAX)))
        }
    };
    devices
        .enumerate()
        .map(|(index, device)| {
            let tier = match &ring.strategy {
                Strategy::All => 0,
                Strategy::Sequence => index,
                Strategy::Priority(tiers) => {
                    tiers.iter().position(|tier| tier.contains(&device.kind)).unwrap_or(tiers.len())
                }
            };
            RingTarget {
                device: device.name.clone(),
                user: device.user.clone(),
                start: start(tier),
            }
        })
        .collect()
}

/// DIALPLAN, section 4: announcements and voicemail need no channel.
const fn takes_channel(action: &Action) -> bool {
    match action {
        Action::Ring
        | Action::Forward(_)
        | Action::Group(_)
        | Action::Menu(_)
        | Action::Queue(_)
        | Action::Conference(_)
        | Action::Fax(_)
        | Action::Park
        | Action::Echo
        | Action::Module(_) => true,
        Action::Announce(_) | Action::Voicemail(_) | Action::VoicemailMenu | Action::Reject(_) => {
            false
        }
    }
}

fn describe(action: &Action) -> String {
    match action {
        Action::Ring => "ring".to_owned(),
        Action::Announce(name) => format!("announce \"{name}\""),
        Action::Forward(None) => "forward".to_owned(),
        Action::Forward(Some(number)) => format!("forward to {number}"),
        Action::Voicemail(name) => format!("voicemail \"{name}\""),
        Action::Group(name) => format!("group \"{name}\""),
        Action::Menu(name) => format!("menu \"{name}\""),
        Action::Queue(name) => format!("queue \"{name}\""),
        Action::Conference(name) => format!("conference \"{name}\""),
        Action::Fax(name) => format!("fax \"{name}\""),
        Action::VoicemailMenu => "voicemail menu".to_owned(),
        Action::Echo => "echo".to_owned(),
        Action::Park => "park".to_owned(),
        Action::Reject(status) => format!("reject {status}"),
        Action::Module(name) => format!("module \"{name}\""),
    }
}

/// A number in E.164 as it is dialled in Japan; others as they are.
pub(super) fn national(number: &str) -> String {
    match number.strip_prefix("+81") {
        Some(rest) => format!("0{}", rest.strip_prefix('0').unwrap_or(rest)),
        None => number.to_owned(),
    }
}

impl TrunkCall {
    /// A call without a shown caller yet.
    pub(super) fn new(
        trunks: Vec<(Option<Arc<str>>, Arc<str>)>,
        number: &str,
        class: &Arc<str>,
    ) -> Self {
        Self {
            trunks,
            number: number.into(),
            shown_caller: None,
            anonymous: false,
            class: class.clone(),
        }
    }
}
