//! G.711 (ITU-T G.711, tables 1 and 2): A-law and µ-law to linear and back, and to each other.
//!
//! Decoding is a table of 256 values, encoding one of 65,536, built at compile time from the
//! recommendation's arithmetic; sample slices are cast by `bytemuck`, so a buffer of the socket is
//! read where it is. Processors with AVX2 or AVX-512 compute instead of looking up (`wide`).

#[expect(unsafe_code, reason = "calls of functions for processors that have the instructions")]
mod wide;

/// Samples of a byte, A-law.
static ALAW_TO_LINEAR: [i16; 256] = decode_table(true);
/// Samples of a byte, µ-law.
static ULAW_TO_LINEAR: [i16; 256] = decode_table(false);
/// Bytes of a sample (as its 16 bits), A-law.
static LINEAR_TO_ALAW: [u8; 65_536] = encode_table(true);
/// Bytes of a sample (as its 16 bits), µ-law.
static LINEAR_TO_ULAW: [u8; 65_536] = encode_table(false);
static ALAW_TO_ULAW: [u8; 256] = cross_table(true);
static ULAW_TO_ALAW: [u8; 256] = cross_table(false);

/// The byte that is silence, A-law.
pub const ALAW_SILENCE: u8 = 0xD5;
/// The byte that is silence, µ-law.
pub const ULAW_SILENCE: u8 = 0xFF;

/// A-law bytes to samples; as many as the shorter slice holds.
pub fn decode_alaw(bytes: &[u8], samples: &mut [i16]) {
    if wide::decode_alaw(bytes, samples) {
        return;
    }
    for (sample, byte) in samples.iter_mut().zip(bytes) {
        *sample = lookup(&ALAW_TO_LINEAR, *byte);
    }
}

/// µ-law bytes to samples; as many as the shorter slice holds.
pub fn decode_ulaw(bytes: &[u8], samples: &mut [i16]) {
    if wide::decode_ulaw(bytes, samples) {
        return;
    }
    for (sample, byte) in samples.iter_mut().zip(bytes) {
        *sample = lookup(&ULAW_TO_LINEAR, *byte);
    }
}

/// Samples to A-law bytes; as many as the shorter slice holds.
pub fn encode_alaw(samples: &[i16], bytes: &mut [u8]) {
    if wide::encode_alaw(samples, bytes) {
        return;
    }
    for (byte, index) in bytes.iter_mut().zip(bytemuck::cast_slice::<i16, u16>(samples)) {
        *byte = LINEAR_TO_ALAW.get(usize::from(*index)).copied().unwrap_or(ALAW_SILENCE);
    }
}

/// Samples to µ-law bytes; as many as the shorter slice holds.
pub fn encode_ulaw(samples: &[i16], bytes: &mut [u8]) {
    if wide::encode_ulaw(samples, bytes) {
        return;
    }
    for (byte, index) in bytes.iter_mut().zip(bytemuck::cast_slice::<i16, u16>(samples)) {
        *byte = LINEAR_TO_ULAW.get(usize::from(*index)).copied().unwrap_or(ULAW_SILENCE);
    }
}

/// A-law to µ-law in place.
pub fn alaw_to_ulaw(bytes: &mut [u8]) {
    for byte in bytes {
        *byte = lookup(&ALAW_TO_ULAW, *byte);
    }
}

/// µ-law to A-law in place.
pub fn ulaw_to_alaw(bytes: &mut [u8]) {
    for byte in bytes {
        *byte = lookup(&ULAW_TO_ALAW, *byte);
    }
}

fn lookup<T: Copy + Default>(table: &[T; 256], byte: u8) -> T {
    table.get(usize::from(byte)).copied().unwrap_or_default()
}

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated at compile time: a wrong index fails the build"
)]
#[expect(clippy::cast_possible_truncation, reason = "the index runs over one byte")]
const fn decode_table(alaw: bool) -> [i16; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let byte = index as u8;
        table[index] = if alaw { alaw_to_sample(byte) } else { ulaw_to_sample(byte) };
        index += 1;
    }
    table
}

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated at compile time: a wrong index fails the build"
)]
#[expect(clippy::cast_possible_truncation, reason = "the index runs over 16 bits")]
#[expect(clippy::cast_possible_wrap, reason = "the upper half stands for negative samples")]
const fn encode_table(alaw: bool) -> [u8; 65_536] {
    let mut table = [0; 65_536];
    let mut index = 0;
    while index < 65_536 {
        let sample = index as u16 as i16;
        table[index] = if alaw { sample_to_alaw(sample) } else { sample_to_ulaw(sample) };
        index += 1;
    }
    table
}

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated at compile time: a wrong index fails the build"
)]
#[expect(clippy::cast_possible_truncation, reason = "the index runs over one byte")]
const fn cross_table(from_alaw: bool) -> [u8; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let byte = index as u8;
        table[index] = if from_alaw {
            sample_to_ulaw(alaw_to_sample(byte))
        } else {
            sample_to_alaw(ulaw_to_sample(byte))
        };
        index += 1;
    }
    table
}

/// Table 1b of the recommendation, scaled to 16 bits.
const fn alaw_to_sample(byte: u8) -> i16 {
    let code = byte ^ 0x55;
    let exponent = (code >> 4) & 7;
    let mantissa = (code & 15) as i16;
    let magnitude = match exponent {
        0 => (mantissa << 4) + 8,
        exponent => ((mantissa << 4) + 0x108) << (exponent - 1),
    };
    if code & 0x80 != 0 { magnitude } else { -magnitude }
}

/// Table 2b of the recommendation, scaled to 16 bits.
const fn ulaw_to_sample(byte: u8) -> i16 {
    let code = !byte;
    let exponent = (code >> 4) & 7;
    let magnitude = (((((code & 15) as i32) << 3) + 0x84) << exponent) - 0x84;
    #[expect(clippy::cast_possible_truncation, reason = "at most 32,124")]
    let magnitude = magnitude as i16;
    if code & 0x80 == 0 { magnitude } else { -magnitude }
}

/// Table 1a: the sample's 13 bits into sign, exponent and mantissa.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "masked to a byte")]
const fn sample_to_alaw(sample: i16) -> u8 {
    let negative = sample < 0;
    // One's complement, as the recommendation's negative values are mirrored.
    let magnitude = (if negative { !sample } else { sample }) as u16 >> 4;
    let exponent_bits = 16 - (magnitude >> 4).leading_zeros();
    let code = match exponent_bits {
        0 => magnitude as u8,
        bits => {
            let exponent = if bits > 7 { 7 } else { bits };
            let mantissa = (magnitude >> (exponent - 1)) & 15;
            ((exponent as u8) << 4) | mantissa as u8
        }
    };
    (if negative { code } else { code | 0x80 }) ^ 0x55
}

/// Table 2a: the sample's 14 bits with the bias of 33 into sign, exponent and mantissa.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "masked to a byte")]
const fn sample_to_ulaw(sample: i16) -> u8 {
    let negative = sample < 0;
    let magnitude = if negative { -(sample as i32) } else { sample as i32 };
    let clipped = if magnitude > 32_635 { 32_635 } else { magnitude };
    let biased = (clipped + 0x84) as u32;
    let exponent = (31 - biased.leading_zeros()) - 7;
    let mantissa = (biased >> (exponent + 3)) & 15;
    let code = ((exponent as u8) << 4) | mantissa as u8;
    !(if negative { code | 0x80 } else { code })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoded_values_are_the_recommendations() {
        let mut samples = [0i16; 4];
        decode_alaw(&[0xD5, 0x55, 0xAA, 0x2A], &mut samples);
        assert_eq!(samples, [8, -8, 32_256, -32_256]);
        decode_ulaw(&[0xFF, 0x7F, 0x80, 0x00], &mut samples);
        assert_eq!(samples, [0, 0, 32_124, -32_124]);
    }

    #[test]
    fn every_code_survives_decoding_and_encoding() {
        for byte in 0..=255u8 {
            let mut sample = [0i16];
            let mut back = [0u8];
            decode_alaw(&[byte], &mut sample);
            encode_alaw(&sample, &mut back);
            assert_eq!(back[0], byte, "A-law {byte:#x}");
            decode_ulaw(&[byte], &mut sample);
            encode_ulaw(&sample, &mut back);
            // µ-law has two zeros; the negative one decodes to plain zero.
            let expected = if byte == 0x7F { 0xFF } else { byte };
            assert_eq!(back[0], expected, "µ-law {byte:#x}");
        }
    }

    #[test]
    fn every_sample_is_encoded_within_half_a_step_of_its_segment() {
        for sample in i16::MIN..=i16::MAX {
            // Half a step is a 32nd of the segment's lower end; the lowest segment has 8.
            let limit = i32::from(sample).abs() / 32 + 8;
            let (mut byte, mut back) = ([0u8], [0i16]);
            encode_alaw(&[sample], &mut byte);
            decode_alaw(&byte, &mut back);
            let error = (i32::from(back[0]) - i32::from(sample)).abs();
            assert!(error <= limit, "A-law {sample}: {error}");
            encode_ulaw(&[sample], &mut byte);
            decode_ulaw(&byte, &mut back);
            let error = (i32::from(back[0]) - i32::from(sample)).abs();
            assert!(error <= limit, "µ-law {sample}: {error}");
        }
    }

    #[test]
    fn the_direct_maps_equal_the_way_over_samples() {
        for byte in 0..=255u8 {
            let mut direct = [byte];
            alaw_to_ulaw(&mut direct);
            let (mut sample, mut over) = ([0i16], [0u8]);
            decode_alaw(&[byte], &mut sample);
            encode_ulaw(&sample, &mut over);
            assert_eq!(direct, over);
        }
    }
}
