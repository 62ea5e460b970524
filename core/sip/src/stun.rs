//! STUN binding requests on the SIP port (RFC 8489; RFC 5626, section 4.4.2): a phone behind a NAT
//! keeps its binding open with them, and sees in the answer that it got another one.
//!
//! A server for keep-alive alone: no TCP, no authentication (RFC 5626, 4.4.2, forbids it), no
//! change of address or port (RFC 5780), nothing of RFC 3489, whose requests lack the cookie that
//! tells STUN from everything else.

use std::net::{IpAddr, SocketAddr};

use thiserror::Error;

/// The longest request that is looked at, in bytes: RFC 8489, 6.1, wants it to fit every path.
pub const REQUEST_BYTES: usize = 548;

/// Why a datagram that began like STUN is not answered; the peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StunError {
    /// Shorter than a header, longer than [`REQUEST_BYTES`], or not as long as it says.
    #[error("the length is wrong")]
    Length,
    /// Without the magic cookie.
    #[error("no magic cookie")]
    Cookie,
    /// A response, or another method.
    #[error("message type {0:#06x} is no binding request")]
    Type(u16),
    /// An attribute reaches beyond the message, or stands behind FINGERPRINT.
    #[error("an attribute cannot be read")]
    Attribute,
    /// The checksum is wrong.
    #[error("the FINGERPRINT is wrong")]
    Fingerprint,
}

/// Whether a datagram on the SIP port is meant as STUN (RFC 7983: its first byte is below 4, which
/// no SIP message begins with).
#[must_use]
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first < 4)
}

/// The answer to a binding request that came from `source`; `None` for an indication, which wants
/// none.
///
/// # Errors
/// What is wrong with it; nothing is answered then.
pub fn respond(datagram: &[u8], source: SocketAddr) -> Result<Option<Vec<u8>>, StunError> {
    let request = Request::parse(datagram)?;
    if request.kind == BINDING_INDICATION {
        return Ok(None);
    }
    let mut answer = if request.unknown.is_empty() {
        let mut answer = Answer::new(BINDING_SUCCESS, request.transaction);
        answer.xor_mapped_address(source, request.transaction);
        answer
    } else {
        let mut answer = Answer::new(BINDING_ERROR, request.transaction);
        answer.attribute(ERROR_CODE, b"\0\0\x04\x14Unknown Attribute");
        let unknown: Vec<u8> = request.unknown.iter().flat_map(|kind| kind.to_be_bytes()).collect();
        answer.attribute(UNKNOWN_ATTRIBUTES, &unknown);
        answer
    };
    if request.fingerprint {
        answer.fingerprint();
    }
    Ok(Some(answer.0))
}

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER_BYTES: usize = 20;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_INDICATION: u16 = 0x0011;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const FINGERPRINT: u16 = 0x8028;

/// USERNAME, REALM, NONCE, PASSWORD-ALGORITHM and USERHASH say who asks, which is all the same.
const IGNORED: [u16; 7] =
    [0x0006, MESSAGE_INTEGRITY, 0x0014, 0x0015, MESSAGE_INTEGRITY_SHA256, 0x001d, 0x001e];

/// What FINGERPRINT's checksum is mixed with, so that it is no CRC of another protocol.
const FINGERPRINT_XOR: u32 = 0x5354_554e;

/// A request as far as it matters here.
struct Request<'a> {
    kind: u16,
    transaction: &'a [u8; 12],
    /// Attributes that would have to be understood and are not.
    unknown: Vec<u16>,
    fingerprint: bool,
}

impl<'a> Request<'a> {
    fn parse(datagram: &'a [u8]) -> Result<Self, StunError> {
        if datagram.len() > REQUEST_BYTES {
            return Err(StunError::Length);
        }
        let (header, attributes) =
            datagram.split_first_chunk::<HEADER_BYTES>().ok_or(StunError::Length)?;
        let [k0, k1, l0, l1, c0, c1, c2, c3, ..] = *header;
        let transaction = header.last_chunk::<12>().ok_or(StunError::Length)?;
        let (kind, length) = (u16::from_be_bytes([k0, k1]), u16::from_be_bytes([l0, l1]));
        if [c0, c1, c2, c3] != COOKIE {
            return Err(StunError::Cookie);
        }
        if usize::from(length) != attributes.len() || length % 4 != 0 {
            return Err(StunError::Length);
        }
        if !matches!(kind, BINDING_REQUEST | BINDING_INDICATION) {
            return Err(StunError::Type(kind));
        }
        let mut request = Self { kind, transaction, unknown: Vec::new(), fingerprint: false };
        request.take_attributes(datagram, attributes)?;
        Ok(request)
    }

    fn take_attributes(&mut self, datagram: &[u8], attributes: &[u8]) -> Result<(), StunError> {
        let mut rest = attributes;
        let mut protected = false;
        while let Some((head, value)) = rest.split_first_chunk::<4>() {
            // FINGERPRINT is the last one (RFC 8489, 14.7).
            if self.fingerprint {
                return Err(StunError::Attribute);
            }
            let before = datagram.len().saturating_sub(rest.len());
            let [k0, k1, l0, l1] = *head;
            let (kind, length) = (u16::from_be_bytes([k0, k1]), u16::from_be_bytes([l0, l1]));
            let padded = usize::from(length).next_multiple_of(4);
            let (value, more) = value.split_at_checked(padded).ok_or(StunError::Attribute)?;
            rest = more;
            match kind {
                FINGERPRINT => {
                    let given = value.first_chunk::<4>().filter(|_| length == 4);
                    let given = given.ok_or(StunError::Attribute)?;
                    let covered = datagram.get(..before).ok_or(StunError::Attribute)?;
                    if u32::from_be_bytes(*given) != checksum(covered) {
                        return Err(StunError::Fingerprint);
                    }
                    self.fingerprint = true;
                }
                // RFC 8489, 14.5: what stands behind the integrity is not looked at.
                _ if protected => {}
                MESSAGE_INTEGRITY | MESSAGE_INTEGRITY_SHA256 => protected = true,
                _ if kind < 0x8000 && !IGNORED.contains(&kind) => self.unknown.push(kind),
                _ => {}
            }
        }
        if rest.is_empty() { Ok(()) } else { Err(StunError::Attribute) }
    }
}

/// FINGERPRINT's value over everything before it.
fn checksum(covered: &[u8]) -> u32 {
    crc32fast::hash(covered) ^ FINGERPRINT_XOR
}

/// A message being written; its length is that of the attributes so far.
struct Answer(Vec<u8>);

impl Answer {
    fn new(kind: u16, transaction: &[u8; 12]) -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&COOKIE);
        bytes.extend_from_slice(transaction);
        Self(bytes)
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.0.extend_from_slice(&kind.to_be_bytes());
        self.0.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self.set_length(0);
    }

    /// The length field, for what stands here and `more` bytes to come.
    fn set_length(&mut self, more: usize) {
        let length = self.0.len().saturating_sub(HEADER_BYTES).saturating_add(more);
        let length = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
        if let Some(field) = self.0.get_mut(2..4) {
            field.copy_from_slice(&length);
        }
    }

    /// RFC 8489, 14.2: mixed with cookie and transaction, so that no ALG rewrites it.
    fn xor_mapped_address(&mut self, source: SocketAddr, transaction: &[u8; 12]) {
        let mask: Vec<u8> = COOKIE.iter().chain(transaction).copied().collect();
        let (family, octets) = match source.ip() {
            IpAddr::V4(address) => (1, address.octets().to_vec()),
            IpAddr::V6(address) => (2, address.octets().to_vec()),
        };
        let port = source.port().to_be_bytes();
        let mixed = |bytes: &[u8]| bytes.iter().zip(&mask).map(|(a, b)| a ^ b).collect::<Vec<u8>>();
        let value = [vec![0, family], mixed(&port), mixed(&octets)].concat();
        self.attribute(XOR_MAPPED_ADDRESS, &value);
    }

    fn fingerprint(&mut self) {
        // The checksum covers a length that counts FINGERPRINT itself.
        self.set_length(8);
        let value = checksum(&self.0).to_be_bytes();
        self.attribute(FINGERPRINT, &value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSACTION: &[u8; 12] = b"abcdefghijkl";

    fn request(kind: u16, attributes: &[(u16, &[u8])], fingerprint: bool) -> Vec<u8> {
        let mut message = Answer::new(kind, TRANSACTION);
        for (kind, value) in attributes {
            message.attribute(*kind, value);
        }
        if fingerprint {
            message.fingerprint();
        }
        message.0
    }

    fn source() -> SocketAddr {
        "203.0.113.7:40001".parse().unwrap()
    }

    #[test]
    fn addresses_are_mixed_and_checksums_made_as_in_the_test_vectors() {
        // RFC 5769, 2.2: the sample response's XOR-MAPPED-ADDRESS for its transaction.
        let transaction = b"\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae";
        let mut answer = Answer::new(BINDING_SUCCESS, transaction);
        answer.xor_mapped_address("192.0.2.1:32853".parse().unwrap(), transaction);
        assert_eq!(answer.0.get(20..), Some(&b"\0\x20\0\x08\0\x01\xa1\x47\xe1\x12\xa6\x43"[..]));
        // RFC 5769, 2.3: the same for IPv6.
        let mut answer = Answer::new(BINDING_SUCCESS, transaction);
        let v6 = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
        answer.xor_mapped_address(v6, transaction);
        let value = b"\0\x20\0\x14\0\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\
                      \xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9";
        assert_eq!(answer.0.get(20..), Some(&value[..]));
        // RFC 5769, 2.1: the sample request; its PRIORITY belongs to ICE, which is not done here.
        let sample = [
            b"\0\x01\0\x58\x21\x12\xa4\x42".as_slice(),
            transaction,
            b"\x80\x22\0\x10STUN test client\0\x24\0\x04\x6e\0\x01\xff",
            b"\x80\x29\0\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\0\x06\0\x09evtj:h6vY   ",
            b"\0\x08\0\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49",
            b"\xc1\xb5\x71\xa2\x80\x28\0\x04\xe5\x7a\x3b\xcf",
        ]
        .concat();
        let answer = respond(&sample, source()).unwrap().unwrap();
        assert!(answer.windows(8).any(|part| part == b"\0\x0a\0\x02\0\x24\0\0"));
    }

    #[test]
    fn a_bare_request_is_answered_with_its_source_and_no_fingerprint() {
        let answer = respond(&request(BINDING_REQUEST, &[], false), source()).unwrap().unwrap();
        assert_eq!(answer.len(), 32);
        assert_eq!(answer.get(..4), Some(&b"\x01\x01\0\x0c"[..]));
        assert_eq!(answer.get(8..20), Some(&TRANSACTION[..]));
    }

    #[test]
    fn a_fingerprint_is_checked_and_answered_with_one() {
        let good = request(BINDING_REQUEST, &[(0x8022, b"phone")], true);
        let answer = respond(&good, source()).unwrap().unwrap();
        // The answer's own checksum holds: it is one of the things that a request is held to.
        let mut again = answer.clone();
        again[..2].copy_from_slice(&BINDING_REQUEST.to_be_bytes());
        assert_eq!(respond(&again, source()), Err(StunError::Fingerprint));
        let covered = &answer[..answer.len() - 8];
        assert_eq!(answer[answer.len() - 4..], checksum(covered).to_be_bytes());
        for at in 20..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            // Only as another attribute, which need not be understood, does it pass.
            assert!(respond(&bad, source()).is_err() || (32..34).contains(&at), "byte {at}");
        }
        let last = [good.as_slice(), b"\x80\x22\0\0"].concat();
        let mut last_but_one = last;
        let length = u16::try_from(last_but_one.len() - 20).unwrap().to_be_bytes();
        last_but_one[2..4].copy_from_slice(&length);
        assert!(respond(&last_but_one, source()).is_err());
    }

    #[test]
    fn what_must_be_understood_and_is_not_is_named() {
        let bytes = request(BINDING_REQUEST, &[(0x0006, b"u"), (0x0003, &[0; 4])], false);
        let answer = respond(&bytes, source()).unwrap().unwrap();
        assert_eq!(answer.get(..2), Some(&BINDING_ERROR.to_be_bytes()[..]));
        assert!(answer.windows(8).any(|part| part == b"\0\x0a\0\x02\0\x03\0\0"));
        // Behind the integrity nothing counts.
        let bytes = request(BINDING_REQUEST, &[(MESSAGE_INTEGRITY, &[0; 20]), (3, &[0; 4])], false);
        let answer = respond(&bytes, source()).unwrap().unwrap();
        assert_eq!(answer.get(..2), Some(&BINDING_SUCCESS.to_be_bytes()[..]));
    }

    #[test]
    fn nothing_else_is_answered() {
        let good = request(BINDING_REQUEST, &[(0x8022, b"soft")], false);
        for cut in 0..good.len() {
            assert_eq!(respond(&good[..cut], source()), Err(StunError::Length), "{cut}");
        }
        assert_eq!(respond(&[good.as_slice(), b"\0"].concat(), source()), Err(StunError::Length));
        assert_eq!(respond(&[0; 600], source()), Err(StunError::Length));
        let mut no_cookie = good.clone();
        no_cookie[4] = 0;
        assert_eq!(respond(&no_cookie, source()), Err(StunError::Cookie));
        for kind in [BINDING_SUCCESS, BINDING_ERROR, 0x0003] {
            let other = request(kind, &[], false);
            assert_eq!(respond(&other, source()), Err(StunError::Type(kind)));
        }
        assert_eq!(respond(&request(BINDING_INDICATION, &[], true), source()), Ok(None));
        let mut beyond = good;
        beyond[23] = 200;
        assert_eq!(respond(&beyond, source()), Err(StunError::Attribute));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic_and_no_answer_is_long(
            tail in proptest::collection::vec(proptest::num::u8::ANY, 0..600),
            honest in proptest::bool::ANY,
        ) {
            let mut bytes = request(BINDING_REQUEST, &[], false);
            bytes.extend_from_slice(&tail);
            if honest {
                let length = u16::try_from(tail.len()).unwrap().to_be_bytes();
                bytes[2..4].copy_from_slice(&length);
            }
            if let Ok(Some(answer)) = respond(&bytes, source()) {
                proptest::prop_assert!(answer.len() <= bytes.len() + 64);
            }
        }
    }
}
