//! Transports over real loopback sockets, on a virtual clock, with a user agent behind them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use koukan::transport::{ConnectionLimits, DropCause, Input, ListenAddress, Tls, Transports};
use koukan_base::{Rng, Time};
use koukan_sip::{Event, Flow, Listener, Response, Transport, UaAction, UaConfig, UserAgent};
use mio::{Events, Poll};

/// How long a test waits for the sockets.
const PATIENCE: Duration = Duration::from_secs(5);
pub(crate) const START: Time = Time::from_millis(1_000_000);
pub(crate) const LIMITS: ConnectionLimits = ConnectionLimits {
    connections: 4,
    per_address: 3,
    message: Duration::from_secs(10),
    idle: Duration::from_secs(100),
    write_bytes: 300_000,
    handshake: Duration::from_secs(10),
    handshakes: 2,
};

/// Transports with a user agent behind them that answers every request with 200.
pub(crate) struct Rig {
    poll: Poll,
    pub(crate) transports: Transports,
    pub(crate) agent: UserAgent,
    pub(crate) now: Time,
    pub(crate) requests: usize,
    pub(crate) failed: Vec<Flow>,
}

impl Rig {
    pub(crate) fn with(
        transports: &[Transport],
        limits: ConnectionLimits,
        tls: Option<Tls>,
    ) -> Self {
        let poll = Poll::new().unwrap();
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let listen: Vec<ListenAddress> =
            transports.iter().map(|transport| ListenAddress::new(*transport, address)).collect();
        let registry = poll.registry().try_clone().unwrap();
        let transports = Transports::bind(&listen, limits, tls, registry).unwrap();
        let listeners = transports
            .listeners()
            .map(|(id, bound)| Listener {
                id,
                transport: bound.transport,
                advertised: bound.address,
            })
            .collect();
        let config = UaConfig {
            listeners,
            server_name: "rig".to_owned(),
            max_transactions: 1000,
            max_dialogs: 1000,
            ..UaConfig::default()
        };
        let agent = UserAgent::new(config, Rng::from_number(1));
        Self { poll, transports, agent, now: START, requests: 0, failed: Vec::new() }
    }

    pub(crate) fn address(&self, wanted: Transport) -> SocketAddr {
        let mut listeners = self.transports.listeners();
        listeners.find(|(_, bound)| bound.transport == wanted).unwrap().1.address
    }

    pub(crate) fn turn(&mut self) {
        let mut events = Events::with_capacity(64);
        let mut inputs: Vec<Owned> = Vec::new();
        let mut sink = |input: Input<'_>| inputs.push(Owned::from(input));
        let wait = if self.transports.has_unfinished() {
            Duration::ZERO
        } else {
            Duration::from_millis(5)
        };
        self.poll.poll(&mut events, Some(wait)).unwrap();
        self.transports.handle_unfinished(self.now, &mut sink);
        for event in &events {
            self.transports.handle_event(self.now, event, &mut sink);
        }
        self.transports.handle_timeout(self.now, &mut sink);
        for input in inputs {
            match input {
                Owned::Bytes(flow, bytes) => self.agent.handle_bytes(self.now, flow, &bytes),
                Owned::Message(flow, message) => {
                    self.agent.handle_message(self.now, flow, message);
                }
                Owned::Failed(flow) => {
                    self.failed.push(flow);
                    self.agent.handle_flow_failed(self.now, flow);
                }
            }
            self.drain();
        }
    }

    pub(crate) fn drain(&mut self) {
        while let Some(action) = self.agent.poll_action() {
            match action {
                UaAction::Event(Event::Request { tx, .. }) => {
                    self.requests += 1;
                    self.agent.respond(self.now, tx, Response::new(200));
                }
                UaAction::Event(_) => {}
                UaAction::Send { flow, bytes } => self.send(flow, bytes),
            }
        }
    }

    pub(crate) fn send(&mut self, flow: Flow, bytes: Vec<u8>) {
        let failed = &mut self.failed;
        self.transports.send(self.now, flow, bytes, &mut |input| {
            if let Input::FlowFailed { flow } = input {
                failed.push(flow);
            }
        });
    }

    /// Turns until `done` says so.
    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < end, "waited in vain for {what}");
            self.turn();
        }
    }

    pub(crate) fn drops(&self, cause: DropCause) -> u64 {
        self.transports.counters().drops(cause)
    }
}

enum Owned {
    Bytes(Flow, Vec<u8>),
    Message(Flow, koukan_sip::Message),
    Failed(Flow),
}

impl From<Input<'_>> for Owned {
    fn from(input: Input<'_>) -> Self {
        match input {
            Input::Bytes { flow, bytes } => Self::Bytes(flow, bytes.to_vec()),
            Input::Message { flow, message } => Self::Message(flow, message),
            Input::FlowFailed { flow } => Self::Failed(flow),
        }
    }
}

pub(crate) fn options(number: usize, transport: &str) -> Vec<u8> {
    format!(
        "OPTIONS sip:rig SIP/2.0\r\n\
         Via: SIP/2.0/{transport} 127.0.0.1:9;branch=z9hG4bK{number};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:t@t>;tag=t{number}\r\nTo: <sip:rig>\r\n\
         Call-ID: c{number}\r\n\
         CSeq: 1 OPTIONS\r\nContent-Length: 3\r\n\r\nabc"
    )
    .into_bytes()
}
