//! What lies between the worker and the thread that writes: a fixed number of blocks that go round.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;
use koukan_media::RecordEnd;

/// Blocks of one recording, of half a second each: a disk may stand still for four seconds.
const BLOCKS: usize = 8;

/// Sound on its way to the disk.
#[derive(Debug)]
pub(crate) struct Block {
    /// Interleaved samples, `filled` of them.
    pub(crate) samples: Box<[i16]>,
    pub(crate) filled: usize,
    /// So many samples of each channel found no block before these.
    pub(crate) gap: u64,
}

/// The ring of one recording.
#[derive(Debug)]
pub(crate) struct Ring {
    full: ArrayQueue<Block>,
    empty: ArrayQueue<Box<[i16]>>,
    /// How it ended; 0 while it runs.
    end: AtomicU32,
    dropped: AtomicU64,
    /// The file cannot be written.
    failed: AtomicBool,
}

impl Ring {
    /// A ring of blocks of half a second.
    pub(crate) fn new(sample_rate: u32, channels: u16) -> Self {
        let samples = usize::try_from(sample_rate / 2).unwrap_or(0) * usize::from(channels);
        let empty = ArrayQueue::new(BLOCKS);
        for _ in 0..BLOCKS {
            // The queue has as many places.
            let _ = empty.push(vec![0; samples].into());
        }
        Self {
            full: ArrayQueue::new(BLOCKS),
            empty,
            end: AtomicU32::new(0),
            dropped: AtomicU64::new(0),
            failed: AtomicBool::new(false),
        }
    }

    /// Room for half a second; none when the disk is behind.
    pub(crate) fn room(&self) -> Option<Box<[i16]>> {
        self.empty.pop()
    }

    /// Gives a block to the writer. There are as many places as blocks.
    pub(crate) fn give(&self, block: Block) {
        drop(self.full.push(block));
    }

    pub(crate) fn take(&self) -> Option<Block> {
        self.full.pop()
    }

    /// A block is written and free again.
    pub(crate) fn give_back(&self, samples: Box<[i16]>) {
        drop(self.empty.push(samples));
    }

    /// So many samples more of each channel found no room.
    pub(crate) fn note_dropped(&self, count: u64) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Nothing follows what was given; the first end counts.
    pub(crate) fn finish(&self, end: RecordEnd) {
        let (old, new) = (0, code(end));
        let _ = self.end.compare_exchange(old, new, Ordering::Release, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) -> Option<RecordEnd> {
        ended(self.end.load(Ordering::Acquire))
    }

    pub(crate) fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

fn code(end: RecordEnd) -> u32 {
    match end {
        RecordEnd::Stopped => 1,
        RecordEnd::Longest => 2,
        RecordEnd::Silence => 3,
        RecordEnd::DiskError => 4,
        RecordEnd::Refused => 5,
        RecordEnd::Unserved => 6,
        RecordEnd::Digit(digit) => 0x100 | u32::from(digit),
    }
}

fn ended(code: u32) -> Option<RecordEnd> {
    let [.., kind, digit] = code.to_be_bytes();
    match (kind, digit) {
        (0, 0) => None,
        (0, 2) => Some(RecordEnd::Longest),
        (0, 3) => Some(RecordEnd::Silence),
        (0, 4) => Some(RecordEnd::DiskError),
        (0, 5) => Some(RecordEnd::Refused),
        (0, 6) => Some(RecordEnd::Unserved),
        (0, _) => Some(RecordEnd::Stopped),
        (_, digit) => Some(RecordEnd::Digit(digit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_goes_through_and_the_first_one_counts() {
        for end in [
            RecordEnd::Stopped,
            RecordEnd::Longest,
            RecordEnd::Silence,
            RecordEnd::Digit(b'#'),
            RecordEnd::DiskError,
            RecordEnd::Refused,
            RecordEnd::Unserved,
        ] {
            let ring = Ring::new(8_000, 1);
            assert_eq!(ring.end(), None);
            ring.finish(end);
            ring.finish(RecordEnd::Stopped);
            assert_eq!(ring.end(), Some(end));
        }
    }
}
