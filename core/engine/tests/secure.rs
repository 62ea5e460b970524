//! SRTP and RTCP over loopback: secure and plain phones hear each other, nothing plain is taken on
//! a secure stream, keys change without a gap, and both sides are told how they are heard.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod common;

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use common::{Phone, WORKER, bridge, engine, wait};
use koukan_engine::Engine;
use koukan_media::rtcp::{Compound, Packet, ReportBlock, SenderInfo, write};
use koukan_media::srtp::{MasterKey, SrtpReceiver, SrtpSender, Suite};
use koukan_media::{Codec, Command, Event, RtpHeader, SrtpKeys};

fn key(suite: Suite, seed: u8) -> MasterKey {
    MasterKey::new(suite, &[seed; 46][..suite.key_bytes() + suite.salt_bytes()]).unwrap()
}

/// The engine's side of a phone's keys.
fn secure(engine: &mut Engine, phone: &Phone, send: &MasterKey, receive: &MasterKey) {
    let mut config = Phone::config(phone.socket.local_addr().unwrap(), phone.codec);
    config.srtp = Some(SrtpKeys { send: send.clone(), receive: receive.clone() });
    engine.send(WORKER, Command::Configure { stream: phone.stream, config });
}

fn sealed(sender: &mut SrtpSender, packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + 32, 0);
    let length = sender.protect_rtp(&mut buffer, packet.len()).unwrap();
    buffer.truncate(length);
    buffer
}

fn received(socket: &UdpSocket) -> Option<Vec<u8>> {
    let mut buffer = [0; 2_048];
    let length = socket.recv(&mut buffer).ok()?;
    Some(buffer[..length].to_vec())
}

#[test]
fn a_secure_phone_and_a_plain_one_hear_each_other_and_keys_change_under_way() {
    for suite in Suite::ALL {
        let mut engine = engine("/nowhere".into());
        let mut a = Phone::new(&mut engine, 401, Codec::Pcmu);
        let mut b = Phone::new(&mut engine, 402, Codec::Pcma);
        let (ours, theirs) = (key(suite, 1), key(suite, 2));
        secure(&mut engine, &a, &ours, &theirs);
        bridge(&mut engine, a.stream, b.stream);
        let (mut sender, mut receiver) = (SrtpSender::new(&theirs), SrtpReceiver::new(&ours));
        let plain = a.packet(0, &[0x21; 160]);
        a.socket.send_to(&plain, a.engine).unwrap();
        let packet = a.packet(0, &[0x22; 160]);
        let packet = sealed(&mut sender, &packet);
        for _ in 0..2 {
            a.socket.send_to(&packet, a.engine).unwrap();
        }
        let mut law = [0x22];
        koukan_codecs::g711::ulaw_to_alaw(&mut law);
        assert_eq!(b.hear().unwrap().1[0], law[0], "{suite:?}: the plain packet is not passed");
        b.speak(0x55);
        let mut answer = received(&a.socket).unwrap();
        let length = receiver.unprotect_rtp(&mut answer).unwrap();
        let header = RtpHeader::parse(&answer[..length]).unwrap();
        assert_eq!((header.payload_type, length), (0, 172));
        // New keys both ways; a packet under the old one is still on its way.
        let (ours, theirs) = (key(suite, 3), key(suite, 4));
        secure(&mut engine, &a, &ours, &theirs);
        std::thread::sleep(Duration::from_millis(30));
        let late = a.packet(0, &[0x23; 160]);
        a.socket.send_to(&sealed(&mut sender, &late), a.engine).unwrap();
        assert!(b.hear().is_some(), "{suite:?}: under the old key");
        let fresh = a.packet(0, &[0x24; 160]);
        let mut sender = SrtpSender::new(&theirs);
        a.socket.send_to(&sealed(&mut sender, &fresh), a.engine).unwrap();
        assert!(b.hear().is_some(), "{suite:?}: under the new key");
        engine.send(WORKER, Command::Close { stream: a.stream });
        let stats = wait(&mut engine, |event| match event {
            Event::Closed { stats, .. } => Some(stats),
            _ => None,
        });
        assert_eq!((stats.received, stats.dropped), (3, 2), "{suite:?}: a plain one and a replay");
    }
}

#[test]
fn reports_go_out_and_the_peers_are_understood() {
    let mut engine = engine("/nowhere".into());
    let (rtcp, mut a) = loop {
        let mut a = Phone::new(&mut engine, 411, Codec::Pcmu);
        let port = a.socket.local_addr().unwrap().port();
        if let Ok(rtcp) = UdpSocket::bind((common::LOCAL, port.wrapping_add(1))) {
            break (rtcp, a);
        }
        engine.send(WORKER, Command::Close { stream: a.stream });
        std::thread::sleep(Duration::from_millis(20));
        a.speak(0);
    };
    rtcp.set_read_timeout(Some(Duration::from_millis(8_000))).unwrap();
    engine.send(WORKER, Command::Feed { stream: a.stream, source: koukan_media::Source::Silence });
    for _ in 0..5 {
        a.speak(1);
    }
    let report = received(&rtcp).unwrap();
    let compound = Compound::parse(&report).unwrap();
    let Some(Packet::SenderReport { ssrc, info, reports }) = compound.packets().next() else {
        panic!("no sender report: {report:?}");
    };
    let block = reports.iter().next().unwrap();
    assert_eq!((block.ssrc, block.lost, block.highest), (1_411, 0, 5));
    assert!(info.packets > 10 && info.octets == info.packets * 160, "{info:?}");
    // The peer says that it lost seven of ours and that the report was with it for 10 ms.
    std::thread::sleep(Duration::from_millis(10));
    let middle = u32::try_from(info.ntp >> 16 & 0xFFFF_FFFF).unwrap();
    let block =
        ReportBlock { ssrc, lost: 7, last_report: middle, delay: 655, ..Default::default() };
    let mut buffer = [0; 200];
    let own = SenderInfo::default();
    let length = write(&mut buffer, 1_411, Some(own), &[block], b"phone", false).unwrap();
    let target = SocketAddr::new(a.engine.ip(), a.engine.port() + 1);
    rtcp.send_to(b"garbage", target).unwrap();
    rtcp.send_to(&buffer[..length], target).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    engine.send(WORKER, Command::Close { stream: a.stream });
    let stats = wait(&mut engine, |event| match event {
        Event::Closed { stats, .. } => Some(stats),
        _ => None,
    });
    assert_eq!((stats.peer_lost, stats.dropped), (7, 1));
    assert!((1..2_000_000).contains(&stats.round_trip_us), "{}", stats.round_trip_us);
}
