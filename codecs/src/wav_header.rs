//! The head of a WAV file that is written: PCM of 16 bits or G.711, one channel or more.

/// How samples are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WavEncoding {
    /// 16 bits, little endian.
    Linear16,
    /// G.711 A-law.
    Alaw,
    /// G.711 µ-law.
    Ulaw,
}

impl WavEncoding {
    /// Format tag and bytes a sample.
    const fn tag(self) -> (u16, u16) {
        match self {
            Self::Linear16 => (1, 2),
            Self::Alaw => (6, 1),
            Self::Ulaw => (7, 1),
        }
    }

    /// Bytes of one sample.
    #[must_use]
    pub const fn bytes(self) -> u16 {
        self.tag().1
    }
}

/// Bytes of the head: `RIFF`, `fmt ` with its empty extension, `fact`, and the beginning of `data`.
pub const WAV_HEAD: usize = 58;

/// The head of a file with so many bytes of samples; sizes that 32 bits cannot hold are written as
/// the largest.
#[must_use]
pub fn wav_head(
    encoding: WavEncoding,
    channels: u16,
    sample_rate: u32,
    data_bytes: u64,
) -> [u8; WAV_HEAD] {
    let (tag, bytes) = encoding.tag();
    let block = bytes.saturating_mul(channels);
    let data = u32::try_from(data_bytes).unwrap_or(u32::MAX);
    let samples = data.checked_div(u32::from(block)).unwrap_or(0);
    let parts: [&[u8]; 16] = [
        b"RIFF",
        &data.saturating_add(50).saturating_add(data & 1).to_le_bytes(),
        b"WAVEfmt ",
        &18u32.to_le_bytes(),
        &tag.to_le_bytes(),
        &channels.to_le_bytes(),
        &sample_rate.to_le_bytes(),
        &sample_rate.saturating_mul(u32::from(block)).to_le_bytes(),
        &block.to_le_bytes(),
        &bytes.saturating_mul(8).to_le_bytes(),
        &0u16.to_le_bytes(),
        b"fact",
        &4u32.to_le_bytes(),
        &samples.to_le_bytes(),
        b"data",
        &data.to_le_bytes(),
    ];
    let mut head = [0; WAV_HEAD];
    let all = parts.into_iter().flatten();
    for (to, from) in head.iter_mut().zip(all) {
        *to = *from;
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wav;

    #[test]
    fn what_is_written_is_read_again() {
        let file = |encoding, channels, rate, data: &[u8]| {
            let head = wav_head(encoding, channels, rate, data.len() as u64);
            [head.as_slice(), data].concat()
        };
        let linear = file(WavEncoding::Linear16, 1, 8_000, &[1, 0, 2, 0, 3, 0]);
        assert_eq!(wav::read(&linear), Ok(vec![1, 2, 3]));
        assert_eq!(linear[4..8], u32::try_from(linear.len() - 8).unwrap().to_le_bytes());
        let stereo = file(WavEncoding::Linear16, 2, 16_000, &[2, 0, 4, 0, 6, 0, 8, 0]);
        assert_eq!(wav::read(&stereo), Ok(vec![5]));
        let ulaw = file(WavEncoding::Ulaw, 1, 8_000, &[0xFF, 0x00]);
        assert_eq!(wav::read(&ulaw), Ok(vec![0, -32_124]));
        let alaw = file(WavEncoding::Alaw, 1, 8_000, &[0xD5]);
        assert_eq!(wav::read(&alaw), Ok(vec![8]));
        let endless = wav_head(WavEncoding::Linear16, 2, 16_000, u64::MAX);
        assert_eq!(endless[4..8], [0xFF; 4]);
    }
}
