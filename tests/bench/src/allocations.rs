//! The counting allocator: what media workers allocate and free while counting is on. It stands in
//! no RFC.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::media::THREAD;

struct Counting;

static ON: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_WORKER: Cell<Option<bool>> = const { Cell::new(None) };
}

/// Counts from now on, from nothing.
pub(crate) fn begin() {
    COUNT.store(0, Ordering::SeqCst);
    ON.store(true, Ordering::SeqCst);
}

/// Counts no longer; how many it were.
pub(crate) fn end() -> u64 {
    ON.store(false, Ordering::SeqCst);
    COUNT.load(Ordering::SeqCst)
}

/// Whether this is the worker, by the name that the kernel knows it by; asked once a thread.
fn is_worker() -> bool {
    IS_WORKER.with(|known| {
        known.get().unwrap_or_else(|| {
            // Looking it up allocates: this call must not ask again.
            known.set(Some(false));
            let name = std::fs::read_to_string("/proc/thread-self/comm").unwrap_or_default();
            let is_worker = name.trim_end() == THREAD;
            known.set(Some(is_worker));
            is_worker
        })
    })
}

fn note() {
    if ON.load(Ordering::Relaxed) && is_worker() {
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
