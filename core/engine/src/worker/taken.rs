//! Time that was taken from a worker: its thread had something to do and did not run, since the
//! host gave the core to another guest, or the system to another thread. What came late for that
//! reason alone is told apart from what the worker itself was too slow for. A kernel that accounts
//! interrupts apart (IRQ_TIME_ACCOUNTING) has their time counted as taken, too.

use std::time::Duration;

use koukan_base::Time;

/// The poll wakes at whole milliseconds, so that much later is its own.
const GRAIN: Duration = Duration::from_millis(1);
/// Shorter gaps are not looked for.
const LEAST: Duration = Duration::from_micros(300);
/// The thread's CPU time is read anew so often: what it spends within the poll is in it, too.
const READ_EVERY: Duration = Duration::from_millis(5);

/// The account. CPU time is that of the worker's thread, without what a host took, in nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Taken {
    read_at: Time,
    cpu_then: u64,
    /// How long the thread was outside its poll since then, until `from`.
    busy: Duration,
    from: Time,
    /// Taken since the clock had nothing overdue.
    behind: Duration,
}

impl Taken {
    /// The poll is over; something was due at `due`, or as soon as the poll began. What was taken.
    pub(super) fn woke(&mut self, now: Time, due: Time, cpu: impl FnOnce() -> u64) -> Duration {
        if now.since(self.read_at) >= READ_EVERY {
            (self.read_at, self.cpu_then, self.busy) = (now, cpu(), Duration::ZERO);
        }
        let asleep = now.since(due.max(self.from)).saturating_sub(GRAIN);
        self.from = now;
        self.add(asleep)
    }

    /// What was taken from what is being done since the poll, or since the last look.
    pub(super) fn look(&mut self, now: Time, cpu: impl FnOnce() -> u64) -> Duration {
        let lasted = now.since(self.from);
        self.busy = self.busy.saturating_add(lasted);
        self.from = now;
        if lasted < LEAST {
            return Duration::ZERO;
        }
        let cpu = cpu();
        let spent = Duration::from_nanos(cpu.saturating_sub(self.cpu_then));
        let taken = self.busy.saturating_sub(spent);
        (self.read_at, self.cpu_then, self.busy) = (now, cpu, Duration::ZERO);
        self.add(taken)
    }

    /// What was taken while something was overdue.
    pub(super) const fn behind(&self) -> Duration {
        self.behind
    }

    /// Nothing is overdue any more.
    pub(super) const fn caught_up(&mut self) {
        self.behind = Duration::ZERO;
    }

    fn add(&mut self, taken: Duration) -> Duration {
        if taken < LEAST {
            return Duration::ZERO;
        }
        self.behind = self.behind.saturating_add(taken);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn at(ms: u64) -> Time {
        Time::from_nanos(ms * MS)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_gap_in_which_the_thread_spent_nothing_was_taken() {
        let mut taken = Taken::default();
        assert_eq!(taken.woke(at(100), at(100), || 0), Duration::ZERO);
        // 9 ms of work, of which it ran for 3.
        assert_eq!(taken.look(at(109), || 3 * MS), ms(6));
        assert_eq!(taken.behind(), ms(6));
        // Work that it ran for is its own.
        assert_eq!(taken.look(at(120), || 14 * MS), Duration::ZERO);
        assert_eq!(taken.behind(), ms(6));
        taken.caught_up();
        assert_eq!(taken.behind(), Duration::ZERO);
    }

    #[test]
    fn a_sleep_beyond_what_was_due_was_taken_but_for_the_grain_of_the_poll() {
        let mut taken = Taken::default();
        assert_eq!(taken.woke(at(10), at(10), || 0), Duration::ZERO);
        assert_eq!(taken.look(at(11), || MS), Duration::ZERO);
        assert_eq!(taken.woke(at(13), at(12), || MS), Duration::ZERO);
        assert_eq!(taken.look(at(14), || 2 * MS), Duration::ZERO);
        assert_eq!(taken.woke(at(22), at(15), || 2 * MS), ms(6));
    }

    #[test]
    fn what_was_overdue_before_the_poll_began_counts_from_there() {
        let mut taken = Taken::default();
        taken.woke(at(10), at(10), || 0);
        taken.look(at(20), || 10 * MS);
        assert_eq!(taken.woke(at(21), at(11), || 10 * MS), Duration::ZERO);
    }

    #[test]
    fn short_turns_cost_no_reading_of_the_clock() {
        let mut taken = Taken::default();
        taken.woke(at(10), at(10), || 0);
        let unasked = || unreachable!("the turn was short");
        let soon = Time::from_nanos(10 * MS + 100_000);
        assert_eq!(taken.look(soon, unasked), Duration::ZERO);
        assert_eq!(taken.woke(soon, at(11), unasked), Duration::ZERO);
    }
}
