//! Once streams are up, the worker allocates nothing, whatever passes through it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]
#![allow(clippy::cast_possible_truncation, reason = "masked to seven bits")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{Phone, WORKER, bridge, engine_of, wait};
use koukan_base::{BridgeId, OpId, WorkerId};
use koukan_media::{
    Codec, Command, Digits, Event, Prompt, RecordFormat, Recorded, Recording, Source,
};

/// Counts what media threads allocate and free while counting is on.
struct Counting;

static ON: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_MEDIA: Cell<Option<bool>> = const { Cell::new(None) };
}

/// Whether this is a worker, by the name that the kernel knows it by; asked once a thread.
fn is_media() -> bool {
    IS_MEDIA.with(|known| {
        known.get().unwrap_or_else(|| {
            // Looking it up allocates: this call must not ask again.
            known.set(Some(false));
            let name = std::fs::read_to_string("/proc/thread-self/comm").unwrap_or_default();
            let media =
                name.trim_end().strip_prefix("media-").is_some_and(|rest| !rest.starts_with("job"));
            known.set(Some(media));
            media
        })
    })
}

fn note() {
    if ON.load(Ordering::Relaxed) && is_media() {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note();
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn thousands_of_packets_and_ticks_allocate_nothing_on_the_worker() {
    let mut engine = engine_of(2, "/nowhere".into());
    let mut a = Phone::new(&mut engine, 1, Codec::Pcmu);
    let mut b = Phone::new(&mut engine, 2, Codec::Pcma);
    let mut c = Phone::new(&mut engine, 3, Codec::Pcma);
    let quiet = Phone::new(&mut engine, 4, Codec::Pcmu);
    let mut wide = Phone::new(&mut engine, 5, Codec::G722);
    let narrow = Phone::new(&mut engine, 6, Codec::Pcma);
    let opus = Phone::new(&mut engine, 7, Codec::Opus);
    bridge(&mut engine, wide.stream, narrow.stream);
    bridge(&mut engine, a.stream, b.stream);
    let source = Source::Stream(wide.stream);
    engine.send(WORKER, Command::Feed { stream: opus.stream, source });
    engine.send(WORKER, Command::Feed { stream: c.stream, source: Source::Echo });
    engine.send(WORKER, Command::Feed { stream: quiet.stream, source: Source::Silence });
    // Keys that are listened for and pressed, as events and as tones, and a prompt that is made.
    engine.send(WORKER, Command::Detect { stream: wide.stream, dtmf: true, fax: true });
    engine.send(WORKER, Command::Detect { stream: a.stream, dtmf: true, fax: true });
    let mut config = Phone::config(opus.socket.local_addr().unwrap(), Codec::Opus);
    config.telephone_event = None;
    engine.send(WORKER, Command::Configure { stream: opus.stream, config });
    let (stream, prompts) = (quiet.stream, [Prompt::Music].into());
    engine.send(WORKER, Command::Play { stream, op: OpId(1), prompts, times: 0 });
    let recordings = std::env::temp_dir().join(format!("koukan-no-alloc-{}", std::process::id()));
    std::fs::create_dir_all(&recordings).unwrap();
    for (op, phone) in [(5, &wide), (6, &a), (7, &opus)] {
        let recording = Box::new(Recording {
            path: recordings.join(format!("{op}.wav")).into(),
            seal: false,
            what: Recorded::Stereo,
            format: RecordFormat::Linear16k,
            longest: Duration::from_secs(3_600),
            silence: None,
            stop_digits: None,
            call: None,
        });
        let (stream, op) = (phone.stream, OpId(op));
        engine.send(WORKER, Command::Record { stream, op, recording });
    }
    // A room with members of several codecs, one of whom speaks, and something played into it.
    let mut member = Phone::new(&mut engine, 8, Codec::Pcma);
    let others = [(9, Codec::G722), (10, Codec::Opus), (11, Codec::Pcma), (12, Codec::Pcmu)];
    let others = others.map(|(number, codec)| Phone::new(&mut engine, number, codec));
    let room = BridgeId(1);
    // One of them on the other worker: the room has two parts.
    let (stream, to) = (others[3].stream, WorkerId(1));
    engine.send(WORKER, Command::Move { stream, to });
    wait(&mut engine, |event| (event == Event::Moved { stream }).then_some(()));
    for stream in others.iter().map(|phone| phone.stream).chain([member.stream]) {
        let worker = if stream == others[3].stream { to } else { WORKER };
        engine.send(worker, Command::Join { stream, room, muted: false });
    }
    let (op, prompts) = (OpId(8), [Prompt::Music].into());
    engine.send(WORKER, Command::Announce { room, op, prompts, times: 0 });
    std::thread::sleep(Duration::from_millis(300));
    for stream in [opus.stream, b.stream, narrow.stream] {
        let (op, digits) = (OpId(2), Digits::new(b"0123456789").unwrap());
        let order = Command::SendDigits { stream, op, digits, duration_ms: 100, pause_ms: 60 };
        engine.send(WORKER, order);
    }
    a.speak(1);
    b.speak(1);
    c.speak(1);
    std::thread::sleep(Duration::from_millis(300));
    ON.store(true, Ordering::SeqCst);
    for round in 0..600u32 {
        // As much as a stream may bring.
        std::thread::sleep(Duration::from_millis(5));
        a.speak(2);
        b.speak(3);
        c.speak(4);
        member.speak((round & 0x7F) as u8);
        wide.speak((round & 0x7F) as u8);
        a.socket.send_to(b"garbage", a.engine).unwrap();
        if round % 20 == 0 {
            // A busy machine must not overflow the sockets' buffers.
            let sent = u64::from(round) * 5;
            let patience = Instant::now() + Duration::from_secs(1);
            while engine.stats().workers[0].received < sent && Instant::now() < patience {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
    std::thread::sleep(Duration::from_millis(400));
    // A recording ends on the worker, too, and a member leaves.
    engine.send(WORKER, Command::Leave { stream: member.stream });
    engine.send(WORKER, Command::StopRecord { stream: a.stream, op: OpId(6) });
    std::thread::sleep(Duration::from_millis(100));
    ON.store(false, Ordering::SeqCst);
    let stats = engine.stats().workers[0];
    println!("{stats:?}, {} allocations or frees on the worker", COUNT.load(Ordering::SeqCst));
    assert!(stats.received > 2_500 && stats.sent > 2_500, "{stats:?}");
    assert_eq!(COUNT.load(Ordering::SeqCst), 0);
    drop(engine);
    for op in 5..8 {
        let file = std::fs::metadata(recordings.join(format!("{op}.wav"))).unwrap();
        assert!(file.len() > 20_000, "{op}: {}", file.len());
    }
    std::fs::remove_dir_all(recordings).unwrap();
}
