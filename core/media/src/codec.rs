//! The codecs that can stand in an audio stream (RFC 3551 and the payload formats).

/// An audio codec that the engine knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law, static payload type 0.
    Pcmu,
    /// G.711 A-law, static payload type 8.
    Pcma,
    /// G.722 at 64 kbit/s, static payload type 9.
    G722,
    /// Opus (RFC 7587).
    Opus,
    /// Linear samples at 16 kHz (RFC 3551, section 4.5.11).
    L16,
}

impl Codec {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pcmu, Self::Pcma, Self::G722, Self::Opus, Self::L16];

    /// The encoding name of `a=rtpmap` (compared without case).
    #[must_use]
    pub const fn encoding_name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "OPUS",
            Self::L16 => "L16",
        }
    }

    /// The RTP clock rate of `a=rtpmap`, in Hz. G.722's is half of its sample rate by an old error
    /// (RFC 3551, section 4.5.2), Opus's is 48000 whatever it is spoken at (RFC 7587, section 4.1).
    #[must_use]
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => 8_000,
            Self::Opus => 48_000,
            Self::L16 => 16_000,
        }
    }

    /// The channels of `a=rtpmap`: Opus says two, whatever is sent (RFC 7587, section 7).
    #[must_use]
    pub const fn channels(self) -> u8 {
        match self {
            Self::Opus => 2,
            Self::Pcmu | Self::Pcma | Self::G722 | Self::L16 => 1,
        }
    }

    /// The static payload type of RFC 3551, table 4.
    #[must_use]
    pub const fn static_payload_type(self) -> Option<u8> {
        match self {
            Self::Pcmu => Some(0),
            Self::Pcma => Some(8),
            Self::G722 => Some(9),
            Self::Opus | Self::L16 => None,
        }
    }

    /// The codec of a static payload type.
    #[must_use]
    pub const fn of_static(payload_type: u8) -> Option<Self> {
        match payload_type {
            0 => Some(Self::Pcmu),
            8 => Some(Self::Pcma),
            9 => Some(Self::G722),
            _ => None,
        }
    }

    /// The payload type that we give it in offers: the static one, else one that others use too.
    #[must_use]
    pub const fn offered_payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
            Self::G722 => 9,
            Self::Opus => 111,
            Self::L16 => 118,
        }
    }
}

/// A codec as one stream negotiated it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecParams {
    /// Which codec.
    pub codec: Codec,
    /// The payload type of what we send, 0–127: the number that the peer's SDP gave.
    pub payload_type: u8,
    /// The payload type of what we receive: the number of our SDP, the same in an answer. Static
    /// numbers are taken beside it.
    pub receive_type: u8,
    /// Packet time of what we send, in ms (10–60; 20 unless the peer asks).
    pub ptime_ms: u8,
}
