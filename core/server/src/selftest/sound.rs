//! The tone of the health check: made, and found again, in the 8 kHz of G.711.

use std::f64::consts::TAU;

/// Its frequency, in Hz: a whole number of periods in no packet, so that a lost one shows.
const HERTZ: f64 = 1_004.0;
/// Its level, in dB below a full-scale sine.
pub(super) const LEVEL_DB: f64 = -15.0;
const RATE: f64 = 8_000.0;
/// Samples of a packet.
pub(super) const PACKET: usize = 160;

/// The samples of one packet, from this sample on.
#[expect(clippy::cast_possible_truncation, reason = "the amplitude is below that of an i16")]
pub(super) fn tone(from: u32) -> [i16; PACKET] {
    let amplitude = 32_767.0 * 10f64.powf(LEVEL_DB / 20.0);
    let mut samples = [0; PACKET];
    for (sample, at) in samples.iter_mut().zip(from..) {
        let angle = TAU * HERTZ * f64::from(at) / RATE;
        *sample = (amplitude * angle.sin()) as i16;
    }
    samples
}

/// How loud the tone is in what was heard, in dB below a full-scale sine: the mean power over
/// tenths of a second.
pub(super) fn level_db(samples: &[i16]) -> f64 {
    let windows = samples.chunks_exact(800);
    let count = u32::try_from(windows.len()).map_or(1.0, |count| f64::from(count.max(1)));
    let power = windows.map(|window| {
        let (mut re, mut im) = (0.0, 0.0);
        for (sample, at) in window.iter().zip(0u32..) {
            let angle = TAU * HERTZ * f64::from(at) / RATE;
            let value = f64::from(*sample) / 32_768.0;
            re += value * angle.cos();
            im += value * angle.sin();
        }
        let amplitude = 2.0 * f64::hypot(re, im) / 800.0;
        amplitude * amplitude
    });
    10.0 * (power.sum::<f64>() / count).max(1e-12).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tone_is_found_at_its_level_and_nothing_in_silence() {
        let heard: Vec<i16> = (0..50).flat_map(|packet| tone(packet * 160)).collect();
        assert!((level_db(&heard) - LEVEL_DB).abs() < 0.1, "{}", level_db(&heard));
        assert!(level_db(&[0; 8_000]) < -100.0 && level_db(&[]) < -100.0);
    }
}
