//! National holidays of Japan, computed (Act on National Holidays, as amended), and own closing
//! days. Equinoxes follow the usual approximation of the National Astronomical Observatory's tables,
//! good from 1980 to 2099; a year's own are fixed by gazette in the February before.

use jiff::civil::{Date, Weekday, date};

/// A source of holidays in a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holidays {
    /// `calendar:jp`.
    Japan,
    /// Dates from the first to the last.
    Days(Date, Date),
    /// Month and day from the first to the last, every year; may run over the new year.
    Yearly((i8, i8), (i8, i8)),
}

impl Holidays {
    /// `calendar:jp`, `2026-12-29..2027-01-03`, `2026-12-29`, `yearly:08-13..08-15`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "calendar:jp" {
            return Some(Self::Japan);
        }
        if let Some(range) = text.strip_prefix("yearly:") {
            let (first, last) = range.split_once("..").unwrap_or((range, range));
            return Some(Self::Yearly(month_day(first)?, month_day(last)?));
        }
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then_some(Self::Days(first, last))
    }

    /// Whether a day is one, and which.
    #[must_use]
    pub fn name_of(&self, day: Date) -> Option<&'static str> {
        match self {
            Self::Japan => japanese_holiday(day),
            Self::Days(first, last) => (*first..=*last).contains(&day).then_some("closing day"),
            Self::Yearly(first, last) => {
                let today = (day.month(), day.day());
                let inside = if first <= last {
                    (*first..=*last).contains(&today)
                } else {
                    today >= *first || today <= *last
                };
                inside.then_some("yearly closing day")
            }
        }
    }
}

fn month_day(text: &str) -> Option<(i8, i8)> {
    // A leap year, so that 02-29 is a day.
    let day: Date = format!("2024-{text}").parse().ok()?;
    Some((day.month(), day.day()))
}

/// The national holiday on a day, substitutes and sandwiched days included.
#[must_use]
pub fn japanese_holiday(day: Date) -> Option<&'static str> {
    if let Some(name) = own_name(day) {
        return Some(name);
    }
    // Article 3, 2 (since 2007): the first day after a holiday on a Sunday that is none itself.
    let mut before = day.yesterday().ok()?;
    while own_name(before).is_some() {
        if before.weekday() == Weekday::Sunday {
            return Some("振替休日");
        }
        before = before.yesterday().ok()?;
    }
    // Article 3, 3: a day between two holidays.
    let sandwiched =
        own_name(day.yesterday().ok()?).is_some() && own_name(day.tomorrow().ok()?).is_some();
    sandwiched.then_some("国民の休日")
}

/// A holiday in its own right.
fn own_name(day: Date) -> Option<&'static str> {
    if let Some(moved) = moved_by_special_law(day) {
        return moved;
    }
    let year = day.year();
    let nth_monday = |nth: i8| {
        day.weekday() == Weekday::Monday
            && (day.day().saturating_sub(1) / 7).saturating_add(1) == nth
    };
    match (day.month(), day.day()) {
        (1, 1) => Some("元日"),
        (1, _) if nth_monday(2) => Some("成人の日"),
        (2, 11) => Some("建国記念の日"),
        (2, 23) if year >= 2020 => Some("天皇誕生日"),
        (12, 23) if year <= 2018 => Some("天皇誕生日"),
        (3, number) if i16::from(number) == equinox(year, 20.8431) => Some("春分の日"),
        (4, 29) => Some("昭和の日"),
        (5, 3) => Some("憲法記念日"),
        (5, 4) => Some("みどりの日"),
        (5, 5) => Some("こどもの日"),
        (7, _) if nth_monday(3) => Some("海の日"),
        (8, 11) if year >= 2016 => Some("山の日"),
        (9, _) if nth_monday(3) => Some("敬老の日"),
        (9, number) if i16::from(number) == equinox(year, 23.2488) => Some("秋分の日"),
        (10, _) if nth_monday(2) => {
            Some(if year >= 2020 { "スポーツの日" } else { "体育の日" })
        }
        (11, 3) => Some("文化の日"),
        (11, 23) => Some("勤労感謝の日"),
        _ => None,
    }
}

/// The years in which a special law moved or added days: the enthronement of 2019, the Olympic
/// games of 2020 and 2021. `Some(None)`: the usual holiday is not on this day.
fn moved_by_special_law(day: Date) -> Option<Option<&'static str>> {
    let own = |name| Some(Some(name));
    match (day.year(), day.month(), day.day()) {
        (2019, 5, 1) => own("天皇の即位の日"),
        (2019, 10, 22) => own("即位礼正殿の儀"),
        (2020, 7, 23) | (2021, 7, 22) => own("海の日"),
        (2020, 7, 24) | (2021, 7, 23) => own("スポーツの日"),
        (2020, 8, 10) | (2021, 8, 8) => own("山の日"),
        (2020, 7, 20) | (2020, 8, 11) | (2020, 10, 12) => Some(None),
        (2021, 7, 19) | (2021, 8, 11) | (2021, 10, 11) => Some(None),
        _ => None,
    }
}

/// The day of the month of an equinox.
fn equinox(year: i16, base: f64) -> i16 {
    let years = f64::from(year) - 1980.0;
    let leap_days = (years / 4.0).floor();
    #[expect(clippy::cast_possible_truncation, reason = "a day of the month")]
    let day = (0.242_194f64.mul_add(years, base) - leap_days).floor() as i16;
    day
}

/// The last year for which the equinoxes are gazetted: the government names them each February.
#[must_use]
pub fn last_gazetted_year(today: Date) -> i16 {
    let february = date(today.year(), 2, 1);
    if today >= february { today.year().saturating_add(1) } else { today.year() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holidays(year: i16) -> Vec<String> {
        let mut day = date(year, 1, 1);
        let mut found = Vec::new();
        while day.year() == year {
            if japanese_holiday(day).is_some() {
                found.push(format!("{:02}-{:02}", day.month(), day.day()));
            }
            day = day.tomorrow().unwrap();
        }
        found
    }

    #[test]
    fn years_equal_the_official_list() {
        assert_eq!(
            holidays(2019),
            [
                "01-01", "01-14", "02-11", "03-21", "04-29", "04-30", "05-01", "05-02", "05-03",
                "05-04", "05-05", "05-06", "07-15", "08-11", "08-12", "09-16", "09-23", "10-14",
                "10-22", "11-03", "11-04", "11-23",
            ]
        );
        assert_eq!(
            holidays(2021),
            [
                "01-01", "01-11", "02-11", "02-23", "03-20", "04-29", "05-03", "05-04", "05-05",
                "07-22", "07-23", "08-08", "08-09", "09-20", "09-23", "11-03", "11-23",
            ]
        );
        assert_eq!(
            holidays(2026),
            [
                "01-01", "01-12", "02-11", "02-23", "03-20", "04-29", "05-03", "05-04", "05-05",
                "05-06", "07-20", "08-11", "09-21", "09-22", "09-23", "10-12", "11-03", "11-23",
            ]
        );
    }

    #[test]
    fn closing_days_are_read_and_found() {
        let yearly = Holidays::parse("yearly:12-29..01-03").unwrap();
        assert!(yearly.name_of(date(2026, 12, 31)).is_some());
        assert!(yearly.name_of(date(2027, 1, 3)).is_some());
        assert!(yearly.name_of(date(2027, 1, 4)).is_none());
        let days = Holidays::parse("2026-12-29..2027-01-03").unwrap();
        assert!(days.name_of(date(2027, 1, 3)).is_some());
        assert!(days.name_of(date(2027, 12, 31)).is_none());
        for wrong in ["calendar:xx", "2026-13-01", "2027-01-02..2026-01-01", "yearly:13-01", ""] {
            assert_eq!(Holidays::parse(wrong), None, "{wrong}");
        }
    }
}
