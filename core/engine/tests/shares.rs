//! Nobody takes another's share of a worker: neither by packets nor by streams.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{LOCAL, Phone, WORKER, bridge, engine, wait};
use koukan_base::StreamId;
use koukan_engine::Engine;
use koukan_media::{Codec, Command, Event, OpenError};

#[test]
fn a_flood_on_one_port_is_left_unread_and_the_other_calls_lose_nothing() {
    let mut engine = engine("/nowhere".into());
    let mut attacked = Phone::new(&mut engine, 1, Codec::Pcmu);
    let mut a = Phone::new(&mut engine, 2, Codec::Pcmu);
    let b = Phone::new(&mut engine, 3, Codec::Pcmu);
    bridge(&mut engine, a.stream, b.stream);
    attacked.speak(1);
    let stop = AtomicBool::new(false);
    let (mut sent, mut heard) = (0u64, Vec::new());
    let seconds = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Well-formed packets of the peer itself, the dearest flood.
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..20 {
                    attacked.speak(2);
                    sent += 1;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let begin = Instant::now();
        for byte in 0..100u8 {
            a.speak(byte);
            heard.push(b.hear().map(|(_, payload)| payload[0]));
            std::thread::sleep(Duration::from_millis(20));
        }
        stop.store(true, Ordering::Relaxed);
        begin.elapsed().as_secs() + 1
    });
    assert!(heard.iter().zip(0u8..).all(|(heard, sent)| *heard == Some(sent)), "{heard:?}");
    let stats = engine.stats().workers[0];
    println!("{sent} sent in {seconds} s, {stats:?}");
    // 250 at once and 250 a second, and the call beside.
    assert!(sent > 1_000 && stats.received <= 252 + 250 * (seconds + 1) + 100, "{stats:?}");
    assert!(stats.rests > 0);
}

/// Opens a stream of a tenant; what became of it.
fn open(engine: &mut Engine, stream: u64, tenant: &str) -> Result<(), OpenError> {
    let stream = StreamId(stream);
    engine.send(WORKER, Command::Open { stream, local: LOCAL, tenant: tenant.into() });
    wait(engine, |event| match event {
        Event::Opened { stream: opened, .. } if opened == stream => Some(Ok(())),
        Event::OpenFailed { stream: failed, error } if failed == stream => Some(Err(error)),
        _ => None,
    })
}

#[test]
fn the_streams_of_one_tenant_leave_the_others_theirs_and_come_back_when_they_end() {
    let mut engine = engine("/nowhere".into());
    // A worker of these tests has 256 streams.
    let flood = (0..256).filter(|stream| open(&mut engine, *stream, "flood").is_ok());
    assert_eq!(flood.count(), 192);
    assert_eq!(open(&mut engine, 1_000, "flood"), Err(OpenError::Share));
    assert!((300..364).all(|stream| open(&mut engine, stream, "office").is_ok()));
    assert_eq!(open(&mut engine, 1_001, "office"), Err(OpenError::Full));
    engine.send(WORKER, Command::Close { stream: StreamId(0) });
    assert_eq!(open(&mut engine, 1_002, "flood"), Err(OpenError::Share));
    assert_eq!(open(&mut engine, 1_003, "office"), Ok(()));
    assert_eq!(engine.stats().refused, 64 + 1 + 1 + 1);
}
