//! Streams over loopback: passed on, transcoded, echoed, prompted, silent, attacked, closed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod common;

use std::net::UdpSocket;
use std::time::Duration;

use common::{LOCAL, Phone, WORKER, bridge, engine, engine_of, wait};
use koukan_base::{OpId, StreamId, WorkerId};
use koukan_codecs::g711;
use koukan_media::{Codec, Command, Direction, Event, PlayEnd, Prompt, Source, StreamConfig};

/// A directory of each test's own: one must not read what another is writing.
fn prompts(test: &str) -> std::path::PathBuf {
    let own = format!("koukan-prompts-{}-{test}", std::process::id());
    let directory = std::env::temp_dir().join(own);
    std::fs::create_dir_all(directory.join("en")).unwrap();
    let mut file =
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\0\0\0\0\x02\0\x10\0data".to_vec();
    let samples: Vec<u8> = (0..400i16).flat_map(|n| (n * 20).to_le_bytes()).collect();
    file.extend_from_slice(&u32::try_from(samples.len()).unwrap().to_le_bytes());
    file.extend_from_slice(&samples);
    std::fs::write(directory.join("en/test.wav"), file).unwrap();
    directory
}

#[test]
fn packets_of_one_codec_are_passed_on_with_a_header_of_ours_that_never_jumps() {
    let mut engine = engine("/nowhere".into());
    let mut a = Phone::new(&mut engine, 1, Codec::Pcmu);
    let b = Phone::new(&mut engine, 2, Codec::Pcmu);
    bridge(&mut engine, a.stream, b.stream);
    let mut last = None;
    for byte in 0..20u8 {
        a.speak(byte);
        let (header, payload) = b.hear().unwrap();
        assert_eq!((header.payload_type, payload), (0, vec![byte; 160]));
        assert_ne!(header.ssrc, 1001, "the peer's SSRC is not shown to the other");
        if let Some((sequence, timestamp, ssrc)) = last {
            assert_eq!(header.sequence, u16::wrapping_add(sequence, 1));
            assert_eq!(header.timestamp, u32::wrapping_add(timestamp, 160));
            assert_eq!(header.ssrc, ssrc);
        }
        last = Some((header.sequence, header.timestamp, header.ssrc));
    }
}

#[test]
fn the_laws_are_converted_both_ways() {
    let mut engine = engine("/nowhere".into());
    let mut a = Phone::new(&mut engine, 1, Codec::Pcmu);
    let mut b = Phone::new(&mut engine, 2, Codec::Pcma);
    bridge(&mut engine, a.stream, b.stream);
    a.speak(0x21);
    let mut expected = [0x21];
    g711::ulaw_to_alaw(&mut expected);
    assert_eq!(
        b.hear().map(|(header, payload)| (header.payload_type, payload)),
        Some((8, vec![expected[0]; 160]))
    );
    b.speak(0x21);
    let mut expected = [0x21];
    g711::alaw_to_ulaw(&mut expected);
    assert_eq!(
        a.hear().map(|(header, payload)| (header.payload_type, payload)),
        Some((0, vec![expected[0]; 160]))
    );
}

#[test]
fn a_stranger_is_not_heard_and_garbage_is_counted() {
    let mut engine = engine("/nowhere".into());
    let mut a = Phone::new(&mut engine, 1, Codec::Pcmu);
    let b = Phone::new(&mut engine, 2, Codec::Pcmu);
    bridge(&mut engine, a.stream, b.stream);
    a.speak(1);
    assert!(b.hear().is_some());
    let stranger = UdpSocket::bind((LOCAL, 0)).unwrap();
    let packet = a.packet(0, &[9; 160]);
    stranger.send_to(&packet, a.engine).unwrap();
    for garbage in [&[][..], &[0; 1], &[0x80; 11], &[0x00; 200], &[0xBF; 64_000]] {
        a.socket.send_to(garbage, a.engine).unwrap();
    }
    a.speak(2);
    assert_eq!(b.hear().unwrap().1[0], 2);
    engine.send(WORKER, Command::Close { stream: a.stream });
    let stats = wait(&mut engine, |event| match event {
        Event::Closed { stats, .. } => Some(stats),
        _ => None,
    });
    assert_eq!((stats.received, stats.dropped), (2, 6));
}

#[test]
fn a_prompt_is_played_whole_and_reported_once() {
    let mut engine = engine(prompts("whole"));
    let phone = Phone::new(&mut engine, 1, Codec::Pcmu);
    let prompts = [Prompt::clip("en", "test")];
    let play = |op| Command::Play {
        stream: StreamId(1),
        op: OpId(op),
        prompts: prompts.clone().into(),
        times: 1,
    };
    engine.send(WORKER, play(5));
    let mut heard = Vec::new();
    for _ in 0..3 {
        heard.extend(phone.hear().unwrap().1);
    }
    let mut samples = [0i16; 480];
    g711::decode_ulaw(&heard, &mut samples);
    assert!((i32::from(samples[399]) - 399 * 20).abs() < 300, "{}", samples[399]);
    assert_eq!(samples[479], 0, "the rest of the last packet is silence");
    let ended = |event| match event {
        Event::Played { op, end, .. } => Some((op, end)),
        _ => None,
    };
    assert_eq!(wait(&mut engine, ended), (OpId(5), PlayEnd::Finished));
    let missing = [Prompt::clip("en", "missing")];
    engine.send(
        WORKER,
        Command::Play { stream: StreamId(1), op: OpId(6), prompts: missing.into(), times: 1 },
    );
    assert_eq!(wait(&mut engine, ended), (OpId(6), PlayEnd::Failed));
    engine.send(WORKER, play(7));
    std::thread::sleep(Duration::from_millis(30));
    engine.send(WORKER, Command::Close { stream: StreamId(1) });
    assert_eq!(wait(&mut engine, ended), (OpId(7), PlayEnd::Stopped));
}

#[test]
fn a_play_that_is_stopped_while_its_prompt_is_still_read_does_not_play() {
    let mut engine = engine(prompts("stopped"));
    let _phone = Phone::new(&mut engine, 1, Codec::Pcmu);
    for op in 1..=20 {
        let prompts = [Prompt::clip("en", "test")].into();
        let (stream, op) = (StreamId(1), OpId(op));
        engine.send(WORKER, Command::Play { stream, op, prompts, times: 0 });
        engine.send(WORKER, Command::StopPlay { stream, op });
        let ended = wait(&mut engine, |event| match event {
            Event::Played { op, end, .. } => Some((op, end)),
            _ => None,
        });
        assert_eq!(ended, (op, PlayEnd::Stopped));
    }
}

#[test]
fn echo_digits_and_silence_are_done_and_reported() {
    let mut engine = engine("/nowhere".into());
    let mut phone = Phone::new(&mut engine, 1, Codec::Pcma);
    engine.send(WORKER, Command::Feed { stream: phone.stream, source: Source::Echo });
    std::thread::sleep(Duration::from_millis(20));
    phone.speak(0x33);
    assert_eq!(phone.hear().unwrap().1, vec![0x33; 160]);
    let end = phone.packet(101, &[7, 0x8A, 3, 0x20]);
    for _ in 0..3 {
        phone.socket.send_to(&end, phone.engine).unwrap();
    }
    let digit = wait(&mut engine, |event| match event {
        Event::Digit { digit, duration_ms, .. } => Some((digit, duration_ms)),
        _ => None,
    });
    assert_eq!(digit, (b'7', 100));
    let mut config = Phone::config(phone.socket.local_addr().unwrap(), Codec::Pcma);
    config.silent_after = Some(Duration::from_millis(200));
    engine.send(WORKER, Command::Configure { stream: phone.stream, config });
    wait(&mut engine, |event| matches!(event, Event::Silent { .. }).then_some(()));
    engine.send(WORKER, Command::Feed { stream: phone.stream, source: Source::Silence });
    while let Some((_, payload)) = phone.hear() {
        if payload == vec![g711::ALAW_SILENCE; 160] {
            return;
        }
    }
    panic!("no silence is sent");
}

#[test]
fn a_stream_moves_to_another_worker_with_its_ports_and_its_numbers() {
    let mut engine = engine_of(2, "/nowhere".into());
    let other = WorkerId(1);
    let mut a = Phone::new(&mut engine, 1, Codec::Pcmu);
    let b = Phone::new(&mut engine, 2, Codec::Pcmu);
    bridge(&mut engine, a.stream, b.stream);
    a.speak(1);
    let before = b.hear().unwrap().0;
    for stream in [a.stream, b.stream] {
        engine.send(WORKER, Command::Move { stream, to: other });
        wait(&mut engine, |event| (event == Event::Moved { stream }).then_some(()));
    }
    // What was wired before the move is forgotten; orders go to the new worker.
    a.speak(2);
    engine.send(other, Command::Feed { stream: a.stream, source: Source::Stream(b.stream) });
    engine.send(other, Command::Feed { stream: b.stream, source: Source::Stream(a.stream) });
    std::thread::sleep(Duration::from_millis(20));
    a.speak(3);
    let (after, payload) = b.hear().unwrap();
    assert_eq!(payload[0], 3);
    // The packet that came between is missing, and is seen to be.
    assert_eq!((after.ssrc, after.sequence), (before.ssrc, before.sequence.wrapping_add(2)));
    let step = after.timestamp.wrapping_sub(before.timestamp);
    assert!((1..8_000).contains(&step), "timestamps go on with the clock: {step}");
    engine.send(WORKER, Command::Move { stream: StreamId(9), to: other });
    engine.send(other, Command::Close { stream: a.stream });
    let stats = wait(&mut engine, |event| match event {
        Event::Closed { stats, .. } => Some(stats),
        _ => None,
    });
    assert_eq!(stats.received, 3, "its counts have moved with it");
    let workers = engine.stats().workers;
    assert_eq!((workers[0].streams, workers[1].streams), (0, 1));
}

#[test]
fn what_is_agreed_anew_on_a_live_stream_makes_no_jump() {
    let mut engine = engine("/nowhere".into());
    let mut a = Phone::new(&mut engine, 1, Codec::Pcmu);
    let mut b = Phone::new(&mut engine, 2, Codec::Pcmu);
    bridge(&mut engine, a.stream, b.stream);
    let address = b.socket.local_addr().unwrap();
    let mut configure = |codec, direction| {
        let config = StreamConfig { direction, ..Phone::config(address, codec) };
        engine.send(WORKER, Command::Configure { stream: StreamId(2), config });
        std::thread::sleep(Duration::from_millis(20));
    };
    b.speak(0);
    a.speak(1);
    let mut last = b.hear().unwrap().0;
    for (codec, direction) in [
        (Codec::Pcma, Direction::SendRecv),
        (Codec::Pcma, Direction::RecvOnly),
        (Codec::Pcma, Direction::SendRecv),
        (Codec::Pcmu, Direction::SendOnly),
        (Codec::Pcmu, Direction::Inactive),
        (Codec::Pcmu, Direction::SendRecv),
    ] {
        configure(codec, direction);
        for _ in 0..5 {
            a.speak(1);
            if !direction.sends() {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
            let (header, _) = b.hear().unwrap();
            assert_eq!(header.ssrc, last.ssrc);
            assert_eq!(header.sequence, last.sequence.wrapping_add(1), "{direction:?}");
            let step = header.timestamp.wrapping_sub(last.timestamp);
            assert!((1..4_000).contains(&step), "{step} in far less than half a second");
            last = header;
        }
    }
}
