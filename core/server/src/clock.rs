//! The one source of time in the server: monotonic for timers, dated for schedules, retention and
//! CDRs. A test may move the date; nothing else in the server asks the operating system.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use jiff::Timestamp;
use koukan_base::Time;
use koukan_switch::Now;

/// Both clocks. Clones show the same time and share the test offset.
#[derive(Clone, Debug)]
pub struct Clock {
    start: Instant,
    /// Milliseconds that the date is ahead of the operating system's.
    offset_ms: Arc<AtomicI64>,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock whose monotonic time begins now and whose date is the operating system's.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now(), offset_ms: Arc::new(AtomicI64::new(0)) }
    }

    /// Monotonic time since the start.
    #[must_use]
    pub fn time(&self) -> Time {
        Time::ZERO + self.start.elapsed()
    }

    /// Date and time.
    #[must_use]
    pub fn date(&self) -> Timestamp {
        let offset = self.offset_ms.load(Ordering::Relaxed);
        let system = Timestamp::now();
        Timestamp::from_millisecond(system.as_millisecond().saturating_add(offset))
            .unwrap_or(system)
    }

    /// Both at once.
    #[must_use]
    pub fn now(&self) -> Now {
        Now { time: self.time(), date: self.date() }
    }

    /// Whether a test has moved the date.
    #[must_use]
    pub fn is_moved(&self) -> bool {
        self.offset_ms.load(Ordering::Relaxed) != 0
    }

    /// Lets the date be `date` now and run on from there; `None` gives it back to the system.
    pub fn set_date(&self, date: Option<Timestamp>) {
        let offset = date.map_or(0, |date| {
            date.as_millisecond().saturating_sub(Timestamp::now().as_millisecond())
        });
        self.offset_ms.store(offset, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_date_is_seen_by_every_clone_and_can_be_given_back() {
        let clock = Clock::new();
        let clone = clock.clone();
        let noon: Timestamp = "2026-07-01T12:30:00+09:00".parse().unwrap();
        clock.set_date(Some(noon));
        let seen = clone.date();
        assert!(seen >= noon && seen.duration_since(noon).as_secs() < 5, "{seen}");
        clone.set_date(None);
        assert!(!clock.is_moved());
    }
}
