//! How the signalling of a device or a trunk is treated where the standards leave a choice. What
//! stands here is off unless the plan turns it on, except trust in a trunk's caller numbers.

use std::time::Duration;

use crate::read::{Item, Table};

/// The choices of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceSignalling {
    /// `redirect`: its 3xx is followed, as a call of its own through the same rules.
    pub redirect: bool,
    /// `mwi`: it is told of waiting messages without asking (RFC 3842, unsolicited).
    pub unsolicited_mwi: bool,
    /// `srtp`: whether its media is encrypted.
    pub srtp: SrtpPolicy,
}

/// How a device's media is encrypted (SRTP with keys in SDP, RFC 4568).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SrtpPolicy {
    /// Nothing is said: a device that demands SRTP gets it, nobody is offered it.
    #[default]
    Answered,
    /// `off`: never, also when the device asks.
    Off,
    /// `offer`: offered as a wish where the device's signalling is encrypted (TLS).
    Offer,
    /// `required`: nothing else is spoken, also over UDP, where the keys can be read on the way.
    Required,
}

impl DeviceSignalling {
    pub(crate) fn read(table: &mut Table<'_>) -> Self {
        let modes = [("subscribe", false), ("unsolicited", true)];
        let srtp = [
            ("off", SrtpPolicy::Off),
            ("offer", SrtpPolicy::Offer),
            ("required", SrtpPolicy::Required),
        ];
        Self {
            srtp: table.or("srtp", SrtpPolicy::Answered, |item| item.choice(&srtp)),
            redirect: table.or("redirect", false, Item::flag),
            unsolicited_mwi: table.or("mwi", false, |item| item.choice(&modes)),
        }
    }
}

/// The header that tells a trunk which of our numbers calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdentityHeader {
    /// P-Asserted-Identity (RFC 3325): the trunk trusts us.
    #[default]
    Asserted,
    /// P-Preferred-Identity (RFC 3325): it verifies the number, as a network does at its line.
    Preferred,
    /// Remote-Party-ID, which older equipment reads.
    RemoteParty,
    /// From alone.
    From,
}

/// How a trunk is told who passed a call on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiversionHeader {
    /// Not at all.
    #[default]
    None,
    /// Diversion (RFC 5806).
    Diversion,
    /// History-Info (RFC 7044).
    HistoryInfo,
}

/// The choices of a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrunkSignalling {
    /// `trusted`: its P-Asserted-Identity, Remote-Party-ID and Diversion are believed.
    pub trusted: bool,
    /// `identity`: how our number is told.
    pub identity: IdentityHeader,
    /// `diversion`: how it is told that a call is passed on.
    pub diversion: DiversionHeader,
    /// `transfer`: its REFER and its INVITE with Replaces are taken.
    pub transfer: bool,
    /// `session_expires`: the session interval that we ask for (RFC 4028).
    pub session_expires: Option<Duration>,
}

impl Default for TrunkSignalling {
    fn default() -> Self {
        Self {
            trusted: true,
            identity: IdentityHeader::default(),
            diversion: DiversionHeader::default(),
            transfer: false,
            session_expires: None,
        }
    }
}

impl TrunkSignalling {
    pub(crate) fn read(table: &mut Table<'_>) -> Self {
        let identity = [
            ("asserted", IdentityHeader::Asserted),
            ("preferred", IdentityHeader::Preferred),
            ("remote-party-id", IdentityHeader::RemoteParty),
            ("from", IdentityHeader::From),
        ];
        let diversion = [
            ("none", DiversionHeader::None),
            ("diversion", DiversionHeader::Diversion),
            ("history-info", DiversionHeader::HistoryInfo),
        ];
        Self {
            trusted: table.or("trusted", true, Item::flag),
            identity: table.or("identity", IdentityHeader::Asserted, |i| i.choice(&identity)),
            diversion: table.or("diversion", DiversionHeader::None, |i| i.choice(&diversion)),
            transfer: table.or("transfer", false, Item::flag),
            // RFC 4028, section 4: an interval below 90 s is not permitted.
            session_expires: table.opt("session_expires", |item| item.seconds(90, 7_200, 1)),
        }
    }
}
