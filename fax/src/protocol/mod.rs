//! What the server and a fax worker say to each other over their Unix socket: frames with a length
//! and a version, JSON inside, because there are a few a second at most and people read them when
//! something is wrong. Descriptors of sockets travel beside the first byte of the frame that names
//! them (SCM_RIGHTS), in the order in which it does.
//!
//! Both sides are of one build; the version makes a mixed installation say so instead of guessing.

mod frame;
mod rendering;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub use frame::{FrameError, Frames, MAX_FRAME, VERSION, frame};
pub use rendering::{RenderOrder, Rendered, split_rendered};

use crate::queue::Rate;

/// Tells one fax from the others of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub u64);

/// What the server orders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Begins a fax; its sockets lie beside the frame.
    Start {
        /// Its name from now on.
        session: SessionId,
        /// What is to be done.
        task: Task,
        /// How it goes over the network; as many sockets as this needs.
        media: Media,
    },
    /// The fax goes on over another medium (a re-INVITE). What has been said by T.30 is begun anew.
    Switch {
        /// Which.
        session: SessionId,
        /// The new medium; its sockets lie beside the frame.
        media: Media,
    },
    /// The call is over: what came is kept, the end is reported.
    Stop {
        /// Which.
        session: SessionId,
    },
    /// Ends all faxes and itself.
    Shutdown,
}

/// What a session does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Sends pages of a TIFF file.
    Send {
        /// The file, below the worker's directory.
        file: String,
        /// The first page, counted from 1.
        first_page: u32,
        /// How the station is set.
        station: Station,
    },
    /// Receives pages into a TIFF file.
    Receive {
        /// The file, below the worker's directory.
        file: String,
        /// Pages that are taken; the rest is not answered (S-31).
        max_pages: u32,
        /// How the station is set.
        station: Station,
    },
    /// Carries a fax between audio and T.38.
    Gateway {
        /// How the station is set; a gateway has no name of its own.
        station: Station,
    },
}

/// What our side says that it can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Station {
    /// TSI or CSI: at most 20 of digits, plus and space; the rest is left away.
    pub ident: String,
    /// The fastest modem.
    pub rate: Rate,
    /// Error correction.
    pub ecm: bool,
    /// We are the calling side: that, not who sends, decides who begins.
    pub calling: bool,
}

/// How a fax goes over the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Media {
    /// G.711 in RTP: one socket.
    Audio(Audio),
    /// T.38 in UDPTL: one socket.
    T38(T38),
    /// Both: first the socket of the audio, then that of T.38.
    Gateway {
        /// The side that speaks.
        audio: Audio,
        /// The side that does not.
        t38: T38,
    },
    /// T.38 on both sides: their sockets in this order.
    Relay {
        /// One side.
        near: T38,
        /// The other one.
        far: T38,
    },
}

/// Which law of G.711.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Law {
    /// µ-law, PCMU.
    Mu,
    /// A-law, PCMA.
    A,
}

/// An RTP stream as it stands when it is handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audio {
    /// Where to.
    pub remote: SocketAddr,
    /// The law.
    pub law: Law,
    /// The payload type that we send and take.
    pub payload_type: u8,
    /// Our SSRC.
    pub ssrc: u32,
    /// The sequence number of our next packet.
    pub sequence: u16,
    /// The timestamp of our next packet.
    pub timestamp: u32,
}

/// Copies of the packets before in each datagram, where copies are agreed on.
pub const REDUNDANCY: u8 = 3;

/// Parities in each datagram where those are agreed on: packets a parity, and how many.
pub const FEC: (u8, u8) = (3, 3);

/// A UDPTL stream as SDP has agreed on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct T38 {
    /// Where to, until datagrams come from elsewhere.
    pub remote: SocketAddr,
    /// The other side's largest datagram, in bytes.
    pub max_datagram: u16,
    /// Copies in each datagram; none when `fec` is set.
    pub redundancy: u8,
    /// Parities in each datagram: packets a parity, and how many.
    pub fec: Option<(u8, u8)>,
    /// The TCF is judged here (`localTCF`) instead of by the other side.
    pub local_tcf: bool,
    /// bit/s; the image goes no faster.
    pub max_bit_rate: u32,
}

/// What a worker says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// It takes orders now.
    Ready {
        /// What stands between it and the rest of the machine.
        walls: Walls,
    },
    /// Something of a session.
    Event {
        /// Which.
        session: SessionId,
        /// What.
        event: Event,
    },
    /// An order that cannot be carried out.
    Refused {
        /// Of which session.
        session: SessionId,
        /// Why.
        reason: String,
    },
}

/// The walls of a process that reads what strangers send; a kernel that is too old has fewer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walls {
    /// No file but those of its own directory (Landlock).
    pub files: bool,
    /// No system call but those that it needs (seccomp).
    pub calls: bool,
}

/// What happens in a fax.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The other machine was heard and said who it is; its name may be empty.
    Remote {
        /// TSI or CSI.
        ident: String,
    },
    /// The rate of the next pages is agreed on.
    Rate {
        /// bit/s.
        bit_rate: u32,
        /// With error correction.
        ecm: bool,
    },
    /// Training failed, or a page asked for it anew.
    Retrain,
    /// A page was confirmed (MCF).
    Page(Page),
    /// A frame that no machine sends was refused before it could do harm.
    RefusedFrame {
        /// Its type (FCF).
        kind: u8,
    },
    /// It is over; nothing follows.
    End(End),
}

/// A page that the receiving side confirmed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Counted from 1 within this session.
    pub number: u32,
    /// Picture elements a line.
    pub width: u32,
    /// Lines.
    pub length: u32,
    /// Bytes of its code on the line.
    pub bytes: u32,
    /// Lines with errors.
    pub bad_rows: u32,
    /// Microseconds that the disk took for a page that came, before it was confirmed.
    pub stored_us: u32,
}

/// How a fax ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The engine's completion code; 0 is success. See [`crate::Cause::of_t30`].
    pub code: u16,
    /// Its words, for the explanation.
    pub words: String,
    /// Pages that were confirmed in this session.
    pub confirmed: u32,
    /// bit/s at the end.
    pub bit_rate: u32,
    /// With error correction.
    pub ecm: bool,
    /// Frames that error correction sent again.
    pub ecm_retries: u32,
    /// More pages came than are taken.
    pub page_limit: bool,
    /// The disk did not take a page that came; it was not confirmed.
    pub unstored: bool,
}

impl End {
    /// Why, in the queue's words.
    #[must_use]
    pub fn cause(&self) -> crate::Cause {
        match self {
            Self { unstored: true, .. } => crate::Cause::Storage,
            Self { page_limit: true, .. } => crate::Cause::PageLimit,
            Self { code, .. } => crate::Cause::of_t30(*code),
        }
    }
}

#[cfg(test)]
mod tests;
