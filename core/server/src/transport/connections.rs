//! Every stream connection of a control thread: numbers that are never used twice, bounds on how
//! many there may be, and the deadlines of all of them.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use koukan_base::Time;
use koukan_sip::{Flow, ListenerId, Scanner, Transport};
use mio::Interest;
use mio::net::TcpStream;

use super::connection::{Connection, Fate};
use super::counters::count;
use super::{DropCause, Input, Sink, Tools, token_of};

/// The bounds of connections, from `[limits]`.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// At once.
    pub connections: usize,
    /// Of one address at once.
    pub per_address: usize,
    /// From a message's first byte to its last.
    pub message: Duration,
    /// Silence.
    pub idle: Duration,
    /// Bytes that wait for one peer.
    pub write_bytes: usize,
}

/// The connections.
#[derive(Debug)]
pub struct Connections {
    limits: ConnectionLimits,
    scanner: Scanner,
    last: u64,
    open: HashMap<u64, Connection>,
    /// Those that we opened, by whom they lead to.
    ours: HashMap<(ListenerId, SocketAddr), u64>,
    of_address: HashMap<IpAddr, usize>,
    /// One entry a connection at its earliest possible deadline; looked at again when it is due.
    deadlines: BTreeSet<(Time, u64)>,
}

impl Connections {
    /// No connections.
    #[must_use]
    pub fn new(limits: ConnectionLimits) -> Self {
        Self {
            limits,
            scanner: Scanner::new(),
            last: 0,
            open: HashMap::new(),
            ours: HashMap::new(),
            of_address: HashMap::new(),
            deadlines: BTreeSet::new(),
        }
    }

    /// How many stand.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none stands.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn accept(
        &mut self,
        now: Time,
        stream: TcpStream,
        remote: SocketAddr,
        listener: ListenerId,
        tools: &mut Tools<'_>,
    ) {
        let of_address = self.of_address.get(&remote.ip()).copied().unwrap_or(0);
        if self.open.len() >= self.limits.connections || of_address >= self.limits.per_address {
            // Dropping the stream closes it.
            tools.counters.dropped(DropCause::TcpTooMany);
            return;
        }
        self.insert(now, stream, remote, listener, false, tools);
    }

    fn insert(
        &mut self,
        now: Time,
        mut stream: TcpStream,
        remote: SocketAddr,
        listener: ListenerId,
        opened_by_us: bool,
        tools: &mut Tools<'_>,
    ) -> Option<u64> {
        self.last = self.last.saturating_add(1);
        let id = self.last;
        // Without it a message waits for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let interest = Interest::READABLE.add(Interest::WRITABLE);
        if let Err(error) = tools.registry.register(&mut stream, token_of(id), interest) {
            tools.counters.dropped(DropCause::TcpAccept);
            tracing::error!(%error, "a connection cannot be watched");
            return None;
        }
        let flow = Flow { transport: Transport::Tcp, listener, remote, connection: id };
        self.open.insert(id, Connection::new(now, stream, flow, opened_by_us));
        let of_address = self.of_address.entry(remote.ip()).or_default();
        *of_address = of_address.saturating_add(1);
        self.queue_deadline(id);
        Some(id)
    }

    pub(super) fn handle_readable(
        &mut self,
        now: Time,
        id: u64,
        tools: &mut Tools<'_>,
        sink: &mut Sink<'_>,
    ) -> bool {
        let Some(connection) = self.open.get_mut(&id) else { return false };
        if connection.is_connecting() {
            return false;
        }
        let fate = connection.read(
            now,
            &self.limits,
            &mut self.scanner,
            tools.buffer,
            tools.counters,
            sink,
        );
        self.follow(id, fate, tools, sink);
        fate == Fate::More
    }

    pub(super) fn handle_writable(
        &mut self,
        now: Time,
        id: u64,
        tools: &mut Tools<'_>,
        sink: &mut Sink<'_>,
    ) {
        let Some(connection) = self.open.get_mut(&id) else { return };
        let fate = connection.handle_writable(now);
        self.follow(id, fate, tools, sink);
    }

    pub(super) fn send(
        &mut self,
        now: Time,
        flow: Flow,
        bytes: Vec<u8>,
        tools: &mut Tools<'_>,
        sink: &mut Sink<'_>,
    ) {
        let id = if flow.connection == 0 {
            self.connection_to(now, flow, tools)
        } else {
            Some(flow.connection)
        };
        let Some(connection) = id.and_then(|id| self.open.get_mut(&id)) else {
            tools.counters.dropped(DropCause::TcpGone);
            sink(Input::FlowFailed { flow });
            return;
        };
        let id = connection.flow.connection;
        let fate = connection.send(now, &bytes, &self.limits);
        if fate == Fate::Stands {
            count(&mut tools.counters.tcp.sent);
        }
        self.follow(id, fate, tools, sink);
    }

    /// The connection that we hold to a peer, or a new one.
    fn connection_to(&mut self, now: Time, flow: Flow, tools: &mut Tools<'_>) -> Option<u64> {
        let key = (flow.listener, flow.remote);
        if let Some(&id) = self.ours.get(&key) {
            return Some(id);
        }
        if self.open.len() >= self.limits.connections {
            tools.counters.dropped(DropCause::TcpTooMany);
            return None;
        }
        let stream = TcpStream::connect(flow.remote).ok()?;
        let id = self.insert(now, stream, flow.remote, flow.listener, true, tools)?;
        self.ours.insert(key, id);
        Some(id)
    }

    /// Draws the consequence of what happened to a connection.
    fn follow(&mut self, id: u64, fate: Fate, tools: &mut Tools<'_>, sink: &mut Sink<'_>) {
        match fate {
            Fate::Stands | Fate::More => {
                if self.open.get(&id).is_some_and(Connection::is_refused) {
                    tools.counters.dropped(DropCause::TcpUnreadable);
                    self.close(id, tools, sink);
                } else {
                    self.queue_deadline(id);
                }
            }
            Fate::Ended => self.close(id, tools, sink),
            Fate::Close(cause) => {
                tools.counters.dropped(cause);
                self.close(id, tools, sink);
            }
        }
    }

    fn close(&mut self, id: u64, tools: &mut Tools<'_>, sink: &mut Sink<'_>) {
        let Some(mut connection) = self.open.remove(&id) else { return };
        self.deadlines.remove(&(connection.queued, id));
        // It is closed by being dropped; the poll forgets it with it.
        let _ = tools.registry.deregister(connection.stream());
        let flow = connection.flow;
        if let Some(of_address) = self.of_address.get_mut(&flow.remote.ip()) {
            *of_address = of_address.saturating_sub(1);
            if *of_address == 0 {
                self.of_address.remove(&flow.remote.ip());
            }
        }
        sink(Input::FlowFailed { flow });
        if connection.opened_by_us {
            self.ours.remove(&(flow.listener, flow.remote));
            // Whoever asked for a connection knows it by the number 0.
            sink(Input::FlowFailed { flow: Flow { connection: 0, ..flow } });
        }
    }

    fn queue_deadline(&mut self, id: u64) {
        let Some(connection) = self.open.get_mut(&id) else { return };
        let (deadline, _) = connection.deadline(&self.limits);
        if deadline < connection.queued {
            self.deadlines.remove(&(connection.queued, id));
            connection.queued = deadline;
            self.deadlines.insert((deadline, id));
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Time, tools: &mut Tools<'_>, sink: &mut Sink<'_>) {
        while let Some(&(at, id)) = self.deadlines.first().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(at, id));
            let Some(connection) = self.open.get_mut(&id) else { continue };
            connection.queued = Time::MAX;
            let (deadline, cause) = connection.deadline(&self.limits);
            if deadline <= now {
                tools.counters.dropped(cause);
                self.close(id, tools, sink);
            } else {
                self.queue_deadline(id);
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.deadlines.first().map(|(at, _)| *at)
    }
}
