//! The SIP transports of a control thread (RFC 3261, section 18): datagram sockets and stream
//! connections on one mio poll. Received messages go to the caller's sink, one after the other.

mod advertise;
mod backlog;
pub mod certificate;
mod connection;
mod connections;
mod counters;
mod datagrams;
mod tls;
mod udp;
mod wire;

use std::fmt;
use std::io;
use std::net::SocketAddr;

use koukan_base::Time;
use koukan_dialplan::Network;
use koukan_sip::{Flow, ListenerId, Message, Transport};
use mio::event::Event;
use mio::net::TcpListener;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};

pub use advertise::{Advertise, advertised_address, advertised_socket};
pub use connections::{ConnectionLimits, Connections};
pub use counters::{Counters, DropCause, TransportCounters};
pub(crate) use datagrams::Datagrams;
pub use tls::{Tls, TlsMaterial, provider};
use udp::UdpListener;

/// One `[sip] listen` entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// UDP, TCP or TLS.
    pub transport: Transport,
    /// Where; port 0 lets the system choose.
    pub address: SocketAddr,
    /// What its peers are shown, when it differs from what the others show.
    pub advertise: Option<Advertise>,
}

impl ListenAddress {
    /// A listener that shows what all show.
    #[must_use]
    pub const fn new(transport: Transport, address: SocketAddr) -> Self {
        Self { transport, address, advertise: None }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.param_name(), self.address)
    }
}

/// A listener cannot be opened: configuration, or another program has the port.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listener}: {error}{}", hint(.error))]
pub struct BindError {
    /// The entry of `[sip] listen`.
    pub listener: ListenAddress,
    /// The system's words.
    pub error: io::Error,
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            " (another program, or another koukan, has it: `ss -lnp` names it)"
        }
        io::ErrorKind::AddrNotAvailable => " (no interface of this machine has this address)",
        io::ErrorKind::PermissionDenied => {
            " (ports below 1024 need root or CAP_NET_BIND_SERVICE; take one above)"
        }
        _ => "",
    }
}

/// What came from the network.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram, or the readable beginning of a stream that cannot be followed.
    Bytes {
        /// Where it came from.
        flow: Flow,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// A whole message out of a stream.
    Message {
        /// Where it came from.
        flow: Flow,
        /// The message.
        message: Message,
    },
    /// Nothing can be sent on this flow any more.
    FlowFailed {
        /// Which.
        flow: Flow,
    },
}

/// Who takes what came.
pub type Sink<'s> = dyn FnMut(Input<'_>) + 's;

#[derive(Debug)]
enum Listening {
    Udp(UdpListener),
    Stream(TcpListener),
}

/// The listeners and connections of one control thread.
#[derive(Debug)]
pub struct Transports {
    sockets: Vec<(ListenAddress, Listening)>,
    connections: Connections,
    counters: Counters,
    registry: Registry,
    buffer: Box<[u8]>,
    /// Sockets that were not drained at the last turn; the poll will not name them again.
    unfinished: Vec<Token>,
    /// Listeners whose accept failed for want of descriptors, to be tried again.
    accept_again: Option<Time>,
    /// Networks whose connections are closed at once.
    blocked: Vec<Network>,
}

/// Token of the first listener; below it stand the control loop's own.
pub const FIRST_LISTENER: usize = 1;
/// Token of the first connection: its number is added.
const FIRST_CONNECTION: usize = 1 << 20;
const BACKLOG: i32 = 1024;

impl Transports {
    /// Opens every listener.
    ///
    /// # Errors
    /// One cannot be opened; the error names it.
    pub fn bind(
        listen: &[ListenAddress],
        limits: ConnectionLimits,
        tls: Option<Tls>,
        registry: Registry,
    ) -> Result<Self, BindError> {
        let mut sockets = Vec::new();
        for (index, &listener) in listen.iter().enumerate() {
            let fail = |error| BindError { listener, error };
            let token = Token(FIRST_LISTENER + index);
            let (bound, socket) = open(listener, &registry, token).map_err(fail)?;
            sockets.push((ListenAddress { address: bound, ..listener }, socket));
        }
        Ok(Self {
            sockets,
            connections: Connections::new(limits, tls),
            counters: Counters::default(),
            registry,
            buffer: vec![0; usize::from(u16::MAX)].into_boxed_slice(),
            unfinished: Vec::new(),
            accept_again: None,
            blocked: Vec::new(),
        })
    }

    /// The listeners in the order of the configuration, with the ports that they really have.
    pub fn listeners(&self) -> impl Iterator<Item = (ListenerId, ListenAddress)> {
        self.sockets.iter().enumerate().map(|(index, (address, _))| (listener_id(index), *address))
    }

    /// The sockets of datagrams, for threads that only send.
    ///
    /// # Errors
    /// No descriptor is free: resource.
    pub(crate) fn datagrams(&self) -> io::Result<Datagrams> {
        let second = |(_, listening): &(ListenAddress, Listening)| match listening {
            Listening::Udp(socket) => socket.second().map(Some),
            Listening::Stream(_) => Ok(None),
        };
        let sockets: io::Result<Vec<_>> = self.sockets.iter().map(second).collect();
        sockets.map(Datagrams)
    }

    /// What was counted so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// From now on new connections show these certificates.
    pub fn set_tls(&mut self, tls: Tls) {
        self.connections.set_tls(tls);
    }

    /// Networks that nothing is taken from, no connection and no handshake either.
    pub fn block(&mut self, networks: Vec<Network>) {
        self.blocked = networks;
    }

    /// Connections that stand.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Takes what a ready socket has, a bounded batch of it.
    pub fn handle_event(&mut self, now: Time, event: &Event, sink: &mut Sink<'_>) {
        let token = event.token();
        if event.is_writable() && token.0 >= FIRST_CONNECTION {
            let mut tools = tools(&self.registry, &mut self.counters, &mut self.buffer);
            self.connections.handle_writable(now, connection_of(token), &mut tools, sink);
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.read(now, token, sink);
        }
    }

    /// Goes on with the sockets that were not drained at the last turn.
    pub fn handle_unfinished(&mut self, now: Time, sink: &mut Sink<'_>) {
        for token in std::mem::take(&mut self.unfinished) {
            self.read(now, token, sink);
        }
    }

    /// Whether sockets wait that the poll will not name again.
    #[must_use]
    pub fn has_unfinished(&self) -> bool {
        !self.unfinished.is_empty()
    }

    /// Whether anything of calls waits in them, or may.
    #[must_use]
    pub fn keeps_calls_waiting(&self) -> bool {
        self.unfinished.iter().any(|token| {
            match self.sockets.get(token.0.wrapping_sub(FIRST_LISTENER)) {
                Some((_, Listening::Udp(socket))) => socket.keeps_calls_waiting(),
                _ => true,
            }
        })
    }

    fn read(&mut self, now: Time, token: Token, sink: &mut Sink<'_>) {
        let index = token.0.wrapping_sub(FIRST_LISTENER);
        let more = if token.0 >= FIRST_CONNECTION {
            let mut tools = tools(&self.registry, &mut self.counters, &mut self.buffer);
            self.connections.handle_readable(now, connection_of(token), &mut tools, sink)
        } else {
            match self.sockets.get_mut(index) {
                Some((_, Listening::Udp(socket))) => {
                    socket.receive(&mut self.buffer, &mut self.counters, sink)
                }
                Some((_, Listening::Stream(_))) => {
                    self.accept(now, index, sink);
                    false
                }
                None => false,
            }
        };
        if more && !self.unfinished.contains(&token) {
            self.unfinished.push(token);
        }
    }

    fn accept(&mut self, now: Time, index: usize, sink: &mut Sink<'_>) {
        let Some((address, Listening::Stream(listener))) = self.sockets.get(index) else { return };
        let (transport, id) = (address.transport, listener_id(index));
        let mut tools = tools(&self.registry, &mut self.counters, &mut self.buffer);
        loop {
            match listener.accept() {
                Ok((_, remote))
                    if self.blocked.iter().any(|network| network.holds(remote.ip())) =>
                {
                    tools.counters.dropped(DropCause::Blocked);
                }
                Ok((stream, remote)) => {
                    let flow = Flow { transport, listener: id, remote, connection: 0 };
                    self.connections.accept(now, stream, flow, &mut tools, sink);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_peers_fault(&error) => {}
                Err(error) => {
                    // No descriptor is free: the poll will not say again that someone waits.
                    tools.counters.dropped(DropCause::TcpAccept);
                    tracing::error!(%error, "a TCP connection cannot be accepted");
                    self.accept_again = Some(now + std::time::Duration::from_millis(200));
                    return;
                }
            }
        }
    }

    /// Sends one message. What cannot be sent is counted; a flow that can send no more is told to
    /// the sink.
    pub fn send(&mut self, now: Time, flow: Flow, bytes: Vec<u8>, sink: &mut Sink<'_>) {
        match flow.transport {
            Transport::Udp => {
                let index = usize::from(flow.listener.0);
                let Some((_, Listening::Udp(socket))) = self.sockets.get(index) else {
                    self.counters.dropped(DropCause::NoListener);
                    sink(Input::FlowFailed { flow });
                    return;
                };
                socket.send(flow, &bytes, &mut self.counters, sink);
            }
            Transport::Tcp | Transport::Tls => {
                let mut tools = tools(&self.registry, &mut self.counters, &mut self.buffer);
                self.connections.send(now, flow, bytes, &mut tools, sink);
            }
        }
    }

    /// Closes what has been silent or half-said for too long, and accepts again after a shortage.
    pub fn handle_timeout(&mut self, now: Time, sink: &mut Sink<'_>) {
        let mut tools = tools(&self.registry, &mut self.counters, &mut self.buffer);
        self.connections.handle_timeout(now, &mut tools, sink);
        if self.accept_again.is_some_and(|at| at <= now) {
            self.accept_again = None;
            for index in 0..self.sockets.len() {
                self.accept(now, index, sink);
            }
        }
    }

    /// When `handle_timeout` is to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        [self.connections.poll_timeout(), self.accept_again].into_iter().flatten().min()
    }
}

/// What a connection needs of its surroundings.
pub(crate) struct Tools<'t> {
    pub(crate) registry: &'t Registry,
    pub(crate) counters: &'t mut Counters,
    pub(crate) buffer: &'t mut [u8],
}

fn tools<'t>(
    registry: &'t Registry,
    counters: &'t mut Counters,
    buffer: &'t mut [u8],
) -> Tools<'t> {
    Tools { registry, counters, buffer }
}

pub(crate) fn token_of(connection: u64) -> Token {
    Token(FIRST_CONNECTION.wrapping_add(usize::try_from(connection).unwrap_or(0)))
}

fn connection_of(token: Token) -> u64 {
    token.0.wrapping_sub(FIRST_CONNECTION) as u64
}

fn listener_id(index: usize) -> ListenerId {
    ListenerId(u16::try_from(index).unwrap_or(u16::MAX))
}

/// Whether an error of `accept` concerns only the connection that was to be accepted.
fn is_peers_fault(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

fn open(
    listener: ListenAddress,
    registry: &Registry,
    token: Token,
) -> io::Result<(SocketAddr, Listening)> {
    let ListenAddress { transport, address, advertise: _ } = listener;
    let domain = Domain::for_address(address);
    let (kind, protocol) = match transport {
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
        Transport::Tcp | Transport::Tls => (Type::STREAM, Protocol::TCP),
    };
    let socket = Socket::new(domain, kind, Some(protocol))?;
    if address.is_ipv6() {
        // `[::]` beside `0.0.0.0`: each family has its own socket.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    match transport {
        Transport::Tcp | Transport::Tls => {
            // A restart must not wait for the old connections' TIME-WAIT.
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            let mut socket = TcpListener::from_std(socket.into());
            let bound = socket.local_addr()?;
            registry.register(&mut socket, token, Interest::READABLE)?;
            Ok((bound, Listening::Stream(socket)))
        }
        Transport::Udp => {
            socket.bind(&address.into())?;
            let id = listener_id(token.0.wrapping_sub(FIRST_LISTENER));
            let mut socket = UdpListener::new(socket, id)?;
            let bound = socket.local_address()?;
            registry.register(socket.source(), token, Interest::READABLE)?;
            Ok((bound, Listening::Udp(socket)))
        }
    }
}
