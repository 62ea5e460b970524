//! A parked call that nobody took in time: it goes back to who parked it, with the slot shown, and
//! waits again when nobody answers there; or it goes the way that the plan names.

use std::sync::Arc;
use std::time::Duration;

use koukan_dialplan::{Decision, Facts, ReturnTo, RingTarget, Start, Step, Way};

use crate::action::Now;
use crate::call::{Call, Stage};
use crate::limits;
use crate::park::{Lot, Parked};
use crate::record::CallCause;
use crate::switch::{Fate, Switch};

/// How long a phone rings that a parked call comes back to.
const RINGS: Duration = Duration::from_secs(30);
/// How long a phone that takes the call may need to be answered.
const TAKING: Duration = Duration::from_secs(5);

impl Switch {
    /// Nobody took the call in time.
    pub(crate) fn park_timeout(&mut self, now: Now, call: &mut Call) -> Fate {
        if let Stage::Parked(parked) = &mut call.stage
            && parked.taker.is_some()
        {
            parked.until = now.time + TAKING;
            return Fate::Keep;
        }
        self.leave_slot(call);
        let opening = Stage::Opening { until: now.time + limits::seconds(limits::STREAM_S) };
        let Stage::Parked(parked) = std::mem::replace(&mut call.stage, opening) else {
            return Fate::Keep;
        };
        self.explain(call.id, format!("nobody took it out of slot {}", parked.slot));
        let device = match &parked.spec.return_to {
            ReturnTo::Device(device) => Some(device.clone()),
            // A way of the plan is one for calls of its office; a neighbour's comes back to who
            // parked it.
            ReturnTo::Way(way) if parked.tenant == call.tenant => {
                let decision = self.way_on(now, call, way);
                call.release = decision.release.clone();
                let steps = self.further_steps(call, decision).unwrap_or_default();
                call.steps = steps.into();
                return self.next_step(now, call);
            }
            ReturnTo::Parker | ReturnTo::Way(_) => parked.parker.clone(),
        };
        let info = device.and_then(|device| self.directory.plans.device(&parked.tenant, &device));
        if let Some(info) = info {
            let (device, user) = (info.device.clone(), info.user.clone());
            let start = Start::After(Duration::ZERO);
            let called_name = Some(self.slot_name(&parked.tenant, &parked.slot));
            let targets = vec![RingTarget { device, user, start }];
            call.steps.push_back(Step::Ring { targets, timeout: RINGS, called_name });
        }
        call.returning = Some(parked.into());
        self.next_step(now, call)
    }

    /// How a slot is shown on the phone that its call comes back to.
    fn slot_name(&self, tenant: &str, slot: &str) -> Arc<str> {
        match self.directory.plans.language(tenant) {
            "ja" => format!("保留 {slot}").into(),
            _ => format!("Park {slot}").into(),
        }
    }

    /// Nobody took it back: it waits again, so often and no longer.
    pub(crate) fn park_again(&mut self, now: Now, call: &mut Call, parked: Parked) -> Fate {
        let rounds = parked.rounds.saturating_add(1);
        let lots = &self.lots;
        let lot = Lot { tenant: &parked.tenant, spec: &parked.spec };
        let free = lots.free(lot, Some(&parked.slot)).or_else(|_| lots.free(lot, None));
        let Ok(slot) = free
            .map_err(drop)
            .and_then(|slot| if rounds < limits::PARK_ROUNDS { Ok(slot) } else { Err(()) })
        else {
            self.explain(call.id, "nobody takes the parked call back");
            return Fate::End(CallCause::NotAnswered, 480);
        };
        let until = now.time + parked.spec.return_after;
        self.wait_in_slot(now, call, Parked { slot, until, rounds, taker: None, ..parked });
        Fate::Keep
    }

    /// What the plan makes of a way that it named, for a call under way.
    pub(crate) fn way_on(&self, now: Now, call: &Call, way: &Way) -> Decision {
        let (origin, caller, resumed) = self.resumed(call);
        let facts = Facts {
            at: now.date,
            origin: &origin,
            caller: &caller,
            called: &call.called,
            state: self,
        };
        call.plans.go_on(&facts, &resumed, way)
    }
}
