//! What comes in: read, judged, passed on to whoever sends it.

use std::io;
use std::net::SocketAddr;

use koukan_base::Time;
use koukan_codecs::g711;
use koukan_media::jitter::Payload;
use koukan_media::{Codec, HEADER_BYTES, Source};

use super::Worker;
use crate::keys::Keys;
use crate::limits::{BURST, LISTENERS};
use crate::net::Arrival;
use crate::packet::{Packet, PacketKind, accept};
use crate::routes::is_direct;
use crate::rtcp;
use crate::speak::send;
use crate::stats::add;
use crate::voice::Around;

/// The payload type of comfort noise (RFC 3389, section 4).
const COMFORT_NOISE: u8 = 13;

impl Worker {
    /// Something has come, or waits. Orders are taken elsewhere.
    pub(super) fn arrived(&mut self, now: Time, arrival: Arrival) {
        match arrival {
            Arrival::Orders => {}
            Arrival::Rtp(slot) => self.drain_rtp(now, slot),
            Arrival::Rtcp(slot) => self.drain_rtcp(now, slot),
            Arrival::Datagram { slot, from, length } => self.came(now, slot, from, length),
            Arrival::Failed(slot) => self.rest(now, slot),
        }
    }

    /// A datagram that was read for us. One beyond the stream's pace is dropped, and no more are
    /// read for a while.
    fn came(&mut self, now: Time, slot: u32, from: SocketAddr, length: usize) {
        let Some(stream) = self.stream(slot) else { return };
        if !stream.rests && stream.pace.permits(now) {
            self.packet(now, slot, from, length);
            return;
        }
        stream.dropped = stream.dropped.saturating_add(1);
        add(&self.counters.dropped, 1);
        self.rest(now, slot);
    }

    fn drain_rtp(&mut self, now: Time, slot: u32) {
        let Ok(index) = usize::try_from(slot) else { return };
        for _ in 0..BURST {
            let Some(stream) = self.slots.get_mut(index).and_then(Option::as_deref_mut) else {
                return;
            };
            if !stream.pace.permits(now) {
                self.rest(now, slot);
                return;
            }
            match stream.rtp.recv_from(self.buffer.as_mut_slice()) {
                Ok((length, from)) => self.packet(now, slot, from, length),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // ICMP from a peer that is gone: the next read goes on.
                Err(_) => {}
            }
        }
        // More waits than one turn takes: look again after the others.
        if let Some(stream) = self.slots.get_mut(index).and_then(Option::as_deref_mut) {
            self.way.net.tell_again(Arrival::Rtp(slot), stream);
        }
    }

    pub(super) fn drain_rtcp(&mut self, now: Time, slot: u32) {
        let Ok(index) = usize::try_from(slot) else { return };
        let Some(stream) = self.slots.get_mut(index).and_then(Option::as_deref_mut) else { return };
        for _ in 0..BURST {
            if !stream.pace.permits(now) {
                self.rest(now, slot);
                return;
            }
            // A report is worth no more than a stranger's datagram.
            stream.pace.dropped();
            match stream.rtcp.recv_from(self.buffer.as_mut_slice()) {
                Ok((length, from)) => {
                    let datagram = self.buffer.get_mut(..length).unwrap_or_default();
                    rtcp::receive(now, stream, from, datagram);
                }
                Err(_) => return,
            }
        }
        self.way.net.tell_again(Arrival::Rtcp(slot), stream);
    }

    /// One datagram of `length` bytes in the buffer.
    pub(super) fn packet(&mut self, now: Time, slot: u32, from: SocketAddr, length: usize) {
        let Ok(index) = usize::try_from(slot) else { return };
        let datagram = self.buffer.get_mut(..length).unwrap_or_default();
        let Some(stream) = self.slots.get_mut(index).and_then(Option::as_deref_mut) else { return };
        let accepted = accept(now, stream, from, datagram, &self.events);
        let Some(packet) = accepted else {
            stream.dropped = stream.dropped.saturating_add(1);
            stream.pace.dropped();
            add(&self.counters.dropped, 1);
            return;
        };
        stream.pace.took();
        add(&self.counters.received, 1);
        let (origin, echo) = (stream.id.0, stream.source == Source::Echo);
        let listeners: [Option<u32>; LISTENERS] = stream.listeners;
        let keys = self.keys_of(now, slot, &packet);
        self.take_down(now, slot, &packet, &keys);
        self.hear_member(now, slot, &packet);
        let mut law = packet.kind;
        if echo {
            self.send_on(now, slot, origin, &packet, &mut law, &keys);
        }
        for listener in listeners.into_iter().flatten() {
            self.hear(now, listener, &packet, &keys);
        }
        for listener in listeners.into_iter().flatten() {
            self.press_on(now, listener, &keys);
            self.send_on(now, listener, origin, &packet, &mut law, &keys);
        }
    }

    /// Gives the packet in the buffer to its stream's seat in a room.
    fn hear_member(&mut self, now: Time, slot: u32, packet: &Packet) {
        let range = packet.header.payload_start..packet.header.payload_end;
        let Ok(index) = usize::try_from(slot) else { return };
        let stream = self.slots.get_mut(index).and_then(Option::as_deref_mut);
        let Some(seat) = stream.and_then(|stream| stream.seat.as_mut()) else { return };
        let bytes = self.buffer.get(range).unwrap_or_default();
        let payload = match packet.kind {
            PacketKind::Audio(codec) if codec == seat.hearing.from() => Payload::Audio(bytes),
            PacketKind::Audio(_) | PacketKind::Event { .. } => Payload::Event,
            PacketKind::Noise => Payload::Noise(bytes),
        };
        seat.hearing.insert(now, &packet.header, payload, Around::Plain);
    }

    /// Gives the packet in the buffer to the hearing of `slot`, if it has one for it.
    fn hear(&mut self, now: Time, slot: u32, packet: &Packet, keys: &Keys) {
        let range = packet.header.payload_start..packet.header.payload_end;
        let Ok(index) = usize::try_from(slot) else { return };
        let Some(stream) = self.slots.get_mut(index).and_then(Option::as_deref_mut) else { return };
        let config = stream.config.as_ref();
        let around = if keys.passes_on(packet.kind, config) {
            Around::Event
        } else if keys.is_kept_from(config) {
            Around::Muted
        } else {
            Around::Plain
        };
        let Some(hearing) = stream.hearing.as_mut() else { return };
        let bytes = self.buffer.get(range).unwrap_or_default();
        let payload = match packet.kind {
            PacketKind::Audio(codec) if codec == hearing.from() => Payload::Audio(bytes),
            // Another codec than was agreed: its place in the sequence is known, no more.
            PacketKind::Audio(_) | PacketKind::Event { .. } => Payload::Event,
            PacketKind::Noise => Payload::Noise(bytes),
        };
        hearing.insert(now, &packet.header, payload, around);
    }

    /// Sends the packet in the buffer to the peer of `slot`, in that peer's law. `law` is what the
    /// buffer holds at the moment.
    pub(super) fn send_on(
        &mut self,
        now: Time,
        slot: u32,
        origin: u64,
        packet: &Packet,
        law: &mut PacketKind,
        keys: &Keys,
    ) {
        let Ok(index) = usize::try_from(slot) else { return };
        let Some(stream) = self.slots.get_mut(index).and_then(Option::as_deref_mut) else { return };
        let Some(config) = &stream.config else { return };
        let is_event = matches!(packet.kind, PacketKind::Event { .. });
        if is_event && !keys.passes_on(packet.kind, Some(config)) {
            stream.sender.interrupt();
            return;
        }
        let replaced = stream.play.is_some() || stream.keys.is_sounding();
        let kept_away = !is_event && keys.is_kept_from(Some(config));
        if replaced || kept_away || !config.direction.sends() {
            stream.sender.interrupt();
            return;
        }
        let payload_type = match *law {
            PacketKind::Event { .. } => match config.telephone_event {
                Some(event) => event.payload_type,
                None => return,
            },
            // What is heard is said by the clock.
            PacketKind::Audio(_) | PacketKind::Noise if stream.hearing.is_some() => return,
            PacketKind::Noise => COMFORT_NOISE,
            PacketKind::Audio(codec) => {
                if !is_direct(codec, config.codec.codec) {
                    return;
                }
                let range = packet.header.payload_start..packet.header.payload_end;
                if codec != config.codec.codec
                    && let Some(payload) = self.buffer.get_mut(range)
                {
                    if codec == Codec::Pcmu {
                        g711::ulaw_to_alaw(payload);
                    } else {
                        g711::alaw_to_ulaw(payload);
                    }
                    *law = PacketKind::Audio(config.codec.codec);
                }
                config.codec.payload_type
            }
        };
        let clock_rate = config.codec.codec.clock_rate();
        let Some(target) = stream.target() else { return };
        let header = stream.sender.pass_on(now, origin, &packet.header, payload_type, clock_rate);
        // The header is written just before the payload, over CSRCs and extensions that end there.
        let start = packet.header.payload_start.saturating_sub(HEADER_BYTES);
        let Some(out) = self.buffer.get_mut(start..packet.header.payload_end) else { return };
        if let Some(place) = out.first_chunk_mut::<HEADER_BYTES>() {
            *place = header.bytes();
        }
        send(now, stream, out, target, &mut self.way);
    }
}
