//! The habit of Japanese offices to share what is held ("line 3, please"): where the plan says so
//! (`park.hold_after`), a call that a phone holds for so long is parked, and the phone is free. A
//! phone that has begun another call meanwhile holds in order to ask or to transfer: its call
//! stays.

use std::sync::Arc;

use koukan_base::Time;
use koukan_dialplan::Park;

use crate::action::Now;
use crate::call::{Call, Stage};
use crate::leg::Party;
use crate::leg::music::holds;
use crate::park::Lot;
use crate::subscription::lamps::DeviceKey;
use crate::switch::Switch;

/// A hold that becomes a park.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// When.
    pub(crate) until: Time,
    /// The leg that holds, by its number.
    leg: u64,
}

impl Switch {
    /// A party has sent a new description: it may hold now, or not any more.
    pub(crate) fn note_hold(&mut self, now: Now, call: &mut Call, index: u16) {
        let number = call.leg(index).map(|leg| leg.number);
        let before = call.held.take_if(|held| Some(held.leg) == number);
        let Some((_, spec)) = self.holder(call, index) else { return };
        let (Some(after), Some(leg)) = (spec.hold_after, number) else { return };
        // A refresh of the hold does not begin it anew.
        call.held = before.or(Some(Held { until: now.time + after, leg }));
    }

    /// The device that holds the other party by this leg, and the slots of its office.
    fn holder(&self, call: &Call, index: u16) -> Option<(DeviceKey, Arc<Park>)> {
        let Stage::Bridged { leg } = call.stage else { return None };
        let other = match index {
            0 => leg,
            index if index == leg => 0,
            _ => return None,
        };
        if !holds(call.leg(index)) || holds(call.leg(other)) || call.transfer.is_some() {
            return None;
        }
        match &call.leg(index)?.party {
            Party::Device { tenant, device } => {
                let spec = self.directory.plans.park(tenant)?;
                Some(((tenant.clone(), device.clone()), spec.clone()))
            }
            Party::Trunk(_) | Party::FaxBox { .. } => None,
        }
    }

    /// A call has been held for so long that it is parked.
    pub(crate) fn park_held(&mut self, now: Now, call: &mut Call) {
        let Some(held) = call.held.take_if(|held| held.until <= now.time) else { return };
        let found = (0u16..).zip(&call.legs).find(|(_, leg)| leg.number == held.leg);
        let Some((index, _)) = found else { return };
        let Some((key, spec)) = self.holder(call, index) else { return };
        let talks = self.lamps.of(&key).iter().filter(|id| **id != call.id);
        let elsewhere = talks.filter_map(|id| self.calls.get(id)).any(|other| {
            let mut legs = other.legs.iter().filter(|leg| !leg.is_over());
            legs.any(|leg| leg.party.is_device(&key.0, &key.1))
        });
        if elsewhere {
            self.explain(call.id, "is held beside another call, and not parked");
            return;
        }
        let lot = Lot { tenant: &key.0, spec: &spec };
        let slot = match self.lots.free(lot, None) {
            Ok(slot) => slot,
            Err(why) => {
                self.explain(call.id, format!("is held and cannot be parked: {}", why.prompt()));
                return;
            }
        };
        let reason = format!("SIP;cause=200;text=\"Parked {slot}\"");
        // The slot was free a moment ago, in this same thread.
        let _ = self.park_from(now, call, (index, Some(&reason)), Some(&slot), lot);
    }
}
