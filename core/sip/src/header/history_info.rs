//! History-Info (RFC 7044): whom a call was for before, the first first.

use super::NameAddr;

/// How an entry's target was found (RFC 7044, 5): the parameter that names the entry's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryTarget<'a> {
    /// `rc`: the same user, another contact.
    Contact(&'a [u8]),
    /// `mp`: another user.
    Mapped(&'a [u8]),
    /// `np`: unchanged.
    Unchanged(&'a [u8]),
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryInfo<'a> {
    /// The target.
    pub address: NameAddr<'a>,
    /// Its place (`1.1`).
    pub index: &'a [u8],
    /// How the target was found.
    pub target: Option<HistoryTarget<'a>>,
    /// The `cause` parameter of its URI (RFC 4458): 302, 408, 486 …
    pub cause: Option<u16>,
}

impl<'a> HistoryInfo<'a> {
    /// The view of one value; an entry without an index has no place and is none.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let address = NameAddr::parse(value)?;
        let params = address.params;
        let index = params.value(b"index").filter(|index| is_index(index))?;
        let named = |name: &[u8]| params.value(name).filter(|index| is_index(index));
        let target = named(b"rc")
            .map(HistoryTarget::Contact)
            .or_else(|| named(b"mp").map(HistoryTarget::Mapped))
            .or_else(|| named(b"np").map(HistoryTarget::Unchanged));
        let cause = address.uri().and_then(|uri| super::number(uri.params.value(b"cause")?));
        let cause = cause.and_then(|cause| u16::try_from(cause).ok());
        Some(Self { address, index, target, cause })
    }

    /// The Reason header within the URI, its escapes undone; allocates.
    #[must_use]
    pub fn reason(&self) -> Option<Vec<u8>> {
        self.address.uri()?.header(b"Reason")
    }

    /// Whether the entry is to be hidden (`?Privacy=history`).
    #[must_use]
    pub fn is_private(&self) -> bool {
        let privacy = self.address.uri().and_then(|uri| uri.header(b"Privacy"));
        privacy.is_some_and(|value| {
            let privacy = super::Privacy::parse(&value);
            privacy.history || privacy.hides_caller()
        })
    }
}

/// Numbers separated by dots.
fn is_index(text: &[u8]) -> bool {
    text.split(|&byte| byte == b'.')
        .all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_tells_its_place_cause_and_reason() {
        let value = b"<sip:bob@192.0.2.5;cause=302?Reason=SIP%3Bcause%3D302&Privacy=history>\
            ;index=1.2;mp=1.1";
        let entry = HistoryInfo::parse(value).unwrap();
        assert_eq!((entry.index, entry.cause), (b"1.2".as_slice(), Some(302)));
        assert_eq!(entry.target, Some(HistoryTarget::Mapped(b"1.1")));
        assert_eq!(entry.reason().as_deref(), Some(b"SIP;cause=302".as_slice()));
        assert!(entry.is_private());
        assert_eq!(HistoryInfo::parse(b"<sip:a@b>"), None);
        assert_eq!(HistoryInfo::parse(b"<sip:a@b>;index=1..2"), None);
    }
}
