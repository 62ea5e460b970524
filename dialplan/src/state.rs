//! What is true in the switch at the moment of a decision: registrations, channels in use, what
//! has been spent today, and what the customer has flipped.

use std::time::Duration;

use jiff::Timestamp;

use crate::live::Live;
use crate::read::Money;

/// What an office has used of the outside today, in its own time zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// What legs to outside cost that ended since midnight or are up now.
    pub spent: Money,
    /// How long they were talked on.
    pub talked: Duration,
    /// Legs to outside at this moment, whoever asked for them.
    pub outside_legs: u32,
    /// What callers of its toll-free numbers cost it.
    pub tollfree_spent: Money,
    /// Callers of its toll-free numbers at this moment.
    pub tollfree_legs: u32,
}

/// Whether a trunk takes a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrunkState {
    /// It does.
    #[default]
    Ready,
    /// It may: our registration there does not stand. Tried behind those that are ready.
    Unregistered,
    /// As many calls have begun in this second as it takes.
    Paced,
    /// None of its hosts answers, or none has an address.
    Down,
    /// An operator has taken it out.
    Maintenance,
}

impl TrunkState {
    /// In words; empty for one that is ready.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Ready => "",
            Self::Unregistered => "our registration there does not stand",
            Self::Paced => "no more calls begin there in this second",
            Self::Down => "none of its hosts answers",
            Self::Maintenance => "it is in maintenance",
        }
    }
}

/// What is true in the switch (or in a simulation) at the moment of a decision.
pub trait State {
    /// Whether a phone is registered on the device.
    fn reachable(&self, tenant: &str, device: &str) -> bool;
    /// Channels of the tenant in use (calls with outside).
    fn tenant_channels(&self, tenant: &str) -> u32;
    /// Channels in use by calls with this number.
    fn number_channels(&self, tenant: &str, number: &str) -> u32;
    /// Channels of the trunk in use.
    fn trunk_channels(&self, tenant: Option<&str>, trunk: &str) -> u32;
    /// Whether the trunk takes a call at this moment.
    fn trunk_state(&self, _tenant: Option<&str>, _trunk: &str) -> TrunkState {
        TrunkState::Ready
    }
    /// Whether the device is in a call; asked of devices with `busy = "one"` only.
    fn in_call(&self, _tenant: &str, _device: &str) -> bool {
        false
    }
    /// Whether the pool that announcements and voicemail run in is used up.
    fn pool_is_full(&self, _tenant: &str) -> bool {
        false
    }
    /// What the office has used of the outside on the day of `at` in its own time zone; asked of
    /// offices with such caps only.
    fn usage(&self, _tenant: &str, _at: Timestamp) -> Usage {
        Usage::default()
    }
    /// Calls that are forwarded by this number at this moment.
    fn forwards(&self, _tenant: &str, _number: &str) -> u32 {
        0
    }
    /// The live settings of the office, laid over what its files say.
    fn live(&self, _tenant: &str) -> Option<&Live> {
        None
    }
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
