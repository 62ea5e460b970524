//! Tones with their cadence, as data ([`Tone`]) and as sound.

use std::f32::consts::TAU;

/// A tone: up to two frequencies, modulated or not, and its rhythm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tone {
    /// In Hz; 0 is none.
    pub hertz: [f32; 2],
    /// Amplitude modulation of the first in Hz, 0 for none; its depth is `depth`.
    pub modulation: f32,
    /// Depth of the modulation, 0 to 1.
    pub depth: f32,
    /// Level of each frequency, in dBm0.
    pub dbm0: f32,
    /// Milliseconds on, off, on, off; zeros end it. On alone is for ever.
    pub cadence: [u16; 4],
}

impl Tone {
    /// One or two frequencies at -13 dBm0 with a rhythm.
    #[must_use]
    pub const fn new(hertz: [f32; 2], cadence: [u16; 4]) -> Self {
        Self { hertz, modulation: 0.0, depth: 0.0, dbm0: -13.0, cadence }
    }

    /// Modulated by another frequency.
    #[must_use]
    pub const fn modulated(self, modulation: f32, depth: f32) -> Self {
        Self { modulation, depth, ..self }
    }

    /// Whether it never pauses.
    #[must_use]
    pub const fn is_steady(&self) -> bool {
        let [_, off, _, _] = self.cadence;
        off == 0
    }
}

/// The sound of a tone.
#[derive(Clone, Debug)]
pub struct ToneGenerator {
    tone: Tone,
    rate: f32,
    amplitude: f32,
    phases: [f32; 3],
    /// Where in the cadence, in samples.
    position: u32,
    period: u32,
    /// 0 to 1, so that on and off do not click.
    envelope: f32,
}

impl ToneGenerator {
    /// The generator of a tone from its beginning.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "rates fit a float")]
    pub fn new(tone: &Tone, rate: u32) -> Self {
        let total: u32 = tone.cadence.iter().map(|ms| u32::from(*ms)).sum();
        // 3.17 dBm0 is a sine of full scale (G.711, table 6).
        let amplitude = 32_767.0 * 10f32.powf((tone.dbm0 - 3.17) / 20.0);
        let period = if tone.is_steady() { 0 } else { total * (rate / 1_000) };
        let phases = [0.0; 3];
        Self {
            tone: *tone,
            rate: rate as f32,
            amplitude,
            phases,
            position: 0,
            period,
            envelope: 0.0,
        }
    }

    /// The next samples.
    pub fn fill(&mut self, out: &mut [i16]) {
        // 3 ms from nothing to all.
        let slope = 1.0 / (self.rate * 0.003);
        for sample in out {
            let wanted = if self.is_on() { 1.0 } else { 0.0 };
            self.envelope += (wanted - self.envelope).clamp(-slope, slope);
            let value = self.value() * self.envelope;
            self.position = self.position.wrapping_add(1);
            if self.period > 0 && self.position >= self.period {
                self.position = 0;
            }
            #[expect(clippy::cast_possible_truncation, reason = "saturates")]
            let rounded = value as i16;
            *sample = rounded;
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate of at most 48 kHz"
    )]
    fn is_on(&self) -> bool {
        if self.period == 0 {
            return true;
        }
        let mut end = 0;
        for (part, ms) in self.tone.cadence.iter().enumerate() {
            end += u32::from(*ms) * (self.rate as u32 / 1_000);
            if self.position < end {
                return part % 2 == 0;
            }
        }
        false
    }

    fn value(&mut self) -> f32 {
        let [first, second, slow] = self.phases;
        let depth = self.tone.depth;
        let strength = (1.0 + depth * slow.sin()) / (1.0 + depth);
        let mut value = first.sin() * strength;
        let [one, other] = self.tone.hertz;
        if other > 0.0 {
            value += second.sin();
        }
        self.phases = [
            turned(first, one, self.rate),
            turned(second, other, self.rate),
            turned(slow, self.tone.modulation, self.rate),
        ];
        value * self.amplitude
    }
}

fn turned(phase: f32, hertz: f32, rate: f32) -> f32 {
    let next = phase + TAU * hertz / rate;
    if next >= TAU { next - TAU } else { next }
}
