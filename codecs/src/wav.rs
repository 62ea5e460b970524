//! WAV files as prompts: PCM of 16 bits, A-law and µ-law, any rate down to 8 kHz mono.

use thiserror::Error;

use crate::g711;

/// Why a file is no prompt: the admin's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WavError {
    /// It does not begin with `RIFF` … `WAVE`, or is cut short.
    #[error("not a WAV file")]
    NotWav,
    /// Another encoding than 16-bit PCM, A-law and µ-law.
    #[error("WAV encoding {tag} with {bits} bits is not read (use 16-bit PCM)")]
    Encoding {
        /// The format tag.
        tag: u16,
        /// Bits a sample.
        bits: u16,
    },
    /// A rate outside 8–192 kHz or more than 8 channels.
    #[error("{rate} Hz with {channels} channels is not read")]
    Shape {
        /// Samples a second.
        rate: u32,
        /// Channels.
        channels: u16,
    },
}

/// Reads a file's sound as 8 kHz mono samples. Higher rates are averaged down (a box filter, enough
/// for speech prompts), channels are averaged.
///
/// # Errors
/// Why it is no prompt.
pub fn read(file: &[u8]) -> Result<Vec<i16>, WavError> {
    if file.get(..4) != Some(b"RIFF") || file.get(8..12) != Some(b"WAVE") {
        return Err(WavError::NotWav);
    }
    let format = chunk(file, b"fmt ").ok_or(WavError::NotWav)?;
    let word = |at: usize| {
        let bytes = format.get(at..).and_then(|rest| rest.first_chunk::<2>());
        bytes.map(|bytes| u16::from_le_bytes(*bytes)).ok_or(WavError::NotWav)
    };
    let rate = format.get(4..).and_then(|rest| rest.first_chunk::<4>()).ok_or(WavError::NotWav)?;
    let rate = u32::from_le_bytes(*rate);
    let (tag, channels, bits) = (word(0)?, word(2)?, word(14)?);
    if !(8_000..=192_000).contains(&rate) || !(1..=8).contains(&channels) {
        return Err(WavError::Shape { rate, channels });
    }
    let data = chunk(file, b"data").ok_or(WavError::NotWav)?;
    let samples = match (tag, bits) {
        (1, 16) => data
            .chunks_exact(2)
            .filter_map(|pair| Some(i16::from_le_bytes(*pair.first_chunk::<2>()?)))
            .collect(),
        (6, _) => decoded(data, g711::decode_alaw),
        (7, _) => decoded(data, g711::decode_ulaw),
        _ => return Err(WavError::Encoding { tag, bits }),
    };
    Ok(resampled(&samples, rate, usize::from(channels)))
}

fn decoded(data: &[u8], decode: fn(&[u8], &mut [i16])) -> Vec<i16> {
    let mut samples = vec![0; data.len()];
    decode(data, &mut samples);
    samples
}

fn chunk<'a>(file: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    let mut rest = file.get(12..)?;
    loop {
        let (head, body) = rest.split_at_checked(8)?;
        let size = u32::from_le_bytes(*head.get(4..)?.first_chunk::<4>()?);
        let size = usize::try_from(size).ok()?;
        if head.starts_with(name) {
            return Some(body.get(..size).unwrap_or(body));
        }
        rest = body.get(size.checked_add(size & 1)?..)?;
    }
}

/// To 8 kHz mono: each output sample is the mean of the input frames that it covers.
fn resampled(samples: &[i16], rate: u32, channels: usize) -> Vec<i16> {
    if rate == 8_000 && channels == 1 {
        return samples.to_vec();
    }
    let frames = samples.len() / channels;
    let rate = u64::from(rate);
    let frame_at = |output: u64| usize::try_from(output * rate / 8_000).unwrap_or(usize::MAX);
    (0u64..)
        .map(|output| (frame_at(output), frame_at(output + 1)))
        .take_while(|(start, _)| *start < frames)
        .filter_map(|(start, end)| {
            let end = end.clamp(start + 1, frames);
            let covered = samples.get(start * channels..end * channels)?;
            let sum: i64 = covered.iter().map(|sample| i64::from(*sample)).sum();
            i16::try_from(sum / i64::try_from(covered.len()).ok()?).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
        file.extend_from_slice(&tag.to_le_bytes());
        file.extend_from_slice(&channels.to_le_bytes());
        file.extend_from_slice(&rate.to_le_bytes());
        file.extend_from_slice(&[0; 6]);
        file.extend_from_slice(&bits.to_le_bytes());
        file.extend_from_slice(b"LIST\x03\0\0\0abc\0data");
        file.extend_from_slice(&u32::try_from(data.len()).unwrap().to_le_bytes());
        file.extend_from_slice(data);
        file
    }

    #[test]
    fn all_encodings_and_shapes_become_8_khz_mono() {
        assert_eq!(read(&wav(1, 1, 8_000, 16, &[1, 0, 2, 0])), Ok(vec![1, 2]));
        assert_eq!(read(&wav(7, 1, 8_000, 8, &[0xFF, 0x00])), Ok(vec![0, -32_124]));
        assert_eq!(read(&wav(1, 2, 16_000, 16, &[2, 0, 4, 0, 6, 0, 8, 0])), Ok(vec![5]));
    }

    #[test]
    fn every_truncation_is_an_error_or_a_shorter_sound() {
        let file = wav(1, 1, 8_000, 16, &[1, 0, 2, 0, 3, 0]);
        for end in 0..file.len() {
            if let Ok(samples) = read(&file[..end]) {
                assert!(samples.len() < 3);
            }
        }
        assert_eq!(read(b"RIFFxxxxWAVE"), Err(WavError::NotWav));
        assert!(matches!(read(&wav(3, 1, 8_000, 32, &[])), Err(WavError::Encoding { .. })));
        assert!(matches!(read(&wav(1, 0, 8_000, 16, &[])), Err(WavError::Shape { .. })));
    }
}
