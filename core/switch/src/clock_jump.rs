//! The date is set while calls are up: by an operator, or by a clock that was wrong and is put
//! right. Time by the monotonic clock goes on, and so do calls and registrations. What a call has
//! as dates moves with the date, so that its record is as long as it was, and nobody pays for the
//! jump.

use jiff::SignedDuration;

use crate::action::{Action, Now};
use crate::call::Call;
use crate::switch::Switch;

/// A smaller difference is a clock that is steered, and no jump.
const JUMP: SignedDuration = SignedDuration::from_secs(5);

impl Switch {
    /// Compares the two clocks since they were looked at last; before anything is dated.
    pub(crate) fn follow_date(&mut self, now: Now) {
        let Some(latest) = self.latest else { return };
        let passed = SignedDuration::try_from(now.time.since(latest.time)).unwrap_or_default();
        let jump = now.date.duration_since(latest.date).saturating_sub(passed);
        if jump.abs() < JUMP {
            return;
        }
        let closing = self.closing.values_mut().map(|(call, _)| call);
        let calls = self.calls.values_mut().chain(closing);
        let count = calls.map(|call| shift(call, jump)).count();
        self.latest = Some(now);
        if count > 0 {
            let text = format!("the date jumped by {jump:#}: the records of {count} calls follow");
            self.actions.push_back(Action::Notice { grave: true, text });
        }
    }
}

fn shift(call: &mut Call, jump: SignedDuration) {
    let legs = call.legs.iter_mut().flat_map(|leg| {
        std::iter::once(&mut leg.started).chain(&mut leg.answered).chain(&mut leg.ended)
    });
    let own = std::iter::once(&mut call.started).chain(&mut call.answered);
    for date in own.chain(legs) {
        *date = date.saturating_add(jump).unwrap_or(*date);
    }
}
