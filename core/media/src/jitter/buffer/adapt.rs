//! Keeping the delay where it should be: periods taken out or put in, drift made up in pauses.

use super::{Decode, JitterBuffer, SLACK_MS, to_u64};
use crate::jitter::store::{Kind, Slot};
use crate::jitter::stretch;
use crate::pitch::{self, to_usize};

/// This far off, in ms, it is corrected at any price.
const URGENT_MS: i64 = 100;

/// Packets that are looked at between two corrections.
const LEVELS: u8 = 4;

/// Peak of what is no carrier: a few steps of either law.
const QUIET: u16 = 64;

impl JitterBuffer {
    /// Takes one period out or puts one in when the delay is not what it should be.
    pub(super) fn adapt<D: Decode>(&mut self, now: i64, decoder: &mut D, wanted: usize) {
        let off = self.level.saturating_sub(self.target_samples());
        let urgent = off.abs() > self.of_ms(URGENT_MS);
        if self.levels < if urgent { 1 } else { LEVELS } {
            return;
        }
        if off > self.of_ms(SLACK_MS) {
            self.look_ahead(now, decoder, wanted);
            let (from, to) = (self.history, self.end);
            let spare = self.pending().saturating_sub(wanted) >= pitch::longest(self.rate);
            let pending = self.pcm.get_mut(from..to).filter(|_| spare).unwrap_or_default();
            let lag = stretch::shorten(pending, pitch::longest(self.rate), self.rate, urgent);
            self.end -= lag.unwrap_or(0);
            self.counts.removed += to_u64(lag.unwrap_or(0));
        } else if off >= 0 {
            // Packets are in time, so what waits before each of them waits for nothing.
            let spare = self.pending().saturating_sub(wanted).min(self.pending() / 2);
            let most = self.ahead.min(spare).min(pitch::longest(self.rate));
            let (from, to) = (self.history, self.end);
            let pending = self.pcm.get_mut(from..to).unwrap_or_default();
            let lag = stretch::shorten(pending, most, self.rate, false).unwrap_or(0);
            self.end -= lag;
            self.counts.removed += to_u64(lag);
        } else {
            let (start, end) = (self.history, self.end);
            let made = stretch::lengthen(&mut self.pcm, start, end, self.rate, urgent);
            self.end += made.unwrap_or(0);
            self.counts.inserted += to_u64(made.unwrap_or(0));
        }
        // A voice that cannot be cut here may be a few packets later, by what is true then.
        self.levels = 0;
    }

    /// Decodes what shortening needs beyond what is wanted, if it is there.
    fn look_ahead<D: Decode>(&mut self, now: i64, decoder: &mut D, wanted: usize) {
        let longest = pitch::longest(self.rate);
        let known = (self.level, self.levels, self.ahead);
        while self.pending() < wanted.max(longest) + longest {
            let following = self.store.get(self.next).copied();
            let next_in_time = |slot: &Slot| slot.kind == Kind::Audio && slot.timeline == self.head;
            let Some(slot) = following.filter(next_in_time) else { break };
            self.fetch(now, decoder, slot);
        }
        // A packet that is fetched early says nothing about how long they wait.
        (self.level, self.levels, self.ahead) = known;
    }

    /// Fixed delay: drift is made up where nothing is sent, or not at all.
    pub(super) fn settle(&mut self, wanted: usize) {
        if self.levels < LEVELS {
            return;
        }
        let target = self.target_samples();
        let off = self.level - target;
        self.levels = 0;
        let (start, end) = (self.history, self.end);
        let quiet = self.pcm.get(start - wanted.min(start)..end).unwrap_or_default();
        if off.abs() < target / 4 || quiet.iter().any(|sample| sample.unsigned_abs() > QUIET) {
            return;
        }
        let count = usize::try_from(off.unsigned_abs()).unwrap_or(usize::MAX);
        if off > 0 {
            let count = count.min(self.pending() - wanted);
            self.pcm.copy_within(start + count..end, start);
            self.end -= count;
            self.counts.removed += to_u64(count);
        } else {
            let count = count.min(self.pcm.len() - end).min(to_usize(self.rate / 50));
            self.pcm.copy_within(start..end, start + count);
            if let Some(new) = self.pcm.get_mut(start..start + count) {
                new.fill(0);
            }
            self.end += count;
            self.counts.inserted += to_u64(count);
        }
    }
}
