//! The control side of the engine: commands in, events out, and everything that may block or
//! allocate on behalf of a stream.

use std::collections::VecDeque;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::Sender as Jobs;
use crossbeam_queue::ArrayQueue;
use koukan_base::{BridgeId, OpId, Rng, StreamId, Time, WorkerId};
use koukan_codecs::opus::OpusSettings;
use koukan_media::rtcp::RtcpSession;
use koukan_media::sealed::SealKey;
use koukan_media::{Command, Event, KeyOrder, OpenError, Shares, Shed, Source, StreamConfig};
use thiserror::Error;

use crate::ear::Wanted;
use crate::jobs::{Job, Target, Task, read_prompts};
use crate::lent::{Lendings, Lent};
use crate::limits;
use crate::net::Io;
use crate::order::{Order, Setup};
use crate::ports::Ports;
use crate::prompts::Library;
use crate::record::{Session, write_recordings};
use crate::rooms::{Orders, Rooms};
use crate::routes::{Change, Routes};
use crate::stats::EngineStats;
use crate::stream::Stream;

mod lending;
mod recorder;
mod remote;

use recorder::most_recordings;
use remote::{Remote, start_worker};

/// How the engine is set up.
#[derive(Clone)]
pub struct EngineConfig {
    /// Worker threads, at least one.
    pub workers: u16,
    /// The ports of media.
    pub ports: RangeInclusive<u16>,
    /// Where prompts are: `LANGUAGE/NAME.wav` below it.
    pub prompts: PathBuf,
    /// Whether each worker is pinned to a core.
    pub pin: bool,
    /// Whether each worker goes before all other threads of the machine, where the system lets it.
    pub real_time: bool,
    /// Streams a worker, see [`limits::STREAMS`].
    pub max_streams: usize,
    /// How a worker waits and sends.
    pub io: Io,
    /// How Opus is spoken.
    pub opus: OpusSettings,
    /// Real randomness for SSRCs and first sequence numbers.
    pub seed: [u8; 32],
    /// The key that recordings are sealed under which want it.
    pub seal: Option<SealKey>,
    /// Called, on any thread, when events wait.
    pub notify: Arc<dyn Fn() + Send + Sync>,
}

/// Why the engine did not start: the machine's fault.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A thread, a poll or a waker could not be made.
    #[error("the media engine cannot start: {0}")]
    Start(#[from] io::Error),
}

/// Streams that are between two workers at once: the control side empties the queue at every turn.
const MOVING: usize = 1024;

/// Where a stream moves that another process takes.
pub(crate) const AWAY: usize = usize::MAX;

/// Events on their way to the control loop.
pub(crate) struct Events {
    queue: ArrayQueue<Event>,
    /// Streams between two workers.
    moving: ArrayQueue<(usize, Box<Stream>)>,
    lost: AtomicU64,
    notify: Arc<dyn Fn() + Send + Sync>,
}

impl Events {
    /// Gives an event to the control loop. The queue holds one for every stream and more, so it is
    /// full only when the control loop has stopped; then the event is counted as lost.
    pub(crate) fn push(&self, event: Event) {
        if self.queue.push(event).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        (self.notify)();
    }

    /// Gives the control side a stream that it brings to another worker.
    pub(crate) fn hand_over(&self, to: usize, stream: Box<Stream>) {
        let id = stream.id;
        if self.moving.push((to, stream)).is_err() {
            self.push(Event::OpenFailed { stream: id, error: OpenError::Full });
            return;
        }
        (self.notify)();
    }
}

/// The running engine. Dropping it ends its threads.
pub struct Engine {
    remotes: Vec<Remote>,
    events: Arc<Events>,
    /// What was answered on this side, to be taken by `try_recv`.
    opened: VecDeque<Event>,
    ports: Ports,
    routes: Routes,
    shares: Shares,
    refused: u64,
    rooms: Rooms,
    lendings: Lendings,
    rng: Rng,
    seal: Option<SealKey>,
    jobs: Option<Jobs<Job>>,
    job_thread: Option<JoinHandle<()>>,
    recorder: Option<Jobs<Session>>,
    recorder_thread: Option<JoinHandle<()>>,
    /// Recordings whose end has not been told.
    recordings: usize,
    usual_rank: Option<io::Error>,
    stop: Arc<AtomicBool>,
    phase: u8,
}

impl Engine {
    /// Starts the workers and the job thread.
    ///
    /// # Errors
    /// The system refuses a thread or a poll.
    pub fn start(config: EngineConfig) -> Result<Self, EngineError> {
        let workers = usize::from(config.workers.max(1));
        let events = Arc::new(Events {
            queue: ArrayQueue::new(workers.saturating_mul(config.max_streams).saturating_mul(4)),
            moving: ArrayQueue::new(MOVING),
            lost: AtomicU64::new(0),
            notify: config.notify.clone(),
        });
        let stop = Arc::new(AtomicBool::new(false));
        let mut remotes = Vec::new();
        // One clock for all: what a stream remembers of its times is true on its next worker.
        let started = Instant::now();
        let mut usual_rank = None;
        for index in 0..workers {
            let (remote, usual) = start_worker(index, started, &config, &events, &stop)?;
            remotes.push(remote);
            usual_rank = usual_rank.or(usual);
        }
        let (jobs, waiting) = crossbeam_channel::bounded(config.max_streams);
        let targets: Vec<_> =
            remotes.iter().map(|remote| (remote.orders.clone(), remote.waker.clone())).collect();
        let (library, out) = (Library::new(config.prompts.clone()), events.clone());
        let job_thread = std::thread::Builder::new()
            .name("media-job".to_owned())
            .spawn(move || read_prompts(library, &waiting, &targets, &out))?;
        let (recorder, sessions) = crossbeam_channel::bounded(most_recordings());
        let out = events.clone();
        let recorder_thread = std::thread::Builder::new()
            .name("media-job-disk".to_owned())
            .spawn(move || write_recordings(&sessions, &out))?;
        let mut rng = Rng::from_seed(config.seed);
        #[expect(clippy::cast_possible_truncation, reason = "any 16 bits will do")]
        let start = rng.next_u32() as u16;
        Ok(Self {
            remotes,
            events,
            opened: VecDeque::new(),
            ports: Ports::new(&config.ports, start),
            routes: Routes::new(config.opus),
            shares: Shares::new(workers, config.max_streams),
            refused: 0,
            rooms: Rooms::default(),
            lendings: Lendings::default(),
            rng,
            seal: config.seal,
            jobs: Some(jobs),
            job_thread: Some(job_thread),
            recorder: Some(recorder),
            recorder_thread: Some(recorder_thread),
            recordings: 0,
            usual_rank,
            stop,
            phase: 0,
        })
    }

    /// Why workers that were to go before all other threads do not: the system's words.
    #[must_use]
    pub const fn usual_rank(&self) -> Option<&io::Error> {
        self.usual_rank.as_ref()
    }

    /// So many tenants there are, whom the workers' streams are shared between.
    pub const fn set_tenants(&mut self, tenants: usize) {
        self.shares.set_tenants(tenants);
    }

    /// Carries out a command. `Open` binds and allocates here, on the caller's thread.
    pub fn send(&mut self, worker: WorkerId, command: Command) {
        self.queue(worker, command);
        self.flush();
    }

    /// Tells the workers of everything that was queued, each by one waking.
    pub fn flush(&mut self) {
        for remote in &mut self.remotes {
            if std::mem::take(&mut remote.queued) {
                // A waker fails only when its poll is gone, and with it the worker.
                let _ = remote.waker.wake();
            }
        }
    }

    /// Takes a command as [`Self::send`] does; the worker may hear of it only by `flush`.
    pub fn queue(&mut self, worker: WorkerId, command: Command) {
        let index = usize::from(worker.0).checked_rem(self.remotes.len()).unwrap_or(0);
        self.free_returned();
        match command {
            Command::Open { stream, local, tenant } => self.open(index, stream, local, &tenant),
            Command::Configure { stream, .. }
            | Command::Feed { stream, .. }
            | Command::Detect { stream, .. }
                if self.lendings.has(stream) => {}
            Command::Configure { stream, config } => self.configure(index, stream, config),
            Command::Feed { stream, source } => self.feed(index, stream, source),
            Command::Play { stream, op, prompts, times } => {
                self.job(index, Target::Stream(stream), op, Task::Play { prompts, times });
            }
            Command::StopPlay { stream, op } => {
                self.job(index, Target::Stream(stream), op, Task::Stop);
            }
            Command::Join { stream, room, muted } => self.join(index, stream, room, muted),
            Command::Mute { stream, muted } => {
                self.rooms.mute(stream, muted);
                self.order(index, Order::Mute(stream, muted));
            }
            Command::Whisper { stream, to } => self.whisper(index, stream, to),
            Command::Leave { stream } => {
                self.leave_room(stream);
                self.routes.feed(stream, Source::Nothing);
                self.order(index, Order::Feed(stream, Source::Nothing));
            }
            Command::Announce { room, op, prompts, times } => {
                self.room_job(index, room, op, Task::Play { prompts, times });
            }
            Command::StopAnnounce { room, op } => self.room_job(index, room, op, Task::Stop),
            Command::SendDigits { stream, op, digits, duration_ms, pause_ms } => {
                let order = KeyOrder { op, digits, duration_ms, pause_ms };
                self.order(index, Order::Keys(stream, order));
            }
            Command::Detect { stream, dtmf, fax } => {
                self.routes.detect(stream, Wanted { dtmf, fax });
                self.listen(index, stream);
            }
            Command::Record { stream, op, recording } => {
                self.record(index, stream, op, &recording);
            }
            Command::StopRecord { stream, op } => {
                self.routes.recorded(stream, op);
                self.order(index, Order::StopRecord(stream, op));
            }
            Command::Move { stream, to } => {
                let to = usize::from(to.0).checked_rem(self.remotes.len()).unwrap_or(0);
                self.leave_room(stream);
                self.shares.moved(stream, to);
                let changes = self.routes.unwire(stream);
                self.order(index, Order::Release(stream, to));
                self.hear(index, changes);
            }
            Command::Lend { stream } => self.let_go(index, stream),
            Command::Reclaim { stream, tenant, away } => self.reclaim(index, stream, &tenant, away),
            Command::Close { stream } => self.close(index, stream),
        }
    }

    fn close(&mut self, index: usize, stream: StreamId) {
        if let Some(stats) = self.lendings.close(stream) {
            self.opened.push_back(Event::Closed { stream, stats });
            return;
        }
        self.leave_room(stream);
        self.shares.close(stream);
        let changes = self.routes.close(stream);
        self.order(index, Order::Close(stream));
        self.hear(index, changes);
    }

    fn configure(&mut self, index: usize, stream: StreamId, config: StreamConfig) {
        let speaker = self.routes.configure(stream, &config);
        let secure = self.routes.secure(stream, &config);
        let setup = Setup { config, speaker, secure };
        self.order(index, Order::Configure(stream, Box::new(setup)));
        self.reroute(index, stream);
        self.listen(index, stream);
        self.retrack(index, stream);
        self.turn_seat(stream);
    }

    fn feed(&mut self, index: usize, stream: StreamId, source: Source) {
        // Rooms are joined, not fed from.
        let is_room = matches!(source, Source::Room(_));
        let source = if is_room { Source::Nothing } else { source };
        self.leave_room(stream);
        self.routes.feed(stream, source);
        self.order(index, Order::Feed(stream, source));
        self.reroute(index, stream);
    }

    /// Streams that must hear another codec than they speak get what they need for it. Streams
    /// that feed from each other are of one worker.
    fn reroute(&mut self, index: usize, stream: StreamId) {
        let changes = self.routes.changes(stream);
        self.hear(index, changes);
    }

    /// A play, or its end, takes its way through the job thread.
    fn job(&mut self, index: usize, target: Target, op: OpId, what: Task) {
        let stops = matches!(what, Task::Stop);
        let job = Job { worker: index, target, op, what };
        let full = self.jobs.as_ref().is_none_or(|jobs| jobs.try_send(job).is_err());
        match (full, stops) {
            (true, true) => self.order(index, target.stop(op)),
            (true, false) => self.events.push(target.failed(op)),
            (false, _) => {}
        }
    }

    /// A play for everybody in a room, or its end: by the room's first part, wherever that is.
    fn room_job(&mut self, index: usize, room: BridgeId, op: OpId, what: Task) {
        let index = self.rooms.first(room).unwrap_or(index);
        self.job(index, Target::Room(room), op, what);
    }

    /// A muted member is heard by one other of its room, or by nobody again.
    fn whisper(&mut self, index: usize, stream: StreamId, to: Option<StreamId>) {
        let to = to.filter(|to| self.rooms.whisper(stream, Some(*to)));
        if to.is_none() {
            self.rooms.whisper(stream, None);
        }
        self.order(index, Order::Whisper(stream, to));
    }

    /// A stream comes into a room.
    fn join(&mut self, index: usize, stream: StreamId, room: BridgeId, muted: bool) {
        self.leave_room(stream);
        let settings = self.routes.settings();
        let codec = self.routes.codec(stream);
        let orders = codec
            .and_then(|codec| self.rooms.join(index, (stream, codec), (room, muted), settings));
        let Some(orders) = orders else {
            self.opened.push_back(Event::Joined { stream, room, joined: false });
            return;
        };
        self.routes.feed(stream, Source::Room(room));
        self.reroute(index, stream);
        self.order_all(orders);
    }

    /// A member of a room has agreed on another codec.
    fn turn_seat(&mut self, stream: StreamId) {
        let Some(codec) = self.routes.codec(stream) else { return };
        let orders = self.rooms.turn(stream, codec, self.routes.settings());
        self.order_all(orders);
    }

    /// A stream leaves its room, if it is in one.
    fn leave_room(&mut self, stream: StreamId) {
        let orders = self.rooms.leave(stream);
        self.order_all(orders);
    }

    /// Orders for several workers.
    fn order_all(&mut self, orders: Orders) {
        for (worker, order) in orders {
            self.order(worker, order);
        }
    }

    /// A stream gets another ear, when what is listened for or its codec is another than before.
    fn listen(&mut self, index: usize, stream: StreamId) {
        if let Some(ear) = self.routes.ear(stream) {
            self.order(index, Order::Listen(stream, ear));
        }
    }

    /// A recording goes on in the stream's codec.
    fn retrack(&mut self, index: usize, stream: StreamId) {
        if let Some(tracks) = self.routes.tracks(stream) {
            self.order(index, Order::Tracks(stream, Some(tracks)));
        }
    }

    fn hear(&mut self, index: usize, changes: Vec<Change>) {
        for (stream, hearing) in changes {
            self.order(index, Order::Hear(stream, hearing));
        }
    }

    fn open(&mut self, index: usize, id: StreamId, local: std::net::IpAddr, tenant: &Arc<str>) {
        let counters = self.remotes.get(index).map(|remote| &remote.counters);
        let shed = counters.map_or(0, |counters| counters.shed.load(Ordering::Relaxed));
        let shed = Shed::of_number(u8::try_from(shed).unwrap_or(u8::MAX));
        if let Err(error) = self.shares.open(id, index, tenant, shed) {
            self.refused = self.refused.saturating_add(1);
            self.opened.push_back(Event::OpenFailed { stream: id, error });
            return;
        }
        let bound = self.ports.bind(local);
        let (rtp, sockets) = match bound {
            Ok(bound) => bound,
            Err(error) => {
                self.shares.close(id);
                self.opened.push_back(Event::OpenFailed { stream: id, error });
                return;
            }
        };
        let [a, b, c, d, ..] = self.rng.next_u64().to_be_bytes();
        let random = (
            self.rng.next_u32(),
            u16::from_be_bytes([a, b]) >> 1,
            u32::from_be_bytes([a, b, c, d]),
        );
        self.phase = self.phase.wrapping_add(7) % 20;
        // RFC 7022, 4.2: a name that says nothing and lasts as long as the stream.
        let cname = format!("{:016x}", self.rng.next_u64());
        let session = RtcpSession::new(Time::ZERO, self.rng.split(), cname.as_bytes(), 8_000);
        let stream = Box::new(Stream::new(id, sockets, random, self.phase, session));
        self.routes.open(id);
        self.order(index, Order::Open(stream));
        // Whoever asked need not wait for the worker: whatever it is told comes behind the stream.
        self.opened.push_back(Event::Opened { stream: id, rtp });
    }

    /// The worker's queue is as long as its table; a full one means that it has stopped.
    fn order(&mut self, index: usize, order: Order) {
        let Some(remote) = self.remotes.get_mut(index) else { return };
        let mut order = order;
        for _ in 0..1_000 {
            match remote.orders.push(order) {
                Ok(()) => break,
                Err(back) => order = back,
            }
            let _ = remote.waker.wake();
            std::thread::yield_now();
        }
        remote.queued = true;
    }

    /// Frees the streams that the workers have given back.
    fn free_returned(&self) {
        for remote in &self.remotes {
            while remote.returned.pop().is_some() {}
        }
    }

    /// What has become of the next `Open`, which no worker has to answer; [`Self::try_recv`] gives
    /// these first too.
    pub fn try_opened(&mut self) -> Option<Event> {
        self.opened.pop_front()
    }

    /// The next event; drain after `notify`, and while `has_events` says so.
    pub fn try_recv(&mut self) -> Option<Event> {
        while let Some((to, stream)) = self.events.moving.pop() {
            if to == AWAY {
                self.opened.push_back(Event::Lent { stream: stream.id });
                self.lendings.add(stream);
                continue;
            }
            self.order(to, Order::Adopt(stream));
            self.flush();
        }
        let event = match self.try_opened() {
            Some(answer) => return Some(answer),
            None => self.events.queue.pop()?,
        };
        if let Event::Recorded { stream, op, .. } = event {
            self.recordings = self.recordings.saturating_sub(1);
            self.routes.recorded(stream, op);
        }
        if let Event::Joined { stream, room, joined: false } = event
            && self.rooms.of(stream) == Some(room)
        {
            // Its worker had no place for it.
            self.leave_room(stream);
            self.flush();
        }
        if let Event::OpenFailed { stream, .. } = event {
            // Nobody will close it; whoever fed from it is silent already.
            drop(self.routes.close(stream));
            self.shares.close(stream);
            self.leave_room(stream);
            self.flush();
        }
        Some(event)
    }

    /// The socket of a stream that is lent, and how it stands; none when it is not, or has agreed
    /// on nothing.
    #[must_use]
    pub fn lend(&self, stream: StreamId) -> Option<io::Result<Lent>> {
        self.lendings.lend(stream)
    }

    /// Whether events wait that `notify` has not told of: answers of this side itself.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.opened.is_empty()
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        EngineStats {
            workers: self.remotes.iter().map(|remote| remote.counters.read()).collect(),
            lost_events: self.events.lost.load(Ordering::Relaxed),
            refused: self.refused,
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.jobs = None;
        for remote in &mut self.remotes {
            let _ = remote.waker.wake();
            if let Some(thread) = remote.thread.take() {
                // A worker that panicked has been reported by the panic hook.
                let _ = thread.join();
            }
        }
        if let Some(thread) = self.job_thread.take() {
            let _ = thread.join();
        }
        // What never reached its worker ends here, so that every recording has an end.
        for remote in &self.remotes {
            while remote.orders.pop().is_some() {}
            while remote.returned.pop().is_some() {}
        }
        while self.events.moving.pop().is_some() {}
        self.recorder = None;
        if let Some(thread) = self.recorder_thread.take() {
            let _ = thread.join();
        }
    }
}

/// The default bound of streams a worker.
#[must_use]
pub fn default_max_streams() -> usize {
    usize::try_from(limits::STREAMS.default).unwrap_or(usize::MAX)
}
