//! The codecs that can stand in an audio stream (RFC 3551 and the payload formats).

/// An audio codec that the engine knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law, static payload type 0.
    Pcmu,
    /// G.711 A-law, static payload type 8.
    Pcma,
}

impl Codec {
    /// The encoding name of `a=rtpmap` (compared without case).
    #[must_use]
    pub const fn encoding_name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// The RTP clock rate of `a=rtpmap`, in Hz.
    #[must_use]
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma => 8000,
        }
    }

    /// The static payload type of RFC 3551, table 4.
    #[must_use]
    pub const fn static_payload_type(self) -> Option<u8> {
        match self {
            Self::Pcmu => Some(0),
            Self::Pcma => Some(8),
        }
    }
}

/// A codec as one stream negotiated it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecParams {
    /// Which codec.
    pub codec: Codec,
    /// The payload type on the wire, 0–127. What we send carries the number that the peer's SDP
    /// gave; what we receive carries the number of ours, the same in an answer.
    pub payload_type: u8,
    /// Packet time of what we send, in ms (10–60; 20 unless the peer asks).
    pub ptime_ms: u8,
}
