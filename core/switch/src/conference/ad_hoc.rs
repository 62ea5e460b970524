//! A phone brings its calls together by a code: whoever it talks to, and itself, come into a room
//! of their own, which ends when one of them alone is left.

use std::sync::Arc;

use koukan_dialplan::Room;

use super::{Concerns, RoomKey};
use crate::action::Now;
use crate::call::{Call, Stage};
use crate::leg::Party;
use crate::limits;
use crate::record::CallCause;
use crate::switch::{Fate, LegKey, Switch};

impl Switch {
    /// The calls of the phone that dialled the code become one; `None` when the next step has its
    /// turn.
    pub(crate) fn three_way(&mut self, now: Now, call: &mut Call) -> Option<Fate> {
        let Some(Party::Device { tenant, device }) = call.leg(0).map(|leg| leg.party.clone())
        else {
            return None;
        };
        let most = limits::AD_HOC_CALLS;
        let others: Vec<LegKey> = self.calls_of(&tenant, &device).into_iter().take(most).collect();
        if others.is_empty() {
            self.refuse_step(call, 480, "room-refused");
            return None;
        }
        if !self.answer_caller(now, call, None) {
            return Some(Fate::End(CallCause::NotAnswered, 488));
        }
        let name: Arc<str> = format!("of {}", call.id).into();
        let spec = Arc::new(Room {
            pin: None,
            moderator_pin: None,
            max_members: u32::try_from(limits::AD_HOC_MEMBERS).unwrap_or(u32::MAX),
            record: false,
            announce: false,
        });
        let key: RoomKey = (tenant, name);
        let room = (key.clone(), spec);
        let fate = self.enter_room(now, call, room.clone(), (true, false));
        if let Some(open) = self.rooms.open.get_mut(&key) {
            open.ad_hoc = true;
        }
        for (id, index) in others {
            self.with_call(now, id, |switch, other| {
                switch.bring_in(now, other, index, room.clone())
            });
        }
        // They come in at once, and the first of them has been alone.
        self.rooms.change(key, Concerns::Everybody);
        Some(fate)
    }

    /// The party that talks to this leg comes into a room; the leg leaves its call.
    fn bring_in(
        &mut self,
        now: Now,
        call: &mut Call,
        index: u16,
        room: (RoomKey, Arc<Room>),
    ) -> Fate {
        let Stage::Bridged { leg: other } = call.stage else { return Fate::Keep };
        self.release_supervisors(now, call);
        let by = if index == 0 {
            self.put_first(call, other);
            other
        } else {
            index
        };
        self.end_leg(now, call, by, 487, None);
        self.enter_room(now, call, room, (false, true))
    }
}
