//! What no single key can know: references across objects, exclusions, numbers, prices.

mod contract;
mod exclusions;
pub(crate) mod expectations;
pub(crate) mod identity;
mod prices;
mod routes;
mod schedules;
mod unused;

use jiff::civil::Date;

use crate::model::Plan;
use crate::read::Reader;

/// Checks one tenant's plan by itself.
pub(crate) fn check(reader: &Reader<'_>, plan: &Plan, today: Date) {
    identity::codes(reader, plan);
    exclusions::check(reader, plan);
    if !plan.outside_is_faulty {
        routes::check(reader, plan, today);
        prices::check(reader, plan, today);
    }
    schedules::check(reader, plan, today);
    // What is broken may have been meant to use it.
    if !reader.has_errors() {
        unused::check(reader, plan);
    }
}
