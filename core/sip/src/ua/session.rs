//! The session timer of one dialog (RFC 4028): when the side that refreshes does so, and when the
//! session is given up.

use std::time::Duration;

use koukan_base::Time;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionTick {
    /// Nothing.
    Nothing,
    /// Send a refresh.
    Refresh,
    /// Nobody refreshed in time: the session is over.
    Expired,
}

/// A running session timer; how it is made up is a matter of [`super::refresh`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SessionTimer {
    /// The agreed interval, in seconds.
    pub(super) seconds: u32,
    /// We refresh, the peer does otherwise.
    pub(super) ours: bool,
    /// The peer knows nothing of it: when refreshes fail nothing was promised.
    pub(super) alone: bool,
    /// A refresh of ours has failed.
    pub(super) failed: bool,
    /// When the next refresh is due; `None` while one is under way, or the peer's.
    refresh: Option<Time>,
    /// When the session is over without one.
    end: Time,
}

impl SessionTimer {
    /// A timer that begins with a 2xx at `now`.
    pub(super) fn new(now: Time, seconds: u32, ours: bool, alone: bool) -> Self {
        let whole = Duration::from_secs(u64::from(seconds));
        // RFC 4028, 10: half the interval for the refresh; the end comes the minimum of 32 s and a
        // third of the interval before the interval's own.
        let early = Duration::from_secs(32).min(whole / 3);
        let end = now + whole.saturating_sub(early);
        Self { seconds, ours, alone, failed: false, refresh: ours.then(|| now + whole / 2), end }
    }

    pub(super) fn poll_timeout(&self) -> Time {
        self.refresh.map_or(self.end, |at| at.min(self.end))
    }

    pub(super) fn handle_timeout(&mut self, now: Time) -> SessionTick {
        if self.end <= now {
            return SessionTick::Expired;
        }
        match self.refresh.take_if(|at| *at <= now) {
            Some(_) => SessionTick::Refresh,
            None => SessionTick::Nothing,
        }
    }

    /// Whether its end has come.
    pub(super) fn is_over(&self, now: Time) -> bool {
        self.end <= now
    }

    /// Whether a refresh of ours is under way.
    pub(super) const fn is_refreshing(&self) -> bool {
        self.ours && self.refresh.is_none()
    }

    /// The refresh cannot be had now and may be later: again after `wait`, or half-way to the end.
    pub(super) fn retry(&mut self, now: Time, wait: Option<Duration>) {
        let half = self.end.since(now) / 2;
        self.refresh = Some(now + wait.unwrap_or(half.max(Duration::from_secs(2))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    #[test]
    fn the_refresher_acts_at_half_time_and_the_end_comes_32_seconds_early() {
        let mut timer = SessionTimer::new(at(0), 1800, true, false);
        assert_eq!(timer.poll_timeout(), at(900));
        assert_eq!(timer.handle_timeout(at(899)), SessionTick::Nothing);
        assert_eq!(timer.handle_timeout(at(900)), SessionTick::Refresh);
        assert!(timer.is_refreshing());
        assert_eq!(timer.poll_timeout(), at(1768));
        timer.retry(at(932), None);
        assert_eq!(timer.poll_timeout(), at(932 + (1768 - 932) / 2));
        assert_eq!(timer.handle_timeout(at(1768)), SessionTick::Expired);
    }

    #[test]
    fn the_other_side_only_waits_and_a_short_interval_ends_at_two_thirds() {
        let mut timer = SessionTimer::new(at(0), 90, false, false);
        assert_eq!(timer.poll_timeout(), at(60));
        assert!(!timer.is_refreshing());
        assert_eq!(timer.handle_timeout(at(59)), SessionTick::Nothing);
        assert_eq!(timer.handle_timeout(at(60)), SessionTick::Expired);
    }
}
