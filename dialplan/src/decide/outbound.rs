//! A call that a device makes (DIALPLAN, section 4, "Outbound from a device"), and the gate that
//! every leg to outside passes.

use std::sync::Arc;
use std::time::Duration;

use super::inbound::national;
use super::{Decider, release};
use crate::decision::{Decision, RingTarget, Start, Step, TrunkCall};
use crate::plan::class::class_of;
use crate::plan::{Device, Plan};
use crate::schema::Action;

/// Why the gate stays shut.
pub(super) struct Refusal {
    rule: String,
    text: String,
    status: u16,
    prompt: &'static str,
    cause: String,
}

impl Decider<'_> {
    pub(super) fn call_of_device(mut self, plan: &Plan, name: &str) -> Decision {
        let Some(device) = plan.device(name) else {
            return self.unknown(Some(plan), "the device is not in the plan");
        };
        let called = self.facts.called;
        if let Some(action) = plan.extensions.get(called) {
            return self.extension(plan, called, action);
        }
        if let Some(target) = plan.devices.iter().find(|known| *known.extension == *called) {
            return self.internal(plan, target);
        }
        let mut dialled = called;
        if let Some(prefix) = &plan.outbound.outside_prefix {
            match called.strip_prefix(&**prefix) {
                Some(rest) => {
                    self.because("outbound.outside_prefix", format!("{prefix} asks for outside"));
                    dialled = rest;
                }
                None => {
                    return self.unknown(Some(plan), &format!("nothing has the number {called}"));
                }
            }
        }
        self.outside(plan, device, dialled)
    }

    fn extension(mut self, plan: &Plan, called: &str, action: &Action) -> Decision {
        self.because("extension", format!("{called} is an extension"));
        let steps = self.plain(plan, action);
        let release = match action {
            Action::Reject(status) => release(*status, "rejected"),
            _ => release(480, "ended"),
        };
        self.steps(plan, None, false, steps, release)
    }

    fn internal(mut self, plan: &Plan, target: &Device) -> Decision {
        let text = format!("{} is the device {}", target.extension, target.name);
        self.because(format!("device.{}", target.name), text);
        let targets = vec![RingTarget {
            device: target.name.clone(),
            user: target.user.clone(),
            start: Start::After(Duration::ZERO),
        }];
        let timeout = Duration::from_secs(60);
        let steps = vec![Step::Ring { targets, timeout, called_name: None }];
        self.steps(plan, None, false, steps, release(480, "no-answer"))
    }

    fn outside(mut self, plan: &Plan, device: &Device, dialled: &str) -> Decision {
        // 184 hides the number for this call, 186 shows it.
        let (anonymous, rest) = match (dialled.strip_prefix("184"), dialled.strip_prefix("186")) {
            (Some(rest), _) if !rest.is_empty() => (true, rest),
            (_, Some(rest)) if !rest.is_empty() => (false, rest),
            _ => (device.private, dialled),
        };
        let mut number = national(rest);
        let area = device.area_code.as_ref().or(plan.outbound.area_code.as_ref());
        let local = (5..=8).contains(&number.len())
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && !number.starts_with(['0', '1']);
        if let Some(area) = area.filter(|_| local) {
            number = format!("{area}{number}");
            self.because("outbound.area_code", format!("local, so {number}"));
        }
        if let Some((owner, known)) = self.plans.number(&number) {
            let text = format!("{number} is the number {} of this server", known.name);
            self.because(format!("number.{}", known.name), text);
            let outside = owner.tenant != plan.tenant;
            return self.inbound(owner, known, outside);
        }
        let mut call = match self.gate(plan, Some(device), &number) {
            Ok(call) => call,
            Err(refusal) => return self.turned_away(plan, refusal),
        };
        call.anonymous = anonymous;
        let shown = device.caller_id.as_ref().and_then(|name| plan.number(name));
        call.shown_caller = shown.map(|number| number.did.clone());
        let text = match (&call.shown_caller, anonymous) {
            (Some(did), false) => format!("shows {did}"),
            (Some(did), true) => format!("hides {did}"),
            (None, _) => "shows no number".to_owned(),
        };
        self.because(format!("device.{}.caller_id", device.name), text);
        let taken = self.facts.state.tenant_channels(&plan.tenant);
        if taken >= plan.channels {
            let text = format!("{taken} of {} channels are taken", plan.channels);
            let rule = ("tenant.channels", text);
            return self.refused(Some(plan), rule, 486, "lines-busy", "channels-full");
        }
        let name = shown.map(|number| number.name.clone());
        self.steps(plan, name, true, vec![Step::Trunk(call)], release(503, "no-trunk"))
    }

    /// The one door for every leg to outside, whoever asks: class, block, allow, trunks.
    pub(super) fn gate(
        &mut self,
        plan: &Plan,
        device: Option<&Device>,
        number: &str,
    ) -> Result<TrunkCall, Refusal> {
        let refusal = |rule: &str, text: String, cause: String| Refusal {
            rule: rule.to_owned(),
            text,
            status: 403,
            prompt: "refused",
            cause,
        };
        let today = plan.local(self.facts.at).date();
        let Some(class) = class_of(&plan.classes, number, today) else {
            let text = format!("{number} is of no class");
            let mut refusal = refusal("class", text, "no-class".to_owned());
            (refusal.status, refusal.prompt) = (404, "unallocated");
            return Err(refusal);
        };
        self.because(format!("class.{class}"), format!("{number} is of class {class}"));
        if plan.outbound.block.contains(class) {
            let text = format!("class {class} is blocked");
            return Err(refusal("outbound.block", text, format!("blocked:{class}")));
        }
        if let Some(device) = device
            && let Some(allowed) = plan.outbound.allow.get(device.kind.word())
            && !allowed.contains(class)
        {
            let text = format!("{} may not call class {class}", device.kind.word());
            return Err(refusal("outbound.allow", text, format!("not-allowed:{class}")));
        }
        let trunks = plan.outbound.route.get(class).unwrap_or(&plan.outbound.default_trunk);
        let state = self.facts.state;
        let free: Vec<(Option<Arc<str>>, Arc<str>)> = trunks
            .iter()
            .filter_map(|name| plan.trunks.iter().find(|trunk| trunk.name == *name))
            .filter(|trunk| state.trunk_channels(Some(&plan.tenant), &trunk.name) < trunk.channels)
            .map(|trunk| (Some(plan.tenant.clone()), trunk.name.clone()))
            .collect();
        if free.is_empty() {
            return Err(Refusal {
                rule: "outbound.default_trunk".to_owned(),
                text: "no trunk has a free channel".to_owned(),
                status: 503,
                prompt: "trunks-busy",
                cause: "trunks-busy".to_owned(),
            });
        }
        let names: Vec<&str> = free.iter().map(|(_, name)| &**name).collect();
        self.because("outbound.route", format!("by trunk {}", names.join(", then ")));
        Ok(TrunkCall::new(free, number, class))
    }

    pub(super) fn turned_away(self, plan: &Plan, refusal: Refusal) -> Decision {
        let Refusal { rule, text, status, prompt, cause } = refusal;
        self.refused(Some(plan), (&rule, text), status, prompt, &cause)
    }
}
