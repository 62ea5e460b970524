//! Diversion (RFC 5806): who sent a call on, the latest first.

use super::NameAddr;
use super::identity::is_word;

/// One diversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Diversion<'a> {
    /// The party that diverted.
    pub address: NameAddr<'a>,
    /// Why (`unconditional`, `no-answer`, `user-busy` …), as written.
    pub reason: Option<&'a [u8]>,
    /// How many diversions this entry stands for; 1 without a `counter`.
    pub counter: u32,
    /// The `limit` parameter: how many more are permitted.
    pub limit: Option<u32>,
    /// Whether the party is to be hidden.
    pub private: bool,
    /// Whether the sender vouches for it.
    pub screened: bool,
}

impl<'a> Diversion<'a> {
    /// The view of one value.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let address = NameAddr::parse(value)?;
        let number = |name: &[u8]| super::number(address.params.value(name)?);
        let privacy = address.params.value(b"privacy").unwrap_or_default();
        Some(Self {
            address,
            reason: address.params.value(b"reason").filter(|reason| !reason.is_empty()),
            counter: number(b"counter").unwrap_or(1).max(1),
            limit: number(b"limit"),
            private: !privacy.is_empty() && !privacy.eq_ignore_ascii_case(b"off"),
            screened: is_word(address.params, b"screen", b"yes"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diversion_names_its_party_and_cause() {
        let value = b"<sip:+81312340001@t>;reason=no-answer;counter=2;privacy=full;screen=no";
        let diversion = Diversion::parse(value).unwrap();
        assert_eq!(diversion.reason, Some(b"no-answer".as_slice()));
        assert_eq!((diversion.counter, diversion.limit), (2, None));
        assert!(diversion.private && !diversion.screened);
        let odd = Diversion::parse(b"<sip:a@b>;counter=x;limit=3;reason=\"user-busy\"").unwrap();
        assert_eq!((odd.counter, odd.limit, odd.reason), (1, Some(3), Some(&b"user-busy"[..])));
        assert_eq!(Diversion::parse(b";reason=x"), None);
    }
}
