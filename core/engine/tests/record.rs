//! Recordings over loopback: what a phone said and heard is in the file, sample by sample and in
//! its place; each recording is answered once, whatever ends it; a disk that stands still stops
//! nobody's voice.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]
#![allow(clippy::cast_possible_truncation, reason = "signals of tests")]

mod common;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{Phone, WORKER, bridge, engine, engine_of, wait};
use koukan_base::{OpId, StreamId, WorkerId};
use koukan_codecs::{g711, wav};
use koukan_engine::Engine;
use koukan_media::{
    Codec, Command, Digits, Event, RecordEnd, RecordFormat, RecordReport, Recorded, Recording,
};

/// A directory of the test's own.
fn directory(name: &str) -> PathBuf {
    let own = format!("koukan-record-test-{name}-{}", std::process::id());
    let directory = std::env::temp_dir().join(own);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

fn order(path: &Path, what: Recorded) -> Recording {
    Recording {
        path: path.into(),
        seal: false,
        what,
        format: RecordFormat::Linear8k,
        longest: Duration::from_secs(60),
        silence: None,
        stop_digits: None,
        call: None,
    }
}

fn record(engine: &mut Engine, stream: StreamId, op: u64, recording: Recording) {
    let recording = Box::new(recording);
    engine.send(WORKER, Command::Record { stream, op: OpId(op), recording });
}

fn stop(engine: &mut Engine, stream: StreamId, op: u64) {
    engine.send(WORKER, Command::StopRecord { stream, op: OpId(op) });
}

fn recorded(event: Event) -> Option<(u64, RecordReport)> {
    match event {
        Event::Recorded { op, report, .. } => Some((op.0, report)),
        _ => None,
    }
}

/// Says so many packets 20 ms apart; the byte of each is given.
fn say(phones: &mut [&mut Phone], frames: u32, byte: impl Fn(usize, u32) -> u8) {
    let begin = Instant::now();
    for number in 0..frames {
        for (which, phone) in phones.iter_mut().enumerate() {
            phone.speak(byte(which, number));
        }
        std::thread::sleep(
            (Duration::from_millis(20) * (number + 1)).saturating_sub(begin.elapsed()),
        );
    }
}

fn left_and_right(file: &Path) -> (Vec<i16>, Vec<i16>) {
    let bytes = std::fs::read(file).unwrap();
    assert_eq!((bytes[22], &bytes[36..40]), (2, &b"\0\0fa"[..]), "a head of two channels");
    let samples: Vec<i16> =
        bytes[58..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    let side = |which| samples.iter().skip(which).step_by(2).copied().collect();
    (side(0), side(1))
}

fn ulaw(byte: u8) -> i16 {
    let mut out = [0];
    g711::decode_ulaw(&[byte], &mut out);
    out[0]
}

/// Where the first of these values stands, all of them in their order behind it.
fn find(sound: &[i16], packets: &[u8]) -> Option<usize> {
    let wanted: Vec<i16> = packets.iter().flat_map(|byte| [ulaw(*byte); 160]).collect();
    sound.windows(wanted.len()).position(|window| window == wanted)
}

#[test]
fn a_message_is_in_the_file_sample_by_sample_and_a_key_ends_it() {
    let mut engine = engine("/nowhere".into());
    let directory = directory("message");
    let mut phone = Phone::new(&mut engine, 1, Codec::Pcmu);
    let file = directory.join("message.wav");
    let recording = Recording { stop_digits: Digits::new(b"#"), ..order(&file, Recorded::Peer) };
    record(&mut engine, phone.stream, 1, recording);
    std::thread::sleep(Duration::from_millis(30));
    let begin = Instant::now();
    say(&mut [&mut phone], 50, |_, number| 0x10 + number as u8);
    assert!(!file.exists(), "the name is the whole file's");
    let end = phone.packet(101, &[11, 0x8A, 3, 0x20]);
    phone.socket.send_to(&end, phone.engine).unwrap();
    let (op, report) = wait(&mut engine, recorded);
    let took = begin.elapsed();
    assert_eq!((op, report.end, report.dropped), (1, RecordEnd::Digit(b'#'), 0));
    let sound = wav::read(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(sound.len() as u64, report.samples);
    let said: Vec<u8> = (0..50).map(|number| 0x10 + number).collect();
    let at = find(&sound, &said[..48]).expect("every sample, none twice");
    assert!(at < 800, "{at}: as long before the first word as it was");
    assert!(
        (7_900..=took.as_millis() as usize * 8 + 400).contains(&sound.len()),
        "{}",
        sound.len()
    );
    assert!(!directory.join("message.wav.part").exists());
}

#[test]
fn both_directions_are_beside_each_other_in_two_channels_or_in_one() {
    let mut engine = engine("/nowhere".into());
    let directory = directory("both");
    let mut a = Phone::new(&mut engine, 1, Codec::Pcmu);
    let mut b = Phone::new(&mut engine, 2, Codec::Pcmu);
    bridge(&mut engine, a.stream, b.stream);
    let (stereo, mixed) = (directory.join("stereo.wav"), directory.join("mixed.wav"));
    record(&mut engine, a.stream, 1, order(&stereo, Recorded::Stereo));
    record(&mut engine, b.stream, 2, order(&mixed, Recorded::Mixed));
    std::thread::sleep(Duration::from_millis(30));
    say(&mut [&mut a, &mut b], 40, |which, number| [0x20, 0xA0][which] + number as u8 % 16);
    stop(&mut engine, a.stream, 1);
    stop(&mut engine, b.stream, 2);
    let mut reports = [wait(&mut engine, recorded), wait(&mut engine, recorded)];
    reports.sort_unstable_by_key(|(op, _)| *op);
    for (_, report) in reports {
        assert_eq!((report.end, report.dropped), (RecordEnd::Stopped, 0));
        assert!((6_400..8_000).contains(&report.samples), "{}", report.samples);
    }
    let (left, right) = left_and_right(&stereo);
    let said = |base: u8| (0..38).map(|number| base + number % 16).collect::<Vec<u8>>();
    let (of_a, of_b) = (find(&left, &said(0x20)).unwrap(), find(&right, &said(0xA0)).unwrap());
    assert!(of_a.abs_diff(of_b) <= 80, "they were said at once: {of_a} {of_b}");
    // The two laws' steps cancel but for the sign.
    let mixed = wav::read(&std::fs::read(&mixed).unwrap()).unwrap();
    assert!(mixed.iter().filter(|sample| **sample == 0).count() > 5_000);
}

#[test]
fn rules_and_streams_that_end_are_answered_once_and_nothing_is_left_of_nothing() {
    let mut engine = engine("/nowhere".into());
    let directory = directory("rules");
    let mut phone = Phone::new(&mut engine, 1, Codec::Pcma);
    let file = |name: &str| directory.join(name);
    let longest = Duration::from_millis(500);
    let recording = Recording {
        longest,
        format: RecordFormat::Alaw,
        ..order(&file("longest.wav"), Recorded::Peer)
    };
    record(&mut engine, phone.stream, 1, recording);
    record(&mut engine, phone.stream, 2, order(&file("second.wav"), Recorded::Peer));
    let (op, report) = wait(&mut engine, recorded);
    assert_eq!((op, report.end), (2, RecordEnd::Refused));
    say(&mut [&mut phone], 40, |_, _| 0x2A);
    let (op, report) = wait(&mut engine, recorded);
    assert_eq!((op, report.end, report.samples), (1, RecordEnd::Longest, 4_000));
    let bytes = std::fs::read(file("longest.wav")).unwrap();
    assert_eq!((bytes.len(), bytes[20]), (58 + 4_000, 6));
    assert!(bytes[3_000..].iter().all(|byte| *byte == 0x2A), "A-law as it came");
    let silence = Some(Duration::from_millis(400));
    let recording = Recording { silence, ..order(&file("silence.wav"), Recorded::Peer) };
    record(&mut engine, phone.stream, 3, recording);
    assert_eq!(wait(&mut engine, recorded).1.end, RecordEnd::Silence);
    std::fs::write(file("taken"), "no directory").unwrap();
    record(&mut engine, phone.stream, 4, order(&file("taken/x.wav"), Recorded::Peer));
    let (op, report) = wait(&mut engine, recorded);
    assert_eq!((op, report.end, report.samples), (4, RecordEnd::DiskError, 0));
    std::fs::remove_file(file("taken")).unwrap();
    record(&mut engine, phone.stream, 5, order(&file("closed.wav"), Recorded::Stereo));
    say(&mut [&mut phone], 20, |_, _| 0x2A);
    engine.send(WORKER, Command::Close { stream: phone.stream });
    let (op, report) = wait(&mut engine, recorded);
    assert_eq!((op, report.end), (5, RecordEnd::Stopped));
    assert!(report.samples > 2_000 && file("closed.wav").exists());
    record(&mut engine, phone.stream, 6, order(&file("gone.wav"), Recorded::Peer));
    assert_eq!(wait(&mut engine, recorded).1.end, RecordEnd::Refused);
    let mut names: Vec<_> =
        std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["closed.wav", "longest.wav", "silence.wav"]);
}

#[test]
fn a_recording_goes_on_while_its_stream_moves_and_the_engine_ends_it_with_itself() {
    let mut engine = engine_of(2, "/nowhere".into());
    let directory = directory("move");
    let mut phone = Phone::new(&mut engine, 1, Codec::Pcmu);
    let file = directory.join("moved.wav");
    record(&mut engine, phone.stream, 1, order(&file, Recorded::Peer));
    say(&mut [&mut phone], 20, |_, _| 0x20);
    let stream = phone.stream;
    engine.send(WORKER, Command::Move { stream, to: WorkerId(1) });
    wait(&mut engine, |event| (event == Event::Moved { stream }).then_some(()));
    say(&mut [&mut phone], 20, |_, _| 0x21);
    drop(engine);
    let sound = wav::read(&std::fs::read(&file).unwrap()).unwrap();
    for byte in [0x20, 0x21] {
        let count = sound.iter().filter(|sample| **sample == ulaw(byte)).count();
        // Packets on their way during the move may be missing, no more.
        assert!(count >= 16 * 160, "{byte}: {count}");
    }
}

#[test]
fn a_disk_that_stands_still_stops_nobodys_voice() {
    let mut engine = engine("/nowhere".into());
    let directory = directory("slow");
    let mut a = Phone::new(&mut engine, 1, Codec::Pcmu);
    let b = Phone::new(&mut engine, 2, Codec::Pcmu);
    bridge(&mut engine, a.stream, b.stream);
    // Opening a pipe that nobody reads blocks the thread that writes.
    let (file, pipe) = (directory.join("slow.wav"), directory.join("slow.wav.part"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    record(&mut engine, a.stream, 1, order(&file, Recorded::Stereo));
    let late_before = engine.stats().workers[0].late_ticks;
    for number in 0..250u32 {
        a.speak(number as u8);
        let (_, payload) = b.hear().expect("every packet is passed on");
        assert_eq!(payload[0], number as u8);
        std::thread::sleep(Duration::from_millis(20));
    }
    let late = engine.stats().workers[0].late_ticks - late_before;
    assert!(late < 125, "{late} late ticks of 250: the worker waited for the disk");
    let reader = std::thread::spawn(move || std::fs::read(pipe).unwrap().len());
    stop(&mut engine, a.stream, 1);
    let (op, report) = wait(&mut engine, recorded);
    // Four seconds find room; a pipe cannot be rewound, so it is no file in the end.
    assert_eq!((op, report.end, report.samples), (1, RecordEnd::DiskError, 0));
    assert!(report.dropped > 4_000, "{}", report.dropped);
    assert!(reader.join().unwrap() > 100_000);
}

#[test]
fn a_change_of_codec_is_heard_on_in_the_same_recording() {
    let mut engine = engine("/nowhere".into());
    let directory = directory("codec");
    let mut phone = Phone::new(&mut engine, 1, Codec::Pcmu);
    let file = directory.join("codec.wav");
    let recording = Recording { format: RecordFormat::Linear16k, ..order(&file, Recorded::Peer) };
    record(&mut engine, phone.stream, 1, recording);
    std::thread::sleep(Duration::from_millis(30));
    say(&mut [&mut phone], 25, |_, _| 0x20);
    let config = Phone::config(phone.socket.local_addr().unwrap(), Codec::Pcma);
    engine.send(WORKER, Command::Configure { stream: phone.stream, config });
    phone.codec = Codec::Pcma;
    std::thread::sleep(Duration::from_millis(20));
    say(&mut [&mut phone], 25, |_, _| 0x2A);
    stop(&mut engine, phone.stream, 1);
    let (_, report) = wait(&mut engine, recorded);
    assert_eq!((report.end, report.sample_rate), (RecordEnd::Stopped, 16_000));
    let sound = wav::read(&std::fs::read(&file).unwrap()).unwrap();
    let mut law = [0];
    g711::decode_alaw(&[0x2A], &mut law);
    for value in [ulaw(0x20), law[0]] {
        let near = |sample: &&i16| sample.abs_diff(value) < 200;
        let count = sound.iter().filter(near).count();
        assert!(count > 1_600, "{value}: {count} of {}", sound.len());
    }
}
