//! The virtual module host: applications as scripts. It counts what the switch owes them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use koukan_base::{OpId, Time};
use koukan_switch::{
    AppEvent, CallerQuestion, Found, InstanceId, ModuleOrder, ModuleRequest, OpStatus, Operation,
};

/// What an application does: operations one after the other, then its end.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    /// What `announcements` does: answers or opens early media, plays, and is done.
    Announcements,
    /// These operations, then done.
    Runs(Vec<Operation>),
    /// Fails at once.
    Fails(&'static str),
    /// Does nothing, for ever.
    Hangs,
}

#[derive(Debug)]
struct Instance {
    left: VecDeque<Operation>,
    pending: Vec<OpId>,
    ends: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Modules {
    pub(crate) script: Option<Script>,
    /// The host gives the results that are owed when an instance is destroyed, as it does behind a
    /// fault of ours.
    pub(crate) settles: bool,
    instances: HashMap<InstanceId, Instance>,
    requests: BTreeMap<(Time, u64), ModuleRequest>,
    count: u64,
    /// Every event, in order.
    pub(crate) heard: Vec<AppEvent>,
    /// The arguments of every start.
    pub(crate) started: Vec<String>,
    /// What was asked about callers.
    pub(crate) asked: Vec<CallerQuestion>,
    /// What is answered, and after how long; nothing ever without it.
    pub(crate) answer: Option<(Duration, Answer)>,
}

/// What is said of a caller.
pub(crate) type Answer = Result<Option<Found>, std::sync::Arc<str>>;

impl Modules {
    pub(crate) fn live(&self) -> usize {
        self.instances.len()
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.requests.keys().next().map(|(at, _)| *at)
    }

    pub(crate) fn due(&mut self, now: Time) -> Option<ModuleRequest> {
        let entry = self.requests.first_entry().filter(|entry| entry.key().0 <= now)?;
        let request = entry.remove();
        match &request {
            ModuleRequest::Ended { instance, .. } => {
                self.instances.remove(instance);
            }
            ModuleRequest::Start { instance, op, .. } => {
                self.instances.get_mut(instance).unwrap().pending.push(*op);
            }
            ModuleRequest::Cancel { .. }
            | ModuleRequest::Messages { .. }
            | ModuleRequest::Answered { .. } => {}
        }
        Some(request)
    }

    /// Starts an operation beside what the script does, without waiting for its result.
    pub(crate) fn flood(&mut self, now: Time, operation: &Operation) {
        let &instance = self.instances.keys().next().unwrap();
        self.count += 1;
        let op = OpId(1_000_000 + self.count);
        self.ask(now, ModuleRequest::Start { instance, op, operation: operation.clone() });
    }

    /// Cancels the operation under way of the only instance.
    pub(crate) fn cancel(&mut self, now: Time) {
        let (&instance, known) = self.instances.iter().next().unwrap();
        let op = known.pending[0];
        self.ask(now, ModuleRequest::Cancel { instance, op });
    }

    /// The only application ends with a fault.
    pub(crate) fn fail(&mut self, now: Time, why: &'static str) {
        let (&instance, known) = self.instances.iter_mut().next().unwrap();
        known.pending.clear();
        self.ask(now, ModuleRequest::Ended { instance, result: Err(why.into()) });
    }

    fn ask(&mut self, now: Time, request: ModuleRequest) {
        self.count += 1;
        self.requests.insert((now + Duration::from_millis(1), self.count), request);
    }

    pub(crate) fn order(&mut self, now: Time, order: ModuleOrder) {
        match order {
            ModuleOrder::Start { instance, arguments, .. } => {
                self.started.push(arguments.to_string());
                self.start(now, instance, &arguments);
            }
            ModuleOrder::Event { instance, event } => {
                let known = self.instances.get_mut(&instance).expect("an event for nobody");
                if let AppEvent::OpDone { op, status, .. } = &event {
                    let at = known.pending.iter().position(|pending| pending == op);
                    known.pending.remove(at.expect("one result for each operation"));
                    if *status == OpStatus::HangUp {
                        known.ends = false;
                        known.left.clear();
                    }
                }
                let done =
                    matches!(event, AppEvent::OpDone { status, .. } if status != OpStatus::HangUp);
                self.heard.push(event);
                if done {
                    self.go_on(now, instance);
                }
            }
            ModuleOrder::Ask { lookup, question } => {
                self.asked.push(*question);
                if let Some((after, answer)) = self.answer.clone() {
                    self.count += 1;
                    let request = ModuleRequest::Answered { lookup, answer };
                    self.requests.insert((now + after, self.count), request);
                }
            }
            ModuleOrder::Destroy { instance } => {
                let gone = self.instances.remove(&instance).expect("destroyed twice");
                let settled = gone.pending.is_empty() || self.settles;
                assert!(settled, "an operation has no result");
                self.requests.retain(|_, request| {
                    !matches!(request, ModuleRequest::Start { instance: of, .. }
                        | ModuleRequest::Cancel { instance: of, .. }
                        | ModuleRequest::Ended { instance: of, .. } if *of == instance)
                });
            }
        }
    }

    fn start(&mut self, now: Time, instance: InstanceId, arguments: &str) {
        let script = self.script.clone().unwrap_or(Script::Announcements);
        let (left, ends) = match script {
            Script::Announcements => (announcements(arguments), true),
            Script::Runs(operations) => (operations, true),
            Script::Hangs => (Vec::new(), false),
            Script::Fails(why) => {
                self.instances.insert(
                    instance,
                    Instance { left: VecDeque::new(), pending: Vec::new(), ends: false },
                );
                self.ask(now, ModuleRequest::Ended { instance, result: Err(why.into()) });
                return;
            }
        };
        self.instances.insert(instance, Instance { left: left.into(), pending: Vec::new(), ends });
        self.go_on(now, instance);
    }

    fn go_on(&mut self, now: Time, instance: InstanceId) {
        let Some(known) = self.instances.get_mut(&instance) else { return };
        self.count += 1;
        let op = OpId(self.count);
        match known.left.pop_front() {
            Some(operation) => {
                self.ask(now, ModuleRequest::Start { instance, op, operation });
            }
            None if known.ends => {
                self.ask(now, ModuleRequest::Ended { instance, result: Ok(()) });
            }
            None => {}
        }
    }
}

/// The operations of the real module, from its arguments.
fn announcements(arguments: &str) -> Vec<Operation> {
    let arguments: serde_json::Value = serde_json::from_str(arguments).unwrap();
    let answered = arguments["answered"].as_bool().unwrap();
    let prompts = arguments["prompts"].as_array().unwrap().iter().map(|prompt| {
        let word = |key: &str| prompt[key].as_str().unwrap().into();
        (word("language"), word("name"))
    });
    vec![
        if answered { Operation::Answer } else { Operation::EarlyMedia },
        Operation::Play { prompts: prompts.collect(), times: 1 },
    ]
}
