//! What no single key can know: references across objects, exclusions, numbers, prices.

mod contract;
mod exclusions;
pub(crate) mod expectations;
mod identity;
mod prices;
mod routes;
mod schedules;
mod unused;

use jiff::civil::Date;

use crate::load::Taken;
use crate::model::Plan;
use crate::read::Reader;

/// Checks one tenant's plan; what is unique in the whole server is taken from `taken`.
pub(crate) fn check(reader: &Reader<'_>, plan: &Plan, taken: &mut Taken<'_>, today: Date) {
    identity::check(reader, plan, taken);
    exclusions::check(reader, plan);
    if !plan.outside_is_faulty {
        routes::check(reader, plan, today);
        prices::check(reader, plan, today);
    }
    schedules::check(reader, plan, today);
    unused::check(reader, plan);
}
