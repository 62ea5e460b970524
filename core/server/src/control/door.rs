//! The thread before several shards: it has every socket, reads what comes, says whose it is and
//! hands it on. It decides nothing, so that a shard that is busy holds up none of the others; what
//! a shard has no room for is refused here (503, RFC 3261, 21.5.4).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use koukan_base::{COMMON_SHARD, Rng, ShardId};
use koukan_sip::{Flow, Message, Scanner, refuse_unserved};
use koukan_switch::{Directory, NEIGHBOURS_LISTENER, ResolvedHosts, Router};
use mio::{Events, Poll};

use super::inbox::{Inbound, Inbox, Kind};
use super::request::Reply;
use super::{DOOR_WAIT, WAKER};
use crate::clock::Clock;
use crate::transport::{Counters, Input, Tls, Transports};

/// What the door is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// A shard sends a message over a connection, or to another shard.
    Send(Flow, Vec<u8>),
    /// Other plans are in force, and other certificates where there are any.
    Install(Arc<Directory>, Option<Tls>),
    /// The names of trunks stand for these hosts.
    TrunkHosts(Vec<ResolvedHosts>),
    /// What it has counted.
    Measure(Reply<Measured>),
    /// The shards have ended.
    End,
}

/// What the door has counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    /// Connections that stand.
    pub(crate) connections: usize,
    pub(crate) counters: Counters,
    /// New requests that a shard had no room for.
    pub(crate) refused: u64,
    /// The longest turn.
    pub(crate) slowest_turn: Duration,
}

/// The loop.
pub(crate) struct Door {
    pub(crate) poll: Poll,
    pub(crate) transports: Transports,
    pub(crate) orders: Receiver<Order>,
    pub(crate) clock: Clock,
    pub(crate) desk: Desk,
    pub(crate) slowest_turn: Duration,
}

/// Where what came is told apart.
pub(crate) struct Desk {
    pub(crate) router: Router,
    pub(crate) scanner: Scanner,
    pub(crate) inboxes: Arc<[Inbox]>,
    pub(crate) rng: Rng,
    pub(crate) refused: u64,
    /// Refusals to be sent.
    pub(crate) answers: Vec<(Flow, Vec<u8>)>,
}

impl Door {
    /// Runs until it is told to end.
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
            let began = self.clock.time();
            let ends = self.turn(&events);
            self.slowest_turn = self.slowest_turn.max(self.clock.time().since(began));
            if ends {
                return Ok(());
            }
        }
    }

    fn wait(&self) -> Duration {
        if self.transports.has_unfinished() || !self.orders.is_empty() {
            return Duration::ZERO;
        }
        let now = self.clock.time();
        let next = self.transports.poll_timeout().filter(|at| at.since(now) < DOOR_WAIT);
        next.map_or(DOOR_WAIT, |at| at.since(now) + Duration::from_micros(500))
    }

    /// Everything that is due and has come; whether that was all.
    fn turn(&mut self, events: &Events) -> bool {
        let now = self.clock.time();
        let Self { transports, desk, .. } = self;
        let mut sink = |input: Input<'_>| desk.take(input);
        transports.handle_unfinished(now, &mut sink);
        for event in events.iter().filter(|event| event.token() != WAKER) {
            transports.handle_event(now, event, &mut sink);
        }
        transports.handle_timeout(now, &mut sink);
        let mut ends = false;
        for _ in 0..crate::limits::SHARD_BATCH {
            let Ok(order) = self.orders.try_recv() else { break };
            let Self { transports, desk, .. } = self;
            match order {
                Order::Send(flow, bytes) if flow.listener == NEIGHBOURS_LISTENER => {
                    desk.take(Input::Bytes { flow, bytes: &bytes });
                }
                Order::Send(flow, bytes) => {
                    transports.send(now, flow, bytes, &mut |input| desk.take(input));
                }
                Order::Install(directory, tls) => {
                    desk.router.set_directory(&directory);
                    if let Some(tls) = tls {
                        transports.set_tls(tls);
                    }
                }
                Order::TrunkHosts(hosts) => desk.router.set_trunk_hosts(&hosts),
                Order::Measure(reply) => drop(reply.send(self.measure())),
                Order::End => ends = true,
            }
        }
        let Self { transports, desk, .. } = self;
        for (flow, bytes) in std::mem::take(&mut desk.answers) {
            transports.send(now, flow, bytes, &mut |input| desk.take(input));
        }
        desk.inboxes.iter().for_each(Inbox::tell);
        ends
    }

    fn measure(&self) -> Measured {
        Measured {
            connections: self.transports.connections(),
            counters: self.transports.counters().clone(),
            refused: self.desk.refused,
            slowest_turn: self.slowest_turn,
        }
    }
}

impl Desk {
    /// Hands on what came.
    fn take(&mut self, input: Input<'_>) {
        match input {
            Input::Bytes { flow, bytes } => {
                let message = Message::from_datagram(&mut self.scanner, bytes).ok();
                let shard = message
                    .as_ref()
                    .map_or(COMMON_SHARD, |message| self.router.route(flow.remote, message));
                let kind = message.as_ref().map_or(Kind::New, Kind::of);
                let inbound = Inbound::Bytes { flow, bytes: bytes.into() };
                if !self.give(shard, kind, inbound)
                    && let Some(message) = message
                {
                    self.refuse(shard, flow, &message);
                }
            }
            Input::Message { flow, message } => {
                let shard = self.router.route(flow.remote, &message);
                let inbound = Inbound::Message { flow, message: Box::new(message.clone()) };
                if !self.give(shard, Kind::of(&message), inbound) {
                    self.refuse(shard, flow, &message);
                }
            }
            // Whoever speaks on it: each shard knows whether it does.
            Input::FlowFailed { flow } => {
                for inbox in self.inboxes.iter() {
                    // One without room finds out by the next message that it sends there.
                    let _ = inbox.push(Kind::Known, Inbound::FlowFailed { flow });
                }
            }
        }
    }

    fn give(&self, shard: ShardId, kind: Kind, inbound: Inbound) -> bool {
        let inbox = self.inboxes.get(usize::from(shard.0));
        inbox.is_some_and(|inbox| inbox.push(kind, inbound).is_ok())
    }

    fn refuse(&mut self, shard: ShardId, flow: Flow, message: &Message) {
        self.refused = self.refused.saturating_add(1);
        if flow.listener == NEIGHBOURS_LISTENER {
            return;
        }
        self.answers.extend(refuse_unserved(&mut self.rng, shard, flow, message));
    }
}
