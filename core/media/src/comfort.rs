//! Comfort noise (RFC 3389): the payload's level and reflection coefficients, and the noise that a
//! receiver makes from them.

/// Reflection coefficients that are used; a payload may carry more, which refine what nobody hears.
const ORDER: usize = 10;

/// What a comfort-noise payload says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ComfortNoise {
    /// Level in -dBov: 0 is the loudest, 127 silence.
    pub level: u8,
    reflections: [f32; ORDER],
}

impl ComfortNoise {
    /// White noise of a level in -dBov.
    #[must_use]
    pub const fn white(level: u8) -> Self {
        Self { level, reflections: [0.0; ORDER] }
    }

    /// Reads a payload (section 3); `None` when it is empty.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (level, rest) = payload.split_first()?;
        let mut noise = Self::white(level & 0x7F);
        for (coefficient, byte) in noise.reflections.iter_mut().zip(rest) {
            // Section 3.2: k = 258 (N - 127) / 32768; kept off ±1, where the filter would ring for
            // ever.
            *coefficient = ((f32::from(*byte) - 127.0) * 258.0 / 32_768.0).clamp(-0.98, 0.98);
        }
        Some(noise)
    }

    /// The payload of white noise of this level.
    #[must_use]
    pub const fn payload(&self) -> [u8; 1] {
        [self.level]
    }
}

/// The generator: white noise through the lattice that the coefficients describe.
#[derive(Clone, Debug)]
pub struct NoiseGenerator {
    noise: ComfortNoise,
    gain: f32,
    lattice: [f32; ORDER],
    state: u32,
}

impl NoiseGenerator {
    /// A generator of silence, until told otherwise.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        let noise = ComfortNoise::white(127);
        Self { noise, gain: 0.0, lattice: [0.0; ORDER], state: seed | 1 }
    }

    /// What to make from now on.
    pub fn set(&mut self, noise: ComfortNoise) {
        self.noise = noise;
        // The lattice multiplies the power by 1 / (1 - k²) a stage; taken back, so that the level
        // is the payload's. dBov is against full scale; uniform noise has a third of its peak's
        // square.
        let loss: f32 = noise.reflections.iter().map(|k| 1.0 - k * k).product();
        let amplitude = 32_767.0 * 10f32.powf(-f32::from(noise.level) / 20.0);
        self.gain = if noise.level >= 127 { 0.0 } else { amplitude * (3.0 * loss).sqrt() };
    }

    /// Fills `out` with noise.
    pub fn fill(&mut self, out: &mut [i16]) {
        for sample in out {
            // Marsaglia's xorshift: noise needs no better.
            self.state ^= self.state << 13;
            self.state ^= self.state >> 17;
            self.state ^= self.state << 5;
            #[expect(clippy::cast_precision_loss, reason = "noise")]
            let white = self.state.cast_signed() as f32 / 2_147_483_648.0 * self.gain;
            #[expect(clippy::cast_possible_truncation, reason = "saturated by the cast")]
            let value = self.filtered(white) as i16;
            *sample = value;
        }
    }

    /// One step of the all-pole lattice.
    fn filtered(&mut self, input: f32) -> f32 {
        let mut forward = input;
        // What comes out of a stage is held for the one above it, which has had its turn.
        let mut above: Option<&mut f32> = None;
        for (k, held) in self.noise.reflections.iter().zip(self.lattice.iter_mut()).rev() {
            let old = *held;
            forward -= k * old;
            if let Some(above) = above {
                *above = old + k * forward;
            }
            above = Some(held);
        }
        if let Some(lowest) = above {
            *lowest = forward;
        }
        forward
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level_of(samples: &[i16]) -> f64 {
        let power: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        10.0 * (power / samples.len() as f64).log10() - 20.0 * 32_767f64.log10()
    }

    #[test]
    fn noise_has_the_level_that_the_payload_says_with_and_without_colour() {
        for payload in [&[30u8][..], &[50], &[40, 127, 127], &[40, 200, 100, 140, 120], &[78]] {
            let mut generator = NoiseGenerator::new(7);
            generator.set(ComfortNoise::parse(payload).unwrap());
            let mut samples = vec![0; 40_000];
            generator.fill(&mut samples);
            let level = level_of(&samples[400..]);
            assert!((level + f64::from(payload[0])).abs() < 1.5, "{payload:?}: {level:.1}");
        }
    }

    #[test]
    fn coefficients_at_the_edge_do_not_ring_for_ever_and_127_is_silence() {
        let mut generator = NoiseGenerator::new(7);
        generator.set(ComfortNoise::parse(&[10, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0]).unwrap());
        let mut samples = vec![0; 80_000];
        generator.fill(&mut samples);
        generator.set(ComfortNoise::parse(&[127]).unwrap());
        generator.fill(&mut samples);
        assert!(samples[79_000..].iter().all(|sample| *sample == 0));
        assert_eq!(ComfortNoise::parse(&[]), None);
        assert_eq!(ComfortNoise::parse(&[0x80 | 33]).unwrap().payload(), [33]);
    }
}
