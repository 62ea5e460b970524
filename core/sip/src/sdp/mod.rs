//! Session descriptions (RFC 8866) and offer/answer for one stream (RFC 3264): audio,
//! or the T.38 that takes its place.

mod answer;
mod crypto;
mod events;
mod image;
mod parse;
mod write;

use std::net::{IpAddr, SocketAddr};

pub use answer::{Agreed, Refusal, agreed};
pub use crypto::{Crypto, Security};
pub use image::{AgreedImage, ErrorCorrection, ImageAttributes, LocalImage, agreed_image};
pub use parse::{Media, SdpError, Session};
pub use write::LocalSession;

/// An audio format: what `a=rtpmap` says, or the static table of RFC 3551.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioFormat {
    /// 0–127.
    pub payload_type: u8,
    /// The encoding name, in upper case (`PCMU`).
    pub name: String,
    /// Hz.
    pub clock_rate: u32,
    /// 1, or more.
    pub channels: u8,
}

impl AudioFormat {
    /// Whether two formats are the same encoding, whatever their payload types.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.clock_rate == other.clock_rate
            && self.channels == other.channels
    }
}

/// Which way media may flow, seen from the side that wrote it (RFC 3264, 5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// `a=sendrecv`, also when nothing is said.
    #[default]
    SendRecv,
    /// `a=sendonly`.
    SendOnly,
    /// `a=recvonly`.
    RecvOnly,
    /// `a=inactive`.
    Inactive,
}

impl Direction {
    /// The same flow seen from the other side.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::SendRecv => Self::SendRecv,
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            Self::Inactive => Self::Inactive,
        }
    }

    /// What both directions permit.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        let sends = self.sends() && other.sends();
        let receives = self.receives() && other.receives();
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    const fn attribute(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// Our side of the audio stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalAudio {
    /// Where we receive RTP.
    pub address: SocketAddr,
    /// What we speak, the preferred first.
    pub formats: Vec<AudioFormat>,
    /// Our payload type for `telephone-event` at 8000 Hz (RFC 4733), when we offer it.
    pub telephone_event: Option<u8>,
    /// Packet time, in ms.
    pub ptime_ms: u8,
    /// Which way we let media flow.
    pub direction: Direction,
    /// Our keys (RFC 4568): in an offer the lines that we offer, the preferred first; in an answer
    /// the one that answers the peer's.
    pub crypto: Vec<Crypto>,
    /// Nothing but SRTP is taken, and an offer says `RTP/SAVP`. When not, keys in an offer are a
    /// wish beside `RTP/AVP`.
    pub secure: bool,
}

impl LocalAudio {
    fn ip(&self) -> IpAddr {
        self.address.ip()
    }
}

#[cfg(test)]
mod tests;
