//! How long modules hold the control thread: every call into one is timed, counted by module, and
//! one that stays too long is named in the log. Nothing can take the thread back from it; the name
//! is what an operator needs.

use std::time::{Duration, Instant};

/// A call into a module that takes longer delays every other call of the shard.
const TOO_LONG: Duration = Duration::from_millis(20);

/// What a module has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Applications that it was started with.
    pub(crate) starts: u64,
    /// Events that it was given.
    pub(crate) events: u64,
    /// Those that failed: an error, a panic.
    pub(crate) failures: u64,
    /// Its slowest call.
    pub(crate) slowest: Duration,
    /// Calls that stayed too long.
    pub(crate) too_long: u64,
}

impl Cost {
    /// Runs a call into the module and notes what it took.
    pub(crate) fn timed<T>(&mut self, module: &str, what: &str, call: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let outcome = call();
        self.note(module, what, began.elapsed());
        outcome
    }

    fn note(&mut self, module: &str, what: &str, took: Duration) {
        self.slowest = self.slowest.max(took);
        if took > TOO_LONG {
            self.too_long = self.too_long.saturating_add(1);
            // A module that is slow each time must not fill the log: powers of two are told.
            if self.too_long.is_power_of_two() {
                let (ms, times) = (took.as_millis(), self.too_long);
                tracing::warn!(module, what, ms, times, "a module holds every call up");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_call_is_kept_and_those_that_stay_too_long_are_counted() {
        let mut cost = Cost::default();
        for ms in [1, 21, 3, 40] {
            cost.note("m", "event", Duration::from_millis(ms));
        }
        assert_eq!((cost.slowest, cost.too_long), (Duration::from_millis(40), 2));
        assert_eq!(cost.timed("m", "event", || 7), 7);
    }
}
