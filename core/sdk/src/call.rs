//! The call as an application sees it.

use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use serde::de::DeserializeOwned;

#[cfg(doc)]
use crate::Error;
use crate::Result;
use crate::job::Blocking;
use crate::op::{Op, Operation};
use crate::services::{self, Store};
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
    /// An object of the module's own: a recording that it made.
    #[must_use]
    pub fn object(name: &str) -> Self {
        Self::new(koukan_abi::OBJECTS, name)
    }

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

/// What became of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// How long it is.
    pub length: Duration,
    /// The caller has hung up: nothing more can be asked of the call.
    pub hung_up: bool,
}

impl Recorded {
    /// From the result's text, which the operation marks when it ended with the call.
    fn read(text: &str) -> Self {
        let ms = text.trim_start_matches(HUNG_UP).parse().unwrap_or(0);
        Self { length: Duration::from_millis(ms), hung_up: text.starts_with(HUNG_UP) }
    }
}

/// The mark of a recording that ended with its call.
pub(crate) const HUNG_UP: char = 'h';

/// The call. It belongs to one thread, and so does everything that holds it:
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<koukan_sdk::Call>();
/// ```
#[derive(Clone)]
pub struct Call {
    pub(crate) session: Rc<Session>,
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
    /// fails with [`Error::TimedOut`] when they are fewer than `min`.
    pub fn collect_digits(&self, min: u8, max: u8, timeout: Duration) -> Op<String> {
        let operation = Operation::CollectDigits { min, max, timeout_ms: milliseconds(timeout) };
        self.op(operation, |digits| digits)
    }

    /// Waits.
    pub fn sleep(&self, time: Duration) -> Op<()> {
        self.op(Operation::Sleep { ms: milliseconds(time) }, drop)
    }

    /// Records what the caller says into an object of the module's own. It ends when the caller
    /// hangs up, which is no error here, after `most`, after so much silence, or by one of the
    /// keys.
    pub fn record(
        &self,
        object: &str,
        most: Duration,
        silence: Duration,
        keys: &str,
    ) -> Op<Recorded> {
        let operation = Operation::Record {
            object: object.to_owned(),
            max_ms: milliseconds(most),
            silence_ms: milliseconds(silence),
            keys: keys.to_owned(),
        };
        self.op(operation, |text| Recorded::read(&text))
    }

    /// Lets the call go on to a number, as if its device had dialled it. The application is over
    /// then; it goes on with [`Error::Failed`] when the plan refuses the number.
    pub fn dial(&self, number: &str) -> Op<()> {
        self.op(Operation::Dial { number: number.to_owned() }, drop)
    }

    /// Ends the call; a caller who was not answered hears `sip_status` (400 to 699).
    pub fn hangup(&self, sip_status: u16) -> Op<()> {
        self.op(Operation::HangUp { sip_status }, drop)
    }

    /// The next key that no operation consumes, in ASCII.
    ///
    /// # Errors
    /// [`Error::HangUp`]: the caller is gone.
    pub async fn next_digit(&self) -> Result<u8> {
        poll_fn(|context| self.session.poll_digit(context)).await
    }

    /// Does something that may block, a file or another service, on a thread of the host's, and
    /// waits for it (`grants = ["worker"]`). Dropped before its end it goes on, and nobody hears of
    /// it. Nothing of the call can be used in it.
    ///
    /// Fails with [`Error::Refused`] when too much waits for a thread, and with [`Error::Failed`]
    /// when it panicked.
    pub fn blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Blocking<T> {
        Blocking::new(Rc::clone(&self.session), job)
    }

    /// The module's own options: `[module.NAME] options` of the server's file.
    ///
    /// # Errors
    /// They are not what `T` takes. Say in the module's `schema`, in the table `kk.config/1`, what
    /// they may hold, and the server refuses any other before it loads the module.
    pub fn options<T: DeserializeOwned>(&self) -> Result<T> {
        services::options(&self.session)
    }

    /// Waits until the module's build is being replaced: an application that has nothing to lose
    /// ends then, since past the drain time the host ends it.
    pub async fn drained(&self) {
        poll_fn(|context| self.session.poll_drain(context)).await;
    }

    /// Writes a line to the server's log, with the call's number.
    pub fn log(&self, level: Level, text: &str) {
        self.session.host().log(level, text);
    }

    /// Whose call it is; empty from a host that does not tell.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.session.tenant()
    }

    /// What the module keeps for the call's tenant.
    #[must_use]
    pub fn store(&self) -> Store {
        Store::new(Rc::clone(&self.session), self.session.tenant())
    }

    /// The server's date at the event at hand, in ms since 1970.
    #[must_use]
    pub fn date_ms(&self) -> i64 {
        self.session.date_ms()
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

pub(crate) fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
