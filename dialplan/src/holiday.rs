//! The national holidays of Japan, computed (Act on National Holidays, 1948, as amended).
//!
//! Right from 2016 to 2099. The equinoxes follow the usual approximation of the Astronomical
//! Observatory's published days; a year's days are official only once gazetted in February before.

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

    #[test]
    fn the_gazetted_days_of_2026_come_out() {
        // Cabinet Office, gazetted February 2025; 22 September lies between two holidays.
        let gazetted = [
            "01-01", "01-12", "02-11", "02-23", "03-20", "04-29", "05-03", "05-04", "05-05",
            "05-06", "07-20", "08-11", "09-21", "09-22", "09-23", "10-12", "11-03", "11-23",
        ];
        assert_eq!(all(2026), gazetted);
    }

    #[test]
    fn the_years_with_a_law_of_their_own_come_out() {
        let year_2019 = [
            "01-01", "01-14", "02-11", "03-21", "04-29", "04-30", "05-01", "05-02", "05-03",
            "05-04", "05-05", "05-06", "07-15", "08-11", "08-12", "09-16", "09-23", "10-14",
            "10-22", "11-03", "11-04", "11-23",
        ];
        assert_eq!(all(2019), year_2019);
        let year_2020 = [
            "01-01", "01-13", "02-11", "02-23", "02-24", "03-20", "04-29", "05-03", "05-04",
            "05-05", "05-06", "07-23", "07-24", "08-10", "09-21", "09-22", "11-03", "11-23",
        ];
        assert_eq!(all(2020), year_2020);
        let year_2021 = [
            "01-01", "01-11", "02-11", "02-23", "03-20", "04-29", "05-03", "05-04", "05-05",
            "07-22", "07-23", "08-08", "08-09", "09-20", "09-23", "11-03", "11-23",
        ];
        assert_eq!(all(2021), year_2021);
    }

    #[test]
    fn equinoxes_fall_where_the_observatory_put_them() {
        let vernal = [(2016, 20), (2019, 21), (2020, 20), (2023, 21), (2024, 20), (2027, 21)];
        let autumnal = [(2016, 22), (2019, 23), (2020, 22), (2023, 23), (2024, 22), (2027, 23)];
        assert!(vernal.iter().all(|(year, day)| equinox(*year, 20.8431) == *day));
        assert!(autumnal.iter().all(|(year, day)| equinox(*year, 23.2488) == *day));
    }
}
