//! Between 8, 16, 24 and 48 kHz: a polyphase filter of 16-bit coefficients under a Kaiser window.
//! The passband ends at 7/16 of the lower rate, the stopband begins at 9/16.

use std::f64::consts::PI;

/// Taps in samples of the lower rate; half of them are the delay.
const TAPS: usize = 40;

/// Kaiser's parameter: 70 dB.
const BETA: f64 = 7.0;

/// Samples of the longest block in one go, 60 ms at 48 kHz; longer ones are cut.
const BLOCK: usize = 2_880;

/// A converter of one stream.
#[derive(Debug)]
pub struct Resampler {
    /// Output samples for `down` input samples.
    up: usize,
    down: usize,
    /// Taps a phase.
    taps: usize,
    /// Coefficients, phase by phase, the one of the oldest sample first.
    coefficients: Box<[i16]>,
    shift: u32,
    /// The last `taps - 1` samples, then the block.
    samples: Box<[i16]>,
    /// Position of the next output behind the first sample of the next block, in `up`ths of a
    /// sample.
    position: usize,
}

impl Resampler {
    /// A converter; `None` when the rates are equal or not of 8, 16, 24 and 48 kHz.
    #[must_use]
    pub fn new(from: u32, to: u32) -> Option<Self> {
        let known = |rate| matches!(rate, 8_000 | 16_000 | 24_000 | 48_000);
        if from == to || !known(from) || !known(to) {
            return None;
        }
        let (a, b) = (from / 8_000, to / 8_000);
        let common = (1..=6).rev().find(|n| a % n == 0 && b % n == 0)?;
        let up = usize::try_from(b / common).ok()?;
        let down = usize::try_from(a / common).ok()?;
        // In samples of the input.
        let taps = (TAPS * down.max(up) / up).next_multiple_of(8);
        let shift = if up >= down { 14 } else { 15 };
        Some(Self {
            up,
            down,
            taps,
            coefficients: prototype(up, down, taps, shift),
            shift,
            samples: vec![0; taps - 1 + BLOCK].into(),
            position: 0,
        })
    }

    /// Samples that a block of so many makes, give or take one.
    #[must_use]
    pub const fn output_samples(&self, input: usize) -> usize {
        input * self.up / self.down
    }

    /// Converts a block; how many samples it made. `out` takes as many as it has room for; give it
    /// one more than [`Resampler::output_samples`] when blocks are no multiples of the ratio.
    pub fn process(&mut self, input: &[i16], out: &mut [i16]) -> usize {
        let input = input.get(..BLOCK).unwrap_or(input);
        let kept = self.taps - 1;
        let Some(block) = self.samples.get_mut(kept..kept + input.len()) else { return 0 };
        block.copy_from_slice(input);
        let mut made = 0;
        let (mut at, mut phase) = (self.position / self.up, self.position % self.up);
        let (whole, part) = (self.down / self.up, self.down % self.up);
        for sample in out.iter_mut() {
            if at >= input.len() {
                break;
            }
            let window = self.samples.get(at..at + self.taps).unwrap_or_default();
            let from = phase * self.taps;
            let own = self.coefficients.get(from..from + self.taps).unwrap_or_default();
            *sample = rounded(dot(window, own), self.shift);
            (at, phase) = (at + whole, phase + part);
            if phase >= self.up {
                (at, phase) = (at + 1, phase - self.up);
            }
            made += 1;
        }
        self.position = (at * self.up + phase).saturating_sub(input.len() * self.up);
        self.samples.copy_within(input.len()..input.len() + kept, 0);
        made
    }
}

/// Taps are a multiple of eight, which the compiler turns into one vector's products each.
fn dot(samples: &[i16], coefficients: &[i16]) -> i32 {
    let (samples, coefficients) = (samples.as_chunks::<8>().0, coefficients.as_chunks::<8>().0);
    let mut sums = [0i32; 8];
    for (a, b) in samples.iter().zip(coefficients) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += i32::from(*a) * i32::from(*b);
        }
    }
    sums.iter().sum()
}

fn rounded(sum: i32, shift: u32) -> i16 {
    let value = (sum + (1 << (shift - 1))) >> shift;
    i16::try_from(value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))).unwrap_or(0)
}

/// The low-pass at half of the lower rate, cut into phases. Each phase passes a constant unchanged.
#[expect(clippy::cast_precision_loss, reason = "a few hundred taps")]
fn prototype(up: usize, down: usize, taps: usize, shift: u32) -> Box<[i16]> {
    let length = taps * up;
    let centre = (length - 1) as f64 / 2.0;
    let cutoff = 1.0 / up.max(down) as f64;
    let tap = |n: usize| {
        let x = n as f64 - centre;
        let sinc = if x == 0.0 { 1.0 } else { (PI * x * cutoff).sin() / (PI * x * cutoff) };
        let edge = x / (centre + 0.5);
        sinc * bessel(BETA * (1.0 - edge * edge).max(0.0).sqrt())
    };
    let mut all = Vec::with_capacity(length);
    for phase in 0..up {
        // The newest sample meets the prototype's tap `phase`, older ones those further on.
        let own: Vec<f64> = (0..taps).map(|age| tap(phase + age * up)).rev().collect();
        let sum: f64 = own.iter().sum();
        let scale = f64::from(1 << shift) / sum;
        #[expect(clippy::cast_possible_truncation, reason = "at most 2^15, saturated")]
        let mut whole: Vec<i16> = own.iter().map(|value| (value * scale).round() as i16).collect();
        // What rounding left over goes to the largest: unequal phases would be heard as images.
        let rest = (1 << shift) - whole.iter().map(|value| i32::from(*value)).sum::<i32>();
        let largest = whole.iter_mut().max_by_key(|value| value.unsigned_abs());
        if let (Some(largest), Ok(rest)) = (largest, i16::try_from(rest)) {
            *largest = largest.saturating_add(rest);
        }
        all.append(&mut whole);
    }
    all.into()
}

/// The modified Bessel function of the first kind and order zero, by its series.
fn bessel(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..40 {
        term *= quarter / f64::from(k * k);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation, reason = "signals of tests")]

    use super::*;

    const RATES: [u32; 4] = [8_000, 16_000, 24_000, 48_000];

    fn tone(rate: u32, hertz: f64, seconds: f64) -> Vec<i16> {
        let turn = hertz * std::f64::consts::TAU / f64::from(rate);
        let count = (f64::from(rate) * seconds) as usize;
        (0..count).map(|n| ((n as f64 * turn).sin() * 16_000.0).round() as i16).collect()
    }

    fn convert(from: u32, to: u32, signal: &[i16], block: usize) -> Vec<i16> {
        let mut resampler = Resampler::new(from, to).unwrap();
        let mut out = Vec::new();
        for part in signal.chunks(block) {
            let mut made = vec![0; resampler.output_samples(part.len()) + 1];
            let count = resampler.process(part, &mut made);
            out.extend_from_slice(&made[..count]);
        }
        out
    }

    /// Power in dB below the tone that went in.
    fn level(signal: &[i16]) -> f64 {
        let power: f64 = signal.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        10.0 * (power / signal.len() as f64).log10() - 20.0 * (16_000.0 / 2f64.sqrt()).log10()
    }

    fn pairs() -> impl Iterator<Item = (u32, u32)> {
        RATES.into_iter().flat_map(|from| RATES.into_iter().map(move |to| (from, to)))
    }

    #[test]
    fn the_passband_is_flat_within_a_twentieth_of_a_decibel() {
        for (from, to) in pairs().filter(|(from, to)| from != to) {
            let edge = f64::from(from.min(to)) * 7.0 / 16.0;
            for part in [0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0] {
                let out = convert(from, to, &tone(from, edge * part, 0.5), 160);
                let level = level(&out[out.len() / 4..]);
                assert!(level.abs() < 0.05, "{from} to {to}, {:.0} Hz: {level:.3}", edge * part);
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_hold_is_60_db_down() {
        for (from, to) in pairs().filter(|(from, to)| from > to) {
            let (first, last) = (f64::from(to) * 9.0 / 16.0, f64::from(from) / 2.0);
            for step in 0..20 {
                let hertz = first + (last - first) * 0.98 * f64::from(step) / 19.0;
                let out = convert(from, to, &tone(from, hertz, 0.5), 160);
                let level = level(&out[out.len() / 4..]);
                assert!(level < -60.0, "{from} to {to}, {hertz:.0} Hz: {level:.1} dB");
            }
        }
    }

    #[test]
    fn images_above_the_lower_rate_are_60_db_down() {
        for (from, to) in pairs().filter(|(from, to)| from < to) {
            for part in [0.1, 0.3, 0.6, 0.9, 1.0] {
                // Whole periods in the quarter of a second that is looked at.
                let hertz = (f64::from(from) * 7.0 / 64.0 * part).floor() * 4.0;
                let out = convert(from, to, &tone(from, hertz, 0.5), 160);
                let tail = &out[out.len() - to as usize / 4..];
                // What is not the tone itself: the tone fitted and taken away.
                let turn = hertz * std::f64::consts::TAU / f64::from(to);
                let fit = |wave: fn(f64) -> f64| {
                    let sum: f64 = tail
                        .iter()
                        .enumerate()
                        .map(|(n, sample)| f64::from(*sample) * wave(n as f64 * turn))
                        .sum();
                    2.0 * sum / tail.len() as f64
                };
                let (sine, cosine) = (fit(f64::sin), fit(f64::cos));
                let rest: Vec<i16> = tail
                    .iter()
                    .enumerate()
                    .map(|(n, sample)| {
                        let angle = n as f64 * turn;
                        (f64::from(*sample) - sine * angle.sin() - cosine * angle.cos()) as i16
                    })
                    .collect();
                assert!(level(&rest) < -60.0, "{from} to {to}, {hertz:.0} Hz: {:.1}", level(&rest));
            }
        }
    }

    #[test]
    fn blocks_of_any_length_make_the_same_and_as_much_as_the_ratio_says() {
        for (from, to) in pairs().filter(|(from, to)| from != to) {
            let signal = tone(from, 1_000.0, 0.3);
            let whole = convert(from, to, &signal, 480);
            assert_eq!(whole.len(), signal.len() * to as usize / from as usize);
            for block in [1, 7, 160, 331] {
                assert!(convert(from, to, &signal, block) == whole, "{from} {to} {block}");
            }
        }
    }

    #[test]
    fn the_loudest_signal_does_not_overflow_and_equal_rates_need_nothing() {
        for (from, to) in pairs() {
            let Some(_) = Resampler::new(from, to) else {
                assert_eq!(from, to);
                continue;
            };
            let square: Vec<i16> =
                (0..4_000).map(|n| if n / 400 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
            let out = convert(from, to, &square, 160);
            let flips = out.windows(2).filter(|w| (w[0] > 20_000) && (w[1] < -20_000)).count();
            assert!(flips <= 5, "{from} {to}: {flips} wraps");
        }
        assert!(Resampler::new(8_000, 44_100).is_none());
    }
}
