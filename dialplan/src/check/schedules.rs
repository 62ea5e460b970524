//! Warnings of schedules: holes between cells, drawn as a picture of the week; closing days that
//! come to their end; national holidays that are not gazetted yet.

use jiff::ToSpan;
use jiff::civil::Date;

use crate::holiday::{self, GAZETTED_UNTIL};
use crate::model::Plan;
use crate::model::objects::Object;
use crate::model::schedule::{DayClass, Schedule};
use crate::model::week;
use crate::read::{Reader, cell_time};

pub(super) fn check(reader: &Reader<'_>, plan: &Plan, today: Date) {
    for schedule in plan.schedules.iter() {
        for class in DayClass::ALL {
            holes(reader, schedule, class);
        }
        ends(reader, schedule, today);
        if let Some(place) =
            schedule.asks_calendar().filter(|_| holiday::is_provisional(today.year()))
        {
            let message = format!("the national holidays of {} are provisional", today.year());
            let hint = format!("this version knows the gazette up to {GAZETTED_UNTIL}");
            reader.warn(place, message, hint);
        }
    }
}

/// Half hours between two cells of one action that no cell names: most often forgotten.
fn holes(reader: &Reader<'_>, schedule: &Object<Schedule>, class: DayClass) {
    let mut spans: Vec<_> = schedule.spans(class).iter().collect();
    spans.sort_by_key(|span| span.from);
    for pair in spans.windows(2) {
        let [before, after] = pair else { continue };
        if before.to >= after.from || before.action.what != after.action.what {
            continue;
        }
        let time = |cell| cell_time(cell).unwrap_or_default();
        let (from, to, class) = (time(before.to), time(after.from), class.as_str());
        let name = &schedule.name;
        let message = format!("schedule.{name}.{class} says nothing from {from} to {to}");
        let hint = format!("the default applies there: {}", schedule.default.what);
        let picture = week::draw(schedule, Some((before.to, after.from, class)));
        reader.picture(after.place, message, hint, picture);
    }
}

/// Dated closing days reach only so far.
fn ends(reader: &Reader<'_>, schedule: &Object<Schedule>, today: Date) {
    let Some((last, place)) = schedule.dated_until() else { return };
    if today.checked_add(SOON.days()).is_ok_and(|soon| soon > last) {
        let name = &schedule.name;
        let message = format!("the dated closing days of schedule.{name} end on {last}");
        reader.warn(place, message, "add the next ones, or write them as \"yearly:\"");
    }
}

/// So many days before their end the closing days are asked for.
const SOON: i32 = 14;
