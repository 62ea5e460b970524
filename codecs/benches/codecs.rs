//! What 20 ms cost in each codec and converter. Time by criterion, allocations by a counting
//! allocator, the one place of these benches that needs `unsafe`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use koukan_codecs::opus::OpusSettings;
use koukan_codecs::{Resampler, g711, g722, l16, opus};

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

/// A gliding tone with noise.
fn sound(count: usize, rate: f64) -> Vec<i16> {
    let mut state = 1u32;
    let next = |n: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = f64::from(state.cast_signed() >> 16) / 32.0;
        let time = n as f64 / rate;
        (time * 1_500.0 + (time * 9.0).sin() * 50.0).sin() * 7_000.0 + noise
    };
    #[expect(clippy::cast_possible_truncation, reason = "at most 8000")]
    (0..count).map(next).map(|sample| sample as i16).collect()
}

fn laws(criterion: &mut Criterion) {
    let samples = sound(160, 8_000.0);
    let (mut bytes, mut back) = ([0u8; 160], [0i16; 160]);
    measure(criterion, "G.711 µ-law encode", || {
        g711::encode_ulaw(black_box(&samples), black_box(&mut bytes));
    });
    measure(criterion, "G.711 µ-law decode", || {
        g711::decode_ulaw(black_box(&bytes), black_box(&mut back));
    });
    measure(criterion, "G.711 A-law encode", || {
        g711::encode_alaw(black_box(&samples), black_box(&mut bytes));
    });
    measure(criterion, "G.711 A-law decode", || {
        g711::decode_alaw(black_box(&bytes), black_box(&mut back));
    });
    let mut payload = [0u8; 320];
    measure(criterion, "L16 encode and decode", || {
        l16::encode(black_box(&samples), &mut payload);
        l16::decode(black_box(&payload), black_box(&mut back));
    });
}

fn adpcm(criterion: &mut Criterion) {
    let samples = sound(320, 16_000.0);
    let (mut bytes, mut back) = ([0u8; 160], [0i16; 320]);
    let (mut encoder, mut decoder) = (g722::Encoder::new(), g722::Decoder::new());
    measure(criterion, "G.722 encode", || {
        encoder.encode(black_box(&samples), black_box(&mut bytes));
    });
    measure(criterion, "G.722 decode", || {
        decoder.decode(black_box(&bytes), black_box(&mut back));
    });
}

fn opus_coders(criterion: &mut Criterion) {
    for rate in [8_000u32, 16_000, 48_000] {
        let frame = usize::try_from(rate / 50).unwrap_or(0);
        let samples = sound(frame * 50, f64::from(rate));
        for complexity in [0, 5] {
            let settings = OpusSettings { complexity, ..Default::default() };
            let Ok(mut encoder) = opus::Encoder::new(rate, settings) else { continue };
            let (mut payload, mut number) = ([0u8; 1_500], 0);
            let name = format!("Opus encode {rate} Hz complexity {complexity}");
            measure(criterion, &name, || {
                number = (number + 1) % 50;
                let frame = samples.get(number * frame..(number + 1) * frame);
                black_box(encoder.encode(frame.unwrap_or_default(), &mut payload));
            });
        }
        let Ok(mut encoder) = opus::Encoder::new(rate, OpusSettings::default()) else { continue };
        let Ok(mut decoder) = opus::Decoder::new(rate) else { continue };
        let mut packets = Vec::new();
        for frame in samples.chunks_exact(frame) {
            let mut payload = vec![0u8; 1_500];
            let count = encoder.encode(frame, &mut payload);
            payload.truncate(count);
            packets.push(payload);
        }
        let (mut out, mut number) = (vec![0i16; frame], 0);
        measure(criterion, &format!("Opus decode {rate} Hz"), || {
            number = (number + 1) % packets.len();
            let packet = packets.get(number).map(Vec::as_slice).unwrap_or_default();
            black_box(decoder.decode(packet, &mut out));
        });
        measure(criterion, &format!("Opus conceal {rate} Hz"), || {
            black_box(decoder.conceal(None, &mut out));
        });
    }
}

fn converters(criterion: &mut Criterion) {
    for (from, to) in [(8_000u32, 16_000u32), (16_000, 8_000), (8_000, 48_000), (48_000, 8_000)] {
        let Some(mut resampler) = Resampler::new(from, to) else { continue };
        let input = sound(usize::try_from(from / 50).unwrap_or(0), f64::from(from));
        let mut out = vec![0i16; usize::try_from(to / 50).unwrap_or(0)];
        measure(criterion, &format!("convert {from} to {to}"), || {
            black_box(resampler.process(black_box(&input), &mut out));
        });
    }
}

criterion_group!(all, laws, adpcm, opus_coders, converters);
criterion_main!(all);
