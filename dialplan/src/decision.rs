//! What the dialplan answers when a call asks: the steps to take, in order, and the reason of each.
//! Facts in, steps out; nothing here knows a socket, a clock or a registration table.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::decide::TrunkCall;
use crate::live::Change;
use crate::model::boxes::{FaxBox, VoicemailBox};
use crate::model::caps::Cap;
use crate::model::services::{FeatureCode, Menu, Park, Queue, Room};
use crate::read::Action;
use crate::state::State;

/// Who asks for the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A device of a tenant (it has proved its secret).
    Device {
        /// The tenant's id.
        tenant: Arc<str>,
        /// The device's name in the plan (`A`).
        device: Arc<str>,
    },
    /// A trunk, known by its address or registration.
    Trunk {
        /// The tenant that owns the trunk; `None` for a trunk of the whole server.
        tenant: Option<Arc<str>>,
        /// The trunk's name in the plan.
        trunk: Arc<str>,
    },
}

/// The calling party as it came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Its number as dialled here (`0455550001`), when it has one that may be known.
    pub number: Option<Arc<str>>,
    /// It asked for privacy.
    pub anonymous: bool,
    /// Of a device: the number that it wants to be shown as outside (P-Preferred-Identity of RFC
    /// 3325); taken when it may show it.
    pub preferred: Option<Arc<str>>,
    /// Why the module that the office asks about callers refuses it ([`Plans::lookup`]), when it
    /// does.
    ///
    /// [`Plans::lookup`]: crate::Plans::lookup
    pub refused: Option<Arc<str>>,
}

/// Everything a decision depends on besides the plan itself.
pub struct Facts<'a> {
    /// The date and time of the call.
    pub at: Timestamp,
    /// Who asks.
    pub origin: &'a Origin,
    /// The calling party.
    pub caller: &'a Caller,
    /// What was dialled, or the DID that was called: digits, `*`, `#`, a leading `+`.
    pub called: &'a str,
    /// What is true in the switch at this moment.
    pub state: &'a dyn State,
}

/// Which way a call goes, seen from the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From a trunk to a number of the tenant.
    Inbound,
    /// From a device to the outside.
    Outbound,
    /// From a device to a device, a number or a service of this server.
    Internal,
}

impl Direction {
    /// The word in CDRs and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Internal => "internal",
        }
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The tenant whose call it is; empty when nobody's (unknown number).
    pub tenant: Arc<str>,
    /// Which way the call goes.
    pub direction: Direction,
    /// The number (its name in the plan) that was called or that the call goes out with.
    pub number: Option<Arc<str>>,
    /// What rung devices are shown as the caller: the outside number, the extension of a colleague,
    /// the own DID of a neighbour tenant. `None`: anonymous or unknown.
    pub caller: Option<Arc<str>>,
    /// Whether the call occupies a channel of the tenant and the number.
    pub uses_channel: bool,
    /// Who passed the call on within this decision, in order: forwarded numbers and devices.
    pub diverted: Vec<Diversion>,
    /// What to do, one after the other; a step that does not end the call hands on to the next.
    pub steps: Vec<Step>,
    /// How the caller is released when the steps are used up.
    pub release: Release,
    /// The toll-free number that was called, whose office pays (S-97).
    pub toll_free: Option<Arc<str>>,
    /// Whether what is talked is recorded; never a forwarded call (S-75).
    pub record: Option<Recording>,
    /// What happens when the caller turns out to be a fax machine.
    pub fax: Option<FaxRule>,
    /// A cap of `[limits]` that refused a leg: who is told by mail.
    pub alert: Option<Alert>,
    /// One line a rule that was applied, in order.
    pub reasons: Vec<Reason>,
}

/// A number or a device of ours that passes a call on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Diversion {
    /// The DID, or the extension.
    pub number: Arc<str>,
    /// Why.
    pub cause: DiversionCause,
}

/// Why a call is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DiversionCause {
    /// Always.
    Unconditional,
    /// It is busy.
    Busy,
    /// It did not answer in time.
    NoAnswer,
    /// It cannot be reached.
    Unreachable,
}

impl DiversionCause {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Unconditional, Self::Busy, Self::NoAnswer, Self::Unreachable];

    /// The key of the plan.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unconditional => "always",
            Self::Busy => "busy",
            Self::NoAnswer => "no_answer",
            Self::Unreachable => "unreachable",
        }
    }
}

/// A call that is recorded (S-70).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Recording {
    /// When the parties are told (S-74).
    pub notice: Notice,
    /// Only when a party asks for it by the code (`feature_codes.record`).
    pub on_demand: bool,
}

/// When the notice of a recording is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// To the caller, before anything rings.
    Arrival,
    /// At answer.
    Answer,
    /// Never.
    Off,
}

/// What happens to a fax on a number that serves voice too (S-39, S-63).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaxRule {
    /// The box that takes it.
    pub mailbox: Option<Arc<str>>,
    /// The machine on an adapter that takes it live, before the box.
    pub device: Option<Arc<str>>,
    /// How long CNG is listened for after any answer.
    pub listen: Duration,
    /// Answered as a fax when nobody answered for so long.
    pub after: Option<Duration>,
    /// Answer first and listen under ringback; charged to the caller.
    pub answer_early: bool,
    /// The machine that a stored fax is sent on to (S-40).
    pub deliver_to: Option<Arc<str>>,
}

/// A cap that was hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Which one.
    pub cap: Cap,
    /// The receivers of the mail.
    pub receivers: Arc<[Arc<str>]>,
}

/// One thing to do with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ring devices; ends when one answers, when `timeout` has passed, or when none is left.
    Ring {
        /// Whom, and when each begins.
        targets: Vec<RingTarget>,
        /// How long at most.
        timeout: Duration,
        /// The name of the called number, shown on the phones.
        called_name: Option<Arc<str>>,
    },
    /// Play an announcement through the module that fills the role, then go on.
    Announce {
        /// The announcement's name in the plan (`lunch`), or the standard prompt's.
        name: Arc<str>,
        /// What to play.
        prompt: PromptRef,
        /// Answer first (charged to the caller), or play as early media.
        answered: bool,
    },
    /// Leave a message.
    Voicemail {
        /// The box's name in the plan.
        mailbox: Arc<str>,
        /// Its limits.
        spec: Arc<VoicemailBox>,
    },
    /// Listen to one's messages.
    VoicemailMenu {
        /// The boxes of the calling device, its own number's first.
        mailboxes: Vec<Arc<str>>,
    },
    /// Send the call outside, showing the own number.
    Forward(TrunkCall),
    /// Send the call outside.
    Trunk(TrunkCall),
    /// A device that was rung has its calls go on, if it failed for one of these reasons: ask for
    /// each target as [`Asker::Forward`](crate::Asker::Forward) of the device.
    Divert {
        /// The device's name in the plan.
        device: Arc<str>,
        /// Its extension, which the diversion is told by.
        extension: Arc<str>,
        /// Where to when it was busy.
        busy: Option<Arc<str>>,
        /// Where to when it did not answer.
        no_answer: Option<Arc<str>>,
        /// Where to when it could not be reached.
        unreachable: Option<Arc<str>>,
    },
    /// Give the caller its own voice back.
    Echo,
    /// Receive a fax.
    Fax {
        /// The fax box's name in the plan.
        mailbox: Arc<str>,
        /// Its limits.
        spec: Arc<FaxBox>,
    },
    /// Call phones that shall answer by themselves.
    Page {
        /// Whom, all at once.
        targets: Vec<RingTarget>,
        /// One phone, as a call; else all of them hear the caller, and nobody hears them.
        talk: bool,
    },
    /// Join a conference room.
    Conference {
        /// The room's name in the plan.
        room: Arc<str>,
        /// What the plan says of it.
        spec: Arc<Room>,
    },
    /// Play a menu.
    Menu {
        /// The menu's name in the plan.
        menu: Arc<str>,
        /// What the plan says of it.
        spec: Arc<Menu>,
    },
    /// Wait in a queue.
    Queue {
        /// The queue's name in the plan.
        queue: Arc<str>,
        /// What the plan says of it.
        spec: Arc<Queue>,
    },
    /// Park the caller.
    Park {
        /// The slot, or the first free one.
        slot: Option<Arc<str>>,
        /// The slots, and how long a call waits in one.
        spec: Arc<Park>,
    },
    /// Take changes of live settings that a feature code stands for; the confirmation is the next
    /// step.
    Set {
        /// In this order.
        changes: Vec<Change>,
    },
    /// Run a feature code (park, pickup, recording).
    Feature {
        /// Which.
        feature: FeatureCode,
        /// What was dialled behind the code.
        argument: Arc<str>,
    },
    /// Run a loaded module's application.
    Module {
        /// The module's name.
        module: Arc<str>,
        /// The application within it.
        application: Arc<str>,
        /// Its arguments as the text of one JSON object.
        arguments: Arc<str>,
    },
    /// Do a step that a module drives; when the module fails, go on by another way instead of the
    /// rest of the steps.
    Guarded {
        /// What to do.
        step: Box<Step>,
        /// The way on, for [`Plans::go_on`](crate::Plans::go_on).
        on_error: Way,
    },
    /// Release the caller at once.
    Release(Release),
}

/// A way on that the plan names and that is taken later, if ever: the key of a menu, the overflow
/// of a queue, the return of a parked call. It belongs to the generation of the plan that the call
/// was decided by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    pub(crate) action: Arc<Action>,
}

impl Way {
    pub(crate) fn new(action: Action) -> Self {
        Self { action: Arc::new(action) }
    }

    /// The action in a few words, for logs.
    #[must_use]
    pub fn words(&self) -> String {
        self.action.what.to_string()
    }
}

/// A device to ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingTarget {
    /// The device's name in the plan.
    pub device: Arc<str>,
    /// The SIP user it registers as.
    pub user: Arc<str>,
    /// When its ringing begins.
    pub start: Start,
}

/// When a ring target begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// So long after the step began.
    After(Duration),
    /// When no target that began earlier can be reached (`step = "never"`).
    WhenUnreachable,
}

/// A prompt: of the server by name, or a file of the tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PromptRef {
    /// Language of a server prompt (`ja`); empty for a file.
    pub language: Arc<str>,
    /// The prompt's name (`closed`), or the file's path below the tenant's directory.
    pub name: Arc<str>,
}

/// How a caller is released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The SIP status of a caller who was not answered; of a ring or trunk step that ended
    /// unanswered the switch takes the better of this and what the other side said.
    pub status: u16,
    /// An announcement played as early media before it.
    pub prompt: Option<PromptRef>,
    /// Why, as one word for CDR and `sim` (`blocked:emergency`, `unknown-number`).
    pub cause: Arc<str>,
}

/// One rule that was applied: which, and what it made of the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The place in the plan (`number.number1.mode`), or the rule's name.
    pub rule: Arc<str>,
    /// What it said, in a sentence.
    pub text: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.text)
    }
}
