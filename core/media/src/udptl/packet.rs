//! One datagram (T.38, 9.1), read without copying.

use super::{DATAGRAM_BYTES, RECOVERY_ENTRIES, UdptlError, ifp_bytes};

/// What a datagram says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'d> {
    /// Its number, counted up by one a packet; repeats have the same.
    pub sequence: u16,
    /// Its own IFP packet.
    pub primary: &'d [u8],
    /// What repairs the loss of earlier ones.
    pub recovery: Recovery<'d>,
}

/// What repairs the loss of earlier packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery<'d> {
    /// Copies of the packets before, the newest first.
    Redundancy(Entries<'d>),
    /// Parities: entry `m` of `n` is that of the `span` packets numbered `sequence + m - n * k` for
    /// `k` from 1 to `span`.
    Fec {
        /// Packets a parity.
        span: u8,
        /// The parities.
        entries: Entries<'d>,
    },
}

/// Octet strings, one behind the other, each with its length; checked when the packet was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entries<'d> {
    count: usize,
    bytes: &'d [u8],
}

impl<'d> Entries<'d> {
    /// How many.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The strings in their order.
    pub fn iter(&self) -> impl Iterator<Item = &'d [u8]> + use<'d> {
        let mut rest = self.bytes;
        (0..self.count).map_while(move |_| string(&mut rest).ok())
    }
}

impl<'d> Packet<'d> {
    /// Reads a datagram to its last byte.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(datagram: &'d [u8]) -> Result<Self, UdptlError> {
        if datagram.len() > DATAGRAM_BYTES {
            return Err(UdptlError::TooLong { bytes: datagram.len() });
        }
        let (sequence, mut rest) = datagram.split_first_chunk().ok_or(UdptlError::Truncated)?;
        let primary = string(&mut rest)?;
        if ifp_bytes(primary) != Some(primary.len()) {
            return Err(UdptlError::Ifp);
        }
        let recovery = match octet(&mut rest)? {
            0 => Recovery::Redundancy(entries(&mut rest)?),
            0x80 => {
                // An unconstrained number: one octet of length, then its value.
                if octet(&mut rest)? != 1 {
                    return Err(UdptlError::Length);
                }
                let span = octet(&mut rest)?;
                Recovery::Fec { span, entries: entries(&mut rest)? }
            }
            kind => return Err(UdptlError::Kind { kind }),
        };
        if !rest.is_empty() {
            return Err(UdptlError::Trailing { bytes: rest.len() });
        }
        Ok(Self { sequence: u16::from_be_bytes(*sequence), primary, recovery })
    }
}

fn octet(rest: &mut &[u8]) -> Result<u8, UdptlError> {
    let (first, behind) = rest.split_first().ok_or(UdptlError::Truncated)?;
    *rest = behind;
    Ok(*first)
}

/// A length determinant of aligned PER: one octet below 128, two below 16384.
fn length(rest: &mut &[u8]) -> Result<usize, UdptlError> {
    let first = octet(rest)?;
    match first {
        0..=0x7F => Ok(usize::from(first)),
        0x80..=0xBF => Ok(usize::from(first & 0x3F) << 8 | usize::from(octet(rest)?)),
        0xC0..=0xFF => Err(UdptlError::Length),
    }
}

fn string<'d>(rest: &mut &'d [u8]) -> Result<&'d [u8], UdptlError> {
    let length = length(rest)?;
    let (string, behind) = rest.split_at_checked(length).ok_or(UdptlError::Truncated)?;
    *rest = behind;
    Ok(string)
}

fn entries<'d>(rest: &mut &'d [u8]) -> Result<Entries<'d>, UdptlError> {
    let count = length(rest)?;
    if count > RECOVERY_ENTRIES {
        return Err(UdptlError::Entries { entries: count });
    }
    let bytes = *rest;
    for _ in 0..count {
        string(rest)?;
    }
    Ok(Entries { count, bytes })
}

/// Appends an octet string with its length.
pub(super) fn put_string(out: &mut Vec<u8>, string: &[u8]) {
    put_length(out, string.len());
    out.extend_from_slice(string);
}

/// Bytes that [`put_string`] appends.
pub(super) const fn string_bytes(length: usize) -> usize {
    length + if length < 0x80 { 1 } else { 2 }
}

pub(super) fn put_length(out: &mut Vec<u8>, length: usize) {
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    let [high, low] = length.to_be_bytes();
    if length < 0x80 {
        out.push(low);
    } else {
        out.extend_from_slice(&[0x80 | high & 0x3F, low]);
    }
}
