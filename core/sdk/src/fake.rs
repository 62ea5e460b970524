//! A fake host: an application runs against a script of events and virtual time, without a server.
//!
//! ```
//! use std::time::Duration;
//! use koukan_sdk::fake::{Request, Run};
//! use koukan_sdk::{Call, Operation, Result, status};
//!
//! async fn wait_and_answer(call: Call, seconds: u64) -> Result<()> {
//!     call.sleep(Duration::from_secs(seconds)).await?;
//!     call.answer().await
//! }
//!
//! let mut run = Run::start(wait_and_answer, &3);
//! assert_eq!(run.next_operation().map(|(_, operation)| operation),
//!            Some(Operation::Sleep { ms: 3_000 }));
//! run.advance(Duration::from_secs(3));
//! let (op, _) = run.next_operation().expect("the application answers after the wait");
//! run.done(op, status::OK, "");
//! assert!(matches!(run.outcome(), Some(Ok(()))));
//! ```
//!
//! Sleeps end by [`Run::advance`]; digits are collected from [`Run::digit`] and by time, as the
//! server does it. Every other operation ends when the script says so with [`Run::done`].

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use koukan_abi::{Status, status};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::app::{Running, app, task};
use crate::job::Job;
use crate::services::Services;
use crate::session::{Done, Event, Host, Moment, Session};
use crate::task::Task;
use crate::wake::Remote;
pub use crate::world::World;
use crate::{Background, Call, Level, Mail, Operation, Result};

/// What the application asked of its call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// It started an operation.
    Start {
        /// The operation's number.
        op: u64,
        /// What it is.
        operation: Operation,
    },
    /// It cancelled one.
    Cancel {
        /// The operation's number.
        op: u64,
    },
}

/// An application at work on a call that the test plays.
pub struct Run {
    task: Option<Task>,
    desk: Rc<Desk>,
    woken: Arc<AtomicBool>,
    outcome: Option<Result<()>>,
}

/// What the application's calls come to; the run reads it between events.
#[derive(Default)]
struct Desk {
    now_ns: Cell<u64>,
    next_op: Cell<u64>,
    requests: RefCell<VecDeque<Request>>,
    owed: RefCell<Vec<Owed>>,
    log: RefCell<Vec<(Level, String)>>,
    world: World,
}

/// The tenant of every call of a fake host.
pub const TENANT: &str = "acme";

/// An operation whose result is owed.
struct Owed {
    op: u64,
    operation: Operation,
    deadline_ns: Option<u64>,
    digits: String,
    cancelled: bool,
}

impl Host for Rc<Desk> {
    fn start(&self, operation: &Operation) -> std::result::Result<u64, Status> {
        let op = self.next_op.get() + 1;
        self.next_op.set(op);
        let wait_ms = match *operation {
            Operation::Sleep { ms } => Some(ms),
            Operation::CollectDigits { timeout_ms, .. } => Some(timeout_ms),
            Operation::Answer
            | Operation::EarlyMedia
            | Operation::Play { .. }
            | Operation::Record { .. }
            | Operation::Dial { .. }
            | Operation::Bridge { .. }
            | Operation::MakePrompt { .. }
            | Operation::HangUp { .. } => None,
        };
        let operation = operation.clone();
        self.owed.borrow_mut().push(Owed {
            op,
            operation: operation.clone(),
            deadline_ns: wait_ms.map(|ms| self.now_ns.get().saturating_add(nanos(ms))),
            digits: String::new(),
            cancelled: false,
        });
        self.requests.borrow_mut().push_back(Request::Start { op, operation });
        Ok(op)
    }

    fn cancel(&self, op: u64) {
        if let Some(owed) = self.owed.borrow_mut().iter_mut().find(|owed| owed.op == op) {
            owed.cancelled = true;
            self.requests.borrow_mut().push_back(Request::Cancel { op });
        }
    }

    fn log(&self, level: Level, text: &str) {
        self.log.borrow_mut().push((level, text.to_owned()));
    }
}

impl Services for Rc<Desk> {
    fn put(&self, tenant: &str, key: &str, value: &str) -> std::result::Result<(), Status> {
        self.world.put(tenant, key, value)
    }

    fn get(&self, tenant: &str, key: &str) -> std::result::Result<String, Status> {
        self.world.get(tenant, key)
    }

    fn remove(&self, tenant: &str, key: &str) -> std::result::Result<(), Status> {
        self.world.remove(tenant, key)
    }

    fn next(&self, tenant: &str, prefix: &str, after: &str) -> std::result::Result<String, Status> {
        self.world.next(tenant, prefix, after)
    }

    fn next_tenant(&self, after: &str) -> std::result::Result<String, Status> {
        self.world.next_tenant(after)
    }

    fn object_size(&self, tenant: &str, name: &str) -> std::result::Result<u64, Status> {
        self.world.object_size(tenant, name)
    }

    fn object_remove(&self, tenant: &str, name: &str) -> std::result::Result<(), Status> {
        self.world.object_remove(tenant, name)
    }

    fn set_messages(
        &self,
        tenant: &str,
        mailbox: &str,
        new: u32,
        old: u32,
    ) -> std::result::Result<(), Status> {
        self.world.set_messages(tenant, mailbox, new, old)
    }

    fn send_mail(&self, tenant: &str, mail: &Mail) -> std::result::Result<(), Status> {
        self.world.send_mail(tenant, mail)
    }

    fn options(&self) -> std::result::Result<String, Status> {
        self.world.options()
    }

    fn metric(&self, counts: bool, name: &str, help: &str) -> std::result::Result<u32, Status> {
        self.world.metric(counts, name, help)
    }

    fn add_metric(&self, number: u32, by: u32) {
        self.world.add_metric(number, by);
    }

    fn set_metric(&self, number: u32, value: i64) {
        self.world.set_metric(number, value);
    }

    fn run(&self, job: Job) -> std::result::Result<(), Status> {
        self.world.run(job)
    }
}

struct Flag(Arc<AtomicBool>);

impl Remote for Flag {
    fn wake(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A self-waking application that goes on for so many polls never comes to rest.
const POLLS: usize = 10_000;

impl Run {
    /// Starts an application with its arguments.
    ///
    /// # Panics
    /// The arguments cannot be written as JSON: the test's fault.
    pub fn start<F, A, T>(function: F, arguments: &impl Serialize) -> Self
    where
        F: Fn(Call, A) -> T,
        A: DeserializeOwned,
        T: Future<Output = Result<()>> + 'static,
    {
        Self::start_in(&World::default(), function, arguments)
    }

    /// Starts an application on a call of [`TENANT`] in a world that other runs may share.
    ///
    /// # Panics
    /// As for [`Self::start`].
    pub fn start_in<F, A, T>(world: &World, function: F, arguments: &impl Serialize) -> Self
    where
        F: Fn(Call, A) -> T,
        A: DeserializeOwned,
        T: Future<Output = Result<()>> + 'static,
    {
        let arguments = serde_json::to_string(arguments).expect("arguments that JSON can hold");
        Self::begin(world, TENANT, |session| app(function, Call::new(session), &arguments))
    }

    /// Starts a module's task.
    pub fn background<F, T>(world: &World, function: F) -> Self
    where
        F: Fn(Background) -> T,
        T: Future<Output = Result<()>> + 'static,
    {
        Self::begin(world, "", |session| Ok(task(function, Background::new(session))))
    }

    fn begin(
        world: &World,
        tenant: &str,
        begin: impl FnOnce(Rc<Session>) -> Result<Running>,
    ) -> Self {
        let desk = Rc::new(Desk { world: world.clone(), ..Desk::default() });
        let woken = Arc::new(AtomicBool::new(false));
        let host = Box::new(Rc::clone(&desk));
        let remote = Box::new(Flag(Arc::clone(&woken)));
        let now = Moment { now_ns: 0, date_ms: world.date_ms() };
        let task = Task::begin(host, remote, (now, tenant), begin);
        let mut run = Self { task: None, desk, woken, outcome: None };
        match task {
            Ok(task) => {
                run.task = Some(task);
                run.step(Task::poll);
                run.settle();
            }
            Err(error) => run.outcome = Some(Err(error)),
        }
        run
    }

    /// The next thing that the application asked for.
    pub fn next_request(&mut self) -> Option<Request> {
        self.desk.requests.borrow_mut().pop_front()
    }

    /// The next operation that the application started; cancellations before it are passed over.
    pub fn next_operation(&mut self) -> Option<(u64, Operation)> {
        while let Some(request) = self.next_request() {
            if let Request::Start { op, operation } = request {
                return Some((op, operation));
            }
        }
        None
    }

    /// Gives an operation its result.
    ///
    /// # Panics
    /// No result is owed for `op`: the script gives one twice, or to an unknown operation.
    pub fn done(&mut self, op: u64, status: Status, text: &str) {
        let known = {
            let mut owed = self.desk.owed.borrow_mut();
            let at = owed.iter().position(|owed| owed.op == op);
            at.map(|at| owed.remove(at))
        };
        assert!(known.is_some(), "no result is owed for operation {op}");
        if let Some(Operation::MakePrompt { tenant, object, .. }) = known.map(|o| o.operation)
            && status == status::OK
        {
            self.desk.world.make_object(
                &tenant,
                &object,
                text.parse::<u64>().unwrap_or(0).saturating_mul(16),
            );
        }
        self.deliver_done(op, status, text);
        self.settle();
    }

    /// The caller presses a key.
    pub fn digit(&mut self, digit: u8) {
        let finished = {
            let mut owed = self.desk.owed.borrow_mut();
            let now = self.desk.now_ns.get();
            let collecting = owed.iter_mut().find_map(|owed| match owed.operation {
                Operation::CollectDigits { max, timeout_ms, .. } if !owed.cancelled => {
                    Some((owed, max, timeout_ms))
                }
                _ => None,
            });
            match collecting {
                None => Err(()),
                Some((owed, max, timeout_ms)) => {
                    if digit != b'#' {
                        owed.digits.push(char::from(digit));
                        owed.deadline_ns = Some(now.saturating_add(nanos(timeout_ms)));
                    }
                    let full = owed.digits.len() >= usize::from(max);
                    Ok((digit == b'#' || full).then_some(owed.op))
                }
            }
        };
        match finished {
            Ok(Some(op)) => self.ripen(op),
            Ok(None) => {}
            Err(()) => self.event(Event::Digit(digit)),
        }
        self.settle();
    }

    /// Lets time pass: sleeps and collections that end meanwhile end in their order.
    pub fn advance(&mut self, time: Duration) {
        let until = self
            .desk
            .now_ns
            .get()
            .saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        loop {
            let next = {
                let owed = self.desk.owed.borrow();
                let due = owed.iter().filter_map(|owed| Some((owed.deadline_ns?, owed.op)));
                due.filter(|(at, _)| *at <= until).min()
            };
            let Some((at, op)) = next else { break };
            self.desk.now_ns.set(at.max(self.desk.now_ns.get()));
            self.ripen(op);
            self.settle();
        }
        self.desk.now_ns.set(until);
    }

    /// The caller hangs up in the middle of a recording, which is so long then: its operation gets
    /// the result that a server gives it, and the object is there.
    ///
    /// # Panics
    /// Nothing is being recorded.
    pub fn hang_up_recording(&mut self, length: Duration) {
        let recording = self.desk.owed.borrow().iter().find_map(|owed| match &owed.operation {
            Operation::Record { object, .. } => Some((owed.op, object.clone())),
            _ => None,
        });
        let (op, object) = recording.expect("a recording under way");
        let ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        self.desk.world.make_object(TENANT, &object, ms.saturating_mul(8));
        self.desk.owed.borrow_mut().retain(|owed| owed.op != op);
        self.deliver_done(op, status::HANGUP, &ms.to_string());
        self.settle();
        self.hang_up();
    }

    /// The caller hangs up: every operation gets its result, the application hears of it, and is
    /// destroyed.
    pub fn hang_up(&mut self) {
        for round in 0..2 {
            let owed = std::mem::take(&mut *self.desk.owed.borrow_mut());
            for owed in owed {
                self.deliver_done(owed.op, status::HANGUP, "");
            }
            if round == 0 {
                self.event(Event::HangUp);
            }
        }
        self.task = None;
    }

    /// The module's build is being replaced.
    pub fn drain(&mut self) {
        self.event(Event::Drain);
        self.settle();
    }

    /// How the application ended; none while it is at work, or when the caller hung up on it.
    #[must_use]
    pub const fn outcome(&self) -> Option<&Result<()>> {
        self.outcome.as_ref()
    }

    /// Operations whose result is owed.
    #[must_use]
    pub fn owed(&self) -> Vec<u64> {
        self.desk.owed.borrow().iter().map(|owed| owed.op).collect()
    }

    /// What the application logged.
    #[must_use]
    pub fn log(&self) -> Vec<(Level, String)> {
        self.desk.log.borrow().clone()
    }

    /// A sleep or a collection of digits ends.
    fn ripen(&mut self, op: u64) {
        let ended = {
            let mut owed = self.desk.owed.borrow_mut();
            let Some(at) = owed.iter().position(|owed| owed.op == op) else { return };
            owed.remove(at)
        };
        let status = match ended.operation {
            Operation::CollectDigits { min, .. } if ended.digits.len() < usize::from(min) => {
                status::TIMEOUT
            }
            _ => status::OK,
        };
        self.deliver_done(op, status, &ended.digits);
    }

    fn deliver_done(&mut self, op: u64, status: Status, text: &str) {
        let done = Done { status, text: text.to_owned() };
        self.event(Event::OpDone { op, done });
    }

    fn event(&mut self, event: Event) {
        let date_ms = self.desk.world.date_ms();
        let now = Moment { now_ns: self.desk.now_ns.get(), date_ms };
        self.step(|task| task.handle(now, event));
    }

    fn step(&mut self, step: impl FnOnce(&mut Task) -> Poll<Result<()>>) {
        let Some(task) = &mut self.task else { return };
        if let Poll::Ready(outcome) = step(task) {
            self.task = None;
            self.outcome = Some(outcome);
        }
    }

    /// Cancelled operations get their result and wakes are delivered, until there are none.
    fn settle(&mut self) {
        for _ in 0..POLLS {
            let cancelled = {
                let mut owed = self.desk.owed.borrow_mut();
                let at = owed.iter().position(|owed| owed.cancelled);
                at.map(|at| owed.remove(at).op)
            };
            if let Some(op) = cancelled {
                self.deliver_done(op, status::CANCELLED, "");
            } else if self.woken.swap(false, Ordering::AcqRel) {
                self.event(Event::Wake);
            } else {
                return;
            }
        }
        panic!("the application wakes itself without end");
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

const fn nanos(ms: u32) -> u64 {
    ms as u64 * 1_000_000
}
