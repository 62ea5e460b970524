//! How much of what an Opus stream sends is spent on the packet before, in brief (RFC 6716, section
//! 2.1.7), by what its peer reports to have lost (RFC 3550, section 6.4.1). Where nothing is lost
//! it would cost half a point of MOS and help nobody.

/// Share of lost packets, in percent, from which on redundancy is worth what it takes from the
/// sound, and below which a report is one of calm.
const BEGINS: u8 = 2;
const CALM: u8 = 1;

/// What an encoder is told at least: with less libopus sends none at the rates of telephones.
const LEAST: u8 = 6;

/// What it is told at most.
const MOST: u8 = 25;

/// Reports of calm, one in five seconds, behind which it ends.
const REPORTS: u8 = 3;

/// The rule of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redundancy {
    expected: u8,
    calm: u8,
}

impl Redundancy {
    /// The loss that the encoder shall expect, in percent; 0 for no redundancy.
    #[must_use]
    pub const fn expected(self) -> u8 {
        self.expected
    }

    /// The peer reports that it lost so many 256ths since its report before; what the encoder shall
    /// expect from now on, when that is another share.
    pub fn report(&mut self, fraction_lost: u8) -> Option<u8> {
        let percent = u8::try_from(u16::from(fraction_lost) * 100 / 256).unwrap_or(MOST);
        self.calm = if percent < CALM { self.calm.saturating_add(1) } else { 0 };
        let fading = self.expected - self.expected / 4;
        let expected = match self.expected {
            _ if self.calm >= REPORTS => 0,
            0 if percent < BEGINS => 0,
            0 => percent.clamp(LEAST, MOST),
            // Up at once, down by a quarter a report.
            _ => percent.max(fading).clamp(LEAST, MOST),
        };
        let changed = expected != self.expected;
        self.expected = expected;
        changed.then_some(expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_with_two_percent_rises_at_once_and_ends_behind_fifteen_seconds_of_calm() {
        let mut rule = Redundancy::default();
        assert_eq!((rule.report(0), rule.report(3)), (None, None), "one percent is not worth it");
        assert_eq!(rule.report(6), Some(6));
        assert_eq!(rule.report(6), None);
        assert_eq!(rule.report(52), Some(20));
        assert_eq!(rule.report(255), Some(25));
        assert_eq!([0; 2].map(|lost| rule.report(lost)), [Some(19), Some(15)]);
        assert_eq!(rule.report(3), Some(12), "one percent is no calm");
        assert_eq!([0; 3].map(|lost| rule.report(lost)), [Some(9), Some(7), Some(0)]);
        assert_eq!((rule.report(0), rule.expected()), (None, 0));
    }

    #[test]
    fn any_reports_keep_it_within_what_an_encoder_takes() {
        let mut rule = Redundancy::default();
        let mut state = 1u32;
        for _ in 0..10_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [lost, ..] = state.to_be_bytes();
            rule.report(if state.is_multiple_of(3) { 0 } else { lost });
            assert!(rule.expected() == 0 || (LEAST..=MOST).contains(&rule.expected()));
        }
    }
}
