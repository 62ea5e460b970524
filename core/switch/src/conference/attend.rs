//! What a member of a room hears and whether it is heard: the room, music while it is alone, words
//! for it alone; and what everybody hears beside what is said.

use koukan_base::BridgeId;
use koukan_media::Command;

use super::{Concerns, RoomKey, is_up, member_of};
use crate::call::{Call, Stage};
use crate::leg::music::holds;
use crate::switch::Switch;

impl Switch {
    /// Sets what a member's stream does, from where the room and the member stand.
    pub(crate) fn attend(&mut self, call: &mut Call) {
        let Stage::Conference(attendance) = &call.stage else { return };
        let Some(room) = self.rooms.open.get(&attendance.key) else { return };
        let (bridge, hushed, alone) = (room.bridge, room.hushed, room.members.len() == 1);
        let holding = holds(call.leg(0));
        let stream = call.leg(0).and_then(|leg| leg.stream.live()).filter(|_| is_up(call));
        let Some(stream) = stream else { return };
        let worker = call.worker;
        let Some(member) = member_of(call) else { return };
        let muted = member.muted || (hushed && !member.moderator);
        // Who holds may send music of its own.
        let silent = muted || holding;
        let is_new = member.stream.replace(stream) != Some(stream);
        let turned = std::mem::replace(&mut member.silent, silent) != silent;
        let news = std::mem::replace(&mut member.told, muted) != muted;
        if turned {
            // A recording of the room may be taken from it.
            self.note_turn(call);
        }
        if is_new {
            self.media(worker, Command::Join { stream, room: bridge, muted: silent });
        } else if turned {
            self.media(worker, Command::Mute { stream, muted: silent });
        }
        if news {
            self.tell_member(call, if muted { "room-muted" } else { "room-unmuted" });
        }
        let has_words = member_of(call).is_some_and(|member| member.words.is_some());
        if alone && !has_words {
            self.start_music(call, 0);
        } else {
            self.stop_music(call, 0);
        }
    }

    fn note_turn(&mut self, call: &Call) {
        let Stage::Conference(attendance) = &call.stage else { return };
        if attendance.spec.record {
            self.rooms.change(attendance.key.clone(), Concerns::Few);
        }
    }

    /// Has one member hear something in the place of the room.
    pub(super) fn tell_member(&mut self, call: &mut Call, prompt: &'static str) {
        self.stop_music(call, 0);
        let language = self.directory.plans.language(&call.tenant).to_owned();
        let prompt = self.prompt(&call.tenant, &language, prompt);
        let stream = call.leg(0).and_then(|leg| leg.stream.live());
        let (op, worker) = (self.next_op(), call.worker);
        let (Some(stream), Some(member)) = (stream, member_of(call)) else { return };
        member.words = Some(op);
        self.play(worker, stream, op, vec![prompt], 1);
    }

    /// Plays what waits to be said to everybody, one after the other.
    pub(super) fn say_next(&mut self, key: &RoomKey) {
        let op = self.next_op();
        let language = self.directory.plans.language(&key.0).to_owned();
        let Some(room) = self.rooms.open.get_mut(key).filter(|room| room.saying.is_none()) else {
            return;
        };
        let Some(prompt) = room.to_say.pop_front() else { return };
        room.saying = Some(op);
        let (worker, room) = (room.worker, room.bridge);
        let prompts = vec![self.prompt(&key.0, &language, prompt)].into();
        self.media(worker, Command::Announce { room, op, prompts, times: 1 });
    }

    /// What played to everybody has ended.
    pub(crate) fn announced(&mut self, bridge: BridgeId, op: koukan_base::OpId) {
        let Some(key) = self.rooms.by_bridge.get(&bridge).cloned() else { return };
        let Some(room) = self.rooms.open.get_mut(&key) else { return };
        if room.saying.take_if(|saying| *saying == op).is_some() {
            self.say_next(&key);
        }
    }
}
