//! What a media worker reports to the switch.

use std::net::SocketAddr;
use std::time::Duration;

use koukan_base::{BridgeId, OpId, StreamId};

use crate::quality::{Cause, Verdict};
use crate::recording::RecordReport;
use crate::tone::FaxTone;

/// A report about one stream, or a room. Every `Play`, `SendDigits`, `Record`, `Join`, `Announce`
/// and `Close` gets exactly one answer; an `Open` gets one, and a worker that cannot take the
/// opened stream says [`Event::OpenFailed`] behind it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The stream has its ports; `rtp` is the bound local address, RTCP is one port above.
    Opened {
        /// The stream.
        stream: StreamId,
        /// The local address of RTP.
        rtp: SocketAddr,
    },
    /// The stream could not be opened; it does not exist.
    OpenFailed {
        /// The stream that was to be.
        stream: StreamId,
        /// Why.
        error: OpenError,
    },
    /// The stream is at the worker that it was moved to; when that one is full it is gone
    /// ([`Event::OpenFailed`]).
    Moved {
        /// The stream.
        stream: StreamId,
    },
    /// The stream's socket can be had by another process.
    Lent {
        /// The stream.
        stream: StreamId,
    },
    /// The first RTP packet of the peer, or the first from a new source, came from here.
    Heard {
        /// The stream.
        stream: StreamId,
        /// The source address.
        from: SocketAddr,
    },
    /// Nothing came for `silent_after`; reported once until something comes again.
    Silent {
        /// The stream.
        stream: StreamId,
    },
    /// A play has ended.
    Played {
        /// The stream.
        stream: StreamId,
        /// The operation that ended.
        op: OpId,
        /// How.
        end: PlayEnd,
    },
    /// An order of digits has ended.
    DigitsSent {
        /// The stream.
        stream: StreamId,
        /// The operation that ended.
        op: OpId,
        /// [`PlayEnd::Finished`] when the last digit is sent; [`PlayEnd::Stopped`] when the stream
        /// ended or moved; [`PlayEnd::Failed`] when too many waited or the stream may not send.
        end: PlayEnd,
    },
    /// A recording has ended and its file is whole, or there is none.
    Recorded {
        /// The stream, which may be gone by now.
        stream: StreamId,
        /// The operation that ended.
        op: OpId,
        /// How, and what is in the file.
        report: RecordReport,
    },
    /// The peer sent a digit, as a telephone-event (RFC 4733) or, where that is detected, as a tone
    /// in the sound: reported once, at its end.
    Digit {
        /// The stream.
        stream: StreamId,
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: u8,
        /// How long it lasted, in ms.
        duration_ms: u32,
    },
    /// The peer sent the tone of a fax machine or modem, and it is detected.
    FaxTone {
        /// The stream.
        stream: StreamId,
        /// Which.
        tone: FaxTone,
    },
    /// A stream was to come into a room.
    Joined {
        /// The stream.
        stream: StreamId,
        /// The room.
        room: BridgeId,
        /// It is there. It is not when the room is full, has parts on as many workers as it may
        /// have, or the stream is gone or has agreed on nothing.
        joined: bool,
    },
    /// A member of a room begins or ceases to talk.
    Talks {
        /// The stream.
        stream: StreamId,
        /// The room.
        room: BridgeId,
        /// It talks now.
        talking: bool,
    },
    /// What was played into a room has ended.
    Announced {
        /// The room.
        room: BridgeId,
        /// The operation that ended.
        op: OpId,
        /// How.
        end: PlayEnd,
    },
    /// Something is wrong with what the peer sends, or is not any more. Told of streams whose peer
    /// owes RTP (`silent_after` is set), once when it begins and once when it is over.
    Quality {
        /// The stream.
        stream: StreamId,
        /// What is wrong and for how long already; none when it is over.
        fault: Option<(Cause, Duration)>,
    },
    /// The stream is gone, its ports are free, these are its final counts.
    Closed {
        /// The stream.
        stream: StreamId,
        /// What passed through it.
        stats: StreamStats,
    },
}

/// Why a stream could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Every port pair of the configured range is taken.
    #[error("no free port pair in the configured media range")]
    NoPorts,
    /// The address is not one of this machine's, or the process has no descriptors left.
    #[error("the media address cannot be bound (system error {errno})")]
    Bind {
        /// The system's error number.
        errno: i32,
    },
    /// The worker has as many streams as it may have.
    #[error("the media worker is full")]
    Full,
    /// What is left of the worker is for tenants that have less than their share of it.
    #[error("the tenant has its share of the media worker, the rest is for others")]
    Share,
    /// The worker has fallen behind and takes no new streams.
    #[error("the media worker is behind and takes no new streams")]
    Behind,
}

impl OpenError {
    /// Whether another worker may take the stream.
    #[must_use]
    pub const fn is_of_the_worker(self) -> bool {
        matches!(self, Self::Full | Self::Share | Self::Behind)
    }
}

/// How a play ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayEnd {
    /// Everything was sent.
    Finished,
    /// It was stopped, or another play took its place, or the stream was closed.
    Stopped,
    /// A prompt is missing or cannot be decoded; nothing was played.
    Failed,
}

/// What passed through a stream (RFC 3550, section 6.4.1, and ours).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamStats {
    /// RTP packets that came and were accepted.
    pub received: u64,
    /// RTP packets that we sent.
    pub sent: u64,
    /// Packets that are missing in the sequence received.
    pub lost: u64,
    /// Datagrams dropped because they were no RTP, of a foreign source, or of an unknown payload
    /// type.
    pub dropped: u64,
    /// Interarrival jitter at the end, in microseconds.
    pub jitter_us: u32,
    /// The way to the peer and back as RTCP measured it last, in microseconds; 0 when it has not.
    pub round_trip_us: u32,
    /// Packets of ours that the peer says it lost.
    pub peer_lost: u32,
    /// What the peer's sound was like while it owed RTP (E-model, ITU-T G.107).
    pub quality: Option<Verdict>,
}
