//! Session-Expires and Min-SE (RFC 4028, sections 4 and 5).

use super::Params;

/// Which side of a transaction sends the refreshes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresher {
    /// The client of the request that this stands in or answers.
    Uac,
    /// Its server.
    Uas,
}

/// A Session-Expires or Min-SE value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionExpires {
    /// The interval, in seconds.
    pub seconds: u32,
    /// Who refreshes, when it is said.
    pub refresher: Option<Refresher>,
}

impl SessionExpires {
    /// The view of a header value.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let end = value.iter().position(|&byte| byte == b';').unwrap_or(value.len());
        let (digits, params) = value.split_at_checked(end)?;
        let refresher = match Params::new(params).value(b"refresher") {
            Some(word) if word.eq_ignore_ascii_case(b"uac") => Some(Refresher::Uac),
            Some(word) if word.eq_ignore_ascii_case(b"uas") => Some(Refresher::Uas),
            Some(_) | None => None,
        };
        Some(Self { seconds: super::number(digits.trim_ascii())?, refresher })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_and_its_refresher_are_read() {
        let read = SessionExpires::parse(b"4000;refresher=UAC").unwrap();
        assert_eq!((read.seconds, read.refresher), (4000, Some(Refresher::Uac)));
        let bare = SessionExpires::parse(b" 90 ; x=1").unwrap();
        assert_eq!((bare.seconds, bare.refresher), (90, None));
        for value in ["", "x", "-1", "1 2", "99999999999"] {
            assert_eq!(SessionExpires::parse(value.as_bytes()), None, "{value}");
        }
    }
}
