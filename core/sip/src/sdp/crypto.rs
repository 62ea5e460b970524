//! `a=crypto` (RFC 4568, section 4): the keys of SRTP within a description, read and handed on.

use std::fmt;

/// Whether a stream is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// It is not.
    None,
    /// Plain RTP with keys beside it: a phone's wish, which plain RTP answers as well.
    Offered,
    /// Only encrypted: `RTP/SAVP` and its like.
    Required,
}

/// One `a=crypto` line.
#[derive(Clone, PartialEq, Eq)]
pub struct Crypto {
    /// Tells it from others; the answer names the chosen one's.
    pub tag: u32,
    /// The suite (`AES_CM_128_HMAC_SHA1_80`).
    pub suite: String,
    /// Key parameters as written (`inline:…`), a secret.
    pub key_params: String,
    /// Session parameters as written; empty for none. One that is not understood makes the line
    /// unusable (RFC 4568, 6.3).
    pub session_params: String,
}

impl Crypto {
    /// Reads what stands behind `a=crypto:`: `1 AES_CM_128_HMAC_SHA1_80 inline:…`; `None` when a
    /// part is missing.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let tag: u32 = words.next()?.parse().ok().filter(|tag| *tag < 1_000_000_000)?;
        let (suite, key_params) = (words.next()?, words.next()?);
        let session_params: Vec<&str> = words.collect();
        Some(Self {
            tag,
            suite: suite.to_owned(),
            key_params: key_params.to_owned(),
            session_params: session_params.join(" "),
        })
    }

    /// What stands behind `a=crypto:`, as it is written.
    #[must_use]
    pub fn value(&self) -> String {
        let Self { tag, suite, key_params, session_params } = self;
        let space = if session_params.is_empty() { "" } else { " " };
        format!("{tag} {suite} {key_params}{space}{session_params}")
    }

    /// Whether this line of an answer is about that one of an offer (RFC 4568, 5.1.2).
    #[must_use]
    pub fn answers(&self, offered: &Self) -> bool {
        self.tag == offered.tag && self.suite == offered.suite
    }
}

// Keys stay out of logs.
impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crypto")
            .field("tag", &self.tag)
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_gives_its_parts_and_its_key_is_not_shown() {
        let line = "2 AES_CM_128_HMAC_SHA1_32 inline:secretkey|2^20|1:4 UNENCRYPTED_SRTCP KDR=1";
        let crypto = Crypto::parse(line).unwrap();
        assert_eq!((crypto.tag, crypto.suite.as_str()), (2, "AES_CM_128_HMAC_SHA1_32"));
        assert_eq!(crypto.key_params, "inline:secretkey|2^20|1:4");
        assert_eq!(crypto.session_params, "UNENCRYPTED_SRTCP KDR=1");
        assert!(!format!("{crypto:?}").contains("secretkey"));
        assert_eq!(crypto.value(), line);
        for line in ["", "x y z", "1 AES", "9999999999 A inline:b"] {
            assert_eq!(Crypto::parse(line), None, "{line}");
        }
    }
}
