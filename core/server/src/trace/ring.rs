//! The ring: one block of memory, written through from its beginning to its end and again; each new
//! message takes the place of the oldest. Nothing is allocated a message.

use std::collections::VecDeque;

use jiff::Timestamp;
use koukan_sip::Flow;

/// What is known of a message beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) at: Timestamp,
    pub(super) sent: bool,
    pub(super) flow: Flow,
    /// Its length, of which no more than [`MESSAGE_BYTES`] are kept.
    pub(super) whole: usize,
    start: usize,
    length: usize,
}

/// Of one message no more is kept: no call needs it, and one stranger's must not drive out many.
const MESSAGE_BYTES: usize = 16 * 1024;

/// A message takes this much of the ring at least when its head is counted.
const LEAST: usize = 512;

#[derive(Debug)]
pub(super) struct Ring {
    bytes: Box<[u8]>,
    next: usize,
    heads: VecDeque<Head>,
}

impl Ring {
    /// A ring of so many bytes. They are taken from the system at once, so that what a server
    /// needs is known when it has started.
    pub(super) fn new(bytes: usize) -> Self {
        let heads = VecDeque::with_capacity(bytes / LEAST + 1);
        Self { bytes: vec![b'-'; bytes].into_boxed_slice(), next: 0, heads }
    }

    /// Keeps a message instead of the oldest.
    pub(super) fn push(&mut self, at: Timestamp, sent: bool, flow: Flow, message: &[u8]) {
        let length = message.len().min(MESSAGE_BYTES).min(self.bytes.len());
        if self.heads.len() > self.bytes.len() / LEAST {
            self.heads.pop_front();
        }
        if self.next + length > self.bytes.len() {
            // What lies behind is of the last round.
            while self.heads.front().is_some_and(|head| head.start >= self.next) {
                self.heads.pop_front();
            }
            self.next = 0;
        }
        let (start, end) = (self.next, self.next + length);
        let overlaps = |head: &Head| head.start < end && head.start + head.length > start;
        while self.heads.front().is_some_and(overlaps) {
            self.heads.pop_front();
        }
        let (Some(place), Some(kept)) = (self.bytes.get_mut(start..end), message.get(..length))
        else {
            return;
        };
        place.copy_from_slice(kept);
        self.next = end;
        self.heads.push_back(Head { at, sent, flow, whole: message.len(), start, length });
    }

    /// What is kept, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Head, &[u8])> {
        let bytes = |head: &Head| self.bytes.get(head.start..head.start + head.length);
        self.heads.iter().map(move |head| (head, bytes(head).unwrap_or_default()))
    }
}
