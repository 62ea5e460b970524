//! G.711 by arithmetic on many samples at once, for processors with AVX2 or AVX-512: the same bytes
//! and samples as the tables. The loops are plain Rust that the compiler makes vectors of; what is
//! unsafe is only to call them, which needs the processor's word that it knows the instructions.

/// Runs the loop that the processor can run; false when it can run none, and the table must.
macro_rules! on_wide_processor {
    ($features:tt, $wide:ident, $from:expr, $to:expr) => {{
        #[cfg(target_arch = "x86_64")]
        if on_wide_processor!(@found $features) {
            // SAFETY: the processor has the features, asked just above.
            unsafe { x86::$wide($from, $to) };
            return true;
        }
        false
    }};
    (@found avx2) => { is_x86_feature_detected!("avx2") };
    (@found avx512) => {
        is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl")
    };
}

/// µ-law bytes to samples.
pub(super) fn decode_ulaw(bytes: &[u8], samples: &mut [i16]) -> bool {
    on_wide_processor!(avx2, decode_ulaw, bytes, samples)
}

/// A-law bytes to samples.
pub(super) fn decode_alaw(bytes: &[u8], samples: &mut [i16]) -> bool {
    on_wide_processor!(avx2, decode_alaw, bytes, samples)
}

/// Samples to µ-law bytes. AVX2 alone is no faster here than the table.
pub(super) fn encode_ulaw(samples: &[i16], bytes: &mut [u8]) -> bool {
    on_wide_processor!(avx512, encode_ulaw, samples, bytes)
}

/// Samples to A-law bytes; as for µ-law.
pub(super) fn encode_alaw(samples: &[i16], bytes: &mut [u8]) -> bool {
    on_wide_processor!(avx512, encode_alaw, samples, bytes)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #[target_feature(enable = "avx2")]
    pub(super) fn decode_ulaw(bytes: &[u8], samples: &mut [i16]) {
        for (sample, byte) in samples.iter_mut().zip(bytes) {
            *sample = super::ulaw_sample(*byte);
        }
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn decode_alaw(bytes: &[u8], samples: &mut [i16]) {
        for (sample, byte) in samples.iter_mut().zip(bytes) {
            *sample = super::alaw_sample(*byte);
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn encode_ulaw(samples: &[i16], bytes: &mut [u8]) {
        for (byte, sample) in bytes.iter_mut().zip(samples) {
            *byte = super::ulaw_byte(*sample);
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn encode_alaw(samples: &[i16], bytes: &mut [u8]) {
        for (byte, sample) in bytes.iter_mut().zip(samples) {
            *byte = super::alaw_byte(*sample);
        }
    }
}

/// Table 2b without a branch.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "at most 32,124")]
fn ulaw_sample(byte: u8) -> i16 {
    let code = !i32::from(byte);
    let magnitude = ((((code & 15) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
    let sign = (code << 24) >> 31;
    ((magnitude ^ sign) - sign) as i16
}

/// Table 1b without a branch.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "at most 32,256")]
fn alaw_sample(byte: u8) -> i16 {
    let code = i32::from(byte) ^ 0x55;
    let exponent = (code >> 4) & 7;
    let low = i32::from(exponent == 0);
    let magnitude = (((code & 15) << 4) + 0x108 - 0x100 * low) << (exponent - 1 + low);
    let sign = !((code << 24) >> 31);
    ((magnitude ^ sign) - sign) as i16
}

/// Table 2a: a float's exponent and the first bits of its fraction are the code's.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "masked to a byte")]
#[expect(clippy::cast_precision_loss, reason = "16 bits fit a float")]
fn ulaw_byte(sample: i16) -> u8 {
    let sample = i32::from(sample);
    let biased = sample.abs().min(32_635) + 0x84;
    let code = ((biased as f32).to_bits() as i32 >> 19) - (134 << 4);
    let sign = (sample >> 24) & 0x80;
    !(code | sign) as u8
}

/// Table 1a in the same way; the lowest segment is linear.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "masked to a byte")]
#[expect(clippy::cast_precision_loss, reason = "16 bits fit a float")]
fn alaw_byte(sample: i16) -> u8 {
    let sample = i32::from(sample);
    let sign = sample >> 31;
    let magnitude = (sample ^ sign) >> 4;
    let high = ((magnitude as f32).to_bits() as i32 >> 19) - (130 << 4);
    let code = if magnitude < 16 { magnitude } else { high };
    ((code | (!sign & 0x80)) ^ 0x55) as u8
}

#[cfg(test)]
mod tests {
    use super::super::{alaw_to_sample, sample_to_alaw, sample_to_ulaw, ulaw_to_sample};
    use super::*;

    #[test]
    fn the_arithmetic_equals_the_tables_over_the_whole_range() {
        for byte in 0..=255u8 {
            assert_eq!(ulaw_sample(byte), ulaw_to_sample(byte), "µ-law {byte}");
            assert_eq!(alaw_sample(byte), alaw_to_sample(byte), "A-law {byte}");
        }
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(ulaw_byte(sample), sample_to_ulaw(sample), "µ-law {sample}");
            assert_eq!(alaw_byte(sample), sample_to_alaw(sample), "A-law {sample}");
        }
    }

    #[test]
    fn the_wide_loops_equal_the_scalar_ones_at_every_length() {
        let bytes: Vec<u8> = (0..=255).collect();
        let samples: Vec<i16> = (0..257i16).map(|n| n.wrapping_mul(255)).collect();
        for length in 0..256 {
            let (mut wide, mut bytes_out) = (vec![0; length], vec![0; length]);
            if decode_ulaw(&bytes[..length], &mut wide) {
                assert!(wide.iter().zip(&bytes).all(|(s, b)| *s == ulaw_to_sample(*b)));
            }
            if decode_alaw(&bytes[..length], &mut wide) {
                assert!(wide.iter().zip(&bytes).all(|(s, b)| *s == alaw_to_sample(*b)));
            }
            if encode_ulaw(&samples[..length], &mut bytes_out) {
                assert!(bytes_out.iter().zip(&samples).all(|(b, s)| *b == sample_to_ulaw(*s)));
            }
            if encode_alaw(&samples[..length], &mut bytes_out) {
                assert!(bytes_out.iter().zip(&samples).all(|(b, s)| *b == sample_to_alaw(*s)));
            }
        }
    }
}
