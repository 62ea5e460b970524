//! What the dialplan answers when a call asks: the steps to take, in order, and the reason of each.
//! Facts in, steps out; nothing here knows a socket, a clock or a registration table.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

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

/// What is true in the switch (or in a simulation) at the moment of a decision.
pub trait State {
    /// Whether a phone is registered on the device.
    fn reachable(&self, tenant: &str, device: &str) -> bool;
    /// Channels of the tenant in use (calls with outside, as DIALPLAN counts them).
    fn tenant_channels(&self, tenant: &str) -> u32;
    /// Channels in use by calls with this number.
    fn number_channels(&self, tenant: &str, number: &str) -> u32;
    /// Channels of the trunk in use.
    fn trunk_channels(&self, tenant: Option<&str>, trunk: &str) -> u32;
}

/// A quiet exchange: every device reachable, no channel in use. What `check` evaluates
/// expectations against, and what `sim` assumes unless it is told otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Idle;

impl State for Idle {
    fn reachable(&self, _tenant: &str, _device: &str) -> bool {
        true
    }
    fn tenant_channels(&self, _tenant: &str) -> u32 {
        0
    }
    fn number_channels(&self, _tenant: &str, _number: &str) -> u32 {
        0
    }
    fn trunk_channels(&self, _tenant: Option<&str>, _trunk: &str) -> u32 {
        0
    }
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
    /// What to do, one after the other; a step that does not end the call hands on to the next.
    pub steps: Vec<Step>,
    /// How the caller is released when the steps are used up.
    pub release: Release,
    /// One line a rule that was applied, in order.
    pub reasons: Vec<Reason>,
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
    },
    /// Listen to one's messages.
    VoicemailMenu,
    /// Send the call outside by the forwarding module, showing the own number.
    Forward(TrunkCall),
    /// Send the call outside.
    Trunk(TrunkCall),
    /// Give the caller its own voice back.
    Echo,
    /// Receive a fax.
    Fax {
        /// The fax box's name in the plan.
        mailbox: Arc<str>,
    },
    /// Join a conference room.
    Conference {
        /// The room's name in the plan.
        room: Arc<str>,
    },
    /// Play a menu.
    Menu {
        /// The menu's name in the plan.
        menu: Arc<str>,
    },
    /// Wait in a queue.
    Queue {
        /// The queue's name in the plan.
        queue: Arc<str>,
    },
    /// Park the caller.
    Park {
        /// The slot, or the first free one.
        slot: Option<Arc<str>>,
    },
    /// Run a feature code (park, pickup, night key ...).
    Feature {
        /// Its name in the plan.
        name: Arc<str>,
        /// What was dialled behind the code.
        argument: Arc<str>,
    },
    /// Run a loaded module's application.
    Module {
        /// The module's name.
        module: Arc<str>,
        /// Its arguments as the text of one JSON object.
        arguments: Arc<str>,
        /// What is done when the module fails.
        on_error: Option<Box<Step>>,
    },
    /// Release the caller at once.
    Release(Release),
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

/// A leg to the outside, already through the outbound gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkCall {
    /// The trunks to try in order: owner tenant (`None`: of the server) and name.
    pub trunks: Vec<(Option<Arc<str>>, Arc<str>)>,
    /// The number to call as the trunk wants it.
    pub number: Arc<str>,
    /// The caller number to show (a DID), when one may be shown.
    pub shown_caller: Option<Arc<str>>,
    /// Ask the network to hide the caller number (184).
    pub anonymous: bool,
    /// The class of the number (`mobile`), for caps and rates.
    pub class: Arc<str>,
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
