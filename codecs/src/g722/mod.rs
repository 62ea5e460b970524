//! G.722 at 64 kbit/s (ITU-T G.722, mode 1): 16 kHz in two sub-bands of ADPCM, one byte for two
//! samples. In RTP its clock counts 8000 a second by an old error (RFC 3551, section 4.5.2).
//!
//! The names of the steps are those of the recommendation's clauses 6.2 and 7. Modes 2 and 3 with
//! 56 and 48 kbit/s are left out: no telephone asks for them.

mod band;
mod qmf;

use band::{Band, HIGH, LOW, QM2, QM4, QM6};
use qmf::{Receive, Transmit};

/// The encoder: two samples a byte.
#[derive(Debug, Default)]
pub struct Encoder {
    filter: Transmit,
    low: Band<LOW>,
    high: Band<HIGH>,
}

impl Encoder {
    /// An encoder at rest.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Encodes pairs of samples; how many bytes that made.
    pub fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> usize {
        let (pairs, _) = samples.as_chunks::<2>();
        for (byte, pair) in payload.iter_mut().zip(pairs) {
            let (low, high) = self.filter.split(*pair);
            let low_code = self.low.quantize(low);
            let high_code = self.high.quantize(high);
            *byte = (high_code << 6) | low_code;
        }
        pairs.len().min(payload.len())
    }
}

/// The decoder.
#[derive(Debug, Default)]
pub struct Decoder {
    filter: Receive,
    low: Band<LOW>,
    high: Band<HIGH>,
}

impl Decoder {
    /// A decoder at rest.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes bytes to two samples each; how many samples that made.
    pub fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> usize {
        let (pairs, _) = samples.as_chunks_mut::<2>();
        let count = pairs.len().min(payload.len());
        for (pair, byte) in pairs.iter_mut().zip(payload) {
            let (low_code, high_code) = (byte & 0x3F, byte >> 6);
            let low = self.low.reconstruct(band::level(&QM6, low_code));
            self.low.adapt(band::level(&QM4, low_code >> 2), low_code >> 2);
            let high = self.high.reconstruct(band::level(&QM2, high_code));
            self.high.adapt(band::level(&QM2, high_code), high_code);
            *pair = self.filter.join(low, high);
        }
        count * 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A gliding triangle with noise that swells, in whole numbers, so that any language makes the
    /// same of it.
    fn signal(loudness: i32) -> Vec<i16> {
        let (mut state, mut phase) = (1u32, 0i32);
        let sound = |n: i32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = i32::try_from(state >> 16).unwrap() - 32_768;
            phase = (phase + 600 + n / 16 % 2_400) & 0xFFFF;
            let triangle = (phase - 32_768).abs() * 2 - 32_768;
            let swell = n / 40 % 256;
            let sum = (triangle * 180 + (noise * swell).div_euclid(3)) >> 8;
            let loud = (sum * loudness) >> 8;
            i16::try_from(loud.clamp(-32_768, 32_767)).unwrap()
        };
        (0..8_000).map(sound).collect()
    }

    #[test]
    fn every_byte_and_sample_is_another_implementations() {
        let reference = include_bytes!("../../tests/data/g722-reference.bin");
        let parts = reference.as_chunks::<20_000>().0;
        for (loudness, part) in [1, 40, 256, 900].into_iter().zip(parts) {
            let (bytes, samples) = part.split_at(4_000);
            let mut payload = [0; 4_000];
            assert_eq!(Encoder::new().encode(&signal(loudness), &mut payload), 4_000);
            let first = payload.iter().zip(bytes).position(|(one, other)| one != other);
            assert_eq!(first, None, "encoded at {loudness}");
            let mut decoded = vec![0; 8_000];
            assert_eq!(Decoder::new().decode(bytes, &mut decoded), 8_000);
            let theirs = samples.as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair));
            assert!(decoded.iter().copied().eq(theirs), "decoded at {loudness}");
        }
        assert_eq!(parts.len(), 4);
    }

    #[test]
    fn a_tone_comes_back_with_little_noise_in_either_band() {
        for hertz in [400.0, 1_000.0, 3_000.0, 5_500.0] {
            let tone = |n: usize| (n as f64 * hertz * std::f64::consts::TAU / 16_000.0).sin();
            #[expect(clippy::cast_possible_truncation, reason = "at most 8000")]
            let samples: Vec<i16> = (0..16_000).map(|n| (tone(n) * 8_000.0) as i16).collect();
            let (mut payload, mut back) = (vec![0; 8_000], vec![0; 16_000]);
            Encoder::new().encode(&samples, &mut payload);
            Decoder::new().decode(&payload, &mut back);
            // The two filters delay by 22 samples.
            let pairs = || samples[4_000..].iter().zip(&back[4_022..]);
            let power: f64 = pairs().map(|(one, _)| f64::from(*one).powi(2)).sum();
            let error: f64 =
                pairs().map(|(one, other)| (f64::from(*one) - f64::from(*other)).powi(2)).sum();
            let decibels = 10.0 * (power / error).log10();
            let least = if hertz < 4_000.0 { 25.0 } else { 10.0 };
            assert!(decibels > least, "{hertz} Hz: {decibels:.1} dB");
        }
    }

    #[test]
    fn odd_and_short_buffers_are_no_reason_to_fail() {
        assert_eq!(Encoder::new().encode(&[1, 2, 3], &mut [0; 9]), 1);
        assert_eq!(Encoder::new().encode(&[1; 8], &mut [0; 2]), 2);
        assert_eq!(Decoder::new().decode(&[1, 2, 3], &mut [0; 5]), 4);
    }
}
