//! What no single key can know: references across objects, exclusions, numbers, prices.

use jiff::Timestamp;

use crate::load::Taken;
use crate::model::Plan;
use crate::plans::Plans;
use crate::read::Reader;

pub(crate) fn check(
    _reader: &Reader<'_>,
    _plan: &Plan,
    _taken: &mut Taken,
    _plans: &Plans,
    _now: Timestamp,
) {
}
