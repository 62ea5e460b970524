//! What the control calls show of a switch.

use jiff::Timestamp;
use serde::Serialize;

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallView {
    /// Its id.
    pub call: String,
    /// Its tenant.
    pub tenant: String,
    /// `inbound`, `outbound`, `internal`.
    pub direction: String,
    /// Who calls.
    pub caller: String,
    /// What was called.
    pub called: String,
    /// `opening`, `ringing`, `trunk`, `module NAME`, `echo`, `bridged`.
    pub stage: String,
    /// When it came.
    pub started: Timestamp,
    /// When it was answered.
    pub answered: Option<Timestamp>,
    /// Its legs, the caller's first.
    pub legs: Vec<LegView>,
}

/// One leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LegView {
    /// `device A`, `trunk carrier`.
    pub party: String,
    /// `opening`, `incoming`, `calling`, `ringing`, `up`, `ended`.
    pub state: String,
    /// Where the peer's signalling is.
    pub flow: String,
    /// The codec, when one is agreed.
    pub codec: Option<String>,
}

/// One registered contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegistrationView {
    /// SIP user.
    pub user: String,
    /// Tenant.
    pub tenant: String,
    /// Device.
    pub device: String,
    /// The contact.
    pub contact: String,
    /// The way back to it.
    pub flow: String,
    /// Seconds until it expires.
    pub expires_s: u64,
    /// The phone.
    pub user_agent: String,
}

/// Sizes of every table that must be empty when nothing is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tables {
    /// Calls.
    pub calls: usize,
    /// Media streams.
    pub streams: usize,
    /// Module instances.
    pub instances: usize,
    /// Dialogs.
    pub dialogs: usize,
    /// Client transactions.
    pub client_transactions: usize,
    /// Server transactions.
    pub server_transactions: usize,
    /// Channels held.
    pub channels: usize,
}
