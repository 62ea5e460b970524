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
    /// None: From carries the account that we have there (a home gateway's extension).
    Account,
}

/// Codecs that a trunk is offered and that are taken of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecSet(u8);

impl CodecSet {
    /// Every one that the server speaks.
    pub const ALL: Self = Self(u8::MAX);
    /// G.711 µ-law alone.
    pub const MU_LAW: Self = Self(1);

    /// The words of the plan, and the names of SDP.
    const WORDS: [(&'static str, &'static str); 5] =
        [("pcmu", "PCMU"), ("pcma", "PCMA"), ("g722", "G722"), ("opus", "opus"), ("l16", "L16")];

    /// Whether a codec is among them, by its name in SDP.
    #[must_use]
    pub fn has(self, encoding: &str) -> bool {
        let at = Self::WORDS.iter().position(|(_, name)| name.eq_ignore_ascii_case(encoding));
        at.is_none_or(|at| self.0 & (1 << at) != 0)
    }

    fn read(item: Item<'_>) -> Option<Self> {
        let bits: [(&str, u8); 5] =
            std::array::from_fn(|at| (Self::WORDS.get(at).map_or("", |(word, _)| word), 1 << at));
        let (place, reader) = (item.place(), item.reader);
        let bits = item.list(|item| item.choice(&bits))?;
        if bits.is_empty() {
            reader.error(place, "`codecs` is empty".to_owned(), "name one codec at least");
        }
        let all = bits.into_iter().fold(0, |all, bit| all | bit);
        (all != 0).then_some(Self(all))
    }
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
    /// `t38`: faxes may go over to T.38 there.
    pub t38: bool,
    /// `t38_ask`: how long after the answer our machines ask for it; the server's own times when
    /// nothing is said.
    pub t38_ask: Option<Duration>,
    /// `privacy = "dialled"`: whether the caller number is shown is dialled before the number (184
    /// and 186 in Japan) instead of asked by Privacy (RFC 3323).
    pub dialled_privacy: bool,
    /// `dtmf = "tones"`: keys are tones in the sound, telephone-event is neither offered nor taken.
    pub tones: bool,
    /// `codecs`.
    pub codecs: CodecSet,
    /// `user_phone`: its Request-URI says `user=phone` (RFC 3261, 19.1.1).
    pub user_phone: bool,
}

impl Default for TrunkSignalling {
    fn default() -> Self {
        Self {
            trusted: true,
            identity: IdentityHeader::default(),
            diversion: DiversionHeader::default(),
            transfer: false,
            session_expires: None,
            t38: true,
            t38_ask: None,
            dialled_privacy: false,
            tones: false,
            codecs: CodecSet::ALL,
            user_phone: false,
        }
    }
}

impl TrunkSignalling {
    /// The keys of a trunk, over what is `usual` for its profile.
    pub(crate) fn read(table: &mut Table<'_>, usual: Self) -> Self {
        let identity = [
            ("asserted", IdentityHeader::Asserted),
            ("preferred", IdentityHeader::Preferred),
            ("remote-party-id", IdentityHeader::RemoteParty),
            ("from", IdentityHeader::From),
            ("account", IdentityHeader::Account),
        ];
        let diversion = [
            ("none", DiversionHeader::None),
            ("diversion", DiversionHeader::Diversion),
            ("history-info", DiversionHeader::HistoryInfo),
        ];
        Self {
            trusted: table.or("trusted", usual.trusted, Item::flag),
            identity: table.or("identity", usual.identity, |i| i.choice(&identity)),
            diversion: table.or("diversion", usual.diversion, |i| i.choice(&diversion)),
            transfer: table.or("transfer", usual.transfer, Item::flag),
            // RFC 4028, section 4: an interval below 90 s is not permitted.
            session_expires: table
                .opt("session_expires", |item| item.seconds(90, 7_200, 1))
                .or(usual.session_expires),
            t38: table.or("t38", usual.t38, Item::flag),
            t38_ask: table.opt("t38_ask", |item| item.seconds(1, 60, 1)).or(usual.t38_ask),
            dialled_privacy: table.or("privacy", usual.dialled_privacy, |item| {
                item.choice(&[("header", false), ("dialled", true)])
            }),
            tones: table
                .or("dtmf", usual.tones, |item| item.choice(&[("events", false), ("tones", true)])),
            codecs: table.or("codecs", usual.codecs, CodecSet::read),
            user_phone: table.or("user_phone", usual.user_phone, Item::flag),
        }
    }
}
