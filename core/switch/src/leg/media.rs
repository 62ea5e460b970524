//! Streams of legs: opened, told what was agreed, joined. The same codec on both legs wherever both
//! peers have one, so that packets are passed on as they are.

use std::net::{IpAddr, SocketAddr};

use koukan_base::StreamId;
use koukan_media::{
    Codec, CodecParams, Command, Direction, Event, OpenError, Source, StreamConfig, StreamStats,
    TelephoneEvent,
};
use koukan_sip::sdp::{self, Agreed, AudioFormat};

use crate::action::{Action, Now};
use crate::call::{Call, Stage};
use crate::config::ListenerMedia;
use crate::leg::description::format;
use crate::leg::dtmf::Digit;
use crate::leg::music::holds;
use crate::leg::sound::quality_line;
use crate::leg::srtp::{self, OwnKeys};
use crate::leg::{Leg, LegState, LegStream};
use crate::record::CallCause;
use crate::switch::{Fate, Switch};

impl Switch {
    /// Orders a stream for a leg; false when this family has no media address.
    pub(crate) fn open_stream(&mut self, call: &mut Call, index: u16) -> bool {
        let stream = StreamId::new(self.config.shard, self.next_number());
        let (id, worker, tenant) = (call.id, call.worker, call.tenant.clone());
        let Some(leg) = call.leg_mut(index) else { return false };
        let Some(local) = self.media_address(leg) else { return false };
        leg.stream = LegStream::Opening(stream);
        leg.own_keys = Some(Box::new(OwnKeys::new(&mut self.rng)));
        self.by_stream.insert(stream, (id, index));
        self.media(worker, Command::Open { stream, local, tenant });
        true
    }

    /// The address of our side that the leg's peer can reach.
    fn media_address(&self, leg: &Leg) -> Option<IpAddr> {
        let offered = leg.offer.as_ref().and_then(|offer| offer.audio()?.1.connection);
        let v4 = offered.map_or(leg.flow.remote.is_ipv4(), |address| address.is_ipv4());
        let own = self.listener_media(leg).filter(|media| media.bound.is_ipv4() == v4);
        let any = if v4 { self.config.media_v4 } else { self.config.media_v6 };
        own.map(|media| media.bound).or(any)
    }

    /// The media addresses of the listener that a leg's signalling goes through.
    fn listener_media(&self, leg: &Leg) -> Option<&ListenerMedia> {
        self.config.media.iter().find(|media| media.listener == leg.flow.listener)
    }

    /// Our side of a leg's media as its peer sees it.
    pub(crate) fn shown_address(&self, leg: &Leg, bound: SocketAddr) -> SocketAddr {
        let own = self.listener_media(leg).filter(|media| media.bound == bound.ip());
        SocketAddr::new(own.map_or(bound.ip(), |media| media.shown), bound.port())
    }

    pub(crate) fn media(&mut self, worker: koukan_base::WorkerId, command: Command) {
        self.actions.push_back(Action::Media { worker, command });
    }

    pub(crate) fn media_event(&mut self, now: Now, event: Event) {
        match event {
            Event::Opened { stream, rtp } => {
                self.with_stream(now, stream, |switch, call, index| {
                    // A stream whose end is ordered already stays on its way out.
                    if let Some(leg) = call.leg_mut(index)
                        && leg.stream == LegStream::Opening(stream)
                    {
                        leg.stream = LegStream::Open(stream, rtp);
                    }
                    switch.stream_is_open(now, call, index)
                })
            }
            Event::Moved { stream } => self.stream_moved(now, stream, false),
            Event::Lent { stream } => self.stream_moved(now, stream, true),
            Event::OpenFailed { stream, error } => self.stream_failed(now, stream, error),
            Event::Silent { stream } => self.with_stream(now, stream, |switch, call, index| {
                switch.party_is_silent(now, call, index)
            }),
            Event::Played { stream, op, end } => {
                self.with_stream(now, stream, |switch, call, index| {
                    if switch.music_ended(call, index, op, end) {
                        return Fate::Keep;
                    }
                    if !switch.words_ended(now, call, op) {
                        switch.played(call, op, end);
                    }
                    Fate::Keep
                })
            }
            Event::Digit { stream, digit, duration_ms } => {
                self.with_stream(now, stream, |switch, call, index| {
                    let digit = Digit { digit, duration_ms };
                    switch.pressed(now, call, index, digit, true)
                })
            }
            Event::Recorded { op, report, .. } => {
                if !self.tape_ended(now, op, report) {
                    self.recorded(op, report);
                }
            }
            Event::Joined { stream, joined, .. } => {
                self.with_stream(now, stream, |switch, call, _| {
                    switch.member_joined(now, call, stream, joined)
                });
            }
            Event::Talks { stream, talking, .. } => {
                self.with_stream(now, stream, |switch, call, _| {
                    switch.member_talks(call, stream, talking);
                    Fate::Keep
                });
            }
            Event::Announced { room, op, .. } => self.announced(room, op),
            Event::FaxTone { stream, tone } => self.fax_tone(now, stream, tone),
            Event::DigitsSent { .. } => {}
            Event::Quality { stream, fault } => self.sound_changed(now, stream, fault),
            Event::Heard { stream, from } => {
                self.with_stream(now, stream, |switch, call, index| {
                    let party = call.leg(index).map(|leg| leg.party.name()).unwrap_or_default();
                    switch.explain(call.id, format!("media of {party} comes from {from}"));
                    Fate::Keep
                })
            }
            Event::Closed { stream, stats } => self.stream_closed(now, stream, stats),
        }
    }

    fn stream_closed(&mut self, now: Now, stream: StreamId, stats: StreamStats) {
        if let Some(&(id, index)) = self.by_stream.get(&stream) {
            let open = self.calls.get_mut(&id);
            let over = self.closing.get_mut(&id).map(|(call, _)| call);
            if let Some(leg) = open.or(over).and_then(|call| call.leg_mut(index)) {
                let line = stats.quality.map(|verdict| quality_line(leg, verdict));
                leg.stats = stats;
                leg.stream = LegStream::None;
                if let Some(text) = line {
                    self.actions.push_back(Action::Explain { call: id, text });
                }
            }
        }
        self.finish_closing(now, stream);
    }

    fn stream_failed(&mut self, now: Now, stream: StreamId, error: OpenError) {
        self.with_stream(now, stream, |switch, call, index| {
            switch.by_stream.remove(&stream);
            let state =
                call.leg_mut(index).map(|leg| std::mem::replace(&mut leg.stream, LegStream::None));
            switch.explain(call.id, format!("no media: {error}"));
            let opening = state == Some(LegStream::Opening(stream));
            if opening && error.is_of_the_worker() && switch.open_elsewhere(call, index) {
                return Fate::Keep;
            }
            let state = call.leg(index).map(|leg| leg.state);
            match state {
                _ if index == 0 => switch.no_media(call),
                // It wanted to join the call, which goes on without it.
                Some(LegState::Incoming { .. }) => {
                    switch.end_leg(now, call, index, 503, None);
                    switch.party_gone(now, call, index, CallCause::Internal, 503)
                }
                _ => switch.callee_over(now, call, index, 503),
            }
        });
        self.finish_closing(now, stream);
    }

    /// A stream is at its new worker and gets what it has missed, or has left them all (`lent`).
    fn stream_moved(&mut self, now: Now, stream: StreamId, lent: bool) {
        self.with_stream(now, stream, |switch, call, index| {
            let Some(leg) = call.leg_mut(index) else { return Fate::Keep };
            if let LegStream::Moving(_, address) = leg.stream {
                leg.stream = LegStream::Open(stream, address);
            }
            if leg.is_over() {
                switch.close_stream(call, index);
            } else if matches!(call.stage, Stage::Fax(_)) {
                switch.stream_lent(now, call);
            } else if lent && call.carries_fax() {
                switch.carried_stream_lent(now, call, index);
            } else if lent {
                // The fax was over before its stream was there.
                switch.reclaim(now, call, index, now.time);
            } else {
                switch.configure(call, index);
                switch.wire(call);
            }
            Fate::Keep
        });
        let known = self.by_stream.get(&stream).copied();
        let Some((id, index)) = known.filter(|(id, _)| self.closing.contains_key(id)) else {
            return;
        };
        // The call ended on the way.
        if let Some((mut call, cause)) = self.closing.remove(&id) {
            if let Some(leg) = call.leg_mut(index)
                && let LegStream::Moving(_, address) = leg.stream
            {
                leg.stream = LegStream::Open(stream, address);
            }
            self.close_stream(&mut call, index);
            self.closing.insert(id, (call, cause));
        }
    }

    /// Orders a stream to another worker; it takes no orders until it is there.
    pub(crate) fn move_stream(
        &mut self,
        from: koukan_base::WorkerId,
        stream: StreamId,
        to: koukan_base::WorkerId,
    ) {
        self.media(from, Command::Move { stream, to });
    }

    pub(crate) fn with_stream(
        &mut self,
        now: Now,
        stream: StreamId,
        handler: impl FnOnce(&mut Self, &mut Call, u16) -> Fate,
    ) {
        let Some(&(id, index)) = self.by_stream.get(&stream) else { return };
        self.with_call(now, id, |switch, call| handler(switch, call, index));
    }

    /// The last stream of a call that is over has ended: its record is complete.
    fn finish_closing(&mut self, now: Now, stream: StreamId) {
        let Some((id, _)) = self.by_stream.remove(&stream) else { return };
        let done = self.closing.get(&id).is_some_and(|(call, _)| {
            let streams = call.legs.iter().filter_map(|leg| leg.stream.id());
            streams.filter(|id| self.by_stream.contains_key(id)).count() == 0
        });
        if done {
            self.close(now, id);
        }
    }

    fn stream_is_open(&mut self, now: Now, call: &mut Call, index: u16) -> Fate {
        let Some(leg) = call.leg(index) else { return Fate::Keep };
        match leg.state {
            LegState::Opening => self.call_leg(now, call, index),
            LegState::Incoming { .. } if leg.replaces.is_some() => self.take_over(now, call, index),
            LegState::Incoming { .. } if call.retriever() == Some(leg.number) => {
                self.retrieve(now, call, index)
            }
            LegState::Incoming { .. } if call.is_supervisor(leg.number) => {
                self.supervise(now, call, index)
            }
            LegState::Incoming { .. } if matches!(call.stage, Stage::Opening { .. }) => {
                self.next_step(now, call)
            }
            // The leg ended while its stream was being opened; the stream is closed already.
            _ => Fate::Keep,
        }
    }

    pub(crate) fn no_media(&mut self, call: &Call) -> Fate {
        self.explain(call.id, "no media address or port for the caller");
        Fate::End(CallCause::Internal, 503)
    }

    fn party_is_silent(&mut self, now: Now, call: &mut Call, index: u16) -> Fate {
        let Some(leg) = call.leg(index) else { return Fate::Keep };
        // Before the answer a party owes no RTP; the answer sets the watch anew.
        if !matches!(leg.state, LegState::Up { .. }) {
            return Fate::Keep;
        }
        let party = leg.party.name();
        self.explain(call.id, format!("no RTP from {party} for {:?}", self.config.rtp_timeout));
        // Its BYE was lost with the rest: nobody pays for the time in which it was waited for.
        let heard = now.date.checked_sub(self.config.rtp_timeout).unwrap_or(now.date);
        let talks = matches!(call.stage, Stage::Bridged { leg } if leg == index);
        for (at, leg) in (0u16..).zip(&mut call.legs) {
            let with_it = at == index || index == 0 || (talks && at == 0);
            if let Some(answered) = leg.answered.filter(|_| with_it && leg.ended.is_none()) {
                leg.ended = Some(heard.max(answered));
            }
        }
        self.end_leg(now, call, index, 480, None);
        self.party_gone(now, call, index, CallCause::MediaLost, 480)
    }

    /// Tells a leg's stream what is agreed. Its peer's RTP is watched from the answer on and while
    /// both ways are open: one that holds, or waits for an answer, owes none.
    pub(crate) fn configure(&mut self, call: &Call, index: u16) {
        let Some(leg) = call.leg(index) else { return };
        let Some(agreed) = &leg.agreed else { return };
        let (Some(stream), Some(codec)) = (leg.stream.live(), codec(&agreed.format)) else {
            return;
        };
        let direction = direction(agreed.direction);
        let up = matches!(leg.state, LegState::Up { .. });
        let watched = up && direction == Direction::SendRecv;
        let config = StreamConfig {
            remote: agreed.remote,
            remote_rtcp: Some(agreed.remote_rtcp),
            codec: CodecParams {
                codec,
                payload_type: agreed.format.payload_type,
                receive_type: receive_type(leg, &agreed.format),
                ptime_ms: agreed.ptime_ms,
            },
            telephone_event: telephone_event(agreed),
            // A peer that takes INFO is told by the switch.
            digit_tones: !leg.takes_info,
            direction,
            srtp: srtp::keys(leg, agreed),
            silent_after: watched.then_some(self.config.rtp_timeout),
        };
        let asked = index == 0 && call.is_asked();
        let dtmf = asked || config.telephone_event.is_none();
        self.media(call.worker, Command::Configure { stream, config });
        // A peer without telephone-events may say its keys in the sound.
        self.media(
            call.worker,
            Command::Detect { stream, dtmf, fax: index == 0 && up && call.fax.is_some() },
        );
    }

    /// Sets what every stream of the call sends, from where the call stands.
    pub(crate) fn wire(&mut self, call: &mut Call) {
        match &call.stage {
            // Their streams are lent.
            Stage::Bridged { .. } if call.carries_fax() => {}
            Stage::Bridged { leg } => {
                let leg = *leg;
                if !self.wire_supervised(call, leg) {
                    self.hear(call, 0, leg);
                    self.hear(call, leg, 0);
                }
            }
            Stage::Echo => {
                self.feed(call, 0, Source::Echo);
                self.stop_music(call, 0);
            }
            Stage::Paging(_) => self.wire_page(call),
            Stage::Conference(_) => self.attend(call),
            Stage::Parked(_) => self.wait_with_music(call),
            Stage::Queue(_) if Self::is_told(call) => self.feed(call, 0, Source::Silence),
            // Who is put through waits like who is parked, until a phone or a trunk speaks.
            Stage::Ringing(_) | Stage::Trunk(_) | Stage::Queue(_) => {
                let speaks = call.rung().any(|(_, leg)| leg.agreed.is_some());
                let first = call.leg(0).map(|leg| (leg.state, leg.put_through));
                let Some((LegState::Up { .. }, put_through)) = first.filter(|_| !speaks) else {
                    return;
                };
                let rang = |leg: &Leg| matches!(leg.state, LegState::Calling { rang: true, .. });
                let rings = call.rung().any(|(_, leg)| rang(leg));
                self.feed(call, 0, Source::Silence);
                let waits = matches!(call.stage, Stage::Queue(_));
                self.wait_with_ringback(call, put_through && rings && !waits);
            }
            Stage::Opening { .. } | Stage::Module(_) | Stage::Menu(_) | Stage::Fax(_) => {}
        }
    }

    /// What one side of a bridge hears: the other, or music while that one holds.
    fn hear(&mut self, call: &mut Call, index: u16, other: u16) {
        self.feed(call, index, source(call.leg(other)));
        if holds(call.leg(other)) {
            self.start_music(call, index);
        } else {
            self.stop_music(call, index);
        }
    }

    fn wait_with_music(&mut self, call: &mut Call) {
        self.feed(call, 0, Source::Silence);
        self.start_music(call, 0);
    }

    pub(crate) fn feed(&mut self, call: &Call, index: u16, source: Source) {
        let Some(stream) = call.leg(index).and_then(|leg| leg.stream.live()) else { return };
        self.media(call.worker, Command::Feed { stream, source });
    }
}

/// What the other side of a bridge hears of a leg: nothing while that leg holds.
fn source(leg: Option<&Leg>) -> Source {
    let Some(leg) = leg else { return Source::Silence };
    let sends = leg
        .agreed
        .as_ref()
        .is_some_and(|agreed| direction(agreed.direction) == Direction::SendRecv);
    match leg.stream.live() {
        Some(stream) if sends => Source::Stream(stream),
        _ => Source::Silence,
    }
}

const fn direction(direction: sdp::Direction) -> Direction {
    match direction {
        sdp::Direction::SendRecv => Direction::SendRecv,
        sdp::Direction::SendOnly => Direction::SendOnly,
        sdp::Direction::RecvOnly => Direction::RecvOnly,
        sdp::Direction::Inactive => Direction::Inactive,
    }
}

/// The number under which a format comes to us: ours when we offered it, else the peer's.
fn receive_type(leg: &Leg, format: &AudioFormat) -> u8 {
    let ours =
        leg.offered.as_ref().and_then(|local| local.formats.iter().find(|our| our.is_same(format)));
    ours.unwrap_or(format).payload_type
}

/// Telephone-events, when both have them at one clock rate.
fn telephone_event(agreed: &Agreed) -> Option<TelephoneEvent> {
    let payload_type = agreed.telephone_event?;
    Some(TelephoneEvent {
        payload_type,
        receive_type: agreed.telephone_event_receive.unwrap_or(payload_type),
        clock_rate: agreed.telephone_event_rate,
    })
}

fn codec(format: &AudioFormat) -> Option<Codec> {
    Codec::ALL.into_iter().find(|codec| self::format(*codec).is_same(format))
}
