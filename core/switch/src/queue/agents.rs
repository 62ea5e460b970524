//! Agents: who is free, who has been for how long, and whose turn it is.

use std::sync::Arc;
use std::time::Duration;

use koukan_base::Time;
use koukan_dialplan::{Queue, QueueStrategy, State as _};

use super::{LOOK, QueueKey};
use crate::action::Now;
use crate::switch::Switch;

/// What is known of an agent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agent {
    busy: bool,
    /// Since when it is in no call.
    pub(super) free_since: Time,
    /// It is left alone until then.
    pub(super) rests_until: Time,
    /// How long it is left alone behind the call that it talks in.
    pub(super) wrap_up: Option<Duration>,
}

impl Default for Agent {
    fn default() -> Self {
        let (free_since, rests_until) = (Time::ZERO, Time::ZERO);
        Self { busy: false, free_since, rests_until, wrap_up: None }
    }
}

impl Switch {
    /// Whether an agent's phone can be reached and wants calls.
    pub(super) fn is_there(&self, tenant: &Arc<str>, agent: &str) -> bool {
        self.absence(tenant, agent).is_none()
    }

    /// Why an agent is not called whatever it does, in a word.
    pub(super) fn absence(&self, tenant: &Arc<str>, agent: &str) -> Option<&'static str> {
        let live = self.settings.get(tenant).map(koukan_dialplan::Settings::live);
        if live.is_some_and(|live| live.is_off_duty(agent)) {
            return Some("away");
        }
        if live.is_some_and(|live| live.is_undisturbed(agent)) {
            return Some("undisturbed");
        }
        (!self.reachable(tenant, agent)).then_some("unreachable")
    }

    /// Notes which agents have become free, or are not any more; their queues are looked at.
    pub(super) fn note_agents(&mut self, now: Now) {
        if self.queues.agents.is_empty() {
            return;
        }
        let changed: Vec<_> = self
            .lamps
            .changed()
            .filter(|key| self.queues.agents.contains_key(*key))
            .cloned()
            .collect();
        for key in changed {
            let busy = self.in_call(&key.0, &key.1);
            let Some(agent) = self.queues.agents.get_mut(&key) else { continue };
            let before = std::mem::replace(&mut agent.busy, busy);
            if !before || busy {
                continue;
            }
            agent.free_since = now.time;
            if let Some(wrap_up) = agent.wrap_up.take() {
                agent.rests_until = now.time + wrap_up;
            }
            let of_office = self.queues.open.keys().filter(|(tenant, _)| *tenant == key.0);
            let served: Vec<QueueKey> = of_office.cloned().collect();
            self.queues.changed.extend(served);
        }
    }

    pub(super) fn agent(&self, tenant: &Arc<str>, name: &Arc<str>) -> Agent {
        let key = (tenant.clone(), name.clone());
        self.queues.agents.get(&key).copied().unwrap_or_default()
    }

    /// The agents who are called next; none when nobody is free.
    pub(super) fn choose_agents(
        &mut self,
        now: Now,
        key: &QueueKey,
        spec: &Queue,
    ) -> Vec<Arc<str>> {
        let tenant = &key.0;
        let is_free = |agent: &&Arc<str>| {
            self.is_there(tenant, agent)
                && !self.in_call(tenant, agent)
                && self.agent(tenant, agent).rests_until <= now.time
        };
        match spec.strategy {
            QueueStrategy::All => spec.agents.iter().filter(is_free).cloned().collect(),
            QueueStrategy::LongestIdle => {
                let free = spec.agents.iter().filter(is_free);
                let first = free.min_by_key(|agent| self.agent(tenant, agent).free_since);
                first.cloned().into_iter().collect()
            }
            QueueStrategy::RoundRobin => {
                let turn = self.queues.turns.get(key).copied().unwrap_or(0);
                let round = spec.agents.iter().enumerate();
                let (before, from): (Vec<_>, Vec<_>) = round.partition(|(at, _)| *at < turn);
                let mut round = from.into_iter().chain(before);
                let Some((at, agent)) = round.find(|(_, agent)| is_free(agent)) else {
                    return Vec::new();
                };
                let agent = agent.clone();
                let next = at.saturating_add(1);
                self.queues.turns.insert(key.clone(), next % spec.agents.len().max(1));
                vec![agent]
            }
        }
    }

    /// When it is worth looking for a free agent again.
    pub(super) fn next_look(&self, now: Now, key: &QueueKey, spec: &Queue) -> Time {
        let rests = spec.agents.iter().map(|agent| self.agent(&key.0, agent).rests_until);
        rests.filter(|until| *until > now.time).fold(now.time + LOOK, Time::min)
    }
}
