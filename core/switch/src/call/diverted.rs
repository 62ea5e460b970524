//! Who passed a call on: Diversion (RFC 5806) and History-Info (RFC 7044), read from trunks that
//! are trusted, written for phones and for trunks whose plan asks for them.

use koukan_dialplan::{DiversionCause, DiversionHeader};
use koukan_sip::header::{Diversion, HistoryInfo};
use koukan_sip::{ExtraHeaders, Header, Message};

use crate::call::Call;
use crate::leg::identity::name_addr;
use crate::limits;

/// Why a party passed a call on: the word of RFC 5806 and the cause of RFC 4458.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Why {
    word: &'static str,
    cause: u16,
}

/// The reasons that are told apart.
const REASONS: [Why; 6] = [
    Why { word: "deflection", cause: 480 },
    Why { word: "unconditional", cause: 302 },
    Why { word: "user-busy", cause: 486 },
    Why { word: "no-answer", cause: 408 },
    Why { word: "unavailable", cause: 503 },
    Why { word: "unknown", cause: 404 },
];

impl Why {
    /// Of a forwarding of the plan.
    pub(crate) const fn forwarded(cause: DiversionCause) -> Self {
        match cause {
            DiversionCause::Unconditional => Self { word: "unconditional", cause: 302 },
            DiversionCause::Busy => Self { word: "user-busy", cause: 486 },
            DiversionCause::NoAnswer => Self { word: "no-answer", cause: 408 },
            DiversionCause::Unreachable => Self { word: "unavailable", cause: 503 },
        }
    }

    /// What a phone's own 3xx says of it; a deflection by hand when it says nothing.
    pub(crate) fn of(message: &Message) -> Self {
        let [deflection, ..] = REASONS;
        let given = message.list(Header::Diversion).find_map(Diversion::parse);
        let word = given.and_then(|diversion| diversion.reason).unwrap_or_default();
        let known = |why: &Self| word.eq_ignore_ascii_case(why.word.as_bytes());
        REASONS.into_iter().find(known).unwrap_or(deflection)
    }
}

/// The parties that passed a call on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Diverted {
    /// Diversion values of the networks before us, the newest first.
    before: Vec<Box<[u8]>>,
    /// Our own: the number that a party is known by, the newest first.
    own: Vec<(Box<str>, Why)>,
}

impl Diverted {
    /// What a trusted trunk's INVITE tells; `None` when it has been passed on more often than a
    /// call may be: it goes in a circle.
    pub(crate) fn of(message: &Message) -> Option<Self> {
        let values = message.list(Header::Diversion);
        let known = values.filter_map(|value| Some((value, Diversion::parse(value)?)));
        let mut before = Vec::new();
        let mut count = 0u32;
        for (value, diversion) in known {
            count = count.saturating_add(diversion.counter);
            if before.len() < limits::DIVERSIONS && value.len() <= limits::IDENTITY_BYTES {
                before.push(value.into());
            }
        }
        let history = message.list(Header::HistoryInfo).filter_map(HistoryInfo::parse);
        let passed = history.filter(|entry| entry.cause.is_some()).count();
        let most = limits::DIVERSIONS;
        let few = usize::try_from(count).is_ok_and(|count| count <= most) && passed <= most;
        few.then_some(Self { before, own: Vec::new() })
    }

    /// Notes that a party of ours passes the call on; false when that was too often.
    pub(crate) fn push(&mut self, number: &str, why: Why) -> bool {
        self.own.insert(0, (number.into(), why));
        self.before.len().saturating_add(self.own.len()) <= limits::DIVERSIONS
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.before.is_empty() && self.own.is_empty()
    }

    /// Diversion headers, the newest first.
    fn diversions(&self, host: &str, shown: Option<&str>) -> ExtraHeaders {
        let own = self.own.iter().map(|(number, why)| {
            let address = name_addr("", shown.unwrap_or(number), host);
            let tail = format!(";reason={}", why.word);
            ("Diversion", [address.as_slice(), tail.as_bytes()].concat())
        });
        let before = self.before.iter().map(|value| ("Diversion", value.to_vec()));
        own.chain(before).collect()
    }

    /// History-Info entries: what was called, then each target that the call was passed on to.
    fn history(&self, called: &str, target: &str, host: &str, shown: Option<&str>) -> ExtraHeaders {
        let mut entries = Vec::new();
        let mut index = String::from("1");
        let first = format!("{};index=1", text(&name_addr("", shown.unwrap_or(called), host)));
        entries.push(("History-Info", first.into_bytes()));
        for (_, why) in self.own.iter().rev() {
            let user = crate::leg::identity::escape(target);
            let entry =
                format!("<sip:{user}@{host};cause={}>;index={index}.1;mp={index}", why.cause);
            entries.push(("History-Info", entry.into_bytes()));
            index.push_str(".1");
        }
        entries
    }
}

/// The headers that tell a phone who passed the call on.
pub(crate) fn for_phone(call: &Call, host: &str) -> ExtraHeaders {
    call.diverted.as_ref().map(|diverted| diverted.diversions(host, None)).unwrap_or_default()
}

/// The same for a trunk, in the header that its plan names. Of ourselves it is told the number
/// that it knows, never an extension.
pub(crate) fn for_trunk(
    call: &Call,
    header: DiversionHeader,
    target: &str,
    shown: Option<&str>,
    host: &str,
) -> ExtraHeaders {
    let Some(diverted) = &call.diverted else { return Vec::new() };
    match header {
        DiversionHeader::None => Vec::new(),
        DiversionHeader::Diversion => diverted.diversions(host, shown),
        DiversionHeader::HistoryInfo => diverted.history(&call.called, target, host, shown),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
