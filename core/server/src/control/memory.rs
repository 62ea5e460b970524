//! When memory goes back to the system: a burst of calls leaves much of it free and scattered.

use std::time::Duration;

use koukan_base::Time;

/// The load must have been low for so long: the next burst takes its memory again.
const QUIET: Duration = Duration::from_secs(10);

/// A load worth speaking of.
const BURST: usize = 200;

/// How full the tables are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    /// Calls and their dialogs.
    pub(crate) calls: usize,
    /// Transactions of both sides; they end half a minute after what they were for.
    pub(crate) transactions: usize,
}

/// Watches the load of the tables: behind a burst of setting up, the transactions are gone and the
/// calls stand.
#[derive(Debug, Default)]
pub(crate) struct MemoryWatch {
    calls: Peak,
    transactions: Peak,
}

impl MemoryWatch {
    /// Takes the load as it is now; whether memory should be given back.
    pub(super) fn note(&mut self, now: Time, load: Load) -> bool {
        let calls = self.calls.note(now, load.calls);
        self.transactions.note(now, load.transactions) || calls
    }
}

#[derive(Debug, Default)]
struct Peak {
    /// The greatest load since memory was given back.
    peak: usize,
    /// Since when the load is below a quarter of it.
    quiet: Option<Time>,
}

impl Peak {
    fn note(&mut self, now: Time, load: usize) -> bool {
        self.peak = self.peak.max(load);
        if self.peak < BURST || load > self.peak / 4 {
            self.quiet = None;
            return false;
        }
        let quiet = *self.quiet.get_or_insert(now);
        let due = now.since(quiet) >= QUIET;
        if due {
            *self = Self { peak: load, quiet: None };
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_once_after_a_burst_has_been_over_for_a_while() {
        let mut watch = Peak::default();
        let at = |seconds: u64| Time::from_millis(seconds * 1000);
        assert!(!watch.note(at(0), 1000));
        assert!(!watch.note(at(1), 100));
        assert!(!watch.note(at(2), 400), "it came back");
        assert!(!watch.note(at(10), 100));
        assert!(!watch.note(at(19), 100));
        assert!(watch.note(at(20), 100));
        assert!(!watch.note(at(60), 0), "nothing was taken since");
    }

    #[test]
    fn transactions_that_are_over_give_memory_back_while_their_calls_stand() {
        let mut watch = MemoryWatch::default();
        let at = |seconds: u64| Time::from_millis(seconds * 1000);
        assert!(!watch.note(at(0), Load { calls: 6000, transactions: 4000 }));
        assert!(!watch.note(at(40), Load { calls: 6000, transactions: 0 }));
        assert!(watch.note(at(50), Load { calls: 6000, transactions: 0 }));
        assert!(!watch.note(at(60), Load { calls: 6000, transactions: 0 }));
    }
}
