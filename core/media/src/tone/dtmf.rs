//! DTMF in the sound (ITU-T Q.23, and Q.24 with the limits of the Japanese administration: tones of
//! 40 ms and frequencies within 1.8 % are digits, tones of 24 ms or 3 % off are none, pauses of
//! 30 ms part digits and interruptions of 10 ms do not).
//!
//! A window of 16 ms (von Hann's) moves by 8. Each frequency is measured by the turn of its phase,
//! which tells 1.8 from 3 % where the window's width could not; that, and that next to nothing else
//! may be in the sound, is what speech does not do for three windows in a row.

use super::goertzel::{Component, Goertzel, energy};

/// The frequencies of the rows and columns, in Hz.
pub const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
/// The columns'.
pub const COLUMNS: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];

/// The keys, row by row.
pub const KEYS: [[u8; 4]; 4] = [*b"123A", *b"456B", *b"789C", *b"*0#D"];

const RATE: u32 = 8_000;
const HOP: usize = 64;
const WINDOW: usize = 2 * HOP;

/// Windows in a row that make a digit.
const ENOUGH: u8 = 3;

/// Windows without it that end one.
const GONE: u8 = 4;

/// Mean square of the weakest pair: each tone at -28 dBm0, 4 dB below what must be taken and 1
/// above what must not.
const WEAKEST: f32 = 800_000.0;

/// Share of the two tones in all of the sound.
const PURE: f32 = 0.87;

/// Mean of the squared window, and what a pure tone's share is under it.
const WINDOW_POWER: f32 = 0.375;
const WINDOW_SHARE: f32 = 2.0 / 3.0;

/// The larger tone over the smaller, in power: 7 dB, where 5 must be taken.
const TWIST: f32 = 5.0;

/// How far off a frequency may be: between 1.8 and 3 %.
const OFF: f32 = 0.024;

/// A digit begins or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtmfEvent {
    /// It is certain that this key is pressed.
    Pressed(u8),
    /// It is pressed no more; it lasted about so many ms.
    Released(u8, u32),
}

/// The detector of one direction, at 8 kHz.
#[derive(Debug)]
pub struct DtmfDetector {
    /// The rows', then the columns'.
    filters: [Goertzel; 8],
    hann: [f32; WINDOW],
    window: [f32; WINDOW],
    filled: usize,
    before: [Component; 8],
    candidate: Option<u8>,
    hits: u8,
    pressed: Option<u8>,
    misses: u8,
    hops: u32,
}

impl Default for DtmfDetector {
    #[expect(clippy::cast_precision_loss, reason = "a window's length fits a float")]
    fn default() -> Self {
        let turn = std::f32::consts::TAU / WINDOW as f32;
        let ([r0, r1, r2, r3], [c0, c1, c2, c3]) = (ROWS, COLUMNS);
        Self {
            hann: std::array::from_fn(|n| 0.5 - 0.5 * ((n as f32 + 0.5) * turn).cos()),
            filters: [r0, r1, r2, r3, c0, c1, c2, c3].map(|hertz| Goertzel::new(hertz, RATE)),
            window: [0.0; WINDOW],
            filled: HOP,
            before: [Component::default(); 8],
            candidate: None,
            hits: 0,
            pressed: None,
            misses: 0,
            hops: 0,
        }
    }
}

impl DtmfDetector {
    /// A detector that has heard nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens to samples at 8 kHz, any number of them.
    pub fn listen(&mut self, samples: &[i16], mut found: impl FnMut(DtmfEvent)) {
        for sample in samples {
            if let Some(place) = self.window.get_mut(self.filled) {
                *place = f32::from(*sample);
            }
            self.filled += 1;
            if self.filled >= WINDOW {
                let key = self.key();
                self.turn(key, &mut found);
                self.window.copy_within(HOP.., 0);
                self.filled = HOP;
            }
        }
    }

    /// The key that the window holds.
    #[expect(clippy::cast_precision_loss, reason = "a window's length fits a float")]
    fn key(&mut self) -> Option<u8> {
        let mut windowed = [0.0; WINDOW];
        for ((to, sample), weight) in windowed.iter_mut().zip(&self.window).zip(&self.hann) {
            *to = sample * weight;
        }
        let whole = energy(&windowed);
        if whole / (WINDOW as f32 * WINDOW_POWER) < WEAKEST {
            self.before = [Component::default(); 8];
            return None;
        }
        let now = Goertzel::eight(&self.filters, &windowed, whole);
        let before = std::mem::replace(&mut self.before, now);
        let (rows, columns) = now.split_at(4);
        let (rows_before, columns_before) = before.split_at(4);
        let (row, low) = strongest(rows)?;
        let (column, high) = strongest(columns)?;
        let (row_filters, column_filters) = self.filters.split_at(4);
        let low = share(row_filters.get(row)?, *rows_before.get(row)?, low, *ROWS.get(row)?)?;
        let filter = column_filters.get(column)?;
        let high = share(filter, *columns_before.get(column)?, high, *COLUMNS.get(column)?)?;
        let pure = low + high >= PURE && low.max(high) <= low.min(high) * TWIST;
        pure.then(|| KEYS.get(row)?.get(column).copied()).flatten()
    }

    fn turn(&mut self, key: Option<u8>, found: &mut impl FnMut(DtmfEvent)) {
        self.hops = self.hops.saturating_add(1);
        if let Some(pressed) = self.pressed {
            self.misses = if key == self.pressed { 0 } else { self.misses + 1 };
            if self.misses < GONE {
                return;
            }
            let hops = self.hops.saturating_sub(u32::from(GONE));
            found(DtmfEvent::Released(pressed, hops * 8));
            (self.pressed, self.candidate, self.hits) = (None, None, 0);
        }
        self.hits = if key.is_some() && key == self.candidate { self.hits + 1 } else { 1 };
        self.candidate = key;
        if let Some(key) = key.filter(|_| self.hits >= ENOUGH) {
            (self.pressed, self.misses, self.hops) = (Some(key), 0, u32::from(ENOUGH) + 1);
            found(DtmfEvent::Pressed(key));
        }
    }
}

/// A tone's share in all of the sound, made good for its distance from the filter; `None` when it
/// is too far off.
#[expect(clippy::cast_precision_loss, reason = "a window's length fits a float")]
fn share(filter: &Goertzel, before: Component, now: Component, hertz: f32) -> Option<f32> {
    // Before the first window of a tone there is no phase to compare with.
    let off = if before.power < 0.05 { 0.0 } else { filter.off_by(before, now, HOP, RATE) };
    if off.abs() > hertz * OFF {
        return None;
    }
    // The main lobe of the window, in bins.
    let bins = off * WINDOW as f32 / RATE as f32;
    let angle = std::f32::consts::PI * bins;
    let sinc = if bins.abs() < 0.01 { 1.0 } else { angle.sin() / angle };
    let lobe = sinc / (1.0 - bins * bins);
    Some(now.power / (WINDOW_SHARE * lobe * lobe))
}

/// The strongest of four; the others must be weaker.
fn strongest(components: &[Component]) -> Option<(usize, Component)> {
    let by_power =
        |a: &(usize, &Component), b: &(usize, &Component)| a.1.power.total_cmp(&b.1.power);
    let (at, best) = components.iter().enumerate().max_by(by_power)?;
    let rivals = components.iter().enumerate().filter(|(other, _)| *other != at);
    let clear = rivals.map(|(_, rival)| rival.power).all(|power| power * 2.5 < best.power);
    clear.then_some((at, *best))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation, reason = "signals of tests")]

    use super::*;
    use crate::tone::generator::ToneGenerator;

    /// Tones of a key, off by a share, at a peak each.
    fn key(at: (usize, usize), ms: usize, off: f64, levels: (f64, f64)) -> Vec<i16> {
        let turn = |hertz: f32| f64::from(hertz) * (1.0 + off) * std::f64::consts::TAU / 8_000.0;
        let (row, column) = (turn(ROWS[at.0]), turn(COLUMNS[at.1]));
        (0..ms * 8)
            .map(|n| {
                let n = n as f64 + 0.3;
                ((n * row).sin() * levels.0 + (n * column).sin() * levels.1) as i16
            })
            .collect()
    }

    fn pressed(signal: &[i16]) -> Vec<u8> {
        let mut detector = DtmfDetector::new();
        let mut keys = Vec::new();
        for part in signal.chunks(160) {
            detector.listen(part, |event| {
                if let DtmfEvent::Pressed(key) = event {
                    keys.push(key);
                }
            });
        }
        keys
    }

    /// dBm0 as the peak of a sine: 3.17 dBm0 is full scale.
    fn peak(dbm0: f64) -> f64 {
        32_767.0 * 10f64.powf((dbm0 - 3.17) / 20.0)
    }

    fn keys() -> impl Iterator<Item = (usize, usize)> {
        (0..4).flat_map(|row| (0..4).map(move |column| (row, column)))
    }

    /// A tone with silence around, begun at an odd moment.
    fn placed(signal: &[i16], shift: usize) -> Vec<i16> {
        [vec![0; 400 + shift], signal.to_vec(), vec![0; 800]].concat()
    }

    #[test]
    fn what_q_24_wants_taken_is_taken() {
        for (at, shift) in keys().zip((0..64).step_by(5).cycle()) {
            let wanted = vec![KEYS[at.0][at.1]];
            for (off, low, high) in [
                (0.0, -3.0, -3.0),
                (0.018, -10.0, -10.0),
                (-0.018, -10.0, -10.0),
                (0.0, -24.0, -24.0),
                (0.015, -20.0, -15.0),
                (-0.015, -15.0, -20.0),
            ] {
                let tone = key(at, 40, off, (peak(low), peak(high)));
                let found = pressed(&placed(&tone, shift));
                assert_eq!(found, wanted, "{at:?} off {off} at {low} and {high}, {shift}");
            }
        }
    }

    #[test]
    fn what_q_24_wants_refused_is_refused() {
        for (at, shift) in keys().zip((0..64).step_by(5).cycle()) {
            let level = peak(-10.0);
            for (ms, off, low, high) in [
                (24, 0.0, level, level),
                (200, 0.03, level, level),
                (200, -0.03, level, level),
                (200, 0.0, peak(-38.0), peak(-38.0)),
                (200, 0.0, level, 0.0),
                (200, 0.0, level, level / 4.0),
            ] {
                let found = pressed(&placed(&key(at, ms, off, (low, high)), shift));
                assert!(found.is_empty(), "{at:?} {ms} ms off {off}: {found:?}");
            }
        }
    }

    #[test]
    fn digits_120_ms_apart_are_parted_and_an_interruption_of_10_ms_parts_none() {
        let mut signal = vec![0; 333];
        let tone = |at, ms| key(at, ms, 0.0, (peak(-12.0), peak(-12.0)));
        for at in keys() {
            for _ in 0..2 {
                signal.extend(tone(at, 50));
                signal.extend([0; 30 * 8]);
            }
        }
        signal.extend([0; 800]);
        let wanted: Vec<u8> = KEYS.iter().flatten().flat_map(|key| [*key; 2]).collect();
        assert_eq!(pressed(&signal), wanted);
        let broken = [tone((1, 1), 60), vec![0; 80], tone((1, 1), 60), vec![0; 800]].concat();
        assert_eq!(pressed(&broken), b"5");
    }

    #[test]
    fn noise_under_the_digits_and_other_tones_alone_do_no_harm() {
        let mut state = 1u32;
        let mut noise = |loudness: f64| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state.cast_signed() >> 16) / 32_768.0 * loudness
        };
        let tone = key((2, 2), 60, 0.0, (peak(-15.0), peak(-15.0)));
        let noisy: Vec<i16> =
            placed(&tone, 9).iter().map(|sample| sample + noise(peak(-27.0)) as i16).collect();
        assert_eq!(pressed(&noisy), b"9");
        let hiss: Vec<i16> = (0..80_000).map(|_| noise(8_000.0) as i16).collect();
        assert!(pressed(&hiss).is_empty());
        for tones in crate::tone::JAPAN.iter().map(|(_, tone)| tone) {
            let mut signal = vec![0; 80_000];
            ToneGenerator::new(tones, 8_000).fill(&mut signal);
            assert!(pressed(&signal).is_empty(), "{tones:?}");
        }
    }

    #[test]
    fn half_an_hour_of_voices_presses_no_key() {
        // Vowels: pulses of many pitches through formants that pass every key's frequencies.
        let mut hits = Vec::new();
        let mut detector = DtmfDetector::new();
        let (mut phase, mut states) = (0.0f64, [[0.0f64; 2]; 3]);
        for second in 0..1_800u32 {
            let pitch = 85.0 + f64::from(second * 37 % 220);
            let formants = [
                500.0 + f64::from(second * 53 % 480),
                1_150.0 + f64::from(second * 71 % 550),
                2_500.0,
            ];
            let mut frame = [0i16; 8_000];
            for (n, sample) in frame.iter_mut().enumerate() {
                phase += pitch * (1.0 + 0.02 * (n as f64 / 700.0).sin()) / 8_000.0;
                let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
                phase %= 1.0;
                let mut sum = 0.0;
                for (state, hertz) in states.iter_mut().zip(formants) {
                    let radius = (-std::f64::consts::PI * (50.0 + hertz / 16.0) / 8_000.0).exp();
                    let turn = (std::f64::consts::TAU * hertz / 8_000.0).cos();
                    let out = pulse + 2.0 * radius * turn * state[0] - radius * radius * state[1];
                    *state = [out, state[0]];
                    sum += out;
                }
                *sample = (sum * 1_500.0).clamp(-32_000.0, 32_000.0) as i16;
            }
            detector.listen(&frame, |event| hits.push((second, event)));
        }
        assert!(hits.is_empty(), "{hits:?}");
    }
}
