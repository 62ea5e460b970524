//! What the functions of `kk.call/1` mean, once the border has made plain values of their
//! arguments, and what the switch's events are at the border.

use std::sync::Arc;

use koukan_abi::{OBJECTS, Status, event, status};
use koukan_base::CallId;
use koukan_switch::{AppEvent, ModuleRequest, OBJECT, OpStatus, Operation};

use super::desk::Desk;
use super::jobs::Jobs;
use super::metrics::Metrics;
use super::shelf::{Of, Shelf, is_plain};
use crate::limits;

/// Prompts as language and name.
pub(super) type Prompts = Vec<(Arc<str>, Arc<str>)>;

/// A module's way to the books.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) desk: Arc<Desk>,
    /// The build's number; it reaches its own applications only.
    pub(super) module: usize,
    /// Its name, by which it keeps things.
    pub(super) name: String,
    /// Its options, as one JSON object.
    pub(super) options: String,
    pub(super) shelf: Arc<Shelf>,
    pub(super) jobs: Arc<Jobs>,
    pub(super) metrics: Metrics,
}

/// What the configuration lets a module use beyond the log.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Grants {
    pub(super) call: bool,
    pub(super) store: bool,
    pub(super) mail: bool,
    pub(super) worker: bool,
    pub(super) audio: bool,
}

/// A mail that a module orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mail {
    pub(crate) tenant: String,
    pub(crate) id: String,
    pub(crate) to: Vec<String>,
    pub(crate) subject: String,
    pub(crate) text: String,
    /// Empty: nothing is attached.
    pub(crate) object: String,
    pub(crate) file_name: String,
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
        let prompts = prompts.into_iter().map(|prompt| self.prompt(call, prompt));
        let prompts = prompts.collect::<Result<Prompts, Status>>()?;
        self.start(call, Operation::Play { prompts, times })
    }

    /// An object of the module's becomes the file that it is.
    fn prompt(
        &self,
        call: u64,
        prompt: (Arc<str>, Arc<str>),
    ) -> Result<(Arc<str>, Arc<str>), Status> {
        if &*prompt.0 != OBJECTS {
            return Ok(prompt);
        }
        let tenant = self.desk.tenant(self.module, call).ok_or(status::NOT_FOUND)?;
        let of = Of { module: &self.name, tenant: &tenant };
        let path = self.shelf.object(of, &prompt.1)?;
        let path = path.to_str().ok_or(status::ARGUMENT)?;
        // The switch takes this path as it is: it was made here, out of a checked name.
        Ok((OBJECT.into(), path.into()))
    }

    /// Begins a recording into an object.
    pub(super) fn record(
        &self,
        call: u64,
        object: &str,
        (max_ms, silence_ms): (u32, u32),
        keys: &str,
    ) -> Result<u64, Status> {
        let is_key = |byte: u8| byte.is_ascii_digit() || b"ABCD*#".contains(&byte);
        if !keys.bytes().all(is_key) {
            return Err(status::ARGUMENT);
        }
        let tenant = self.desk.tenant(self.module, call).ok_or(status::NOT_FOUND)?;
        let of = Of { module: &self.name, tenant: &tenant };
        let path = self.shelf.object(of, object)?;
        let path = path.to_str().ok_or(status::ARGUMENT)?.into();
        self.start(call, Operation::Record { path, max_ms, silence_ms, keys: keys.into() })
    }

    /// How many messages wait in a mailbox.
    pub(super) fn set_messages(
        &self,
        tenant: Arc<str>,
        mailbox: Arc<str>,
        new: u32,
        old: u32,
    ) -> Result<(), Status> {
        self.desk.check_thread()?;
        self.desk.request(ModuleRequest::Messages { tenant, mailbox, new, old });
        Ok(())
    }

    /// Does something with what the module keeps for a tenant.
    pub(super) fn keep<T>(
        &self,
        tenant: &str,
        what: impl FnOnce(&Shelf, Of<'_>) -> Result<T, Status>,
    ) -> Result<T, Status> {
        self.desk.check_thread()?;
        what(&self.shelf, Of { module: &self.name, tenant })
    }

    /// Queues a mail.
    pub(super) fn send_mail(&self, mail: &Mail) -> Result<(), Status> {
        self.desk.check_thread()?;
        if !is_plain(&mail.id) || mail.tenant.is_empty() {
            return Err(status::ARGUMENT);
        }
        self.shelf.queue_mail(&self.name, mail)
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
