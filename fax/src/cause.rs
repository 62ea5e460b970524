//! Why an attempt to send or receive ended: what the line said before a fax machine was heard, and
//! what T.30 (ITU-T T.30, 5 and annex A) said after. What follows for the queue, and one plain
//! sentence for people, are made of this.

use serde::{Deserialize, Serialize};

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Every page was confirmed.
    Done,
    /// The other side was busy.
    Busy,
    /// Nobody answered.
    NoAnswer,
    /// There is no such number.
    Unallocated,
    /// The other side does not take the call.
    Rejected,
    /// Our own rules do not let the call out: class, spend cap, blocked number.
    Blocked,
    /// No trunk, or no way through the network.
    Unreachable,
    /// Somebody or something answered, but no fax machine.
    NoFax,
    /// The two machines have nothing in common: size, resolution, group.
    Incompatible,
    /// No rate could be agreed on: the line is too bad.
    CannotTrain,
    /// A page arrived too damaged, over and over.
    BadPages,
    /// The other machine broke off by its own command.
    Disconnected,
    /// The other machine stopped answering.
    Timeout,
    /// The call itself was cut.
    Dropped,
    /// The other machine said what makes no sense.
    Protocol,
    /// More pages came than are taken; those before are kept.
    PageLimit,
    /// The document could not be read or made.
    Document,
    /// The disk is full or the file cannot be written.
    Storage,
    /// The process that carried the fax died.
    Worker,
    /// Somebody here cancelled it.
    Cancelled,
}

/// What kind of fault a cause is, for the retry table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Nothing to do.
    Done,
    /// The line is in use.
    Busy,
    /// Nobody there.
    NoAnswer,
    /// A person or a machine for voice.
    NoFax,
    /// The network or our trunk.
    Network,
    /// The transmission.
    Transmission,
    /// Ours: the worker's process.
    Own,
    /// The same again would end the same.
    Final,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Done,
        Self::Busy,
        Self::NoAnswer,
        Self::Unallocated,
        Self::Rejected,
        Self::Blocked,
        Self::Unreachable,
        Self::NoFax,
        Self::Incompatible,
        Self::CannotTrain,
        Self::BadPages,
        Self::Disconnected,
        Self::Timeout,
        Self::Dropped,
        Self::Protocol,
        Self::PageLimit,
        Self::Document,
        Self::Storage,
        Self::Worker,
        Self::Cancelled,
    ];

    /// What kind it is.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::Done => Class::Done,
            Self::Busy => Class::Busy,
            Self::NoAnswer => Class::NoAnswer,
            Self::NoFax => Class::NoFax,
            Self::Unreachable => Class::Network,
            Self::CannotTrain
            | Self::BadPages
            | Self::Disconnected
            | Self::Timeout
            | Self::Dropped
            | Self::Protocol => Class::Transmission,
            Self::Worker | Self::Storage => Class::Own,
            Self::Unallocated
            | Self::Rejected
            | Self::Blocked
            | Self::Incompatible
            | Self::PageLimit
            | Self::Document
            | Self::Cancelled => Class::Final,
        }
    }

    /// What the final response to our INVITE means (RFC 3261, 21; RFC 3398, 7.2.4.1).
    #[must_use]
    pub const fn of_sip(status: u16) -> Self {
        match status {
            486 | 600 => Self::Busy,
            408 | 480 | 487 => Self::NoAnswer,
            404 | 410 | 484 | 604 => Self::Unallocated,
            403 | 433 | 603 | 607 | 608 => Self::Rejected,
            // Nothing in common before a machine was heard: no fax line.
            406 | 415 | 488 | 606 => Self::Incompatible,
            _ => Self::Unreachable,
        }
    }

    /// What a completion code of the T.30 engine means; the codes are numbered as spandsp does.
    #[must_use]
    pub const fn of_t30(code: u16) -> Self {
        match code {
            0 => Self::Done,
            // A tone of 5 s; neither a first sound nor a first message; other than T.30 was heard.
            1..=3 | 19 => Self::NoFax,
            6 | 14 | 20 => Self::CannotTrain,
            8..=12 => Self::Incompatible,
            15 | 17 | 35..=40 => Self::Disconnected,
            4 | 5 | 21 | 22 | 26..=34 => Self::Timeout,
            41 | 47 => Self::Storage,
            42..=46 => Self::Document,
            48 => Self::BadPages,
            49 => Self::Dropped,
            50..=61 => Self::Rejected,
            _ => Self::Protocol,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sip_and_t30_say_what_is_worth_another_attempt() {
        for (status, class) in [
            (486, Class::Busy),
            (600, Class::Busy),
            (480, Class::NoAnswer),
            (404, Class::Final),
            (603, Class::Final),
            (503, Class::Network),
            (500, Class::Network),
        ] {
            assert_eq!(Cause::of_sip(status).class(), class, "{status}");
        }
        assert_eq!(Cause::of_t30(0), Cause::Done);
        for code in 1..=61 {
            assert_ne!(Cause::of_t30(code), Cause::Done, "{code}");
        }
        assert_eq!(Cause::of_t30(10_000), Cause::Protocol);
    }
}
