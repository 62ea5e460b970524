//! Queues (`[queue.X]`): callers wait with music in the order of their coming, and the phones of
//! free agents ring for the first of them who is not ringing anybody yet. Who waits is a call in
//! its own stage; the queue is the order of those calls and nothing more.

mod agents;
mod view;
mod words;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use koukan_base::{CallId, OpId, Time};
use koukan_dialplan::{Queue, RingTarget, Start};

use crate::action::Now;
use crate::call::{Call, Stage};
use crate::limits;
use crate::record::CallCause;
use crate::subscription::lamps::DeviceKey;
use crate::switch::{Fate, Switch};
use agents::Agent;

pub use view::{AgentView, CallerView, QueueView};

/// A queue by its tenant and its name in the plan.
pub(crate) type QueueKey = (Arc<str>, Arc<str>);

/// How long an agent's phone rings before another one does.
const RINGS: Duration = Duration::from_secs(20);
/// How long an agent is left alone who did not answer or refused.
const NOT_AGAIN: Duration = Duration::from_secs(10);
/// How often the first caller is looked at while no agent is free: phones register meanwhile.
const LOOK: Duration = Duration::from_secs(5);
/// How often a caller is told its place.
const TELL: Duration = Duration::from_secs(30);

/// A caller who waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) name: Arc<str>,
    spec: Arc<Queue>,
    since: Timestamp,
    /// When it has waited too long.
    until: Option<Time>,
    /// The agents whose phones ring for it, and until when.
    offered: Vec<Arc<str>>,
    rings_until: Option<Time>,
    /// When agents are looked for again.
    look: Option<Time>,
    /// When it is told its place, and what is being said.
    tell: Option<Time>,
    words: Option<OpId>,
}

impl Waiting {
    /// When it wants to be looked at next.
    pub(crate) fn next(&self) -> Option<Time> {
        [self.until, self.rings_until, self.look, self.tell].into_iter().flatten().min()
    }
}

#[derive(Debug)]
struct OpenQueue {
    spec: Arc<Queue>,
    waiting: VecDeque<CallId>,
}

/// Every queue of the shard in which somebody waits.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    open: HashMap<QueueKey, OpenQueue>,
    /// Agents that a call was offered to, as long as the process lives.
    agents: HashMap<DeviceKey, Agent>,
    /// Where the turn of a round is.
    turns: HashMap<QueueKey, usize>,
    /// Queues that have to be looked at.
    changed: BTreeSet<QueueKey>,
}

impl Queues {
    /// Callers who wait.
    pub(crate) fn len(&self) -> usize {
        self.open.values().map(|queue| queue.waiting.len()).sum()
    }

    /// Calls that are lost wait nowhere.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(CallId) -> bool) {
        let changed = &mut self.changed;
        self.open.retain(|key, queue| {
            let before = queue.waiting.len();
            queue.waiting.retain(|call| is_kept(*call));
            if queue.waiting.is_empty() {
                changed.remove(key);
            } else if queue.waiting.len() != before {
                changed.insert(key.clone());
            }
            !queue.waiting.is_empty()
        });
    }

    fn change(&mut self, key: QueueKey) {
        if self.open.contains_key(&key) {
            self.changed.insert(key);
        }
    }
}

impl Switch {
    /// A caller comes into a queue; `None` when the next step has its turn.
    pub(crate) fn start_queue(
        &mut self,
        now: Now,
        call: &mut Call,
        name: Arc<str>,
        spec: Arc<Queue>,
    ) -> Option<Fate> {
        if self.is_too_broad(call) {
            return None;
        }
        let key = (call.tenant.clone(), name.clone());
        let waiting = self.queues.open.get(&key).map_or(0, |queue| queue.waiting.len());
        let full = u32::try_from(waiting).is_ok_and(|count| count >= spec.max_callers);
        let served = spec.agents.iter().any(|agent| self.is_there(&key.0, agent));
        if full || !served {
            let why = if full { "is full" } else { "has no agent" };
            self.explain(call.id, format!("queue {name} {why}"));
            call.queues = call.queues.saturating_add(1);
            if call.queues > limits::QUEUES {
                self.explain(call.id, "queues lead the caller in a circle");
                self.refuse_step(call, 480, "lines-busy");
                return None;
            }
            return self.overflow(now, call, &spec);
        }
        call.queues = 0;
        if !self.answer_caller(now, call, None) {
            return Some(Fate::End(CallCause::NotAnswered, 488));
        }
        self.transfer_done(now, call);
        self.explain(
            call.id,
            format!("waits in queue {name} at place {}", waiting.saturating_add(1)),
        );
        let until = spec.max_wait.map(|wait| now.time + wait);
        let queue = self.queues.open.entry(key.clone());
        let queue =
            queue.or_insert_with(|| OpenQueue { spec: spec.clone(), waiting: VecDeque::new() });
        // Whoever comes now was decided by the plan in force.
        queue.spec = spec.clone();
        queue.waiting.push_back(call.id);
        self.queues.changed.insert(key);
        call.failures.clear();
        let tell = spec.announce_position.then_some(now.time);
        call.stage = Stage::Queue(Waiting {
            name,
            spec,
            since: now.date,
            until,
            offered: Vec::new(),
            rings_until: None,
            look: None,
            tell,
            words: None,
        });
        self.wire(call);
        self.write_record(now, call);
        Some(Fate::Keep)
    }

    /// The way on of who waited too long, or cannot wait at all; `None` when the plan names none.
    fn overflow(&mut self, now: Now, call: &mut Call, spec: &Queue) -> Option<Fate> {
        let Some(way) = &spec.overflow else {
            self.refuse_step(call, 480, "lines-busy");
            return None;
        };
        let decision = self.way_on(now, call, way);
        call.release = decision.release.clone();
        call.steps = self.further_steps(call, decision).unwrap_or_default().into();
        Some(self.next_step(now, call))
    }

    /// A call that is over, answered, or goes on elsewhere leaves its queue.
    pub(crate) fn leave_queue(&mut self, call: &Call) {
        let Stage::Queue(waiting) = &call.stage else { return };
        let key = (call.tenant.clone(), waiting.name.clone());
        let Some(queue) = self.queues.open.get_mut(&key) else { return };
        queue.waiting.retain(|other| *other != call.id);
        if queue.waiting.is_empty() {
            self.queues.open.remove(&key);
            self.queues.changed.remove(&key);
        } else {
            self.queues.changed.insert(key);
        }
    }

    /// Whether the queue that a call says it is in knows of it.
    pub(crate) fn queue_knows(&self, call: &Call) -> bool {
        let Stage::Queue(waiting) = &call.stage else { return false };
        let key = (call.tenant.clone(), waiting.name.clone());
        self.queues.open.get(&key).is_some_and(|queue| queue.waiting.contains(&call.id))
    }

    /// The calls that are in queues.
    pub(crate) fn queued(&self) -> Vec<CallId> {
        self.queues.open.values().flat_map(|queue| queue.waiting.iter().copied()).collect()
    }

    /// What is due for a caller who waits.
    pub(crate) fn queue_timeout(&mut self, now: Now, call: &mut Call) -> Fate {
        let Stage::Queue(waiting) = &mut call.stage else { return Fate::Keep };
        let key = (call.tenant.clone(), waiting.name.clone());
        let due = |at: &mut Time| *at <= now.time;
        if waiting.look.take_if(due).is_some() {
            self.queues.change(key);
        }
        if waiting.until.take_if(due).is_some() {
            let spec = waiting.spec.clone();
            self.explain(call.id, "has waited in the queue for too long");
            self.leave_alone(now, call);
            self.leave_queue(call);
            call.stage = Stage::Opening { until: now.time + limits::seconds(limits::STREAM_S) };
            let fate = self.overflow(now, call, &spec);
            return fate.unwrap_or_else(|| self.next_step(now, call));
        }
        if waiting.rings_until.take_if(due).is_some() {
            self.explain(call.id, "no agent answers in time");
            self.leave_alone(now, call);
            self.offer_over(now, call);
        }
        self.tell_place(now, call);
        Fate::Keep
    }

    /// Phones that ring for a caller ring no more.
    fn leave_alone(&mut self, now: Now, call: &mut Call) {
        let ringing: Vec<u16> = call.rung().map(|(index, _)| index).collect();
        for index in ringing {
            self.end_leg(now, call, index, 487, None);
        }
    }

    /// The phone of an agent rings no more and was not answered.
    pub(crate) fn agent_gone(&mut self, now: Now, call: &mut Call) -> Fate {
        if call.rung().next().is_none() {
            self.offer_over(now, call);
        }
        self.wire(call);
        Fate::Keep
    }

    /// Nobody has taken the caller: its agents have a rest, and others are looked for.
    fn offer_over(&mut self, now: Now, call: &mut Call) {
        let Stage::Queue(waiting) = &mut call.stage else { return };
        waiting.rings_until = None;
        let key = (call.tenant.clone(), waiting.name.clone());
        for agent in std::mem::take(&mut waiting.offered) {
            let known = self.queues.agents.entry((call.tenant.clone(), agent)).or_default();
            (known.free_since, known.rests_until) = (now.time, now.time + NOT_AGAIN);
        }
        call.failures.clear();
        self.forget_unanswered(call);
        self.queues.change(key);
    }

    /// Legs of agents who did not answer are not kept without end: a caller may wait for hours.
    fn forget_unanswered(&mut self, call: &mut Call) {
        let old = |leg: &crate::leg::Leg| {
            leg.is_over() && leg.stream.id().is_none() && leg.answered.is_none()
        };
        while call.legs.len() > limits::QUEUE_LEGS
            && let Some(at) = call.legs.iter().skip(1).position(old)
        {
            // The last one, whose stream may still be on its way out, takes its place.
            let last = call.legs.len().saturating_sub(1);
            let index = |at| u16::try_from(at).unwrap_or(u16::MAX);
            self.swap_legs(call, index(at.saturating_add(1)), index(last));
            if let Some(leg) = call.legs.pop() {
                self.lamps.forget_leg(call, &leg.party);
            }
        }
    }

    /// An agent has answered, and who waited waits no more.
    pub(crate) fn agent_answers(&mut self, call: &Call, index: u16) {
        let Stage::Queue(waiting) = &call.stage else { return };
        let wrap_up = waiting.spec.wrap_up;
        if let Some(crate::leg::Party::Device { tenant, device }) =
            call.leg(index).map(|leg| leg.party.clone())
        {
            let agent = self.queues.agents.entry((tenant, device)).or_default();
            agent.wrap_up = Some(wrap_up);
        }
        self.leave_queue(call);
    }

    /// Looks at the queues that have changed; true when there was something to do.
    pub(crate) fn settle_queues(&mut self, now: Now) -> bool {
        self.note_agents(now);
        let changed = std::mem::take(&mut self.queues.changed);
        let did = !changed.is_empty();
        for key in changed {
            self.serve(now, &key);
        }
        did
    }

    /// Has phones of free agents ring for those who ring nobody yet.
    fn serve(&mut self, now: Now, key: &QueueKey) {
        let Some(queue) = self.queues.open.get(key) else { return };
        let spec = queue.spec.clone();
        let rings_none = |id: &&CallId| {
            let stage = self.calls.get(id).map(|call| &call.stage);
            matches!(stage, Some(Stage::Queue(waiting)) if waiting.offered.is_empty())
        };
        let unserved: Vec<CallId> = queue.waiting.iter().filter(rings_none).copied().collect();
        for id in unserved {
            let chosen = self.choose_agents(now, key, &spec);
            if chosen.is_empty() {
                let look = self.next_look(now, key, &spec);
                self.with_call(now, id, |_, call| {
                    if let Stage::Queue(waiting) = &mut call.stage {
                        waiting.look = Some(look);
                    }
                    Fate::Keep
                });
                return;
            }
            self.with_call(now, id, |switch, call| {
                switch.offer(now, call, &chosen);
                Fate::Keep
            });
        }
    }

    /// Has the phones of agents ring for a caller.
    fn offer(&mut self, now: Now, call: &mut Call, agents: &[Arc<str>]) {
        let mut called = Vec::new();
        for agent in agents {
            let Some(info) = self.directory.plans.device(&call.tenant, agent) else { continue };
            let (device, user) = (info.device.clone(), info.user.clone());
            self.explain(call.id, format!("agent {device} is called"));
            self.queues.agents.entry((call.tenant.clone(), device.clone())).or_default();
            let target = RingTarget { device, user, start: Start::After(Duration::ZERO) };
            let before = call.legs.len();
            self.ring_target(now, call, &target);
            if call.legs.len() > before {
                called.push(agent.clone());
            }
        }
        let Stage::Queue(waiting) = &mut call.stage else { return };
        // Who was not called, since the caller's breadth is used up, has nothing to rest from.
        waiting.offered = if called.is_empty() { agents.to_vec() } else { called };
        waiting.look = None;
        waiting.rings_until = Some(now.time + RINGS);
        if call.rung().next().is_none() {
            self.offer_over(now, call);
        }
    }
}
