//! Concealment of lost packets for codecs without their own (ITU-T G.711 Appendix I in its plan:
//! the last pitch period again, after 10 and 20 ms two and three of them, fading from 10 to 60 ms).
//!
//! Unlike the appendix it delays nothing: where that holds the last 3.75 ms back to overlap them,
//! the step between what was heard and the repeated period is measured and let die away in 1 ms.

use crate::pitch::{self, narrow, to_usize};

/// Parts of a second: history, 48.75 ms as in the appendix.
const HISTORY_PER_MILLE: u32 = 49;

/// One stream's concealment. Buffers are made at construction.
#[derive(Debug)]
pub struct Concealer {
    rate: u32,
    /// What was heard last, as long as a loss lasts.
    history: Box<[i16]>,
    /// Period in samples; 0 outside a loss.
    lag: usize,
    /// Periods that are repeated: 1 to 3.
    periods: usize,
    /// Where in the repeated part we are.
    position: usize,
    /// Samples since the loss began.
    elapsed: usize,
    /// From what is repeated to what continues without a step, and for how many samples more it is
    /// added, ever less.
    step: i32,
    settling: usize,
}

impl Concealer {
    /// A concealer for samples at `rate` (8000 to 48000 Hz).
    #[must_use]
    pub fn new(rate: u32) -> Self {
        let history = vec![0; to_usize(rate * HISTORY_PER_MILLE / 1_000)].into_boxed_slice();
        Self { rate, history, lag: 0, periods: 1, position: 0, elapsed: 0, step: 0, settling: 0 }
    }

    /// Samples of history that it wants to see.
    #[must_use]
    pub const fn history_samples(&self) -> usize {
        self.history.len()
    }

    /// Whether a loss is being concealed.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.lag > 0
    }

    /// Fills `out` with what may have been said behind `heard`, whose last sample was played or
    /// will be before `out`. `heard` is looked at when a loss begins, not while it goes on.
    pub fn conceal(&mut self, heard: &[i16], out: &mut [i16]) {
        if self.lag == 0 {
            self.begin(heard);
        }
        let ten_ms = to_usize(self.rate / 100);
        for sample in out {
            if self.elapsed == ten_ms || self.elapsed == 2 * ten_ms {
                self.lengthen();
            }
            *sample = self.next();
        }
    }

    /// Lets the loss end in `decoded`, the first samples behind it: 4 ms and 4 more for each 10 ms
    /// that were lost, at most 10, fade from what was made up to what was said.
    pub fn rejoin(&mut self, decoded: &mut [i16]) {
        if self.lag == 0 {
            return;
        }
        let ms = to_usize(self.rate / 1_000);
        let fade = (4 * ms + self.elapsed * 4 / 10).min(10 * ms).min(decoded.len());
        let steps = i32::try_from(fade).unwrap_or(i32::MAX - 1) + 1;
        let mut step = 0;
        for sample in decoded.iter_mut().take(fade) {
            step += 1;
            let sum = i32::from(self.next()) * (steps - step) + i32::from(*sample) * step;
            *sample = narrow(sum / steps);
        }
        self.reset();
    }

    /// Forgets a loss without an end: the stream goes on with something else.
    pub const fn reset(&mut self) {
        self.lag = 0;
    }

    fn begin(&mut self, heard: &[i16]) {
        let kept = heard.len().min(self.history.len());
        let blank = self.history.len() - kept;
        if let Some(empty) = self.history.get_mut(..blank) {
            empty.fill(0);
        }
        let tail = heard.get(heard.len() - kept..).unwrap_or_default();
        if let Some(to) = self.history.get_mut(blank..) {
            to.copy_from_slice(tail);
        }
        let longest = pitch::longest(self.rate);
        // The appendix begins at 5 ms: a shorter period is found as its double, which sounds the
        // same and repeats less often.
        let lags = (longest / 3, longest);
        let window = to_usize(self.rate / 50);
        let at = self.history.len().saturating_sub(window);
        let found = pitch::find(&self.history, at, window, lags, self.rate);
        self.lag = match found {
            Some(period) if period.likeness > 0.4 => period.lag,
            // Noise: the longest repetition is the least heard one.
            _ => longest,
        };
        (self.periods, self.position, self.elapsed) = (1, 0, 0);
        self.step = i32::from(self.back(1)) - i32::from(self.back(self.lag + 1));
        self.settling = self.settle();
    }

    /// The sample so many before the loss; 1 is the last one.
    fn back(&self, distance: usize) -> i16 {
        let index = self.history.len().checked_sub(distance);
        index.and_then(|index| self.history.get(index)).copied().unwrap_or(0)
    }

    /// One more period is repeated; the step from the old part into the new one dies away too.
    fn lengthen(&mut self) {
        let old = self.repeated(self.periods);
        self.periods += 1;
        self.step = old - self.repeated(self.periods);
        self.settling = self.settle();
    }

    /// The repeated part at our position, when so many periods are repeated.
    fn repeated(&self, periods: usize) -> i32 {
        let length = self.lag * periods;
        let quarter = self.lag / 4;
        let position = self.position % length;
        let plain = i32::from(self.back(length - position));
        // The end of the part is led over into its beginning.
        let into = (position + quarter + 1).saturating_sub(length);
        if into == 0 {
            return plain;
        }
        let lead = i32::from(self.back(2 * length - position));
        let (into, whole) = (to_i32(into), to_i32(quarter + 1));
        (plain * (whole - into) + lead * into) / whole
    }

    /// The next made-up sample.
    fn next(&mut self) -> i16 {
        let mut value = self.repeated(self.periods);
        if let Some(left) = self.settling.checked_sub(1) {
            value += self.step * to_i32(left) / to_i32(self.settle());
            self.settling = left;
        }
        let gain = self.gain();
        self.position = (self.position + 1) % (self.lag * self.periods);
        self.elapsed = self.elapsed.saturating_add(1);
        narrow(value * gain / GAIN_ONE)
    }

    /// 1 ms.
    fn settle(&self) -> usize {
        to_usize(self.rate / 1_000)
    }

    /// 1 for 10 ms, then down to nothing at 60 ms, as in the appendix.
    fn gain(&self) -> i32 {
        let ten_ms = to_usize(self.rate / 100);
        let faded = self.elapsed.saturating_sub(ten_ms);
        let rest = (5 * ten_ms).saturating_sub(faded);
        to_i32(rest * 1_024 / (5 * ten_ms))
    }
}

/// A gain of one.
const GAIN_ONE: i32 = 1_024;

fn to_i32(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation, reason = "signals of tests")]

    use super::*;

    /// A voice: pulses of a gliding pitch through two resonances.
    fn voice(rate: u32, pitch: f64, count: usize) -> Vec<i16> {
        let rate = f64::from(rate);
        let (mut phase, mut low, mut high) = (0.0f64, [0.0f64; 2], [0.0f64; 2]);
        let resonate = |state: &mut [f64; 2], input: f64, hertz: f64, width: f64| {
            let radius = (-std::f64::consts::PI * width / rate).exp();
            let turn = (std::f64::consts::TAU * hertz / rate).cos();
            let out = input + 2.0 * radius * turn * state[0] - radius * radius * state[1];
            *state = [out, state[0]];
            out
        };
        (0..count)
            .map(|n| {
                let time = n as f64 / rate;
                phase += pitch * (1.0 + 0.17 * (time * 3.0).sin()) / rate;
                let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
                phase %= 1.0;
                let first = resonate(&mut low, pulse, 600.0, 80.0);
                let both = first + 0.5 * resonate(&mut high, pulse, 1_500.0, 120.0);
                (both * 2_500.0) as i16
            })
            .collect()
    }

    fn largest_step(signal: &[i16]) -> i32 {
        let steps = signal.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs());
        steps.max().unwrap()
    }

    /// Signal to error of the lost parts, in dB, when `conceal` fills them.
    fn quality(
        signal: &[i16],
        frame: usize,
        mut fill: impl FnMut(&[i16], &mut [i16], bool),
    ) -> f64 {
        let mut played = signal[..frame * 5].to_vec();
        let (mut wanted, mut error) = (0.0, 0.0);
        for (number, frame_of) in signal.chunks_exact(frame).enumerate().skip(5) {
            let mut out = frame_of.to_vec();
            let lost = number % 7 == 0;
            fill(&played, &mut out, lost);
            if lost {
                for (one, other) in frame_of.iter().zip(&out) {
                    wanted += f64::from(*one).powi(2);
                    error += (f64::from(*one) - f64::from(*other)).powi(2);
                }
            }
            played.extend(out);
        }
        10.0 * (wanted / error).log10()
    }

    /// Appendix I as it is written, 3.75 ms of delay and all, at 8 kHz: the measure.
    #[derive(Default)]
    struct AppendixOne {
        history: Vec<f64>,
        buffer: Vec<f64>,
        pitch: usize,
        length: usize,
        position: usize,
        frames: usize,
    }

    impl AppendixOne {
        /// One frame of 10 ms in, one out, 30 samples later.
        fn frame(&mut self, input: Option<&[i16]>) -> Vec<f64> {
            self.history.resize(390.max(self.history.len()), 0.0);
            let frame = match input {
                Some(samples) => self.received(samples),
                None => self.lost(),
            };
            self.history.extend(frame);
            let end = self.history.len() - 30;
            self.history.drain(..end + 30 - 390);
            self.history[390 - 110..360].to_vec()
        }

        fn received(&mut self, samples: &[i16]) -> Vec<f64> {
            let mut frame: Vec<f64> = samples.iter().map(|s| f64::from(*s)).collect();
            if self.frames > 0 {
                let fade = (self.pitch / 4 + (self.frames - 1) * 32).min(80);
                let ahead = self.read(fade);
                let gain = (1.0 - 0.2 * (self.frames as f64 - 1.0)).max(0.0);
                for (n, (to, from)) in frame.iter_mut().zip(ahead).enumerate() {
                    let weight = (n + 1) as f64 / (fade + 1) as f64;
                    *to = *to * weight + from * gain * (1.0 - weight);
                }
                self.frames = 0;
            }
            frame
        }

        fn lost(&mut self) -> Vec<f64> {
            self.frames += 1;
            if self.frames == 1 {
                self.buffer = self.history.clone();
                self.pitch = self.find();
                let quarter = self.pitch / 4;
                self.position = 0;
                self.take(1);
                // The last quarter, not played yet, leads into the repetition.
                let end = self.history.len();
                for n in 0..quarter.min(30) {
                    let at = 390 - quarter + n;
                    self.history[end - quarter + n] = self.buffer[at];
                }
                return self.read(80);
            }
            if self.frames > 6 {
                return vec![0.0; 80];
            }
            let mut frame;
            if self.frames <= 3 {
                let quarter = self.pitch / 4;
                let (saved, ahead) = (self.position, self.read(quarter));
                self.position = saved % self.pitch;
                self.take(self.frames);
                frame = self.read(80);
                for (n, (to, from)) in frame.iter_mut().zip(ahead).enumerate() {
                    let weight = (n + 1) as f64 / (quarter + 1) as f64;
                    *to = *to * weight + from * (1.0 - weight);
                }
            } else {
                frame = self.read(80);
            }
            let top = 1.0 - 0.2 * (self.frames as f64 - 2.0);
            frame.iter().enumerate().map(|(n, s)| s * (top - 0.2 * n as f64 / 80.0)).collect()
        }

        /// The repeated part becomes `periods` long; its end is led over into its beginning.
        fn take(&mut self, periods: usize) {
            let quarter = self.pitch / 4;
            self.length = periods * self.pitch;
            for n in 0..quarter {
                let weight = (n + 1) as f64 / (quarter + 1) as f64;
                let last = self.history_copy(390 - quarter + n);
                let lead = self.history_copy(390 - self.length - quarter + n);
                self.buffer[390 - quarter + n] = last * (1.0 - weight) + lead * weight;
            }
        }

        fn history_copy(&self, at: usize) -> f64 {
            // `buffer` is the history as it was when the loss began, but for its last quarter.
            if at >= 360 { self.clean(at) } else { self.buffer[at] }
        }

        fn clean(&self, at: usize) -> f64 {
            self.buffer[at]
        }

        fn read(&mut self, count: usize) -> Vec<f64> {
            let start = 390 - self.length;
            let read = (0..count).map(|n| self.buffer[start + (self.position + n) % self.length]);
            let read: Vec<f64> = read.collect();
            self.position = (self.position + count) % self.length;
            read
        }

        fn find(&self) -> usize {
            let last = &self.history[230..];
            let likeness = |lag: &usize| {
                let before = &self.history[230 - lag..390 - lag];
                let product: f64 = last.iter().zip(before).map(|(a, b)| a * b).sum();
                let energy: f64 = before.iter().map(|b| b * b).sum();
                product / energy.max(1.0).sqrt()
            };
            (40..=120).max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap()
        }
    }

    /// What Appendix I makes of the signal, in step with it, when every seventh frame of 20 ms is
    /// lost.
    fn appendix_one(signal: &[i16]) -> f64 {
        let mut reference = AppendixOne::default();
        let mut out = Vec::new();
        for (number, frame) in signal.chunks_exact(80).enumerate() {
            let lost = number / 2 >= 5 && number / 2 % 7 == 0;
            out.extend(reference.frame((!lost).then_some(frame)));
        }
        let (mut wanted, mut error) = (0.0, 0.0);
        for (number, frame) in signal.chunks_exact(160).enumerate() {
            if number >= 5 && number % 7 == 0 && (number + 1) * 160 + 30 < out.len() {
                for (n, sample) in frame.iter().enumerate() {
                    wanted += f64::from(*sample).powi(2);
                    error += (f64::from(*sample) - out[number * 160 + n + 30]).powi(2);
                }
            }
        }
        10.0 * (wanted / error).log10()
    }

    #[test]
    fn a_lost_frame_of_a_voice_is_nearer_to_it_than_silence_or_its_last_frame() {
        let mut sum = 0.0;
        for (rate, pitch) in [8_000, 16_000].into_iter().flat_map(|rate| {
            [90.0, 120.0, 150.0, 190.0, 230.0].into_iter().map(move |pitch| (rate, pitch))
        }) {
            let signal = voice(rate, pitch, to_usize(rate) * 8);
            let frame = to_usize(rate / 50);
            let mut concealer = Concealer::new(rate);
            let own = quality(&signal, frame, |heard, out, lost| {
                if lost { concealer.conceal(heard, out) } else { concealer.rejoin(out) }
            });
            let repeated = quality(&signal, frame, |heard, out, lost| {
                if lost {
                    out.copy_from_slice(&heard[heard.len() - frame..]);
                }
            });
            // Wide-band has no appendix.
            let measure = if rate == 8_000 { appendix_one(&signal) } else { 5.0 };
            println!(
                "{rate} Hz, {pitch}: {own:.2} dB, Appendix I {measure:.2}, last {repeated:.2}"
            );
            assert!(own > repeated + 2.0 && own >= measure - 0.3, "{own:.2} {measure:.2}");
            sum += if rate == 8_000 { own - measure } else { 0.0 };
        }
        assert!(sum >= -0.5, "on the whole {sum:.2} dB less than Appendix I");
    }

    #[test]
    fn neither_the_beginning_nor_the_end_of_a_loss_clicks() {
        for rate in [8_000, 16_000] {
            let signal = voice(rate, 120.0, to_usize(rate) * 4);
            let usual = largest_step(&signal);
            let frame = to_usize(rate / 50);
            let mut concealer = Concealer::new(rate);
            let mut played = Vec::new();
            for (number, frame_of) in signal.chunks_exact(frame).enumerate() {
                let mut out = frame_of.to_vec();
                let lost = number > 3 && (number % 11 == 0 || number % 17 < 2);
                if lost {
                    concealer.conceal(&played, &mut out)
                } else {
                    concealer.rejoin(&mut out)
                }
                played.extend(out);
            }
            let made = largest_step(&played);
            assert!(made <= usual * 115 / 100, "{rate} Hz: steps of {made}, usual {usual}");
        }
    }

    #[test]
    fn a_long_loss_is_silence_from_60_ms_on() {
        let signal = voice(8_000, 120.0, 8_000);
        let mut concealer = Concealer::new(8_000);
        let mut out = [0i16; 800];
        concealer.conceal(&signal, &mut out);
        assert!(out[..80].iter().any(|sample| sample.abs() > 500));
        assert!(out[480..].iter().all(|sample| *sample == 0));
        let energy = |range: std::ops::Range<usize>| -> i64 {
            out[range].iter().map(|sample| i64::from(*sample).pow(2)).sum()
        };
        assert!(energy(0..120) > energy(200..320) && energy(200..320) > energy(360..480));
    }

    #[test]
    fn a_short_or_empty_history_is_no_reason_to_fail() {
        let mut concealer = Concealer::new(8_000);
        let mut out = [1i16; 160];
        concealer.conceal(&[], &mut out);
        assert_eq!(out, [0; 160]);
        concealer.rejoin(&mut []);
        concealer.conceal(&[i16::MIN; 7], &mut out);
        concealer.rejoin(&mut out[..3]);
        assert!(!concealer.is_active());
    }

    #[test]
    fn loss_in_pieces_sounds_as_in_one() {
        let signal = voice(8_000, 120.0, 4_000);
        let (mut one, mut other) = (Concealer::new(8_000), Concealer::new(8_000));
        let mut whole = [0i16; 300];
        one.conceal(&signal, &mut whole);
        let mut pieces = [0i16; 300];
        for piece in pieces.chunks_mut(7) {
            other.conceal(&signal, piece);
        }
        assert_eq!(whole, pieces);
    }
}
