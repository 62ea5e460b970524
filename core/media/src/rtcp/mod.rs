//! RTCP (RFC 3550, section 6): compound packets read strictly and written, and the session that
//! decides when to report and what the peer's reports mean.

mod parse;
mod session;
mod write;

pub use parse::{Compound, Packet, Reports};
pub use session::{Heard, RtcpSession, Sent};
pub use write::write;

use thiserror::Error;

/// Packet types.
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const DESCRIPTION: u8 = 202;
const BYE: u8 = 203;

/// SDES items: the canonical name.
const CNAME: u8 = 1;

/// Bytes of a report block.
const BLOCK: usize = 24;

/// What a sender says of its stream (section 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderInfo {
    /// Its clock, in 1/2^32 seconds since whenever its clock begins.
    pub ntp: u64,
    /// The RTP timestamp of the same moment.
    pub rtp: u32,
    /// Packets sent so far.
    pub packets: u32,
    /// Payload bytes sent so far.
    pub octets: u32,
}

/// What a receiver says of one source (section 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: u32,
    /// Share of the packets lost since the report before, in 256ths.
    pub fraction_lost: u8,
    /// Packets lost since the beginning; below zero when some came twice. 24 bits and sign.
    pub lost: i32,
    /// Extended highest sequence number.
    pub highest: u32,
    /// Interarrival jitter in units of the RTP clock.
    pub jitter: u32,
    /// The middle 32 bits of the last sender report's time; 0 when there was none.
    pub last_report: u32,
    /// Time since that report came, in 1/65536 seconds.
    pub delay: u32,
}

/// Why a datagram is no RTCP: the peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RtcpError {
    /// It is shorter than its lengths say, or no multiple of four bytes.
    #[error("RTCP is cut short")]
    Truncated,
    /// Another version than 2.
    #[error("RTCP of another version")]
    Version,
    /// It begins with no report, or is padded before its end.
    #[error("no compound RTCP packet")]
    NotCompound,
    /// A packet is shorter than what it must hold.
    #[error("an RTCP packet is shorter than its contents")]
    Contents,
}

#[cfg(test)]
mod tests;
