//! How a hot loop is measured: time by criterion, allocations by a counting allocator, the one
//! place of these benches that needs `unsafe`. One that allocates fails.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Instant;

use criterion::Criterion;

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

/// Turns whose allocations are counted, behind the first one.
const TURNS: u32 = 1_000;

/// Prints how long the fastest of many runs of twenty took, which says more than a mean on a
/// machine that does other things too; then measures. With `--quick` to the bench each is one line.
///
/// # Panics
/// The loop allocates.
pub(crate) fn measure(criterion: &mut Criterion, name: &str, mut work: impl FnMut()) {
    work();
    let count = allocations(|| (0..TURNS).for_each(|_| work()));
    assert_eq!(count, 0, "{name}: allocations in {TURNS} turns");
    let run = |work: &mut dyn FnMut()| {
        let begin = Instant::now();
        (0..20).for_each(|_| work());
        begin.elapsed().as_nanos() / 20
    };
    let fastest = (0..2_000).map(|_| run(&mut work)).min().unwrap_or(0);
    println!("{name}: fastest {fastest} ns, no allocation in {TURNS} turns");
    criterion.bench_function(name, |bench| bench.iter(&mut work));
}

/// Samples of a voice-like sound: three harmonics of a gliding pitch.
pub(crate) fn voice(count: usize, rate: u32) -> Vec<i16> {
    let mut phase = 0.0f64;
    let mut next = |n: usize| {
        let time = n as f64 / f64::from(rate);
        let pitch = 130.0 + 25.0 * (time * 8.0 / 3.0).sin();
        phase += std::f64::consts::TAU * pitch / f64::from(rate);
        (phase.sin() + 0.6 * (phase * 2.0).sin() + 0.4 * (phase * 5.0).sin()) * 6_000.0
    };
    #[expect(clippy::cast_possible_truncation, reason = "at most 12,000")]
    (0..count).map(|n| next(n) as i16).collect()
}
