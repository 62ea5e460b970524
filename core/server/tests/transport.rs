//! The transports over real loopback sockets with a virtual clock: framing however the stream is
//! cut, keep-alive, bounds, and peers that are slow on purpose.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use koukan::transport::{ConnectionLimits, DropCause, Input, ListenAddress, Transports};
use koukan_base::{Rng, Time};
use koukan_sip::{
    Event, Flow, Listener, ListenerId, Response, Transport, UaAction, UaConfig, UserAgent,
};
use mio::{Events, Poll};

const PATIENCE: Duration = Duration::from_secs(5);
const START: Time = Time::from_millis(1_000_000);
const LIMITS: ConnectionLimits = ConnectionLimits {
    connections: 4,
    per_address: 3,
    message: Duration::from_secs(10),
    idle: Duration::from_secs(100),
    write_bytes: 300_000,
};

/// Transports with a user agent behind them that answers every request with 200.
struct Rig {
    poll: Poll,
    transports: Transports,
    agent: UserAgent,
    now: Time,
    requests: usize,
    failed: Vec<Flow>,
}

impl Rig {
    fn new() -> Self {
        let poll = Poll::new().unwrap();
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let listen =
            [Transport::Udp, Transport::Tcp].map(|transport| ListenAddress { transport, address });
        let registry = poll.registry().try_clone().unwrap();
        let transports = Transports::bind(&listen, LIMITS, registry).unwrap();
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

    fn address(&self, wanted: Transport) -> SocketAddr {
        let mut listeners = self.transports.listeners();
        listeners.find(|(_, bound)| bound.transport == wanted).unwrap().1.address
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address(Transport::Tcp)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    }

    fn turn(&mut self) {
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

    fn drain(&mut self) {
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

    fn send(&mut self, flow: Flow, bytes: Vec<u8>) {
        let failed = &mut self.failed;
        self.transports.send(self.now, flow, bytes, &mut |input| {
            if let Input::FlowFailed { flow } = input {
                failed.push(flow);
            }
        });
    }

    /// Turns until `done` says so.
    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < end, "waited in vain for {what}");
            self.turn();
        }
    }

    fn drops(&self, cause: DropCause) -> u64 {
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

fn options(number: usize, transport: &str) -> Vec<u8> {
    format!(
        "OPTIONS sip:rig SIP/2.0\r\n\
         Via: SIP/2.0/{transport} 127.0.0.1:9;branch=z9hG4bK{number};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:t@t>;tag=t{number}\r\nTo: <sip:rig>\r\n\
         Call-ID: c{number}\r\n\
         CSeq: 1 OPTIONS\r\nContent-Length: 3\r\n\r\nabc"
    )
    .into_bytes()
}

/// Everything that has come so far; whether the peer has closed.
fn drain(stream: &mut TcpStream, into: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 65_536];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(count) => into.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(_) => return true,
        }
    }
}

fn count(haystack: &[u8], needle: &[u8]) -> usize {
    haystack.windows(needle.len()).filter(|window| *window == needle).count()
}

#[test]
fn a_datagram_is_answered_and_counted() {
    let mut rig = Rig::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.send_to(&options(1, "UDP"), rig.address(Transport::Udp)).unwrap();
    let mut buffer = [0; 2048];
    rig.until("the answer", |_| socket.recv(&mut buffer).is_ok());
    assert!(buffer.starts_with(b"SIP/2.0 200"));
    let udp = rig.transports.counters().udp;
    assert_eq!((udp.received, udp.sent), (1, 1));
}

#[test]
fn more_datagrams_than_one_batch_are_all_taken() {
    let mut rig = Rig::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 0..200 {
        socket.send_to(&options(number, "UDP"), rig.address(Transport::Udp)).unwrap();
    }
    rig.until("200 requests", |rig| rig.requests == 200);
}

#[test]
fn a_message_cut_at_every_byte_comes_out_whole() {
    let mut rig = Rig::new();
    let whole = options(1, "TCP").len();
    let mut stream = rig.connect();
    let mut answers = Vec::new();
    for cut in 1..whole {
        let message = options(cut, "TCP");
        stream.write_all(&message[..cut]).unwrap();
        let before = rig.transports.counters().tcp.received;
        rig.turn();
        assert_eq!(rig.transports.counters().tcp.received, before, "cut at {cut}");
        stream.write_all(&message[cut..]).unwrap();
        rig.until("the message", |rig| rig.requests == cut);
    }
    rig.until("every answer", |_| {
        drain(&mut stream, &mut answers);
        count(&answers, b"SIP/2.0 200") == whole - 1
    });
}

#[test]
fn a_ping_gets_its_pong_and_nothing_else_does() {
    let mut rig = Rig::new();
    let mut stream = rig.connect();
    stream.write_all(b"\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    rig.until("the pong", |_| {
        drain(&mut stream, &mut answer);
        !answer.is_empty()
    });
    assert_eq!(answer, b"\r\n");
    assert_eq!(rig.transports.counters().pings, 1);
}

#[test]
fn a_stream_that_cannot_be_followed_is_refused_and_closed() {
    for (text, refused) in [
        (
            "OPTIONS sip:rig SIP/2.0\r\nVia: SIP/2.0/TCP t;branch=z9hG4bK1\r\nFrom: <sip:t@t>;tag=1\r\n\
          To: <sip:rig>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: -5\r\n\r\n",
            true,
        ),
        ("GET / HTTP/1.1\r\nHost: rig\r\n\r\n", false),
    ] {
        let mut rig = Rig::new();
        let mut stream = rig.connect();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = Vec::new();
        rig.until("the close", |rig| {
            rig.now = rig.now + Duration::from_millis(100);
            drain(&mut stream, &mut answer)
        });
        assert_eq!(answer.starts_with(b"SIP/2.0 400"), refused, "{text}");
        assert_eq!(rig.drops(DropCause::TcpUnreadable), 1);
        assert_eq!(rig.transports.connections(), 0);
    }
}

#[test]
fn an_oversized_message_is_not_collected() {
    let mut rig = Rig::new();
    let mut stream = rig.connect();
    stream.write_all(b"OPTIONS sip:rig SIP/2.0\r\n").unwrap();
    let line = [b"X: ".as_slice(), &[b'a'; 1000], b"\r\n"].concat();
    let mut answer = Vec::new();
    rig.until("the close", |rig| {
        let _ = stream.write_all(&line);
        rig.now = rig.now + Duration::from_millis(50);
        drain(&mut stream, &mut answer)
    });
    assert_eq!(rig.drops(DropCause::TcpUnreadable), 1);
}

#[test]
fn a_half_message_has_its_time_and_not_more() {
    let mut rig = Rig::new();
    let mut stream = rig.connect();
    let message = options(1, "TCP");
    stream.write_all(&message[..40]).unwrap();
    rig.until("the connection", |rig| rig.transports.connections() == 1);
    rig.turn();
    for second in 1..10 {
        // A byte a second is no excuse.
        stream.write_all(&message[40 + second..=40 + second]).unwrap();
        rig.now = START + Duration::from_secs(second as u64);
        rig.turn();
        assert_eq!(rig.transports.connections(), 1, "after {second} s");
    }
    rig.now = START + Duration::from_secs(10);
    rig.until("the close", |rig| rig.transports.connections() == 0);
    assert_eq!(rig.drops(DropCause::TcpHalfMessage), 1);
}

#[test]
fn a_silent_connection_is_closed_and_lone_line_ends_keep_it_open() {
    let mut rig = Rig::new();
    let mut stream = rig.connect();
    stream.write_all(&options(1, "TCP")).unwrap();
    rig.until("the request", |rig| rig.requests == 1);
    for step in 1..5 {
        rig.now = START + Duration::from_secs(step * 60);
        stream.write_all(b"\r\n").unwrap();
        (0..3).for_each(|_| rig.turn());
        assert_eq!(rig.transports.connections(), 1, "{:?}", rig.transports.counters());
    }
    rig.now = rig.now + Duration::from_secs(100);
    rig.until("the close", |rig| rig.transports.connections() == 0);
    assert_eq!(rig.drops(DropCause::TcpIdle), 1);
    assert_eq!(rig.transports.poll_timeout(), None);
}

#[test]
fn a_connection_that_says_nothing_goes_early() {
    let mut rig = Rig::new();
    let _stream = rig.connect();
    rig.until("the connection", |rig| rig.transports.connections() == 1);
    rig.now = START + Duration::from_secs(32);
    rig.until("the close", |rig| rig.transports.connections() == 0);
}

#[test]
fn a_peer_that_does_not_read_is_closed_when_its_queue_is_full() {
    let mut rig = Rig::new();
    let mut stream = rig.connect();
    stream.write_all(&options(1, "TCP")).unwrap();
    rig.until("the request", |rig| rig.requests == 1);
    let flow = Flow {
        transport: Transport::Tcp,
        listener: ListenerId(1),
        remote: stream.local_addr().unwrap(),
        connection: 1,
    };
    for _ in 0..2000 {
        rig.send(flow, vec![b'x'; 50_000]);
        if rig.transports.connections() == 0 {
            break;
        }
    }
    assert_eq!(rig.transports.connections(), 0);
    assert_eq!(rig.drops(DropCause::TcpSlowReader), 1);
    assert!(rig.failed.contains(&flow));
    rig.send(flow, b"late".to_vec());
    assert_eq!(rig.drops(DropCause::TcpGone), 1);
}

#[test]
fn one_address_gets_so_many_connections_and_room_comes_back() {
    let mut rig = Rig::new();
    let streams: Vec<TcpStream> = (0..5).map(|_| rig.connect()).collect();
    rig.until("two refusals", |rig| rig.drops(DropCause::TcpTooMany) == 2);
    assert_eq!(rig.transports.connections(), 3);
    drop(streams);
    rig.until("every close", |rig| rig.transports.connections() == 0);
    let _again = rig.connect();
    rig.until("a new connection", |rig| rig.transports.connections() == 1);
}

#[test]
fn a_connection_of_ours_is_opened_on_demand_and_used_again() {
    let mut rig = Rig::new();
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let flow = Flow {
        transport: Transport::Tcp,
        listener: ListenerId(1),
        remote: peer.local_addr().unwrap(),
        connection: 0,
    };
    rig.send(flow, b"one ".to_vec());
    rig.send(flow, b"two".to_vec());
    let (mut stream, _) = peer.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    let mut heard = Vec::new();
    rig.until("both messages", |_| {
        drain(&mut stream, &mut heard);
        heard == b"one two"
    });
    assert_eq!(rig.transports.connections(), 1);
    drop(stream);
    rig.until("the failure of the asked flow", |rig| rig.failed.contains(&flow));
}

#[test]
fn a_refused_connect_fails_the_flow_that_asked_for_it() {
    let mut rig = Rig::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let flow =
        Flow { transport: Transport::Tcp, listener: ListenerId(1), remote: closed, connection: 0 };
    rig.send(flow, b"hello".to_vec());
    rig.until("the failure", |rig| rig.failed.contains(&flow));
    assert_eq!(rig.transports.connections(), 0);
}

#[test]
fn a_port_in_use_is_named_with_its_listener() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let listen = [ListenAddress { transport: Transport::Udp, address }];
    let poll = Poll::new().unwrap();
    let registry = poll.registry().try_clone().unwrap();
    let error = Transports::bind(&listen, LIMITS, registry).unwrap_err().to_string();
    assert!(error.contains(&format!("udp:{address}")), "{error}");
    assert!(error.contains("in use"), "{error}");
}
