//! Chance, from a seed.

use std::time::Duration;

use koukan_base::Rng;

/// A generator with the questions that the simulation asks.
#[derive(Clone, Debug)]
pub(crate) struct Dice(Rng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Rng::from_number(seed))
    }

    /// A generator for a part of its own.
    pub(crate) fn rng(&mut self) -> Rng {
        self.0.split()
    }

    pub(crate) fn split(&mut self) -> Self {
        Self(self.0.split())
    }

    /// A number below `sides`.
    pub(crate) fn below(&mut self, sides: u32) -> u32 {
        self.0.next_u32().checked_rem(sides).unwrap_or(0)
    }

    /// True in so many of a thousand cases.
    pub(crate) fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1000) < per_mille
    }

    /// Milliseconds from `least` to `most`.
    pub(crate) fn ms(&mut self, least: u32, most: u32) -> Duration {
        let spread = most.saturating_sub(least).saturating_add(1);
        Duration::from_millis(u64::from(least.saturating_add(self.below(spread))))
    }

    /// A time that is this long on average and often shorter, as times between calls and lengths
    /// of talks are (exponential, cut at five times its mean).
    pub(crate) fn about(&mut self, mean: Duration) -> Duration {
        let share = f64::from(self.below(9_933).saturating_add(67)) / 10_000.0;
        mean.mul_f64(-share.ln())
    }

    pub(crate) fn pick<'t, T>(&mut self, things: &'t [T]) -> Option<&'t T> {
        let count = u32::try_from(things.len()).ok().filter(|count| *count > 0)?;
        things.get(usize::try_from(self.below(count)).ok()?)
    }

    /// One of these, as often as its weight says.
    pub(crate) fn weighted<T: Copy>(&mut self, things: &[(u32, T)]) -> Option<T> {
        let sum: u32 = things.iter().map(|(weight, _)| *weight).sum();
        let mut left = self.below(sum.max(1));
        for (weight, thing) in things {
            if left < *weight {
                return Some(*thing);
            }
            left = left.saturating_sub(*weight);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_and_means_are_kept() {
        let mut dice = Dice::new(1);
        let drawn = (0..10_000).filter(|_| dice.weighted(&[(3, true), (1, false)]) == Some(true));
        let share = drawn.count();
        assert!((7_300..7_700).contains(&share), "{share}");
        let sum: Duration = (0..10_000).map(|_| dice.about(Duration::from_secs(1))).sum();
        assert!((9_300..10_300).contains(&sum.as_secs()), "{sum:?}");
    }
}
