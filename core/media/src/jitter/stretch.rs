//! Time-scaling without clicks: one pitch period less or more, overlapped and added over its whole
//! length (WSOLA with the window of one period).

use crate::pitch::{self, cross_fade, to_usize};

/// Peaks below this are silence, in which any period may be cut or repeated.
const STILL: u16 = 160;

/// How alike two periods must be.
pub(super) const ALIKE: f32 = 0.75;

/// The same when the delay is far off.
pub(super) const ALIKE_ENOUGH: f32 = 0.35;

/// The same where nobody hears it.
pub(super) const ANYHOW: f32 = -1.0;

/// Takes one period of at most `at` samples out of the first `2 * at` of `pending`; how many
/// samples are gone at its end. The periods must be as alike as `alike`.
pub(super) fn shorten(pending: &mut [i16], at: usize, rate: u32, alike: f32) -> Option<usize> {
    let near = pending.get(..2 * at)?;
    let lag = period(near, at, at, rate, alike)?;
    let (before, behind) = pending.split_at_mut_checked(at)?;
    cross_fade(before.get_mut(at.checked_sub(lag)?..)?, behind.get(..lag)?);
    let count = pending.len();
    pending.copy_within(at.checked_add(lag)?..count, at);
    Some(lag)
}

/// Puts one period more in at `start`, from where `end - start` samples wait to be played; what
/// stands before `start` was played. How many samples more wait then; `pcm` must have room.
pub(super) fn lengthen(
    pcm: &mut [i16],
    start: usize,
    end: usize,
    rate: u32,
    alike: f32,
) -> Option<usize> {
    let window = pitch::longest(rate).min(end.checked_sub(start)?);
    let lag = period(pcm.get(..end)?, start, window, rate, alike)?;
    if lag > end.checked_sub(start)? || end.checked_add(lag)? > pcm.len() {
        return None;
    }
    pcm.copy_within(start..end, start + lag);
    // Before: A | B, after: A | (B fading into A) | B, where A is the period before `start`.
    let (played, made) = pcm.split_at_mut_checked(start)?;
    cross_fade(made.get_mut(..lag)?, played.get(start.checked_sub(lag)?..)?);
    Some(lag)
}

fn period(signal: &[i16], at: usize, window: usize, rate: u32, alike: f32) -> Option<usize> {
    let (shortest, longest) = (pitch::shortest(rate), pitch::longest(rate).min(at));
    let near = signal.get(at.checked_sub(longest)?..at.checked_add(window)?)?;
    if window < to_usize(rate / 200) || longest < shortest {
        return None;
    }
    let still = near.iter().all(|sample| sample.unsigned_abs() < STILL);
    if still {
        return Some(longest.min(window));
    }
    let found = pitch::find(signal, at, window, (shortest, longest.min(window)), rate)?;
    (found.likeness >= alike).then_some(found.lag)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation, reason = "signals of tests")]

    use super::*;

    fn tone(rate: u32, hertz: f64, count: usize) -> Vec<i16> {
        let sine = |n: usize| (n as f64 * hertz * std::f64::consts::TAU / f64::from(rate)).sin();
        (0..count).map(|n| (sine(n) * 9_000.0) as i16).collect()
    }

    /// The largest bend (second difference) of a signal: a click is one.
    fn bend(signal: &[i16]) -> i32 {
        let bends = signal
            .windows(3)
            .map(|w| (i32::from(w[0]) - 2 * i32::from(w[1]) + i32::from(w[2])).abs());
        bends.max().unwrap_or(0)
    }

    #[test]
    fn a_tone_shortened_and_lengthened_is_the_tone() {
        for rate in [8_000, 16_000, 48_000] {
            for hertz in [110.0, 233.0, 400.0, 700.0] {
                let signal = tone(rate, hertz, to_usize(rate / 10));
                let usual = bend(&signal);
                let mut short = signal.clone();
                let lag = shorten(&mut short, pitch::longest(rate), rate, ALIKE).unwrap();
                short.truncate(signal.len() - lag);
                assert!(bend(&short) <= usual * 12 / 10 + 4, "{rate} {hertz}: {}", bend(&short));
                let start = signal.len() / 2;
                let mut long = signal.clone();
                long.resize(signal.len() * 2, 0);
                let lag = lengthen(&mut long, start, signal.len(), rate, ALIKE).unwrap();
                long.truncate(signal.len() + lag);
                assert!(bend(&long) <= usual * 12 / 10 + 4, "{rate} {hertz}: {}", bend(&long));
                assert_eq!(long[..start], signal[..start]);
                assert_eq!(long[start + lag..], signal[start..]);
            }
        }
    }

    #[test]
    fn noise_is_left_alone_unless_it_must_be() {
        let mut state = 1u32;
        let mut noise: Vec<i16> = (0..800)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 16) as i16 / 4
            })
            .collect();
        assert_eq!(shorten(&mut noise, 120, 8_000, ALIKE), None);
        assert_eq!(shorten(&mut noise[..200], 120, 8_000, ALIKE_ENOUGH), None, "too short");
        assert!(shorten(&mut [3; 800], 120, 8_000, ALIKE).is_some(), "silence may be cut");
        assert_eq!(shorten(&mut [3; 800], 50, 8_000, ALIKE), Some(50), "but no more than it may");
        assert_eq!(shorten(&mut [3; 800], 10, 8_000, ALIKE), None, "a few samples are no period");
    }
}
