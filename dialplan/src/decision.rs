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

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The tenant whose call it is; empty when nobody's (unknown number).
    pub tenant: Arc<str>,
    /// The number (its name in the plan) that was called or that the call goes out with.
    pub number: Option<Arc<str>>,
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
        /// The announcement's name in the plan.
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
        /// Its arguments, checked against its schema, as TOML text of one inline table.
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
    /// The SIP status; of a ring step that ended unanswered the switch takes the better of this and
    /// what the phones said.
    pub status: u16,
    /// An announcement played as early media before it.
    pub prompt: Option<PromptRef>,
    /// Why, in one word for CDR and `sim` (`blocked:emergency`, `unknown-number`).
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

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ring { targets, timeout, .. } => {
                write!(f, "ring")?;
                for target in targets {
                    write!(f, " {}", target.device)?;
                    match target.start {
                        Start::After(delay) if delay.is_zero() => {}
                        Start::After(delay) => write!(f, " (after {} s)", delay.as_secs())?,
                        Start::WhenUnreachable => {
                            write!(f, " (when the others cannot be reached)")?
                        }
                    }
                }
                write!(f, " for at most {} s", timeout.as_secs())
            }
            Self::Announce { name, prompt, .. } => write!(f, "announce {name} ({prompt})"),
            Self::Voicemail { mailbox } => write!(f, "voicemail {mailbox}"),
            Self::VoicemailMenu => write!(f, "voicemail menu"),
            Self::Forward(call) => write!(f, "forward to {call}"),
            Self::Trunk(call) => write!(f, "call {call}"),
            Self::Echo => write!(f, "echo"),
            Self::Fax { mailbox } => write!(f, "fax {mailbox}"),
            Self::Conference { room } => write!(f, "conference {room}"),
            Self::Menu { menu } => write!(f, "menu {menu}"),
            Self::Queue { queue } => write!(f, "queue {queue}"),
            Self::Park { slot } => write!(f, "park {}", slot.as_deref().unwrap_or("")),
            Self::Feature { name, argument } => write!(f, "feature {name} {argument}"),
            Self::Module { module, .. } => write!(f, "module {module}"),
            Self::Release(release) => release.fmt(f),
        }
    }
}

impl fmt::Display for TrunkCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.trunks.iter().map(|(_, name)| &**name).collect();
        write!(f, "{} ({}) by {}", self.number, self.class, names.join(", "))?;
        match &self.shown_caller {
            Some(caller) if !self.anonymous => write!(f, ", showing {caller}"),
            _ => write!(f, ", showing no number"),
        }
    }
}

impl fmt::Display for PromptRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.language.is_empty() {
            write!(f, "file {}", self.name)
        } else {
            write!(f, "{}/{}", self.language, self.name)
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "release {} ({})", self.status, self.cause)?;
        match &self.prompt {
            Some(prompt) => write!(f, " after {prompt}"),
            None => Ok(()),
        }
    }
}

impl Decision {
    /// The lines of the explain log and of `sim`: every reason, then every step.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let reasons = self.reasons.iter().map(ToString::to_string);
        let steps = self.steps.iter().map(|step| format!("-> {step}"));
        reasons.chain(steps).chain(std::iter::once(format!("-> {}", self.release)))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.text)
    }
}
