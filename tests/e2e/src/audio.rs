//! What the phones say and hear: tones into WAV files, levels and likeness out of them.

use std::f64::consts::TAU;
use std::fs;
use std::io;
use std::path::Path;

/// Sample rate of every file here, in Hz.
pub const RATE: u32 = 8000;

/// Mono samples at [`RATE`], full scale ±1.
#[derive(Clone, Debug, Default)]
pub struct Sound(pub Vec<f64>);

impl Sound {
    /// A sine of `hertz` at `dbfs` (0 is a full-scale sine) for `seconds`.
    #[must_use]
    pub fn tone(hertz: f64, dbfs: f64, seconds: f64) -> Self {
        let amplitude = 10f64.powf(dbfs / 20.0);
        let count = (seconds * f64::from(RATE)) as u32;
        let step = TAU * hertz / f64::from(RATE);
        Self((0..count).map(|n| amplitude * (step * f64::from(n)).sin()).collect())
    }

    /// Writes 16-bit mono PCM.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_wav(&self, path: &Path) -> io::Result<()> {
        let data: Vec<u8> = self
            .0
            .iter()
            .flat_map(|sample| ((sample.clamp(-1.0, 1.0) * 32767.0) as i16).to_le_bytes())
            .collect();
        let size = u32::try_from(data.len()).map_err(io::Error::other)?;
        let mut file = Vec::with_capacity(44 + data.len());
        file.extend_from_slice(b"RIFF");
        file.extend_from_slice(&(36 + size).to_le_bytes());
        file.extend_from_slice(b"WAVEfmt ");
        file.extend_from_slice(&16u32.to_le_bytes());
        file.extend_from_slice(&1u16.to_le_bytes());
        file.extend_from_slice(&1u16.to_le_bytes());
        file.extend_from_slice(&RATE.to_le_bytes());
        file.extend_from_slice(&(RATE * 2).to_le_bytes());
        file.extend_from_slice(&2u16.to_le_bytes());
        file.extend_from_slice(&16u16.to_le_bytes());
        file.extend_from_slice(b"data");
        file.extend_from_slice(&size.to_le_bytes());
        file.extend_from_slice(&data);
        fs::write(path, file)
    }

    /// Reads mono WAV of 16-bit PCM, A-law or µ-law. A header that a running recorder has not
    /// finished (sizes 0) is read to the end of the file.
    ///
    /// # Errors
    /// No such file, or no WAV of that kind.
    pub fn read_wav(path: &Path) -> io::Result<Self> {
        let bytes = fs::read(path)?;
        let format = chunk(&bytes, b"fmt ").ok_or_else(|| io::Error::other("no fmt chunk"))?;
        let tag = word(format, 0)?;
        let data = chunk(&bytes, b"data").ok_or_else(|| io::Error::other("no data chunk"))?;
        match tag {
            1 => Ok(Self(
                data.chunks_exact(2)
                    .filter_map(|pair| Some(i16::from_le_bytes(*pair.first_chunk::<2>()?)))
                    .map(|sample| f64::from(sample) / 32768.0)
                    .collect(),
            )),
            7 => Ok(Self(data.iter().map(|&byte| ulaw(byte)).collect())),
            other => Err(io::Error::other(format!("WAV format tag {other} is not read here"))),
        }
    }

    /// The part from `from` to `to` seconds (as much of it as there is).
    #[must_use]
    pub fn part(&self, from: f64, to: f64) -> Self {
        let rate = f64::from(RATE);
        let start = ((from * rate) as usize).min(self.0.len());
        let end = ((to * rate) as usize).clamp(start, self.0.len());
        Self(self.0.get(start..end).unwrap_or_default().to_vec())
    }

    /// Length in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.0.len() as f64 / f64::from(RATE)
    }

    /// Level of the sine at `hertz` in dBFS (0 is a full-scale sine), by correlation over the
    /// whole.
    #[must_use]
    pub fn tone_dbfs(&self, hertz: f64) -> f64 {
        let step = TAU * hertz / f64::from(RATE);
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in self.0.iter().enumerate() {
            let angle = step * n as f64;
            re += sample * angle.cos();
            im += sample * angle.sin();
        }
        let amplitude = 2.0 * re.hypot(im) / (self.0.len().max(1) as f64);
        20.0 * amplitude.max(1e-9).log10()
    }

    /// Level of a steady tone at `hertz` in dBFS: the mean power over tenths of a second, so that a
    /// jitter buffer's slip does not lower it.
    #[must_use]
    pub fn steady_dbfs(&self, hertz: f64) -> f64 {
        let windows = self.0.chunks_exact(RATE as usize / 10);
        let count = windows.len().max(1) as f64;
        let power = |window: &[f64]| 10f64.powf(Self(window.to_vec()).tone_dbfs(hertz) / 10.0);
        10.0 * (windows.map(power).sum::<f64>() / count).max(1e-18).log10()
    }

    /// Root-mean-square level in dBFS (a full-scale sine is −3).
    #[must_use]
    pub fn rms_dbfs(&self) -> f64 {
        let power: f64 = self.0.iter().map(|s| s * s).sum::<f64>() / (self.0.len().max(1) as f64);
        10.0 * power.max(1e-18).log10()
    }

    /// The greatest normalised cross-correlation (−1…1) of `pattern` with any stretch of this
    /// sound, and where that stretch begins, in seconds.
    #[must_use]
    pub fn likeness(&self, pattern: &Self) -> (f64, f64) {
        let length = pattern.0.len();
        let pattern_energy: f64 = pattern.0.iter().map(|s| s * s).sum();
        if length == 0 || self.0.len() < length || pattern_energy <= 0.0 {
            return (0.0, 0.0);
        }
        // A coarse search on every eighth sample finds the neighbourhood, a fine one the peak.
        let at = |start: usize, stride: usize| -> f64 {
            let stretch = self.0.get(start..start + length).unwrap_or_default();
            let pairs = || stretch.iter().zip(&pattern.0).step_by(stride);
            let cross: f64 = pairs().map(|(a, b)| a * b).sum();
            let (own, other): (f64, f64) =
                pairs().fold((0.0, 0.0), |(x, y), (a, b)| (x + a * a, y + b * b));
            if own <= 0.0 || other <= 0.0 { 0.0 } else { cross / (own * other).sqrt() }
        };
        let last = self.0.len() - length;
        let best = |from: usize, to: usize, stride: usize| {
            (from..=to)
                .map(|start| (at(start, stride), start))
                .fold((-1.0, from), |best, next| if next.0 > best.0 { next } else { best })
        };
        let (_, near) = best(0, last, 16);
        let (value, start) = best(near.saturating_sub(4), (near + 4).min(last), 1);
        (value, start as f64 / f64::from(RATE))
    }
}

fn word(bytes: &[u8], at: usize) -> io::Result<u16> {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk::<2>())
        .map(|pair| u16::from_le_bytes(*pair))
        .ok_or_else(|| io::Error::other("WAV header cut short"))
}

fn chunk<'a>(bytes: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    let mut rest = bytes.get(12..)?;
    loop {
        let (head, body) = rest.split_at_checked(8)?;
        let size = u32::from_le_bytes(*head.get(4..)?.first_chunk::<4>()?) as usize;
        if head.starts_with(name) {
            let unfinished = size == 0 || size > body.len();
            return Some(if unfinished { body } else { body.get(..size)? });
        }
        rest = body.get(size + (size & 1)..)?;
    }
}

/// A byte of G.711 as a sample, by its payload type of RFC 3551 as text; none of another codec.
#[must_use]
pub fn g711(payload_type: &str, byte: u8) -> Option<f64> {
    match payload_type {
        "0" => Some(ulaw(byte)),
        "8" => Some(alaw(byte)),
        _ => None,
    }
}

/// One A-law byte as a sample (ITU-T G.711, table 1a), by arithmetic.
fn alaw(byte: u8) -> f64 {
    let code = byte ^ 0x55;
    let (exponent, mantissa) = (i32::from((code >> 4) & 7), i32::from(code & 15) << 4);
    let magnitude = match exponent {
        0 => mantissa + 8,
        _ => (mantissa + 0x108) << (exponent - 1),
    };
    let sample = if code & 0x80 == 0 { -magnitude } else { magnitude };
    f64::from(sample) / 32768.0
}

/// One µ-law byte as a sample (ITU-T G.711, table 2a), by arithmetic.
fn ulaw(byte: u8) -> f64 {
    let code = !byte;
    let exponent = i32::from((code >> 4) & 7);
    let magnitude = (((i32::from(code & 15) << 3) + 0x84) << exponent) - 0x84;
    let sample = if code & 0x80 == 0 { magnitude } else { -magnitude };
    f64::from(sample) / 32768.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_has_its_level_and_no_other_tone_does() {
        let tone = Sound::tone(440.0, -15.0, 1.0);
        assert!((tone.tone_dbfs(440.0) + 15.0).abs() < 0.1);
        assert!(tone.tone_dbfs(880.0) < -60.0);
    }

    #[test]
    fn silence_and_full_scale_are_the_same_in_both_laws() {
        for (kind, silence, loudest) in [("0", 0xFF, 0x80), ("8", 0xD5, 0xAA)] {
            assert!(g711(kind, silence).unwrap().abs() < 0.001, "{kind}");
            assert!(g711(kind, loudest).unwrap() > 0.97, "{kind}");
            assert!(g711(kind, loudest ^ 0x80).unwrap() < -0.97, "{kind}");
        }
        assert_eq!(g711("9", 0), None);
    }

    #[test]
    fn likeness_finds_the_pattern_where_it_is() {
        let noise = |seed: u32, count: usize| {
            let mut state = seed;
            Sound(
                (0..count)
                    .map(|_| {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        f64::from(state >> 8) / f64::from(1 << 23) - 1.0
                    })
                    .collect(),
            )
        };
        let pattern = noise(1, 1000);
        let mut whole = noise(2, 3000);
        whole.0.splice(700..1700, pattern.0.iter().map(|s| s * 0.5));
        let (value, at) = whole.likeness(&pattern);
        assert!(value > 0.99, "{value}");
        assert!((at - 700.0 / 8000.0).abs() < 1e-9);
        assert!(noise(3, 3000).likeness(&pattern).0 < 0.3);
    }

    #[test]
    fn a_wav_file_comes_back_as_it_was_written() {
        let path = std::env::temp_dir().join(format!("koukan-e2e-{}.wav", std::process::id()));
        let tone = Sound::tone(500.0, -10.0, 0.2);
        tone.write_wav(&path).unwrap();
        let back = Sound::read_wav(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(back.0.len(), tone.0.len());
        assert!((back.tone_dbfs(500.0) + 10.0).abs() < 0.1);
    }
}
