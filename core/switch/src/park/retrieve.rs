//! A phone that joins a call by what it dials: the slot that the call waits in, or a pickup code.
//! Its leg becomes one of that call, so that there is one call and one record.

use std::sync::Arc;

use koukan_base::CallId;
use koukan_dialplan::{Decision, DeviceInfo, FeatureCode, Step};
use koukan_sip::{DialogId, Response, ServerTx};

use crate::action::Now;
use crate::call::{Call, Stage};
use crate::leg::{Leg, LegState, Party};
use crate::switch::{Fate, LegKey, Switch};

/// How a leg joins a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joining {
    /// It takes the call out of its slot.
    Slot(CallId),
    /// It takes the place of a leg that rings.
    Ringing(LegKey),
    /// It supervises the parties.
    Supervisor(LegKey, FeatureCode),
}

impl Switch {
    /// The call that a device joins by what it dialled. Of two that dial a slot at once the second
    /// finds nobody in it.
    pub(crate) fn joining(&self, decision: &Decision, party: &Party) -> Option<Joining> {
        let Party::Device { tenant, device } = party else { return None };
        match decision.steps.first().map(Step::unguarded) {
            Some(Step::Park { slot: Some(slot), .. }) => self.waiting_in(tenant, slot),
            Some(Step::Feature { feature: FeatureCode::Pickup, argument }) => {
                let slot = || self.waiting_in(tenant, argument);
                self.ringing_at(tenant, device, argument).or_else(slot)
            }
            Some(Step::Feature {
                feature:
                    feature @ (FeatureCode::Monitor | FeatureCode::Whisper | FeatureCode::Barge),
                argument,
            }) => {
                // Those that it holds come last: nobody talks there.
                let talks = self.calls_of(tenant, argument);
                let others = talks.into_iter().rev().find(|(id, _)| {
                    let legs = self.calls.get(id).map(|call| call.legs.as_slice());
                    let mut legs = legs.unwrap_or_default().iter().filter(|leg| !leg.is_over());
                    !legs.any(|leg| leg.party.is_device(tenant, device))
                });
                others.map(|key| Joining::Supervisor(key, *feature))
            }
            _ => None,
        }
    }

    fn waiting_in(&self, tenant: &Arc<str>, slot: &Arc<str>) -> Option<Joining> {
        let id = self.lots.get(tenant, slot)?;
        let free =
            |call: &Call| matches!(&call.stage, Stage::Parked(parked) if parked.taker.is_none());
        self.calls.get(&id).filter(|call| free(call)).map(|call| Joining::Slot(call.id))
    }

    /// The oldest call that rings a colleague: the one of an extension, one of a group by its
    /// number or name, or with nothing named one of the device's own pickup groups.
    fn ringing_at(&self, tenant: &Arc<str>, device: &str, named: &str) -> Option<Joining> {
        let plans = &self.directory.plans;
        let devices: Vec<&DeviceInfo> = if named.is_empty() {
            plans.pickup_devices(tenant, device).collect()
        } else {
            let own = |info: &&DeviceInfo| info.tenant == *tenant && *info.extension == *named;
            let one: Vec<&DeviceInfo> = plans.devices().filter(own).collect();
            if one.is_empty() {
                plans.group_devices(tenant, named).unwrap_or_default()
            } else {
                one
            }
        };
        let mut found: Option<LegKey> = None;
        for info in devices {
            let key = (info.tenant.clone(), info.device.clone());
            for id in self.lamps.of(&key) {
                let Some(call) = self.calls.get(id) else { continue };
                // Who calls does not answer itself.
                if call.leg(0).is_none_or(|leg| leg.party.is_device(tenant, device)) {
                    continue;
                }
                let rings = call.rung().find(|(_, leg)| {
                    leg.party.is_device(tenant, &info.device)
                        && matches!(leg.state, LegState::Calling { .. })
                });
                let Some((index, _)) = rings else { continue };
                if found.is_none_or(|(before, _)| *id < before) {
                    found = Some((*id, index));
                }
            }
        }
        found.map(Joining::Ringing)
    }

    /// Adds a caller's leg to the call that it joins; it is answered when its stream is open.
    pub(crate) fn join_call(
        &mut self,
        now: Now,
        (tx, dialog): (ServerTx, DialogId),
        mut leg: Leg,
        joining: Joining,
    ) {
        let id = match joining {
            Joining::Slot(id) | Joining::Ringing((id, _)) | Joining::Supervisor((id, _), _) => id,
        };
        let mut joined = false;
        self.with_call(now, id, |switch, call| {
            joined = true;
            let does = match joining {
                Joining::Slot(_) | Joining::Ringing(_) => "takes the call",
                Joining::Supervisor(..) => "supervises the call",
            };
            switch.explain(call.id, format!("{} {does}", leg.party.name()));
            match (joining, &mut call.stage) {
                (Joining::Slot(_), Stage::Parked(parked)) => parked.taker = Some(leg.number),
                (Joining::Ringing((_, at)), _) => {
                    leg.replaces = call.leg(at).map(|leg| leg.number);
                }
                (Joining::Supervisor((_, at), code), _) => {
                    switch.add_supervisor(call, (leg.number, at), code);
                }
                (Joining::Slot(_), _) => {}
            }
            let index = u16::try_from(call.legs.len()).unwrap_or(u16::MAX);
            call.legs.push(leg);
            switch.index_leg(call, index);
            if !switch.open_stream(call, index) {
                switch.end_leg(now, call, index, 488, None);
                call.taker_gone(index);
                switch.supervisor_gone(call, index);
            }
            Fate::Keep
        });
        if !joined {
            self.ua.respond(now.time, tx, Response::new(480));
            self.by_dialog.remove(&dialog);
        }
    }

    /// The stream of who takes a call out of its slot is open: both talk.
    pub(crate) fn retrieve(&mut self, now: Now, call: &mut Call, index: u16) -> Fate {
        let codec = call.leg(0).and_then(|leg| leg.codec());
        if !self.answer_leg(now, call, index, codec.as_deref()) {
            self.end_leg(now, call, index, 488, None);
            call.taker_gone(index);
            return Fate::Keep;
        }
        self.leave_slot(call);
        call.stage = Stage::Bridged { leg: index };
        self.wire(call);
        self.start_tape(now, call);
        self.tell_connected(now, call, 0, index);
        self.write_record(now, call);
        Fate::Keep
    }
}
