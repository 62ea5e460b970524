//! Reason (RFC 3326): why a request was sent or refused.

use super::Params;

/// One reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason<'a> {
    /// Whose causes they are (`SIP`, `Q.850`).
    pub protocol: &'a [u8],
    /// The cause.
    pub cause: Option<u16>,
    /// Its text, escapes in it stay.
    pub text: Option<&'a [u8]>,
}

impl<'a> Reason<'a> {
    /// The view of one value.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let end = value.iter().position(|&byte| byte == b';').unwrap_or(value.len());
        let (protocol, params) = value.split_at_checked(end)?;
        let (protocol, params) = (protocol.trim_ascii(), Params::new(params));
        let cause = params.value(b"cause").and_then(super::number);
        (!protocol.is_empty()).then_some(Self {
            protocol,
            cause: cause.and_then(|cause| u16::try_from(cause).ok()),
            text: params.value(b"text"),
        })
    }

    /// Whether it says that the call was answered elsewhere (RFC 3326, 2): no missed call then.
    #[must_use]
    pub fn is_answered_elsewhere(&self) -> bool {
        self.protocol.eq_ignore_ascii_case(b"SIP") && self.cause == Some(200)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_read_with_and_without_text() {
        let elsewhere =
            Reason::parse(b"SIP ;cause=200 ;text=\"Call completed; elsewhere\"").unwrap();
        assert!(elsewhere.is_answered_elsewhere());
        assert_eq!(elsewhere.text, Some(b"Call completed; elsewhere".as_slice()));
        let q850 = Reason::parse(b"Q.850;cause=16").unwrap();
        assert_eq!((q850.protocol, q850.cause), (b"Q.850".as_slice(), Some(16)));
        assert!(!q850.is_answered_elsewhere());
        assert_eq!(Reason::parse(b"SIP;cause=99999").unwrap().cause, None);
        assert_eq!(Reason::parse(b";cause=1"), None);
    }
}
