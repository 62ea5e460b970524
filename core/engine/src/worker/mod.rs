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
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_queue::ArrayQueue;
use koukan_base::{StreamId, Time};
use koukan_media::{Overload, PlayEnd, RecordEnd};
use mio::{Events as Ready, Poll, Token};

use crate::control::{AWAY, Events};
use crate::limits::ROOMS;
use crate::order::{Order, Returned};
use crate::room::Room;
use crate::stats::{Counters, add};
use crate::stream::Stream;

/// So many sockets are read before the clock is looked at again: half a millisecond's work or so.
const BETWEEN_TICKS: usize = 64;

/// The token of the waker.
pub(crate) const WAKE: Token = Token(usize::MAX);

pub(crate) struct Worker {
    poll: Poll,
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
        (poll, started): (Poll, Instant),
        orders: Arc<ArrayQueue<Order>>,
        returned: Arc<ArrayQueue<Returned>>,
        events: Arc<Events>,
        counters: Arc<Counters>,
        max_streams: usize,
    ) -> Self {
        let count = u32::try_from(max_streams).unwrap_or(u32::MAX);
        Self {
            poll,
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
        let mut ready = Ready::with_capacity(1024);
        while !stop.load(Ordering::Acquire) {
            let (due, begun) = (self.next_deadline(), self.now());
            self.rest_until(begun, due);
            let timeout = due.since(begun);
            match self.poll.poll(&mut ready, Some(timeout)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            }
            let mut now = self.now();
            self.wake_up(now, due);
            for (number, event) in ready.iter().enumerate() {
                if number % BETWEEN_TICKS == BETWEEN_TICKS - 1 {
                    // What is due by the clock does not wait for a flood to be read.
                    now = self.now();
                    self.tick_rooms(now);
                    self.ticks(now);
                }
                match event.token() {
                    WAKE => self.take_orders(now),
                    Token(token) => self.readable(now, token),
                }
            }
            now = self.now();
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
                    self.release(id, to);
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
