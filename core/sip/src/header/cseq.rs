//! CSeq (RFC 3261, section 20.16).

use crate::message::Method;

/// A sequence number and the method it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// The number, below 2^31 as section 8.1.1.5 wants.
    pub number: u32,
    /// The method.
    pub method: Method,
    /// The method's name on the wire.
    pub name: &'a [u8],
}

impl<'a> CSeq<'a> {
    /// The view of a header value.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let end = value.iter().position(u8::is_ascii_whitespace)?;
        let (digits, rest) = value.split_at_checked(end)?;
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number: u32 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let name = rest.trim_ascii();
        (number < 1 << 31 && !name.is_empty()).then_some(Self {
            number,
            method: Method::from_name(name),
            name,
        })
    }
}
