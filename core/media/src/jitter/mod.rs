//! The jitter buffer: packets in as they come, sound out by the clock (RFC 3550, section 6.4.1 in
//! its notion of jitter; the rules are ours).
//!
//! Each packet has a place on a *timeline* in samples. The delay of the fastest packet is the
//! base; how much later others come is learned (`delay`), and all but 3 % shall be in time, or all
//! where that costs little more. Where the delay is wrong, one pitch period is taken out or put in
//! (`stretch`): between words, and in a word only when no pause comes; while nothing is sent it is
//! corrected for nothing. What is missing is concealed; a starving buffer conceals without giving
//! up what may still come, up to the bound. Where packets bring those before them again and enough
//! are lost, one packet more is waited for (`loss`). Nothing is allocated after construction.

mod buffer;
mod delay;
mod loss;
mod store;
mod stretch;
#[cfg(test)]
mod tests;
mod wire;

use std::time::Duration;

pub use buffer::{Decode, JitterBuffer};

/// What the buffer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JitterMode {
    /// Voice: as little delay as the network permits, concealment, time-scaling.
    Adaptive {
        /// The least delay.
        least: Duration,
        /// The delay until the network is known.
        initial: Duration,
        /// The bound: what would be played later is dropped.
        most: Duration,
    },
    /// Fax and modems: one delay, no sample more or less while a carrier is on. In the place of a
    /// lost packet stands what the decoder makes up, or silence; drift is made up in pauses. Half
    /// and twice the delay are the bounds.
    Fixed {
        /// The delay.
        delay: Duration,
    },
}

impl JitterMode {
    /// For voice: 0 to 400 ms, 40 ms at first.
    pub const VOICE: Self = Self::Adaptive {
        least: Duration::ZERO,
        initial: Duration::from_millis(40),
        most: Duration::from_millis(400),
    };

    /// For fax and modems: 100 ms.
    pub const FAX: Self = Self::Fixed { delay: Duration::from_millis(100) };
}

/// How a buffer is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JitterConfig {
    /// Samples a second of the sound: 8000, 16000, 24000 or 48000.
    pub sample_rate: u32,
    /// RTP clock rate. It may differ: G.722 counts 8000 for 16000 samples, Opus 48000 for any.
    pub clock_rate: u32,
    /// Room for payloads, in bytes; [`JitterConfig::payload_room`] tells how many a codec needs.
    pub payload_bytes: usize,
    /// What it is for.
    pub mode: JitterMode,
}

impl JitterConfig {
    /// Bytes of payload within the bound of `mode` and half as much again.
    #[must_use]
    pub fn payload_room(mode: JitterMode, bytes_per_second: usize) -> usize {
        let ms = usize::try_from(most(mode).as_millis()).unwrap_or(usize::MAX);
        bytes_per_second.saturating_mul(ms) / 1_000 * 3 / 2 + MOST_PAYLOAD
    }
}

/// Bytes of the largest payload that is taken: an Ethernet frame.
pub const MOST_PAYLOAD: usize = 1_500;

/// The longest packet that is taken, in ms.
pub const MOST_PACKET_MS: u32 = 120;

/// The longest delay of a mode.
fn most(mode: JitterMode) -> Duration {
    match mode {
        JitterMode::Adaptive { most, .. } => most,
        JitterMode::Fixed { delay } => delay.saturating_mul(2),
    }
}

/// What a packet brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// Sound in the stream's codec.
    Audio(&'a [u8]),
    /// Comfort noise (RFC 3389).
    Noise(&'a [u8]),
    /// Nothing to hear: a telephone-event, which has a sequence number all the same.
    Event,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It waits for its time.
    Kept,
    /// It is there already, or was.
    Duplicate,
    /// Its time is over.
    Late,
    /// Its numbers do not fit the stream's; two in a row begin a new stream.
    Strange,
    /// It is longer than [`MOST_PAYLOAD`] or the buffer.
    TooBig,
}

/// Exact counts. Packets: `kept` = decoded + discarded + those that wait. Samples: what was pulled
/// and what waits to be is `played + concealed + inserted + noise - removed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JitterCounts {
    /// Packets kept.
    pub kept: u64,
    /// Packets that had come before.
    pub duplicate: u64,
    /// Packets whose time was over.
    pub late: u64,
    /// Packets with numbers out of the blue, or too big.
    pub strange: u64,
    /// Kept packets that were taken out for decoding (comfort noise and events too).
    pub decoded: u64,
    /// Kept packets dropped because of the bound, lack of room, or a new source.
    pub discarded: u64,
    /// Packets that were concealed because a later one was due.
    pub lost: u64,
    /// Samples decoded and played.
    pub played: u64,
    /// Decoded samples that were not played: their place was filled already.
    pub trimmed: u64,
    /// Samples made up in place of what was lost.
    pub concealed: u64,
    /// Samples made up in between: by stretching, or while nothing had come.
    pub inserted: u64,
    /// Samples taken out by shortening.
    pub removed: u64,
    /// Samples of comfort noise and of silence in pauses.
    pub noise: u64,
    /// Streams that began: changes of SSRC or numbering.
    pub restarts: u64,
}
