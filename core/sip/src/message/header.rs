//! The headers that have a meaning here, by their names on the wire (RFC 3261, section 20, and the
//! RFCs of each). Compact forms (section 7.3.3) are folded into the long ones.

macro_rules! headers {
    ($($variant:ident $name:literal $(| $compact:literal)? $doc:literal;)*) => {
        /// A header that we know, or `Other`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Header {
            $(#[doc = $doc] $variant,)*
            /// Any other; look it up by name.
            Other,
        }

        const NAMES: &[(Header, &str)] = &[$((Header::$variant, $name),)*];

        /// The header of a compact form's letter.
        const fn compact(letter: u8) -> Header {
            match letter.to_ascii_lowercase() {
                $($($compact => Header::$variant,)?)*
                _ => Header::Other,
            }
        }
    };
}

headers! {
    Via "Via" | b'v' "RFC 3261, 20.42";
    From "From" | b'f' "RFC 3261, 20.20";
    To "To" | b't' "RFC 3261, 20.39";
    CallId "Call-ID" | b'i' "RFC 3261, 20.8";
    CSeq "CSeq" "RFC 3261, 20.16";
    Contact "Contact" | b'm' "RFC 3261, 20.10";
    MaxForwards "Max-Forwards" "RFC 3261, 20.22";
    Route "Route" "RFC 3261, 20.34";
    RecordRoute "Record-Route" "RFC 3261, 20.30";
    Path "Path" "RFC 3327";
    ContentType "Content-Type" | b'c' "RFC 3261, 20.15";
    ContentLength "Content-Length" | b'l' "RFC 3261, 20.14";
    ContentDisposition "Content-Disposition" "RFC 3261, 20.11";
    ContentEncoding "Content-Encoding" | b'e' "RFC 3261, 20.12";
    Authorization "Authorization" "RFC 3261, 20.7";
    ProxyAuthorization "Proxy-Authorization" "RFC 3261, 20.28";
    WwwAuthenticate "WWW-Authenticate" "RFC 3261, 20.44";
    ProxyAuthenticate "Proxy-Authenticate" "RFC 3261, 20.27";
    Expires "Expires" "RFC 3261, 20.19";
    MinExpires "Min-Expires" "RFC 3261, 20.23";
    Accept "Accept" "RFC 3261, 20.1";
    Allow "Allow" "RFC 3261, 20.5";
    Supported "Supported" | b'k' "RFC 3261, 20.37";
    Require "Require" "RFC 3261, 20.32";
    ProxyRequire "Proxy-Require" "RFC 3261, 20.29";
    Unsupported "Unsupported" "RFC 3261, 20.40";
    Reason "Reason" "RFC 3326";
    RetryAfter "Retry-After" "RFC 3261, 20.33";
    UserAgent "User-Agent" "RFC 3261, 20.41";
    Server "Server" "RFC 3261, 20.35";
    Subject "Subject" | b's' "RFC 3261, 20.36";
    PAssertedIdentity "P-Asserted-Identity" "RFC 3325";
    PPreferredIdentity "P-Preferred-Identity" "RFC 3325";
    Privacy "Privacy" "RFC 3323";
    RemotePartyId "Remote-Party-ID" "draft-ietf-sip-privacy-04";
    PCalledPartyId "P-Called-Party-ID" "RFC 7315";
    Diversion "Diversion" "RFC 5806";
    HistoryInfo "History-Info" "RFC 7044";
    ReferTo "Refer-To" | b'r' "RFC 3515";
    ReferredBy "Referred-By" | b'b' "RFC 3892";
    ReferSub "Refer-Sub" "RFC 4488";
    TargetDialog "Target-Dialog" "RFC 4538";
    Replaces "Replaces" "RFC 3891";
    Event "Event" | b'o' "RFC 6665";
    AllowEvents "Allow-Events" | b'u' "RFC 6665";
    SubscriptionState "Subscription-State" "RFC 6665";
    SessionExpires "Session-Expires" | b'x' "RFC 4028";
    MinSe "Min-SE" "RFC 4028";
    RSeq "RSeq" "RFC 3262";
    RAck "RAck" "RFC 3262";
    AlertInfo "Alert-Info" "RFC 3261, 20.4";
    Warning "Warning" "RFC 3261, 20.43";
    Date "Date" "RFC 3261, 20.17";
}

impl Header {
    /// The header of a name on the wire, in any case and in compact form.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Self {
        if let [letter] = name {
            return compact(*letter);
        }
        let candidate = SLOTS.get(slot(name)).copied().flatten();
        match candidate {
            // Nearly everyone writes names as the standards do: equal bytes are the short way.
            Some((header, known))
                if known.as_bytes() == name || known.as_bytes().eq_ignore_ascii_case(name) =>
            {
                header
            }
            Some(_) | None => Self::Other,
        }
    }

    /// The name as we write it; empty for `Other`.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(header, _)| *header == self).map_or("", |(_, name)| name)
    }
}

/// Where a name stands in [`SLOTS`]: its length and three of its letters tell all names that we
/// know apart.
const fn slot(name: &[u8]) -> usize {
    let [first, .., last] = name else { return 0 };
    let (_, back) = name.split_at(name.len() / 2);
    let [middle, ..] = back else { return 0 };
    let letters = fold(*first) + fold(*last) * 20 + fold(*middle) * 16;
    (letters + name.len()) % SLOT_COUNT
}

const fn fold(letter: u8) -> usize {
    letter.to_ascii_lowercase() as usize
}

const SLOT_COUNT: usize = 128;

/// One look finds the only name that a header can have. When a new name shares a slot with an old
/// one the build stops here: choose other factors in [`slot`].
static SLOTS: [Option<(Header, &str)>; SLOT_COUNT] = slots();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses a panic")]
const fn slots() -> [Option<(Header, &'static str)>; SLOT_COUNT] {
    let mut slots = [None; SLOT_COUNT];
    let mut at = 0;
    while at < NAMES.len() {
        let (_, name) = NAMES[at];
        let slot = slot(name.as_bytes());
        assert!(slots[slot].is_none(), "two header names share a slot");
        slots[slot] = Some(NAMES[at]);
        at += 1;
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_no_other() {
        for &(header, name) in NAMES {
            assert_eq!(Header::from_name(name.as_bytes()), header);
            assert_eq!(Header::from_name(name.to_uppercase().as_bytes()), header);
            assert_eq!(Header::from_name(name.to_lowercase().as_bytes()), header);
            assert_eq!(header.name(), name);
            assert_eq!(Header::from_name(format!("{name}x").as_bytes()), Header::Other);
        }
        for (name, header) in [("v", Header::Via), ("I", Header::CallId), ("q", Header::Other)] {
            assert_eq!(Header::from_name(name.as_bytes()), header);
        }
        assert_eq!(Header::from_name(b""), Header::Other);
    }
}
