//! What the switch orders from a media worker. Plain data; a command never answers, an
//! [`crate::Event`] does.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use koukan_base::{BridgeId, OpId, StreamId, WorkerId};

use crate::CodecParams;
use crate::keys::Digits;
use crate::recording::Recording;
use crate::srtp::MasterKey;
use crate::tone::NamedTone;

/// An order to the worker that owns (or shall own) a stream.
///
/// A command that names an unknown stream is dropped and counted: the stream's end and the command
/// crossed.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Bind a port pair on `local` and create the stream, silent and sending nothing.
    /// Answered by [`crate::Event::Opened`] or [`crate::Event::OpenFailed`], also when the worker
    /// is behind or what is left of it is for other tenants; a worker that cannot take a stream
    /// that was opened, since its table is full, says `OpenFailed` later.
    Open {
        /// The number that the switch minted for it.
        stream: StreamId,
        /// The address to bind; its family decides IPv4 or IPv6.
        local: IpAddr,
        /// The tenant whose share of the worker it takes.
        tenant: Arc<str>,
    },
    /// Set or replace what offer and answer agreed. SSRC, sequence number and timestamp go on.
    Configure {
        /// The stream.
        stream: StreamId,
        /// What was agreed.
        config: StreamConfig,
    },
    /// Choose what the stream sends to its peer while no prompt plays.
    Feed {
        /// The stream that sends.
        stream: StreamId,
        /// Where its audio comes from.
        source: Source,
    },
    /// Play prompts (recordings, tones, music) one after the other instead of the source; a running
    /// play is stopped first.
    /// Answered by [`crate::Event::Played`], exactly once.
    Play {
        /// The stream whose peer hears it.
        stream: StreamId,
        /// The operation's number, given back in the event.
        op: OpId,
        /// What to play, in order.
        prompts: Arc<[Prompt]>,
        /// How often the whole list is played; 0 is for ever.
        times: u32,
    },
    /// Stop a play under way; its event says [`crate::PlayEnd::Stopped`]. Nothing when it has
    /// ended.
    StopPlay {
        /// The stream.
        stream: StreamId,
        /// The operation to stop.
        op: OpId,
    },
    /// Press keys towards the peer, behind those that it was ordered before. They are sent as
    /// telephone-events beside the voice where those are agreed on, else as tones in its place; a
    /// prompt that plays waits for the tones. Answered by [`crate::Event::DigitsSent`], exactly
    /// once: also when the stream cannot send, or [`crate::MOST_WAITING`] orders wait.
    SendDigits {
        /// The stream whose peer hears them.
        stream: StreamId,
        /// The operation's number, given back in the event.
        op: OpId,
        /// What to press.
        digits: Digits,
        /// How long each is, in ms; 40 to 10,000, most use 100.
        duration_ms: u16,
        /// The pause behind each, in ms; 40 to 10,000, most use 60.
        pause_ms: u16,
    },
    /// Choose what is listened for in the sound that the peer sends; nothing is at first. Digits
    /// are reported as [`crate::Event::Digit`], each once: those in the sound are passed over when
    /// the peer sends telephone-events. Tones of fax machines as [`crate::Event::FaxTone`].
    Detect {
        /// The stream.
        stream: StreamId,
        /// Digits as tones.
        dtmf: bool,
        /// CNG, CED and ANSam.
        fax: bool,
    },
    /// Record what the stream's peer says, or what it says and hears, until it is stopped or the
    /// order's rules end it. One recording a stream at a time. A disk that is too slow costs
    /// silence in the file, never anybody's sound. Answered by [`crate::Event::Recorded`], exactly
    /// once, when the file is whole: also when it is refused, and behind [`crate::Event::Closed`]
    /// when the stream ends first. It goes on while the stream moves.
    Record {
        /// The stream.
        stream: StreamId,
        /// The operation's number, given back in the event.
        op: OpId,
        /// What, how, where to and until when.
        recording: Box<Recording>,
    },
    /// Stop a recording; its event says [`crate::RecordEnd::Stopped`]. Nothing when it has ended.
    StopRecord {
        /// The stream.
        stream: StreamId,
        /// The operation to stop.
        op: OpId,
    },
    /// Bring the stream into a room, where it hears all the others and they hear it; what it sent
    /// before ends. The first member opens the room, the last one ends it. A room mixes at the
    /// highest rate that a member's codec has. Answered by [`crate::Event::Joined`], exactly once.
    /// A stream on a worker from which nobody came before opens another part of the room there:
    /// what is said in one part is heard in the others one frame of 20 ms later.
    Join {
        /// The stream; what it speaks is agreed on.
        stream: StreamId,
        /// Which room: any number that names it.
        room: BridgeId,
        /// Whether the others do not hear it.
        muted: bool,
    },
    /// Whether the others in its room hear a stream.
    Mute {
        /// The stream.
        stream: StreamId,
        /// They do not.
        muted: bool,
    },
    /// Let one other member of its room hear a stream that is muted; nobody again with `None`.
    Whisper {
        /// The stream.
        stream: StreamId,
        /// Who hears it.
        to: Option<StreamId>,
    },
    /// Take the stream out of its room; it sends nothing until it is told what. So does
    /// [`Command::Feed`], with what it is to send.
    Leave {
        /// The stream.
        stream: StreamId,
    },
    /// Play prompts to everybody in all parts of a room, over what is said; a running one is
    /// stopped first.
    /// Answered by [`crate::Event::Announced`], exactly once.
    Announce {
        /// The room.
        room: BridgeId,
        /// The operation's number, given back in the event.
        op: OpId,
        /// What to play, in order.
        prompts: Arc<[Prompt]>,
        /// How often the whole list is played; 0 is for ever.
        times: u32,
    },
    /// Stop what is played into a room; its event says [`crate::PlayEnd::Stopped`].
    StopAnnounce {
        /// The room.
        room: BridgeId,
        /// The operation to stop.
        op: OpId,
    },
    /// Hand the stream to another worker with its sockets and everything it knows of its peer; what
    /// it plays is stopped, what it sends and who hears it is forgotten. It takes no orders until
    /// [`crate::Event::Moved`], and from then on those of the new worker only.
    Move {
        /// The stream.
        stream: StreamId,
        /// Its next worker.
        to: WorkerId,
    },
    /// Take the stream off its worker and keep its ports, so that another process may have its
    /// sound: nothing is sent or taken here any more. Whoever owns the engine asks it for the
    /// socket behind [`crate::Event::Lent`]; from then on `Reclaim` and `Close` alone are
    /// obeyed.
    Lend {
        /// The stream; what it speaks is agreed on.
        stream: StreamId,
    },
    /// Take a lent stream back to this worker, as what it was: nothing but its port and what it has
    /// counted. Whoever had it has let go of it or is about to. Answered by
    /// [`crate::Event::Moved`], or by [`crate::Event::OpenFailed`] when the worker has no place;
    /// what was agreed on is told anew behind it.
    Reclaim {
        /// The stream.
        stream: StreamId,
        /// The tenant whose share of the worker it takes.
        tenant: Arc<str>,
        /// How long it was away: its numbers go on behind those of the packets that were sent.
        away: Duration,
    },
    /// End the stream: its ports are free again after [`crate::Event::Closed`].
    Close {
        /// The stream.
        stream: StreamId,
    },
}

/// Something to play: a recording, or a sound that is made. They stand in one list in any mixture.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Prompt {
    /// A recording: `closed` (looked up in the prompt directory by language) or a file.
    Clip {
        /// Language subdirectory (`ja`, `en`); empty for a file.
        language: Box<str>,
        /// The prompt's name, or the path of a file below the tenant's directory.
        name: Box<str>,
    },
    /// A tone for so many ms, at most 60,000; 0 is one round of its rhythm (a steady one: a
    /// second), to be repeated without a seam.
    Tone {
        /// Which.
        tone: NamedTone,
        /// How long, in ms.
        ms: u32,
    },
    /// The music on hold that needs no file: 24 seconds, to be repeated without a seam.
    Music,
    /// So many ms of silence, at most 60,000.
    Silence {
        /// How long.
        ms: u32,
    },
}

impl Prompt {
    /// A recording of the prompt directory.
    #[must_use]
    pub fn clip(language: &str, name: &str) -> Self {
        Self::Clip { language: language.into(), name: name.into() }
    }
}

/// Where the audio that a stream sends comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nothing is sent.
    Nothing,
    /// Digital silence is sent, so that the peer's bindings stay open.
    Silence,
    /// What the peer itself sent, back to it.
    Echo,
    /// What another stream of the same worker receives. Two streams that feed from each other are a
    /// two-party bridge; one that feeds from the other hears early media.
    Stream(StreamId),
    /// What is said in its room. Ordered by [`Command::Join`] alone; [`Command::Feed`] takes it for
    /// nothing.
    Room(BridgeId),
}

/// Which way media may flow, seen from us (RFC 3264, section 5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// We send only.
    SendOnly,
    /// We receive only.
    RecvOnly,
    /// Neither way.
    Inactive,
}

impl Direction {
    /// Whether we may send.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether we expect to receive.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}

/// The keys of a stream's SRTP and SRTCP (RFC 4568), one for each way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrtpKeys {
    /// Ours, from our `a=crypto`.
    pub send: MasterKey,
    /// The peer's.
    pub receive: MasterKey,
}

/// `telephone-event` (RFC 4733) as offer and answer agreed on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// The payload type of what we send.
    pub payload_type: u8,
    /// The payload type of what we receive.
    pub receive_type: u8,
    /// In Hz: the codec's, or 8000 beside a codec of another.
    pub clock_rate: u32,
}

/// What offer and answer agreed for one audio stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamConfig {
    /// Where the peer's SDP wants RTP; where it really comes from wins once it is known.
    pub remote: SocketAddr,
    /// Where the peer wants RTCP (`a=rtcp`, RFC 3605), else the port above `remote`'s.
    pub remote_rtcp: Option<SocketAddr>,
    /// The codec both ways.
    pub codec: CodecParams,
    /// Telephone-events, when agreed.
    pub telephone_event: Option<TelephoneEvent>,
    /// Without telephone-events: whether the peer gets digits of the stream that it hears as tones
    /// in the sound. When not, somebody else tells it (SIP INFO), and tones that are recognised as
    /// digits are kept from it, so that it gets none twice.
    pub digit_tones: bool,
    /// Which way media may flow, seen from us.
    pub direction: Direction,
    /// The keys of SRTP, when that was agreed: nothing else is sent or taken then.
    pub srtp: Option<SrtpKeys>,
    /// Report [`crate::Event::Silent`] when nothing came for this long while we expect to receive.
    pub silent_after: Option<Duration>,
}
