//! Which share of a stream's packets does not come in time, and whether those that do bring the
//! ones before them again (RFC 6716, section 2.1.7: in-band forward error correction).

/// What one packet adds.
const UNIT: u32 = 1 << 22;

/// Each packet makes what was before lighter by a 256th.
const FORGET: u32 = 8;

/// What there is when every packet is missing.
const ALL: u32 = UNIT << FORGET;

/// The estimator.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LossEstimator {
    /// Missing packets lately that the next one brings, of [`ALL`].
    gaps: u32,
    waits: bool,
}

impl LossEstimator {
    /// A packet is decoded, and whether one before it is missing that it brings. To wait one
    /// `packet` longer, in samples, is worth it when each `a_percent` of them brings a hundredth
    /// of the packets back.
    pub(super) fn note(&mut self, brings: bool, packet: i64, a_percent: i64) {
        self.gaps -= self.gaps >> FORGET;
        if brings {
            self.gaps = self.gaps.saturating_add(UNIT).min(ALL);
        }
        let worth = i64::from(self.gaps) * a_percent * 100 / i64::from(ALL);
        // Once it is worth it, until it is not by half.
        self.waits = if self.waits { worth * 2 >= packet } else { worth >= packet };
    }

    /// Whether a packet that is missing is worth waiting for the one behind it.
    pub(super) const fn waits(self) -> bool {
        self.waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it waits behind so many packets of which one in `every` is missing and brought.
    fn waits(estimator: &mut LossEstimator, every: i64, packets: i64, brings: bool) -> bool {
        // 20 ms of 16 kHz, and the same for a percent.
        (0..packets).for_each(|n| estimator.note(brings && n % every == every - 1, 320, 320));
        estimator.waits()
    }

    #[test]
    fn it_waits_where_more_than_a_percent_can_be_brought_back() {
        let mut estimator = LossEstimator::default();
        assert!(!waits(&mut estimator, 400, 2_000, true));
        assert!(waits(&mut estimator, 20, 400, true));
        assert!(waits(&mut estimator, 130, 1_300, true), "it does not swing");
        assert!(!waits(&mut estimator, 1_000, 900, true));
        assert!(waits(&mut estimator, 20, 400, true));
        assert!(!waits(&mut estimator, 20, 700, false), "what is not sent twice is gone");
    }
}
