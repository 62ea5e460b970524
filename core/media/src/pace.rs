//! How many datagrams one stream may bring: a bucket that the clock fills. What comes beyond stays
//! in the socket until the system drops it, at no cost to the other streams of the worker.
//!
//! A telephone sends 100 packets a second at most (10 ms each) and events beside; a network that
//! stood still gives them all at once. Datagrams that are no packets of the peer cost a quarter,
//! so that a stranger's noise keeps fewer of the peer's packets out.

use std::time::Duration;

use koukan_base::Time;

/// What a taken packet and a dropped datagram cost.
const TAKEN: u32 = 4;
const DROPPED: u32 = 1;

/// What a second brings: 250 packets, or a thousand datagrams that are dropped.
const A_SECOND: u32 = 1_000;

/// What there is at most: 250 packets at once, two and a half seconds of the shortest.
const MOST: u32 = 1_000;

/// The bucket of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    left: u32,
    /// Until when it has been filled.
    filled: Time,
}

impl Default for Pace {
    fn default() -> Self {
        Self { left: MOST, filled: Time::ZERO }
    }
}

impl Pace {
    /// Whether a datagram may be read now. It costs what [`Pace::took`] or [`Pace::dropped`] says
    /// afterwards.
    pub fn permits(&mut self, now: Time) -> bool {
        self.fill(now);
        self.left >= TAKEN
    }

    fn fill(&mut self, now: Time) {
        let ms = u32::try_from(now.since(self.filled).as_millis()).unwrap_or(u32::MAX);
        if ms > 0 {
            let gained = ms.saturating_mul(A_SECOND / 1_000);
            self.left = self.left.saturating_add(gained).min(MOST);
            self.filled = self.filled + Duration::from_millis(ms.into());
        }
    }

    /// A datagram was a packet of the peer.
    pub const fn took(&mut self) {
        self.left = self.left.saturating_sub(TAKEN);
    }

    /// A datagram was none.
    pub const fn dropped(&mut self) {
        self.left = self.left.saturating_sub(DROPPED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Datagrams that are read of a flood in so many ms, looked at once a ms.
    fn read(pace: &mut Pace, from: Time, ms: u32, take: impl Fn(u32) -> bool) -> [u32; 2] {
        let mut read = [0, 0];
        for step in 0..ms {
            let now = from + Duration::from_millis(step.into());
            for number in 0..100 {
                if !pace.permits(now) {
                    break;
                }
                let taken = take(number);
                if taken {
                    pace.took()
                } else {
                    pace.dropped()
                }
                read[usize::from(taken)] += 1;
            }
        }
        read
    }

    #[test]
    fn a_telephone_is_never_held_up_and_a_network_that_stood_still_neither() {
        let mut pace = Pace::default();
        for packet in 0..6_000u32 {
            let now = Time::from_millis(u64::from(packet) * 10);
            assert!(pace.permits(now), "{packet}");
            pace.took();
        }
        let now = Time::from_millis(62_000);
        for packet in 0..200 {
            assert!(pace.permits(now), "{packet} of two seconds at once");
            pace.took();
        }
    }

    #[test]
    fn a_flood_is_read_no_faster_than_the_bucket_fills() {
        let start = Time::from_millis(5_000);
        let [dropped, taken] = read(&mut Pace::default(), start, 10_000, |_| true);
        assert_eq!(dropped, 0);
        assert!((2_700..=2_760).contains(&taken), "{taken} in ten seconds");
        let [dropped, taken] = read(&mut Pace::default(), start, 10_000, |_| false);
        assert_eq!(taken, 0);
        assert!((10_900..=11_000).contains(&dropped), "{dropped} in ten seconds");
    }
}
