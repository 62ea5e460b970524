//! Keys on the worker: those that peers press, reported and passed on to who hears them, and those
//! that we press towards a peer.

use koukan_base::{StreamId, Time};
use koukan_media::{Event, HEADER_BYTES, KeyFrame, KeyMode, KeyOrder, PlayEnd, Shed, TONE_FRAME};

use super::Worker;
use crate::ear::Found;
use crate::keys::{Change, Keys};
use crate::limits::LISTENERS;
use crate::packet::{Packet, PacketKind};
use crate::speak::send;
use crate::stats::add;

/// Bytes of an event packet.
const EVENT_PACKET: usize = HEADER_BYTES + 4;

impl Worker {
    /// Presses keys towards a stream's peer.
    pub(super) fn press(&mut self, now: Time, id: StreamId, order: KeyOrder) {
        let op = order.op;
        let Some(slot) = self.slot(id) else {
            self.events.push(Event::DigitsSent { stream: id, op, end: PlayEnd::Stopped });
            return;
        };
        let Some(stream) = self.stream(slot) else { return };
        if stream.target().is_none() || !stream.keys.order(order) {
            self.events.push(Event::DigitsSent { stream: id, op, end: PlayEnd::Failed });
            return;
        }
        self.retick(now, slot);
    }

    /// Ends every order of keys.
    pub(super) fn end_keys(&mut self, slot: u32, end: PlayEnd) {
        let Ok(index) = usize::try_from(slot) else { return };
        let Some(stream) = self.slots.get_mut(index).and_then(Option::as_deref_mut) else { return };
        let (id, events) = (stream.id, &self.events);
        stream.keys.give_up(|op| events.push(Event::DigitsSent { stream: id, op, end }));
    }

    /// 20 ms of the keys that are pressed towards a peer; true when `tone` is to be heard.
    pub(super) fn tick_keys(&mut self, now: Time, slot: u32, tone: &mut [i16; TONE_FRAME]) -> bool {
        let Ok(index) = usize::try_from(slot) else { return false };
        let Some(stream) = self.slots.get_mut(index).and_then(Option::as_deref_mut) else {
            return false;
        };
        if stream.keys.is_idle() {
            return false;
        }
        let (mode, target) = (stream.key_mode(), stream.target());
        let (Some(config), Some(target)) = (&stream.config, target) else {
            // Nobody may be told any more: held, or not agreed on.
            self.end_keys(slot, PlayEnd::Failed);
            self.retick(now, slot);
            return false;
        };
        let (event, clock_rate) = (config.telephone_event, config.codec.codec.clock_rate());
        let frame = stream.keys.tick(mode, tone);
        if let (KeyFrame::Event(packet), Some(event)) = (frame, event) {
            if packet.marker {
                stream.key_timestamp = stream.sender.timestamp_at(now, clock_rate);
            }
            // Where the event's clock is another than the codec's, its timestamps are those of the
            // codec: a stream has one timeline (RFC 7160, 3).
            let offset = u64::from(packet.offset) * u64::from(clock_rate)
                / u64::from(event.clock_rate.max(1));
            let offset = u32::try_from(offset).unwrap_or(0);
            let timestamp = stream.key_timestamp.wrapping_add(offset);
            let header = stream.sender.beside(packet.marker, event.payload_type, timestamp);
            let mut out = [0; EVENT_PACKET];
            if let Some((head, payload)) = out.split_first_chunk_mut::<HEADER_BYTES>() {
                *head = header.bytes();
                payload.copy_from_slice(&packet.payload);
            }
            send(now, stream, &out, target, &mut self.way);
        }
        let (id, idle) = (stream.id, stream.keys.is_idle());
        if let Some(op) = stream.keys.poll_done() {
            self.events.push(Event::DigitsSent { stream: id, op, end: PlayEnd::Finished });
        }
        if idle {
            self.retick(now, slot);
        }
        mode == KeyMode::Tone && frame == KeyFrame::Tone
    }

    /// What a packet that is in the buffer says of its sender's keys; they are reported.
    pub(super) fn keys_of(&mut self, now: Time, slot: u32, packet: &Packet) -> Keys {
        let mut keys = Keys::default();
        let range = packet.header.payload_start..packet.header.payload_end;
        let Ok(index) = usize::try_from(slot) else { return keys };
        let Some(stream) = self.slots.get_mut(index).and_then(Option::as_deref_mut) else {
            return keys;
        };
        let payload = self.buffer.get(range).unwrap_or_default();
        match packet.kind {
            PacketKind::Event { clock_rate } => {
                keys.event_rate = Some(clock_rate);
                stream.sends_events = true;
                let before = stream.digits.held();
                let timestamp = packet.header.timestamp;
                let ended = stream.digits.receive(now, timestamp, payload, clock_rate);
                if let Some(ended) = ended {
                    if before.is_none() {
                        keys.push(Change::Down(ended.digit));
                    }
                    keys.push(Change::Up(ended.digit, ended.duration_ms));
                }
                let held = stream.digits.held();
                if let Some((digit, _)) = held
                    && (before.is_none() || ended.is_some())
                {
                    keys.push(Change::Down(digit));
                }
            }
            PacketKind::Audio(codec) => {
                let Some(ear) = &mut stream.ear else { return keys };
                if self.overload.shed() >= Shed::Ears {
                    add(&self.counters.unheard, 1);
                    return keys;
                }
                let finds = ear.listen(&packet.header, codec, payload);
                let (id, told) = (stream.id, stream.sends_events);
                for found in finds.iter() {
                    match found {
                        Found::Fax(tone) => self.events.push(Event::FaxTone { stream: id, tone }),
                        Found::Pressed(digit) if !told => keys.push(Change::Down(digit)),
                        Found::Released(digit, ms) if !told => keys.push(Change::Up(digit, ms)),
                        Found::Pressed(_) | Found::Released(..) => {}
                    }
                }
                keys.sounds = stream.key_in_sound().is_some();
            }
            PacketKind::Noise => {}
        }
        self.report_keys(index, &keys);
        keys
    }

    /// Tells the switch of the keys that were let go.
    fn report_keys(&mut self, index: usize, keys: &Keys) {
        let Some(stream) = self.slots.get(index).and_then(Option::as_deref) else { return };
        for change in keys.changes.into_iter().flatten() {
            if let Change::Up(digit, duration_ms) = change {
                self.events.push(Event::Digit { stream: stream.id, digit, duration_ms });
            }
        }
    }

    /// Presses the keys of a stream anew at one that hears it, where its peer needs that.
    pub(super) fn press_on(&mut self, now: Time, slot: u32, keys: &Keys) {
        if matches!(keys.changes, [None, ..]) {
            return;
        }
        let Some(stream) = self.stream(slot) else { return };
        let sends = stream.target().is_some();
        let pressed = |config| sends && keys.are_pressed_at(config);
        if !stream.config.as_ref().is_some_and(pressed) {
            return;
        }
        for change in keys.changes.into_iter().flatten() {
            match change {
                // One that finds no place is lost to this peer; so many wait only when somebody
                // hammers on the keys.
                Change::Down(digit) => drop(stream.keys.hold(digit)),
                Change::Up(_, duration_ms) => stream.keys.let_go(duration_ms),
            }
        }
        self.retick(now, slot);
    }

    /// Ends the keys of a stream whose end was lost on the way.
    pub(super) fn end_lost_keys(&mut self, now: Time, index: usize) {
        let Some(stream) = self.slots.get_mut(index).and_then(Option::as_deref_mut) else { return };
        let mut keys = Keys::default();
        let event = stream.config.as_ref().and_then(|config| config.telephone_event);
        let clock_rate = event.map_or(8_000, |event| event.clock_rate);
        if let Some(digit) = stream.digits.overdue(now, clock_rate) {
            keys.event_rate = Some(clock_rate);
            keys.push(Change::Up(digit.digit, digit.duration_ms));
        } else if let Some(ear) = &mut stream.ear {
            let (told, heard) = (stream.sends_events, stream.heard);
            for found in ear.overdue(now, heard).iter() {
                if let Found::Released(digit, ms) = found
                    && !told
                {
                    keys.push(Change::Up(digit, ms));
                }
            }
        }
        if matches!(keys.changes, [None, ..]) {
            return;
        }
        let listeners: [Option<u32>; LISTENERS] = stream.listeners;
        self.report_keys(index, &keys);
        for listener in listeners.into_iter().flatten() {
            self.press_on(now, listener, &keys);
        }
    }
}
