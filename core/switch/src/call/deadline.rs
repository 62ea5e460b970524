//! When a call wants to be looked at, and what its time-outs do.

use koukan_base::{CallId, OpId, Time};

use crate::action::Now;
use crate::call::{Call, Stage};
use crate::module::OpStatus;
use crate::record::CallCause;
use crate::switch::{Fate, Switch};

impl Switch {
    /// When a call wants to be looked at next.
    pub(crate) fn call_deadline(&self, call: &Call) -> Time {
        let stage = match &call.stage {
            Stage::Opening { until } => Some(*until),
            Stage::Trunk(attempt) => Some(attempt.until),
            Stage::Ringing(ringing) => Some(Self::ring_deadline(ringing, call)),
            Stage::Module(run) => {
                let sleeps = run.sleeps.iter().map(|(until, _)| *until);
                sleeps.chain(run.collect.as_ref().map(|collect| collect.until)).min()
            }
            Stage::Menu(run) => run.until,
            Stage::Paging(paging) => paging.until,
            Stage::Conference(attendance) => attendance.until(),
            Stage::Queue(waiting) => waiting.next(),
            Stage::Parked(parked) => Some(parked.until),
            Stage::Fax(run) => run.ask_at,
            Stage::Bridged { .. } => call.carriage.as_ref().and_then(|carriage| carriage.begins),
            Stage::Echo => None,
        };
        let unanswered = call.answered.is_none().then_some(call.unanswered_until);
        let held = call.held.map(|held| held.until);
        [stage, unanswered, held, call.aside_until()]
            .into_iter()
            .flatten()
            .fold(call.next_interim, Time::min)
    }

    pub(crate) fn call_timeout(&mut self, now: Now, call: &mut Call) -> Fate {
        if call.next_interim <= now.time {
            call.next_interim = now.time + self.config.interim_cdr;
            self.write_record(now, call);
            self.probe(now, call);
            self.still_ringing(now, call);
        }
        if call.answered.is_none() && call.unanswered_until <= now.time {
            self.explain(call.id, "the caller has waited too long");
            return Fate::End(CallCause::NotAnswered, 480);
        }
        self.park_held(now, call);
        self.aside_timeout(now, call);
        match &mut call.stage {
            Stage::Opening { until } if *until <= now.time => self.no_media(call),
            Stage::Trunk(attempt) if attempt.until <= now.time => self.trunk_timeout(now, call),
            Stage::Ringing(_) => self.ring_on(now, call),
            Stage::Module(run) => {
                let instance = run.instance;
                let over: Vec<(Time, OpId)> =
                    run.sleeps.extract_if(.., |(until, _)| *until <= now.time).collect();
                let silent = run.collect.as_ref().is_some_and(|collect| collect.until <= now.time);
                for (_, op) in over {
                    self.op_done(instance, op, OpStatus::Ok, "");
                }
                if silent {
                    self.collected(call);
                }
                Fate::Keep
            }
            Stage::Menu(run) if run.until.is_some_and(|until| until <= now.time) => {
                self.menu_timeout(now, call)
            }
            Stage::Paging(paging) if paging.until.is_some_and(|until| until <= now.time) => {
                self.page_timeout(now, call)
            }
            Stage::Conference(attendance)
                if attendance.until().is_some_and(|until| until <= now.time) =>
            {
                self.conference_timeout(now, call)
            }
            Stage::Queue(_) => self.queue_timeout(now, call),
            Stage::Parked(parked) if parked.until <= now.time => self.park_timeout(now, call),
            Stage::Fax(run) if run.ask_at.is_some_and(|at| at <= now.time) => {
                self.ask_for_t38(now, call);
                Fate::Keep
            }
            Stage::Bridged { .. } => {
                self.begin_when_known(now, call);
                Fate::Keep
            }
            Stage::Opening { .. }
            | Stage::Trunk(_)
            | Stage::Echo
            | Stage::Fax(_)
            | Stage::Menu(_)
            | Stage::Paging(_)
            | Stage::Conference(_)
            | Stage::Parked(_) => Fate::Keep,
        }
    }

    /// Whether this call runs, or waits for its last counts.
    #[must_use]
    pub fn knows(&self, call: CallId) -> bool {
        self.calls.contains_key(&call) || self.closing.contains_key(&call)
    }
}
