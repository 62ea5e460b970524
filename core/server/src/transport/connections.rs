//! Every stream connection of a control thread: numbers that are never used twice, bounds on how
//! many there may be, and the deadlines of all of them.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use koukan_base::Time;
use koukan_sip::{Flow, Scanner, Transport};
use mio::Interest;
use mio::net::TcpStream;

use super::connection::{Connection, Fate};
use super::counters::count;
use super::wire::Wire;
use super::{DropCause, Input, Sink, Tls, Tools, token_of};

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
    /// From a connection's begin to the end of its TLS handshake.
    pub handshake: Duration,
    /// TLS handshakes at once.
    pub handshakes: usize,
}

/// The connections.
#[derive(Debug)]
pub struct Connections {
    limits: ConnectionLimits,
    scanner: Scanner,
    last: u64,
    open: HashMap<u64, Connection>,
    tls: Option<Tls>,
    /// By whom they lead to: a request to a peer uses the connection that stands, whoever opened it
    /// (RFC 5923).
    by_peer: HashMap<(Transport, SocketAddr), u64>,
    /// Whose TLS handshake is not finished, the oldest first.
    handshaking: BTreeSet<u64>,
    of_address: HashMap<IpAddr, usize>,
    /// One entry a connection at its earliest possible deadline; looked at again when it is due.
    deadlines: BTreeSet<(Time, u64)>,
}

impl Connections {
    /// No connections.
    #[must_use]
    pub fn new(limits: ConnectionLimits, tls: Option<Tls>) -> Self {
        Self {
            limits,
            tls,
            scanner: Scanner::new(),
            last: 0,
            open: HashMap::new(),
            by_peer: HashMap::new(),
            handshaking: BTreeSet::new(),
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

    /// New connections show these certificates; those that stand keep theirs.
    pub(super) fn set_tls(&mut self, tls: Tls) {
        self.tls = Some(tls);
    }

    pub(super) fn accept(
        &mut self,
        now: Time,
        stream: TcpStream,
        flow: Flow,
        tools: &mut Tools<'_>,
        sink: &mut Sink<'_>,
    ) {
        let of_address = self.of_address.get(&flow.remote.ip()).copied().unwrap_or(0);
        if self.open.len() >= self.limits.connections || of_address >= self.limits.per_address {
            // Dropping the stream closes it.
            tools.counters.dropped(DropCause::TcpTooMany);
            return;
        }
        let tls = match (flow.transport, &self.tls) {
            (Transport::Udp | Transport::Tcp, _) => None,
            (Transport::Tls, Some(tls)) => Some(tls),
            (Transport::Tls, None) => return tools.counters.dropped(DropCause::NoListener),
        };
        let Ok(wire) = Wire::accepted(stream, tls) else {
            tools.counters.dropped(DropCause::TlsHandshake);
            return;
        };
        let Some(id) = self.insert(now, wire, flow, false, tools) else { return };
        if flow.transport == Transport::Tls {
            self.handshaking.insert(id);
            // Who has waited longest has had most of its time: a flood of half-open connections
            // does not keep a phone out that goes on.
            if self.handshaking.len() > self.limits.handshakes
                && let Some(oldest) = self.handshaking.pop_first()
            {
                tools.counters.dropped(DropCause::TlsTooManyHandshakes);
                self.close(oldest, tools, sink);
            }
        }
    }

    fn insert(
        &mut self,
        now: Time,
        mut wire: Wire,
        flow: Flow,
        opened_by_us: bool,
        tools: &mut Tools<'_>,
    ) -> Option<u64> {
        self.last = self.last.saturating_add(1);
        let id = self.last;
        // Without it a message waits for the acknowledgement of the one before.
        let _ = wire.socket().set_nodelay(true);
        let interest = Interest::READABLE.add(Interest::WRITABLE);
        if let Err(error) = tools.registry.register(wire.socket(), token_of(id), interest) {
            tools.counters.dropped(DropCause::TcpAccept);
            tracing::error!(%error, "a connection cannot be watched");
            return None;
        }
        let flow = Flow { connection: id, ..flow };
        self.open.insert(id, Connection::new(now, wire, flow, opened_by_us));
        self.by_peer.insert((flow.transport, flow.remote), id);
        let of_address = self.of_address.entry(flow.remote.ip()).or_default();
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
            count(&mut tools.counters.of(flow.transport).sent);
        }
        self.follow(id, fate, tools, sink);
    }

    /// The connection that leads to a peer, or a new one.
    fn connection_to(&mut self, now: Time, flow: Flow, tools: &mut Tools<'_>) -> Option<u64> {
        if let Some(&id) = self.by_peer.get(&(flow.transport, flow.remote)) {
            return Some(id);
        }
        if self.open.len() >= self.limits.connections {
            tools.counters.dropped(DropCause::TcpTooMany);
            return None;
        }
        let tls = match flow.transport {
            Transport::Udp | Transport::Tcp => None,
            Transport::Tls => match self.tls.as_ref().filter(|tls| tls.client.is_some()) {
                Some(tls) => Some(tls),
                None => {
                    tools.counters.dropped(DropCause::TlsNoAuthority);
                    return None;
                }
            },
        };
        let stream = TcpStream::connect(flow.remote).ok()?;
        let wire = match tls {
            None => Wire::Plain(stream),
            Some(tls) => Wire::opened(stream, tls, flow.remote.ip())?,
        };
        self.insert(now, wire, flow, true, tools)
    }

    /// Draws the consequence of what happened to a connection.
    fn follow(&mut self, id: u64, fate: Fate, tools: &mut Tools<'_>, sink: &mut Sink<'_>) {
        match fate {
            Fate::Stands | Fate::More => {
                let shaken = |connection: &Connection| !connection.is_handshaking();
                if self.open.get(&id).is_some_and(shaken) && self.handshaking.remove(&id) {
                    count(&mut tools.counters.handshakes);
                }
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
        self.handshaking.remove(&id);
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
        let peer = (flow.transport, flow.remote);
        if self.by_peer.get(&peer) == Some(&id) {
            self.by_peer.remove(&peer);
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
