//! The small literals of the language: durations, sizes, money, half hours, dates, numbers,
//! secrets.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{Date, DateTime};

use super::schema::Shape;
use super::{Item, Value, ics};
use crate::diagnostic::did_you_mean;
use crate::source::Place;

/// Money as an exact decimal with four places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

impl Money {
    const SCALE: i64 = 10_000;
    const PLACES: usize = 4;

    /// Reads `17.5`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole) || !plain(part) || part.len() > Self::PLACES || whole.len() > 12 {
            return None;
        }
        let part: i64 = format!("{part:0<4}").parse().ok()?;
        whole.parse::<i64>().ok()?.checked_mul(Self::SCALE)?.checked_add(part).map(Self)
    }

    /// Both together; saturating.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// So many times this; saturating.
    #[must_use]
    pub const fn times(self, count: u64) -> Self {
        let count = if count > i64::MAX as u64 { i64::MAX } else { count as i64 };
        Self(self.0.saturating_mul(count))
    }
}

impl Money {
    /// How many percent of another amount it is; of nothing, everything.
    #[must_use]
    pub fn percent_of(self, whole: Self) -> u32 {
        let part = self.0.max(0).saturating_mul(100);
        u32::try_from(part.checked_div(whole.0).unwrap_or(100)).unwrap_or(u32::MAX)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / Self::SCALE, self.0 % Self::SCALE);
        if part == 0 {
            return write!(f, "{whole}");
        }
        let part = format!("{part:04}");
        write!(f, "{whole}.{}", part.trim_end_matches('0'))
    }
}

/// A border of half hours of a day: 0 is 00:00, 48 is 24:00.
pub(crate) type Cell = u8;

/// How a day comes to be a holiday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DayRule {
    /// The national holidays of Japan.
    CalendarJapan,
    /// From one date to another, both included.
    Range(Date, Date),
    /// Month and day to month and day, every year, both included; may pass the turn of the year.
    Yearly((i8, i8), (i8, i8)),
}

/// Where a secret is found; never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) Arc<str>);

/// What is dialled to reach something inside: one code, or a range of codes of one length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digits {
    pub(crate) first: Arc<str>,
    pub(crate) last: Arc<str>,
}

impl Digits {
    pub(crate) fn one(code: Arc<str>) -> Self {
        Self { first: Arc::clone(&code), last: code }
    }

    /// Reads `600`, `*97` or `700..709`.
    fn parse(text: &str) -> Option<Self> {
        match text.split_once("..") {
            None => is_code(text).then(|| Self::one(Arc::from(text))),
            Some((first, last)) => {
                let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
                let fits = is_code(first) && is_code(last) && plain(first) && plain(last);
                (fits && first.len() == last.len() && first <= last)
                    .then(|| Self { first: Arc::from(first), last: Arc::from(last) })
            }
        }
    }

    pub(crate) fn contains(&self, dialled: &str) -> bool {
        dialled.len() == self.first.len() && *self.first <= *dialled && *dialled <= *self.last
    }

    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.first.len() == other.first.len()
            && self.first <= other.last
            && other.first <= self.last
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}..{}", self.first, self.last)
        }
    }
}

/// Reads `2026-07-01T10:00`.
pub(crate) fn local_time(text: &str) -> Option<DateTime> {
    (text.len() >= 16 && text.as_bytes().get(10) == Some(&b'T')).then(|| text.parse().ok())?
}

fn is_code(text: &str) -> bool {
    (1..=12).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'*' | b'#'))
}

fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let digits = text.strip_suffix(unit)?;
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    digits.parse::<u64>().ok().map(|count| Duration::from_secs(count * seconds))
}

fn size(text: &str) -> Option<u64> {
    let units = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000), ("B", 1)];
    let (digits, unit) =
        units.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)))?;
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

fn cell(text: &str) -> Option<Cell> {
    let (hour, minute) = text.split_once(':')?;
    let two = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if !two(hour) || !two(minute) {
        return None;
    }
    let (hour, minute) = (hour.parse::<u8>().ok()?, minute.parse::<u8>().ok()?);
    let half = match minute {
        0 => 0,
        30 => 1,
        _ => return None,
    };
    (hour < 24 || (hour == 24 && half == 0)).then(|| hour * 2 + half)
}

/// Reads `09:30`.
pub(crate) fn cell_of(text: &str) -> Option<Cell> {
    cell(text)
}

/// Prints a border of half hours; none beyond 24:00.
pub(crate) fn cell_time(cell: Cell) -> Option<String> {
    (cell <= 48).then(|| format!("{:02}:{:02}", cell / 2, cell % 2 * 30))
}

fn date(text: &str) -> Option<Date> {
    (text.len() == 10).then(|| text.parse().ok())?
}

fn month_day(text: &str) -> Option<(i8, i8)> {
    let (month, day) = text.split_once('-')?;
    let (month, day) = (month.parse().ok()?, day.parse().ok()?);
    // 2024 had a 29 February.
    (text.len() == 5 && Date::new(2024, month, day).is_ok()).then_some((month, day))
}

fn day_rule(text: &str) -> Option<DayRule> {
    if text == "calendar:jp" {
        return Some(DayRule::CalendarJapan);
    }
    if let Some(days) = text.strip_prefix("yearly:") {
        let (first, last) = days.split_once("..").unwrap_or((days, days));
        return Some(DayRule::Yearly(month_day(first)?, month_day(last)?));
    }
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (first, last) = (date(first)?, date(last)?);
    (first <= last).then_some(DayRule::Range(first, last))
}

impl Item<'_> {
    pub(crate) fn duration(self) -> Option<Duration> {
        self.parsed("a duration such as \"20s\", \"3m\", \"2h\" or \"7d\"", duration)
    }

    /// A duration with bounds in seconds, in steps.
    pub(crate) fn seconds(self, min: u64, max: u64, step: u64) -> Option<Duration> {
        let expected = match step {
            1 => format!("a duration from {min}s to {max}s"),
            _ => format!("a duration from {min}s to {max}s in steps of {step}s"),
        };
        self.parsed(&expected, |text| {
            let read = duration(text)?;
            let seconds = read.as_secs();
            ((min..=max).contains(&seconds) && seconds.is_multiple_of(step.max(1))).then_some(read)
        })
    }

    pub(crate) fn size(self, max: u64) -> Option<u64> {
        let expected = format!("a size such as \"10MB\", at most {max} bytes");
        self.parsed(&expected, |text| size(text).filter(|bytes| *bytes <= max))
    }

    pub(crate) fn money(self) -> Option<Money> {
        self.parsed("money as a string such as \"17.5\" (at most four decimals)", Money::parse)
    }

    pub(crate) fn cell(self) -> Option<Cell> {
        self.parsed("a time HH:MM on the half hour, \"00:00\" to \"24:00\"", cell)
    }

    /// A date, as a string or as TOML's own local date.
    pub(crate) fn date(self) -> Option<Date> {
        match self.value() {
            _ if self.note(|| Shape::Text(String::from("a date such as 2026-03-31"))) => None,
            Value::Other("a date", text) => date(text).or_else(|| self.wrong("a date alone")),
            _ => self.parsed("a date such as \"2026-03-31\"", date),
        }
    }

    /// Holidays: one rule, or those of a calendar file.
    pub(crate) fn day_rules(self) -> Option<Vec<DayRule>> {
        let named = match self.value() {
            Value::Text(text) => text.strip_prefix("ics:"),
            _ => None,
        };
        if let Some(name) = named {
            return self.calendar(name);
        }
        let rule = self.parsed(
            "\"calendar:jp\", a date or range \"2026-12-29..2027-01-03\", \
             \"yearly:08-13..08-15\", or \"ics:FILE\"",
            day_rule,
        );
        rule.map(|rule| vec![rule])
    }

    /// The closing days of a calendar file of the tenant.
    fn calendar(&self, name: &str) -> Option<Vec<DayRule>> {
        let reader = self.reader;
        let Some((file, text)) = reader.files.calendar(name) else {
            let message = format!("there is no calendar file \"{}\"", name.escape_debug());
            let known: Vec<&str> = reader.files.calendars().collect();
            reader.error(self.place(), message, did_you_mean(name, known, "calendar files"));
            return None;
        };
        let place = |start: usize, end: usize| {
            let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
            Place { file, start: offset(start), end: offset(end) }
        };
        match ics::read(text) {
            Ok(calendar) => {
                if let Some(first) = calendar.timed.first() {
                    let count = calendar.timed.len();
                    let message = format!("{count} events of the calendar are not whole days");
                    reader.warn(place(*first, *first), message, "they close nothing");
                }
                Some(calendar.days)
            }
            Err(error) => {
                let hint = "a calendar file: whole-day events, once or yearly";
                reader.error(place(error.start, error.end), error.message, hint);
                None
            }
        }
    }

    pub(crate) fn secret(self) -> Option<Secret> {
        if self.note(|| Shape::Text(String::from("file:PATH or env:NAME"))) {
            return None;
        }
        // The text is not repeated: an admin who wrote the secret itself must not find it in a log.
        let Value::Text(text) = self.value() else {
            return self.wrong("\"file:PATH\" or \"env:NAME\"");
        };
        let target = text.strip_prefix("file:").or_else(|| text.strip_prefix("env:"));
        if target.is_none_or(str::is_empty) {
            self.reader.error(
                self.place(),
                "a secret cannot stand in the plan itself",
                "expected \"file:PATH\" or \"env:NAME\"",
            );
            return None;
        }
        Some(Secret(Arc::from(text.as_str())))
    }

    /// A code that is dialled inside, or a range of them.
    pub(crate) fn digits(self) -> Option<Digits> {
        self.parsed("what is dialled: \"600\", \"*97\" or a range \"700..709\"", Digits::parse)
    }

    /// One code.
    pub(crate) fn code(self) -> Option<Arc<str>> {
        self.parsed("digits, `*` and `#`, at most 12", |text| {
            is_code(text).then(|| Arc::from(text))
        })
    }

    /// Plain digits, so many at most.
    pub(crate) fn plain_digits(self, max: usize) -> Option<Arc<str>> {
        self.parsed(&format!("1 to {max} digits"), |text| {
            let plain = text.bytes().all(|b| b.is_ascii_digit());
            (plain && (1..=max).contains(&text.len())).then(|| Arc::from(text))
        })
    }

    /// An area code of the tenant's country.
    pub(crate) fn area_code(self) -> Option<Arc<str>> {
        if self.note(|| Shape::Text(String::from("an area code of the country"))) {
            return None;
        }
        let country = self.reader.country();
        let Value::Text(text) = self.value() else { return self.wrong("an area code") };
        let plain = (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if plain && country.has_area(text) {
            return Some(Arc::from(text.as_str()));
        }
        let message = format!("\"{}\" is no area code", text.escape_debug());
        let mut near: Vec<&str> =
            country.area_codes().filter(|code| text.starts_with(*code)).collect();
        near.sort_unstable();
        let hint = match near.last() {
            Some(code) => format!("did you mean \"{code}\"?"),
            None => format!("expected one of the numbering plan \"{}\"", country.name),
        };
        self.reader.error(self.place(), message, hint);
        None
    }

    /// A telephone number: national digits with the leading 0, or `+` and E.164.
    pub(crate) fn telephone(self) -> Option<Arc<str>> {
        self.parsed("a telephone number: national with its leading 0, or + and E.164", |text| {
            let digits = text.strip_prefix('+').unwrap_or(text);
            let plain = digits.bytes().all(|b| b.is_ascii_digit());
            let lead = text.starts_with('+') != text.starts_with('0');
            (plain && lead && (3..=16).contains(&digits.len())).then(|| Arc::from(text))
        })
    }

    /// A mail address, as far as a typing error can be seen.
    pub(crate) fn mail(self) -> Option<Arc<str>> {
        self.parsed("a mail address", |text| {
            let (local, domain) = text.rsplit_once('@')?;
            let clean = !text.chars().any(|c| c.is_whitespace() || c.is_control());
            (clean && !local.is_empty() && !domain.is_empty()).then(|| Arc::from(text))
        })
    }

    /// A hardware address, colons or dashes or nothing between its bytes.
    pub(crate) fn mac(self) -> Option<Arc<str>> {
        self.parsed("a hardware address such as \"c0:74:ad:00:00:01\"", |text| {
            let hex: String = text.chars().filter(|c| !matches!(c, ':' | '-')).collect();
            let fits = hex.len() == 12 && hex.bytes().all(|b| b.is_ascii_hexdigit());
            fits.then(|| Arc::from(hex.to_ascii_lowercase()))
        })
    }

    /// A path below the tenant's directory that cannot leave it.
    pub(crate) fn path_inside(self) -> Option<Arc<str>> {
        self.parsed("a path below the tenant's directory", |text| {
            let inside = !text.is_empty()
                && !text.starts_with('/')
                && !text.contains(['\\', '\0'])
                && text.split('/').all(|part| !matches!(part, "" | "." | ".."));
            inside.then(|| Arc::from(text))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_exact_and_prints_as_written() {
        for text in ["0", "20", "17.5", "0.0001", "999999999999"] {
            assert_eq!(Money::parse(text).map(|money| money.to_string()).as_deref(), Some(text));
        }
        for text in ["", ".", "1.", ".5", "-1", "1.00001", "1,5", "１"] {
            assert_eq!(Money::parse(text), None, "{text}");
        }
        assert_eq!(Money::parse("17.5").map(|money| money.times(2)), Money::parse("35"));
    }

    #[test]
    fn half_hours_are_the_whole_grid_and_nothing_else() {
        assert_eq!(cell("00:00"), Some(0));
        assert_eq!(cell("12:30"), Some(25));
        assert_eq!(cell("24:00"), Some(48));
        for text in ["24:30", "9:00", "09:15", "25:00", "0900", "09:60", "+9:00"] {
            assert_eq!(cell(text), None, "{text}");
        }
    }

    #[test]
    fn literals_refuse_what_only_looks_like_them() {
        assert_eq!(duration("3m"), Some(Duration::from_secs(180)));
        for text in ["", "s", "3", "3 m", "-3s", "3秒", "99999999999s", "1.5s"] {
            assert_eq!(duration(text), None, "{text}");
        }
        assert_eq!(size("10MB"), Some(10_000_000));
        assert_eq!(size("10 MB"), None);
        assert_eq!(day_rule("yearly:02-29"), Some(DayRule::Yearly((2, 29), (2, 29))));
        for text in ["2027-01-03..2026-12-29", "yearly:13-01", "calendar:xx", "2026-02-30"] {
            assert_eq!(day_rule(text), None, "{text}");
        }
    }
}
