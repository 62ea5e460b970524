//! A stream that another process takes: its socket goes, its port stays, its end is answered.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod common;

use std::net::UdpSocket;
use std::time::Duration;

use common::{LOCAL, Phone, WORKER, bridge, engine, wait};
use koukan_base::StreamId;
use koukan_media::{Codec, Command, Event, Source};

#[test]
fn a_lent_socket_is_read_by_its_taker_alone_and_its_port_is_free_after_the_end() {
    let mut engine = engine("/nowhere".into());
    let mut phone = Phone::new(&mut engine, 1, Codec::Pcma);
    let stream = phone.stream;
    engine.send(WORKER, Command::Feed { stream, source: Source::Silence });
    let (before, _) = phone.hear().unwrap();
    phone.speak(1);
    assert!(engine.lend(stream).is_none(), "nothing is lent that was not ordered to be");
    engine.send(WORKER, Command::Lend { stream });
    wait(&mut engine, |event| (event == Event::Lent { stream }).then_some(()));
    let lent = engine.lend(stream).unwrap().unwrap();
    assert_eq!(lent.remote, phone.socket.local_addr().unwrap());
    assert_eq!((lent.ssrc, lent.config.codec.codec), (before.ssrc, Codec::Pcma));
    assert!(lent.sequence.wrapping_sub(before.sequence) < 100);
    let socket = UdpSocket::from(lent.socket);
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut buffer = [0; 2_048];
    phone.speak(77);
    socket.recv_from(&mut buffer).unwrap();
    assert_eq!(buffer[12], 77, "what the peer says comes to whoever has the socket");
    // Orders of the switch that cross do nothing, and the last one is answered.
    engine.send(WORKER, Command::Feed { stream, source: Source::Echo });
    engine.send(WORKER, Command::Close { stream });
    let stats = wait(&mut engine, |event| match event {
        Event::Closed { stream: closed, stats } if closed == stream => Some(stats),
        _ => None,
    });
    assert!(stats.sent > 0);
    assert!(engine.lend(stream).is_none());
    let port = socket.local_addr().unwrap().port();
    drop(socket);
    assert!(UdpSocket::bind((LOCAL, port)).is_ok(), "the port is free");
    assert!(UdpSocket::bind((LOCAL, port + 1)).is_ok(), "and that of RTCP");
}

#[test]
fn a_stream_that_has_agreed_on_nothing_cannot_be_lent() {
    let mut engine = engine("/nowhere".into());
    let stream = StreamId(9);
    engine.send(WORKER, Command::Open { stream, local: LOCAL, tenant: "office".into() });
    engine.send(WORKER, Command::Lend { stream });
    wait(&mut engine, |event| (event == Event::Lent { stream }).then_some(()));
    assert!(engine.lend(stream).is_none());
    engine.send(WORKER, Command::Close { stream });
    wait(&mut engine, |event| matches!(event, Event::Closed { .. }).then_some(()));
}

#[test]
fn a_stream_that_is_taken_back_goes_on_behind_what_its_taker_sent() {
    let mut engine = engine("/nowhere".into());
    let mut a = Phone::new(&mut engine, 1, Codec::Pcmu);
    let b = Phone::new(&mut engine, 2, Codec::Pcmu);
    bridge(&mut engine, a.stream, b.stream);
    a.speak(1);
    let (before, _) = b.hear().unwrap();
    let stream = b.stream;
    engine.send(WORKER, Command::Lend { stream });
    wait(&mut engine, |event| (event == Event::Lent { stream }).then_some(()));
    let lent = engine.lend(stream).unwrap().unwrap();
    let away = Duration::from_secs(60);
    engine.send(WORKER, Command::Reclaim { stream, tenant: "office".into(), away });
    wait(&mut engine, |event| (event == Event::Moved { stream }).then_some(()));
    assert!(engine.lend(stream).is_none());
    let config = Phone::config(b.socket.local_addr().unwrap(), Codec::Pcmu);
    engine.send(WORKER, Command::Configure { stream, config });
    bridge(&mut engine, a.stream, stream);
    std::thread::sleep(Duration::from_millis(20));
    a.speak(9);
    let (after, payload) = b.hear().unwrap();
    assert_eq!((payload[0], after.ssrc), (9, before.ssrc));
    // 3,000 packets in a minute, and some more that were on their way.
    let (packets, time) = (3_000, 3_000 * 160);
    assert!(after.sequence.wrapping_sub(lent.sequence) >= packets, "{lent:?} {after:?}");
    assert!((packets..packets + 200).contains(&after.sequence.wrapping_sub(before.sequence)));
    assert!(after.timestamp.wrapping_sub(before.timestamp) >= time);
    engine.send(WORKER, Command::Close { stream });
    let stats = wait(&mut engine, |event| match event {
        Event::Closed { stats, .. } => Some(stats),
        _ => None,
    });
    assert_eq!(stats.sent, 2, "its counts have come back with it");
    // One that was never lent stays where it is.
    let stream = a.stream;
    engine.send(WORKER, Command::Reclaim { stream, tenant: "office".into(), away });
    engine.send(WORKER, Command::Close { stream });
    wait(&mut engine, |event| matches!(event, Event::Closed { .. }).then_some(()));
}
