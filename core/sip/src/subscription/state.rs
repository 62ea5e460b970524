//! Event packages and the state of a resource in each (RFC 6665, section 5.4).

use super::dialog_info::{self, DialogInfo};
use super::message_summary::MessageSummary;
use super::reg_info::RegInfo;

/// An event package that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Package {
    /// RFC 3842.
    MessageSummary,
    /// RFC 4235.
    Dialog,
    /// RFC 3680.
    Reg,
}

impl Package {
    /// What Allow-Events says.
    pub const ALLOW_EVENTS: &'static str = "message-summary, dialog, reg, refer";

    /// The package of a name on the wire.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        let known = [Self::MessageSummary, Self::Dialog, Self::Reg];
        known.into_iter().find(|package| package.name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MessageSummary => "message-summary",
            Self::Dialog => "dialog",
            Self::Reg => "reg",
        }
    }

    /// The type of its bodies.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::MessageSummary => "application/simple-message-summary",
            Self::Dialog => "application/dialog-info+xml",
            Self::Reg => "application/reginfo+xml",
        }
    }

    /// How long a subscription lasts that names no time, in seconds.
    #[must_use]
    pub const fn default_expires(self) -> u32 {
        match self {
            Self::MessageSummary | Self::Dialog => 3600,
            // RFC 3680, 4.3.
            Self::Reg => 3761,
        }
    }
}

/// The whole state of one resource in one package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Of a mailbox.
    Messages(MessageSummary),
    /// Of a line: its dialogs.
    Dialogs(Vec<DialogInfo>),
    /// Of a user: its contacts.
    Registration(RegInfo),
}

impl State {
    /// The package that it belongs to.
    #[must_use]
    pub const fn package(&self) -> Package {
        match self {
            Self::Messages(_) => Package::MessageSummary,
            Self::Dialogs(_) => Package::Dialog,
            Self::Registration(_) => Package::Reg,
        }
    }

    /// The body of a NOTIFY about it.
    pub(super) fn render(&self, entity: &[u8], version: u32) -> Vec<u8> {
        match self {
            Self::Messages(summary) => summary.render(),
            Self::Dialogs(dialogs) => dialog_info::render(dialogs, entity, version),
            Self::Registration(info) => info.render(entity, version),
        }
    }
}
