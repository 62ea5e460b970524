//! What the control side knows of rooms: who is in which, on which workers its parts are, how many
//! places they have and at which rate. A part that needs more is made anew here, where allocating
//! is allowed.
//!
//! A room has a part on each worker from which somebody came into it. They stand until its last
//! member leaves; what is played to everybody is played into the first one.

use std::collections::HashMap;

use koukan_base::{BridgeId, StreamId};
use koukan_codecs::opus::OpusSettings;
use koukan_codecs::sample_rate;
use koukan_media::Codec;

use crate::limits::{ROOM_MEMBERS, ROOM_PARTS, ROOMS};
use crate::neighbour::Neighbour;
use crate::order::Order;
use crate::room::{Room, Seat};

/// Places of a part at first.
const FIRST_PLACES: usize = 8;

/// Codecs whose encoding costs next to nothing to have ready.
const CHEAP: [Codec; 4] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::L16];

/// Orders, each for a worker.
pub(crate) type Orders = Vec<(usize, Order)>;

#[derive(Clone, Copy, Debug)]
struct Member {
    stream: StreamId,
    codec: Codec,
    muted: bool,
    worker: usize,
}

/// What one worker has of a room.
#[derive(Clone, Copy, Debug)]
struct Part {
    worker: usize,
    /// None until it is made.
    places: usize,
}

/// One room.
#[derive(Debug)]
struct Known {
    id: BridgeId,
    parts: Vec<Part>,
    members: Vec<Member>,
    /// Who is heard by one other alone.
    whispers: Vec<(StreamId, StreamId)>,
    rate: u32,
    opus: bool,
    /// Which of the twenty milliseconds its frames fall on.
    phase: u8,
}

/// All rooms.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    rooms: HashMap<BridgeId, Known>,
    of: HashMap<StreamId, BridgeId>,
    phase: u8,
}

impl Rooms {
    /// A stream comes into a room from its worker: the orders; none when it cannot.
    pub(crate) fn join(
        &mut self,
        worker: usize,
        (stream, codec): (StreamId, Codec),
        (room, muted): (BridgeId, bool),
        settings: OpusSettings,
    ) -> Option<Orders> {
        let known = self.rooms.get(&room);
        let is_part = known.is_some_and(|known| known.has_part(worker));
        let parts = |known: &&Known| known.has_part(worker);
        if !is_part && self.rooms.values().filter(parts).count() >= ROOMS {
            return None;
        }
        if known.is_some_and(|known| known.is_full(is_part)) {
            return None;
        }
        // Before anything is noted: an encoder that cannot be made leaves nothing behind.
        let rate = known.map_or(0, |known| known.rate).max(sample_rate(codec));
        let seat = Box::new(Seat::new(room, muted, codec, rate).ok()?);
        let phase = &mut self.phase;
        let known = self.rooms.entry(room).or_insert_with(|| {
            *phase = phase.wrapping_add(7) % 20;
            Known::new(room, *phase)
        });
        let member = Member { stream, codec, muted, worker };
        let Some(mut orders) = known.add(member, settings) else {
            if known.members.is_empty() {
                self.rooms.remove(&room);
            }
            return None;
        };
        self.of.insert(stream, room);
        orders.push((worker, Order::Sit(stream, seat, true)));
        orders.extend(known.whispering());
        Some(orders)
    }

    /// A stream leaves its room, if it is in one: the orders that follow.
    pub(crate) fn leave(&mut self, stream: StreamId) -> Orders {
        let Some(room) = self.of.remove(&stream) else { return Vec::new() };
        let Some(known) = self.rooms.get_mut(&room) else { return Vec::new() };
        known.members.retain(|member| member.stream != stream);
        if known.members.is_empty() {
            let parts = self.rooms.remove(&room).map(|known| known.parts).unwrap_or_default();
            return parts.iter().map(|part| (part.worker, Order::CloseRoom(room))).collect();
        }
        // Whoever whispered to it is not heard by its next stream of this number.
        let to_it = known.whispers.iter().filter(|(_, to)| *to == stream);
        let ends = to_it.filter_map(|(from, _)| known.at(*from, Order::Whisper(*from, None)));
        let orders = ends.collect();
        known.whispers.retain(|(from, to)| *from != stream && *to != stream);
        orders
    }

    /// The room of a stream.
    pub(crate) fn of(&self, stream: StreamId) -> Option<BridgeId> {
        self.of.get(&stream).copied()
    }

    /// The worker of a room's first part.
    pub(crate) fn first(&self, room: BridgeId) -> Option<usize> {
        self.rooms.get(&room)?.parts.first().map(|part| part.worker)
    }

    /// A member has agreed on another codec: the orders.
    pub(crate) fn turn(
        &mut self,
        stream: StreamId,
        codec: Codec,
        settings: OpusSettings,
    ) -> Orders {
        let Some(room) = self.of(stream) else { return Vec::new() };
        let Some(known) = self.rooms.get_mut(&room) else { return Vec::new() };
        let member = known.members.iter_mut().find(|member| member.stream == stream);
        let Some(member) = member.filter(|member| member.codec != codec) else {
            return Vec::new();
        };
        member.codec = codec;
        let member = *member;
        let before = known.rate;
        let mut orders = known.grow(settings).unwrap_or_default();
        if known.rate == before {
            let seat = Seat::new(room, member.muted, codec, before).map(Box::new);
            orders.extend(seat.map(|seat| (member.worker, Order::Sit(stream, seat, false))));
        }
        orders.extend(known.whispering());
        orders
    }

    /// Notes who alone hears a member; whether that is a member of its room.
    pub(crate) fn whisper(&mut self, stream: StreamId, to: Option<StreamId>) -> bool {
        let room = self.of(stream);
        if to.is_some_and(|to| self.of(to) != room) {
            return false;
        }
        let Some(known) = room.and_then(|room| self.rooms.get_mut(&room)) else { return false };
        known.whispers.retain(|(from, _)| *from != stream);
        known.whispers.extend(to.map(|to| (stream, to)));
        true
    }

    /// Notes whether a member is muted.
    pub(crate) fn mute(&mut self, stream: StreamId, now_muted: bool) {
        let Some(known) = self.of(stream).and_then(|room| self.rooms.get_mut(&room)) else {
            return;
        };
        for member in known.members.iter_mut().filter(|member| member.stream == stream) {
            member.muted = now_muted;
        }
    }
}

impl Known {
    const fn new(id: BridgeId, phase: u8) -> Self {
        Self {
            id,
            parts: Vec::new(),
            members: Vec::new(),
            whispers: Vec::new(),
            rate: 0,
            opus: false,
            phase,
        }
    }

    fn has_part(&self, worker: usize) -> bool {
        self.parts.iter().any(|part| part.worker == worker)
    }

    /// Whether nobody more comes in, on a worker that has a part of it or has none.
    fn is_full(&self, is_part: bool) -> bool {
        self.members.len() >= ROOM_MEMBERS || (!is_part && self.parts.len() >= ROOM_PARTS)
    }

    /// An order about a member, with its worker.
    fn at(&self, stream: StreamId, order: Order) -> Option<(usize, Order)> {
        let member = self.members.iter().find(|member| member.stream == stream)?;
        Some((member.worker, order))
    }

    /// Who has sat down anew is heard by whom it was heard before.
    fn whispering(&self) -> impl Iterator<Item = (usize, Order)> {
        self.whispers
            .iter()
            .filter_map(|(from, to)| self.at(*from, Order::Whisper(*from, Some(*to))))
    }

    /// A member more, with what has to be made for it; nothing is changed when that cannot be.
    fn add(&mut self, member: Member, settings: OpusSettings) -> Option<Orders> {
        let is_new = !self.has_part(member.worker);
        if is_new {
            self.parts.push(Part { worker: member.worker, places: 0 });
        }
        self.members.push(member);
        let orders = self.grow(settings);
        if orders.is_none() {
            self.members.pop();
            if is_new {
                self.parts.pop();
            }
            return None;
        }
        let mut orders = orders.unwrap_or_default();
        // The newcomer's seat is made beside.
        orders.retain(
            |(_, order)| !matches!(order, Order::Sit(stream, ..) if *stream == member.stream),
        );
        if is_new {
            let others = self.parts.iter().filter(|part| part.worker != member.worker);
            for other in others {
                let (here, there) = Neighbour::pair();
                orders.push((member.worker, Order::Meet(self.id, here)));
                orders.push((other.worker, Order::Meet(self.id, there)));
            }
        }
        Some(orders)
    }

    /// Other parts in the place of those that have too few places, and of all of them when the rate
    /// is too low or there is no encoder of Opus. Another rate takes another seat for everybody.
    /// None when an encoder cannot be made; nothing is changed then.
    fn grow(&mut self, settings: OpusSettings) -> Option<Orders> {
        let rates = self.members.iter().map(|member| sample_rate(member.codec));
        let rate = rates.max().unwrap_or(8_000).max(self.rate);
        let opus = self.opus || self.members.iter().any(|member| member.codec == Codec::Opus);
        let codecs: Vec<Codec> = CHEAP.into_iter().chain(opus.then_some(Codec::Opus)).collect();
        let (anew, turned) = (rate != self.rate || opus != self.opus, rate != self.rate);
        let mut parts = self.parts.clone();
        let mut orders = Vec::new();
        for (number, part) in (0u16..).zip(&mut parts) {
            let members = self.members.iter().filter(|member| member.worker == part.worker);
            let members = members.count();
            if members <= part.places && !anew {
                continue;
            }
            part.places = members.next_power_of_two().max(FIRST_PLACES).max(part.places);
            let which = (self.id, number, self.phase);
            let made = Room::new(which, (part.places, rate), &codecs, settings).ok()?;
            orders.push((part.worker, Order::OpenRoom(Box::new(made))));
        }
        if turned {
            for member in &self.members {
                let Member { stream, codec, muted, worker } = *member;
                let seat = Box::new(Seat::new(self.id, muted, codec, rate).ok()?);
                orders.push((worker, Order::Sit(stream, seat, false)));
            }
        }
        (self.parts, self.rate, self.opus) = (parts, rate, opus);
        Some(orders)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]
mod spread;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]
mod tests {
    use koukan_base::ShardId;

    use super::*;

    fn stream(number: u64) -> StreamId {
        StreamId::new(ShardId(0), number)
    }

    fn room(number: u64) -> BridgeId {
        BridgeId(number)
    }

    /// No encoder of Opus can be made with these.
    const BROKEN: OpusSettings =
        OpusSettings { complexity: 99, bitrate: 24_000, expected_loss: 0, dtx: false };

    #[test]
    fn who_cannot_be_given_a_seat_is_no_member_and_the_room_is_as_it_was() {
        let mut rooms = Rooms::default();
        let good = OpusSettings::default();
        let refused = rooms.join(0, (stream(1), Codec::Opus), (room(1), false), BROKEN);
        assert!(refused.is_none() && rooms.of(stream(1)).is_none());
        assert!(rooms.rooms.is_empty(), "no room is left with nobody in it");

        rooms.join(0, (stream(2), Codec::Pcmu), (room(1), false), good).unwrap();
        assert!(rooms.join(0, (stream(1), Codec::Opus), (room(1), false), BROKEN).is_none());
        assert!(rooms.of(stream(1)).is_none() && rooms.leave(stream(1)).is_empty());
        let known = &rooms.rooms[&room(1)];
        assert_eq!((known.members.len(), known.rate, known.opus), (1, 8_000, false));
        // The next one comes in as ever, and with the last one the room is gone.
        rooms.join(0, (stream(3), Codec::Opus), (room(1), false), good).unwrap();
        assert!(rooms.leave(stream(2)).is_empty());
        assert!(matches!(rooms.leave(stream(3))[..], [(0, Order::CloseRoom(_))]));
        assert!(rooms.rooms.is_empty() && rooms.of.is_empty());
    }
    #[test]
    fn a_room_has_a_part_for_each_worker_until_its_last_member_leaves() {
        let (mut rooms, good) = (Rooms::default(), OpusSettings::default());
        let kinds = |orders: Orders| -> Vec<(usize, &'static str)> {
            let kind = |order: &Order| match order {
                Order::OpenRoom(_) => "open",
                Order::Sit(..) => "sit",
                Order::Meet(..) => "meet",
                Order::CloseRoom(_) => "close",
                _ => "other",
            };
            orders.iter().map(|(worker, order)| (*worker, kind(order))).collect()
        };
        let mut join = |worker, number, codec| {
            kinds(rooms.join(worker, (stream(number), codec), (room(1), false), good).unwrap())
        };
        assert_eq!(join(0, 1, Codec::Pcmu), [(0, "open"), (0, "sit")]);
        let other = [(1, "open"), (1, "meet"), (0, "meet"), (1, "sit")];
        assert_eq!(join(1, 2, Codec::Pcmu), other);
        assert_eq!(join(1, 3, Codec::Pcma), [(1, "sit")]);
        // Another rate takes other parts, and other seats for all.
        let anew = [(0, "open"), (1, "open"), (0, "sit"), (1, "sit"), (1, "sit"), (0, "sit")];
        assert_eq!(join(0, 4, Codec::G722), anew);
        assert!(rooms.leave(stream(1)).is_empty() && rooms.leave(stream(4)).is_empty());
        assert_eq!(rooms.first(room(1)), Some(0), "it stands empty");
        assert!(rooms.leave(stream(2)).is_empty());
        assert_eq!(kinds(rooms.leave(stream(3))), [(0, "close"), (1, "close")]);
    }
}
