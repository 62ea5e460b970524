//! Rooms on the worker: who comes and goes, and 20 ms of each by the clock.

use koukan_base::{BridgeId, OpId, StreamId, Time};
use koukan_media::{Event, HEADER_BYTES, PlayEnd, Shed, Source};

use super::Worker;
use super::clock::{TICK, phase_after};
use crate::neighbour::Neighbour;
use crate::order::Returned;
use crate::room::{Room, Seat};
use crate::speak::{send, send_spoken};
use crate::stream::Play;
use crate::voice::WIDE_FRAME;

impl Worker {
    fn room(&mut self, id: BridgeId) -> Option<&mut Box<Room>> {
        self.rooms.iter_mut().flatten().find(|room| room.id == id)
    }

    /// A room begins, or a greater one takes the place of the one that stands.
    pub(super) fn open_room(&mut self, now: Time, mut room: Box<Room>) {
        room.next = phase_after(now, room.phase.into());
        room.spare(self.shed() >= Shed::Coders);
        let standing = self.rooms.iter_mut().flatten().find(|known| known.id == room.id);
        match standing {
            Some(standing) => {
                room.replace(standing);
                let old = std::mem::replace(standing, room);
                self.give_back(Returned::Room(old));
            }
            None => match self.rooms.iter_mut().find(|place| place.is_none()) {
                Some(place) => *place = Some(room),
                // The control side counts them, so there is a place.
                None => self.give_back(Returned::Room(room)),
            },
        }
        self.note_next_room();
    }

    /// The room has another part.
    pub(super) fn meet(&mut self, id: BridgeId, neighbour: Neighbour) {
        let unmet = match self.room(id) {
            Some(room) => room.meet(neighbour).err(),
            None => Some(neighbour),
        };
        if let Some(unmet) = unmet {
            self.give_back(Returned::Neighbour(unmet));
        }
    }

    /// The last member has left.
    pub(super) fn close_room(&mut self, id: BridgeId) {
        self.end_announcement(id, None);
        let place = self.rooms.iter_mut().find(|room| room.as_ref().is_some_and(|r| r.id == id));
        if let Some(room) = place.and_then(Option::take) {
            self.give_back(Returned::Room(room));
        }
        self.note_next_room();
    }

    /// A stream takes a seat, or another one in the same room.
    pub(super) fn sit(&mut self, now: Time, id: StreamId, mut seat: Box<Seat>, told: bool) {
        let room = seat.room;
        let failed = Event::Joined { stream: id, room, joined: false };
        let Some(slot) = self.slot(id) else {
            self.give_back(Returned::Seat(seat));
            if told {
                self.events.push(failed);
            }
            return;
        };
        self.feed(now, id, Source::Nothing);
        seat.place = self.room(room).and_then(|known| known.join(slot, id, seat.muted));
        let joined = seat.place.is_some();
        let old = match self.stream(slot) {
            Some(stream) if joined => {
                stream.source = Source::Room(room);
                stream.seat.replace(seat)
            }
            _ => Some(seat),
        };
        if let Some(old) = old {
            self.give_back(Returned::Seat(old));
        }
        if told {
            self.events.push(Event::Joined { stream: id, room, joined });
        }
    }

    /// Whether the others hear a member.
    pub(super) fn mute(&mut self, id: StreamId, muted: bool) {
        let Some(slot) = self.slot(id) else { return };
        let Some(seat) = self.stream(slot).and_then(|stream| stream.seat.as_mut()) else { return };
        seat.muted = muted;
        let (room, place) = (seat.room, seat.place);
        if let (Some(room), Some(place)) = (self.room(room), place) {
            room.mixer.mute(place, muted);
        }
    }

    /// Lets one other member alone, of whichever part of the room, hear a member that is muted.
    pub(super) fn whisper(&mut self, id: StreamId, to: Option<StreamId>) {
        let Some((room, place)) = self.seat_of(id) else { return };
        if let Some(room) = self.room(room) {
            room.mixer.whisper(place, to.map(|to| to.0));
        }
    }

    /// The room of a stream, and its place there.
    fn seat_of(&mut self, id: StreamId) -> Option<(BridgeId, usize)> {
        let slot = self.slot(id)?;
        let seat = self.stream(slot)?.seat.as_ref()?;
        Some((seat.room, seat.place?))
    }

    /// Takes a stream out of its room.
    pub(super) fn stand_up(&mut self, slot: u32) {
        let now = self.now();
        let seat = self.stream(slot).and_then(|stream| stream.seat.take());
        let Some(mut seat) = seat else { return };
        if let (Some(room), Some(place)) = (self.room(seat.room), seat.place)
            && room.members.get(place) == Some(&Some(slot))
        {
            // What it says last fades out.
            let mut heard = [0; WIDE_FRAME];
            seat.pull(now, &mut heard);
            if let Some(input) = room.mixer.input(place) {
                for (to, from) in input.iter_mut().zip(heard) {
                    *to = from;
                }
            }
            room.leave(place);
        }
        self.give_back(Returned::Seat(seat));
    }

    /// Plays into a room; what played there is stopped.
    pub(super) fn announce(&mut self, id: BridgeId, play: Play) {
        self.end_announcement(id, None);
        match self.room(id) {
            Some(room) => room.play = Some(play),
            None => {
                let (room, op) = (id, play.op);
                self.events.push(Event::Announced { room, op, end: PlayEnd::Stopped });
            }
        }
    }

    /// Ends what plays in a room, or only the play of this number.
    pub(super) fn end_announcement(&mut self, id: BridgeId, op: Option<OpId>) {
        let Some(room) = self.room(id) else { return };
        let fits = |play: &mut Play| op.is_none_or(|op| op == play.op);
        let Some(play) = room.play.take_if(fits) else { return };
        if let Some(place) = room.player.take() {
            room.mixer.leave(place);
        }
        self.events.push(Event::Announced { room: id, op: play.op, end: PlayEnd::Stopped });
    }

    fn note_next_room(&mut self) {
        let rooms = self.rooms.iter().flatten();
        self.next_room = rooms.map(|room| room.next).min().unwrap_or(Time::MAX);
    }

    /// The rooms whose time has come.
    pub(super) fn tick_rooms(&mut self, now: Time) {
        if self.next_room > now {
            return;
        }
        for index in 0..self.rooms.len() {
            let due = |room: &mut Box<Room>| room.next <= now;
            let Some(mut room) = self.rooms.get_mut(index).and_then(|room| room.take_if(due))
            else {
                continue;
            };
            let due = room.next;
            self.ticked(now, due);
            let behind = now.since(due) > TICK * 5;
            room.next = if behind { phase_after(now, room.phase.into()) } else { due + TICK };
            self.tick_room(now, frame_at(due), &mut room);
            if let Some(place) = self.rooms.get_mut(index) {
                *place = Some(room);
            }
        }
        self.note_next_room();
    }

    /// 20 ms of a room: everybody in, the sum, everybody out.
    fn tick_room(&mut self, now: Time, number: u64, room: &mut Room) {
        for place in 0..room.members.len() {
            let Some(slot) = room.members.get(place).copied().flatten() else { continue };
            let seat = self.stream(slot).and_then(|stream| stream.seat.as_mut());
            let (Some(seat), Some(input)) = (seat, room.mixer.input(place)) else { continue };
            let mut heard = [0; WIDE_FRAME];
            let count = seat.pull(now, &mut heard);
            input.fill(0);
            for (to, from) in input.iter_mut().zip(heard.iter().take(count)) {
                *to = *from;
            }
        }
        if let Some(op) = room.play.as_ref().map(|play| play.op)
            && room.play()
        {
            room.play = None;
            self.events.push(Event::Announced { room: room.id, op, end: PlayEnd::Finished });
        }
        self.mix_room(number, room);
        for place in 0..room.members.len() {
            if let Some(slot) = room.members.get(place).copied().flatten() {
                self.tell_member(now, room, place, slot);
            }
        }
        room.finish();
    }

    /// The sum; who begins or ends to talk is told.
    fn mix_room(&self, number: u64, room: &mut Room) {
        let id = room.id;
        let members = std::mem::take(&mut room.members);
        room.mix(number, |change| {
            let slot = members.get(change.member).copied().flatten();
            let index = slot.and_then(|slot| usize::try_from(slot).ok());
            let stream = index.and_then(|index| self.slots.get(index)?.as_deref());
            if let Some(stream) = stream {
                let (stream, talking) = (stream.id, change.talking);
                self.events.push(Event::Talks { stream, room: id, talking });
            }
        });
        room.members = members;
    }

    /// What a member hears goes to its peer.
    fn tell_member(&mut self, now: Time, room: &mut Room, place: usize, slot: u32) {
        let Ok(index) = usize::try_from(slot) else { return };
        let Some(stream) = self.slots.get_mut(index).and_then(Option::as_deref_mut) else { return };
        let (Some(config), Some(target)) = (&stream.config, stream.target()) else { return };
        // A prompt of its own, or a key's tone, takes the room's place.
        if stream.play.is_some() || stream.keys.is_sounding() {
            return;
        }
        let params = config.codec;
        if !room.hears_own(place)
            && let Some(payload) = room.shared(params)
        {
            let Some(out) = self.buffer.get_mut(..HEADER_BYTES + payload.len()) else { return };
            let Some((head, body)) = out.split_first_chunk_mut::<HEADER_BYTES>() else { return };
            body.copy_from_slice(payload);
            let clock_rate = params.codec.clock_rate();
            let samples = clock_rate / 50;
            *head = stream.sender.own(now, params.payload_type, samples, clock_rate).bytes();
            send(now, stream, out, target, &mut self.way);
            return;
        }
        let (mut mixed, mut own) = ([0; WIDE_FRAME], [0; WIDE_FRAME]);
        let Some(frame) = mixed.get_mut(..room.frame) else { return };
        room.output(place, frame);
        let Some(seat) = &mut stream.seat else { return };
        let samples = match &mut seat.to_own {
            Some(resampler) => {
                let made = resampler.process(frame, &mut own);
                own.get(..made).unwrap_or_default()
            }
            None => frame,
        };
        let Some(speaker) = &mut stream.speaker else { return };
        speaker.say(samples);
        send_spoken(now, stream, false, self.buffer.as_mut_slice(), &mut self.way);
    }
}

/// The number of the frame that is due then: the same on every worker, since they have one clock.
fn frame_at(due: Time) -> u64 {
    due.as_nanos() / u64::try_from(TICK.as_nanos()).unwrap_or(1)
}
