//! Reading: the whole datagram is checked once (RFC 3550, appendix A.2, and the lengths inside each
//! packet), so that what is handed out cannot be wrong.

use super::{
    BLOCK, BYE, CNAME, DESCRIPTION, RECEIVER_REPORT, ReportBlock, RtcpError, SENDER_REPORT,
    SenderInfo,
};

/// A compound packet that was checked.
#[derive(Clone, Copy, Debug)]
pub struct Compound<'a> {
    bytes: &'a [u8],
}

/// One packet of it.
#[derive(Clone, Copy, Debug)]
pub enum Packet<'a> {
    /// SR.
    SenderReport {
        /// Who reports.
        ssrc: u32,
        /// What it sent.
        info: SenderInfo,
        /// What it received.
        reports: Reports<'a>,
    },
    /// RR.
    ReceiverReport {
        /// Who reports.
        ssrc: u32,
        /// What it received.
        reports: Reports<'a>,
    },
    /// SDES: of each source its canonical name, of which the first is here.
    Description {
        /// The first source, and its name.
        first: Option<(u32, &'a [u8])>,
    },
    /// BYE.
    Bye {
        /// The first source that leaves.
        ssrc: Option<u32>,
    },
    /// APP, feedback, extended reports.
    Other {
        /// Its type.
        kind: u8,
    },
}

/// The report blocks of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Reports<'a> {
    bytes: &'a [u8],
}

impl Reports<'_> {
    /// Block by block.
    pub fn iter(&self) -> impl Iterator<Item = ReportBlock> {
        let (blocks, _) = self.bytes.as_chunks::<BLOCK>();
        blocks.iter().map(block)
    }
}

fn block(bytes: &[u8; BLOCK]) -> ReportBlock {
    let &[
        s0,
        s1,
        s2,
        s3,
        fraction_lost,
        l0,
        l1,
        l2,
        h0,
        h1,
        h2,
        h3,
        j0,
        j1,
        j2,
        j3,
        t0,
        t1,
        t2,
        t3,
        d0,
        d1,
        d2,
        d3,
    ] = bytes;
    ReportBlock {
        ssrc: u32::from_be_bytes([s0, s1, s2, s3]),
        fraction_lost,
        // Sign extended from 24 bits.
        lost: i32::from_be_bytes([l0, l1, l2, 0]) >> 8,
        highest: u32::from_be_bytes([h0, h1, h2, h3]),
        jitter: u32::from_be_bytes([j0, j1, j2, j3]),
        last_report: u32::from_be_bytes([t0, t1, t2, t3]),
        delay: u32::from_be_bytes([d0, d1, d2, d3]),
    }
}

/// Count, type and body of the first packet, and what is behind it.
type Cut<'a> = (u8, u8, &'a [u8], &'a [u8]);

/// Cuts the first packet off.
fn cut(bytes: &[u8]) -> Result<Cut<'_>, RtcpError> {
    let (&[b0, kind, high, low], rest) = bytes.split_first_chunk().ok_or(RtcpError::Truncated)?;
    if b0 >> 6 != 2 {
        return Err(RtcpError::Version);
    }
    let words = usize::from(u16::from_be_bytes([high, low]));
    let (body, behind) = rest.split_at_checked(words * 4).ok_or(RtcpError::Truncated)?;
    let mut body = body;
    if b0 & 0x20 != 0 {
        if !behind.is_empty() {
            return Err(RtcpError::NotCompound);
        }
        let padding = usize::from(body.last().copied().unwrap_or(0));
        let kept = body.len().checked_sub(padding).filter(|_| padding > 0 && padding % 4 == 0);
        body = kept.and_then(|kept| body.get(..kept)).ok_or(RtcpError::Truncated)?;
    }
    Ok((b0 & 31, kind, body, behind))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

fn packet(count: u8, kind: u8, body: &[u8]) -> Option<Packet<'_>> {
    let reports = |from: usize| {
        let bytes = body.get(from..from + usize::from(count) * BLOCK)?;
        Some(Reports { bytes })
    };
    Some(match kind {
        SENDER_REPORT => Packet::SenderReport {
            ssrc: word(body, 0)?,
            info: SenderInfo {
                ntp: u64::from(word(body, 4)?) << 32 | u64::from(word(body, 8)?),
                rtp: word(body, 12)?,
                packets: word(body, 16)?,
                octets: word(body, 20)?,
            },
            reports: reports(24)?,
        },
        RECEIVER_REPORT => Packet::ReceiverReport { ssrc: word(body, 0)?, reports: reports(4)? },
        DESCRIPTION => Packet::Description { first: description(count, body)? },
        BYE => {
            // The sources, then perhaps a reason with its length.
            let reason = body.get(usize::from(count) * 4..)?;
            if let Some((length, text)) = reason.split_first() {
                text.get(..usize::from(*length))?;
            }
            Packet::Bye { ssrc: word(body, 0).filter(|_| count > 0) }
        }
        kind => Packet::Other { kind },
    })
}

/// Walks all chunks; the first source with its canonical name.
fn description(count: u8, body: &[u8]) -> Option<Option<(u32, &[u8])>> {
    let mut first = None;
    let mut rest = body;
    for _ in 0..count {
        let ssrc = word(rest, 0)?;
        let chunk = rest;
        let mut at = 4usize;
        loop {
            match *chunk.get(at)? {
                0 => break,
                kind => {
                    let length = usize::from(*chunk.get(at + 1)?);
                    let text = chunk.get(at + 2..at + 2 + length)?;
                    if kind == CNAME && first.is_none() {
                        first = Some((ssrc, text));
                    }
                    at += 2 + length;
                }
            }
        }
        // The end is zeros up to a multiple of four, one at least.
        rest = chunk.get((at + 1).next_multiple_of(4)..)?;
    }
    Some(first)
}

impl<'a> Compound<'a> {
    /// Reads and checks a datagram.
    ///
    /// # Errors
    /// Why it is no compound packet.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtcpError> {
        let mut rest = bytes;
        let mut first = true;
        while !rest.is_empty() {
            let (count, kind, body, behind) = cut(rest)?;
            if first && !matches!(kind, SENDER_REPORT | RECEIVER_REPORT) {
                return Err(RtcpError::NotCompound);
            }
            packet(count, kind, body).ok_or(RtcpError::Contents)?;
            (rest, first) = (behind, false);
        }
        if first { Err(RtcpError::Truncated) } else { Ok(Self { bytes }) }
    }

    /// Its packets, in order.
    pub fn packets(&self) -> impl Iterator<Item = Packet<'a>> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            let (count, kind, body, behind) = cut(rest).ok()?;
            rest = behind;
            packet(count, kind, body)
        })
    }
}
