//! Closing days out of a calendar file (iCalendar, RFC 5545): whole days of VEVENTs, once or every
//! year. Events with a time of day close nobody's office and are only counted; everything else of
//! the format (alarms, zones, other recurrences) is none of our business and refused where it would
//! change a day.

use jiff::ToSpan;
use jiff::civil::Date;

use super::DayRule;

/// What was found in a calendar file.
#[derive(Debug, Default)]
pub(crate) struct Calendar {
    pub(crate) days: Vec<DayRule>,
    /// Events that are not whole days, by the line each begins in.
    pub(crate) timed: Vec<usize>,
}

/// What is wrong with a calendar file: where its line begins, and what.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct IcsError {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) message: String,
}

/// Events of one file; more are a mistake.
const MAX_EVENTS: usize = 10_000;

/// An event in the making.
#[derive(Default)]
struct Event {
    at: usize,
    first: Option<Date>,
    /// The day after the last one (RFC 5545, 3.6.1).
    end: Option<Date>,
    yearly: bool,
    timed: bool,
}

/// Reads a calendar file.
pub(crate) fn read(text: &str) -> Result<Calendar, IcsError> {
    let mut calendar = Calendar::default();
    let mut event: Option<Event> = None;
    let mut begun = false;
    for line in unfolded(text) {
        let Some((name, parameters, value)) = parts(&line.text) else {
            if line.text.trim().is_empty() {
                continue;
            }
            return Err(line.error("no `NAME:VALUE`"));
        };
        match (name.as_str(), value, &mut event) {
            ("BEGIN", "VCALENDAR", None) => begun = true,
            ("BEGIN", "VEVENT", None) if begun => {
                event = Some(Event { at: line.start, ..Event::default() });
            }
            ("BEGIN", "VEVENT", Some(_)) => return Err(line.error("an event within an event")),
            ("END", "VEVENT", Some(found)) => {
                let found = std::mem::take(found);
                event = None;
                finish(found, &mut calendar).map_err(|message| line.error(message))?;
            }
            ("DTSTART", _, Some(event)) => event.first = day(parameters, value, event, &line)?,
            ("DTEND", _, Some(event)) => event.end = day(parameters, value, event, &line)?,
            ("RRULE", _, Some(event)) => {
                let rule = |part: &str| value.split(';').any(|given| given == part);
                let simple = rule("FREQ=YEARLY")
                    && value.split(';').all(|part| {
                        let key = part.split('=').next().unwrap_or_default();
                        matches!(key, "FREQ" | "BYMONTH" | "BYMONTHDAY" | "WKST")
                            || part == "INTERVAL=1"
                    });
                if !simple {
                    return Err(line.error("only FREQ=YEARLY recurrences are understood"));
                }
                event.yearly = true;
            }
            _ => {}
        }
        if calendar.days.len() + calendar.timed.len() > MAX_EVENTS {
            return Err(line.error("more than 10000 events"));
        }
    }
    if begun && event.is_none() {
        return Ok(calendar);
    }
    let message = if begun { "an event does not end" } else { "no BEGIN:VCALENDAR" };
    Err(IcsError { start: 0, end: text.len().min(1), message: message.to_owned() })
}

fn finish(event: Event, calendar: &mut Calendar) -> Result<(), &'static str> {
    if event.timed {
        calendar.timed.push(event.at);
        return Ok(());
    }
    let first = event.first.ok_or("an event without DTSTART")?;
    let last = match event.end {
        Some(end) => end.checked_sub(1.day()).unwrap_or(end).max(first),
        None => first,
    };
    let day = |date: Date| (date.month(), date.day());
    calendar.days.push(if event.yearly {
        DayRule::Yearly(day(first), day(last))
    } else {
        DayRule::Range(first, last)
    });
    Ok(())
}

/// A DATE; a DATE-TIME only marks the event as one with a time.
fn day(
    parameters: &str,
    value: &str,
    event: &mut Event,
    line: &Line,
) -> Result<Option<Date>, IcsError> {
    let is_date = parameters.split(';').any(|part| part.eq_ignore_ascii_case("VALUE=DATE"));
    if !is_date && value.contains('T') {
        event.timed = true;
        return Ok(None);
    }
    let wrong = || line.error("no date YYYYMMDD");
    let digits = |range| value.get(range).and_then(|text: &str| text.parse::<i16>().ok());
    let plain = value.len() == 8 && value.bytes().all(|b| b.is_ascii_digit());
    let (year, month, day) = (digits(0..4), digits(4..6), digits(6..8));
    let (Some(year), Some(month), Some(day)) = (year, month, day) else { return Err(wrong()) };
    let (month, day) = (i8::try_from(month), i8::try_from(day));
    let date = month.ok().zip(day.ok()).and_then(|(month, day)| Date::new(year, month, day).ok());
    date.filter(|_| plain).map(Some).ok_or_else(wrong)
}

/// A content line, unfolded (RFC 5545, 3.1).
struct Line {
    start: usize,
    end: usize,
    text: String,
}

impl Line {
    fn error(&self, message: &str) -> IcsError {
        IcsError { start: self.start, end: self.end, message: message.to_owned() }
    }
}

fn unfolded(text: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut at = 0;
    for raw in text.split_inclusive('\n') {
        let line = raw.trim_end_matches(['\n', '\r']);
        let folded = line.strip_prefix([' ', '\t']);
        match (folded, lines.last_mut()) {
            (Some(rest), Some(before)) if before.text.len() < MAX_LINE => {
                before.text.push_str(rest)
            }
            (Some(_), Some(_)) => {}
            _ => lines.push(Line { start: at, end: at + line.len(), text: line.to_owned() }),
        }
        at += raw.len();
    }
    lines
}

/// Characters of an unfolded line that are kept; descriptions may be longer and are not read.
const MAX_LINE: usize = 4_096;

/// Name, parameters, value.
fn parts(line: &str) -> Option<(String, &str, &str)> {
    let colon = line.char_indices().scan(false, |quoted, (at, c)| {
        *quoted ^= c == '"';
        Some((at, c == ':' && !*quoted))
    });
    let colon = colon.filter(|(_, is_colon)| *is_colon).map(|(at, _)| at).next()?;
    let (front, value) = line.split_at_checked(colon)?;
    let (name, parameters) = front.split_once(';').unwrap_or((front, ""));
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let fits = !name.is_empty() && name.chars().all(plain);
    fits.then(|| (name.to_ascii_uppercase(), parameters, value.get(1..).unwrap_or_default().trim()))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn calendar(events: &str) -> String {
        format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{events}END:VCALENDAR\r\n")
    }

    #[test]
    fn whole_days_ranges_and_yearly_days_are_read_and_timed_events_are_counted() {
        let text = calendar(
            "BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20261229\r\nDTEND;VALUE=DATE:20270104\r\n\
             SUMMARY:Winter\r\n holidays\r\nEND:VEVENT\r\n\
             BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20260813\r\nRRULE:FREQ=YEARLY\r\nEND:VEVENT\r\n\
             BEGIN:VEVENT\r\nDTSTART;TZID=\"Asia/Tokyo:x\":20260701T090000\r\nEND:VEVENT\r\n\
             BEGIN:VEVENT\r\nDTSTART:20260701\r\nEND:VEVENT\r\n",
        );
        let found = read(&text).expect("a calendar");
        let days = [
            DayRule::Range(date(2026, 12, 29), date(2027, 1, 3)),
            DayRule::Yearly((8, 13), (8, 13)),
            DayRule::Range(date(2026, 7, 1), date(2026, 7, 1)),
        ];
        assert_eq!((found.days.as_slice(), found.timed.len()), (days.as_slice(), 1));
    }

    #[test]
    fn what_would_change_a_day_and_is_not_understood_is_an_error_at_its_line() {
        let wrong = |events: &str| {
            let text = calendar(events);
            let error = read(&text).expect_err("an error");
            (text.get(error.start..error.end).unwrap_or_default().to_owned(), error.message)
        };
        let event = |inside: &str| format!("BEGIN:VEVENT\r\n{inside}\r\nEND:VEVENT\r\n");
        let monthly = "DTSTART;VALUE=DATE:20260701\r\nRRULE:FREQ=MONTHLY";
        assert_eq!(wrong(&event(monthly)).0, "RRULE:FREQ=MONTHLY");
        assert_eq!(wrong(&event("DTSTART;VALUE=DATE:20260230")).1, "no date YYYYMMDD");
        assert_eq!(wrong(&event("SUMMARY:x")).1, "an event without DTSTART");
        assert_eq!(wrong("BEGIN:VEVENT\r\n").1, "an event does not end");
        assert_eq!(wrong("nonsense\r\n").0, "nonsense");
        assert_eq!(read("").expect_err("an error").message, "no BEGIN:VCALENDAR");
    }
}
