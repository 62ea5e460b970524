//! What operators see of queues.

use std::sync::Arc;

use jiff::Timestamp;
use koukan_base::CallId;
use koukan_dialplan::State as _;
use serde::Serialize;

use crate::action::Now;
use crate::call::Stage;
use crate::switch::Switch;

/// A queue of a plan, also while nobody waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueueView {
    /// Its tenant.
    pub tenant: String,
    /// Its name in the plan.
    pub queue: String,
    /// Who waits, in the order of their places.
    pub callers: Vec<CallerView>,
    /// Its agents, in the order of the plan.
    pub agents: Vec<AgentView>,
}

/// A caller who waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallerView {
    /// Its call.
    pub call: String,
    /// Who it is, as its call shows it.
    pub caller: String,
    /// Since when it waits.
    pub since: Timestamp,
    /// The agents whose phones ring for it.
    pub rings: Vec<String>,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AgentView {
    /// Its device, by its name in the plan.
    pub device: String,
    /// `free`, `busy` (in a call, or one rings it), `rests`, `away` (has logged out),
    /// `undisturbed`, `unreachable`.
    pub state: &'static str,
}

impl Switch {
    /// Every queue of the plans.
    #[must_use]
    pub fn queues(&self, now: Now) -> Vec<QueueView> {
        let queues = self.directory.plans.queues().map(|(tenant, name, spec)| {
            let open = self.queues.open.get(&(tenant.clone(), name.clone()));
            let waiting = open.into_iter().flat_map(|queue| &queue.waiting);
            let agent = |device: &Arc<str>| AgentView {
                device: device.to_string(),
                state: self.agent_state(now, tenant, device),
            };
            QueueView {
                tenant: tenant.to_string(),
                queue: name.to_string(),
                callers: waiting.filter_map(|id| self.caller_view(*id)).collect(),
                agents: spec.agents.iter().map(agent).collect(),
            }
        });
        let mut views: Vec<QueueView> = queues.collect();
        views.sort_by(|a, b| (&a.tenant, &a.queue).cmp(&(&b.tenant, &b.queue)));
        views
    }

    fn caller_view(&self, id: CallId) -> Option<CallerView> {
        let call = self.calls.get(&id)?;
        let Stage::Queue(waiting) = &call.stage else { return None };
        Some(CallerView {
            call: id.to_string(),
            caller: call.caller.clone(),
            since: waiting.since,
            rings: waiting.offered.iter().map(ToString::to_string).collect(),
        })
    }

    fn agent_state(&self, now: Now, tenant: &Arc<str>, device: &Arc<str>) -> &'static str {
        if let Some(why) = self.absence(tenant, device) {
            why
        } else if self.in_call(tenant, device) {
            "busy"
        } else if self.agent(tenant, device).rests_until > now.time {
            "rests"
        } else {
            "free"
        }
    }
}
