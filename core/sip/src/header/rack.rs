//! RAck (RFC 3262, 7.2): which provisional response a PRACK acknowledges. RSeq (7.1) is one number.

use crate::message::Method;

/// The response's number and the request that it answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RAck {
    /// The RSeq of the response.
    pub rseq: u32,
    /// The CSeq number of the request.
    pub cseq: u32,
    /// The method of the request.
    pub method: Method,
}

impl RAck {
    /// The view of a header value.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let (rseq, cseq) = (super::number(words.next()?)?, super::number(words.next()?)?);
        let method = Method::from_name(words.next()?);
        words.next().is_none().then_some(Self { rseq, cseq, method })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_words_and_no_more() {
        let rack = RAck::parse(b"776656 \t 1  INVITE").unwrap();
        assert_eq!(rack, RAck { rseq: 776_656, cseq: 1, method: Method::Invite });
        for value in ["", "1", "1 2", "x 2 INVITE", "1 2 INVITE 3", "4294967296 1 INVITE"] {
            assert_eq!(RAck::parse(value.as_bytes()), None, "{value}");
        }
    }
}
