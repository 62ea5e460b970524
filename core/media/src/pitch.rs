//! The period of a voice: the lag at which a signal is most like itself. Shared by concealment and
//! time-scaling (the search of ITU-T G.711 Appendix I, clause I.2.1, on our own window).

/// Shortest period that is looked for, in samples a second: 2.5 ms (400 Hz).
const SHORTEST_PER_SECOND: u32 = 400;

/// Samples a second of the coarse search.
const COARSE_RATE: u32 = 8_000;

/// Samples that a search looks at: 35 ms at 48 kHz, a longest period and 20 ms.
const MOST: usize = 1_680;

/// Longest period that is looked for: 15 ms.
#[must_use]
pub(crate) fn longest(rate: u32) -> usize {
    to_usize(rate / 200 * 3)
}

/// Shortest period that is looked for: 2.5 ms.
#[must_use]
pub(crate) fn shortest(rate: u32) -> usize {
    to_usize(rate / SHORTEST_PER_SECOND)
}

/// A period and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Period {
    /// In samples.
    pub(crate) lag: usize,
    /// Normalised correlation at that lag, -1 to 1.
    pub(crate) likeness: f32,
}

/// The lag between `shortest` and `longest` at which `signal[at..at + window]` is most like what
/// stands `lag` before it. `None` when the signal is too short or still.
pub(crate) fn find(
    signal: &[i16],
    at: usize,
    window: usize,
    lags: (usize, usize),
    rate: u32,
) -> Option<Period> {
    let (shortest, longest) = lags;
    let from = at.checked_sub(longest)?;
    let part = signal.get(from..at.checked_add(window)?)?;
    let mut scaled = [0i16; MOST];
    let scaled = scaled.get_mut(..part.len())?;
    let shift = headroom_shift(part);
    for (to, sample) in scaled.iter_mut().zip(part) {
        *to = sample >> shift;
    }
    let factor = to_usize((rate / COARSE_RATE).max(1));
    if factor == 1 {
        return best(scaled, longest, window, shortest, longest);
    }
    let mut coarse = [0i16; MOST / 2];
    let count = part.len() / factor;
    for (to, group) in coarse.iter_mut().zip(scaled.chunks_exact(factor)) {
        let sum: i32 = group.iter().map(|sample| i32::from(*sample)).sum();
        *to = narrow(sum / i32::try_from(factor).unwrap_or(1));
    }
    let coarse = coarse.get(..count)?;
    let coarse_at = longest / factor;
    let coarse_window = count.checked_sub(coarse_at).filter(|window| *window > 0)?;
    let rough = best(coarse, coarse_at, coarse_window, (shortest / factor).max(1), coarse_at)?;
    let centre = rough.lag * factor;
    let (low, high) = (centre.saturating_sub(factor).max(shortest), (centre + factor).min(longest));
    best(scaled, longest, window, low, high)
}

/// The best of the lags `low..=high` for the window that begins at `at`. The samples have ten bits
/// and sign, so that 32 bits hold the sums.
fn best(signal: &[i16], at: usize, window: usize, low: usize, high: usize) -> Option<Period> {
    let here = signal.get(at..at.checked_add(window)?)?;
    let own = dot(here, here);
    if own == 0 {
        return None;
    }
    let mut found: Option<Period> = None;
    let first = at.checked_sub(low)?;
    let there = signal.get(first..first.checked_add(window)?)?;
    let mut other = dot(there, there);
    for lag in low..=high {
        let from = at.checked_sub(lag)?;
        let there = signal.get(from..from.checked_add(window)?)?;
        if lag > low {
            // One sample further back: one comes in, one goes out.
            let gone = signal.get(from.checked_add(window)?).copied().unwrap_or(0);
            let come = there.first().copied().unwrap_or(0);
            other += i32::from(come) * i32::from(come) - i32::from(gone) * i32::from(gone);
        }
        if other <= 0 {
            continue;
        }
        #[expect(clippy::cast_precision_loss, reason = "a likeness needs three digits")]
        let likeness = dot(here, there) as f32 / ((own as f32) * (other as f32)).sqrt();
        if found.is_none_or(|best| likeness > best.likeness) {
            found = Some(Period { lag, likeness });
        }
    }
    found
}

fn dot(one: &[i16], other: &[i16]) -> i32 {
    one.iter().zip(other).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
}

/// The shift that leaves ten bits and sign.
fn headroom_shift(signal: &[i16]) -> u32 {
    let peak = signal.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
    (16 - peak.leading_zeros()).saturating_sub(10)
}

/// A sample from a wider sum, saturated.
pub(crate) fn narrow(sum: i32) -> i16 {
    i16::try_from(sum.clamp(i32::from(i16::MIN), i32::from(i16::MAX))).unwrap_or(0)
}

/// `a` fading out while `b` fades in, into `a`: as many samples as the shorter has.
pub(crate) fn cross_fade(a: &mut [i16], b: &[i16]) {
    let count = a.len().min(b.len());
    let steps = i32::try_from(count).unwrap_or(i32::MAX - 1) + 1;
    let mut step = 0;
    for (to, from) in a.iter_mut().zip(b) {
        step += 1;
        let sum = i32::from(*to) * (steps - step) + i32::from(*from) * step;
        *to = narrow(sum / steps);
    }
}

/// A rate or count as an index.
pub(crate) fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation, reason = "signals of tests")]

    use super::*;

    fn pulses(rate: u32, period: usize) -> Vec<i16> {
        let ring = |n: usize| 12_000.0 * (-(n as f64) / (rate as f64 / 400.0)).exp();
        let sine = |n: usize| (n as f64 * 700.0 * std::f64::consts::TAU / rate as f64).cos();
        (0..to_usize(rate / 10)).map(|n| (ring(n % period) * sine(n % period)) as i16).collect()
    }

    #[test]
    fn the_period_of_pulses_is_found_at_every_rate() {
        for rate in [8_000u32, 16_000, 24_000, 48_000] {
            for hertz in [80u32, 110, 160, 220] {
                let period = to_usize(rate / hertz);
                let signal = pulses(rate, period);
                let at = signal.len() - to_usize(rate / 50);
                let lags = (shortest(rate), longest(rate));
                let found = find(&signal, at, to_usize(rate / 50), lags, rate).unwrap();
                let rest = found.lag % period;
                let off = rest.min(period - rest);
                assert!(off <= 1, "{rate} Hz, {hertz}: {} for {period}", found.lag);
                assert!(found.likeness > 0.9, "{rate} {hertz} {}", found.likeness);
            }
        }
    }

    #[test]
    fn a_still_or_short_signal_has_no_period_and_the_loudest_does_not_overflow() {
        assert_eq!(find(&[0; 800], 400, 160, (20, 120), 8_000), None);
        assert_eq!(find(&[1; 100], 90, 160, (20, 120), 8_000), None);
        let loud: Vec<i16> =
            (0..4_800).map(|n| if n / 200 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let found = find(&loud, 2_400, 960, (120, 720), 48_000).unwrap();
        assert!(found.likeness <= 1.001 && found.lag.abs_diff(400) <= 1, "{found:?}");
    }

    #[test]
    fn a_cross_fade_begins_with_one_and_ends_with_the_other() {
        let mut one = [1_000i16; 9];
        cross_fade(&mut one, &[0; 9]);
        assert_eq!(one, [900, 800, 700, 600, 500, 400, 300, 200, 100]);
    }
}
