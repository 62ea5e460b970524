//! What the control side knows of rooms: who is in which, how many places and which rate it has. A
//! room that needs more is made anew here, where allocating is allowed.

use std::collections::HashMap;

use koukan_base::{BridgeId, StreamId};
use koukan_codecs::opus::OpusSettings;
use koukan_codecs::sample_rate;
use koukan_media::Codec;

use crate::limits::{ROOM_MEMBERS, ROOMS};
use crate::order::Order;
use crate::room::{Room, Seat};

/// Places of a room at first.
const FIRST_PLACES: usize = 8;

/// Codecs whose encoding costs next to nothing to have ready.
const CHEAP: [Codec; 4] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::L16];

/// One room.
#[derive(Debug)]
struct Known {
    worker: usize,
    members: Vec<(StreamId, Codec, bool)>,
    /// Who is heard by one other alone.
    whispers: Vec<(StreamId, StreamId)>,
    places: usize,
    rate: u32,
    opus: bool,
}

/// All rooms.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    rooms: HashMap<BridgeId, Known>,
    of: HashMap<StreamId, BridgeId>,
}

impl Rooms {
    /// A stream comes into a room on a worker: the orders; none when it cannot.
    pub(crate) fn join(
        &mut self,
        worker: usize,
        (stream, codec): (StreamId, Codec),
        (room, muted): (BridgeId, bool),
        settings: OpusSettings,
    ) -> Option<Vec<Order>> {
        let here = self.rooms.values().filter(|known| known.worker == worker).count();
        if !self.rooms.contains_key(&room) && here >= ROOMS {
            return None;
        }
        let known = self.rooms.entry(room).or_insert_with(|| Known {
            worker,
            members: Vec::new(),
            whispers: Vec::new(),
            places: 0,
            rate: 0,
            opus: false,
        });
        if known.worker != worker || known.members.len() >= ROOM_MEMBERS {
            return None;
        }
        let before = (known.places, known.rate, known.opus);
        known.members.push((stream, codec, muted));
        let orders = known.grow(room, settings);
        let seat = orders.as_ref().and_then(|_| Seat::new(room, muted, codec, known.rate).ok());
        let (Some(mut orders), Some(seat)) = (orders, seat) else {
            // The worker's room is as it was, and so is what is known of it.
            known.members.pop();
            (known.places, known.rate, known.opus) = before;
            if known.members.is_empty() {
                self.rooms.remove(&room);
            }
            return None;
        };
        self.of.insert(stream, room);
        // Where all sit down anew, only the newcomer is told of.
        orders.retain(|order| !matches!(order, Order::Sit(known, ..) if *known == stream));
        orders.push(Order::Sit(stream, Box::new(seat), true));
        orders.extend(known.whispering());
        Some(orders)
    }

    /// A stream leaves its room, if it is in one: its worker and the orders that follow.
    pub(crate) fn leave(&mut self, stream: StreamId) -> Option<(usize, Option<Order>)> {
        let room = self.of.remove(&stream)?;
        let known = self.rooms.get_mut(&room)?;
        known.members.retain(|(member, ..)| *member != stream);
        known.whispers.retain(|(from, to)| *from != stream && *to != stream);
        let worker = known.worker;
        if !known.members.is_empty() {
            return Some((worker, None));
        }
        self.rooms.remove(&room);
        Some((worker, Some(Order::CloseRoom(room))))
    }

    /// The room of a stream.
    pub(crate) fn of(&self, stream: StreamId) -> Option<BridgeId> {
        self.of.get(&stream).copied()
    }

    /// A member has agreed on another codec, or is muted: the orders.
    pub(crate) fn turn(
        &mut self,
        stream: StreamId,
        codec: Codec,
        settings: OpusSettings,
    ) -> Vec<Order> {
        let Some(room) = self.of(stream) else { return Vec::new() };
        let Some(known) = self.rooms.get_mut(&room) else { return Vec::new() };
        let Some(member) = known.members.iter_mut().find(|(member, ..)| *member == stream) else {
            return Vec::new();
        };
        if member.1 == codec {
            return Vec::new();
        }
        member.1 = codec;
        let muted = member.2;
        let mut orders = known.grow(room, settings).unwrap_or_default();
        if orders.is_empty() {
            let seat = Seat::new(room, muted, codec, known.rate).map(Box::new);
            orders.extend(seat.map(|seat| Order::Sit(stream, seat, false)));
        }
        orders.extend(known.whispering());
        orders
    }

    /// Notes who alone hears a member.
    pub(crate) fn whisper(&mut self, stream: StreamId, to: Option<StreamId>) {
        let Some(known) = self.of(stream).and_then(|room| self.rooms.get_mut(&room)) else {
            return;
        };
        known.whispers.retain(|(from, _)| *from != stream);
        known.whispers.extend(to.map(|to| (stream, to)));
    }

    /// Notes whether a member is muted.
    pub(crate) fn mute(&mut self, stream: StreamId, now_muted: bool) {
        let Some(known) = self.of(stream).and_then(|room| self.rooms.get_mut(&room)) else {
            return;
        };
        for (_, _, muted) in known.members.iter_mut().filter(|(member, ..)| *member == stream) {
            *muted = now_muted;
        }
    }
}

impl Known {
    /// Who has sat down anew is heard by whom it was heard before.
    fn whispering(&self) -> impl Iterator<Item = Order> {
        self.whispers.iter().map(|(from, to)| Order::Whisper(*from, Some(*to)))
    }

    /// Another room when this one has too few places, too low a rate, or no encoder of Opus: with
    /// seats for everybody. `None` when it is needed and cannot be made.
    fn grow(&mut self, room: BridgeId, settings: OpusSettings) -> Option<Vec<Order>> {
        let rates = self.members.iter().map(|(_, codec, _)| sample_rate(*codec));
        let rate = rates.max().unwrap_or(8_000).max(self.rate);
        let opus = self.opus || self.members.iter().any(|(_, codec, _)| *codec == Codec::Opus);
        if self.members.len() <= self.places && rate == self.rate && opus == self.opus {
            return Some(Vec::new());
        }
        let places = self.members.len().next_power_of_two().max(FIRST_PLACES).max(self.places);
        let codecs: Vec<Codec> = CHEAP.into_iter().chain(opus.then_some(Codec::Opus)).collect();
        let made = Room::new(room, (places, rate), &codecs, settings).ok()?;
        (self.places, self.rate, self.opus) = (places, rate, opus);
        let seats = self.members.iter().filter_map(|(stream, codec, muted)| {
            let seat = Seat::new(room, *muted, *codec, rate).ok()?;
            Some(Order::Sit(*stream, Box::new(seat), false))
        });
        Some(std::iter::once(Order::OpenRoom(Box::new(made))).chain(seats).collect())
    }
}

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
        assert!(rooms.of(stream(1)).is_none() && rooms.leave(stream(1)).is_none());
        let known = &rooms.rooms[&room(1)];
        assert_eq!((known.members.len(), known.rate, known.opus), (1, 8_000, false));
        // The next one comes in as ever, and with the last one the room is gone.
        rooms.join(0, (stream(3), Codec::Opus), (room(1), false), good).unwrap();
        assert!(rooms.leave(stream(2)).unwrap().1.is_none());
        assert!(rooms.leave(stream(3)).unwrap().1.is_some());
        assert!(rooms.rooms.is_empty() && rooms.of.is_empty());
    }
}
