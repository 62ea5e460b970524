//! Who calls, said by others than From: P-Asserted-Identity and P-Preferred-Identity (RFC 3325),
//! Remote-Party-ID (draft-ietf-sip-privacy-04, still spoken by trunks), and Privacy (RFC 3323).

use super::{NameAddr, Params};

/// What a Privacy header asks for (RFC 3323, 4.2; `history` of RFC 7044, `id` of RFC 3325).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Privacy {
    /// Hide what the headers show of the caller beyond what signalling needs.
    pub header: bool,
    /// Hide media addresses.
    pub session: bool,
    /// Hide what the caller wrote of himself.
    pub user: bool,
    /// Hide the asserted identity.
    pub id: bool,
    /// Hide History-Info entries.
    pub history: bool,
    /// Refuse rather than show.
    pub critical: bool,
    /// Hide nothing.
    pub none: bool,
}

impl Privacy {
    /// The view of a header value; words that we do not know are passed over.
    #[must_use]
    pub fn parse(value: &[u8]) -> Self {
        let mut privacy = Self::default();
        // RFC 3323 separates by semicolons; commas are met as well.
        for word in value.split(|byte| matches!(byte, b';' | b',')).map(<[u8]>::trim_ascii) {
            let slot = match word.to_ascii_lowercase().as_slice() {
                b"header" => &mut privacy.header,
                b"session" => &mut privacy.session,
                b"user" => &mut privacy.user,
                b"id" => &mut privacy.id,
                b"history" => &mut privacy.history,
                b"critical" => &mut privacy.critical,
                b"none" => &mut privacy.none,
                _ => continue,
            };
            *slot = true;
        }
        privacy
    }

    /// Whether the called party must not learn who calls.
    #[must_use]
    pub const fn hides_caller(self) -> bool {
        !self.none && (self.id || self.user || self.header)
    }
}

/// A Remote-Party-ID value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemotePartyId<'a> {
    /// Name and URI.
    pub address: NameAddr<'a>,
    /// Whom it names.
    pub party: Party,
    /// Whether the name, the URI or both are to be hidden.
    pub private: bool,
    /// Whether the sender vouches for it: `screen=yes`.
    pub screened: bool,
}

/// Whom a Remote-Party-ID names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Party {
    /// The side that sends the request; also when nothing is said.
    #[default]
    Calling,
    /// The side that the request is for.
    Called,
}

impl<'a> RemotePartyId<'a> {
    /// The view of one value.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let address = NameAddr::parse(value)?;
        let is = |name: &[u8], word: &[u8]| is_word(address.params, name, word);
        let privacy = address.params.value(b"privacy").unwrap_or_default();
        let party = if is(b"party", b"called") { Party::Called } else { Party::Calling };
        Some(Self {
            address,
            party,
            private: !privacy.is_empty() && !privacy.eq_ignore_ascii_case(b"off"),
            screened: is(b"screen", b"yes"),
        })
    }
}

pub(super) fn is_word(params: Params<'_>, name: &[u8], word: &[u8]) -> bool {
    params.value(name).is_some_and(|value| value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privacy_hides_the_caller_unless_it_says_none() {
        assert!(Privacy::parse(b"id;critical").hides_caller());
        assert!(Privacy::parse(b"user; header").hides_caller());
        assert!(!Privacy::parse(b"none").hides_caller());
        assert!(!Privacy::parse(b"history").hides_caller());
        assert_eq!(Privacy::parse(b"x;;Y"), Privacy::default());
    }

    #[test]
    fn a_remote_party_says_who_and_whether_it_is_screened() {
        let value = b"\"A\" <sip:03123@t>;party=calling;screen=yes;privacy=full";
        let party = RemotePartyId::parse(value).unwrap();
        assert_eq!((party.party, party.private, party.screened), (Party::Calling, true, true));
        let called = RemotePartyId::parse(b"<sip:a@b>;party=called;privacy=off").unwrap();
        assert_eq!((called.party, called.private, called.screened), (Party::Called, false, false));
    }
}
