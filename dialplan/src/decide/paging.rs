//! Calls that phones answer by themselves: the intercom of one colleague, the paging of a group.
//! Nobody who is in a call or does not want to be disturbed is called.

use std::sync::Arc;
use std::time::Duration;

use super::{Call, plain_release};
use crate::decision::{Origin, Release, RingTarget, Start, Step};
use crate::model::device::Device;
use crate::model::objects::Object;
use crate::model::services::Group;
use crate::model::{Plan, Target};

impl<'p> Call<'p, '_> {
    /// The intercom code: what was dialled behind it is a colleague or a group.
    pub(super) fn intercom(
        &mut self,
        plan: &'p Plan,
        from: &Object<Device>,
        called: &str,
    ) -> Release {
        match plan.inside.find(called) {
            Some(Target::Device(name)) if *name != from.name => {
                let rule = format!("device.{name}");
                self.page(plan, &rule, &[Arc::clone(name)], true)
            }
            Some(Target::Group(name)) => match plan.groups.find(name) {
                Some(group) => self.page_group(plan, name, group),
                None => plain_release(404, "unknown-extension"),
            },
            _ => {
                self.because("feature_codes.intercom", "no colleague or group is named");
                let prompt = Some(self.prompt(plan, "unallocated"));
                Release { status: 404, prompt, cause: Arc::from("unknown-extension") }
            }
        }
    }

    /// Every phone of a group is to hear the caller.
    pub(super) fn page_group(&mut self, plan: &'p Plan, name: &str, group: &'p Group) -> Release {
        let names: Vec<Arc<str>> =
            group.ring.devices.iter().map(|name| Arc::clone(&name.value)).collect();
        self.page(plan, &format!("group.{name}"), &names, false)
    }

    fn page(&mut self, plan: &Plan, rule: &str, names: &[Arc<str>], talk: bool) -> Release {
        let (state, tenant) = (self.facts.state, &plan.tenant.id.value);
        let caller = match self.facts.origin {
            Origin::Device { tenant: own, device } if own == tenant => Some(device),
            _ => None,
        };
        let mut busy = false;
        let mut targets = Vec::new();
        for name in names.iter().filter(|name| Some(*name) != caller) {
            let Some(device) = self.plans.device(tenant, name) else { continue };
            if plan.devices.find(name).is_none_or(|device| device.fax_machine)
                || !state.reachable(tenant, name)
            {
                continue;
            }
            let undisturbed = self.live.is_some_and(|live| live.dnd(name).is_some());
            if undisturbed || state.in_call(tenant, name) {
                busy = true;
                continue;
            }
            targets.push(RingTarget {
                device: Arc::clone(&device.device),
                user: Arc::clone(&device.user),
                start: Start::After(Duration::ZERO),
            });
        }
        if !targets.is_empty() {
            self.because(rule, "is called, to be answered by the phone itself");
            self.steps.push(Step::Page { targets, talk });
            return plain_release(480, "no-answer");
        }
        if busy {
            self.because(rule, "is in a call, or does not want to be disturbed");
            return plain_release(486, "busy");
        }
        self.because(rule, "none of its devices can be reached now");
        let prompt = Some(self.prompt(plan, "not-reachable"));
        Release { status: 480, prompt, cause: Arc::from("not-reachable") }
    }
}
