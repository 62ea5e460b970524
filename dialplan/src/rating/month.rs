//! Billing months: they end with the closing day, so that month M runs from the day after the last
//! one's to its own (S-115: with the 25th, from the 26th of M-1 to the 25th of M).

use std::fmt;

use jiff::ToSpan;
use jiff::civil::Date;

/// A billing month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BillingMonth {
    /// The year of its closing day.
    pub year: i16,
    /// The month of its closing day, 1 to 12.
    pub month: i8,
    /// The closing day; 31: the last of each month.
    close_day: i8,
}

impl BillingMonth {
    /// The month that a day belongs to.
    #[must_use]
    pub(crate) fn of(day: Date, close_day: i8) -> Self {
        let month = Self { year: day.year(), month: day.month(), close_day };
        if day.day() <= close_day { month } else { month.later(1) }
    }

    /// So many months later.
    pub(crate) fn later(self, months: u32) -> Self {
        let zero_based = i64::from(self.month) - 1 + i64::from(months);
        let year = i64::from(self.year) + zero_based.div_euclid(12);
        let month = zero_based.rem_euclid(12) + 1;
        Self {
            year: i16::try_from(year).unwrap_or(i16::MAX),
            month: i8::try_from(month).unwrap_or(12),
            close_day: self.close_day,
        }
    }

    /// The last day that belongs to it; none beyond the calendar.
    #[must_use]
    pub fn last_day(self) -> Option<Date> {
        let first = Date::new(self.year, self.month, 1).ok()?;
        let day = self.close_day.min(first.days_in_month());
        Date::new(self.year, self.month, day).ok()
    }

    /// The first day that belongs to it; none beyond the calendar.
    #[must_use]
    pub fn first_day(self) -> Option<Date> {
        let first = Date::new(self.year, self.month, 1).ok()?;
        let before = first.checked_sub(1.month()).ok()?;
        let last = Self { year: before.year(), month: before.month(), close_day: self.close_day };
        last.last_day()?.tomorrow().ok()
    }
}

impl fmt::Display for BillingMonth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_month_runs_from_the_26th_to_the_25th() {
        let of = |day| BillingMonth::of(day, 25).to_string();
        assert_eq!(of(date(2026, 7, 25)), "2026-07");
        assert_eq!(of(date(2026, 7, 26)), "2026-08");
        assert_eq!(of(date(2026, 12, 26)), "2027-01");
        let january = BillingMonth::of(date(2027, 1, 1), 25);
        assert_eq!(january.first_day(), Some(date(2026, 12, 26)));
        assert_eq!(january.last_day(), Some(date(2027, 1, 25)));
        let february = BillingMonth::of(date(2026, 2, 10), 31);
        assert_eq!(february.first_day(), Some(date(2026, 2, 1)));
        assert_eq!(february.last_day(), Some(date(2026, 2, 28)));
        assert_eq!(january.later(2).to_string(), "2027-03");
        assert_eq!(BillingMonth::of(date(2026, 11, 26), 25).later(2).to_string(), "2027-02");
    }
}
