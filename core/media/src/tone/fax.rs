//! The tones by which fax machines and modems know each other: CNG (ITU-T T.30, 1100 Hz for half a
//! second every three and a half), CED (2100 Hz), and ANSam (V.8: 2100 Hz modulated by 15 Hz, its
//! phase turned round every 450 ms).

use super::goertzel::{Component, Goertzel, energy, wrapped};

const RATE: u32 = 8_000;
/// A block of 10 ms.
const BLOCK: usize = 80;
/// Mean square of the weakest tone: about -46 dBm0.
const WEAKEST: f32 = 6_000.0;
/// Share of the tone in all of the sound. 38 Hz beside the filter leave 0.6 of it, 15 Hz and the
/// modulation of ANSam 0.9.
const CNG_PURE: f32 = 0.55;
const CED_PURE: f32 = 0.8;
/// How far off, in Hz: T.30 allows 38 for CNG, V.25 15 for the answer tone.
const CNG_OFF: f32 = 41.0;
const CED_OFF: f32 = 18.0;
/// Blocks of a CNG: 500 ms, 15 % less or more, and what two blocks' edges take.
const CNG_BLOCKS: std::ops::RangeInclusive<u32> = 40..=59;
/// Blocks after which 2100 Hz is an answer tone: half a second.
const CED_BLOCKS: u32 = 50;
/// Blocks before a reversal counts: what comes sooner is the tone's beginning.
const SETTLED: u32 = 10;
/// Blocks that a reversal may spoil.
const SPOILT: u32 = 2;

/// What answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerTone {
    /// 2100 Hz as it is: a fax machine.
    Plain,
    /// With phase reversals: echo cancellers are to be off, a modem or V.34 fax.
    Reversed,
}

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaxTone {
    /// A whole CNG: a calling fax machine.
    Cng,
    /// An answer tone, half a second after its beginning.
    Ced,
    /// What kind of answer tone it is, when it ends or at its first reversal.
    Kind(AnswerTone),
}

/// The detector of one direction at 8 kHz.
#[derive(Debug)]
pub struct FaxDetector {
    cng: Goertzel,
    ced: Goertzel,
    block: [f32; BLOCK],
    filled: usize,
    cng_before: Component,
    cng_blocks: u32,
    /// The last block of an answer tone, how many blocks ago it was, and by how much its phase
    /// turns in a block beyond what 2100 Hz do.
    ced_before: Component,
    spoilt: u32,
    drift: f32,
    ced_blocks: u32,
    kind_told: bool,
}

impl Default for FaxDetector {
    fn default() -> Self {
        Self {
            cng: Goertzel::new(1_100.0, RATE),
            ced: Goertzel::new(2_100.0, RATE),
            block: [0.0; BLOCK],
            filled: 0,
            cng_before: Component::default(),
            cng_blocks: 0,
            ced_before: Component::default(),
            spoilt: 0,
            drift: 0.0,
            ced_blocks: 0,
            kind_told: false,
        }
    }
}

impl FaxDetector {
    /// A detector that has heard nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens to samples at 8 kHz.
    pub fn listen(&mut self, samples: &[i16], mut found: impl FnMut(FaxTone)) {
        for sample in samples {
            if let Some(place) = self.block.get_mut(self.filled) {
                *place = f32::from(*sample);
            }
            self.filled += 1;
            if self.filled == BLOCK {
                self.filled = 0;
                self.turn(&mut found);
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a block's length fits a float")]
    fn turn(&mut self, found: &mut impl FnMut(FaxTone)) {
        let whole = energy(&self.block);
        let loud = whole / (BLOCK as f32) >= WEAKEST;
        let cng = self.cng.component(&self.block, whole);
        let before = std::mem::replace(&mut self.cng_before, cng);
        let off = self.cng.off_by(before, cng, BLOCK, RATE);
        let tone = loud && cng.power > CNG_PURE;
        if tone && (self.cng_blocks == 0 || off.abs() <= CNG_OFF) {
            self.cng_blocks = self.cng_blocks.saturating_add(1);
        } else {
            if CNG_BLOCKS.contains(&self.cng_blocks) {
                found(FaxTone::Cng);
            }
            self.cng_blocks = 0;
        }
        let ced = self.ced.component(&self.block, whole);
        if loud && ced.power > CED_PURE {
            self.answer_goes_on(ced, found);
        } else if self.ced_blocks > 0 {
            self.spoilt += 1;
            if self.spoilt > SPOILT {
                self.answer_ends(found);
            }
        }
    }

    /// Another block of 2100 Hz.
    #[expect(clippy::cast_precision_loss, reason = "at most three blocks")]
    fn answer_goes_on(&mut self, now: Component, found: &mut impl FnMut(FaxTone)) {
        let steps = std::mem::take(&mut self.spoilt) + 1;
        let before = std::mem::replace(&mut self.ced_before, now);
        let length = usize::try_from(steps).unwrap_or(1) * BLOCK;
        let most = std::f32::consts::TAU * CED_OFF * BLOCK as f32 / RATE as f32;
        let turned = self.ced.phase_error(before, now, length);
        let error = wrapped(turned - self.drift * steps as f32);
        match self.ced_blocks {
            0 => self.ced_blocks = 1,
            1 if steps == 1 && turned.abs() <= most => (self.drift, self.ced_blocks) = (turned, 2),
            2.. if error.abs() < 0.8 => {
                self.drift += error * 0.2 / steps as f32;
                self.ced_blocks = self.ced_blocks.saturating_add(steps);
            }
            SETTLED.. if error.abs() > 2.2 => {
                self.ced_blocks = self.ced_blocks.saturating_add(steps);
                if !self.kind_told {
                    self.kind_told = true;
                    found(FaxTone::Kind(AnswerTone::Reversed));
                }
            }
            _ => (self.ced_blocks, self.drift) = (1, 0.0),
        }
        if self.drift.abs() > most {
            (self.ced_blocks, self.drift) = (0, 0.0);
        }
        let new = self.ced_blocks.saturating_sub(steps);
        if new < CED_BLOCKS && self.ced_blocks >= CED_BLOCKS {
            found(FaxTone::Ced);
        }
    }

    fn answer_ends(&mut self, found: &mut impl FnMut(FaxTone)) {
        if self.ced_blocks >= CED_BLOCKS && !self.kind_told {
            found(FaxTone::Kind(AnswerTone::Plain));
        }
        (self.ced_blocks, self.spoilt, self.drift, self.kind_told) = (0, 0, 0.0, false);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation, reason = "signals of tests")]

    use super::*;

    /// A tone; its phase turned round every so many ms, its amplitude modulated by 15 Hz.
    fn tone(hertz: f64, ms: usize, reversal_ms: usize, modulated: bool, peak: f64) -> Vec<i16> {
        let turn = hertz * std::f64::consts::TAU / 8_000.0;
        let slow = 15.0 * std::f64::consts::TAU / 8_000.0;
        let value = |n: usize| {
            let odd = reversal_ms > 0 && n / (reversal_ms * 8) % 2 == 1;
            let sign = if odd { -1.0 } else { 1.0 };
            let depth = if modulated { 1.0 + 0.2 * (n as f64 * slow).sin() } else { 1.0 };
            (n as f64 * turn).sin() * sign * depth * peak
        };
        (0..ms * 8).map(|n| value(n) as i16).collect()
    }

    fn heard(parts: &[&[i16]]) -> Vec<FaxTone> {
        let mut detector = FaxDetector::new();
        let mut all = Vec::new();
        let signal = parts.concat();
        signal.chunks(77).for_each(|part| detector.listen(part, |tone| all.push(tone)));
        all
    }

    #[test]
    fn cng_is_heard_within_its_limits_and_once_a_cycle() {
        let pause = vec![0; 24_000];
        for (hertz, ms, peak) in [
            (1_100.0, 500, 8_000.0),
            (1_062.0, 430, 8_000.0),
            (1_138.0, 570, 8_000.0),
            (1_100.0, 500, 200.0),
        ] {
            let cng = tone(hertz, ms, 0, false, peak);
            let found = heard(&[&pause, &cng, &pause, &cng, &pause]);
            assert_eq!(found, [FaxTone::Cng, FaxTone::Cng], "{hertz} Hz {ms} ms {peak}");
        }
        for (hertz, ms) in
            [(1_100.0, 300), (1_100.0, 700), (1_180.0, 500), (1_020.0, 500), (440.0, 500)]
        {
            let other = tone(hertz, ms, 0, false, 8_000.0);
            assert_eq!(heard(&[&pause, &other, &pause]), [], "{hertz} Hz {ms} ms");
        }
    }

    #[test]
    fn the_answer_tones_are_told_apart() {
        let pause = vec![0; 8_000];
        for hertz in [2_085.0, 2_100.0, 2_115.0] {
            let ced = tone(hertz, 2_600, 0, false, 5_000.0);
            let wanted = [FaxTone::Ced, FaxTone::Kind(AnswerTone::Plain)];
            assert_eq!(heard(&[&pause, &ced, &pause]), wanted, "{hertz}");
            for modulated in [false, true] {
                let answer = tone(hertz, 3_300, 450, modulated, 5_000.0);
                let found = heard(&[&pause, &answer, &pause]);
                assert!(found.contains(&FaxTone::Kind(AnswerTone::Reversed)), "{hertz} {found:?}");
                assert_eq!(found.len(), 2, "{hertz} {found:?}");
            }
        }
        assert_eq!(heard(&[&pause, &tone(2_150.0, 3_000, 0, false, 5_000.0), &pause]), []);
        assert_eq!(heard(&[&pause, &tone(2_100.0, 300, 0, false, 5_000.0), &pause]), []);
    }

    #[test]
    fn noise_is_no_tone() {
        let mut state = 1u32;
        let noise: Vec<i16> = (0..160_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 16) as i16 / 4
            })
            .collect();
        assert_eq!(heard(&[&noise]), []);
    }
}
