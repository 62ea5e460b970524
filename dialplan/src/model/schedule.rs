//! `[schedule.X]`: a grid of half hours for weekdays, Saturday, Sunday and holidays (S-20 to S-22).

use std::fmt;

use jiff::civil::{Date, DateTime, Weekday};

use crate::holiday::{self, Holiday};
use crate::live::{CellValue, LiveSchedule, Setting};
use crate::read::{Action, Cell, Context, DayRule, Item, Table};
use crate::source::Place;

/// The four kinds of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DayClass {
    /// Monday to Friday.
    Weekday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
    /// A national holiday or a closing day of the office, whatever day of the week it is (S-22).
    Holiday,
}

impl DayClass {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Weekday, Self::Saturday, Self::Sunday, Self::Holiday];

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }

    /// The word in the plan.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Weekday => "weekday",
            Self::Saturday => "saturday",
            Self::Sunday => "sunday",
            Self::Holiday => "holiday",
        }
    }
}

/// A run of half hours with one action.
#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) from: Cell,
    pub(crate) to: Cell,
    pub(crate) action: Action,
    pub(crate) place: Place,
}

#[derive(Debug)]
pub(crate) struct Schedule {
    pub(crate) default: Action,
    days: [Vec<Span>; 4],
    holidays: Vec<DayRule>,
    holidays_place: Place,
}

/// What a schedule says at a moment.
pub(crate) struct Verdict<'s, 'l> {
    pub(crate) class: DayClass,
    /// Why the day is a holiday, when it is one.
    pub(crate) holiday: Option<Holiday>,
    /// The day is of a year whose national holidays are not gazetted yet, and they matter here.
    pub(crate) provisional: bool,
    /// The half hours that apply; `None`: the default.
    pub(crate) span: Option<&'s Span>,
    pub(crate) said: Said<'s, 'l>,
}

/// Who said it.
#[derive(Clone, Copy)]
pub(crate) enum Said<'s, 'l> {
    /// The files.
    Plan(&'s Action),
    /// A customer, over the files.
    Live(&'l Setting<CellValue>),
}

impl Schedule {
    pub(crate) fn read(table: &mut Table<'_>) -> Option<Self> {
        let default = table.req("default", |item| item.action(Context::Number));
        let days = DayClass::ALL.map(|class| {
            let spans = table.or(class.as_str(), Vec::new(), |item| item.list(Span::read));
            overlaps(table, class, &spans);
            spans
        });
        let holidays = table.or("holidays", Vec::new(), |item| item.list(Item::day_rules));
        let holidays: Vec<DayRule> = holidays.into_iter().flatten().collect();
        let holidays_place = table.key_place("holidays");
        if let ([_, _, _, spans], true) = (&days, holidays.is_empty())
            && let Some(span) = spans.first()
        {
            table.reader.error(
                span.place,
                format!("unreachable cell in {}.holiday", table.path()),
                "no day is a holiday: `holidays` is empty, add for example \"calendar:jp\"",
            );
        }
        Some(Self { default: default?, days, holidays, holidays_place })
    }

    /// Every action that the schedule names.
    pub(crate) fn actions(&self) -> impl Iterator<Item = &Action> {
        let cells = self.days.iter().flatten().map(|span| &span.action);
        std::iter::once(&self.default).chain(cells)
    }

    /// What applies at a moment of the tenant's own time.
    pub(crate) fn at<'s, 'l>(
        &'s self,
        now: DateTime,
        live: Option<&'l LiveSchedule>,
    ) -> Verdict<'s, 'l> {
        let holiday = match live.and_then(|live| live.day(now.date())) {
            Some(closed) => closed.then_some(Holiday::Own),
            None => self.holiday(now.date()),
        };
        let class = class(now.date(), holiday);
        let half = u8::from(now.minute() >= 30);
        let cell = u8::try_from(now.hour()).unwrap_or_default() * 2 + half;
        let span = self.spans(class).iter().find(|span| span.from <= cell && cell < span.to);
        let said = match live.and_then(|live| live.cell(class, cell)) {
            Some(setting) => Said::Live(setting),
            None => Said::Plan(span.map_or(&self.default, |span| &span.action)),
        };
        let calendar = self.holidays.contains(&DayRule::CalendarJapan);
        let provisional = calendar
            && holiday::is_provisional(now.year())
            && !matches!(holiday, Some(Holiday::Own));
        Verdict { class, holiday, provisional, span, said }
    }

    /// The kind of a day as the files say.
    pub(crate) fn class_of(&self, date: Date) -> DayClass {
        class(date, self.holiday(date))
    }

    /// The last day that the dated closing days reach, when there are any, and where they stand.
    pub(crate) fn dated_until(&self) -> Option<(Date, Place)> {
        let last = |rule: &DayRule| match rule {
            DayRule::Range(_, last) => Some(*last),
            DayRule::CalendarJapan | DayRule::Yearly(..) => None,
        };
        let last = self.holidays.iter().filter_map(last).max()?;
        Some((last, self.holidays_place))
    }

    /// Where the national holidays are asked for, when they are.
    pub(crate) fn asks_calendar(&self) -> Option<Place> {
        self.holidays.contains(&DayRule::CalendarJapan).then_some(self.holidays_place)
    }

    pub(crate) fn spans(&self, class: DayClass) -> &[Span] {
        let [weekday, saturday, sunday, holiday] = &self.days;
        match class {
            DayClass::Weekday => weekday,
            DayClass::Saturday => saturday,
            DayClass::Sunday => sunday,
            DayClass::Holiday => holiday,
        }
    }

    fn holiday(&self, date: Date) -> Option<Holiday> {
        self.holidays.iter().find_map(|rule| match rule {
            DayRule::CalendarJapan => holiday::japan(date),
            DayRule::Range(first, last) => {
                (*first <= date && date <= *last).then_some(Holiday::Own)
            }
            DayRule::Yearly(first, last) => {
                let day = (date.month(), date.day());
                let inside = if first <= last {
                    *first <= day && day <= *last
                } else {
                    *first <= day || day <= *last
                };
                inside.then_some(Holiday::Own)
            }
        })
    }
}

/// A holiday beats the day of the week (S-22).
fn class(date: Date, holiday: Option<Holiday>) -> DayClass {
    match (date.weekday(), holiday) {
        (_, Some(_)) => DayClass::Holiday,
        (Weekday::Saturday, None) => DayClass::Saturday,
        (Weekday::Sunday, None) => DayClass::Sunday,
        (_, None) => DayClass::Weekday,
    }
}

impl Span {
    fn read(item: Item<'_>) -> Option<Self> {
        let place = item.place();
        item.table("schedule.cell", |table| {
            let from = table.req("from", Item::cell);
            let to = table.req("to", Item::cell);
            let action = table.req("do", |item| item.action(Context::Number));
            let (from, to) = (from?, to?);
            if from >= to {
                table.reader.error(
                    table.key_place("to"),
                    "unreachable cell: it ends before it begins",
                    "a cell lies within one day, \"24:00\" is its end",
                );
                return None;
            }
            Some(Self { from, to, action: action?, place })
        })
    }
}

fn overlaps(table: &Table<'_>, class: DayClass, spans: &[Span]) {
    for (index, span) in spans.iter().enumerate() {
        let earlier = spans.iter().take(index);
        for other in earlier.filter(|other| other.from < span.to && span.from < other.to) {
            let time = |cell: Cell| format!("{:02}:{:02}", cell / 2, cell % 2 * 30);
            let from = time(span.from.max(other.from));
            let to = time(span.to.min(other.to));
            table.reader.error(
                span.place,
                format!("{}.{} says two things", table.path(), class.as_str()),
                format!("{from} to {to} is taken at {}", table.reader.files.brief(other.place)),
            );
        }
    }
}

impl fmt::Display for Verdict<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.class.as_str())?;
        match self.holiday {
            Some(holiday) if self.provisional => {
                write!(f, " ({}, provisional until gazetted)", holiday.title())?;
            }
            Some(holiday) => write!(f, " ({})", holiday.title())?,
            None if self.provisional => f.write_str(" (provisional until gazetted)")?,
            None => {}
        }
        if let Said::Live(Setting { value, by, at }) = self.said {
            let value = match value {
                CellValue::Ring => "ring",
                CellValue::Forward => "forward",
                CellValue::Announce(name) => name,
            };
            return write!(f, " says {value}, set by {by} at {at}");
        }
        match self.span {
            Some(Span { from, to, .. }) => {
                let time = |cell: &Cell| (cell / 2, cell % 2 * 30);
                let ((h, m), (to_h, to_m)) = (time(from), time(to));
                write!(f, " {h:02}:{m:02} to {to_h:02}:{to_m:02}")?;
            }
            None => f.write_str(", no cell, the default")?,
        }
        match self.said {
            Said::Plan(action) => write!(f, " says {}", action.what),
            Said::Live(_) => Ok(()),
        }
    }
}
