//! How late packets come against the fastest: a histogram that forgets, and the delay that is worth
//! waiting for by it.

/// Classes of the histogram; the last one takes everything later.
const CLASSES: usize = 256;

/// Classes a second: 2.5 ms each, so that 256 of them are 640 ms.
const CLASSES_PER_SECOND: u32 = 400;

/// What one packet adds.
const UNIT: u32 = 1 << 22;

/// Each packet makes what was before lighter by a 256th: half is forgotten after 177 packets.
const FORGET: u32 = 8;

/// Share of packets that may come later than the target: 3 %.
const MAY_BE_LATE: u64 = 3;

/// An eighth more of delay, as a shift, is waited for the last of them: where jitter has a bound,
/// all packets come within it. Of less than 20 ms it is nothing.
const MORE: u32 = 3;

/// What comes so rarely, as a shift of all, is not waited for.
const RARE: u32 = 8;

/// Seconds over which the fastest packet is looked for; two such spans are remembered.
const SPAN_SECONDS: i64 = 2;

/// The estimator. All times are in samples.
#[derive(Debug)]
pub(super) struct DelayEstimator {
    rate: u32,
    weights: [u32; CLASSES],
    /// Least transit (arrival minus timeline) of this span and the one before.
    this_span: i64,
    last_span: i64,
    span_began: i64,
    /// Shift of the base that is smaller than a class and waits for more.
    shift: i64,
    started: bool,
}

impl DelayEstimator {
    /// An estimator that believes in `initial` until packets say otherwise.
    pub(super) fn new(rate: u32, initial: i64) -> Self {
        let mut estimator = Self {
            rate,
            weights: [0; CLASSES],
            this_span: 0,
            last_span: 0,
            span_began: 0,
            shift: 0,
            started: false,
        };
        estimator.believe(initial);
        estimator
    }

    /// Begins anew with another source; what was learned of the network stays.
    pub(super) const fn restart(&mut self) {
        self.started = false;
        self.shift = 0;
    }

    /// The weight of three packets at a delay: a hundred that come in time outweigh them.
    fn believe(&mut self, delay: i64) {
        let class = self.class(delay);
        if let Some(weight) = self.weights.get_mut(class) {
            *weight = UNIT * 3;
        }
    }

    fn class_samples(&self) -> i64 {
        i64::from((self.rate / CLASSES_PER_SECOND).max(1))
    }

    fn class(&self, delay: i64) -> usize {
        let class = usize::try_from(delay.max(0) / self.class_samples()).unwrap_or(CLASSES);
        class.min(CLASSES - 1)
    }

    /// Transit of the fastest packet lately.
    pub(super) fn base(&self) -> i64 {
        self.this_span.min(self.last_span)
    }

    /// A packet of `timeline` came at `now`.
    pub(super) fn note(&mut self, now: i64, timeline: i64) {
        let transit = now.saturating_sub(timeline);
        if !self.started {
            self.started = true;
            (self.this_span, self.last_span, self.span_began) = (transit, transit, now);
        }
        let before = self.base();
        if now.saturating_sub(self.span_began) > SPAN_SECONDS * i64::from(self.rate) {
            (self.last_span, self.this_span, self.span_began) = (self.this_span, transit, now);
        }
        self.this_span = self.this_span.min(transit);
        self.rebase(self.base().saturating_sub(before));
        for weight in &mut self.weights {
            *weight -= *weight >> FORGET;
        }
        let class = self.class(transit.saturating_sub(self.base()));
        if let Some(weight) = self.weights.get_mut(class) {
            *weight = weight.saturating_add(UNIT);
        }
    }

    /// The fastest packet is slower by `change` than before (or faster): all delays against it are
    /// shorter (or longer).
    fn rebase(&mut self, change: i64) {
        self.shift = self.shift.saturating_add(change);
        let classes = self.shift / self.class_samples();
        if classes == 0 {
            return;
        }
        self.shift -= classes * self.class_samples();
        let count = usize::try_from(classes.unsigned_abs()).unwrap_or(CLASSES).min(CLASSES);
        if classes > 0 {
            let moved = self.weights.iter().take(count).fold(0u32, |sum, w| sum.saturating_add(*w));
            self.weights.copy_within(count.., 0);
            self.weights.iter_mut().rev().take(count).for_each(|weight| *weight = 0);
            if let Some(first) = self.weights.first_mut() {
                *first = first.saturating_add(moved);
            }
        } else {
            let moved =
                self.weights.iter().rev().take(count).fold(0u32, |sum, w| sum.saturating_add(*w));
            self.weights.copy_within(..CLASSES - count, count);
            self.weights.iter_mut().take(count).for_each(|weight| *weight = 0);
            if let Some(last) = self.weights.last_mut() {
                *last = last.saturating_add(moved);
            }
        }
    }

    /// The delay within which all but 3 % of the packets come, or nearly all where that costs
    /// little more.
    pub(super) fn target(&self) -> i64 {
        let all: u64 = self.weights.iter().map(|weight| u64::from(*weight)).sum();
        let mut late = 0u64;
        let most = self.weights.iter().enumerate().rev().find_map(|(class, weight)| {
            late += u64::from(*weight);
            (late * 100 > all * MAY_BE_LATE).then_some(class)
        });
        let most = most.unwrap_or(0);
        let behind = self.weights.iter().enumerate().skip(most).take((most >> MORE) + 1);
        let mut kept = behind.filter(|(_, weight)| u64::from(**weight) >= all >> RARE);
        let class = kept.next_back().map_or(most, |(class, _)| class);
        i64::try_from(class + 1).unwrap_or(i64::MAX) * self.class_samples()
    }

    /// How many of a thousand packets come later than `delay`.
    pub(super) fn late_per_mille(&self, delay: i64) -> u64 {
        let all: u64 = self.weights.iter().map(|weight| u64::from(*weight)).sum();
        let (within, size) = (self.class(delay), self.class_samples());
        let of = |weight: &u32| u64::from(*weight);
        let behind: u64 = self.weights.iter().skip(within + 1).map(of).sum();
        // Of its own class those behind it, as if they were spread evenly.
        let rest = u64::try_from(size - delay.max(0) % size).unwrap_or(0);
        let own = self.weights.get(within).map_or(0, of) * rest / size.unsigned_abs().max(1);
        let late = behind + own;
        late * 1_000 / all.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(estimator: &mut DelayEstimator, packets: i64, from: i64, late: impl Fn(i64) -> i64) {
        for n in from..from + packets {
            estimator.note(1_000 + n * 160 + late(n), n * 160);
        }
    }

    #[test]
    fn an_even_stream_needs_one_class_and_an_uneven_one_what_is_worth_its_delay() {
        let mut estimator = DelayEstimator::new(8_000, 320);
        assert_eq!(estimator.target(), 340);
        feed(&mut estimator, 1_000, 0, |_| 0);
        assert_eq!(estimator.target(), 20);
        feed(&mut estimator, 2_000, 1_000, |n| if n % 20 == 0 { 500 } else { n % 3 });
        assert_eq!(estimator.target(), 520);
        feed(&mut estimator, 2_000, 3_000, |n| if n % 100 == 0 { 500 } else { 0 });
        assert_eq!(estimator.target(), 20, "1 % late is not worth waiting for");
        assert!((8..=12).contains(&estimator.late_per_mille(20)));
        assert_eq!(estimator.late_per_mille(520), 0);
        feed(&mut estimator, 2_000, 5_000, |n| n % 40 * 16);
        assert_eq!(estimator.target(), 640, "the last few of many that come late by all delays");
        let late = estimator.late_per_mille(320);
        assert!((450..550).contains(&late), "{late} of a thousand behind the half");
    }

    #[test]
    fn a_longer_way_becomes_the_base_after_two_spans_and_a_shorter_one_at_once() {
        let mut estimator = DelayEstimator::new(8_000, 40);
        feed(&mut estimator, 200, 0, |_| 0);
        feed(&mut estimator, 400, 200, |_| 800);
        assert_eq!((estimator.base(), estimator.target()), (1_800, 20));
        feed(&mut estimator, 1, 600, |_| 400);
        assert_eq!(estimator.base(), 1_400);
        assert_eq!(estimator.target(), 420, "until it is clear that all take the shorter way");
        feed(&mut estimator, 2_000, 601, |_| 400);
        assert_eq!(estimator.target(), 20);
    }
}
