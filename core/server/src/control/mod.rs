//! The control loop of a shard: sockets, timers, media events, module requests and control requests
//! go into the switch, its actions go out. One thread, one mio poll, nothing that blocks but the
//! journal's write.

mod core;
pub(crate) mod door;
mod drain;
pub(crate) mod fleet;
pub(crate) mod handle;
pub(crate) mod hosted;
pub(crate) mod inbox;
mod joined;
pub(crate) mod link;
mod memory;
mod outbox;
mod overload;
mod request;

use std::io;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use koukan_base::Time;
use koukan_switch::Now;
use mio::{Events, Poll, Token};

pub(crate) use self::core::{Core, Parts};
use self::drain::Drain;
pub use self::drain::DrainOrder;
use self::fleet::Fleet;
use self::inbox::Inbound;
use self::link::Wires;
pub(crate) use self::memory::MemoryWatch;
pub(crate) use self::overload::Overload;
pub use handle::ControlHandle;
pub use joined::Joined;
pub use request::{InRoom, MaintenanceOrder, Reply, Request, SetDone, SetOrder, Unavailable};

use crate::api;
use crate::clock::Clock;
use crate::metrics::Snapshot;
use crate::transport::Input;
use crate::{limits, log, os, simulation};

/// The token of the loop's waker.
pub(crate) const WAKER: Token = Token(0);

/// How long an orderly stop may take: BYEs are sent, answers and last media counts awaited.
const STOPPING: Duration = Duration::from_secs(3);
/// What failed for want of disk is tried again so often.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// The door looks around so often when nothing comes.
pub(crate) const DOOR_WAIT: Duration = Duration::from_secs(1);
/// Sends that fail end calls, whose sends may fail; a turn follows this often at most.
const ECHOES: usize = 8;

/// A control thread's loop: of the server, or of one of its shards.
pub(crate) struct Control {
    pub(crate) poll: Poll,
    pub(crate) wires: Wires,
    pub(crate) core: Core,
    pub(crate) requests: Receiver<Request>,
    pub(crate) clock: Clock,
    pub(crate) slowest_turn: Duration,
    pub(crate) stopping: Option<Time>,
    pub(crate) drain: Option<Drain>,
    pub(crate) fleet: Fleet,
    pub(crate) housekeeping: Time,
    pub(crate) memory: MemoryWatch,
    pub(crate) overload: Overload,
}

impl Control {
    /// Runs until the server is told to end.
    ///
    /// # Errors
    /// The poll failed: resource.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, Some(self.wait())) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            let began = Instant::now();
            self.turn(&events);
            self.slowest_turn = self.slowest_turn.max(began.elapsed());
            if self.stopping.is_some_and(|until| self.core.is_idle() || self.clock.time() >= until)
            {
                self.core.close();
                return Ok(());
            }
        }
    }

    fn wait(&self) -> Duration {
        if self.wires.has_unfinished() || self.core.has_work() {
            return Duration::ZERO;
        }
        let now = self.clock.time();
        let next = [
            self.core.poll_timeout(),
            self.wires.poll_timeout(),
            Some(self.housekeeping),
            self.stopping,
            self.drain.as_ref().map(Drain::until),
        ];
        let next = next.into_iter().flatten().min().unwrap_or(self.housekeeping);
        // A millisecond more than asked: waking just before a deadline would spin.
        if next <= now { Duration::ZERO } else { next.since(now) + Duration::from_micros(500) }
    }

    /// Everything that is due and has come, then what follows from it.
    fn turn(&mut self, events: &Events) {
        let now = self.clock.now();
        self.receive(now, events);
        let behind = self.wires.keeps_calls_waiting();
        self.core.set_overloaded(self.overload.note(now.time, behind));
        let core = &mut self.core;
        core.handle_events(now);
        core.handle_timeout(now);
        while let Ok(request) = self.requests.try_recv() {
            self.answer(now, request);
        }
        self.look_at_drain(now);
        if now.time >= self.housekeeping {
            self.housekeeping = now.time + HOUSEKEEPING;
            self.core.handle_housekeeping(now);
            if self.memory.note(now.time, self.core.load()) {
                self.core.shrink();
                os::trim_memory();
            }
        }
        self.flush(now);
    }

    /// Takes a bounded batch of what has come by the network, or by the door.
    fn receive(&mut self, now: Now, events: &Events) {
        let Self { wires, core, .. } = self;
        match wires {
            Wires::Own(transports) => {
                let mut sink = |input: Input<'_>| core.handle_input(now, input);
                transports.handle_unfinished(now.time, &mut sink);
                for event in events.iter().filter(|event| event.token() != WAKER) {
                    transports.handle_event(now.time, event, &mut sink);
                }
                transports.handle_timeout(now.time, &mut sink);
            }
            Wires::Door(link) => link.receive(&mut |inbound| core.handle_inbound(now, inbound)),
        }
    }

    /// Journal first, then everything that leaves.
    fn flush(&mut self, now: Now) {
        let Self { wires, core, .. } = self;
        for _ in 0..ECHOES {
            core.commit();
            let mut failed = Vec::new();
            core.execute(now, &mut |flow, bytes| {
                wires.send(now.time, flow, bytes, &mut |input| {
                    if let Input::FlowFailed { flow } = input {
                        failed.push(flow);
                    }
                });
            });
            if failed.is_empty() && !core.has_actions() {
                break;
            }
            for flow in failed {
                core.handle_input(now, Input::FlowFailed { flow });
            }
        }
        if let Wires::Door(link) = wires {
            link.flush();
            let (trunks, bans) = core.news();
            if !trunks.is_empty() && !link.tell_others(|| Inbound::Trunks(trunks.clone())) {
                core.say_again();
            }
            // Whoever has not heard of a ban speaks one itself.
            if !bans.is_empty() {
                link.tell_others(|| Inbound::Banned(bans.clone()));
            }
        }
    }

    /// Answers a request of the service thread; whoever asked may have gone, which is no error.
    fn answer(&mut self, now: Now, request: Request) {
        match request {
            Request::Status(reply) => drop(reply.send(self.status())),
            Request::Calls(reply) => drop(reply.send(self.core.switch().calls())),
            Request::Kill(call, reply) => drop(reply.send(self.core.kill(now, call))),
            Request::Rooms(reply) => drop(reply.send(self.core.switch().rooms())),
            Request::Queues(reply) => drop(reply.send(self.core.switch().queues(now))),
            Request::InRoom(order, reply) => drop(reply.send(self.core.order_in_room(now, &order))),
            Request::Registrations(reply) => {
                drop(reply.send(self.core.switch().registrations(now)));
            }
            Request::Bans(reply) => drop(reply.send(self.core.switch().bans(now))),
            Request::LiftBan(address, reply) => {
                let _ = reply.send(self.core.lift_ban(now, address));
            }
            Request::Trunks(reply) => drop(reply.send(self.core.switch().trunks(now))),
            Request::TrunkHosts(found, reply) => {
                self.core.set_trunk_hosts(now, &found);
                let _ = reply.send(());
            }
            Request::Maintenance(order, reply) => {
                let _ = reply.send(self.core.set_maintenance(now, &order));
            }
            Request::Simulate(question, reply) => {
                let switch = self.core.switch();
                let plans = &switch.directory().plans;
                let answer = simulation::answer(plans, &question, switch, now.date);
                drop(reply.send(answer.map(Box::new)));
            }
            Request::Trace(call, reply) => drop(reply.send(self.core.trace(call))),
            Request::Boxes(reply) => drop(reply.send(self.core.switch().boxes())),
            Request::Why(call, reply) => drop(reply.send(self.core.why(call))),
            Request::Install(directory, tls, reply) => {
                let aside = self.core.install(now, directory);
                if let (Some(tls), Wires::Own(transports)) = (tls, &mut self.wires) {
                    transports.set_tls(tls);
                }
                let _ = reply.send(aside);
            }
            Request::Settings(tenant, reply) => {
                let settings = self.core.switch().settings(&tenant).cloned();
                let _ = reply.send(settings.unwrap_or_default());
            }
            Request::Set(order, reply) => drop(reply.send(self.core.set(now, &order))),
            Request::FaxOffice(tenant, from, reply) => {
                let office = self.core.switch().fax_office(now, &tenant, from.as_deref());
                let _ = reply.send(office);
            }
            Request::Commit(reply) => drop(reply.send(self.core.commit())),
            Request::Modules(reply) => drop(reply.send(self.core.modules(now))),
            Request::InstallModule(build, is_new, reply) => {
                drop(reply.send(self.core.install_module(now, *build, is_new)));
            }
            Request::UnloadModule(name, reply) => {
                drop(reply.send(self.core.unload_module(now, &name)));
            }
            Request::Metrics(reply) => drop(reply.send(Box::new(self.metrics()))),
            Request::ClockMoved(reply) => {
                self.core.clock_moved();
                let _ = reply.send(());
            }
            Request::Drain(order, reply) => drop(reply.send(self.begin_drain(now, order))),
            Request::Drained(reply) => drop(reply.send(self.drain_report())),
            Request::CallOffDrain(reply) => drop(reply.send(self.end_drain())),
            Request::Shutdown => self.stop(now),
        }
    }

    /// Ends every call, and the loop soon after.
    fn stop(&mut self, now: Now) {
        if self.stopping.is_none() {
            self.stopping = Some(now.time + STOPPING);
            self.core.stop(now);
        }
    }

    fn status(&self) -> api::Status {
        let outbox = self.core.outbox();
        api::Status {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            uptime_s: self.clock.time().as_millis() / 1000,
            date: self.clock.date(),
            clock_moved: self.clock.is_moved(),
            listeners: self.wires.listeners().iter().map(ToString::to_string).collect(),
            registrations: self.core.switch().registrations(self.clock.now()).len(),
            connections: self.wires.connections(),
            tables: self.core.switch().tables(),
            unwritten: self.core.unwritten(),
            records_waiting: outbox.calls.waiting.saturating_add(outbox.events.waiting),
            records_lost: outbox.calls.lost.saturating_add(outbox.events.lost),
            rss_bytes: os::resident_bytes(),
        }
    }

    fn metrics(&self) -> Snapshot {
        let mut snapshot = Snapshot {
            uptime_s: self.clock.time().as_millis() as f64 / 1000.0,
            rss_bytes: os::resident_bytes(),
            connections: self.wires.connections(),
            transports: self.wires.counters().clone(),
            slowest_turn_s: self.slowest_turn.as_secs_f64(),
            overloaded: self.overload.is_overloaded(),
            overloads: self.overload.times(),
            log_dropped: log::dropped(),
            ..Snapshot::default()
        };
        self.core.measure(self.clock.now(), &mut snapshot);
        snapshot
    }
}

/// How many events one turn takes from media and modules.
pub(crate) const EVENTS_A_TURN: usize = limits::EVENT_BATCH;
