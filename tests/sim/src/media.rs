//! The media workers as the switch knows them: they answer every order as the engine does, and hear
//! RTP from whoever is in a call. No sample is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use koukan_base::{OpId, StreamId, Time, WorkerId};
use koukan_media::{Command, Event, OpenError, PlayEnd, Source, StreamConfig, StreamStats};

use crate::agenda::Agenda;

/// How long a prompt lasts.
const PROMPT: Duration = Duration::from_secs(6);
/// How long an order is on its way to a worker and its answer back.
const SOON: Duration = Duration::from_millis(2);

#[derive(Debug)]
enum Due {
    Tell(Event),
    PlayEnds(StreamId, OpId),
    Silent(StreamId, u64),
}

#[derive(Debug)]
struct Stream {
    worker: WorkerId,
    opened: Time,
    config: Option<StreamConfig>,
    source: Source,
    play: Option<OpId>,
    /// Nothing comes from its peer any more.
    mute: bool,
    /// Tells a watch for silence from an earlier one.
    watch: u64,
}

/// The workers and their streams.
#[derive(Debug, Default)]
pub(crate) struct Media {
    streams: BTreeMap<StreamId, Stream>,
    by_remote: BTreeSet<(SocketAddr, StreamId)>,
    due: Agenda<Due>,
    port: u16,
    watches: u64,
    dark: BTreeSet<IpAddr>,
    /// Streams that found no port, until the switch has heard of it: its orders cross the news.
    refused: BTreeSet<StreamId>,
    /// So many of the next streams find no port.
    pub(crate) refuse: u32,
    /// Orders that name a stream which is not there, or is another worker's: first of them.
    pub(crate) wrong: Option<String>,
    pub(crate) most: usize,
}

impl Media {
    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }

    /// The process is gone, and every stream with it; hosts that are dark stay so.
    pub(crate) fn crash(&mut self) {
        let (dark, most) = (std::mem::take(&mut self.dark), self.most);
        *self = Self { dark, most, ..Self::default() };
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.due.next()
    }

    /// The next report that is due.
    pub(crate) fn due(&mut self, now: Time) -> Option<Event> {
        loop {
            match self.due.due(now)? {
                Due::Tell(event) => {
                    if let Event::OpenFailed { stream, .. } = &event {
                        self.refused.remove(stream);
                    }
                    return Some(event);
                }
                Due::PlayEnds(stream, op) => {
                    let known = self.streams.get_mut(&stream);
                    if known.and_then(|known| known.play.take_if(|play| *play == op)).is_some() {
                        return Some(Event::Played { stream, op, end: PlayEnd::Finished });
                    }
                }
                Due::Silent(stream, watch) => {
                    let known = self.streams.get(&stream);
                    if known.is_some_and(|known| known.mute && known.watch == watch) {
                        return Some(Event::Silent { stream });
                    }
                }
            }
        }
    }

    /// A host is there no more, or again. What it has sent in calls of before does not come back.
    pub(crate) fn darken(&mut self, now: Time, host: IpAddr, dark: bool) {
        if !dark {
            self.dark.remove(&host);
            return;
        }
        self.dark.insert(host);
        let of_host = |(remote, _): &&(SocketAddr, StreamId)| remote.ip() == host;
        let ids: Vec<SocketAddr> =
            self.by_remote.iter().filter(of_host).map(|(remote, _)| *remote).collect();
        for remote in ids {
            self.mute(now, remote);
        }
    }

    /// Nothing comes from this address any more: its call has ended there.
    pub(crate) fn mute(&mut self, now: Time, remote: SocketAddr) {
        let first = (remote, StreamId(0));
        let ids: Vec<StreamId> = self
            .by_remote
            .range(first..)
            .take_while(|(known, _)| *known == remote)
            .map(|(_, stream)| *stream)
            .collect();
        for stream in ids {
            if let Some(known) = self.streams.get_mut(&stream) {
                known.mute = true;
            }
            self.watch(now, stream);
        }
    }

    /// Sets the watch for silence anew.
    fn watch(&mut self, now: Time, stream: StreamId) {
        self.watches = self.watches.wrapping_add(1);
        let Some(known) = self.streams.get_mut(&stream) else { return };
        known.watch = self.watches;
        let after = known.config.as_ref().and_then(|config| config.silent_after);
        if let Some(after) = after.filter(|_| known.mute) {
            self.due.add(now + after, Due::Silent(stream, self.watches));
        }
    }

    /// A digit that somebody presses, as an event of RFC 4733.
    pub(crate) fn press(&mut self, now: Time, remote: SocketAddr, digit: u8) {
        let first = (remote, StreamId(0));
        let found = self.by_remote.range(first..).next().filter(|(known, _)| *known == remote);
        if let Some((_, stream)) = found.copied() {
            self.due.add(now, Due::Tell(Event::Digit { stream, digit, duration_ms: 100 }));
        }
    }

    pub(crate) fn order(&mut self, now: Time, worker: WorkerId, command: Command) {
        match command {
            Command::Open { stream, local, .. } => self.open(now, worker, stream, local),
            Command::Configure { stream, config } => {
                let mute = self.dark.contains(&config.remote.ip());
                let Some(known) = self.known(worker, stream, "configure") else { return };
                known.mute |= mute;
                let old = known.config.replace(config.clone());
                if let Some(old) = old {
                    // Another address is another call at the far end.
                    let moved = old.remote != config.remote;
                    if let Some(known) = self.streams.get_mut(&stream).filter(|_| moved) {
                        known.mute = mute;
                    }
                    self.by_remote.remove(&(old.remote, stream));
                }
                self.by_remote.insert((config.remote, stream));
                self.watch(now, stream);
            }
            Command::Feed { stream, source } => {
                if let Source::Stream(other) = source {
                    let _ = self.known(worker, other, "feed from");
                }
                if let Some(known) = self.known(worker, stream, "feed") {
                    known.source = source;
                }
            }
            Command::Play { stream, op, prompts, times } => {
                let length = PROMPT.saturating_mul(u32::try_from(prompts.len()).unwrap_or(1));
                let Some(known) = self.known(worker, stream, "play") else { return };
                let old = known.play.replace(op);
                self.stopped(now, stream, old);
                if times > 0 {
                    let end = now + length.saturating_mul(times);
                    self.due.add(end, Due::PlayEnds(stream, op));
                }
            }
            Command::StopPlay { stream, op } => {
                let Some(known) = self.known(worker, stream, "stop") else { return };
                let old = known.play.take_if(|play| *play == op);
                self.stopped(now, stream, old);
            }
            // No office of the simulation orders recordings or rooms.
            Command::Record { .. }
            | Command::StopRecord { .. }
            | Command::Join { .. }
            | Command::Mute { .. }
            | Command::Whisper { .. }
            | Command::Leave { .. }
            | Command::Announce { .. }
            | Command::StopAnnounce { .. }
            | Command::Lend { .. }
            | Command::Reclaim { .. } => {
                self.wrong = Some(format!("an order that is not known here: {command:?}"));
            }
            Command::Move { stream, to } => {
                let Some(known) = self.known(worker, stream, "move") else { return };
                known.source = Source::Nothing;
                known.worker = to;
                let old = known.play.take();
                self.stopped(now, stream, old);
                self.due.add(now + SOON, Due::Tell(Event::Moved { stream }));
            }
            Command::Close { stream } => self.close(now, worker, stream),
            Command::SendDigits { stream, op, .. } => {
                let known = self.known(worker, stream, "send digits to").is_some();
                let end = if known { PlayEnd::Finished } else { PlayEnd::Stopped };
                self.due.add(now + SOON, Due::Tell(Event::DigitsSent { stream, op, end }));
            }
            Command::Detect { stream, .. } => {
                let _ = self.known(worker, stream, "detect");
            }
        }
    }

    fn stopped(&mut self, now: Time, stream: StreamId, op: Option<OpId>) {
        if let Some(op) = op {
            let event = Event::Played { stream, op, end: PlayEnd::Stopped };
            self.due.add(now + SOON, Due::Tell(event));
        }
    }

    fn open(&mut self, now: Time, worker: WorkerId, stream: StreamId, local: IpAddr) {
        if self.refuse > 0 {
            self.refuse = self.refuse.saturating_sub(1);
            self.refused.insert(stream);
            let event = Event::OpenFailed { stream, error: OpenError::NoPorts };
            self.due.add(now + SOON, Due::Tell(event));
            return;
        }
        self.port = self.port.wrapping_add(2) % 20_000;
        let rtp = SocketAddr::new(local, self.port.saturating_add(20_000));
        let new = Stream {
            worker,
            opened: now,
            config: None,
            source: Source::Nothing,
            play: None,
            mute: false,
            watch: 0,
        };
        if self.streams.insert(stream, new).is_some() {
            self.wrong = Some(format!("stream {stream:?} is opened twice"));
        }
        self.most = self.most.max(self.streams.len());
        self.due.add(now + SOON, Due::Tell(Event::Opened { stream, rtp }));
    }

    fn close(&mut self, now: Time, worker: WorkerId, stream: StreamId) {
        if self.known(worker, stream, "close").is_none() {
            return;
        }
        let Some(gone) = self.streams.remove(&stream) else { return };
        if let Some(config) = &gone.config {
            self.by_remote.remove(&(config.remote, stream));
        }
        self.stopped(now, stream, gone.play);
        let packets = u64::try_from(now.since(gone.opened).as_millis() / 20).unwrap_or(0);
        let stats = StreamStats { received: packets, sent: packets, ..StreamStats::default() };
        self.due.add(now + SOON, Due::Tell(Event::Closed { stream, stats }));
    }

    fn known(&mut self, worker: WorkerId, stream: StreamId, what: &str) -> Option<&mut Stream> {
        let known = self.streams.get_mut(&stream).filter(|known| known.worker == worker);
        if known.is_none() && self.wrong.is_none() && !self.refused.contains(&stream) {
            self.wrong = Some(format!("{what}: worker {worker:?} has no stream {stream:?}"));
        }
        known
    }

    /// Somebody hears a party that hears somebody else: two calls are mixed up.
    pub(crate) fn crossed(&self) -> Option<String> {
        let heard = |id: &StreamId| match self.streams.get(id)?.source {
            Source::Stream(other) => Some(other),
            _ => None,
        };
        self.streams.keys().find_map(|id| {
            let first = heard(id)?;
            let second = heard(&first)?;
            (second != *id).then(|| format!("{id:?} hears {first:?}, which hears {second:?}"))
        })
    }
}
