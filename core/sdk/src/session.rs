//! One application's side of its call: what it has under way, and what came for it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use koukan_abi::{Status, status};

use crate::op::Operation;
use crate::services::Services;
use crate::{Error, Result};

/// How important a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Somebody must act.
    Error,
    /// Somebody should look.
    Warn,
    /// What happened.
    Info,
    /// For whoever hunts a fault.
    Debug,
}

/// What a session orders from its host; the real one stands in `border`, the other in `fake`.
pub(crate) trait Host: Services {
    /// Starts an operation.
    fn start(&self, operation: &Operation) -> std::result::Result<u64, Status>;
    /// Cancels one.
    fn cancel(&self, op: u64);
    /// Writes a line.
    fn log(&self, level: Level, text: &str);
}

/// What comes from the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The one result of an operation.
    OpDone { op: u64, done: Done },
    /// A key that no operation consumed.
    Digit(u8),
    /// The caller is gone.
    HangUp,
    /// The build is being replaced.
    Drain,
    /// Nothing but a reason to poll: a waker's, or one that this version does not know.
    Wake,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) status: Status,
    pub(crate) text: String,
}

/// An operation under way.
struct Slot {
    op: u64,
    state: SlotState,
}

enum SlotState {
    Waiting(Option<Waker>),
    Done(Done),
}

/// Keys that wait for the application; a caller who presses more is ahead of any menu.
const DIGITS: usize = 64;

/// One application's side of its call.
pub(crate) struct Session {
    host: Box<dyn Host>,
    slots: RefCell<Vec<Slot>>,
    digits: RefCell<VecDeque<u8>>,
    digit_waker: RefCell<Option<Waker>>,
    hung_up: Cell<bool>,
    drains: Cell<bool>,
    drain_waker: RefCell<Option<Waker>>,
    now: Cell<Moment>,
    tenant: String,
}

/// The time of an event, by both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Monotonic time.
    pub(crate) now_ns: u64,
    /// The server's date, in ms since 1970; 0 from a host that does not tell.
    pub(crate) date_ms: i64,
}

impl Session {
    pub(crate) fn new(host: Box<dyn Host>, now: Moment, tenant: String) -> Self {
        Self {
            host,
            slots: RefCell::default(),
            digits: RefCell::default(),
            digit_waker: RefCell::default(),
            hung_up: Cell::new(false),
            drains: Cell::new(false),
            drain_waker: RefCell::default(),
            now: Cell::new(now),
            tenant,
        }
    }

    pub(crate) fn host(&self) -> &dyn Host {
        &*self.host
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.now.get().now_ns
    }

    pub(crate) fn date_ms(&self) -> i64 {
        self.now.get().date_ms
    }

    /// The number of a counter or gauge; none is told in the log.
    pub(crate) fn metric(&self, counts: bool, name: &str, help: &str) -> Option<u32> {
        match self.host.metric(counts, name, help) {
            Ok(number) => Some(number),
            // An older host counts nothing.
            Err(status::UNSUPPORTED) => None,
            Err(refused) => {
                let why = status::words(refused);
                self.host.log(Level::Warn, &format!("the metric {name} is not counted: {why}"));
                None
            }
        }
    }

    pub(crate) fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Takes an event in; the task is polled after it.
    pub(crate) fn handle(&self, now: Moment, event: Event) {
        self.now.set(Moment { now_ns: now.now_ns.max(self.now_ns()), ..now });
        match event {
            Event::OpDone { op, done } => {
                // A cancelled operation's slot is gone: nobody waits for its result.
                let mut slots = self.slots.borrow_mut();
                let Some(slot) = slots.iter_mut().find(|slot| slot.op == op) else { return };
                let before = std::mem::replace(&mut slot.state, SlotState::Done(done));
                drop(slots);
                if let SlotState::Waiting(Some(waker)) = before {
                    waker.wake();
                }
            }
            Event::Digit(digit) => {
                let mut digits = self.digits.borrow_mut();
                if digits.len() < DIGITS {
                    digits.push_back(digit);
                }
                drop(digits);
                self.wake_digit();
            }
            Event::HangUp => {
                self.hung_up.set(true);
                self.wake_digit();
            }
            Event::Drain => {
                self.drains.set(true);
                let waker = self.drain_waker.borrow_mut().take();
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Event::Wake => {}
        }
    }

    /// Starts an operation; its slot waits for the result.
    pub(crate) fn start(&self, operation: &Operation, waker: &Waker) -> Result<u64> {
        if self.hung_up.get() {
            return Err(Error::HangUp);
        }
        let op = self.host.start(operation).map_err(|status| operation.refused(status))?;
        let state = SlotState::Waiting(Some(waker.clone()));
        let mut slots = self.slots.borrow_mut();
        // Nearly always one: a vector that grows by itself makes room for four.
        slots.reserve_exact(1);
        slots.push(Slot { op, state });
        drop(slots);
        Ok(op)
    }

    /// The result of an operation, when it is there; it is gone then.
    pub(crate) fn poll_done(&self, op: u64, waker: &Waker) -> Poll<Done> {
        let mut slots = self.slots.borrow_mut();
        let Some(at) = slots.iter().position(|slot| slot.op == op) else { return Poll::Pending };
        if let Some(Slot { state: SlotState::Waiting(waiting), .. }) = slots.get_mut(at) {
            if !waiting.as_ref().is_some_and(|known| known.will_wake(waker)) {
                *waiting = Some(waker.clone());
            }
            return Poll::Pending;
        }
        match slots.swap_remove(at).state {
            SlotState::Done(done) => Poll::Ready(done),
            SlotState::Waiting(_) => Poll::Pending,
        }
    }

    /// Nobody waits for this operation any more.
    pub(crate) fn abandon(&self, op: u64) {
        let mut slots = self.slots.borrow_mut();
        let Some(at) = slots.iter().position(|slot| slot.op == op) else { return };
        let slot = slots.swap_remove(at);
        drop(slots);
        if matches!(slot.state, SlotState::Waiting(_)) {
            self.host.cancel(op);
        }
    }

    pub(crate) fn poll_digit(&self, context: &Context<'_>) -> Poll<Result<u8>> {
        if let Some(digit) = self.digits.borrow_mut().pop_front() {
            return Poll::Ready(Ok(digit));
        }
        if self.hung_up.get() {
            return Poll::Ready(Err(Error::HangUp));
        }
        *self.digit_waker.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }

    pub(crate) fn poll_drain(&self, context: &Context<'_>) -> Poll<()> {
        if self.drains.get() {
            return Poll::Ready(());
        }
        *self.drain_waker.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }

    fn wake_digit(&self) {
        let waker = self.digit_waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
