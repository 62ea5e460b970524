//! G.711 µ-law (ITU-T G.711, table 2a), one sample at a time.

/// No sound.
pub(crate) const SILENCE: u8 = 0xff;

/// What is added so that every segment begins at a power of two.
const BIAS: u16 = 132;
/// The largest magnitude that has a code.
const MOST: u16 = 32_635;

/// The code of a sample of 16 bits.
pub(crate) const fn encode(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = sample.unsigned_abs();
    let magnitude = if magnitude > MOST { MOST } else { magnitude }.saturating_add(BIAS);
    // With the bias the top bit is one of 7 to 14.
    let segment = 8_u32.saturating_sub(magnitude.leading_zeros());
    let [_, step] = (magnitude >> segment.saturating_add(3)).to_be_bytes();
    let [_, _, _, segment] = segment.to_be_bytes();
    !(sign | (segment << 4) | (step & 0x0f))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_has_the_code_that_the_media_engine_gives_it() {
        let samples: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        let mut codes = vec![0; samples.len()];
        koukan_codecs::g711::encode_ulaw(&samples, &mut codes);
        for (sample, code) in samples.into_iter().zip(codes) {
            assert_eq!(encode(sample), code, "{sample}");
        }
        assert_eq!(encode(0), SILENCE);
    }
}
