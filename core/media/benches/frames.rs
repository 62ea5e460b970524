//! What a stream costs for each 20 ms: jitter buffer, concealment, time-scaling. Time by criterion,
//! allocations by a counting allocator, the one place of this crate that needs `unsafe`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use koukan_base::Time;
use koukan_media::Concealer;
use koukan_media::jitter::{Decode, JitterBuffer, JitterConfig, JitterMode, Payload};
use koukan_media::mixer::{Mixer, MixerConfig};
use koukan_media::srtp::{MasterKey, SrtpReceiver, SrtpSender, Suite};
use koukan_media::tone::{DtmfDetector, FaxDetector, JAPAN, ProgressDetector};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes unchanged to the system's allocator, which upholds the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller upholds `alloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` through this allocator with the same layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as for `dealloc`; the caller upholds the contract of the size.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

/// Prints what 1000 turns of `work` allocate and how long the fastest of many runs of twenty took,
/// which says more than a mean on a machine that does other things too; then measures.
fn measure(criterion: &mut Criterion, name: &str, mut work: impl FnMut()) {
    work();
    let count = allocations(|| (0..1_000).for_each(|_| work()));
    let run = |work: &mut dyn FnMut()| {
        let begin = Instant::now();
        (0..20).for_each(|_| work());
        begin.elapsed().as_nanos() / 20
    };
    let fastest = (0..2_000).map(|_| run(&mut work)).min().unwrap_or(0);
    println!("{name}: fastest {fastest} ns, {count} allocations in 1000 frames");
    criterion.bench_function(name, |bench| bench.iter(&mut work));
}

/// Samples of a voice-like sound: three harmonics of a gliding pitch.
fn voice(count: usize) -> Vec<i16> {
    let mut phase = 0.0f64;
    let mut next = |n: usize| {
        phase += std::f64::consts::TAU * (130.0 + 25.0 * (n as f64 / 3_000.0).sin()) / 8_000.0;
        (phase.sin() + 0.6 * (phase * 2.0).sin() + 0.4 * (phase * 5.0).sin()) * 6_000.0
    };
    #[expect(clippy::cast_possible_truncation, reason = "at most 12,000")]
    (0..count).map(|n| next(n) as i16).collect()
}

/// Linear samples: the buffer's own cost, without a codec's.
struct Linear;

impl Decode for Linear {
    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        let samples = payload.chunks_exact(2).map(|pair| match pair {
            [high, low] => i16::from_be_bytes([*high, *low]),
            _ => 0,
        });
        out.iter_mut().zip(samples).map(|(to, sample)| *to = sample).count()
    }

    fn conceal(&mut self, _: Option<&[u8]>, _: &mut [i16]) -> bool {
        false
    }
}

/// A stream that loses `lost` of a hundred packets and whose packets are late by up to `late_ms`.
fn stream(lost: u32, late_ms: u64) -> impl FnMut() {
    let mode = JitterMode::VOICE;
    let payload_bytes = JitterConfig::payload_room(mode, 16_000);
    let config = JitterConfig { sample_rate: 8_000, clock_rate: 8_000, payload_bytes, mode };
    let mut buffer = JitterBuffer::new(config);
    let payload: Vec<u8> = voice(160).iter().flat_map(|sample| sample.to_be_bytes()).collect();
    let (mut number, mut state, mut out) = (0u64, 1u32, [0i16; 160]);
    move || {
        number += 1;
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let now = Time::from_millis(number * 20);
        let late = u64::from(state >> 8) % (late_ms + 1) / 20;
        if (state >> 16) % 100 >= lost && number > late {
            let number = number - late;
            #[expect(clippy::cast_possible_truncation, reason = "as on the wire")]
            let numbers = (1, number as u16, (number * 160) as u32);
            buffer.insert(now, numbers, Payload::Audio(&payload));
        }
        buffer.pull(now + Duration::from_millis(1), &mut Linear, &mut out);
        black_box(&out);
    }
}

fn jitter(criterion: &mut Criterion) {
    measure(criterion, "jitter buffer, steady", stream(0, 0));
    measure(criterion, "jitter buffer, 5 % lost, 60 ms jitter", stream(5, 60));
    let heard = voice(800);
    let (mut concealer, mut out) = (Concealer::new(8_000), [0i16; 160]);
    measure(criterion, "concealment, lost frame and the next", || {
        concealer.conceal(black_box(&heard), &mut out);
        concealer.rejoin(&mut out);
    });
}

fn srtp(criterion: &mut Criterion) {
    for suite in Suite::ALL {
        let bytes = [0x5A; 46];
        let key = bytes.get(..suite.key_bytes() + suite.salt_bytes()).unwrap_or_default();
        let Some(master) = MasterKey::new(suite, key) else { continue };
        let mut sender = SrtpSender::new(&master);
        let mut packet = [0u8; 200];
        let mut sequence = 0u16;
        let mut fill = move |packet: &mut [u8; 200]| {
            sequence = sequence.wrapping_add(1);
            if let Some(head) = packet.first_chunk_mut() {
                let [high, low] = sequence.to_be_bytes();
                *head = [0x80, 0, high, low, 0, 0, 0, 0, 0, 0, 0, 1];
            }
        };
        measure(criterion, &format!("{} protect 172 bytes", suite.name()), || {
            fill(&mut packet);
            let _ = black_box(sender.protect_rtp(&mut packet, 172));
        });
        let mut sender = SrtpSender::new(&master);
        let mut receiver = SrtpReceiver::new(&master);
        measure(criterion, &format!("{} protect and unprotect", suite.name()), || {
            fill(&mut packet);
            let length = sender.protect_rtp(&mut packet, 172).unwrap_or(0);
            let sealed = packet.get_mut(..length).unwrap_or_default();
            let _ = black_box(receiver.unprotect_rtp(sealed));
        });
    }
}

fn tones(criterion: &mut Criterion) {
    let sound = voice(160);
    let mut dtmf = DtmfDetector::new();
    measure(criterion, "DTMF detector", || {
        dtmf.listen(black_box(&sound), |event| {
            black_box(event);
        });
    });
    let mut fax = FaxDetector::new();
    measure(criterion, "CNG and CED detector", || {
        fax.listen(black_box(&sound), |tone| {
            black_box(tone);
        });
    });
    let mut progress = ProgressDetector::new(&JAPAN);
    measure(criterion, "call-progress detector", || {
        progress.listen(black_box(&sound), |tone| {
            black_box(tone);
        });
    });
}

fn rooms(criterion: &mut Criterion) {
    for (members, talkers) in [(8, 8), (32, 32), (100, 100), (100, 8), (2_000, 8)] {
        let config = MixerConfig { rate: 8_000, frame: 160, members, talkers, part: 0 };
        let mut mixer = Mixer::new(config);
        while mixer.join(0).is_some() {}
        let (sound, mut out) = (voice(160), [0i16; 160]);
        // Everybody speaks in a small room, a tenth of a big one.
        let speaks = |place: usize| members == talkers || place.is_multiple_of(10);
        measure(criterion, &format!("room of {members}, {talkers} summed"), || {
            for place in (0..members).filter(|place| speaks(*place)) {
                if let Some(input) = mixer.input(place) {
                    input.copy_from_slice(&sound);
                }
            }
            mixer.mix(&[], |event| {
                black_box(event);
            });
            for place in (0..members).filter(|place| mixer.hears_own(*place, &[])) {
                mixer.output(place, &[], &mut out);
                black_box(&out);
            }
            black_box(mixer.common());
            mixer.finish();
        });
    }
}

criterion_group!(all, jitter, srtp, tones, rooms);
criterion_main!(all);
