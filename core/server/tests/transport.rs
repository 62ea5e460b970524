//! The transports over real loopback sockets with a virtual clock: framing however the stream is
//! cut, keep-alive, bounds, and peers that are slow on purpose.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

mod rig;

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use koukan::transport::{DropCause, ListenAddress, Transports};
use koukan_dialplan::Network;
use koukan_sip::registrar::LongWay;
use koukan_sip::{Body, Flow, ListenerId, Method, Request, Transport};
use mio::Poll;
use rig::{LIMITS, Rig, START, options};

fn rig() -> Rig {
    Rig::with(&[Transport::Udp, Transport::Tcp], LIMITS, None)
}

fn connect(rig: &Rig) -> TcpStream {
    let stream = TcpStream::connect(rig.address(Transport::Tcp)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_nonblocking(true).unwrap();
    stream
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
    let mut rig = rig();
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
fn keep_alives_by_datagram_are_answered_and_reach_nobody() {
    let mut rig = rig();
    let server = rig.address(Transport::Udp);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut buffer = [0; 2048];
    let mut ask = |rig: &mut Rig, ping: &[u8]| {
        socket.send_to(ping, server).unwrap();
        let mut length = 0;
        rig.until("the answer", |_| socket.recv(&mut buffer).map(|n| length = n).is_ok());
        buffer[..length].to_vec()
    };
    assert_eq!(ask(&mut rig, b"\r\n\r\n"), b"\r\n");
    let binding = b"\0\x01\0\0\x21\x12\xa4\x42abcdefghijkl";
    let answer = ask(&mut rig, binding);
    assert!(answer.starts_with(b"\x01\x01\0\x0c\x21\x12\xa4\x42abcdefghijkl\0\x20\0\x08\0\x01"));
    let port = u16::from_be_bytes([answer[26], answer[27]]) ^ 0x2112;
    assert_eq!(port, socket.local_addr().unwrap().port());
    for silent in [&b"\r\n"[..], b"\0", b"jaK", b"\0\x01 what is no STUN at all"] {
        socket.send_to(silent, server).unwrap();
    }
    rig.until("the others", |rig| rig.drops(DropCause::Stun) == 1);
    assert_eq!((rig.transports.counters().pings, rig.transports.counters().udp.received), (5, 0));
    assert!(socket.recv(&mut buffer).is_err());
    assert_eq!(rig.requests, 0);
}

#[test]
fn a_datagram_of_nearly_64_kb_arrives_whole() {
    let mut rig = rig();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    for (number, size) in [(1, 1_400), (2, 9_000), (3, 65_000)] {
        let text = String::from_utf8(options(number, "UDP")).unwrap();
        let text = text.replace("Content-Length: 3", &format!("Content-Length: {size}"));
        let datagram = text.replace("\r\n\r\nabc", &format!("\r\n\r\n{}", "x".repeat(size)));
        socket.send_to(datagram.as_bytes(), rig.address(Transport::Udp)).unwrap();
        let mut buffer = [0; 2048];
        rig.until("the answer", |_| socket.recv(&mut buffer).is_ok());
        assert!(buffer.starts_with(b"SIP/2.0 200"), "{size} bytes");
    }
}

#[test]
fn more_datagrams_than_one_batch_are_all_taken() {
    let mut rig = rig();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 0..200 {
        socket.send_to(&options(number, "UDP"), rig.address(Transport::Udp)).unwrap();
    }
    rig.until("200 requests", |rig| rig.requests == 200);
}

#[test]
fn a_message_cut_at_every_byte_comes_out_whole() {
    let mut rig = rig();
    let whole = options(1, "TCP").len();
    let mut stream = connect(&rig);
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
    let mut rig = rig();
    let mut stream = connect(&rig);
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
        let mut rig = rig();
        let mut stream = connect(&rig);
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
    let mut rig = rig();
    let mut stream = connect(&rig);
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
    let mut rig = rig();
    let mut stream = connect(&rig);
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
    let mut rig = rig();
    let mut stream = connect(&rig);
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
    let mut rig = rig();
    let _stream = connect(&rig);
    rig.until("the connection", |rig| rig.transports.connections() == 1);
    rig.now = START + Duration::from_secs(32);
    rig.until("the close", |rig| rig.transports.connections() == 0);
}

#[test]
fn a_peer_that_does_not_read_is_closed_when_its_queue_is_full() {
    let mut rig = rig();
    let mut stream = connect(&rig);
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
    let mut rig = rig();
    let streams: Vec<TcpStream> = (0..5).map(|_| connect(&rig)).collect();
    rig.until("two refusals", |rig| rig.drops(DropCause::TcpTooMany) == 2);
    assert_eq!(rig.transports.connections(), 3);
    drop(streams);
    rig.until("every close", |rig| rig.transports.connections() == 0);
    let _again = connect(&rig);
    rig.until("a new connection", |rig| rig.transports.connections() == 1);
}

#[test]
fn a_connection_of_ours_is_opened_on_demand_and_used_again() {
    let mut rig = rig();
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
    let mut rig = rig();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let flow =
        Flow { transport: Transport::Tcp, listener: ListenerId(1), remote: closed, connection: 0 };
    rig.send(flow, b"hello".to_vec());
    rig.until("the failure", |rig| rig.failed.contains(&flow));
    assert_eq!(rig.transports.connections(), 0);
}

/// A long INVITE to a phone that is known by datagrams and may take a stream.
fn long_invite(rig: &mut Rig, remote: std::net::SocketAddr) {
    let flow = Flow { transport: Transport::Udp, listener: ListenerId(0), remote, connection: 0 };
    rig.agent.know_long_way(rig.now, flow, LongWay::Opens(remote));
    let request = Request {
        method: Method::Invite,
        flow,
        request_uri: b"sip:phone@rig".to_vec(),
        from: b"<sip:rig@rig>".to_vec(),
        to: b"<sip:phone@rig>".to_vec(),
        route: Vec::new(),
        max_forwards: 70,
        headers: Vec::new(),
        body: Some(Body::sdp(vec![b'x'; 2_000])),
        credentials: None,
    };
    rig.agent.invite(rig.now, request);
}

#[test]
fn a_long_request_goes_by_tcp_and_by_datagram_where_tcp_is_refused() {
    let mut rig = rig();
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    phone.set_nonblocking(true).unwrap();
    let remote = phone.local_addr().unwrap();
    let stream = TcpListener::bind(remote).unwrap();
    stream.set_nonblocking(true).unwrap();
    long_invite(&mut rig, remote);
    let mut accepted = None;
    rig.until("the connection", |rig| {
        rig.drain();
        accepted = stream.accept().ok();
        accepted.is_some()
    });
    let (mut accepted, _) = accepted.unwrap();
    accepted.set_nonblocking(true).unwrap();
    let mut heard = Vec::new();
    rig.until("the whole request", |_| {
        drain(&mut accepted, &mut heard);
        heard.ends_with(&[b'x'; 2_000])
    });
    assert_eq!(count(&heard, b"SIP/2.0/TCP"), 1);
    drop((stream, accepted));
    rig.until("the close", |rig| rig.transports.connections() == 0);
    // Nobody listens any more.
    long_invite(&mut rig, remote);
    let mut buffer = [0; 4_096];
    let mut length = 0;
    rig.until("the datagram", |rig| {
        rig.drain();
        phone.recv(&mut buffer).map(|n| length = n).is_ok()
    });
    assert_eq!(count(&buffer[..length], b"SIP/2.0/UDP"), 1);
    assert!(buffer[..length].ends_with(&[b'x'; 2_000]));
}

#[test]
fn a_port_in_use_is_named_with_its_listener() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let listen = [ListenAddress::new(Transport::Udp, address)];
    let poll = Poll::new().unwrap();
    let registry = poll.registry().try_clone().unwrap();
    let error = Transports::bind(&listen, LIMITS, None, registry).unwrap_err().to_string();
    assert!(error.contains(&format!("udp:{address}")), "{error}");
    assert!(error.contains("in use"), "{error}");
}

#[test]
fn a_blocked_network_gets_no_connection() {
    let mut rig = rig();
    rig.transports.block(vec![Network::parse("127.0.0.0/8").unwrap()]);
    let mut stream = connect(&rig);
    let mut answer = Vec::new();
    rig.until("the close", |_| drain(&mut stream, &mut answer));
    assert!(answer.is_empty());
    assert_eq!((rig.transports.connections(), rig.drops(DropCause::Blocked)), (0, 1));
}
