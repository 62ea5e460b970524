//! The module host with the one module of the sample office: announcements.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use koukan_base::{OpId, Time};
use koukan_switch::{AppEvent, InstanceId, ModuleOrder, ModuleRequest, OpStatus, Operation};

use crate::agenda::Agenda;

#[derive(Debug)]
struct Instance {
    left: VecDeque<Operation>,
    pending: Option<OpId>,
}

/// Applications that run.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    instances: BTreeMap<InstanceId, Instance>,
    requests: Agenda<ModuleRequest>,
    count: u64,
    /// So many of the next steps of an application end in a panic of the module.
    pub(crate) panics: u32,
    /// The first order that breaks the border's rules.
    pub(crate) wrong: Option<String>,
}

impl Modules {
    /// The process is gone.
    pub(crate) fn crash(&mut self) {
        let count = self.count;
        *self = Self { count, ..Self::default() };
    }

    pub(crate) fn len(&self) -> usize {
        self.instances.len()
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.requests.next()
    }

    pub(crate) fn due(&mut self, now: Time) -> Option<ModuleRequest> {
        let request = self.requests.due(now)?;
        match &request {
            ModuleRequest::Ended { instance, .. } => {
                self.instances.remove(instance);
            }
            ModuleRequest::Start { instance, op, .. } => {
                if let Some(known) = self.instances.get_mut(instance) {
                    known.pending = Some(*op);
                }
            }
            ModuleRequest::Cancel { .. }
            | ModuleRequest::Messages { .. }
            | ModuleRequest::Answered { .. } => {}
        }
        Some(request)
    }

    pub(crate) fn order(&mut self, now: Time, order: ModuleOrder) {
        match order {
            ModuleOrder::Start { instance, arguments, .. } => {
                let left = announcements(&arguments);
                self.instances.insert(instance, Instance { left, pending: None });
                self.go_on(now, instance);
            }
            ModuleOrder::Event { instance, event } => self.event(now, instance, &event),
            ModuleOrder::Ask { lookup, .. } => {
                let answer = ModuleRequest::Answered { lookup, answer: Ok(None) };
                self.requests.add(now + Duration::from_millis(1), answer);
            }
            ModuleOrder::Destroy { instance } => {
                match self.instances.remove(&instance) {
                    None => self.wrong = Some(format!("{instance:?} is destroyed twice")),
                    Some(gone) if gone.pending.is_some() => {
                        self.wrong = Some(format!("an operation of {instance:?} has no result"));
                    }
                    Some(_) => {}
                }
                self.requests.retain(|request| match request {
                    ModuleRequest::Start { instance: of, .. }
                    | ModuleRequest::Cancel { instance: of, .. }
                    | ModuleRequest::Ended { instance: of, .. } => *of != instance,
                    ModuleRequest::Messages { .. } | ModuleRequest::Answered { .. } => true,
                });
            }
        }
    }

    fn event(&mut self, now: Time, instance: InstanceId, event: &AppEvent) {
        let Some(known) = self.instances.get_mut(&instance) else {
            self.wrong = Some(format!("{event:?} for {instance:?}, which is not there"));
            return;
        };
        if let AppEvent::OpDone { op, status, .. } = event {
            if known.pending.take() != Some(*op) {
                self.wrong = Some(format!("a result of {op:?}, which nobody waits for"));
            }
            if *status == OpStatus::HangUp {
                known.left.clear();
            } else {
                self.go_on(now, instance);
            }
        }
    }

    fn go_on(&mut self, now: Time, instance: InstanceId) {
        let Some(known) = self.instances.get_mut(&instance) else { return };
        self.count = self.count.wrapping_add(1);
        let op = OpId(self.count);
        if self.panics > 0 {
            self.panics = self.panics.saturating_sub(1);
            let result = Err("the module panicked".into());
            let end = ModuleRequest::Ended { instance, result };
            self.requests.add(now + Duration::from_millis(1), end);
            return;
        }
        let request = match known.left.pop_front() {
            Some(operation) => ModuleRequest::Start { instance, op, operation },
            None => ModuleRequest::Ended { instance, result: Ok(()) },
        };
        self.requests.add(now + Duration::from_millis(1), request);
    }
}

/// The operations of the real module, from its arguments.
fn announcements(arguments: &str) -> VecDeque<Operation> {
    let arguments: serde_json::Value = serde_json::from_str(arguments).unwrap_or_default();
    let answered = arguments.get("answered").and_then(serde_json::Value::as_bool);
    let listed = arguments.get("prompts").and_then(serde_json::Value::as_array);
    let word = |prompt: &serde_json::Value, key: &str| {
        prompt.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().into()
    };
    let prompts = listed.into_iter().flatten();
    let prompts = prompts.map(|prompt| (word(prompt, "language"), word(prompt, "name")));
    let answers = answered.unwrap_or_default();
    let first = if answers { Operation::Answer } else { Operation::EarlyMedia };
    VecDeque::from([first, Operation::Play { prompts: prompts.collect(), times: 1 }])
}
