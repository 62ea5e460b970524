//! UDPTL, the transport of T.38 (ITU-T T.38, clause 9 and annex A): a sequence number, one IFP
//! packet, and what repairs the loss of earlier ones: copies of them (redundancy) or their parity
//! (FEC). Both are received; either is sent.
//!
//! A stream that other packets stray into (late RTP, a scanner) must not lose its place. So a
//! datagram counts only when it is one to its last byte, its IFP is one by T.38's own rules, and
//! its number lies near those before; a jump is believed when a second datagram goes on from it.
//!
//! Left out: IFP packets in fragments (above 16383 octets), which nobody sends, and RTP as carrier.

mod ifp;
mod packet;
mod receive;
mod send;

use thiserror::Error;

pub use ifp::ifp_bytes;
pub use packet::{Packet, Recovery};
pub use receive::{Receiver, UdptlCounts};
pub use send::{Correction, Sender};

/// Bytes of a datagram that is looked at; the largest `T38FaxMaxDatagram` in use is 1472.
pub const DATAGRAM_BYTES: usize = 1_500;

/// Copies or parities in one datagram that are looked at.
pub const RECOVERY_ENTRIES: usize = 32;

/// How far ahead or behind a sequence number may be and still belong to the stream: with one
/// datagram every 10 ms, ten seconds.
pub const WINDOW: u16 = 1_000;

/// Why a datagram is none of the stream's: its sender's fault. It changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UdptlError {
    /// Longer than [`DATAGRAM_BYTES`].
    #[error("{bytes} bytes are no UDPTL datagram")]
    TooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// It ends within a field.
    #[error("the datagram ends within a field")]
    Truncated,
    /// There is more behind its last field.
    #[error("{bytes} bytes behind the last field")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A length that no encoder writes, or one of a fragment.
    #[error("a length that is none")]
    Length,
    /// More copies or parities than are looked at.
    #[error("{entries} entries of recovery")]
    Entries {
        /// How many.
        entries: usize,
    },
    /// The octet that tells copies from parity is neither.
    #[error("recovery of kind {kind:#04x}")]
    Kind {
        /// Its value.
        kind: u8,
    },
    /// The primary is no IFP packet.
    #[error("the primary is no IFP packet")]
    Ifp,
    /// The number is far from those before.
    #[error("number {number} far from {expected}")]
    Jump {
        /// Its number.
        number: u16,
        /// The number that was next.
        expected: u16,
    },
}

#[cfg(test)]
mod tests;
