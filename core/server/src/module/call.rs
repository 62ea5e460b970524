//! What the functions of `kk.call/1` mean, once the border has made plain values of their
//! arguments, and what the switch's events are at the border.

use std::sync::Arc;

use koukan_abi::{Status, event, status};
use koukan_base::CallId;
use koukan_switch::{AppEvent, OpStatus, Operation};

use super::desk::Desk;
use crate::limits;

/// Prompts as language and name.
pub(super) type Prompts = Vec<(Arc<str>, Arc<str>)>;

/// A module's way to the books.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) desk: Arc<Desk>,
    /// Which module it is; it reaches its own applications only.
    pub(super) module: usize,
}

impl Caller {
    pub(super) fn start(&self, call: u64, operation: Operation) -> Result<u64, Status> {
        self.desk.start(self.module, call, operation)
    }

    pub(super) fn play(&self, call: u64, prompts: Prompts, times: u32) -> Result<u64, Status> {
        // A prompt without a name would be looked for as a directory.
        if prompts.is_empty() || prompts.iter().any(|(_, name)| name.is_empty()) {
            return Err(status::ARGUMENT);
        }
        self.start(call, Operation::Play { prompts, times })
    }

    pub(super) fn collect(
        &self,
        call: u64,
        min: u8,
        max: u8,
        timeout_ms: u32,
    ) -> Result<u64, Status> {
        if max == 0 || min > max {
            return Err(status::ARGUMENT);
        }
        self.start(call, Operation::CollectDigits { min, max, timeout_ms })
    }

    pub(super) fn hang_up(&self, call: u64, status: u16) -> Result<u64, Status> {
        if !(400..700).contains(&status) {
            return Err(koukan_abi::status::ARGUMENT);
        }
        self.start(call, Operation::HangUp { status })
    }

    pub(super) fn cancel(&self, call: u64, op: u64) -> Result<(), Status> {
        self.desk.cancel(self.module, call, op)
    }

    pub(super) fn explain(&self, call: u64, text: String) -> Result<(), Status> {
        self.desk.explain(self.module, call, text)
    }

    /// The call that the module means.
    pub(super) fn call(&self, call: u64) -> Option<CallId> {
        self.desk.call(self.module, call)
    }

    pub(super) fn wake(&self, call: u64) -> Result<(), Status> {
        self.desk.wake(call)
    }
}

/// What an event of the switch is at the border, but for its text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EventParts {
    pub(super) kind: u32,
    pub(super) status: Status,
    pub(super) op: u64,
    pub(super) digit: u32,
    pub(super) text: Arc<str>,
}

impl EventParts {
    fn new(kind: u32) -> Self {
        Self { kind, status: status::OK, op: 0, digit: 0, text: "".into() }
    }

    pub(crate) fn wake() -> Self {
        Self::new(event::WAKE)
    }
}

impl From<AppEvent> for EventParts {
    fn from(event: AppEvent) -> Self {
        match event {
            AppEvent::OpDone { op, status, text } => {
                Self { status: number(status), op: op.0, text, ..Self::new(event::OP_DONE) }
            }
            AppEvent::Digit(digit) => Self { digit: u32::from(digit), ..Self::new(event::DIGIT) },
            AppEvent::HangUp => Self::new(event::HANG_UP),
            AppEvent::Drain => Self::new(event::DRAIN),
        }
    }
}

/// An operation's end at the border.
const fn number(end: OpStatus) -> Status {
    match end {
        OpStatus::Ok => status::OK,
        OpStatus::Cancelled => status::CANCELLED,
        OpStatus::HangUp => status::HANGUP,
        OpStatus::TimedOut => status::TIMEOUT,
        OpStatus::NotFound => status::NOT_FOUND,
        OpStatus::Unsupported => status::UNSUPPORTED,
        OpStatus::Failed => status::FAILED,
    }
}

/// Whether so many prompts may be played by one operation.
pub(super) const fn fits(prompts: usize) -> bool {
    prompts > 0 && prompts <= limits::MODULE_PROMPTS
}
