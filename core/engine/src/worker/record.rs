//! Recordings on the worker: begun, fed with what comes in, ended.

use koukan_base::{OpId, StreamId, Time};
use koukan_media::jitter::Payload;
use koukan_media::{RecordEnd, Shed};

use super::Worker;
use crate::keys::{Change, Keys};
use crate::order::Returned;
use crate::packet::{Packet, PacketKind};
use crate::record::{Tap, Tracks};

impl Worker {
    pub(super) fn record(&mut self, now: Time, id: StreamId, mut tap: Box<Tap>) {
        let Some(slot) = self.slot(id) else {
            // Its end and the stream's crossed; freed, it says that it has stopped.
            self.give_back(Returned::Tap(tap));
            return;
        };
        let Some(stream) = self.stream(slot) else { return };
        if stream.tap.is_some() {
            tap.finish(now, RecordEnd::Refused);
            self.give_back(Returned::Tap(tap));
            return;
        }
        tap.start(now);
        stream.tap = Some(tap);
        self.retick(now, slot);
    }

    pub(super) fn stop_record(&mut self, now: Time, id: StreamId, op: OpId) {
        let Some(slot) = self.slot(id) else { return };
        let tap = self.stream(slot).and_then(|stream| stream.tap.as_ref());
        if tap.is_some_and(|tap| tap.op == op) {
            self.end_tap(now, slot, RecordEnd::Stopped);
        }
    }

    pub(super) fn turn_tracks(&mut self, id: StreamId, tracks: Option<Box<Tracks>>) {
        let tap = self.slot(id).and_then(|slot| self.stream(slot)?.tap.as_mut());
        let old = match tap {
            Some(tap) => tap.turn_to(tracks),
            None => tracks,
        };
        if let Some(old) = old {
            self.give_back(Returned::Tracks(old));
        }
    }

    /// Ends a stream's recording, if it has one.
    pub(super) fn end_tap(&mut self, now: Time, slot: u32, end: RecordEnd) {
        let Some(mut tap) = self.stream(slot).and_then(|stream| stream.tap.take()) else { return };
        tap.finish(now, end);
        self.give_back(Returned::Tap(tap));
        self.retick(now, slot);
    }

    /// 20 ms of a stream's recording.
    pub(super) fn tick_tap(&mut self, now: Time, slot: u32) {
        let spared = self.shed() >= Shed::Taps;
        let tap = self.stream(slot).and_then(|stream| stream.tap.as_mut());
        if let Some(end) = tap.and_then(|tap| tap.tick(now, spared)) {
            self.end_tap(now, slot, end);
        }
    }

    /// The packet in the buffer is part of its stream's recording; a key in it may end that.
    pub(super) fn take_down(&mut self, now: Time, slot: u32, packet: &Packet, keys: &Keys) {
        let range = packet.header.payload_start..packet.header.payload_end;
        let Ok(index) = usize::try_from(slot) else { return };
        let stream = self.slots.get_mut(index).and_then(Option::as_deref_mut);
        let Some(tap) = stream.and_then(|stream| stream.tap.as_mut()) else { return };
        let bytes = self.buffer.get(range).unwrap_or_default();
        let (codec, payload) = match packet.kind {
            PacketKind::Audio(codec) => (Some(codec), Payload::Audio(bytes)),
            PacketKind::Noise => (None, Payload::Noise(bytes)),
            PacketKind::Event { .. } => (None, Payload::Event),
        };
        tap.hear(now, &packet.header, codec, payload);
        let end = keys.changes.into_iter().flatten().find_map(|change| match change {
            Change::Down(digit) => tap.digit(digit),
            Change::Up(..) => None,
        });
        if let Some(end) = end {
            self.end_tap(now, slot, end);
        }
    }
}
