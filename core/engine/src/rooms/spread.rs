//! A room of 2,000 that is spread over four workers: from the orders of the control side, through
//! the ways between the parts, to what each member hears. Without sockets, on numbered frames.

use std::collections::HashMap;

use koukan_base::ShardId;

use super::*;

const ROOM: BridgeId = BridgeId(1);
const WORKERS: usize = 4;
const FRAME: usize = 160;

/// What a worker does with the orders about one room.
#[derive(Default)]
struct Worker {
    room: Option<Box<Room>>,
    places: HashMap<StreamId, usize>,
}

impl Worker {
    fn take(&mut self, order: Order) {
        match order {
            Order::OpenRoom(mut room) => {
                if let Some(standing) = &mut self.room {
                    room.replace(standing);
                }
                self.room = Some(room);
            }
            Order::Meet(_, neighbour) => self.room.as_mut().unwrap().meet(neighbour).unwrap(),
            Order::Sit(stream, seat, _) => {
                let place = self.room.as_mut().unwrap().join(0, stream, seat.muted).unwrap();
                self.places.insert(stream, place);
            }
            Order::CloseRoom(_) => *self = Self::default(),
            other => panic!("not of this room: {other:?}"),
        }
    }

    /// A stream goes; the last frame that it says is of this level.
    fn leave(&mut self, stream: StreamId, level: i16) {
        let place = self.places.remove(&stream).unwrap();
        let room = self.room.as_mut().unwrap();
        room.mixer.input(place).unwrap().fill(level);
        room.leave(place);
    }
}

/// The engine's rooms with their workers.
#[derive(Default)]
struct House {
    rooms: Rooms,
    workers: [Worker; WORKERS],
    number: u64,
}

fn stream(number: usize) -> StreamId {
    StreamId::new(ShardId(0), u64::try_from(number).unwrap())
}

/// Streams come from the workers in turn, in no even shares.
const fn worker_of(number: usize) -> usize {
    [0, 1, 0, 2, 3, 1, 0][number % 7]
}

impl House {
    fn join(&mut self, number: usize) -> bool {
        let member = (stream(number), Codec::Pcmu);
        let orders =
            self.rooms.join(worker_of(number), member, (ROOM, false), OpusSettings::default());
        let joined = orders.is_some();
        self.carry_out(orders.unwrap_or_default());
        joined
    }

    fn leave(&mut self, number: usize, level: i16) {
        self.workers[worker_of(number)].leave(stream(number), level);
        let orders = self.rooms.leave(stream(number));
        self.carry_out(orders);
    }

    fn carry_out(&mut self, orders: Orders) {
        for (worker, order) in orders {
            self.workers[worker].take(order);
        }
    }

    /// One frame on every worker, in another order each time; what each member hears.
    fn turn(&mut self, says: impl Fn(usize) -> Option<i16>) -> HashMap<StreamId, [i16; FRAME]> {
        self.number += 1;
        let first = usize::try_from(self.number).unwrap() % WORKERS;
        let mut heard = HashMap::new();
        for turn in 0..WORKERS {
            let Worker { room: Some(room), places } = &mut self.workers[(first + turn) % WORKERS]
            else {
                continue;
            };
            for (stream, place) in places.iter() {
                let number = usize::try_from(stream.0 & 0xFFFF).unwrap();
                if let Some(level) = says(number) {
                    room.mixer.input(*place).unwrap().fill(level);
                }
            }
            room.mix(self.number, |_| {});
            for (stream, place) in places.iter() {
                let mut out = [0; FRAME];
                room.output(*place, &mut out);
                heard.insert(*stream, out);
            }
            room.finish();
        }
        heard
    }
}

#[test]
fn two_thousand_members_on_four_workers_hear_the_exact_sum_of_the_other_talkers() {
    let mut house = House::default();
    // Two of the first part, one of each other.
    let talkers = [0, 2, 1, 3, 4];
    let level = |number: usize, frame: i16| {
        let own = i16::try_from(talkers.iter().position(|who| *who == number)? + 1).unwrap();
        Some(own * 1_000 + frame * own)
    };
    for number in 0..ROOM_MEMBERS {
        assert!(house.join(number), "{number}");
        // The room grows in the middle of their words.
        if number % 100 == 50 {
            house.turn(|number| level(number, 0));
        }
    }
    let parts = house.workers.iter().map(|worker| worker.places.len());
    assert!(parts.clone().all(|count| count > 200), "each worker has its part");
    assert_eq!(parts.sum::<usize>(), ROOM_MEMBERS);
    assert!(!house.join(ROOM_MEMBERS), "it is full");
    for _ in 0..3 {
        house.turn(|number| level(number, 0));
    }
    for frame in 1..6i16 {
        // The line of whoever is silent hums.
        let heard = house.turn(|number| level(number, frame).or(Some(20)));
        assert_eq!(heard.len(), ROOM_MEMBERS);
        for number in 0..ROOM_MEMBERS {
            let others = talkers.iter().filter(|who| **who != number);
            let due: i16 = others
                .map(|who| {
                    let here = worker_of(*who) == worker_of(number);
                    level(*who, frame - i16::from(!here)).unwrap()
                })
                .sum();
            assert_eq!(heard[&stream(number)], [due; FRAME], "{number} in frame {frame}");
        }
    }
}

#[test]
fn who_comes_and_goes_in_a_room_of_two_thousand_is_heard_in_all_parts_without_a_click() {
    let mut house = House::default();
    for number in 0..ROOM_MEMBERS - 1 {
        assert!(house.join(number));
    }
    let guest = ROOM_MEMBERS - 1;
    let mut sound: [Vec<i16>; WORKERS] = std::array::from_fn(|_| vec![0]);
    // One listener of each part, none of whom is the guest.
    let listeners = [0, 1, 3, 4];
    for frame in 0..40 {
        match frame % 20 {
            5 => assert!(house.join(guest)),
            15 => house.leave(guest, 12_000),
            _ => {}
        }
        let heard = house.turn(|number| (number == guest).then_some(12_000));
        for (sound, listener) in sound.iter_mut().zip(listeners) {
            sound.extend(heard[&stream(listener)]);
        }
    }
    for (part, sound) in sound.iter().enumerate() {
        let step = sound.windows(2).map(|pair| pair[1].abs_diff(pair[0])).max().unwrap();
        assert_eq!(sound.iter().max(), Some(&12_000), "part {part}");
        assert!(step <= 12_000 / 160 + 1, "a step of {step} in part {part}");
        assert_eq!(sound.last(), Some(&0), "part {part}");
    }
    // With its last member the room is gone from every worker.
    for number in 0..guest {
        house.leave(number, 0);
    }
    assert!(house.workers.iter().all(|worker| worker.room.is_none()));
    assert!(house.rooms.rooms.is_empty() && house.rooms.of.is_empty());
}
