//! What operators see of rooms and order in them.

use jiff::Timestamp;
use koukan_base::{BridgeId, CallId};
use serde::{Deserialize, Serialize};

use super::{Attending, Concerns, RoomKey, member_of};
use crate::action::Now;
use crate::call::{Call, Stage};
use crate::leg::Party;
use crate::switch::{Fate, Switch};

/// A room of a plan; without members nobody is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoomView {
    /// Its tenant.
    pub tenant: String,
    /// Its name in the plan.
    pub room: String,
    /// Only moderators come in.
    pub locked: bool,
    /// Only moderators are heard.
    pub hushed: bool,
    /// In the order of their coming.
    pub members: Vec<MemberView>,
}

/// A member of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemberView {
    /// Its call.
    pub call: String,
    /// `device A`, `trunk carrier`.
    pub party: String,
    /// Its number or extension.
    pub number: Option<String>,
    /// It leads the room.
    pub moderator: bool,
    /// The others do not hear it.
    pub muted: bool,
    /// It talks at this moment.
    pub talking: bool,
    /// When it came in.
    pub since: Timestamp,
}

/// What an operator wants done in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomOrder {
    /// Let only moderators in, or everybody.
    Lock(bool),
    /// Let only moderators be heard, or everybody.
    Hush(bool),
    /// Let the others not hear a member, by its call.
    Mute(String),
    /// Let them hear it again.
    Unmute(String),
    /// Put a member out, by its call.
    PutOut(String),
    /// Call a number into the room, as a call of the moderator's phone that came first.
    Dial(String),
}

/// Why an order is not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoomError {
    /// Nobody is in a room of this name.
    #[error("nobody is in room \"{room}\" of tenant \"{tenant}\"")]
    Empty {
        /// The tenant.
        tenant: String,
        /// The room.
        room: String,
    },
    /// No member has this call.
    #[error("call {call} is not in the room")]
    NoMember {
        /// The call.
        call: String,
    },
    /// The number is not called.
    #[error("{number} is not called: {why}")]
    NotCalled {
        /// The number.
        number: String,
        /// Why.
        why: String,
    },
}

impl Switch {
    /// Every room that somebody is in.
    #[must_use]
    pub fn rooms(&self) -> Vec<RoomView> {
        let mut views: Vec<RoomView> = self
            .rooms
            .open
            .iter()
            .map(|((tenant, name), room)| RoomView {
                tenant: tenant.to_string(),
                room: name.to_string(),
                locked: room.locked,
                hushed: room.hushed,
                members: room.members.iter().filter_map(|id| self.member_view(*id)).collect(),
            })
            .collect();
        views.sort_by(|a, b| (&a.tenant, &a.room).cmp(&(&b.tenant, &b.room)));
        views
    }

    /// Whether the room that a call says it is at knows of it; before its door it need not.
    pub(crate) fn room_knows(&self, call: &Call) -> bool {
        let Stage::Conference(attendance) = &call.stage else { return false };
        let room = self.rooms.open.get(&attendance.key);
        attendance.is_asked() || room.is_some_and(|room| room.members.contains(&call.id))
    }

    /// The calls that are in rooms.
    pub(crate) fn room_members(&self) -> Vec<CallId> {
        self.rooms.open.values().flat_map(|room| room.members.iter().copied()).collect()
    }

    /// The room of the media engine that a member is in.
    pub(crate) fn bridge_of(&self, call: &Call) -> Option<BridgeId> {
        let Stage::Conference(attendance) = &call.stage else { return None };
        let room = self.rooms.open.get(&attendance.key)?;
        room.members.contains(&call.id).then_some(room.bridge)
    }

    fn member_view(&self, id: CallId) -> Option<MemberView> {
        let call = self.calls.get(&id)?;
        let Stage::Conference(attendance) = &call.stage else { return None };
        let Attending::Inside(member) = &attendance.state else { return None };
        let leg = call.leg(0)?;
        Some(MemberView {
            call: id.to_string(),
            party: leg.party.name(),
            number: leg.identity.number.as_ref().map(ToString::to_string),
            moderator: member.moderator,
            muted: member.silent,
            talking: member.talking,
            since: member.since,
        })
    }

    /// Carries out an operator's order in a room.
    ///
    /// # Errors
    /// Nobody is in the room, or the member or the number is not to be had: the operator's fault.
    pub fn order_in_room(
        &mut self,
        now: Now,
        tenant: &str,
        room: &str,
        order: &RoomOrder,
    ) -> Result<(), RoomError> {
        let key: RoomKey = (tenant.into(), room.into());
        let outcome = self.room_order(now, &key, order);
        self.drain(now);
        outcome
    }

    fn room_order(&mut self, now: Now, key: &RoomKey, order: &RoomOrder) -> Result<(), RoomError> {
        let Some(room) = self.rooms.open.get_mut(key) else {
            let (tenant, room) = (key.0.to_string(), key.1.to_string());
            return Err(RoomError::Empty { tenant, room });
        };
        match order {
            RoomOrder::Lock(locked) => self.lock_room(key, *locked),
            RoomOrder::Hush(hushed) => {
                room.hushed = *hushed;
                self.rooms.change(key.clone(), Concerns::Everybody);
            }
            RoomOrder::Mute(call) | RoomOrder::Unmute(call) => {
                let muted = matches!(order, RoomOrder::Mute(_));
                let id = self.member(key, call)?;
                self.with_call(now, id, |switch, call| {
                    if let Some(member) = member_of(call) {
                        member.muted = muted;
                    }
                    switch.attend(call);
                    Fate::Keep
                });
            }
            RoomOrder::PutOut(call) => {
                let id = self.member(key, call)?;
                self.rooms.put_out.push(id);
            }
            RoomOrder::Dial(number) => return self.dial_for_operator(now, key, number),
        }
        Ok(())
    }

    fn member(&self, key: &RoomKey, call: &str) -> Result<CallId, RoomError> {
        let members = self.rooms.open.get(key).map(|room| room.members.as_slice());
        CallId::parse(call)
            .filter(|id| members.unwrap_or_default().contains(id))
            .ok_or_else(|| RoomError::NoMember { call: call.to_owned() })
    }

    /// Dials as a call of the moderator's phone that came first.
    fn dial_for_operator(
        &mut self,
        now: Now,
        key: &RoomKey,
        number: &str,
    ) -> Result<(), RoomError> {
        let not = |why: &str| RoomError::NotCalled { number: number.into(), why: why.into() };
        let leads = |id: &&CallId| {
            self.calls.get(id).is_some_and(|call| {
                let own = matches!(call.leg(0).map(|leg| &leg.party), Some(Party::Device { .. }));
                own && leads(call)
            })
        };
        let members = self.rooms.open.get(key).map(|room| room.members.as_slice());
        let first = members.unwrap_or_default().iter().find(leads).copied();
        let Some(first) = first else { return Err(not("no phone of the office leads the room")) };
        let mut outcome = Ok(());
        self.with_call(now, first, |switch, call| {
            outcome = switch.dial_out(now, call, number);
            Fate::Keep
        });
        outcome.map_err(|why| not(&why))
    }
}

fn leads(call: &Call) -> bool {
    match &call.stage {
        Stage::Conference(attendance) => match &attendance.state {
            Attending::Inside(member) => member.moderator,
            Attending::Asking(_) => false,
        },
        _ => false,
    }
}
