//! The national holidays of Japan, computed (Act on National Holidays, 1948, as amended).
//!
//! Computed from 2016 to 2099. The equinoxes follow the usual approximation of the Astronomical
//! Observatory's published days; a year's days are official only once gazetted in February before,
//! so that later years are provisional.

use jiff::civil::{Date, Weekday};

/// Why a day is a holiday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holiday {
    /// A national holiday, by its English name.
    National(&'static str),
    /// The Monday or later day in place of one that fell on a Sunday (article 3, 2).
    Substitute,
    /// The day between two holidays (article 3, 3).
    Between,
    /// The office's own closing day.
    Own,
}

impl Holiday {
    /// Its name in a sentence.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::National(name) => name,
            Self::Substitute => "a substitute holiday",
            Self::Between => "a day between two holidays",
            Self::Own => "a closing day of the office",
        }
    }
}

/// The last year whose days this version holds against the gazette.
pub(crate) const GAZETTED_UNTIL: i16 = 2026;

/// Whether a year's days are computed only: a law or the gazette may still change them.
#[must_use]
pub const fn is_provisional(year: i16) -> bool {
    year > GAZETTED_UNTIL
}

/// What Japan's calendar says of a date.
#[must_use]
pub fn japan(date: Date) -> Option<Holiday> {
    if let Some(name) = national(date) {
        return Some(Holiday::National(name));
    }
    if substitute(date) {
        return Some(Holiday::Substitute);
    }
    let around = |day: Option<Date>| day.and_then(national).is_some();
    let between = around(date.yesterday().ok()) && around(date.tomorrow().ok());
    (between && date.weekday() != Weekday::Sunday).then_some(Holiday::Between)
}

/// A holiday on a Sunday moves to the next day that is none itself.
fn substitute(date: Date) -> bool {
    let mut day = date.yesterday().ok();
    while let Some(earlier) = day {
        if national(earlier).is_none() {
            return false;
        }
        if earlier.weekday() == Weekday::Sunday {
            return true;
        }
        day = earlier.yesterday().ok();
    }
    false
}

fn national(date: Date) -> Option<&'static str> {
    let (year, month, day) = (date.year(), date.month(), date.day());
    if !(2016..=2099).contains(&year) {
        return None;
    }
    if let Some(name) = special(year, month, day) {
        return name;
    }
    let monday = |nth: i8| date.weekday() == Weekday::Monday && (day - 1) / 7 + 1 == nth;
    match (month, day) {
        (1, 1) => Some("New Year's Day"),
        (1, _) if monday(2) => Some("Coming of Age Day"),
        (2, 11) => Some("National Foundation Day"),
        (2, 23) if year >= 2020 => Some("the Emperor's Birthday"),
        (3, _) if day == equinox(year, 20.8431) => Some("Vernal Equinox Day"),
        (4, 29) => Some("Showa Day"),
        (5, 3) => Some("Constitution Memorial Day"),
        (5, 4) => Some("Greenery Day"),
        (5, 5) => Some("Children's Day"),
        (7, _) if monday(3) => Some("Marine Day"),
        (8, 11) => Some("Mountain Day"),
        (9, _) if monday(3) => Some("Respect for the Aged Day"),
        (9, _) if day == equinox(year, 23.2488) => Some("Autumnal Equinox Day"),
        (10, _) if monday(2) => Some("Sports Day"),
        (11, 3) => Some("Culture Day"),
        (11, 23) => Some("Labour Thanksgiving Day"),
        (12, 23) if year <= 2018 => Some("the Emperor's Birthday"),
        _ => None,
    }
}

/// Years with a law of their own: the accession of 2019, the Games of 2020 and 2021.
/// `Some(None)`: the usual rule is suspended on that day.
fn special(year: i16, month: i8, day: i8) -> Option<Option<&'static str>> {
    let marine = Some("Marine Day");
    let sports = Some("Sports Day");
    let mountain = Some("Mountain Day");
    match (year, month, day) {
        (2019, 5, 1) => Some(Some("the Accession Day")),
        (2019, 10, 22) => Some(Some("the Enthronement Ceremony Day")),
        (2020, 7, 23) | (2021, 7, 22) => Some(marine),
        (2020, 7, 24) | (2021, 7, 23) => Some(sports),
        (2020, 8, 10) | (2021, 8, 8) => Some(mountain),
        (2020 | 2021, 7 | 10, _) | (2020 | 2021, 8, 11) => Some(None),
        _ => None,
    }
}

/// The day of an equinox from 1980 to 2099.
fn equinox(year: i16, base: f64) -> i8 {
    let since = f64::from(year - 1980);
    let leaps = f64::from((year - 1980).div_euclid(4));
    let day = (base + 0.242_194 * since - leaps).floor();
    #[expect(clippy::cast_possible_truncation, reason = "a day of a month, 19 to 24")]
    let day = day as i8;
    day
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(year: i16) -> Vec<String> {
        let mut day = Date::new(year, 1, 1).expect("a date");
        let mut days = Vec::new();
        while day.year() == year {
            if japan(day).is_some() {
                days.push(format!("{:02}-{:02}", day.month(), day.day()));
            }
            day = day.tomorrow().expect("before 9999");
        }
        days
    }

    /// The Cabinet Office's list, held against two independent calendars when it was written.
    #[test]
    fn every_gazetted_year_comes_out_as_it_was_gazetted() {
        let mut years = 0;
        let list = include_str!("../tests/data/holidays-jp.txt");
        for line in list.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split(' ');
            let year: i16 = words.next().expect("a year").parse().expect("a year");
            assert_eq!(all(year), words.collect::<Vec<_>>(), "{year}");
            assert!(!is_provisional(year));
            years += 1;
        }
        assert_eq!(years, GAZETTED_UNTIL - 2016 + 1);
        assert!(is_provisional(GAZETTED_UNTIL + 1));
    }

    #[test]
    fn equinoxes_fall_where_the_observatory_put_them() {
        let vernal = [(2016, 20), (2019, 21), (2020, 20), (2023, 21), (2024, 20), (2027, 21)];
        let autumnal = [(2016, 22), (2019, 23), (2020, 22), (2023, 23), (2024, 22), (2027, 23)];
        assert!(vernal.iter().all(|(year, day)| equinox(*year, 20.8431) == *day));
        assert!(autumnal.iter().all(|(year, day)| equinox(*year, 23.2488) == *day));
    }
}
