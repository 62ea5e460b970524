//! Park slots (S-13): a call waits in one with music, whoever dials the slot takes it, and it comes
//! back to who parked it when nobody does. A slot is where a call is, never a copy of it: the call,
//! its record and its channels go on.

mod held;
mod retrieve;
mod returning;
mod slot;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use koukan_base::{CallId, Time};
use koukan_dialplan::{Park, PromptRef};

use crate::action::Now;
use crate::call::{Call, Stage};
use crate::leg::{LegState, Party};
use crate::record::CallCause;
use crate::switch::{Fate, LegKey, Switch};

pub(crate) use held::Held;

/// A slot by its tenant and its digits.
pub(crate) type SlotKey = (Arc<str>, Arc<str>);

/// The slots of an office.
#[derive(Clone, Copy, Debug)]
struct Lot<'a> {
    tenant: &'a Arc<str>,
    spec: &'a Arc<Park>,
}

/// A call in a slot.
#[derive(Debug)]
pub(crate) struct Parked {
    /// Whose slot it is: the office of who parked it, which a call with a neighbour may not be of.
    pub(crate) tenant: Arc<str>,
    pub(crate) slot: Arc<str>,
    pub(crate) spec: Arc<Park>,
    /// When it goes back.
    pub(crate) until: Time,
    /// The device that parked it, by its name in the plan.
    pub(crate) parker: Option<Arc<str>>,
    /// How often it came back and was not taken.
    pub(crate) rounds: u32,
    /// The leg, by its number, that takes it and is not answered yet.
    pub(crate) taker: Option<u64>,
}

/// Why a call is not parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSlot {
    /// Every slot is taken.
    Full,
    /// The slot that was asked for is.
    Taken,
}

impl NoSlot {
    const fn prompt(self) -> &'static str {
        match self {
            Self::Full => "park-full",
            Self::Taken => "slot-taken",
        }
    }
}

/// Which slot which call is in.
#[derive(Debug, Default)]
pub(crate) struct Lots {
    slots: HashMap<SlotKey, CallId>,
    /// Slots whose lamps have to be looked at.
    changed: BTreeSet<SlotKey>,
}

impl Lots {
    pub(crate) fn get(&self, tenant: &Arc<str>, slot: &Arc<str>) -> Option<CallId> {
        self.slots.get(&(tenant.clone(), slot.clone())).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn note(&mut self, tenant: &Arc<str>, slot: &Arc<str>) {
        self.changed.insert((tenant.clone(), slot.clone()));
    }

    pub(crate) fn take_changed(&mut self) -> BTreeSet<SlotKey> {
        std::mem::take(&mut self.changed)
    }

    /// A free slot: the one that is wanted, else the first.
    fn free(&self, lot: Lot<'_>, wanted: Option<&Arc<str>>) -> Result<Arc<str>, NoSlot> {
        let is_free = |slot: &Arc<str>| self.get(lot.tenant, slot).is_none();
        match wanted {
            Some(slot) if is_free(slot) => Ok(slot.clone()),
            Some(_) => Err(NoSlot::Taken),
            None => lot.spec.numbers().find(is_free).ok_or(NoSlot::Full),
        }
    }

    /// Calls that are lost leave their slots.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(CallId) -> bool) {
        let lost = self.slots.extract_if(|_, call| !is_kept(*call));
        self.changed.extend(lost.map(|(key, _)| key));
    }
}

impl Call {
    /// A leg that wanted to take the call out of its slot is over.
    pub(crate) fn taker_gone(&mut self, index: u16) {
        let number = self.leg(index).map(|leg| leg.number);
        if let Stage::Parked(parked) = &mut self.stage {
            parked.taker.take_if(|taker| Some(*taker) == number);
        }
    }
}

impl Switch {
    /// A park step: of a call that is being transferred, the party that stays is parked; of a phone
    /// that dials, the call that it is in beside this one; of a caller from outside, the caller.
    /// `None` when the next step has its turn.
    pub(crate) fn park_step(
        &mut self,
        now: Now,
        call: &mut Call,
        slot: Option<Arc<str>>,
        spec: Arc<Park>,
    ) -> Option<Fate> {
        if slot.as_ref().is_some_and(|slot| !spec.has(slot)) {
            self.refuse_step(call, 404, "slot-empty");
            return None;
        }
        let transfer = call.transfer.as_ref();
        let referrer = transfer.map(|transfer| transfer.referrer.clone());
        let tenant = call.tenant.clone();
        let lot = Lot { tenant: &tenant, spec: &spec };
        match (referrer, call.leg(0).map(|leg| leg.party.clone())) {
            (Some(referrer), _) => {
                let parker = match referrer {
                    Some(Party::Device { device, .. }) => Some(device),
                    Some(Party::Trunk(_) | Party::FaxBox { .. }) | None => None,
                };
                // With nobody left to talk to, any slot is better than the end.
                let left = call.transfer.as_ref().is_some_and(|transfer| transfer.by.is_none());
                let slot = slot.filter(|slot| !left || self.lots.get(&call.tenant, slot).is_none());
                match self.park(now, call, lot, slot.as_ref(), parker) {
                    Ok(_) => {
                        self.transfer_done(now, call);
                        return Some(Fate::Keep);
                    }
                    Err(why) => self.refuse_step(call, 486, why.prompt()),
                }
            }
            (None, Some(Party::Device { device, .. })) => {
                match self.park_other(now, call, &device, slot.as_ref(), lot) {
                    Ok(words) => {
                        call.steps.clear();
                        self.start_announcement(call, &words, true, None);
                        return Some(Fate::Keep);
                    }
                    Err((status, why)) => self.refuse_step(call, status, why),
                }
            }
            (None, Some(Party::Trunk(_) | Party::FaxBox { .. }) | None) => {
                return self.park_caller(now, call, slot.as_ref(), lot);
            }
        }
        None
    }

    /// The park code, with the slot that was dialled behind it.
    pub(crate) fn park_by_code(
        &mut self,
        now: Now,
        call: &mut Call,
        slot: Arc<str>,
    ) -> Option<Fate> {
        let spec = self.directory.plans.park(&call.tenant).cloned()?;
        self.park_step(now, call, (!slot.is_empty()).then_some(slot), spec)
    }

    /// Parks a caller who is nobody's yet, by the plan.
    fn park_caller(
        &mut self,
        now: Now,
        call: &mut Call,
        slot: Option<&Arc<str>>,
        lot: Lot<'_>,
    ) -> Option<Fate> {
        match self.lots.free(lot, slot) {
            Ok(_) if !self.answer_caller(now, call, None) => {
                Some(Fate::End(CallCause::NotAnswered, 488))
            }
            Ok(slot) => {
                let parked = self.park(now, call, lot, Some(&slot), None);
                parked.is_ok().then_some(Fate::Keep)
            }
            Err(why) => {
                self.explain(call.id, "no slot is free");
                if call.steps.is_empty() {
                    self.refuse_step(call, 486, why.prompt());
                }
                None
            }
        }
    }

    /// Parks the call that a device is in beside the one that it dialled with: the words that tell
    /// it where, or the status and the prompt that say why not.
    fn park_other(
        &mut self,
        now: Now,
        call: &Call,
        device: &Arc<str>,
        slot: Option<&Arc<str>>,
        lot: Lot<'_>,
    ) -> Result<Vec<PromptRef>, (u16, &'static str)> {
        // A slot that somebody else has emptied meanwhile says so too.
        let (id, index) = self.call_of(&call.tenant, device).ok_or((480u16, "slot-empty"))?;
        let mut outcome = Err(NoSlot::Full);
        self.with_call(now, id, |switch, other| {
            outcome = switch.park_from(now, other, (index, None), slot, lot);
            Fate::Keep
        });
        let slot = outcome.map_err(|why| (486, why.prompt()))?;
        self.explain(call.id, format!("call {id} is parked in {slot}"));
        let language: Arc<str> = self.directory.plans.language(&call.tenant).into();
        let word = |name: String| PromptRef { language: language.clone(), name: name.into() };
        let digits = slot.chars().map(|digit| word(format!("digit-{digit}")));
        Ok(std::iter::once(word("parked".to_owned())).chain(digits).collect())
    }

    /// The newest call that a device talks in, with its leg; those that it holds first.
    fn call_of(&self, tenant: &Arc<str>, device: &Arc<str>) -> Option<LegKey> {
        self.calls_of(tenant, device).into_iter().next()
    }

    /// The calls that a device talks in, with its legs: those that it holds first, the newest of
    /// them first.
    pub(crate) fn calls_of(&self, tenant: &Arc<str>, device: &Arc<str>) -> Vec<LegKey> {
        let key = (tenant.clone(), device.clone());
        let calls = self.lamps.of(&key).iter().filter_map(|id| self.calls.get(id));
        let legs = calls.filter(|call| call.transfer.is_none() && !call.carries_fax()).filter_map(
            |call| {
                let Stage::Bridged { leg } = call.stage else { return None };
                let index = [0, leg].into_iter().find(|index| {
                    let leg = call.leg(*index);
                    leg.is_some_and(|leg| {
                        leg.party.is_device(tenant, device)
                            && matches!(leg.state, LegState::Up { .. })
                    })
                })?;
                let leg = call.leg(index)?;
                let held = crate::leg::music::holds(Some(leg));
                Some(((held, leg.number), (call.id, index)))
            },
        );
        let mut legs: Vec<_> = legs.collect();
        legs.sort_unstable_by_key(|(order, _)| std::cmp::Reverse(*order));
        legs.into_iter().map(|(_, key)| key).collect()
    }

    /// Parks the other party of a call; the leg that asked for it leaves.
    fn park_from(
        &mut self,
        now: Now,
        call: &mut Call,
        (index, reason): (u16, Option<&str>),
        slot: Option<&Arc<str>>,
        lot: Lot<'_>,
    ) -> Result<Arc<str>, NoSlot> {
        self.lots.free(lot, slot)?;
        let Stage::Bridged { leg: other } = call.stage else { return Err(NoSlot::Full) };
        let parker = match call.leg(index).map(|leg| &leg.party) {
            Some(Party::Device { device, .. }) => Some(device.clone()),
            _ => None,
        };
        // The party that stays is the one that the next steps are about.
        let by = if index == 0 {
            self.put_first(call, other);
            other
        } else {
            index
        };
        let slot = self.park(now, call, lot, slot, parker)?;
        self.end_leg(now, call, by, 487, reason);
        Ok(slot)
    }

    /// Puts a call's first party into a slot. It has been answered.
    fn park(
        &mut self,
        now: Now,
        call: &mut Call,
        lot: Lot<'_>,
        slot: Option<&Arc<str>>,
        parker: Option<Arc<str>>,
    ) -> Result<Arc<str>, NoSlot> {
        let slot = self.lots.free(lot, slot)?;
        let parked = Parked {
            tenant: lot.tenant.clone(),
            slot: slot.clone(),
            spec: lot.spec.clone(),
            until: now.time + lot.spec.return_after,
            parker,
            rounds: 0,
            taker: None,
        };
        self.wait_in_slot(now, call, parked);
        Ok(slot)
    }

    fn wait_in_slot(&mut self, now: Now, call: &mut Call, parked: Parked) {
        self.release_supervisors(now, call);
        self.explain(call.id, format!("parked in slot {}", parked.slot));
        self.lots.slots.insert((parked.tenant.clone(), parked.slot.clone()), call.id);
        self.lots.note(&parked.tenant, &parked.slot);
        call.did = None;
        call.steps.clear();
        call.failures.clear();
        call.stage = Stage::Parked(parked);
        self.wire(call);
        self.write_record(now, call);
    }

    /// Frees the slot of a call that leaves it, or ends in it.
    pub(crate) fn leave_slot(&mut self, call: &Call) {
        let Stage::Parked(parked) = &call.stage else { return };
        let key = (parked.tenant.clone(), parked.slot.clone());
        if self.lots.slots.get(&key) == Some(&call.id) {
            self.lots.slots.remove(&key);
            self.lots.changed.insert(key);
        }
    }
}
