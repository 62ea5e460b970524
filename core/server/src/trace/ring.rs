//! The ring: one block of memory, written through from its beginning to its end and again; each new
//! text takes the place of the oldest. Nothing is allocated a text, and the whole block is taken
//! from the system at once, so that what a server needs is known when it has started.

use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Ring<T> {
    bytes: Box<[u8]>,
    next: usize,
    heads: VecDeque<Entry<T>>,
    /// No more texts than this are kept, however short they are.
    most: usize,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    head: T,
    start: usize,
    length: usize,
}

impl<T: Clone> Ring<T> {
    /// A ring of so many bytes and at most so many texts; `blank` is what is written into its
    /// memory before it is used.
    pub(super) fn new(bytes: usize, most: usize, blank: T) -> Self {
        let most = most.max(1);
        let mut heads = VecDeque::with_capacity(most);
        heads.extend(std::iter::repeat_n(Entry { head: blank, start: 0, length: 0 }, most));
        std::hint::black_box(&mut heads).clear();
        Self { bytes: vec![b'-'; bytes].into_boxed_slice(), next: 0, heads, most }
    }

    /// Keeps a text instead of the oldest; what is longer than the ring is cut.
    pub(super) fn push(&mut self, head: T, text: &[u8]) {
        let length = text.len().min(self.bytes.len());
        if self.heads.len() >= self.most {
            self.heads.pop_front();
        }
        if self.next + length > self.bytes.len() {
            // What lies behind is of the last round.
            while self.heads.front().is_some_and(|entry| entry.start >= self.next) {
                self.heads.pop_front();
            }
            self.next = 0;
        }
        let (start, end) = (self.next, self.next + length);
        let overlaps = |entry: &Entry<T>| entry.start < end && entry.start + entry.length > start;
        while self.heads.front().is_some_and(overlaps) {
            self.heads.pop_front();
        }
        let (Some(place), Some(kept)) = (self.bytes.get_mut(start..end), text.get(..length)) else {
            return;
        };
        place.copy_from_slice(kept);
        self.next = end;
        self.heads.push_back(Entry { head, start, length });
    }

    /// What is kept, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&T, &[u8])> {
        let bytes = |entry: &Entry<T>| self.bytes.get(entry.start..entry.start + entry.length);
        self.heads.iter().map(move |entry| (&entry.head, bytes(entry).unwrap_or_default()))
    }
}
