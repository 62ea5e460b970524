//! Calls a second to a trunk: in no second do more begin than it takes.

use std::collections::VecDeque;
use std::time::Duration;

use koukan_base::Time;

const SECOND: Duration = Duration::from_secs(1);

/// The calls that began in the last second; never more than the bound.
#[derive(Debug)]
pub(crate) struct Pace {
    most: usize,
    begun: VecDeque<Time>,
}

impl Pace {
    pub(crate) fn new(most: u32) -> Self {
        Self { most: usize::try_from(most).unwrap_or(usize::MAX), begun: VecDeque::new() }
    }

    /// Another bound; what has begun counts on.
    pub(crate) fn set(&mut self, most: u32) {
        self.most = usize::try_from(most).unwrap_or(usize::MAX);
    }

    /// Whether a call may begin now.
    pub(crate) fn is_open(&self, now: Time) -> bool {
        let ago = self.begun.len().checked_sub(self.most);
        let oldest = ago.and_then(|at| self.begun.get(at));
        oldest.is_none_or(|began| now.since(*began) >= SECOND)
    }

    /// A call begins; false when it must not.
    pub(crate) fn take(&mut self, now: Time) -> bool {
        let open = self.is_open(now);
        if open {
            self.begun.push_back(now);
            while self.begun.len() > self.most {
                self.begun.pop_front();
            }
        }
        open
    }

    /// Calls began elsewhere that count here.
    pub(crate) fn note(&mut self, now: Time, calls: u64) {
        let most = u64::try_from(self.most).unwrap_or(u64::MAX);
        for _ in 0..calls.min(most) {
            self.begun.push_back(now);
        }
        while self.begun.len() > self.most {
            self.begun.pop_front();
        }
    }

    /// Calls that began in the last second.
    pub(crate) fn in_second(&self, now: Time) -> usize {
        self.begun.iter().filter(|began| now.since(**began) < SECOND).count()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_second_has_more_calls_than_the_trunk_takes(
            most in 1_u32..20,
            gaps in prop::collection::vec(0_u64..400, 0..300),
        ) {
            let mut pace = Pace::new(most);
            let (mut now, mut begun) = (0, Vec::new());
            for gap in gaps {
                now += gap;
                let open = pace.is_open(Time::from_millis(now));
                prop_assert_eq!(pace.take(Time::from_millis(now)), open);
                let in_second = begun.iter().filter(|at| now - **at < 1_000).count();
                prop_assert_eq!(open, in_second < most as usize, "refused as seldom as may be");
                if open {
                    begun.push(now);
                }
            }
            prop_assert!(pace.begun.len() <= most as usize);
        }
    }
}
