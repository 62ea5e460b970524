//! Music on hold that needs no file: eight bars of broken chords and a slow melody over them, made
//! of decaying sines. No recording, so no licence; quiet and narrow, so that G.711 bears it.

use std::f32::consts::TAU;

/// Beats of a minute: a bar of four lasts three seconds.
const BEATS: u32 = 80;

/// The A that all is above: a semitone below that of the 440 Hz that lines are tried with, so that
/// a measuring tone is never taken for the music, nor the music for it.
const LOW_A: f32 = 103.83;

/// Chords as semitones above the low A: root, third, fifth.
const CHORDS: [[u8; 3]; 8] = [
    [3, 7, 10],   // C
    [0, 3, 7],    // A minor
    [8, 12, 15],  // F
    [10, 14, 17], // G
    [7, 10, 14],  // E minor
    [0, 3, 7],    // A minor
    [5, 8, 12],   // D minor
    [10, 14, 17], // G
];

/// The order in which a chord's notes are struck in a bar's eight quavers; 3 is the root an octave
/// higher.
const PATTERN: [usize; 8] = [0, 2, 3, 1, 2, 3, 1, 2];

/// The melody: two notes a bar in semitones above the A an octave higher.
const MELODY: [[u8; 2]; 8] =
    [[19, 15], [12, 15], [17, 15], [14, 10], [19, 22], [24, 19], [17, 20], [22, 14]];

/// Peaks of the two voices.
const CHORD_PEAK: f32 = 1_100.0;
const MELODY_PEAK: f32 = 1_700.0;

/// The sound at `rate` Hz, mono. What still rings at its end rings on at its beginning, so that it
/// is repeated without a seam.
#[must_use]
pub fn hold_music(rate: u32) -> Vec<i16> {
    let quaver = to_usize(rate * 60 / BEATS / 2);
    let mut sound = vec![0.0f32; quaver * 8 * CHORDS.len()];
    for (bar, (chord, melody)) in CHORDS.iter().zip(MELODY).enumerate() {
        for (step, which) in PATTERN.iter().enumerate() {
            let [root, ..] = chord;
            let note = chord.get(*which).copied().unwrap_or(root + 12);
            let at = (bar * 8 + step) * quaver;
            strike(&mut sound, at, rate, LOW_A, note, (CHORD_PEAK, 0.7));
        }
        for (half, note) in melody.into_iter().enumerate() {
            let at = (bar * 8 + half * 4) * quaver;
            strike(&mut sound, at, rate, 2.0 * LOW_A, note, (MELODY_PEAK, 1.1));
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    let narrowed = sound.iter().map(|value| *value as i16).collect();
    narrowed
}

/// Adds a note that fades to a third in `fade` seconds.
#[expect(clippy::cast_precision_loss, reason = "seconds of samples")]
fn strike(
    sound: &mut [f32],
    at: usize,
    rate: u32,
    base: f32,
    semitones: u8,
    (peak, fade): (f32, f32),
) {
    let hertz = base * (f32::from(semitones) / 12.0).exp2();
    let length = to_usize(rate * 8);
    let rate = rate as f32;
    for n in 0..length {
        let seconds = n as f32 / rate;
        let strength = (-seconds / fade).exp();
        if strength < 0.002 {
            break;
        }
        // 8 ms from nothing to all, so that a stroke is no click.
        let onset = (seconds / 0.008).min(1.0);
        let turn = TAU * hertz * seconds;
        let value = turn.sin() + 0.35 * (2.0 * turn).sin() + 0.12 * (3.0 * turn).sin();
        let place = (at + n) % sound.len().max(1);
        if let Some(sample) = sound.get_mut(place) {
            *sample += value * strength * onset * peak;
        }
    }
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::{DtmfDetector, FaxDetector, JAPAN, ProgressDetector};

    #[test]
    fn it_is_as_loud_as_speech_never_clips_and_has_no_seam() {
        let music = hold_music(8_000);
        assert_eq!(music.len(), 24 * 8_000);
        let peak = music.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        let power: f64 = music.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        let dbov = 10.0 * (power / music.len() as f64).log10() - 20.0 * 32_767f64.log10();
        assert!(peak < 16_000 && (-32.0..-18.0).contains(&dbov), "{peak} {dbov}");
        let steps = |pair: &[i16]| (i32::from(pair[1]) - i32::from(pair[0])).abs();
        let most = music.windows(2).map(steps).max().unwrap();
        assert!(steps(&[music[music.len() - 1], music[0]]) <= most);
        // No bar is silent.
        for bar in music.chunks(24_000) {
            assert!(bar.iter().any(|sample| sample.unsigned_abs() > 2_000));
        }
    }

    #[test]
    fn nobody_takes_it_for_a_key_a_fax_machine_or_a_busy_line() {
        let music = hold_music(8_000);
        let (mut dtmf, mut fax) = (DtmfDetector::new(), FaxDetector::new());
        let mut progress = ProgressDetector::new(&JAPAN);
        for _ in 0..2 {
            dtmf.listen(&music, |event| panic!("{event:?}"));
            fax.listen(&music, |event| panic!("{event:?}"));
            progress.listen(&music, |event| panic!("{event:?}"));
        }
    }
}
