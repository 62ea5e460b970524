//! Packets that wait to be decoded: a ring by sequence number whose payloads share one arena of
//! chunks, so that ten small packets need no more room than one big.

/// Bytes of a chunk: 10 ms of G.711.
const CHUNK: usize = 80;

/// Nothing follows.
const END: u16 = u16::MAX;

/// What a packet is to the playout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Audio of the stream's codec.
    Audio,
    /// Comfort noise (RFC 3389).
    Noise,
    /// It takes a sequence number and no place in the sound: a telephone-event.
    Other,
}

/// A place in the ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// Extended sequence number of who is or was here; below zero: nobody yet.
    pub(super) sequence: i64,
    pub(super) held: bool,
    pub(super) kind: Kind,
    /// First sample of its sound.
    pub(super) timeline: i64,
    first_chunk: u16,
    pub(super) length: usize,
}

const NOBODY: Slot = Slot {
    sequence: i64::MIN,
    held: false,
    kind: Kind::Other,
    timeline: 0,
    first_chunk: END,
    length: 0,
};

/// The store.
#[derive(Debug)]
pub(super) struct Store {
    slots: Box<[Slot]>,
    chunks: Box<[[u8; CHUNK]]>,
    next: Box<[u16]>,
    free: u16,
    free_count: usize,
    held: usize,
}

impl Store {
    /// Room for `packets` (a power of two is made of it) and `bytes` of payload.
    pub(super) fn new(packets: usize, bytes: usize) -> Self {
        let count = bytes.div_ceil(CHUNK).clamp(1, usize::from(END));
        let next = (1..=u16::try_from(count).unwrap_or(END)).collect::<Box<[u16]>>();
        let mut store = Self {
            slots: vec![NOBODY; packets.next_power_of_two()].into(),
            chunks: vec![[0; CHUNK]; count].into(),
            next,
            free: 0,
            free_count: count,
            held: 0,
        };
        if let Some(last) = store.next.last_mut() {
            *last = END;
        }
        store
    }

    /// Packets that it can hold.
    pub(super) const fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Packets that it holds.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    fn place(&self, sequence: i64) -> usize {
        let mask = self.slots.len() - 1;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the low bits are what the mask keeps"
        )]
        let index = sequence as usize;
        index & mask
    }

    /// The packet with this number, when it waits here.
    pub(super) fn get(&self, sequence: i64) -> Option<&Slot> {
        self.slots.get(self.place(sequence)).filter(|slot| slot.held && slot.sequence == sequence)
    }

    /// Whether this number has been here, lately at least.
    pub(super) fn knows(&self, sequence: i64) -> bool {
        self.slots.get(self.place(sequence)).is_some_and(|slot| slot.sequence == sequence)
    }

    /// Whether a payload of so many bytes fits at the moment.
    pub(super) const fn fits(&self, length: usize) -> bool {
        length.div_ceil(CHUNK) <= self.free_count
    }

    /// Keeps a packet. The caller has made sure that it fits and that its place is free.
    pub(super) fn insert(&mut self, sequence: i64, kind: Kind, timeline: i64, payload: &[u8]) {
        debug_assert!(self.fits(payload.len()));
        let mut first = END;
        for part in payload.chunks(CHUNK).rev() {
            let index = self.free;
            let at = usize::from(index);
            let Some((chunk, next)) = self.chunks.get_mut(at).zip(self.next.get_mut(at)) else {
                break;
            };
            self.free = std::mem::replace(next, first);
            self.free_count -= 1;
            first = index;
            if let Some(to) = chunk.get_mut(..part.len()) {
                to.copy_from_slice(part);
            }
        }
        let slot = Slot {
            sequence,
            held: true,
            kind,
            timeline,
            first_chunk: first,
            length: payload.len(),
        };
        let place = self.place(sequence);
        if let Some(to) = self.slots.get_mut(place) {
            *to = slot;
            self.held += 1;
        }
    }

    /// Copies a packet's payload out; its length.
    pub(super) fn read(&self, slot: &Slot, out: &mut [u8]) -> usize {
        let mut index = slot.first_chunk;
        let mut copied = 0;
        while copied < slot.length {
            let at = usize::from(index);
            let Some((chunk, next)) = self.chunks.get(at).zip(self.next.get(at)) else { break };
            let count = CHUNK.min(slot.length - copied);
            let Some(to) = out.get_mut(copied..copied + count) else { break };
            to.copy_from_slice(chunk.get(..count).unwrap_or_default());
            copied += count;
            index = *next;
        }
        copied
    }

    /// Gives a packet's room back; its number stays known.
    pub(super) fn remove(&mut self, sequence: i64) {
        let place = self.place(sequence);
        let Some(slot) = self.slots.get_mut(place) else { return };
        if !slot.held || slot.sequence != sequence {
            return;
        }
        slot.held = false;
        self.held -= 1;
        let mut index = std::mem::replace(&mut slot.first_chunk, END);
        while let Some(next) = self.next.get_mut(usize::from(index)) {
            let following = std::mem::replace(next, self.free);
            self.free = index;
            self.free_count += 1;
            index = following;
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get(index) else { break };
            self.remove(slot.sequence);
            if let Some(slot) = self.slots.get_mut(index) {
                *slot = NOBODY;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_payload_comes_out_as_it_went_in_and_its_room_is_free_again() {
        let mut store = Store::new(8, 800);
        let payload: Vec<u8> = (0..=255).collect();
        for sequence in 0..100 {
            assert!(store.fits(256) && !store.fits(801));
            store.insert(sequence, Kind::Audio, 7, &payload);
            let slot = *store.get(sequence).unwrap();
            let mut out = [0; 300];
            let length = store.read(&slot, &mut out);
            assert_eq!(&out[..length], payload.as_slice());
            store.remove(sequence);
            assert!(store.get(sequence).is_none() && store.knows(sequence));
        }
        assert_eq!((store.held(), store.free_count), (0, 10));
    }

    proptest! {
        #[test]
        fn room_is_never_lost(ops in proptest::collection::vec((0i64..16, 0usize..400), 0..200)) {
            let mut store = Store::new(16, 4_000);
            for (sequence, length) in ops {
                if store.get(sequence).is_some() {
                    store.remove(sequence);
                } else if store.fits(length) {
                    store.insert(sequence, Kind::Audio, 0, &vec![1; length]);
                }
            }
            store.clear();
            prop_assert_eq!((store.held(), store.free_count), (0, 50));
        }
    }
}
