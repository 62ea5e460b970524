//! Several shards: a loop for each, the door before them, and the thread that has the modules.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::bounded;
use koukan_base::{Rng, ShardId};
use koukan_sip::Scanner;
use koukan_switch::Router;

use super::build::{Builder, Common};
use super::{Finished, Loop, StartError, Started, Threads, control, spawn, system};
use crate::clock::Clock;
use crate::config::Config;
use crate::control::door::{Desk, Door, Order};
use crate::control::fleet::Fleet;
use crate::control::handle::{Beside, Line};
use crate::control::hosted::{Apps, Hosted, Parts};
use crate::control::inbox::Inbox;
use crate::control::link::{Link, Wires};
use crate::control::{Control, ControlHandle};
use crate::journal::SharedJournal;
use crate::transport::{Counters, Datagrams, ListenAddress, Transports};
use crate::{limits, os};

/// Starts them; the poll of `own` is the door's, which has the sockets.
pub(super) fn start(
    (config, clock): (&Config, &Clock),
    own: Loop,
    transports: Transports,
    finished: Finished,
) -> Result<Started, StartError> {
    let shards = config.shards;
    let loops: Vec<Loop> = shards.all().map(|_| Loop::new()).collect::<Result<_, _>>()?;
    let wakers: Vec<_> = loops.iter().map(|shard| Arc::clone(&shard.waker)).collect();
    let host = Loop::new()?;
    let listeners: Vec<_> = transports.listeners().map(|(_, bound)| bound).collect();
    let mut common = Common::open(config, clock, &host.waker, &wakers)?;
    let (mut builder, archive) = Builder::new((config, clock), &listeners, &mut common)?;
    let (once, known) = common.parted(archive);
    let journal = once.journal.clone();
    let parts = Parts {
        poll: host.poll,
        waker: Arc::clone(&host.waker),
        modules: once.modules,
        shelf: once.shelf,
        journal: once.journal,
        sweeper: once.sweeper,
        clock: clock.clone(),
    };
    let (hosted, apps, remotes) = Hosted::new(parts, shards, &wakers);
    let inboxes: Arc<[Inbox]> = wakers.iter().map(|waker| Inbox::new(Arc::clone(waker))).collect();
    let (orders, given) = bounded(limits::DOOR_QUEUE);
    let door = Line { queue: orders, waker: own.waker };
    let ways = Ways {
        inboxes: Arc::clone(&inboxes),
        datagrams: transports.datagrams().map_err(system("more sockets"))?,
        door: door.clone(),
        listeners: listeners.clone(),
    };
    let (mut lines, mut ready) = (Vec::new(), Vec::new());
    let fleet = Fleet::of(shards.count());
    let each = shards.all().zip(loops).zip(remotes).zip(fleet);
    for (((shard, Loop { poll, waker }), remote), fleet) in each {
        let core = builder.build(shard, &waker, (Apps::There(remote), None))?;
        let wires = Wires::Door(Box::new(ways.link(shard)?));
        let (queue, requests) = bounded(limits::CONTROL_QUEUE);
        lines.push(Line { queue, waker });
        ready.push(control((config, clock), poll, (wires, core), (requests, fleet)));
    }
    let desk = desk(Router::new(shards, &known.directory), inboxes)?;
    let (poll, slowest_turn) = (own.poll, Duration::ZERO);
    let clock = clock.clone();
    let loops = Loops {
        ready,
        hosted,
        door: Door { poll, transports, orders: given, clock, desk, slowest_turn },
    };
    let mut threads = loops.run(journal, &finished)?;
    threads.archive = Some(builder.into_archive());
    let beside = Beside { door, apps: Line { queue: apps, waker: host.waker } };
    let control = ControlHandle::new(shards, lines, Some(beside));
    Ok(Started { control, known, threads })
}

fn desk(router: Router, inboxes: Arc<[Inbox]>) -> Result<Desk, StartError> {
    Ok(Desk {
        router,
        scanner: Scanner::new(),
        inboxes,
        rng: Rng::from_seed(os::random_seed().map_err(system("randomness"))?),
        refused: 0,
        answers: Vec::new(),
    })
}

/// What a shard has of the network, for each of them.
struct Ways {
    inboxes: Arc<[Inbox]>,
    datagrams: Datagrams,
    door: Line<Order>,
    listeners: Vec<ListenAddress>,
}

impl Ways {
    fn link(&self, own: ShardId) -> Result<Link, StartError> {
        Ok(Link {
            own,
            inboxes: Arc::clone(&self.inboxes),
            datagrams: self.datagrams.try_clone().map_err(system("more sockets"))?,
            door: self.door.queue.clone(),
            door_waker: Arc::clone(&self.door.waker),
            listeners: self.listeners.clone(),
            counters: Counters::default(),
            behind: false,
            ordered: false,
        })
    }
}

/// Everything before its first turn.
struct Loops {
    ready: Vec<Control>,
    hosted: Hosted,
    door: Door,
}

impl Loops {
    /// Each gets its thread. One that ends is enough to end the server; the ends of the others are
    /// not waited for.
    fn run(self, journal: SharedJournal, finished: &Finished) -> Result<Threads, StartError> {
        let Self { ready, hosted, door } = self;
        let mut threads = Threads { journal: Some(journal), ..Threads::default() };
        for (number, control) in ready.into_iter().enumerate() {
            let ended = finished.clone();
            threads.shards.push(spawn(&format!("control-{number}"), move || {
                let _ = ended.try_send(control.run());
            })?);
        }
        let ended = finished.clone();
        threads.beside.push(spawn("modules", move || {
            if let Err(error) = hosted.run() {
                let _ = ended.try_send(Err(error));
            }
        })?);
        let ended = finished.clone();
        threads.beside.push(spawn("door", move || {
            if let Err(error) = door.run() {
                let _ = ended.try_send(Err(error));
            }
        })?);
        Ok(threads)
    }
}
