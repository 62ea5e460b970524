//! Replaces (RFC 3891, section 6.1): the dialog that a new INVITE takes the place of.

use super::Params;
use crate::message::is_token;

/// The dialog to be replaced, as its own user agent would write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaces<'a> {
    /// Its Call-ID.
    pub call_id: &'a [u8],
    /// The tag of the side that receives this header.
    pub to_tag: &'a [u8],
    /// The tag of the other side.
    pub from_tag: &'a [u8],
    /// Only an early dialog may be replaced.
    pub early_only: bool,
}

impl<'a> Replaces<'a> {
    /// The view of a header value; both tags must be there as tokens (RFC 3261, 25.1), once
    /// each.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let end = value.iter().position(|&byte| byte == b';')?;
        let (call_id, params) = value.split_at_checked(end)?;
        let call_id = call_id.trim_ascii();
        let params = Params::new(params);
        let once = |name: &[u8]| {
            let mut found = params.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
            let (_, value) = found.next()?;
            value.filter(|value| is_token(value) && found.next().is_none())
        };
        let sound = !call_id.is_empty() && !call_id.iter().any(u8::is_ascii_whitespace);
        Some(Self {
            call_id: Some(call_id).filter(|_| sound)?,
            to_tag: once(b"to-tag")?,
            from_tag: once(b"from-tag")?,
            early_only: params.has(b"early-only"),
        })
    }

    /// The value of a header that says this.
    #[must_use]
    pub fn to_value(&self) -> Vec<u8> {
        let early: &[u8] = if self.early_only { b";early-only" } else { b"" };
        [self.call_id, b";to-tag=", self.to_tag, b";from-tag=", self.from_tag, early].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let plain =
            Replaces::parse(b"98732@sip.example.com\r\n  ;from-tag=r33th4x0r\r\n ;to-tag=ff87ff")
                .unwrap();
        assert_eq!(plain.call_id, b"98732@sip.example.com");
        assert_eq!((plain.to_tag, plain.from_tag), (b"ff87ff".as_slice(), b"r33th4x0r".as_slice()));
        assert!(!plain.early_only);
        let early = Replaces::parse(b"a;to-tag=7;from-tag=8;early-only").unwrap();
        assert!(early.early_only);
        assert_eq!(Replaces::parse(&early.to_value()), Some(early));
    }

    #[test]
    fn a_missing_or_doubled_tag_is_no_dialog() {
        for value in [
            "",
            "a",
            ";to-tag=1;from-tag=2",
            // Found by fuzzing: a quote in a tag hid what came behind it.
            "9'732@a;from-tag={33;to-tag=ff",
            "a;from-tag=33;to-tag=ff\"x;early\"",
            "a;to-tag=1",
            "a;to-tag=;from-tag=1",
            "a;to-tag=1;from-tag=2;to-tag=3",
            "a b;to-tag=1;from-tag=2",
        ] {
            assert_eq!(Replaces::parse(value.as_bytes()), None, "{value}");
        }
    }
}
