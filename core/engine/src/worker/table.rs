//! Which streams a worker has: taken in, given up, ended.

use koukan_base::{StreamId, Time};
use koukan_media::{Event, OpenError, PlayEnd, RecordEnd, Shed, Source};

use super::Worker;
use crate::limits::LISTENERS;
use crate::order::Returned;
use crate::rtcp;
use crate::stats::{add, sub};
use crate::stream::Stream;

impl Worker {
    pub(super) fn open(&mut self, now: Time, mut stream: Box<Stream>, moved: bool) {
        let id = stream.id;
        let failed = |errno| Event::OpenFailed { stream: id, error: OpenError::Bind { errno } };
        let Some(slot) = self.free.pop() else {
            self.events.push(Event::OpenFailed { stream: id, error: OpenError::Full });
            self.give_back(Returned::Stream(stream));
            return;
        };
        let index = usize::try_from(slot).unwrap_or(usize::MAX);
        match self.way.net.open(slot, &mut stream) {
            Ok(()) => {
                stream.heard = now;
                stream.session.restart(now);
                stream.rests = false;
                if let Some(speaker) = &mut stream.speaker {
                    speaker.spare(self.overload.shed() >= Shed::Coders);
                }
                self.by_id.insert(id, slot);
                if let Some(place) = self.slots.get_mut(index) {
                    *place = Some(stream);
                }
                add(&self.counters.streams, 1);
                // A recording goes on here.
                self.retick(now, slot);
                if moved {
                    self.events.push(Event::Moved { stream: id });
                }
            }
            Err(error) => {
                self.free.push(slot);
                self.events.push(failed(error.raw_os_error().unwrap_or(0)));
                self.give_back(Returned::Stream(stream));
            }
        }
    }

    pub(super) fn close(&mut self, now: Time, id: StreamId) {
        if let Some(slot) = self.by_id.get(&id).copied() {
            self.end_tap(now, slot, RecordEnd::Stopped);
        }
        let verdict = self.by_id.get(&id).copied().and_then(|slot| self.verdict(now, slot));
        let Some(mut stream) = self.detach(id) else { return };
        // RFC 3550, 6.3.7: whoever leaves says so. One that never said anything does not.
        if stream.sender.sent() > 0 {
            rtcp::report(now, &mut stream, true);
        }
        let stats = stream.stats(verdict);
        self.give_back(Returned::Stream(stream));
        self.events.push(Event::Closed { stream: id, stats });
    }

    /// Gives a stream up with its sockets.
    pub(super) fn release(&mut self, now: Time, id: StreamId, to: usize) {
        if let Some(slot) = self.by_id.get(&id).copied() {
            self.way.net.stop(slot);
            // What was taken of its packets is heard before it goes; orders are being taken anyway.
            while let Some(arrival) = self.way.net.next(self.buffer.as_mut_slice()) {
                self.arrived(now, arrival);
            }
        }
        let Some(mut stream) = self.detach(id) else { return };
        stream.source = Source::Nothing;
        stream.listeners = [None; LISTENERS];
        if let Some(hearing) = stream.hearing.take() {
            self.give_back(Returned::Hearing(hearing));
        }
        self.events.hand_over(to, stream);
    }

    /// Takes a stream off this worker: its plays end, nobody hears it any more.
    pub(super) fn detach(&mut self, id: StreamId) -> Option<Box<Stream>> {
        let Some(slot) = self.by_id.remove(&id) else {
            add(&self.counters.crossed_commands, 1);
            return None;
        };
        self.end_play(slot, PlayEnd::Stopped);
        self.end_keys(slot, PlayEnd::Stopped);
        self.stand_up(slot);
        self.untick(slot);
        let index = usize::try_from(slot).unwrap_or(usize::MAX);
        let mut stream = self.slots.get_mut(index).and_then(Option::take)?;
        if let Source::Stream(source) = stream.source
            && let Some(source) = self.by_id.get(&source).copied()
            && let Some(source) = self.stream(source)
        {
            source.unlisten(slot);
        }
        for listener in stream.listeners.into_iter().flatten() {
            if let Some(listener) = self.stream(listener) {
                listener.source = Source::Nothing;
                listener.keys.let_go(0);
            }
        }
        self.way.net.close(slot, &mut stream);
        self.free.push(slot);
        sub(&self.counters.streams, 1);
        Some(stream)
    }
}
