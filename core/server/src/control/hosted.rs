//! The modules of a server with several shards: a thread of its own runs every application, so that
//! one that is slow holds up no shard, and modules see one thread as they do beside one shard.
//! Orders come from all shards, requests go to the one whose number the instance bears; what an
//! application wrote down is in the journal before its next request leaves.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use koukan_base::{COMMON_SHARD, ShardId, Shards, Time};
use koukan_switch::{InstanceId, LookupId, ModuleOrder, ModuleRequest, Note, Record};
use mio::{Events, Poll, Waker};

use super::request::Request;
use crate::clock::Clock;
use crate::journal::SharedJournal;
use crate::module::shelf::Shelf;
use crate::modules::Modules;
use crate::recordings::Sweeper;

/// Something for the thread.
#[derive(Debug)]
pub(crate) enum Order {
    /// What a switch orders.
    Do(ModuleOrder),
    /// What the service asks that is about modules, and not about a tenant.
    Answer(Request),
    /// The shards have ended.
    End,
}

/// A shard's way to the thread. Both queues are bounded by what they carry: the switch bounds its
/// instances, and an instance its operations.
#[derive(Debug)]
pub(crate) struct Remote {
    orders: Sender<Order>,
    waker: Arc<Waker>,
    requests: Receiver<ModuleRequest>,
    told: Arc<AtomicBool>,
    shelf: Arc<Shelf>,
}

impl Remote {
    fn order(&self, order: ModuleOrder) {
        // It fails when the thread is gone, and the server with it.
        let _ = self.orders.send(Order::Do(order));
        let _ = self.waker.wake();
    }
}

/// The modules as a shard has them: its own, where it is the only one.
#[derive(Debug)]
pub(crate) enum Apps {
    /// On this thread.
    Here(Box<Modules>),
    /// On theirs.
    There(Remote),
}

impl Apps {
    /// Sends a mail of the switch's own.
    pub(crate) fn send_mail(&self, mail: koukan_switch::Mail) {
        match self {
            Self::Here(modules) => modules.send_mail(mail),
            Self::There(remote) => {
                remote.shelf.queue_own_mail(mail);
                let _ = remote.waker.wake();
            }
        }
    }

    /// Does what the switch orders.
    pub(crate) fn handle(&mut self, now: koukan_switch::Now, order: ModuleOrder) {
        match self {
            Self::Here(modules) => modules.handle(now, order),
            Self::There(remote) => remote.order(order),
        }
    }

    /// The next request of an application.
    pub(crate) fn poll_request(&mut self, now: koukan_switch::Now) -> Option<ModuleRequest> {
        match self {
            Self::Here(modules) => modules.poll_request(now),
            Self::There(remote) => {
                // The shard looks at the queue: from now on it is woken again.
                remote.told.swap(false, Ordering::AcqRel);
                remote.requests.try_recv().ok()
            }
        }
    }

    /// Whether requests wait that no waker will tell of.
    pub(crate) fn has_requests(&self) -> bool {
        match self {
            Self::Here(modules) => modules.has_requests(),
            Self::There(remote) => !remote.requests.is_empty(),
        }
    }

    /// When `poll_request` is to be called next for what it does by itself.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        match self {
            Self::Here(modules) => modules.poll_timeout(),
            Self::There(_) => None,
        }
    }

    /// Whether what modules wrote waits for the journal.
    pub(crate) fn has_notes(&self) -> bool {
        match self {
            Self::Here(modules) => modules.has_notes(),
            Self::There(_) => false,
        }
    }

    /// What modules wrote since the last time.
    pub(crate) fn take_notes(&mut self) -> Vec<Note> {
        match self {
            Self::Here(modules) => modules.take_notes(),
            Self::There(_) => Vec::new(),
        }
    }

    /// Takes in what the switch has written down.
    pub(crate) fn absorb(&self, note: &Note) {
        match self {
            Self::Here(modules) => modules.absorb(note),
            Self::There(remote) => remote.shelf.absorb(note),
        }
    }

    pub(crate) fn handle_housekeeping(&mut self, now: koukan_switch::Now) {
        if let Self::Here(modules) = self {
            modules.handle_housekeeping(now);
        }
    }

    /// Those that live on this thread: the requests that are about modules come here alone.
    pub(crate) fn here(&mut self) -> Option<&mut Modules> {
        match self {
            Self::Here(modules) => Some(modules),
            Self::There(_) => None,
        }
    }
}

/// The thread.
pub(crate) struct Hosted {
    poll: Poll,
    modules: Modules,
    orders: Receiver<Order>,
    shards: Vec<Way>,
    homes: Shards,
    journal: SharedJournal,
    sweeper: Sweeper,
    clock: Clock,
    housekeeping: Time,
    next_sweep: Time,
}

/// The way to a shard.
struct Way {
    requests: Sender<ModuleRequest>,
    told: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

impl Way {
    fn give(&self, request: ModuleRequest) {
        // It fails when the shard is gone.
        let _ = self.requests.send(request);
        if !self.told.swap(true, Ordering::AcqRel) {
            let _ = self.waker.wake();
        }
    }
}

/// What failed for want of disk is tried again so often.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// Recordings that are too old are looked for so often.
const SWEEP: Duration = Duration::from_secs(60);

/// What the thread is made of.
pub(crate) struct Parts {
    pub(crate) poll: Poll,
    /// Wakes that poll.
    pub(crate) waker: Arc<Waker>,
    pub(crate) modules: Modules,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) journal: SharedJournal,
    pub(crate) sweeper: Sweeper,
    pub(crate) clock: Clock,
}

impl Hosted {
    /// The thread's part, the way to it, and each shard's, by the wakers of their loops.
    pub(crate) fn new(
        parts: Parts,
        homes: Shards,
        wakers: &[Arc<Waker>],
    ) -> (Self, Sender<Order>, Vec<Remote>) {
        let Parts { poll, waker, modules, shelf, journal, sweeper, clock } = parts;
        let (orders, given) = unbounded();
        let (mut shards, mut remotes) = (Vec::new(), Vec::new());
        for shard in wakers {
            let (requests, taken) = unbounded();
            let told = Arc::new(AtomicBool::new(false));
            shards.push(Way { requests, told: Arc::clone(&told), waker: Arc::clone(shard) });
            remotes.push(Remote {
                orders: orders.clone(),
                waker: Arc::clone(&waker),
                requests: taken,
                told,
                shelf: Arc::clone(&shelf),
            });
        }
        let hosted = Self {
            poll,
            modules,
            orders: given,
            shards,
            homes,
            journal,
            sweeper,
            clock,
            housekeeping: Time::ZERO,
            next_sweep: Time::ZERO,
        };
        (hosted, orders, remotes)
    }

    /// Runs until it is told to end.
    ///
    /// # Errors
    /// The poll failed: resource.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(16);
        loop {
            match self.poll.poll(&mut events, Some(self.wait())) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            let ends = self.turn();
            if ends && self.orders.is_empty() {
                self.commit();
                return Ok(());
            }
        }
    }

    fn wait(&self) -> Duration {
        if !self.orders.is_empty() || self.modules.has_requests() || self.modules.has_notes() {
            return Duration::ZERO;
        }
        let now = self.clock.time();
        let next = self.modules.poll_timeout().into_iter().chain([self.housekeeping]).min();
        let next = next.unwrap_or(self.housekeeping);
        // A millisecond more than asked: waking just before a deadline would spin.
        if next <= now { Duration::ZERO } else { next.since(now) + Duration::from_micros(500) }
    }

    /// Everything that has come and what follows from it; whether it is told to end.
    fn turn(&mut self) -> bool {
        let mut ends = false;
        for _ in 0..crate::limits::EVENT_BATCH {
            let Ok(order) = self.orders.try_recv() else { break };
            match order {
                Order::Do(order) => self.modules.handle(self.clock.now(), order),
                Order::Answer(request) => self.answer(request),
                Order::End => ends = true,
            }
        }
        let now = self.clock.now();
        let mut requests = Vec::new();
        for _ in 0..crate::limits::EVENT_BATCH {
            let Some(request) = self.modules.poll_request(now) else { break };
            requests.push(request);
        }
        // What they wrote before they asked is safe before they are answered.
        self.commit();
        for request in requests {
            let shard = self.shard_of(&request);
            if let Some(way) = self.shards.get(usize::from(shard.0)) {
                way.give(request);
            }
        }
        if self.housekeeping <= now.time {
            self.housekeeping = now.time + HOUSEKEEPING;
            self.modules.handle_housekeeping(now);
            self.journal.lock().handle_housekeeping();
            if self.next_sweep <= now.time {
                self.next_sweep = now.time + SWEEP;
                self.sweeper.order(now.date);
            }
        }
        ends
    }

    /// Whose request it is: numbers of the switch bear their shard.
    fn shard_of(&self, request: &ModuleRequest) -> ShardId {
        match request {
            ModuleRequest::Start { instance: InstanceId(number), .. }
            | ModuleRequest::Cancel { instance: InstanceId(number), .. }
            | ModuleRequest::Ended { instance: InstanceId(number), .. }
            | ModuleRequest::Answered { lookup: LookupId(number), .. } => {
                let shard = u16::try_from(*number >> 48).ok();
                shard.and_then(|shard| self.homes.shard(shard)).unwrap_or(COMMON_SHARD)
            }
            ModuleRequest::Messages { tenant, .. } => self.homes.home(tenant),
        }
    }

    /// Writes down what modules wrote; whether it is safe.
    fn commit(&mut self) -> bool {
        let notes = self.modules.take_notes();
        let records: Vec<Record> = notes.into_iter().map(Record::Note).collect();
        records.is_empty() || self.journal.lock().append(records)
    }

    /// Answers what is about modules; the rest is asked of shards.
    fn answer(&mut self, request: Request) {
        let now = self.clock.now();
        match request {
            Request::Commit(reply) => drop(reply.send(self.commit())),
            Request::Modules(reply) => drop(reply.send(self.modules.list(now.time))),
            Request::InstallModule(build, is_new, reply) => {
                drop(reply.send(self.modules.install(now, *build, is_new)));
            }
            Request::UnloadModule(name, reply) => {
                drop(reply.send(self.modules.unload(now, &name)));
            }
            Request::ClockMoved(reply) => {
                self.modules.clock_moved();
                self.next_sweep = Time::ZERO;
                let _ = reply.send(());
            }
            // Whoever asks is told that nobody answers.
            other => drop(other),
        }
    }
}
