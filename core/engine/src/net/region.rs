//! The buffers that the kernel puts datagrams into: a ring of descriptors in one page-aligned piece
//! of memory, and behind it the buffers themselves. One that was taken is given back at once.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

/// Buffers, a power of two: those of one turn, for all streams of a worker.
const COUNT: u16 = 1_024;

/// Bytes of one: the longest packet that is taken, the sender's address, and what the kernel says
/// of both.
const BYTES: usize = 2_048;

const ENTRY: usize = size_of::<BufRingEntry>();
const RING: usize = ENTRY * COUNT as usize;
const WHOLE: usize = RING + BYTES * COUNT as usize;
const PAGE: usize = 4_096;

/// The memory. It must outlive the ring that it is registered with.
pub(super) struct Region {
    memory: NonNull<u8>,
    tail: u16,
}

impl Region {
    /// What receives call it by.
    pub(super) const GROUP: u16 = 0;

    /// All buffers, given to the kernel.
    ///
    /// # Errors
    /// The kernel is too old for a ring of buffers, or has no memory for it.
    pub(super) fn new(submitter: &Submitter<'_>) -> io::Result<Self> {
        let layout = layout();
        // SAFETY: the layout is not empty.
        let memory = unsafe { alloc_zeroed(layout) };
        let memory = NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout));
        let mut own = Self { memory, tail: 0 };
        let address = u64::try_from(memory.as_ptr().addr()).unwrap_or(0);
        // SAFETY: the descriptors are the first bytes of the memory, page-aligned and as many as is
        // said, and stay where they are until the ring is gone.
        unsafe { submitter.register_buf_ring_with_flags(address, COUNT, Self::GROUP, 0) }?;
        (0..COUNT).for_each(|number| own.give_back(number));
        Ok(own)
    }

    /// The first bytes of a buffer that the kernel has filled and that was not given back since.
    pub(super) fn bytes(&self, number: u16, length: usize) -> &[u8] {
        let start = self.buffer(number);
        // SAFETY: the buffer lies in the memory, was zeroed at first, and the kernel writes no more
        // to it until it is given back, for which this borrow must have ended.
        unsafe { std::slice::from_raw_parts(start, length.min(BYTES)) }
    }

    /// Where a buffer begins.
    fn buffer(&self, number: u16) -> *mut u8 {
        let offset = RING + BYTES * usize::from(number % COUNT);
        // SAFETY: it lies in the memory.
        unsafe { self.memory.as_ptr().add(offset) }
    }

    /// Lets the kernel fill a buffer again.
    pub(super) fn give_back(&mut self, number: u16) {
        let number = number % COUNT;
        let address = u64::try_from(self.buffer(number).addr()).unwrap_or(0);
        let ring: *mut BufRingEntry = self.memory.as_ptr().cast();
        // SAFETY: it is one of the descriptors.
        let place = unsafe { ring.add(usize::from(self.tail % COUNT)) };
        // SAFETY: the kernel reads a descriptor only when the tail is behind it.
        let entry = unsafe { &mut *place };
        entry.set_addr(address);
        entry.set_len(u32::try_from(BYTES).unwrap_or(0));
        entry.set_bid(number);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the first descriptor is a valid one.
        let tail = unsafe { BufRingEntry::tail(ring) };
        // SAFETY: the tail is aligned, and what the kernel and we have of it is read and written as
        // a whole.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: it was made with this layout, and the ring that fills it is gone.
        unsafe { dealloc(self.memory.as_ptr(), layout()) };
    }
}

fn layout() -> Layout {
    Layout::from_size_align(WHOLE, PAGE).unwrap_or(Layout::new::<[u8; WHOLE]>())
}
