//! The call as an application sees it.

use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use crate::Result;
use crate::op::{Op, Operation};
use crate::session::{Level, Session};

/// A prompt: a file of the server's in a language, or of the tenant's when `language` is empty.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// The language, such as `ja`.
    #[serde(default)]
    pub language: String,
    /// The name, such as `closed`.
    pub name: String,
}

impl Prompt {
    /// A prompt of the server's in a language.
    #[must_use]
    pub fn new(language: &str, name: &str) -> Self {
        Self { language: language.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.language.is_empty() {
            return f.write_str(&self.name);
        }
        write!(f, "{}/{}", self.language, self.name)
    }
}

/// The call. It belongs to one thread, and so does everything that holds it:
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<koukan_sdk::Call>();
/// ```
#[derive(Clone)]
pub struct Call {
    session: Rc<Session>,
}

impl Call {
    pub(crate) const fn new(session: Rc<Session>) -> Self {
        Self { session }
    }

    fn op<T>(&self, operation: Operation, read: fn(String) -> T) -> Op<T> {
        Op::new(Rc::clone(&self.session), operation, read)
    }

    /// Answers the caller; done at once when that has happened.
    pub fn answer(&self) -> Op<()> {
        self.op(Operation::Answer, drop)
    }

    /// Opens early media: the caller hears without being answered.
    pub fn early_media(&self) -> Op<()> {
        self.op(Operation::EarlyMedia, drop)
    }

    /// Plays prompts without a gap, `times` times; 0 is for ever.
    pub fn play(&self, prompts: &[Prompt], times: u32) -> Op<()> {
        self.op(Operation::Play { prompts: prompts.to_vec(), times }, drop)
    }

    /// Collects up to `max` digits; ends at `max`, at `#`, or `timeout` after the last one, and
    /// fails with [`Error::TimedOut`](crate::Error::TimedOut) when they are fewer than `min`.
    pub fn collect_digits(&self, min: u8, max: u8, timeout: Duration) -> Op<String> {
        let operation = Operation::CollectDigits { min, max, timeout_ms: milliseconds(timeout) };
        self.op(operation, |digits| digits)
    }

    /// Waits.
    pub fn sleep(&self, time: Duration) -> Op<()> {
        self.op(Operation::Sleep { ms: milliseconds(time) }, drop)
    }

    /// Ends the call; a caller who was not answered hears `sip_status` (400 to 699).
    pub fn hangup(&self, sip_status: u16) -> Op<()> {
        self.op(Operation::HangUp { sip_status }, drop)
    }

    /// The next key that no operation consumes, in ASCII.
    ///
    /// # Errors
    /// [`Error::HangUp`](crate::Error::HangUp): the caller is gone.
    pub async fn next_digit(&self) -> Result<u8> {
        poll_fn(|context| self.session.poll_digit(context)).await
    }

    /// Writes a line to the server's log, with the call's number.
    pub fn log(&self, level: Level, text: &str) {
        self.session.host().log(level, text);
    }

    /// Monotonic time of the event at hand.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.session.now_ns())
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
