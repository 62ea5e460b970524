//! A media worker: its sockets, its streams, its ticks. Once a stream is up nothing here allocates,
//! locks, blocks or logs for it.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;
use koukan_base::{StreamId, Time};
use koukan_codecs::g711;
use koukan_media::jitter::Payload;
use koukan_media::{Codec, Event, HEADER_BYTES, OpenError, PlayEnd, Source};
use mio::{Events as Ready, Interest, Poll, Token};

use crate::control::Events;
use crate::limits::{BURST, LISTENERS};
use crate::order::{Order, Returned, Setup};
use crate::packet::{Packet, PacketKind, accept};
use crate::routes::is_direct;
use crate::rtcp;
use crate::secure::{Change, Secure};
use crate::speak::{send, speak};
use crate::stats::{Counters, add, sub};
use crate::stream::{Play, Stream, fill};
use crate::voice::Hearing;

/// The token of the waker.
pub(crate) const WAKE: Token = Token(usize::MAX);

/// Packet time of what we make ourselves: 20 ms at 8 kHz.
const FRAME: usize = 160;
/// The payload type of comfort noise (RFC 3389, section 4).
const COMFORT_NOISE: u8 = 13;
const TICK: Duration = Duration::from_millis(20);
/// A tick that comes later than this is counted as late.
const LATE: Duration = Duration::from_millis(5);
/// Streams are looked over for silence so often.
const SWEEP: Duration = Duration::from_millis(250);

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
            started,
        }
    }

    fn now(&self) -> Time {
        Time::ZERO + self.started.elapsed()
    }

    pub(crate) fn run(&mut self, stop: &AtomicBool) {
        let mut ready = Ready::with_capacity(1024);
        while !stop.load(Ordering::Acquire) {
            let timeout = self.next_deadline().since(self.now());
            match self.poll.poll(&mut ready, Some(timeout)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            }
            let now = self.now();
            for event in &ready {
                match event.token() {
                    WAKE => self.take_orders(now),
                    Token(token) => self.readable(now, token),
                }
            }
            self.ticks(now);
        }
    }

    fn next_deadline(&self) -> Time {
        let phases = self.ticking.iter().zip(&self.next_tick);
        let ticks = phases.filter(|(slots, _)| !slots.is_empty()).map(|(_, at)| *at);
        ticks.min().map_or(self.next_sweep, |at| at.min(self.next_sweep))
    }

    fn take_orders(&mut self, now: Time) {
        while let Some(order) = self.orders.pop() {
            match order {
                Order::Open(stream) => self.open(now, stream, false),
                Order::Release(id, to) => self.release(id, to),
                Order::Adopt(stream) => self.open(now, stream, true),
                Order::Close(id) => self.close(id),
                Order::Configure(id, setup) => self.configure(now, id, *setup),
                Order::Hear(id, hearing) => self.hear_with(now, id, hearing),
                Order::Feed(id, source) => self.feed(now, id, source),
                Order::Play(id, play) => self.play(now, id, play),
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

    fn open(&mut self, now: Time, mut stream: Box<Stream>, moved: bool) {
        let id = stream.id;
        let failed = |errno| Event::OpenFailed { stream: id, error: OpenError::Bind { errno } };
        let Some(slot) = self.free.pop() else {
            self.events.push(Event::OpenFailed { stream: id, error: OpenError::Full });
            self.give_back(Returned::Stream(stream));
            return;
        };
        let index = usize::try_from(slot).unwrap_or(usize::MAX);
        let registry = self.poll.registry();
        let (rtp, rtcp) = (Token(index.saturating_mul(2)), Token(index.saturating_mul(2) | 1));
        let registered = registry
            .register(&mut stream.rtp, rtp, Interest::READABLE)
            .and_then(|()| registry.register(&mut stream.rtcp, rtcp, Interest::READABLE));
        match registered {
            Ok(()) => {
                stream.heard = now;
                stream.session.restart(now);
                self.by_id.insert(id, slot);
                if let Some(place) = self.slots.get_mut(index) {
                    *place = Some(stream);
                }
                add(&self.counters.streams, 1);
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

    /// Streams are freed on the control side; a full queue there means that it has stopped, and
    /// then this thread frees.
    fn give_back(&self, returned: Returned) {
        drop(self.returned.push(returned));
    }

    fn close(&mut self, id: StreamId) {
        let Some(stream) = self.detach(id) else { return };
        let stats = stream.stats();
        self.give_back(Returned::Stream(stream));
        self.events.push(Event::Closed { stream: id, stats });
    }

    /// Gives a stream up with its sockets.
    fn release(&mut self, id: StreamId, to: usize) {
        let Some(mut stream) = self.detach(id) else { return };
        stream.source = Source::Nothing;
        stream.listeners = [None; LISTENERS];
        if let Some(hearing) = stream.hearing.take() {
            self.give_back(Returned::Hearing(hearing));
        }
        self.events.hand_over(to, stream);
    }

    /// Takes a stream off this worker: its plays end, nobody hears it any more.
    fn detach(&mut self, id: StreamId) -> Option<Box<Stream>> {
        let Some(slot) = self.by_id.remove(&id) else {
            add(&self.counters.crossed_commands, 1);
            return None;
        };
        self.end_play(slot, PlayEnd::Stopped);
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
            }
        }
        let registry = self.poll.registry();
        // They were registered by `open`, and closing deregisters all the same.
        let _ = registry.deregister(&mut stream.rtp);
        let _ = registry.deregister(&mut stream.rtcp);
        self.free.push(slot);
        sub(&self.counters.streams, 1);
        Some(stream)
    }

    fn configure(&mut self, now: Time, id: StreamId, setup: Setup) {
        let Setup { config, speaker, secure } = setup;
        let Some(slot) = self.slot(id) else { return };
        let Some(stream) = self.stream(slot) else { return };
        let moved = stream.config.as_ref().is_some_and(|old| old.remote != config.remote);
        if moved {
            stream.latch.release();
        }
        stream.heard = now;
        stream.silent = false;
        stream.config = Some(config);
        let old = speaker.and_then(|speaker| stream.speaker.replace(speaker));
        let old_secure = match secure {
            Change::Keep => None,
            Change::Plain => stream.secure.take(),
            Change::Keys(mut new) => {
                if let Some(old) = stream.secure.take() {
                    let Secure { receiver, .. } = *old;
                    new.receiver = new.receiver.after(receiver);
                }
                stream.secure.replace(new)
            }
        };
        if let Some(old) = old {
            self.give_back(Returned::Speaker(old));
        }
        if let Some(old) = old_secure {
            self.give_back(Returned::Secure(old));
        }
        self.retick(now, slot);
    }

    fn hear_with(&mut self, now: Time, id: StreamId, hearing: Option<Box<Hearing>>) {
        let Some(slot) = self.slot(id) else { return };
        let Some(stream) = self.stream(slot) else { return };
        let old = std::mem::replace(&mut stream.hearing, hearing);
        if let Some(old) = old {
            self.give_back(Returned::Hearing(old));
        }
        self.retick(now, slot);
    }

    fn feed(&mut self, now: Time, id: StreamId, source: Source) {
        let Some(slot) = self.slot(id) else { return };
        let Some(stream) = self.stream(slot) else { return };
        let old = std::mem::replace(&mut stream.source, source);
        if let Source::Stream(old) = old
            && let Some(old) = self.by_id.get(&old).copied()
            && let Some(old) = self.stream(old)
        {
            old.unlisten(slot);
        }
        if let Source::Stream(new) = source {
            let new = self.slot(new).and_then(|new| self.stream(new));
            if !new.is_some_and(|new| new.listen(slot))
                && let Some(stream) = self.stream(slot)
            {
                stream.source = Source::Nothing;
            }
        }
        self.retick(now, slot);
    }

    fn play(&mut self, now: Time, id: StreamId, play: Play) {
        let Some(slot) = self.slot(id) else {
            self.events.push(Event::Played { stream: id, op: play.op, end: PlayEnd::Stopped });
            return;
        };
        self.end_play(slot, PlayEnd::Stopped);
        if let Some(stream) = self.stream(slot) {
            stream.play = Some(play);
        }
        self.retick(now, slot);
    }

    fn end_play(&mut self, slot: u32, end: PlayEnd) {
        let Some(stream) = self.stream(slot) else { return };
        let id = stream.id;
        if let Some(play) = stream.play.take() {
            self.events.push(Event::Played { stream: id, op: play.op, end });
        }
    }

    /// Puts a stream on the clock, or takes it off.
    fn retick(&mut self, now: Time, slot: u32) {
        let Some(stream) = self.stream(slot) else { return };
        let (ticks, phase) = (stream.ticks(), usize::from(stream.phase));
        let Some(slots) = self.ticking.get_mut(phase) else { return };
        let known = slots.contains(&slot);
        if ticks && !known {
            if slots.is_empty()
                && let Some(at) = self.next_tick.get_mut(phase)
            {
                *at = phase_after(now, phase);
            }
            slots.push(slot);
        } else if !ticks && known {
            slots.retain(|other| *other != slot);
        }
    }

    fn untick(&mut self, slot: u32) {
        for slots in &mut self.ticking {
            slots.retain(|other| *other != slot);
        }
    }

    fn readable(&mut self, now: Time, token: usize) {
        let Ok(slot) = u32::try_from(token / 2) else { return };
        if token % 2 == 1 {
            self.drain_rtcp(now, slot);
            return;
        }
        for _ in 0..BURST {
            let index = token / 2;
            let Some(stream) = self.slots.get_mut(index).and_then(Option::as_deref_mut) else {
                return;
            };
            match stream.rtp.recv_from(self.buffer.as_mut_slice()) {
                Ok((length, from)) => self.packet(now, slot, from, length),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // ICMP from a peer that is gone: the next read goes on.
                Err(_) => {}
            }
        }
        // More waits than one turn takes: look again after the others. Registering anew makes the
        // edge-triggered poll report what is there.
        let index = token / 2;
        let registry = self.poll.registry();
        if let Some(stream) = self.slots.get_mut(index).and_then(Option::as_deref_mut) {
            let _ = registry.reregister(&mut stream.rtp, Token(token), Interest::READABLE);
        }
    }

    fn drain_rtcp(&mut self, now: Time, slot: u32) {
        let Ok(index) = usize::try_from(slot) else { return };
        let Some(stream) = self.slots.get_mut(index).and_then(Option::as_deref_mut) else { return };
        for _ in 0..BURST {
            match stream.rtcp.recv_from(self.buffer.as_mut_slice()) {
                Ok((length, from)) => {
                    let datagram = self.buffer.get_mut(..length).unwrap_or_default();
                    rtcp::receive(now, stream, from, datagram);
                }
                Err(_) => return,
            }
        }
        let token = Token(index.saturating_mul(2) | 1);
        let _ = self.poll.registry().reregister(&mut stream.rtcp, token, Interest::READABLE);
    }

    /// One datagram of `length` bytes in the buffer.
    fn packet(&mut self, now: Time, slot: u32, from: SocketAddr, length: usize) {
        let Ok(index) = usize::try_from(slot) else { return };
        let datagram = self.buffer.get_mut(..length).unwrap_or_default();
        let Some(stream) = self.slots.get_mut(index).and_then(Option::as_deref_mut) else { return };
        let accepted = accept(now, stream, from, datagram, &self.events);
        let Some(packet) = accepted else {
            stream.dropped = stream.dropped.saturating_add(1);
            add(&self.counters.dropped, 1);
            return;
        };
        add(&self.counters.received, 1);
        if matches!(packet.kind, PacketKind::Event)
            && let Some(payload) =
                datagram.get(packet.header.payload_start..packet.header.payload_end)
            && let Some(digit) = stream.digits.receive(now, packet.header.timestamp, payload, 8000)
        {
            let (id, digit, duration_ms) = (stream.id, digit.digit, digit.duration_ms);
            self.events.push(Event::Digit { stream: id, digit, duration_ms });
        }
        let origin = stream.id.0;
        let echo = stream.source == Source::Echo;
        let listeners: [Option<u32>; LISTENERS] = stream.listeners;
        let mut law = packet.kind;
        if echo {
            self.send_on(now, slot, origin, &packet, &mut law);
        }
        for listener in listeners.into_iter().flatten() {
            self.hear(now, listener, &packet);
        }
        for listener in listeners.into_iter().flatten() {
            self.send_on(now, listener, origin, &packet, &mut law);
        }
    }

    /// Gives the packet in the buffer to the hearing of `slot`, if it has one for it.
    fn hear(&mut self, now: Time, slot: u32, packet: &Packet) {
        let range = packet.header.payload_start..packet.header.payload_end;
        let Ok(index) = usize::try_from(slot) else { return };
        let stream = self.slots.get_mut(index).and_then(Option::as_deref_mut);
        let Some(hearing) = stream.and_then(|stream| stream.hearing.as_mut()) else { return };
        let bytes = self.buffer.get(range).unwrap_or_default();
        let payload = match packet.kind {
            PacketKind::Audio(codec) if codec == hearing.from() => Payload::Audio(bytes),
            // Another codec than was agreed: its place in the sequence is known, no more.
            PacketKind::Audio(_) | PacketKind::Event => Payload::Event,
            PacketKind::Noise => Payload::Noise(bytes),
        };
        hearing.insert(now, &packet.header, payload, packet.kind == PacketKind::Event);
    }

    /// Sends the packet in the buffer to the peer of `slot`, in that peer's law. `law` is what the
    /// buffer holds at the moment.
    fn send_on(
        &mut self,
        now: Time,
        slot: u32,
        origin: u64,
        packet: &Packet,
        law: &mut PacketKind,
    ) {
        let Ok(index) = usize::try_from(slot) else { return };
        let Some(stream) = self.slots.get_mut(index).and_then(Option::as_deref_mut) else { return };
        let Some(config) = &stream.config else { return };
        if stream.play.is_some() || !config.direction.sends() {
            stream.sender.interrupt();
            return;
        }
        let payload_type = match *law {
            PacketKind::Event => match config.telephone_event {
                Some(number) => number,
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
        send(stream, out, target, &self.counters);
    }

    fn ticks(&mut self, now: Time) {
        for phase in 0..self.ticking.len() {
            let due = self.next_tick.get(phase).copied().unwrap_or(Time::MAX);
            let empty = self.ticking.get(phase).is_none_or(Vec::is_empty);
            if empty || due > now {
                continue;
            }
            if now.since(due) > LATE {
                add(&self.counters.late_ticks, 1);
            }
            let next = if now.since(due) > TICK * 5 { phase_after(now, phase) } else { due + TICK };
            if let Some(at) = self.next_tick.get_mut(phase) {
                *at = next;
            }
            let mut index = 0;
            while let Some(slot) =
                self.ticking.get(phase).and_then(|slots| slots.get(index).copied())
            {
                self.tick(now, slot);
                let same =
                    self.ticking.get(phase).and_then(|slots| slots.get(index)) == Some(&slot);
                index += usize::from(same);
            }
        }
        if self.next_sweep <= now {
            self.next_sweep = now + SWEEP;
            self.sweep(now);
        }
    }

    /// One frame of a prompt, of silence, or of what is heard.
    fn tick(&mut self, now: Time, slot: u32) {
        let Ok(index) = usize::try_from(slot) else { return };
        let Some(stream) = self.slots.get_mut(index).and_then(Option::as_deref_mut) else { return };
        let Some(config) = &stream.config else { return };
        let params = config.codec;
        let plain = matches!(params.codec, Codec::Pcmu | Codec::Pcma) && params.ptime_ms == 20;
        let finished = if plain && stream.hearing.is_none() {
            let Some(out) = self.buffer.first_chunk_mut::<{ HEADER_BYTES + FRAME }>() else {
                return;
            };
            let (head, frame) = out.split_at_mut(HEADER_BYTES);
            let finished = fill(&mut stream.play, params.codec, frame);
            if let Some(target) = stream.target() {
                let header = stream.sender.own(now, params.payload_type, 160, 8000);
                head.copy_from_slice(&header.bytes());
                send(stream, out, target, &self.counters);
            }
            finished
        } else {
            speak(now, stream, self.buffer.as_mut_slice(), &self.counters)
        };
        if finished {
            self.end_play(slot, PlayEnd::Finished);
            self.retick(now, slot);
        }
    }

    /// Reports the streams that hear nothing, and the thread's CPU time.
    fn sweep(&mut self, now: Time) {
        for stream in self.slots.iter_mut().filter_map(Option::as_deref_mut) {
            rtcp::report(now, stream, false);
            if let Some(digit) = stream.digits.overdue(now, 8000) {
                let (stream, digit, duration_ms) = (stream.id, digit.digit, digit.duration_ms);
                self.events.push(Event::Digit { stream, digit, duration_ms });
            }
            let limit = stream.config.as_ref().and_then(|config| config.silent_after);
            let over = limit.is_some_and(|limit| now.since(stream.heard) >= limit);
            if over && !stream.silent {
                stream.silent = true;
                self.events.push(Event::Silent { stream: stream.id });
            }
        }
        self.counters.cpu_ns.store(crate::pin::thread_cpu_ns(), Ordering::Relaxed);
    }
}

/// The next moment of a phase that is not before `now`.
fn phase_after(now: Time, phase: usize) -> Time {
    let tick = 20_000_000;
    let offset = u64::try_from(phase).unwrap_or(0).saturating_mul(1_000_000);
    let base = now.as_nanos() / tick * tick;
    let at = Time::from_nanos(base.saturating_add(offset));
    if at < now { at + TICK } else { at }
}
