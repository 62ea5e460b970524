//! A media worker: its sockets, its streams, its ticks. Once a stream is up nothing here allocates,
//! locks, blocks or logs for it.

mod clock;
mod judge;
mod orders;
mod press;
mod receive;
mod record;
mod rooms;
mod shed;
mod table;
mod taken;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::control::{AWAY, Events};
use crate::limits::ROOMS;
use crate::net::{Arrival, Net, Way};
use crate::order::{Order, Returned};
use crate::room::Room;
use crate::stats::{Counters, add};
use crate::stream::Stream;
use crossbeam_queue::ArrayQueue;
use koukan_base::{StreamId, Time};
use koukan_media::{Overload, PlayEnd, RecordEnd};

/// So much that came is taken in before the clock is looked at again: half a millisecond's work.
const BETWEEN_TICKS: usize = 64;

/// What a worker and the control side have together.
pub(crate) type Ends =
    (Arc<ArrayQueue<Order>>, Arc<ArrayQueue<Returned>>, Arc<Events>, Arc<Counters>);

pub(crate) struct Worker {
    way: Way,
    orders: Arc<ArrayQueue<Order>>,
    returned: Arc<ArrayQueue<Returned>>,
    events: Arc<Events>,
    counters: Arc<Counters>,
    slots: Vec<Option<Box<Stream>>>,
    free: Vec<u32>,
    by_id: HashMap<StreamId, u32>,
    buffer: Box<[u8; 65_536]>,
    /// Slots of streams that send by the clock, by their phase.
    ticking: [Vec<u32>; 20],
    next_tick: [Time; 20],
    next_sweep: Time,
    rooms: Box<[Option<Box<Room>>]>,
    next_room: Time,
    overload: Overload,
    /// What it did since it was looked at.
    ticked: shed::Ticked,
    looked: Time,
    taken: taken::Taken,
    /// Streams that are left unread until then.
    resting: Vec<u32>,
    next_rest: Time,
    started: Instant,
}

impl Worker {
    pub(crate) fn new(
        (net, started): (Net, Instant),
        (orders, returned, events, counters): Ends,
        max_streams: usize,
    ) -> Self {
        counters.ring.store(u64::from(net.is_ring()), Ordering::Relaxed);
        let count = u32::try_from(max_streams).unwrap_or(u32::MAX);
        Self {
            way: Way::new(net, counters.clone()),
            orders,
            returned,
            events,
            counters,
            slots: (0..max_streams).map(|_| None).collect(),
            free: (0..count).rev().collect(),
            by_id: HashMap::with_capacity(max_streams),
            buffer: Box::new([0; 65_536]),
            ticking: std::array::from_fn(|_| Vec::with_capacity(max_streams)),
            next_tick: [Time::ZERO; 20],
            next_sweep: Time::ZERO,
            rooms: (0..ROOMS).map(|_| None).collect(),
            next_room: Time::MAX,
            overload: Overload::default(),
            ticked: shed::Ticked::default(),
            looked: Time::ZERO,
            taken: taken::Taken::default(),
            resting: Vec::with_capacity(max_streams),
            next_rest: Time::MAX,
            started,
        }
    }

    fn now(&self) -> Time {
        Time::ZERO + self.started.elapsed()
    }

    pub(crate) fn run(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Acquire) {
            let (due, begun) = (self.next_deadline(), self.now());
            self.rest_until(begun, due);
            if self.way.net.wait(due.since(begun)).is_err() {
                return;
            }
            let mut now = self.now();
            self.wake_up(now, due);
            let mut taken = 0_usize;
            while let Some(arrival) = self.way.net.next(self.buffer.as_mut_slice()) {
                match arrival {
                    Arrival::Orders => self.take_orders(now),
                    other => self.arrived(now, other),
                }
                taken += 1;
                if taken.is_multiple_of(BETWEEN_TICKS) {
                    // What is due by the clock does not wait for a flood to be read.
                    now = self.now();
                    self.tick_rooms(now);
                    self.ticks(now);
                }
            }
            now = self.now();
            self.way.count();
            self.end_rests(now);
            self.tick_rooms(now);
            self.ticks(now);
        }
        // What has been said until now is recorded to its end.
        let (now, count) = (self.now(), u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
        for slot in 0..count {
            self.end_tap(now, slot, RecordEnd::Stopped);
        }
    }

    fn next_deadline(&self) -> Time {
        let phases = self.ticking.iter().zip(&self.next_tick);
        let ticks = phases.filter(|(slots, _)| !slots.is_empty()).map(|(_, at)| *at);
        let own = self.next_sweep.min(self.next_room).min(self.next_rest);
        ticks.min().map_or(own, |at| at.min(own))
    }

    fn take_orders(&mut self, now: Time) {
        while let Some(order) = self.orders.pop() {
            match order {
                Order::Open(stream) => self.open(now, stream, false),
                Order::Release(id, to) => {
                    if let Some(slot) = self.by_id.get(&id).copied().filter(|_| to == AWAY) {
                        self.end_tap(now, slot, RecordEnd::Stopped);
                    }
                    self.release(now, id, to);
                }
                Order::Adopt(stream) => self.open(now, stream, true),
                Order::Close(id) => self.close(now, id),
                Order::Configure(id, setup) => self.configure(now, id, *setup),
                Order::Hear(id, hearing) => self.hear_with(now, id, hearing),
                Order::Feed(id, source) => self.feed(now, id, source),
                Order::Play(id, play) => self.play(now, id, play),
                Order::Record(id, tap) => self.record(now, id, tap),
                Order::StopRecord(id, op) => self.stop_record(now, id, op),
                Order::Tracks(id, tracks) => self.turn_tracks(id, tracks),
                Order::OpenRoom(room) => self.open_room(now, room),
                Order::Meet(id, neighbour) => self.meet(id, neighbour),
                Order::CloseRoom(id) => self.close_room(id),
                Order::Sit(id, seat, told) => self.sit(now, id, seat, told),
                Order::Mute(id, muted) => self.mute(id, muted),
                Order::Whisper(id, to) => self.whisper(id, to),
                Order::Announce(id, play) => self.announce(id, play),
                Order::StopAnnounce(id, op) => self.end_announcement(id, Some(op)),
                Order::Keys(id, order) => self.press(now, id, order),
                Order::Listen(id, ear) => self.listen_with(id, ear),
                Order::StopPlay(id, op) => {
                    let Some(slot) = self.slot(id) else { continue };
                    if self
                        .stream(slot)
                        .is_some_and(|s| s.play.as_ref().is_some_and(|p| p.op == op))
                    {
                        self.end_play(slot, PlayEnd::Stopped);
                    }
                }
            }
        }
    }

    fn slot(&self, id: StreamId) -> Option<u32> {
        let slot = self.by_id.get(&id).copied();
        if slot.is_none() {
            add(&self.counters.crossed_commands, 1);
        }
        slot
    }

    fn stream(&mut self, slot: u32) -> Option<&mut Stream> {
        self.slots.get_mut(usize::try_from(slot).ok()?)?.as_deref_mut()
    }

    /// Streams are freed on the control side; a full queue there means that it has stopped, and
    /// then this thread frees.
    fn give_back(&self, returned: Returned) {
        drop(self.returned.push(returned));
    }
}
