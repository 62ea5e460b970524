//! Keeping the delay where it should be: periods taken out or put in, drift made up in pauses.

use super::{Decode, JitterBuffer, SLACK_MS, to_u64};
use crate::jitter::store::{Kind, Slot};
use crate::jitter::stretch;
use crate::pitch::{self, to_usize};

/// This far off, in ms, it is corrected at any price.
const URGENT_MS: i64 = 100;

/// Packets that are looked at between two corrections.
const LEVELS: u8 = 4;

/// So much quieter than the voice lately, as a shift of its peak (24 dB), a period more or less is
/// not heard. In the middle of a word it is, and costs more than a packet that is concealed.
const PAUSE_SHIFT: u32 = 4;

/// A pull makes the peak that is remembered lower by a 128th, as a shift: half in two seconds.
const FORGET_SHIFT: u32 = 7;

/// Looks, each at four packets, that less delay waits for a pause (and more, when lost packets
/// could be had again), and the little that could be saved between two pulls.
const PATIENCE: u8 = 8;
const PATIENCE_SAVE: u8 = 40;

/// This far above the target, in ms, no pause is waited for.
const FAR_MS: i64 = 40;

/// More delay waits for a pause unless so many packets of a thousand come too late meanwhile.
const LATE_PER_MILLE: u64 = 10;

/// What there is to do about the delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Correction {
    /// It is above what packets need.
    Shorten,
    /// It is what they need, but sound waits before each of them.
    Save,
    /// It is too little.
    Lengthen,
}

/// Peak of what is no carrier: a few steps of either law.
const QUIET: u16 = 64;

impl JitterBuffer {
    /// Takes one period out or puts one in when the delay is not what it should be: in a pause
    /// between words, in a word only when none comes.
    pub(super) fn adapt<D: Decode>(&mut self, now: i64, decoder: &mut D, wanted: usize) {
        self.remember_peak(wanted);
        let off = self.level.saturating_sub(self.target_samples());
        let urgent = off.abs() > self.of_ms(URGENT_MS);
        if self.levels < if urgent { 1 } else { LEVELS } {
            return;
        }
        // A voice that cannot be cut here may be a few packets later, by what is true then.
        self.levels = 0;
        let correction = match off {
            _ if off > self.of_ms(SLACK_MS) => Correction::Shorten,
            0.. if self.ahead == 0 => {
                self.patience = 0;
                return;
            }
            0.. => Correction::Save,
            _ => Correction::Lengthen,
        };
        if correction == Correction::Shorten {
            self.look_ahead(now, decoder, wanted);
        }
        let Some(alike) = self.alike(correction, urgent, off) else { return };
        let changed = match correction {
            Correction::Shorten => {
                let spare = self.pending().saturating_sub(wanted) >= pitch::longest(self.rate);
                let longest = pitch::longest(self.rate);
                self.take_out(if spare { longest } else { 0 }, alike)
            }
            Correction::Save => {
                // Packets are in time, so what waits before each of them waits for nothing.
                let spare = self.pending().saturating_sub(wanted).min(self.pending() / 2);
                self.take_out(self.ahead.min(spare).min(pitch::longest(self.rate)), alike)
            }
            Correction::Lengthen => {
                let (start, end) = (self.history, self.end);
                let made = stretch::lengthen(&mut self.pcm, start, end, self.rate, alike);
                self.end += made.unwrap_or(0);
                self.counts.inserted += to_u64(made.unwrap_or(0));
                made.is_some()
            }
        };
        if changed {
            self.patience = 0;
        }
    }

    /// Takes one period of at most `longest` samples out of what waits; whether it did.
    fn take_out(&mut self, longest: usize, alike: f32) -> bool {
        let (from, to) = (self.history, self.end);
        let pending = self.pcm.get_mut(from..to).filter(|_| longest > 0).unwrap_or_default();
        let lag = stretch::shorten(pending, longest, self.rate, alike);
        self.end -= lag.unwrap_or(0);
        self.counts.removed += to_u64(lag.unwrap_or(0));
        lag.is_some()
    }

    /// How alike two periods must be for a correction here; `None` when it had better wait.
    fn alike(&mut self, correction: Correction, urgent: bool, off: i64) -> Option<f32> {
        if urgent {
            return Some(stretch::ALIKE_ENOUGH);
        }
        if self.is_pause() {
            return Some(stretch::ANYHOW);
        }
        self.patience = self.patience.saturating_add(1);
        let waited = match correction {
            Correction::Shorten => off > self.of_ms(FAR_MS) || self.patience >= PATIENCE,
            Correction::Save => self.patience >= PATIENCE_SAVE,
            Correction::Lengthen => {
                let late = self.delays.late_per_mille(self.level) >= LATE_PER_MILLE;
                late || self.losses.waits() && self.patience >= PATIENCE
            }
        };
        waited.then_some(stretch::ALIKE)
    }

    /// Whether what is played now, two periods of it, is no word.
    fn is_pause(&self) -> bool {
        let longest = pitch::longest(self.rate);
        let end = self.end.min(self.history + 2 * longest);
        let from = self.history.saturating_sub(longest);
        peak(self.pcm.get(from..end).unwrap_or_default()) <= self.loudest >> PAUSE_SHIFT
    }

    fn remember_peak(&mut self, wanted: usize) {
        let (from, to) = (self.history, self.history + wanted);
        let now = peak(self.pcm.get(from..to).unwrap_or_default());
        self.loudest = now.max(self.loudest - (self.loudest >> FORGET_SHIFT));
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

fn peak(samples: &[i16]) -> u16 {
    samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0)
}
