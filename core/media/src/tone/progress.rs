//! Call-progress tones of a country: what they mean, and a detector that tells them by their
//! frequencies and their rhythm.

use super::generator::Tone;
use super::goertzel::{Goertzel, energy};

/// What the network says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// Dial: it waits for digits.
    Dial,
    /// The called phone rings.
    Ringback,
    /// The called party is busy.
    Busy,
    /// No way to the called party.
    Reorder,
}

/// The tones of a country.
pub type Tones = [(Progress, Tone); 4];

const RATE: u32 = 8_000;
/// A block of 20 ms.
const BLOCK: usize = 160;
/// A steady tone is the dial tone after so many blocks: longer than any that pauses.
const STEADY: u32 = 110;
/// Blocks of silence that end a tone.
const DIP: u32 = 3;
/// Blocks of silence after which nothing of before counts: 6 s.
const FORGOTTEN: u32 = 300;
/// Mean square of the weakest tone: about -35 dBm0.
const WEAKEST: f32 = 40_000.0;
/// Share of the tone in all of the sound.
const PURE: f32 = 0.6;
/// By how much a rhythm may be off: a block at each end, and a tenth.
const SLACK_MS: u32 = 40;

/// The detector of one country's tones at 8 kHz. Each is reported once, when its rhythm is certain
/// after one and a half periods, and again only after another.
#[derive(Debug)]
pub struct ProgressDetector {
    tones: &'static Tones,
    filters: [[Goertzel; 2]; 4],
    block: [f32; BLOCK],
    filled: usize,
    /// Which tones' frequencies are on, as bits.
    on: u8,
    /// The two blocks before, as bits.
    last: [u8; 2],
    /// Tones that fitted in frequency since the sound began.
    candidates: u8,
    blocks: u32,
    /// Blocks in a row without the tone, while it is on: a modulated one has dips.
    dip: u32,
    /// Blocks in a row of something else.
    other: u32,
    /// Lengths of the last parts in ms, the newest first.
    parts: [u32; 4],
    known: usize,
    reported: Option<Progress>,
}

impl ProgressDetector {
    /// A detector that has heard nothing.
    #[must_use]
    pub fn new(tones: &'static Tones) -> Self {
        let filters = tones.map(|(_, tone)| tone.hertz.map(|hertz| Goertzel::new(hertz, RATE)));
        Self {
            tones,
            filters,
            block: [0.0; BLOCK],
            filled: 0,
            on: 0,
            last: [0; 2],
            candidates: 0xFF,
            blocks: 0,
            dip: 0,
            other: 0,
            parts: [0; 4],
            known: 0,
            reported: None,
        }
    }

    /// Listens to samples at 8 kHz.
    pub fn listen(&mut self, samples: &[i16], mut found: impl FnMut(Progress)) {
        for sample in samples {
            if let Some(place) = self.block.get_mut(self.filled) {
                *place = f32::from(*sample);
            }
            self.filled += 1;
            if self.filled == BLOCK {
                self.filled = 0;
                let heard = self.heard();
                if let Some(progress) = self.turn(heard)
                    && self.reported != Some(progress)
                {
                    self.reported = Some(progress);
                    found(progress);
                }
            }
        }
    }

    /// The tones whose frequencies make up the block; `None` when it is something else.
    #[expect(clippy::cast_precision_loss, reason = "a block's length fits a float")]
    fn heard(&self) -> Option<u8> {
        let whole = energy(&self.block);
        if whole / (BLOCK as f32) < WEAKEST {
            return Some(0);
        }
        let mut bits = 0;
        for (bit, (filters, (_, tone))) in self.filters.iter().zip(self.tones).enumerate() {
            let used = filters.iter().zip(tone.hertz).filter(|(_, hertz)| *hertz > 0.0);
            let shares = used.map(|(filter, _)| filter.component(&self.block, whole).power);
            let (sum, least) = shares
                .fold((0.0, f32::MAX), |(sum, least), share| (sum + share, f32::min(least, share)));
            if sum > PURE && least > sum / 12.0 {
                bits |= 1u8 << bit;
            }
        }
        (bits != 0).then_some(bits)
    }

    fn turn(&mut self, heard: Option<u8>) -> Option<Progress> {
        self.other = if heard.is_none() { self.other + 1 } else { 0 };
        if self.other > 1 {
            // Speech or music: no rhythm outlives it.
            (self.on, self.known, self.blocks, self.dip, self.candidates) = (0, 0, 0, 0, 0xFF);
            return None;
        }
        self.blocks = self.blocks.saturating_add(1);
        let was = self.on != 0;
        let is = match heard {
            None => was,
            Some(0) if was => {
                self.last = [0; 2];
                self.dip += 1;
                self.dip < DIP
            }
            Some(bits) => {
                self.dip = 0;
                self.on = bits;
                // The blocks at a part's edges are half a tone, and half a tone is any tone.
                let [before, inner] = self.last;
                if bits != 0 && before != 0 && inner != 0 {
                    self.candidates &= inner;
                }
                self.last = [inner, bits];
                bits != 0
            }
        };
        if was != is {
            let behind = if is { 1 } else { std::mem::take(&mut self.dip) };
            if !is {
                self.on = 0;
            }
            self.part_ended((self.blocks.saturating_sub(behind)) * 20);
            self.blocks = behind;
            return self.by_rhythm(was);
        }
        if !is && self.blocks > FORGOTTEN {
            (self.known, self.candidates, self.reported) = (0, 0xFF, None);
        }
        let steady = is && self.blocks >= STEADY;
        let dial = self.tones.iter().enumerate().find(|(_, (_, tone))| tone.is_steady());
        let dial = dial.filter(|(bit, _)| steady && self.candidates >> bit & 1 != 0);
        dial.map(|(_, (which, _))| *which)
    }

    fn part_ended(&mut self, ms: u32) {
        self.parts.rotate_right(1);
        if let Some(first) = self.parts.first_mut() {
            *first = ms;
        }
        self.known = (self.known + 1).min(self.parts.len());
    }

    /// The tone whose parts the last ones are. `was_on`: the newest part is a sound.
    fn by_rhythm(&self, was_on: bool) -> Option<Progress> {
        // The first part of all may have begun before we listened; three whole ones are wanted.
        if self.known < 4 {
            return None;
        }
        let fits = |bit: usize, tone: &Tone| {
            let parts = tone.cadence.iter().take_while(|ms| **ms > 0).count();
            if tone.is_steady() || self.candidates >> bit & 1 == 0 {
                return false;
            }
            // Every turn of the cadence that ends with a part of this kind.
            (0..parts).filter(|last| (last % 2 == 0) == was_on).any(|last| {
                self.parts.iter().take(3).enumerate().all(|(age, ms)| {
                    let at = (last + 4 * parts - age) % parts;
                    let wanted = tone.cadence.get(at).map_or(0, |ms| u32::from(*ms));
                    ms.abs_diff(wanted) <= SLACK_MS.max(wanted / 10)
                })
            })
        };
        let found = self.tones.iter().enumerate().find(|(bit, (_, tone))| fits(*bit, tone));
        found.map(|(_, (which, _))| *which)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation, reason = "signals of tests")]

    use super::*;
    use crate::tone::{GERMANY, JAPAN, NORTH_AMERICA, ToneGenerator, UNITED_KINGDOM};

    fn found(tones: &'static Tones, signal: &[i16]) -> Vec<Progress> {
        let mut detector = ProgressDetector::new(tones);
        let mut all = Vec::new();
        signal.chunks(333).for_each(|part| detector.listen(part, |progress| all.push(progress)));
        all
    }

    #[test]
    fn every_countrys_tones_are_told_apart_whenever_one_begins_to_listen() {
        for tones in [&JAPAN, &NORTH_AMERICA, &UNITED_KINGDOM, &GERMANY] {
            for (which, tone) in tones {
                for skip in [0usize, 1_234, 7_777] {
                    let mut signal = vec![0; 8_000 * 20];
                    ToneGenerator::new(tone, 8_000).fill(&mut signal);
                    let heard = found(tones, &signal[skip..]);
                    assert_eq!(heard, [*which], "{tone:?} from {skip}");
                }
            }
        }
    }

    #[test]
    fn speech_and_silence_are_no_tone() {
        assert!(found(&JAPAN, &[0; 80_000]).is_empty());
        let mut state = 1u32;
        let noise: Vec<i16> = (0..80_000)
            .map(|n| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 16) as i16 / if n / 4_000 % 2 == 0 { 4 } else { 2_000 }
            })
            .collect();
        assert!(found(&JAPAN, &noise).is_empty());
    }
}
