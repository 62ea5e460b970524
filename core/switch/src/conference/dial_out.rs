//! A moderator calls somebody into its room: a call of its own, decided as one of the moderator's
//! phone behind the outbound gate. Its first leg is the phone that asked and is over from the
//! beginning; whoever answers takes that place and comes into the room.

use std::sync::Arc;

use koukan_base::CallId;
use koukan_dialplan::{Ask, Asker, Caller, Facts, Origin, Room, Step};

use super::RoomKey;
use crate::action::Now;
use crate::call::request::dialled;
use crate::call::{Call, Stage};
use crate::leg::{Leg, LegState, Party};
use crate::record::CallCause;
use crate::switch::{Fate, Switch};

/// The room that who answers a call comes into.
#[derive(Debug)]
pub(crate) struct Guest {
    room: RoomKey,
    spec: Arc<Room>,
    /// The call of who asked.
    asker: CallId,
}

impl Switch {
    /// Calls a number into the room of a member.
    pub(super) fn dial_out(
        &mut self,
        now: Now,
        asker: &Call,
        number: &str,
    ) -> Result<(), Arc<str>> {
        let Stage::Conference(attendance) = &asker.stage else { return Err("no-room".into()) };
        let (room, spec) = (attendance.key.clone(), attendance.spec.clone());
        let leg = asker.leg(0).ok_or("no-member")?;
        let Party::Device { tenant, device } = &leg.party else {
            return Err("only a phone of the office may call".into());
        };
        if self.is_draining() {
            return Err("the server is about to end".into());
        }
        if self.stopping || self.calls.len() >= self.config.max_calls {
            return Err("too many calls are up".into());
        }
        let info = self.directory.plans.device(tenant, device);
        let extension = info.map(|info| info.extension.clone());
        let called = dialled(Some(number.as_bytes().to_vec()));
        let mut decision = self.directory.plans.ask(
            &Facts {
                at: now.date,
                origin: &Origin::Device { tenant: tenant.clone(), device: device.clone() },
                caller: &Caller { number: extension.clone(), ..Caller::default() },
                called: &called,
                state: self,
            },
            &Ask {
                asker: Asker::Conference,
                tenant: tenant.clone(),
                device: Some(device.clone()),
                number: None,
                holds_channel: false,
            },
        );
        let lines = decision.lines();
        self.note_refusal(now, &decision);
        let few = decision.steps.iter().take_while(|step| brings_somebody(step)).count();
        decision.steps.truncate(few);
        if few == 0 {
            return Err(decision.release.cause);
        }
        decision.release.prompt = None;
        let caller = extension.as_deref().unwrap_or_default().to_owned();
        let mut call = self.opened_call(now, &leg.party, (caller, called), decision);
        let id = call.id;
        let number = self.next_number();
        let mut asking = Leg::new(leg.party.clone(), leg.flow, LegState::Ended, number, now.date);
        asking.identity = leg.identity.clone();
        call.legs.push(asking);
        call.guest = Some(Box::new(Guest { room: room.clone(), spec, asker: asker.id }));
        self.explain(asker.id, format!("calls {} into the room as call {id}", call.called));
        self.explain(id, format!("{} is called into room {}", call.called, room.1));
        for line in lines {
            self.explain(id, line);
        }
        if let Some(open) = self.rooms.open.get_mut(&room) {
            open.guests.push(id);
        }
        self.write_record(now, &call);
        self.calls.insert(id, Box::new(call));
        self.with_call(now, id, |switch, call| switch.next_step(now, call));
        Ok(())
    }

    /// Somebody who was called into a room has answered.
    pub(crate) fn guest_answers(
        &mut self,
        now: Now,
        call: &mut Call,
        index: u16,
        guest: Guest,
    ) -> Fate {
        self.put_first(call, index);
        call.answered = call.answered.or(Some(now.date));
        self.forget_guest(call, &guest.room);
        if !self.rooms.open.contains_key(&guest.room) {
            self.explain(call.id, "nobody is in the room any more");
            return Fate::End(CallCause::NotAnswered, 480);
        }
        self.enter_room(now, call, (guest.room, guest.spec), (false, true))
    }

    /// Nobody has come: who asked hears so. False when the call is none that brings a guest.
    pub(crate) fn guest_lost(&mut self, call: &Call) -> bool {
        let Some(guest) = &call.guest else { return false };
        self.rooms.told.push((guest.asker, "not-reachable"));
        true
    }

    /// A call that was to bring a guest does not any more.
    pub(crate) fn no_guest(&mut self, call: &mut Call, status: u16) {
        let Some(guest) = call.guest.take() else { return };
        self.forget_guest(call, &guest.room);
        // Who is left alone in a room that was made of calls has waited for this one.
        self.rooms.close_empty(&guest.room);
        // Who asked has no dialog here: the record says what came of it.
        if let Some(leg) = call.leg_mut(0) {
            leg.status = status;
        }
    }

    fn forget_guest(&mut self, call: &Call, room: &RoomKey) {
        if let Some(open) = self.rooms.open.get_mut(room) {
            open.guests.retain(|guest| *guest != call.id);
        }
    }
}

/// Whether somebody may answer by this step: mailboxes and announcements are no guests.
pub(crate) fn brings_somebody(step: &Step) -> bool {
    let step = step.unguarded();
    matches!(step, Step::Ring { .. } | Step::Divert { .. })
        || matches!(step, Step::Trunk(_) | Step::Forward(_))
}
