//! A stream on its worker: sockets, what was agreed, what it sends and what it knows of its peer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use koukan_base::{OpId, StreamId, Time};
use koukan_codecs::g711;
use koukan_media::quality::Verdict;
use koukan_media::rtcp::RtcpSession;
use koukan_media::{
    Codec, DigitReceiver, KeyMode, KeySender, Latch, Pace, ReceiveStats, Sender, Source,
    StreamConfig, StreamStats,
};
use mio::net::UdpSocket;

use crate::ear::Ear;
use crate::limits::LISTENERS;
use crate::prompts::Clip;
use crate::record::Tap;
use crate::room::Seat;
use crate::secure::Secure;
use crate::voice::{Hearing, Speaker};
use crate::watch::{Counts, Watch};

/// A prompt being played.
#[derive(Debug)]
pub(crate) struct Play {
    pub(crate) op: OpId,
    pub(crate) clips: Arc<[Arc<Clip>]>,
    /// Which clip, and where in it.
    pub(crate) clip: usize,
    pub(crate) at: usize,
    /// Rounds that are left; `None` is for ever.
    pub(crate) rounds: Option<u32>,
}

/// One stream. Allocated and freed on the control side.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    pub(crate) config: Option<StreamConfig>,
    pub(crate) source: Source,
    pub(crate) latch: Latch,
    pub(crate) reception: ReceiveStats,
    pub(crate) sender: Sender,
    pub(crate) session: RtcpSession,
    pub(crate) secure: Option<Box<Secure>>,
    /// Payload bytes sent.
    pub(crate) octets: u64,
    /// What the peer says it lost of ours.
    pub(crate) peer_lost: u32,
    /// What the peer's sound is like.
    pub(crate) watch: Watch,
    pub(crate) digits: DigitReceiver,
    /// The peer has sent telephone-events: what sounds like a digit is none.
    pub(crate) sends_events: bool,
    /// Listens to what the peer sends.
    pub(crate) ear: Option<Box<Ear>>,
    /// Records what the peer says, and hears.
    pub(crate) tap: Option<Box<Tap>>,
    /// Keys that are pressed towards the peer, and the timestamp of the one that is down.
    pub(crate) keys: KeySender,
    pub(crate) key_timestamp: u32,
    pub(crate) play: Option<Play>,
    /// Makes packets of what it says by the clock.
    pub(crate) speaker: Option<Box<Speaker>>,
    /// Hears its source, when that speaks another codec.
    pub(crate) hearing: Option<Box<Hearing>>,
    /// Its seat in a room.
    pub(crate) seat: Option<Box<Seat>>,
    /// Slots of the streams that send what this one receives.
    pub(crate) listeners: [Option<u32>; LISTENERS],
    pub(crate) dropped: u64,
    /// How much it may bring, and whether it is left unread because it brought more.
    pub(crate) pace: Pace,
    pub(crate) rests: bool,
    /// When something was last heard, or the wait for it began.
    pub(crate) heard: Time,
    /// `Silent` was reported and nothing came since.
    pub(crate) silent: bool,
    /// Which of the twenty milliseconds its tick falls on.
    pub(crate) phase: u8,
}

impl Stream {
    pub(crate) fn new(
        id: StreamId,
        (rtp, rtcp): (UdpSocket, UdpSocket),
        random: (u32, u16, u32),
        phase: u8,
        session: RtcpSession,
    ) -> Self {
        Self {
            id,
            rtp,
            rtcp,
            config: None,
            source: Source::Nothing,
            latch: Latch::default(),
            reception: ReceiveStats::default(),
            sender: Sender::new(random.0, random.1, random.2),
            session,
            secure: None,
            octets: 0,
            peer_lost: 0,
            watch: Watch::default(),
            digits: DigitReceiver::default(),
            sends_events: false,
            ear: None,
            tap: None,
            keys: KeySender::default(),
            key_timestamp: 0,
            play: None,
            speaker: None,
            hearing: None,
            seat: None,
            listeners: [None; LISTENERS],
            dropped: 0,
            pace: Pace::default(),
            rests: false,
            heard: Time::ZERO,
            silent: false,
            phase,
        }
    }

    /// Whether it has something to do by the clock.
    pub(crate) fn ticks(&self) -> bool {
        self.speaks() || !self.keys.is_idle() || self.tap.is_some()
    }

    /// Whether it sends sound by the clock rather than by what comes in.
    pub(crate) fn speaks(&self) -> bool {
        self.play.is_some() || self.source == Source::Silence || self.hearing.is_some()
    }

    /// How keys reach its peer.
    pub(crate) fn key_mode(&self) -> KeyMode {
        match self.config.as_ref().and_then(|config| config.telephone_event) {
            Some(event) => KeyMode::Event { clock_rate: event.clock_rate },
            None => KeyMode::Tone,
        }
    }

    /// The key that is down in the peer's sound, unless it says its keys otherwise.
    pub(crate) fn key_in_sound(&self) -> Option<u8> {
        let ear = self.ear.as_ref().filter(|_| !self.sends_events)?;
        ear.pressed()
    }

    /// Where its packets go, when it may send and somebody is there.
    pub(crate) fn target(&self) -> Option<SocketAddr> {
        let config = self.config.as_ref().filter(|config| config.direction.sends())?;
        let target = self.latch.target(config.remote);
        (!target.ip().is_unspecified() && target.port() != 0).then_some(target)
    }

    /// The clock rate of its codec.
    pub(crate) fn clock_rate(&self) -> u32 {
        self.config.as_ref().map_or(8_000, |config| config.codec.codec.clock_rate())
    }

    /// The counts that quality is judged by; what its hearers know comes beside.
    pub(crate) fn counts(&self, late: u64, buffered: Duration) -> Counts {
        let way = self.session.round_trip().unwrap_or_default();
        Counts {
            received: self.reception.received(),
            lost: self.reception.lost(),
            sent: self.sender.sent(),
            late,
            delay: way / 2 + buffered,
            jitter_us: self.reception.jitter_us(self.clock_rate()),
        }
    }

    pub(crate) fn stats(&self, quality: Option<Verdict>) -> StreamStats {
        let way = self.session.round_trip().map_or(0, |way| way.as_micros());
        StreamStats {
            received: self.reception.received(),
            sent: self.sender.sent(),
            lost: self.reception.lost(),
            dropped: self.dropped,
            jitter_us: self.reception.jitter_us(self.clock_rate()),
            round_trip_us: u32::try_from(way).unwrap_or(u32::MAX),
            peer_lost: self.peer_lost,
            quality,
        }
    }

    pub(crate) fn listen(&mut self, slot: u32) -> bool {
        if self.listeners.contains(&Some(slot)) {
            return true;
        }
        let free = self.listeners.iter_mut().find(|known| known.is_none());
        free.map(|free| *free = Some(slot)).is_some()
    }

    pub(crate) fn unlisten(&mut self, slot: u32) {
        for known in self.listeners.iter_mut().filter(|known| **known == Some(slot)) {
            *known = None;
        }
    }
}

/// Fills a frame from the play, or with silence; true when the play has ended with it.
pub(crate) fn fill(play: &mut Option<Play>, codec: Codec, frame: &mut [u8]) -> bool {
    let silence = if codec == Codec::Pcmu { g711::ULAW_SILENCE } else { g711::ALAW_SILENCE };
    let mut filled = 0;
    let mut finished = false;
    while let Some(play) = play.as_mut().filter(|_| filled < frame.len() && !finished) {
        let clip = play.clips.get(play.clip).map(|clip| clip.bytes(codec)).unwrap_or_default();
        let rest = clip.get(play.at..).unwrap_or_default();
        let count = rest.len().min(frame.len().saturating_sub(filled));
        if let (Some(to), Some(from)) = (frame.get_mut(filled..filled + count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        filled = filled.saturating_add(count);
        play.at = play.at.saturating_add(count);
        if play.at >= clip.len() {
            play.at = 0;
            play.clip = play.clip.saturating_add(1);
            if play.clip >= play.clips.len() {
                play.clip = 0;
                play.rounds = play.rounds.map(|rounds| rounds.saturating_sub(1));
                // A list of empty clips for ever would turn here without end.
                let empty = play.clips.iter().all(|clip| clip.bytes(codec).is_empty());
                finished = play.rounds == Some(0) || empty;
            }
        }
    }
    if let Some(rest) = frame.get_mut(filled..) {
        rest.fill(silence);
    }
    finished
}
