//! Whether the control thread falls behind. What waits in its sockets for a moment is a burst; what
//! waits turn after turn is more than it can serve, and every caller would wait for all of it. New
//! calls are then refused, which costs a small part of a call, until the sockets are empty again.

use std::time::Duration;

use koukan_base::Time;

/// What waits in the sockets, turn by turn.
#[derive(Debug)]
pub(crate) struct Overload {
    /// Sockets that are never found empty for so long hold more than a burst.
    standing: Duration,
    /// Since when they have not been empty.
    behind: Option<Time>,
    overloaded: bool,
    times: u64,
}

impl Overload {
    /// Overload is what stands for so many milliseconds.
    pub(crate) const fn new(standing_ms: u64) -> Self {
        let standing = Duration::from_millis(standing_ms);
        Self { standing, behind: None, overloaded: false, times: 0 }
    }

    /// A turn has ended and left something in the sockets, or nothing; whether new calls are
    /// refused in the next one.
    pub(crate) fn note(&mut self, now: Time, left: bool) -> bool {
        let since = if left { Some(*self.behind.get_or_insert(now)) } else { None };
        self.behind = since;
        let overloaded = since.is_some_and(|since| now.since(since) >= self.standing);
        if overloaded && !self.overloaded {
            self.times = self.times.saturating_add(1);
        }
        self.overloaded = overloaded;
        overloaded
    }

    /// Whether it falls behind now.
    pub(crate) const fn is_overloaded(&self) -> bool {
        self.overloaded
    }

    /// How often it has since the start.
    pub(crate) const fn times(&self) -> u64 {
        self.times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_served_and_what_stands_is_refused_until_the_sockets_are_empty() {
        let mut overload = Overload::new(100);
        let mut note = |ms, left| overload.note(Time::from_millis(ms), left);
        let burst: Vec<bool> = (0..9).map(|turn| note(turn * 10, true)).collect();
        assert_eq!(burst, [false; 9]);
        assert!(!note(95, false), "it was served in time");
        let standing: Vec<bool> = (10..23).map(|turn| note(turn * 10, true)).collect();
        assert_eq!(standing.iter().filter(|refused| **refused).count(), 3);
        assert!(note(230, true) && !note(240, false) && !note(250, true));
        assert_eq!((overload.times(), overload.is_overloaded()), (1, false));
    }
}
