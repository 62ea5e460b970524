//! The virtual media worker: the events that the engine would send, without sockets.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use koukan_base::{BridgeId, OpId, StreamId, Time, WorkerId};
use koukan_media::quality::{Cause, Verdict};
use koukan_media::tone::FaxTone;
use koukan_media::{
    Command, Event, OpenError, PlayEnd, Prompt, RecordEnd, RecordReport, Source, StreamConfig,
    StreamStats,
};

/// How long a prompt lasts.
pub(crate) const PROMPT_LENGTH: Duration = Duration::from_secs(3);

/// Prompts that do not exist.
const MISSING: &str = "missing";

/// What every stream counts.
pub(crate) const STATS: StreamStats = StreamStats {
    received: 70,
    sent: 80,
    lost: 0,
    dropped: 0,
    jitter_us: 0,
    round_trip_us: 0,
    peer_lost: 0,
    quality: Some(Verdict { mean_r: 901, worst_r: 612, cause: Some(Cause::Loss(7)) }),
};

#[derive(Clone, Debug)]
pub(crate) struct Stream {
    worker: WorkerId,
    pub(crate) config: Option<StreamConfig>,
    pub(crate) source: Source,
    play: Option<(OpId, Option<Time>)>,
    names: Vec<String>,
    record: Option<(OpId, Time)>,
    /// The room that it is in, and whether it is kept from the others.
    pub(crate) room: Option<(BridgeId, bool)>,
    /// Who alone hears it.
    pub(crate) whispers: Option<StreamId>,
    silent_at: Option<Time>,
}

/// Members of a room on one virtual worker, before another takes part.
pub(crate) const ROOM_PART: u32 = 4;

#[derive(Debug, Default)]
pub(crate) struct Media {
    streams: BTreeMap<StreamId, Stream>,
    events: BTreeMap<(Time, u64), Event>,
    count: u64,
    port: u16,
    muted: HashSet<SocketAddr>,
    /// So many streams cannot be opened.
    pub(crate) refuse: usize,
    /// Workers that take only so many streams more.
    pub(crate) takes: BTreeMap<WorkerId, usize>,
    /// Orders are taken and never answered.
    pub(crate) dead: bool,
    /// The worker that the command at hand is for.
    worker: WorkerId,
    /// Streams that were moved to another worker.
    pub(crate) moved: usize,
    /// Commands for streams that do not exist.
    pub(crate) crossed: Vec<String>,
    /// The command at hand.
    at_hand: String,
    /// Digits that were sent, by where they went.
    pub(crate) pressed: Vec<(SocketAddr, String)>,
    /// What was played into rooms, and what plays there.
    pub(crate) announced: Vec<String>,
    announcing: HashMap<BridgeId, OpId>,
    /// So many joins are refused.
    pub(crate) refuse_joins: usize,
    /// Every prompt that was played.
    pub(crate) played: Vec<String>,
    /// The disk refuses recordings.
    pub(crate) full: bool,
    /// Every order, as it came.
    pub(crate) orders: Vec<Command>,
    /// The file of every recording.
    pub(crate) recorded: Vec<String>,
}

impl Media {
    fn tell(&mut self, at: Time, event: Event) {
        self.count += 1;
        self.events.insert((at, self.count), event);
    }

    pub(crate) fn streams(&self) -> usize {
        if self.dead { 0 } else { self.streams.len() }
    }

    /// The stream whose peer is at `remote`.
    pub(crate) fn of(&self, remote: SocketAddr) -> Option<(StreamId, &Stream)> {
        let here = |stream: &&Stream| stream.config.as_ref().is_some_and(|c| c.remote == remote);
        self.streams.iter().find(|(_, stream)| here(stream)).map(|(id, stream)| (*id, stream))
    }

    /// Whether the peers of two streams hear each other.
    pub(crate) fn joined(&self, a: SocketAddr, b: SocketAddr) -> bool {
        let (Some((a, from_b)), Some((b, from_a))) = (self.of(a), self.of(b)) else { return false };
        from_b.source == Source::Stream(b) && from_a.source == Source::Stream(a)
    }

    /// What the peer at `remote` hears instead of its source.
    pub(crate) fn playing(&self, remote: SocketAddr) -> Option<Vec<String>> {
        let (_, stream) = self.of(remote)?;
        stream.play.map(|_| stream.names.clone())
    }

    /// The peer of the stream that was opened first, the caller's, sends the tone of a calling fax
    /// machine; whether that is listened for.
    pub(crate) fn sends_cng(&mut self, now: Time) -> bool {
        let stream = *self.streams.keys().min().unwrap();
        let of =
            |order: &&Command| matches!(order, Command::Detect { stream: of, .. } if *of == stream);
        let heard =
            matches!(self.orders.iter().rev().find(of), Some(Command::Detect { fax: true, .. }));
        if heard {
            self.tell(now, Event::FaxTone { stream, tone: FaxTone::Cng });
        }
        heard
    }

    pub(crate) fn press(&mut self, now: Time, remote: SocketAddr, digit: u8) {
        let stream = self.of(remote).unwrap().0;
        self.tell(now, Event::Digit { stream, digit, duration_ms: 100 });
    }

    /// No RTP comes from here any more.
    pub(crate) fn mute(&mut self, now: Time, remote: SocketAddr) {
        self.muted.insert(remote);
        for stream in self.streams.values_mut() {
            if let Some(config) = stream.config.as_ref().filter(|config| config.remote == remote) {
                stream.silent_at = config.silent_after.map(|after| now + after);
            }
        }
    }

    /// RTP comes from here again.
    pub(crate) fn speak(&mut self, remote: SocketAddr) {
        self.muted.remove(&remote);
        for stream in self.streams.values_mut() {
            if stream.config.as_ref().is_some_and(|config| config.remote == remote) {
                stream.silent_at = None;
            }
        }
    }

    pub(crate) fn next(&self) -> Option<Time> {
        let events = self.events.keys().next().map(|(at, _)| *at);
        let plays = self.streams.values().filter_map(|stream| stream.play?.1).min();
        let silent = self.streams.values().filter_map(|stream| stream.silent_at).min();
        [events, plays, silent].into_iter().flatten().min()
    }

    pub(crate) fn due(&mut self, now: Time) -> Option<Event> {
        if let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= now) {
            let event = entry.remove();
            if let Event::Announced { room, op, .. } = event {
                self.announcing.retain(|known, running| (*known, *running) != (room, op));
            }
            return Some(event);
        }
        for (id, stream) in &mut self.streams {
            let id = *id;
            if let Some((op, _)) = stream.play.take_if(|(_, end)| end.is_some_and(|at| at <= now)) {
                return Some(Event::Played { stream: id, op, end: PlayEnd::Finished });
            }
            if stream.silent_at.take_if(|at| *at <= now).is_some() {
                return Some(Event::Silent { stream: id });
            }
        }
        None
    }

    pub(crate) fn order(&mut self, now: Time, worker: WorkerId, command: Command) {
        if self.dead {
            return;
        }
        self.worker = worker;
        self.orders.push(command.clone());
        self.at_hand = format!("{now:?} {command:?}");
        let soon = now + Duration::from_millis(1);
        match command {
            Command::Open { stream, .. } if self.refuse > 0 => {
                self.refuse -= 1;
                self.tell(soon, Event::OpenFailed { stream, error: OpenError::NoPorts });
            }
            Command::Open { stream, .. } if self.takes.get(&worker) == Some(&0) => {
                self.tell(soon, Event::OpenFailed { stream, error: OpenError::Behind });
            }
            Command::Open { stream, local, .. } => {
                if let Some(left) = self.takes.get_mut(&worker) {
                    *left -= 1;
                }
                self.port += 2;
                let rtp = SocketAddr::new(local, 20_000 + self.port);
                let new = Stream {
                    worker,
                    config: None,
                    source: Source::Nothing,
                    play: None,
                    names: Vec::new(),
                    record: None,
                    room: None,
                    whispers: None,
                    silent_at: None,
                };
                assert!(self.streams.insert(stream, new).is_none(), "a stream's number repeats");
                self.tell(soon, Event::Opened { stream, rtp });
            }
            Command::Configure { stream, config } => {
                let muted = self.muted.contains(&config.remote);
                let Some(known) = self.known(stream) else { return };
                known.silent_at = config.silent_after.filter(|_| muted).map(|after| now + after);
                known.config = Some(config);
            }
            Command::Feed { stream, source } => {
                if let Source::Stream(other) = source
                    && self.streams.get(&other).is_none_or(|other| other.worker != worker)
                {
                    self.crossed.push(self.at_hand.clone());
                }
                if let Some(known) = self.known(stream) {
                    known.source = source;
                    known.room = None;
                }
            }
            Command::Play { stream, op, prompts, times } => {
                let names: Vec<String> = prompts.iter().map(name).collect();
                let missing = names.iter().any(|name| name.ends_with(MISSING));
                self.played.extend(names.clone());
                if missing {
                    self.tell(soon, Event::Played { stream, op, end: PlayEnd::Failed });
                    return;
                }
                let end = (times > 0).then(|| now + PROMPT_LENGTH * times);
                if let Some(known) = self.known(stream) {
                    known.names = names.clone();
                }
                let old = self.known(stream).and_then(|known| known.play.replace((op, end)));
                if let Some((op, _)) = old {
                    self.tell(soon, Event::Played { stream, op, end: PlayEnd::Stopped });
                }
            }
            Command::StopPlay { stream, op } => {
                let play =
                    self.known(stream).and_then(|k| k.play.take_if(|(known, _)| *known == op));
                if let Some((op, _)) = play {
                    self.tell(soon, Event::Played { stream, op, end: PlayEnd::Stopped });
                }
            }
            Command::SendDigits { stream, op, digits, .. } => {
                let to = self.known(stream).and_then(|known| Some(known.config.as_ref()?.remote));
                let text = String::from_utf8_lossy(digits.as_bytes()).into_owned();
                self.pressed.extend(to.map(|to| (to, text)));
                let end = match self.known(stream) {
                    Some(_) => PlayEnd::Finished,
                    None => PlayEnd::Stopped,
                };
                self.tell(soon, Event::DigitsSent { stream, op, end });
            }
            Command::Detect { stream, .. } => {
                self.known(stream);
            }
            Command::Record { stream, op, recording } => {
                self.recorded.push(recording.path.to_string_lossy().into_owned());
                if self.full {
                    let event = recorded(stream, op, RecordEnd::DiskError, Duration::ZERO);
                    return self.tell(soon, event);
                }
                let known = self.known(stream).filter(|known| known.record.is_none());
                let Some(known) = known else {
                    let event = recorded(stream, op, RecordEnd::Refused, Duration::ZERO);
                    return self.tell(soon, event);
                };
                known.record = Some((op, now));
                // Longer ones end with their streams here.
                if recording.longest < Duration::from_secs(60) {
                    known.record = None;
                    let end = now + recording.longest;
                    let event = recorded(stream, op, RecordEnd::Longest, recording.longest);
                    self.tell(end, event);
                }
            }
            Command::StopRecord { stream, op } => {
                let running = self.known(stream).and_then(|known| known.record.take());
                if let Some((_, began)) = running {
                    let event = recorded(stream, op, RecordEnd::Stopped, now.since(began));
                    self.tell(soon + WRITTEN, event);
                }
            }
            Command::Mute { stream, muted } => {
                if let Some(room) = self.known(stream).and_then(|known| known.room.as_mut()) {
                    room.1 = muted;
                }
            }
            Command::Whisper { stream, to } => {
                let there = to.is_none_or(|to| self.streams.contains_key(&to));
                assert!(there, "somebody whispers to a stream that is not there");
                if let Some(known) = self.known(stream) {
                    known.whispers = to;
                }
            }
            Command::Leave { stream } => {
                if let Some(known) = self.known(stream) {
                    known.room = None;
                }
            }
            Command::Join { stream, room, muted } => self.join(soon, stream, room, muted),
            Command::Announce { room, op, prompts, .. } => {
                assert!(self.announcing.insert(room, op).is_none(), "words cut others short");
                self.announced.extend(prompts.iter().map(name));
                self.tell(
                    now + PROMPT_LENGTH,
                    Event::Announced { room, op, end: PlayEnd::Finished },
                );
            }
            Command::StopAnnounce { .. } => {}
            Command::Lend { stream } => {
                if let Some(known) = self.known(stream) {
                    known.source = Source::Nothing;
                    self.tell(soon, Event::Lent { stream });
                }
            }
            Command::Reclaim { stream, .. } => {
                if self.known(stream).is_some() {
                    self.tell(soon, Event::Moved { stream });
                }
            }
            Command::Move { stream, to } => {
                let Some(known) = self.known(stream) else { return };
                known.source = Source::Nothing;
                known.room = None;
                let play = known.play.take();
                known.worker = to;
                self.moved += 1;
                if let Some((op, _)) = play {
                    self.tell(soon, Event::Played { stream, op, end: PlayEnd::Stopped });
                }
                self.tell(soon, Event::Moved { stream });
            }
            Command::Close { stream } => {
                if self.known(stream).is_none() {
                    return;
                }
                let Some(gone) = self.streams.remove(&stream) else { return };
                if let Some((op, _)) = gone.play {
                    self.tell(soon, Event::Played { stream, op, end: PlayEnd::Stopped });
                }
                if let Some((op, began)) = gone.record {
                    let event = recorded(stream, op, RecordEnd::Stopped, now.since(began));
                    self.tell(soon + WRITTEN, event);
                }
                self.tell(soon, Event::Closed { stream, stats: STATS });
            }
        }
    }

    /// A stream comes into a room.
    fn join(&mut self, soon: Time, stream: StreamId, room: BridgeId, muted: bool) {
        let refused = self.refuse_joins > 0;
        self.refuse_joins = self.refuse_joins.saturating_sub(1);
        let known = self.known(stream).filter(|known| !refused && known.config.is_some());
        let joined = known.map(|known| {
            known.room = Some((room, muted));
            known.source = Source::Room(room);
        });
        self.tell(soon, Event::Joined { stream, room, joined: joined.is_some() });
    }

    /// How many members of rooms each worker has.
    pub(crate) fn members_of_workers(&self) -> BTreeMap<WorkerId, usize> {
        let mut counts = BTreeMap::new();
        for stream in self.streams.values().filter(|stream| stream.room.is_some()) {
            *counts.entry(stream.worker).or_default() += 1;
        }
        counts
    }

    /// Who hears whom in the rooms: for each room the addresses of its members, those that are
    /// kept from the others in brackets.
    pub(crate) fn rooms(&self) -> Vec<Vec<(SocketAddr, bool)>> {
        let mut rooms: BTreeMap<BridgeId, Vec<(SocketAddr, bool)>> = BTreeMap::new();
        for stream in self.streams.values() {
            if let (Some((room, muted)), Some(config)) = (stream.room, &stream.config) {
                rooms.entry(room).or_default().push((config.remote, muted));
            }
        }
        rooms.into_values().collect()
    }

    /// The stream of this number, when it is there.
    pub(crate) fn stream(&self, stream: StreamId) -> Option<&Stream> {
        self.streams.get(&stream)
    }

    fn known(&mut self, stream: StreamId) -> Option<&mut Stream> {
        let worker = self.worker;
        let known = self.streams.get_mut(&stream).filter(|known| known.worker == worker);
        if known.is_none() {
            self.crossed.push(self.at_hand.clone());
        }
        known
    }
}

/// A recording is whole so long after its end.
const WRITTEN: Duration = Duration::from_millis(100);

fn recorded(stream: StreamId, op: OpId, end: RecordEnd, length: Duration) -> Event {
    let samples = u64::try_from(length.as_millis()).unwrap() * 8;
    let report = RecordReport { end, samples, dropped: 0, sample_rate: 8_000 };
    Event::Recorded { stream, op, report }
}

/// How a prompt is noted.
fn name(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Clip { language, name } => format!("{language}/{name}"),
        Prompt::Tone { .. } | Prompt::Music | Prompt::Silence { .. } => format!("{prompt:?}"),
    }
}
