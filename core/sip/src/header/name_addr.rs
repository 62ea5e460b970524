//! From, To, Contact, Route and their like (RFC 3261, sections 20.10, 20.20, 25.1: name-addr and
//! addr-spec).

use super::quoted::{bracket_behind_quote, find_outside};
use super::{Params, Uri};

/// A display name, a URI and the header's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name as written, with its quotes when it has any; bytes of any character set.
    pub display: &'a [u8],
    /// The URI's text without angle brackets.
    pub uri_text: &'a [u8],
    /// The parameters of the header (not of the URI).
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// The view of one value.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let open = find_outside(value, b'<').or_else(|| bracket_behind_quote(value));
        let Some(open) = open else {
            // RFC 3261, 20: without brackets the parameters are the header's, not the URI's.
            let end = value.iter().position(|&byte| byte == b';').unwrap_or(value.len());
            let (uri_text, params) = value.split_at_checked(end)?;
            let uri_text = uri_text.trim_ascii();
            // A quote that is never closed hides the brackets; nothing of it may pass for a URI.
            let sound = !uri_text.iter().any(|byte| byte.is_ascii_whitespace() || *byte == b'"');
            return (sound && !uri_text.is_empty()).then_some(Self {
                display: &[],
                uri_text,
                params: Params::new(params),
            });
        };
        let display = value.get(..open)?.trim_ascii();
        let inner = value.get(open.checked_add(1)?..)?;
        let close = inner.iter().position(|&byte| byte == b'>')?;
        let uri_text = inner.get(..close)?.trim_ascii();
        let params = Params::new(inner.get(close.checked_add(1)?..)?);
        (!uri_text.is_empty()).then_some(Self { display, uri_text, params })
    }

    /// The URI.
    #[must_use]
    pub fn uri(&self) -> Option<Uri<'a>> {
        Uri::parse(self.uri_text)
    }

    /// The `tag` parameter, when it is not empty.
    #[must_use]
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.params.value(b"tag").filter(|tag| !tag.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_an_address_are_read() {
        let quoted = NameAddr::parse(br#""A <b> \" c" <sip:a@b;x=1>;tag=77"#).unwrap();
        assert_eq!(quoted.display, br#""A <b> \" c""#);
        assert_eq!(quoted.uri_text, b"sip:a@b;x=1");
        assert_eq!(quoted.tag(), Some(b"77".as_slice()));
        let bare = NameAddr::parse(b"sip:a@b;tag=5").unwrap();
        assert_eq!((bare.uri_text, bare.tag()), (b"sip:a@b".as_slice(), Some(b"5".as_slice())));
        let raw = NameAddr::parse(b"\x93\x8c\x8b\x9e <sip:a@b>").unwrap();
        assert_eq!(raw.display, b"\x93\x8c\x8b\x9e");
    }

    #[test]
    fn a_name_whose_last_byte_looks_like_an_escape_ends_at_its_quote() {
        let value = b"\"\x95\x5c\" <sip:a@b>;tag=1";
        let address = NameAddr::parse(value).unwrap();
        assert_eq!(address.display, b"\"\x95\x5c\"");
        assert_eq!((address.uri_text, address.tag()), (&b"sip:a@b"[..], Some(&b"1"[..])));
    }

    #[test]
    fn an_unclosed_address_is_none() {
        assert_eq!(NameAddr::parse(b"<sip:a@b"), None);
        assert_eq!(NameAddr::parse(b"<>"), None);
        assert_eq!(NameAddr::parse(b""), None);
        assert_eq!(NameAddr::parse(b"\"A <sip:a@b>"), None);
    }
}
