//! What a call comes to over days: one outcome a half hour, the grid on which everything in a plan
//! changes. `koukan sim --timeline` prints it as strips of letters, and what each stands for.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

use crate::decision::{Caller, Facts, Origin};
use crate::plans::Plans;
use crate::read::{Cell, cell_time};
use crate::state::State;

/// A number of an office, for whoever goes through all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberInfo {
    /// The tenant's id.
    pub tenant: Arc<str>,
    /// Its name in the plan.
    pub name: Arc<str>,
    /// Its digits as they are dialled.
    pub did: Arc<str>,
    /// What phones show.
    pub title: Option<Arc<str>>,
}

/// Outcomes over days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// The days, one after the other.
    pub days: Vec<TimelineDay>,
    /// Every outcome once, in the order in which they come first.
    pub outcomes: Vec<String>,
}

/// One day of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineDay {
    /// The day in the office's own time.
    pub date: Date,
    /// What the schedule calls it: `weekday`, `holiday (Marine Day)`; empty without a schedule.
    pub kind: String,
    /// The outcome of each half hour, by its place in [`Timeline::outcomes`]; fewer than 48 on a
    /// day whose clock is put forward.
    pub cells: Vec<(Cell, usize)>,
}

/// Half hours of a day.
const CELLS: Cell = 48;
/// Days of one timeline at most.
const MOST_DAYS: u16 = 366;

impl Plans {
    /// What a call comes to in every half hour of `days` days from `first` on.
    #[must_use]
    pub fn timeline(
        &self,
        (origin, caller, called): (&Origin, &Caller, &str),
        (first, days): (Date, u16),
        state: &dyn State,
    ) -> Timeline {
        let zone = self.zone_of(origin, called);
        let mut timeline = Timeline { days: Vec::new(), outcomes: Vec::new() };
        let mut date = first;
        for _ in 0..days.min(MOST_DAYS) {
            let mut cells = Vec::with_capacity(usize::from(CELLS));
            for cell in 0..CELLS {
                let half = |cell: Cell| i8::try_from(cell).unwrap_or_default();
                let local = date.at(half(cell / 2), half(cell % 2 * 30), 0, 0);
                let Ok(at) = zone.to_timestamp(local) else { continue };
                // A time that the clock jumps over does not come.
                if zone.to_datetime(at) != local {
                    continue;
                }
                let outcome = self.decide(&Facts { at, origin, caller, called, state }).outcome();
                cells.push((cell, timeline.place(outcome.to_string())));
            }
            timeline.days.push(TimelineDay {
                date,
                kind: self.kind_of(called, date, state),
                cells,
            });
            let Ok(tomorrow) = date.tomorrow() else { break };
            date = tomorrow;
        }
        timeline
    }

    /// Every number of every tenant.
    pub fn numbers(&self) -> impl Iterator<Item = NumberInfo> {
        self.tenants().filter_map(|id| self.plan(id)).flat_map(|plan| {
            plan.numbers.iter().map(|number| NumberInfo {
                tenant: Arc::clone(&plan.tenant.id.value),
                name: Arc::clone(&number.name),
                did: plan.did(number),
                title: number.title.clone(),
            })
        })
    }

    /// The time zone that a call's day is told in: the called office's, else the caller's.
    #[must_use]
    pub fn zone_of(&self, origin: &Origin, called: &str) -> TimeZone {
        let own = match origin {
            Origin::Device { tenant, .. } => Some(tenant),
            Origin::Trunk { tenant, .. } => tenant.as_ref(),
        };
        let plan = self.called_number(called).map(|(plan, _)| plan);
        let plan = plan.or_else(|| self.plan(own?));
        plan.map_or(TimeZone::UTC, |plan| plan.tenant.timezone.clone())
    }

    fn kind_of(&self, called: &str, date: Date, state: &dyn State) -> String {
        let Some((plan, number)) = self.called_number(called) else { return String::new() };
        let target = number.target.as_ref().and_then(|to| plan.numbers.find(&to.value));
        let schedule = target.unwrap_or(number).schedule.as_ref();
        let Some(schedule) = schedule.and_then(|name| plan.schedules.find(&name.value)) else {
            return String::new();
        };
        let live = state.live(&plan.tenant.id.value).and_then(|live| live.schedule(&schedule.name));
        let verdict = schedule.at(date.at(0, 0, 0, 0), live);
        match (verdict.holiday, verdict.provisional) {
            (Some(holiday), true) => format!("holiday ({}, provisional)", holiday.title()),
            (Some(holiday), false) => format!("holiday ({})", holiday.title()),
            (None, true) => format!("{} (provisional)", verdict.class.as_str()),
            (None, false) => verdict.class.as_str().to_owned(),
        }
    }
}

impl Timeline {
    /// The place of an outcome, added when it is new.
    fn place(&mut self, outcome: String) -> usize {
        match self.outcomes.iter().position(|known| *known == outcome) {
            Some(place) => place,
            None => {
                self.outcomes.push(outcome);
                self.outcomes.len() - 1
            }
        }
    }

    /// As text; `paint` may colour what stands for an outcome, given its place and the letters.
    #[must_use]
    pub fn text(&self, paint: &dyn Fn(usize, &str) -> String) -> String {
        let mut text = String::from("                ");
        for hour in (0..24).step_by(3) {
            let _ = write!(text, "{hour:<6}");
        }
        text.push_str("24\n");
        for day in &self.days {
            let name = weekday(day.date.weekday());
            let line = format!("{name} {}  {}  {}", day.date, day.strip(paint), day.kind);
            text.push_str(line.trim_end());
            text.push('\n');
        }
        for (place, outcome) in self.outcomes.iter().enumerate() {
            let _ = write!(text, "\n{}  {outcome}\n", paint(place, &letter(place)));
            for (days, hours) in self.hours(place) {
                let _ = writeln!(text, "   {days:<18}{hours}");
            }
        }
        text
    }

    /// When an outcome holds: days with the same hours together.
    fn hours(&self, place: usize) -> Vec<(String, String)> {
        let mut found: Vec<(Date, Date, String)> = Vec::new();
        for day in &self.days {
            let hours = day.hours(place);
            match found.last_mut() {
                Some((_, last, same))
                    if *same == hours && last.tomorrow().ok() == Some(day.date) =>
                {
                    *last = day.date;
                }
                _ => found.push((day.date, day.date, hours)),
            }
        }
        let one = |date: Date| format!("{} {}", weekday(date.weekday()), date.day());
        let days = |(first, last, hours): (Date, Date, String)| {
            let days =
                if first == last { one(first) } else { format!("{} to {}", one(first), one(last)) };
            (days, hours)
        };
        found.into_iter().filter(|(_, _, hours)| !hours.is_empty()).map(days).collect()
    }
}

impl TimelineDay {
    /// One letter a half hour.
    fn strip(&self, paint: &dyn Fn(usize, &str) -> String) -> String {
        let mut strip = String::new();
        let mut next: Cell = 0;
        for run in self.cells.chunk_by(|(_, a), (_, b)| a == b) {
            let Some((first, place)) = run.first() else { continue };
            let jumped = usize::from(first.saturating_sub(next));
            strip.extend(std::iter::repeat_n(' ', jumped));
            strip.push_str(&paint(*place, &letter(*place).repeat(run.len())));
            next = run.last().map_or(next, |(last, _)| last.saturating_add(1));
        }
        strip.extend(std::iter::repeat_n(' ', usize::from(CELLS.saturating_sub(next))));
        strip
    }

    /// `09:00 to 12:00, 13:00 to 18:00`; `all day`; empty when never.
    fn hours(&self, place: usize) -> String {
        let time = |cell| cell_time(cell).unwrap_or_default();
        let runs = self.cells.chunk_by(|(_, a), (_, b)| a == b);
        let here = runs.filter(|run| run.first().is_some_and(|(_, found)| *found == place));
        let hours = here.filter_map(|run| {
            let ((first, _), (last, _)) = (run.first()?, run.last()?);
            Some(format!("{} to {}", time(*first), time(last + 1)))
        });
        let hours = hours.collect::<Vec<_>>().join(", ");
        if hours == "00:00 to 24:00" { String::from("all day") } else { hours }
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(&|_, letters| letters.to_owned()))
    }
}

/// `a`, `b` ... for the outcomes; beyond the alphabet all are `?`.
fn letter(place: usize) -> String {
    let letters = (b'a'..=b'z').chain(b'A'..=b'Z');
    letters.map(char::from).nth(place).unwrap_or('?').to_string()
}

const fn weekday(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Mon",
        Weekday::Tuesday => "Tue",
        Weekday::Wednesday => "Wed",
        Weekday::Thursday => "Thu",
        Weekday::Friday => "Fri",
        Weekday::Saturday => "Sat",
        Weekday::Sunday => "Sun",
    }
}
