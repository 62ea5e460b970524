//! Timer values of RFC 3261, table 4, and the queue that tells which comes next.

use std::collections::BTreeSet;
use std::time::Duration;

use koukan_base::Time;

/// Round-trip estimate.
pub(crate) const T1: Duration = Duration::from_millis(500);
/// The longest interval between retransmissions of non-INVITE requests and 2xx.
pub(crate) const T2: Duration = Duration::from_secs(4);
/// How long a message may live in the network.
pub(crate) const T4: Duration = Duration::from_secs(5);
/// 64 × T1: timers B, F, H, J, L and M.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(32);
/// An INVITE that nobody has answered within this gets a 100 (RFC 3261, 17.2.1): 200 ms, less what
/// a busy loop may be late.
pub(crate) const TRYING: Duration = Duration::from_millis(150);
/// Timer D on datagrams.
pub(crate) const TIMER_D: Duration = Duration::from_secs(32);

/// Deadlines by owner: setting, clearing and finding the next are logarithmic.
#[derive(Debug)]
pub(crate) struct TimerQueue<K> {
    deadlines: BTreeSet<(Time, K)>,
}

impl<K: Copy + Ord> TimerQueue<K> {
    pub(crate) const fn new() -> Self {
        Self { deadlines: BTreeSet::new() }
    }

    /// Moves `owner` from the deadline it had to the one it has now.
    pub(crate) fn update(&mut self, owner: K, old: Option<Time>, new: Option<Time>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.deadlines.remove(&(old, owner));
        }
        if let Some(new) = new {
            self.deadlines.insert((new, owner));
        }
    }

    /// The same deadlines in memory of their own.
    pub(crate) fn relaid(&self) -> Self {
        Self { deadlines: self.deadlines.clone() }
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.deadlines.first().map(|(time, _)| *time)
    }

    /// Takes an owner whose deadline is not after `now`.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<K> {
        let &(time, owner) = self.deadlines.first()?;
        if time > now {
            return None;
        }
        self.deadlines.pop_first();
        Some(owner)
    }
}
