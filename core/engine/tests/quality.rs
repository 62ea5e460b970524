//! What a party's sound is like, told while it lasts and at its end; and the good-bye of RTCP.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod common;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use common::{LOCAL, Phone, WORKER, bridge, engine, wait};
use koukan_codecs::g711;
use koukan_engine::{Engine, FAULT_WORDS};
use koukan_media::quality::Cause;
use koukan_media::rtcp::{Compound, Packet};
use koukan_media::{Codec, Command, Event, StreamStats};

/// The peer owes RTP from now on, and its reports go to a socket of their own.
fn watched(engine: &mut Engine, phone: &Phone) -> UdpSocket {
    let rtcp = UdpSocket::bind((LOCAL, 0)).unwrap();
    rtcp.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut config = Phone::config(phone.socket.local_addr().unwrap(), phone.codec);
    config.remote_rtcp = Some(rtcp.local_addr().unwrap());
    config.silent_after = Some(Duration::from_secs(60));
    engine.send(WORKER, Command::Configure { stream: phone.stream, config });
    rtcp
}

fn closed(event: Event) -> Option<StreamStats> {
    match event {
        Event::Closed { stats, .. } => Some(stats),
        _ => None,
    }
}

#[test]
fn loss_is_told_with_its_leg_and_cause_while_it_lasts_and_stays_in_the_verdict() {
    let mut engine = engine("/nowhere".into());
    let mut a = Phone::new(&mut engine, 1, Codec::Pcmu);
    let mut b = Phone::new(&mut engine, 2, Codec::Pcmu);
    bridge(&mut engine, a.stream, b.stream);
    let rtcp = watched(&mut engine, &a);
    watched(&mut engine, &b);
    let begin = Instant::now();
    let mut told = Vec::new();
    for number in 0..560u32 {
        // A fifth of what A says in the first five seconds is lost; B says nothing but silence.
        if number % 5 == 4 && number < 240 {
            a.packet(0, &[0; 160]);
        } else {
            a.speak(0x12);
        }
        b.speak(g711::ULAW_SILENCE);
        let until = Duration::from_millis(20) * (number + 1);
        std::thread::sleep(until.saturating_sub(begin.elapsed()));
        while let Some(event) = engine.try_recv() {
            if let Event::Quality { stream, fault } = event {
                told.push((stream, fault));
            }
        }
    }
    // Told when it begins and when it is over.
    assert_eq!(told.len(), 2, "{told:?}");
    let (stream, fault) = told[0];
    let Some((Cause::Loss(percent), lasted)) = fault else { panic!("{told:?}") };
    assert_eq!(stream, a.stream);
    assert!((17..=21).contains(&percent) && lasted >= Duration::from_secs(5), "{told:?}");
    assert_eq!(told[1], (a.stream, None));
    let stats = engine.stats().workers[0];
    assert!(stats.spans >= 4 && stats.poor_spans == 1, "{stats:?}");
    let loss = FAULT_WORDS.iter().position(|word| *word == "loss").unwrap();
    assert_eq!((stats.faults[loss], stats.faults.iter().sum::<u64>()), (1, 1));
    engine.send(WORKER, Command::Close { stream: a.stream });
    let quality = wait(&mut engine, closed).quality.unwrap();
    assert!(matches!(quality.cause, Some(Cause::Loss(_))), "{quality:?}");
    assert!(quality.worst_r < 600 && quality.mean_r > quality.worst_r + 100, "{quality:?}");
    engine.send(WORKER, Command::Close { stream: b.stream });
    let quality = wait(&mut engine, closed).quality.unwrap();
    assert!(quality.mean_r > 900 && quality.cause.is_none(), "{quality:?}");
    // The last report of A's stream says good-bye.
    let (mut buffer, mut byes) = ([0; 1_500], 0);
    while let Ok(length) = rtcp.recv(&mut buffer) {
        let compound = Compound::parse(&buffer[..length]).unwrap();
        byes += compound.packets().filter(|packet| matches!(packet, Packet::Bye { .. })).count();
    }
    assert_eq!(byes, 1);
}

#[test]
fn a_party_that_owes_nothing_is_not_judged() {
    let mut engine = engine("/nowhere".into());
    let phone = Phone::new(&mut engine, 1, Codec::Pcmu);
    std::thread::sleep(Duration::from_millis(1_200));
    engine.send(WORKER, Command::Close { stream: phone.stream });
    assert_eq!(wait(&mut engine, closed).quality, None);
    let phone = Phone::new(&mut engine, 2, Codec::Pcmu);
    watched(&mut engine, &phone);
    std::thread::sleep(Duration::from_millis(1_300));
    engine.send(WORKER, Command::Close { stream: phone.stream });
    let quality = wait(&mut engine, closed).quality.unwrap();
    assert_eq!((quality.mean_r, quality.cause), (0, Some(Cause::NoMedia)));
}
