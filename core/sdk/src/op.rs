//! An operation on a call as a future: started at its first poll, cancelled when it is dropped.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use koukan_abi::{Status, status};

use crate::call::HUNG_UP;
use crate::session::{Done, Session};
use crate::{Error, Prompt, Result, Sound};

/// What can be asked of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Answer the caller.
    Answer,
    /// Open early media.
    EarlyMedia,
    /// Play prompts.
    Play {
        /// Which, in order.
        prompts: Vec<Prompt>,
        /// How often; 0 is for ever.
        times: u32,
    },
    /// Collect digits.
    CollectDigits {
        /// At least so many.
        min: u8,
        /// At most so many.
        max: u8,
        /// The longest silence between two.
        timeout_ms: u32,
    },
    /// Wait.
    Sleep {
        /// How long.
        ms: u32,
    },
    /// Record the caller.
    Record {
        /// The object to be made.
        object: String,
        /// The longest that it may be; 0 is for ever.
        max_ms: u32,
        /// So much silence ends it; 0 is none.
        silence_ms: u32,
        /// Keys that end it.
        keys: String,
    },
    /// Let the call go on to a number.
    Dial {
        /// Which.
        number: String,
    },
    /// Dial a second party for the caller.
    Bridge {
        /// Which.
        number: String,
        /// The longest that it may ring; 0 is as the plan says.
        ring_ms: u32,
        /// The longest that both may talk; 0 is for ever.
        max_ms: u32,
        /// Keys of the caller that bring it back.
        keys: String,
    },
    /// Make a sound fit to be played.
    MakePrompt {
        /// The tenant whose objects are meant.
        tenant: String,
        /// The sound.
        from: Sound,
        /// The usual extension of such a file, or empty.
        kind: String,
        /// The object to be made.
        object: String,
    },
    /// End the call.
    HangUp {
        /// What a caller hears who was not answered.
        sip_status: u16,
    },
}

impl Operation {
    /// In words that follow "to".
    const fn words(&self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::EarlyMedia => "open early media",
            Self::Play { .. } => "play",
            Self::CollectDigits { .. } => "collect digits",
            Self::Sleep { .. } => "wait",
            Self::Record { .. } => "record",
            Self::Dial { .. } => "dial",
            Self::Bridge { .. } => "put through",
            Self::MakePrompt { .. } => "make a prompt",
            Self::HangUp { .. } => "hang up",
        }
    }

    pub(crate) const fn refused(&self, status: Status) -> Error {
        match status {
            status::HANGUP => Error::HangUp,
            status::UNSUPPORTED => Error::Unsupported(self.words()),
            status => Error::Refused { what: self.words(), status },
        }
    }

    /// What its result says.
    fn result(&self, done: Done) -> Result<String> {
        let Done { status, text } = done;
        let or = |default: &str| if text.is_empty() { default.to_owned() } else { text.clone() };
        match status {
            status::OK => Ok(text),
            // A message usually ends with its call, and is there all the same.
            status::HANGUP if matches!(self, Self::Record { .. }) && !text.is_empty() => {
                Ok(format!("{HUNG_UP}{text}"))
            }
            status::CANCELLED => Err(Error::Cancelled),
            status::HANGUP => Err(Error::HangUp),
            status::TIMEOUT => Err(Error::TimedOut),
            status::NOT_FOUND => Err(Error::NotFound(match self {
                Self::Play { prompts, .. } => prompt_names(prompts, &text),
                _ => or("what was named"),
            })),
            status::UNSUPPORTED => Err(Error::Unsupported(self.words())),
            status => {
                let what = self.words();
                let why = or(status::words(status));
                Err(Error::Failed(format!("the call could not {what}: {why}")))
            }
        }
    }
}

/// Names what was not found: the host's word for it, else every candidate.
fn prompt_names(prompts: &[Prompt], text: &str) -> String {
    if !text.is_empty() {
        return format!("prompt {text}");
    }
    let names: Vec<String> = prompts.iter().map(ToString::to_string).collect();
    match names.as_slice() {
        [only] => format!("prompt {only}"),
        several => format!("one of the prompts {}", several.join(", ")),
    }
}

/// An operation: starts when it is first polled, and is cancelled when it is dropped before its
/// result. Polled once more after its result it stays pending.
#[must_use = "an operation starts when it is awaited"]
pub struct Op<T> {
    session: Rc<Session>,
    operation: Operation,
    state: State,
    read: fn(String) -> T,
}

enum State {
    New,
    Running(u64),
    Over,
}

impl<T> Op<T> {
    pub(crate) const fn new(
        session: Rc<Session>,
        operation: Operation,
        read: fn(String) -> T,
    ) -> Self {
        Self { session, operation, state: State::New, read }
    }
}

impl<T> Future for Op<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        match this.state {
            State::New => match this.session.start(&this.operation, context.waker()) {
                Ok(op) => {
                    this.state = State::Running(op);
                    Poll::Pending
                }
                Err(error) => {
                    this.state = State::Over;
                    Poll::Ready(Err(error))
                }
            },
            State::Running(op) => {
                let Poll::Ready(done) = this.session.poll_done(op, context.waker()) else {
                    return Poll::Pending;
                };
                this.state = State::Over;
                Poll::Ready(this.operation.result(done).map(this.read))
            }
            State::Over => Poll::Pending,
        }
    }
}

impl<T> Drop for Op<T> {
    fn drop(&mut self) {
        if let State::Running(op) = self.state {
            self.session.abandon(op);
        }
    }
}

impl<T> fmt::Debug for Op<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Op").field("operation", &self.operation).finish_non_exhaustive()
    }
}
