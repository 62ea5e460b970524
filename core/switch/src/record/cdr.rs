//! The record of a call: written when it comes, when it is answered, now and then while it lasts,
//! and when its last stream has told its counts.

use jiff::Timestamp;

use crate::action::{Action, Now};
use crate::call::Call;
use crate::charge::{charge_of, price_of};
use crate::leg::Leg;
use crate::record::{CallCause, Cdr, CdrLeg, Record};
use crate::switch::Switch;

impl Switch {
    /// The record as it stands now.
    pub(crate) fn write_record(&mut self, now: Now, call: &Call) {
        self.actions.push_back(Action::Record(Record::Call(record(now, call, None))));
    }

    /// The final record.
    pub(crate) fn close_record(&mut self, now: Now, call: &Call, cause: CallCause) {
        self.actions.push_back(Action::Record(Record::Call(record(now, call, Some(cause)))));
    }
}

/// When a call ended: with the leg that stands first. One that came by a transfer may have fallen
/// silent, and so ended, before the call that it was put through to began.
fn ended(now: Now, call: &Call) -> Timestamp {
    let ended = call.leg(0).and_then(|leg| leg.ended).unwrap_or(now.date);
    ended.max(call.answered.unwrap_or(call.started))
}

fn record(now: Now, call: &Call, cause: Option<CallCause>) -> Cdr {
    let caller = call.leg(0);
    // A transfer changes who stands first in the call, not the order of its record.
    let mut legs: Vec<&Leg> = call.legs.iter().collect();
    legs.sort_by_key(|leg| leg.number);
    let charges: Vec<_> = legs.iter().map(|leg| charge_of(&call.plans, leg, now.date)).collect();
    let price = price_of(call, &charges);
    Cdr {
        call: call.id.to_string(),
        tenant: call.tenant.to_string(),
        generation: call.generation,
        direction: call.direction.as_str().to_owned(),
        caller: call.caller.clone(),
        called: call.called.clone(),
        number: call.number.as_ref().map(ToString::to_string),
        started: call.started,
        answered: call.answered,
        ended: cause.map(|_| ended(now, call)),
        last_seen: now.date,
        cause,
        status: caller.map_or(0, |leg| leg.status),
        price,
        legs: legs
            .into_iter()
            .zip(charges)
            .map(|(leg, charge)| CdrLeg {
                party: leg.party.name(),
                call_id: leg.sip_call_id.clone(),
                started: leg.started,
                answered: leg.answered,
                ended: leg.ended,
                status: leg.status,
                rtp_received: leg.stats.received,
                rtp_sent: leg.stats.sent,
                quality_mean: leg.stats.quality.map(|verdict| verdict.mean_r),
                quality_worst: leg.stats.quality.map(|verdict| verdict.worst_r),
                quality_cause: leg
                    .stats
                    .quality
                    .and_then(|verdict| verdict.cause)
                    .map(|cause| cause.word().to_owned()),
                charge,
            })
            .collect(),
    }
}
