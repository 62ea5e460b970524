//! Taps of calls (`kk.tap/1`) in built libraries, with the media worker's part played by the test:
//! what goes wrong in one, slow ones, and recordings that outlive the build that began them.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

#[expect(dead_code, reason = "the other tests of modules use the rest")]
mod house;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use house::{Host, NOW, Room, built};
use koukan_engine::Feed;
use koukan_media::{RecordEnd, RecordFormat, RecordReport, Recorded, RecordedCall, Recording};

const GRANTS: &str = "grants = [\"taps\"]";
/// Half a second of both channels.
const BLOCK: usize = 8_000;

fn tapper() -> PathBuf {
    built(&["-p", "koukan-sdk", "--example", "tapper"], "examples/libtapper.so")
}

fn order(path: &Path) -> Recording {
    let call =
        RecordedCall { call: "0-1".into(), tenant: "acme".into(), ..RecordedCall::default() };
    Recording {
        path: path.into(),
        seal: false,
        what: Recorded::Stereo,
        format: RecordFormat::Ulaw,
        longest: Duration::from_secs(60),
        silence: None,
        stop_digits: None,
        call: Some(Arc::new(call)),
    }
}

/// A module in the role that records, with a fault that its options name.
fn loaded(room: &Room, wrong: &str) -> Host {
    let gate = room.directory.join("gate");
    let grants =
        format!("{GRANTS}\noptions = {{ wrong = \"{wrong}\", gate = \"{}\" }}", gate.display());
    room.load(&[("recording", &tapper(), &grants)]).unwrap()
}

fn file(room: &Room, number: usize) -> PathBuf {
    room.directory.join(format!("data/objects/recording/acme/{number}.wav"))
}

/// A recording that has begun.
fn begun(host: &Host, path: &Path) -> Feed {
    let (feed, tapped) = Feed::begin(&order(path));
    host.modules.taps().take(tapped).unwrap();
    feed
}

fn wait(host: &mut Host, mut done: impl FnMut(&mut Host) -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !done(host) {
        assert!(Instant::now() < until, "it does not come");
        host.modules.handle_housekeeping(NOW);
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn report(host: &mut Host, feed: &Feed) -> RecordReport {
    let mut report = None;
    wait(host, |_| {
        report = feed.report();
        report.is_some()
    });
    report.unwrap()
}

/// The samples of a WAV file of 16 bits.
fn sound(path: &Path) -> Vec<i16> {
    let bytes = fs::read(path).unwrap();
    let pairs = bytes[58..].chunks_exact(2);
    pairs.map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

#[test]
fn whatever_goes_wrong_in_a_tap_ends_that_recording_and_the_next_one_is_taken() {
    // What goes wrong, how the recording ends, and whether what was given before is kept.
    let cases = [
        ("open", RecordEnd::Unserved, false),
        ("refuse", RecordEnd::Unserved, false),
        ("foreign", RecordEnd::Unserved, false),
        ("batch", RecordEnd::Unserved, false),
        ("payload", RecordEnd::Unserved, false),
        ("fail", RecordEnd::Unserved, false),
        ("torn", RecordEnd::Unserved, false),
        ("mute", RecordEnd::Unserved, false),
        ("close", RecordEnd::Stopped, true),
        ("destructor", RecordEnd::Stopped, true),
        ("", RecordEnd::Stopped, true),
    ];
    for (wrong, end, is_kept) in cases {
        let room = Room::new();
        let mut host = loaded(&room, wrong);
        for number in 0..2 {
            let path = file(&room, number);
            let mut feed = begun(&host, &path);
            assert!(feed.give(&[700; BLOCK]));
            let fails = !matches!(wrong, "mute" | "close" | "destructor" | "");
            wait(&mut host, |_| feed.has_failed() == fails);
            // A worker that is told so ends it as one that the disk does not take.
            feed.finish(if fails { RecordEnd::DiskError } else { RecordEnd::Stopped });
            let report = report(&mut host, &feed);
            assert_eq!(report.end, end, "{wrong}");
            let samples = if is_kept { 4_000 } else { 0 };
            assert_eq!((report.samples, path.exists()), (samples, is_kept), "{wrong}");
        }
        println!("| tap, {wrong} | {end:?}, kept: {is_kept} |");
        // It can be taken out, and a good build takes what comes.
        host.modules.unload(NOW, "recording").unwrap();
        wait(&mut host, |host| host.modules.list(NOW.time)[0].state == "closed");
    }
}

#[test]
fn a_slow_tap_loses_sound_that_is_counted_and_silence_stands_in_its_place() {
    let room = Room::new();
    let gate = room.directory.join("gate");
    fs::write(&gate, "").unwrap();
    let mut host = loaded(&room, "slow");
    let path = file(&room, 0);
    let mut feed = begun(&host, &path);
    let mut lost = 0;
    for number in 1..=30 {
        let began = Instant::now();
        lost += u64::from(!feed.give(&[number * 100; BLOCK])) * 4_000;
        assert!(began.elapsed() < Duration::from_millis(50), "whoever gives sound waits");
        std::thread::sleep(Duration::from_millis(30));
    }
    assert!(lost >= 10 * 4_000, "{lost}");
    fs::remove_file(&gate).unwrap();
    // The end of what was dropped last is only told by what comes behind it.
    let mut last = false;
    wait(&mut host, |_| {
        last = last || feed.give(&[9_999; BLOCK]);
        if !last {
            lost += 4_000;
        }
        last
    });
    feed.finish(RecordEnd::Stopped);
    let report = report(&mut host, &feed);
    assert_eq!((report.end, report.dropped), (RecordEnd::Stopped, lost));
    let sound = sound(&path);
    assert_eq!(u64::try_from(sound.len() / 2).unwrap(), report.samples);
    let silent = sound.iter().filter(|sample| **sample == 0).count();
    assert_eq!(u64::try_from(silent / 2).unwrap(), lost);
    for (number, block) in sound.chunks(BLOCK).take(30).enumerate() {
        let value = i16::try_from((number + 1) * 100).unwrap();
        let is_right = block.iter().all(|sample| *sample == value);
        assert!(is_right || block.iter().all(|sample| *sample == 0), "block {number}");
    }
    println!("{} of {} samples dropped", report.dropped, report.samples);
    let told = &host.modules.list(NOW.time)[0];
    assert_eq!((told.dropped, told.recordings, told.recording), (Some(lost), Some(1), Some(0)));
}

#[test]
fn a_tap_that_never_comes_back_is_named_and_its_recordings_get_their_end() {
    let room = Room::new();
    let gate = room.directory.join("gate");
    fs::write(&gate, "").unwrap();
    let mut host = loaded(&room, "hang");
    let (first, second) = (file(&room, 0), file(&room, 1));
    let mut feed = begun(&host, &first);
    assert!(feed.give(&[700; BLOCK]));
    let began = Instant::now();
    feed.finish(RecordEnd::Stopped);
    let told = report(&mut host, &feed);
    println!("its end after {:.1} s: {told:?}", began.elapsed().as_secs_f64());
    assert_eq!((told.end, told.samples), (RecordEnd::Unserved, 0));
    fs::remove_file(&gate).unwrap();
    let mut feed = begun(&host, &second);
    assert!(feed.give(&[700; BLOCK]));
    feed.finish(RecordEnd::Stopped);
    let told = report(&mut host, &feed);
    assert_eq!((told.end, told.samples), (RecordEnd::Stopped, 4_000));
}

#[test]
fn two_hundred_recordings_go_on_with_the_build_that_replaces_theirs() {
    const CALLS: usize = 200;
    let module = built(&["-p", "koukan-recording"], "librecording.so");
    let room = Room::new();
    let modules = [("recording", module.as_path(), GRANTS)];
    let mut host = room.load(&modules).unwrap();
    let mut feeds: Vec<Feed> = (0..CALLS).map(|n| begun(&host, &file(&room, n))).collect();
    let blocks = [1_000, 2_000, 3_000, 4_000];
    for value in blocks {
        feeds.iter_mut().for_each(|feed| assert!(feed.give(&[value; BLOCK])));
    }
    let loaded = host.modules.loader().load(&room.config(&modules).modules[0]).unwrap();
    host.modules.install(NOW, loaded, false).unwrap();
    for value in blocks {
        for feed in &mut feeds {
            wait(&mut host, |_| feed.give(&[-value; BLOCK]));
        }
    }
    wait(&mut host, |host| host.modules.list(NOW.time)[0].state == "closed");
    feeds.iter().for_each(|feed| feed.finish(RecordEnd::Stopped));
    for (number, feed) in feeds.iter().enumerate() {
        let told = report(&mut host, feed);
        assert_eq!(told.end, RecordEnd::Stopped, "{number}");
        // What was tried while there was no room counts as dropped, and stands as silence.
        assert_eq!(told.samples, 8 * 4_000 + told.dropped, "{number}");
        let bytes = fs::read(file(&room, number)).unwrap();
        let spoken: Vec<u8> = bytes[58..].iter().copied().filter(|code| *code != 0xff).collect();
        assert_eq!(spoken.len(), 8 * BLOCK, "{number}");
        let changes = spoken.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(changes, 7, "each block once, in its place");
    }
    let told = host.modules.list(NOW.time);
    let taken: u64 = told.iter().filter_map(|build| build.recordings).sum();
    println!("{} recordings taken by the second build", taken);
    assert_eq!(taken, 200);
}

#[test]
fn without_its_grant_a_tap_is_refused_and_without_a_module_nobody_records() {
    let room = Room::new();
    let refusal = room.refusal(&tapper(), "grants = [\"call\"]");
    assert!(refusal.contains("needs kk.tape/1: add \"taps\" to its `grants`"), "{refusal}");
    let host = room.load(&[]).unwrap();
    let (feed, tapped) = Feed::begin(&order(&file(&room, 0)));
    let refused = host.modules.taps().take(tapped).unwrap_err();
    drop(refused);
    assert_eq!(feed.report().unwrap().end, RecordEnd::Unserved);
}
