//! Recording of a room (`record = true`): what one member says and hears is all that is said. When
//! that member leaves, or is not heard any more, the next part is what another one says and hears.
//! Whoever comes in is told.

use koukan_base::{CallId, OpId, StreamId};
use koukan_media::Command;

use super::{Attending, RoomKey};
use crate::action::{Action, Now};
use crate::call::{Call, Stage};
use crate::switch::Switch;

/// The prompt that tells who comes in.
pub(super) const NOTICE: &str = "recording-notice";

/// A recording of a room under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoomTape {
    op: OpId,
    /// The member whose stream it is taken from.
    call: CallId,
    /// Its end was ordered.
    is_ending: bool,
}

impl Switch {
    /// Begins a recording of a room that wants one and has none, and ends one that is taken from a
    /// member who is not heard any more.
    pub(super) fn tape_room(&mut self, now: Now, key: &RoomKey) {
        let Some(room) = self.rooms.open.get(key).filter(|room| room.spec.record) else { return };
        if let Some(tape) = room.tape {
            let heard = self.calls.get(&tape.call).and_then(|call| source(call)).is_some();
            if !heard && !tape.is_ending {
                self.end_room_tape(key, tape);
            }
            return;
        }
        let heard = |id: &CallId| Some((*id, source(self.calls.get(id)?)?));
        let mut heard = room.members.iter().filter_map(heard).peekable();
        let somebody = heard.peek().is_some();
        // What is recorded for itself has its stream's one tap.
        let found = heard.find(|(_, stream)| !self.is_taped(*stream));
        let Some((id, stream)) = found else {
            if somebody && !room.is_untaped {
                self.tell_untaped(key);
            }
            return;
        };
        let Some(call) = self.calls.remove(&id) else { return };
        let op = self.tape_member(now, &call, stream, key);
        self.calls.insert(id, call);
        if let Some(room) = self.rooms.open.get_mut(key) {
            room.tape = Some(RoomTape { op, call: id, is_ending: false });
            room.is_untaped = false;
        }
    }

    /// Nobody of a room has a free tap: who comes in is told that it is recorded, and it is not.
    fn tell_untaped(&mut self, key: &RoomKey) {
        if let Some(room) = self.rooms.open.get_mut(key) {
            room.is_untaped = true;
        }
        let (tenant, room) = key;
        let text = format!(
            "room {room} of {tenant} is not recorded as a room: each member is recorded for itself"
        );
        self.actions.push_back(Action::Notice { grave: true, text });
    }

    fn end_room_tape(&mut self, key: &RoomKey, tape: RoomTape) {
        if let Some(tape) = self.rooms.open.get_mut(key).and_then(|room| room.tape.as_mut()) {
            tape.is_ending = true;
        }
        let call = self.calls.get(&tape.call);
        let stream = call.and_then(|call| Some((call.worker, call.leg(0)?.stream.live()?)));
        if let Some((worker, stream)) = stream {
            self.media(worker, Command::StopRecord { stream, op: tape.op });
        }
    }

    /// A recording of a room has ended: the next part begins with whoever is there.
    pub(crate) fn room_tape_ended(&mut self, op: OpId, key: &RoomKey, failed: bool) {
        let Some(room) = self.rooms.open.get_mut(key) else { return };
        if room.tape.take_if(|tape| tape.op == op).is_some() && !failed {
            self.rooms.change(key.clone(), super::Concerns::Few);
        }
    }
}

/// The stream of a member who is in the room and is heard.
fn source(call: &Call) -> Option<StreamId> {
    let Stage::Conference(attendance) = &call.stage else { return None };
    let Attending::Inside(member) = &attendance.state else { return None };
    let stream = call.leg(0)?.stream.live()?;
    (member.stream == Some(stream) && !member.silent).then_some(stream)
}
