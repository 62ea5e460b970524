//! The switch's side of the module border (`kk.call/1`), as plain data. The host translates between
//! this and the C ABI; a module's application instance is the switch's peer for one call.

pub(crate) mod bridge;
pub(crate) mod recording;
mod run;
pub(crate) mod voicemail;

use std::sync::Arc;

use koukan_base::{CallId, OpId};
use koukan_dialplan::CallerQuestion;

/// The "language" of a prompt that is a file by its absolute path. The host alone gives it, for the
/// objects that a module has made: no plan and no module can name a path of its own.
pub const OBJECT: &str = "kk:objects";

/// A running application: one module's code for one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub u64);

/// What the switch orders from the host. All on the control thread.
#[derive(Clone, Debug, PartialEq)]
pub enum ModuleOrder {
    /// Create an instance and start it. The host answers with [`ModuleRequest::Ended`] when the
    /// application is done or could not start; until then operations may come.
    Start {
        /// The number that the switch minted.
        instance: InstanceId,
        /// The call it serves.
        call: CallId,
        /// Whose call it is.
        tenant: Arc<str>,
        /// The role (`announcements`) or module name that the dialplan gave.
        module: Arc<str>,
        /// The application within the module; the role's name for a role.
        application: Arc<str>,
        /// Arguments as one JSON object, checked against the module's schema.
        arguments: Arc<str>,
    },
    /// Give the instance an event. An unknown instance is ignored (it has ended meanwhile).
    Event {
        /// The instance.
        instance: InstanceId,
        /// What happened.
        event: AppEvent,
    },
    /// Destroy the instance (the call is over, or the switch ends it).
    Destroy {
        /// The instance.
        instance: InstanceId,
    },
    /// Ask a module about a caller. The host answers with one [`ModuleRequest::Answered`]; the
    /// switch waits no longer than it says, whether that comes or not.
    Ask {
        /// The number that the switch minted.
        lookup: LookupId,
        /// What, by whom and until when.
        question: Box<CallerQuestion>,
    },
}

/// A question to a module under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupId(pub u64);

/// What a module knows of a caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The name that phones show.
    pub name: Option<Arc<str>>,
    /// Why it is to be refused.
    pub refuse: Option<Arc<str>>,
}

/// What an application hears.
#[derive(Clone, Debug, PartialEq)]
pub enum AppEvent {
    /// The one result of an operation it started.
    OpDone {
        /// Which.
        op: OpId,
        /// How it ended.
        status: OpStatus,
        /// The result (digits collected), or an explanation.
        text: Arc<str>,
    },
    /// The caller pressed a key that no operation consumed.
    Digit(u8),
    /// The caller is gone; every operation under way has had its result.
    HangUp,
    /// The build is being replaced; finish early if the task allows it.
    Drain,
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpStatus {
    /// As asked.
    Ok,
    /// Cancelled by the module.
    Cancelled,
    /// The call ended first.
    HangUp,
    /// Nothing came in time (digits).
    TimedOut,
    /// The thing named does not exist (a prompt).
    NotFound,
    /// The host does not do this.
    Unsupported,
    /// It went wrong on our side.
    Failed,
}

/// What an application asks of the call.
#[derive(Clone, Debug, PartialEq)]
pub enum ModuleRequest {
    /// Start an operation; exactly one `OpDone` is owed, never from inside this call.
    Start {
        /// Who asks.
        instance: InstanceId,
        /// The host's number of the operation, unique within the instance.
        op: OpId,
        /// What to do.
        operation: Operation,
    },
    /// Cancel an operation; its `OpDone` is still owed.
    Cancel {
        /// Who asks.
        instance: InstanceId,
        /// Which.
        op: OpId,
    },
    /// So many messages wait in a mailbox of the plan. From a module's task, of no call.
    Messages {
        /// Whose mailbox it is.
        tenant: Arc<str>,
        /// Its name in the plan.
        mailbox: Arc<str>,
        /// Messages that were not heard yet.
        new: u32,
        /// Those that were heard and kept.
        old: u32,
    },
    /// What a module knows; nothing when it does not know the caller.
    Answered {
        /// Which question.
        lookup: LookupId,
        /// `Err`: why nobody can say.
        answer: Result<Option<Found>, Arc<str>>,
    },
    /// The application returned, failed, or panicked; the instance is gone.
    Ended {
        /// Which.
        instance: InstanceId,
        /// `Ok`, or the failure in words; the dialplan goes on at `on_error` then.
        result: Result<(), Arc<str>>,
    },
}

/// The operations of `kk.call/1` that the switch executes today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Answer the caller (200); at once `Ok` when it is answered already.
    Answer,
    /// Open early media (183 with SDP); at once `Ok` when media flows already.
    EarlyMedia,
    /// Play prompts to the caller: `language` empty means a file of the tenant, [`OBJECT`] a file
    /// by its absolute path.
    Play {
        /// Names, played in order.
        prompts: Vec<(Arc<str>, Arc<str>)>,
        /// How often; 0 is for ever.
        times: u32,
    },
    /// Collect up to `max` digits; ends at `max`, at `#`, or after `timeout_ms` without a digit.
    CollectDigits {
        /// At least so many, else `TimedOut`.
        min: u8,
        /// At most so many.
        max: u8,
        /// The longest silence between digits.
        timeout_ms: u32,
    },
    /// Wait.
    Sleep {
        /// How long.
        ms: u32,
    },
    /// Let the call go on to a number, decided as if its device had dialled it. `Ok`, and the
    /// application is over; `Failed` with the reason when the plan refuses.
    Dial {
        /// What to dial.
        number: Arc<str>,
    },
    /// Dial a second party, decided as if the caller's device had dialled it, and let both talk;
    /// the application goes on with its caller behind that. `Ok` with what came of it.
    Bridge(Bridge),
    /// Record what the caller says into a WAV file; the result's text is its length in ms. Ends
    /// at `max_ms`, after `silence_ms` of silence (0 of either: never), or by a key of `keys`.
    Record {
        /// The file, absolute.
        path: Arc<str>,
        /// The longest that it may be.
        max_ms: u32,
        /// So much silence ends it.
        silence_ms: u32,
        /// Keys that end it.
        keys: Arc<str>,
    },
    /// End the call with this SIP status (200: BYE after answer).
    HangUp {
        /// The status shown when the call was not answered.
        status: u16,
    },
}

/// A second party that is dialled for the caller. The result's text is `talked HOW MS` (HOW:
/// `party`, `time` or `key-K`), `busy STATUS`, `declined STATUS`, `no-answer STATUS`, `unreachable
/// STATUS`, `failed STATUS`, `refused CAUSE`, or `key-K` before an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// What to dial.
    pub number: Arc<str>,
    /// The longest that it may ring, in ms; 0: as long as the plan says.
    pub ring_ms: u32,
    /// The longest that both may talk, in ms; 0: for ever.
    pub max_ms: u32,
    /// Keys of the caller that bring it back.
    pub keys: Arc<str>,
}
