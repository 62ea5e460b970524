//! A worker that falls behind: it is looked at with each sweep, gives up what the rule says
//! ([`koukan_media::Overload`]), and leaves unread what one stream brings beyond its pace.

use std::sync::atomic::Ordering;
use std::time::Duration;

use koukan_base::Time;
use koukan_media::{Shed, Workload};

use super::Worker;
use super::clock::LATE;
use crate::stats::add;

/// How long a stream is left unread that has brought more than it may.
const REST: Duration = Duration::from_millis(10);

/// What has been due by the clock since the last look.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ticked {
    pub(super) ticks: u32,
    pub(super) late: u32,
}

impl Worker {
    /// Something that was due is done by the clock now.
    pub(super) fn ticked(&mut self, now: Time, due: Time) {
        self.ticked.ticks = self.ticked.ticks.saturating_add(1);
        let late = now.since(due);
        if late <= LATE {
            return;
        }
        self.ticked.late = self.ticked.late.saturating_add(1);
        add(&self.counters.late_ticks, 1);
        let taken = self.taken.look(now, crate::pin::thread_cpu_ns);
        self.took(taken);
        if late.saturating_sub(self.taken.behind()) <= LATE {
            add(&self.counters.late_taken, 1);
        }
    }

    /// The poll is over, which was to last until `due` at most.
    pub(super) fn wake_up(&mut self, now: Time, due: Time) {
        let taken = self.taken.woke(now, due, crate::pin::thread_cpu_ns);
        self.took(taken);
    }

    /// Everything is done; the next is due at `due`.
    pub(super) fn rest_until(&mut self, now: Time, due: Time) {
        let taken = self.taken.look(now, crate::pin::thread_cpu_ns);
        self.took(taken);
        if due >= now {
            self.taken.caught_up();
        }
    }

    fn took(&self, taken: Duration) {
        if !taken.is_zero() {
            add(&self.counters.taken_us, u64::try_from(taken.as_micros()).unwrap_or(0));
        }
    }

    /// Looks at what the worker did since the last time.
    pub(super) fn look(&mut self, now: Time) {
        let used = crate::pin::thread_cpu_ns();
        let before = self.counters.cpu_ns.swap(used, Ordering::Relaxed);
        let ticked = std::mem::take(&mut self.ticked);
        let load = Workload {
            ticks: ticked.ticks,
            late: ticked.late,
            lasted: now.since(std::mem::replace(&mut self.looked, now)),
            busy: Duration::from_nanos(used.saturating_sub(before)),
        };
        if let Some(shed) = self.overload.look(now, load) {
            add(&self.counters.sheds, 1);
            self.counters.shed.store(shed.number().into(), Ordering::Relaxed);
            self.spare_coders();
        }
    }

    /// What the worker has given up.
    pub(super) const fn shed(&self) -> Shed {
        self.overload.shed()
    }

    /// Tells every encoder how much it may cost.
    fn spare_coders(&mut self) {
        let spared = self.shed() >= Shed::Coders;
        for stream in self.slots.iter_mut().flatten() {
            if let Some(speaker) = &mut stream.speaker {
                speaker.spare(spared);
            }
        }
        for room in self.rooms.iter_mut().flatten() {
            room.spare(spared);
        }
    }

    /// Leaves a stream unread for a while: what it brings is the system's to drop.
    pub(super) fn rest(&mut self, now: Time, slot: u32) {
        let Some(stream) = self.stream(slot) else { return };
        if std::mem::replace(&mut stream.rests, true) {
            return;
        }
        add(&self.counters.rests, 1);
        self.resting.push(slot);
        self.way.net.rest(slot);
        self.next_rest = self.next_rest.min(now + REST);
    }

    /// Lets the streams be read again that rested.
    pub(super) fn end_rests(&mut self, now: Time) {
        if self.next_rest > now {
            return;
        }
        self.next_rest = Time::MAX;
        while let Some(slot) = self.resting.pop() {
            let Ok(index) = usize::try_from(slot) else { continue };
            let stream = self.slots.get_mut(index).and_then(Option::as_deref_mut);
            // It may have ended, and another have its place.
            let Some(stream) = stream.filter(|stream| stream.rests) else { continue };
            stream.rests = false;
            self.way.net.hear_again(slot, stream);
        }
    }
}
