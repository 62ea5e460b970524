//! What must survive the process: the records that go to the journal before an answer leaves.

mod cdr;
pub(crate) mod tape;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::charge::CdrCharge;
use crate::subscription::watch::Watch;

/// One durable fact. The journal keeps them in order; the database applies them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// A contact was bound or refreshed.
    Registered(Contact),
    /// A contact was removed by its owner or expired.
    Unregistered {
        /// SIP user (`acme-801`).
        user: String,
        /// The contact's URI, as in [`Contact::uri`].
        uri: String,
        /// The flow's number, as in [`Contact::reg_id`].
        #[serde(default)]
        reg_id: Option<u32>,
    },
    /// A phone watches something; the last one of a key counts.
    Watching(Box<Watch>),
    /// A subscription is over.
    Unwatched {
        /// The key, as in [`Watch::key`].
        key: String,
    },
    /// A live setting was flipped; the last one of a key counts.
    Setting(SettingRecord),
    /// A call's record as it stands now; the last one for a call wins.
    Call(Cdr),
    /// What a module wrote down; the last one of a key counts.
    Note(Note),
}

/// Whose notes the notices for apps are, each under its number; no module of the configuration is
/// called so.
pub const NOTICES: &str = "kk:notice";

/// A small record of a module's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The module's name in the configuration.
    pub module: String,
    /// Whose it is.
    pub tenant: String,
    /// What it is called.
    pub key: String,
    /// What it says; `None`: removed.
    pub value: Option<String>,
}

/// A live setting of an office, who set it and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingRecord {
    /// The tenant's id.
    pub tenant: String,
    /// `number.number1.mode`, as in [`koukan_dialplan::Entry`].
    pub key: String,
    /// `forward`; `None`: again what the files say.
    pub value: Option<String>,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// A bound contact (RFC 3261, section 10.3), with the way back to the phone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    /// SIP user (`acme-801`).
    pub user: String,
    /// The contact URI as the phone wrote it (bytes that are not UTF-8 are percent-escaped).
    pub uri: String,
    /// `udp`, `tcp`, `tls`.
    pub transport: String,
    /// The listener's number in the configuration.
    pub listener: u16,
    /// The address that the REGISTER really came from.
    pub source: std::net::SocketAddr,
    /// Preference, 0–1000 (q × 1000).
    pub q: u16,
    /// The Call-ID of the registration.
    pub call_id: String,
    /// Its CSeq.
    pub cseq: u32,
    /// When the binding ends.
    pub expires: Timestamp,
    /// The phone's User-Agent, when it gave one.
    pub user_agent: String,
    /// Path values (RFC 3327), topmost first.
    pub path: Vec<String>,
    /// Which phone it is (`+sip.instance`, RFC 5626).
    #[serde(default)]
    pub instance: Option<String>,
    /// Which of that phone's flows it is. User, URI and this tell contacts apart.
    #[serde(default)]
    pub reg_id: Option<u32>,
}

/// The record of one call with its legs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cdr {
    /// The call's id as printed everywhere.
    pub call: String,
    /// The tenant, empty when it was nobody's.
    pub tenant: String,
    /// The plan's generation that decided it.
    pub generation: u64,
    /// `inbound`, `outbound`, `internal`.
    pub direction: String,
    /// The caller's number or user.
    pub caller: String,
    /// What was called.
    pub called: String,
    /// The number (its name in the plan) that was called or shown.
    pub number: Option<String>,
    /// When the INVITE came.
    pub started: Timestamp,
    /// When the caller was answered.
    pub answered: Option<Timestamp>,
    /// When it ended; `None` in an interim record.
    pub ended: Option<Timestamp>,
    /// The latest moment at which the call was known to be up (interim records move it).
    pub last_seen: Timestamp,
    /// Why it ended; `None` in an interim record.
    pub cause: Option<CallCause>,
    /// The SIP status shown to the caller at the end, 200 for an answered call.
    pub status: u16,
    /// What its legs cost together, an exact decimal in the currency of the tariff; `None`: it was
    /// not answered, or its office has no tariff.
    #[serde(default)]
    pub price: Option<String>,
    /// Every leg, the caller's first.
    pub legs: Vec<CdrLeg>,
}

/// One leg of a call's record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CdrLeg {
    /// `device A`, `trunk carrier`, `module announcements`.
    pub party: String,
    /// The SIP Call-ID of its dialog, empty for a module.
    pub call_id: String,
    /// When it began.
    pub started: Timestamp,
    /// When it was answered.
    pub answered: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// The final SIP status of its INVITE, 0 while it rings.
    pub status: u16,
    /// RTP packets received and sent.
    pub rtp_received: u64,
    /// Mean R of what its party sent (E-model, ITU-T G.107), in tenths; none when it owed no sound
    /// for long enough to tell.
    #[serde(default)]
    pub quality_mean: Option<u16>,
    /// R of the worst five seconds, in tenths.
    #[serde(default)]
    pub quality_worst: Option<u16>,
    /// What was wrong then, in a word: `loss`, `late`, `delay`, `one-way`, `no-media`, `silence`.
    #[serde(default)]
    pub quality_cause: Option<String>,
    /// RTP packets sent.
    pub rtp_sent: u64,
    /// What it costs, as it stands while it is up.
    #[serde(default)]
    pub charge: Option<CdrCharge>,
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallCause {
    /// The caller hung up.
    CallerHungUp,
    /// The called party hung up.
    CalleeHungUp,
    /// The caller gave up before an answer.
    CallerGaveUp,
    /// Refused or not answered; the status says how.
    NotAnswered,
    /// The dialplan ended it (announcement finished, refusal).
    Plan,
    /// No RTP came from a party for too long.
    MediaLost,
    /// A party's signalling was lost (no ACK, transport gone).
    SignallingLost,
    /// Its remaining party was put through into another call.
    Transferred,
    /// An operator ended it.
    Killed,
    /// The server stopped or was killed while the call was up; closed at the next start.
    ServerStopped,
    /// A fault of ours.
    Internal,
}
