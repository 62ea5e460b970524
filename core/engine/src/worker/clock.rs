//! What streams do by the clock: 20 ms of sound at a time, each stream on its own millisecond of
//! the twenty, and the sweep over all of them.

use std::time::Duration;

use koukan_base::Time;
use koukan_codecs::g711;
use koukan_media::{Codec, Event, HEADER_BYTES, PlayEnd, TONE_FRAME};

use super::Worker;
use crate::rtcp;
use crate::speak::{send, speak};
use crate::stream::fill;

/// Packet time of what we make ourselves: 20 ms at 8 kHz.
const FRAME: usize = 160;
pub(super) const TICK: Duration = Duration::from_millis(20);
/// A tick that comes later than this is counted as late.
pub(super) const LATE: Duration = Duration::from_millis(5);
/// Streams are looked over for silence so often.
const SWEEP: Duration = Duration::from_millis(250);

impl Worker {
    /// Puts a stream on the clock, or takes it off.
    pub(super) fn retick(&mut self, now: Time, slot: u32) {
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

    pub(super) fn untick(&mut self, slot: u32) {
        for slots in &mut self.ticking {
            slots.retain(|other| *other != slot);
        }
    }

    pub(super) fn ticks(&mut self, now: Time) {
        for phase in 0..self.ticking.len() {
            let due = self.next_tick.get(phase).copied().unwrap_or(Time::MAX);
            let empty = self.ticking.get(phase).is_none_or(Vec::is_empty);
            if empty || due > now {
                continue;
            }
            self.ticked(now, due);
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
            self.look(now);
        }
    }

    /// 20 ms of a stream: the key that is down, and one frame of a prompt, of silence, or of what
    /// is heard.
    fn tick(&mut self, now: Time, slot: u32) {
        let Ok(index) = usize::try_from(slot) else { return };
        self.tick_tap(now, slot);
        let mut tone = [0; TONE_FRAME];
        let sounds = self.tick_keys(now, slot, &mut tone);
        let tone = sounds.then_some(&tone);
        let Some(stream) = self.slots.get_mut(index).and_then(Option::as_deref_mut) else { return };
        let Some(config) = &stream.config else { return };
        if tone.is_none() && !stream.speaks() {
            return;
        }
        let params = config.codec;
        let plain = matches!(params.codec, Codec::Pcmu | Codec::Pcma) && params.ptime_ms == 20;
        let finished = if plain && stream.hearing.is_none() {
            let Some(out) = self.buffer.first_chunk_mut::<{ HEADER_BYTES + FRAME }>() else {
                return;
            };
            let (head, frame) = out.split_at_mut(HEADER_BYTES);
            let finished = match (tone, params.codec) {
                (None, codec) => fill(&mut stream.play, codec, frame),
                (Some(tone), codec) => {
                    if codec == Codec::Pcmu {
                        g711::encode_ulaw(tone, frame);
                    } else {
                        g711::encode_alaw(tone, frame);
                    }
                    false
                }
            };
            if let Some(target) = stream.target() {
                let header = stream.sender.own(now, params.payload_type, 160, 8000);
                head.copy_from_slice(&header.bytes());
                send(now, stream, out, target, &mut self.way);
            }
            finished
        } else {
            speak(now, stream, tone, self.buffer.as_mut_slice(), &mut self.way)
        };
        if finished {
            self.end_play(slot, PlayEnd::Finished);
            self.retick(now, slot);
        }
    }

    /// Reports the streams that hear nothing, and ends keys whose end was lost.
    fn sweep(&mut self, now: Time) {
        for index in 0..self.slots.len() {
            let Some(stream) = self.slots.get_mut(index).and_then(Option::as_deref_mut) else {
                continue;
            };
            rtcp::report(now, stream, false);
            let limit = stream.config.as_ref().and_then(|config| config.silent_after);
            let over = limit.is_some_and(|limit| now.since(stream.heard) >= limit);
            if over && !stream.silent {
                stream.silent = true;
                self.events.push(Event::Silent { stream: stream.id });
            }
            self.end_lost_keys(now, index);
            self.judge(now, index);
        }
    }
}

/// The next moment of a phase that is not before `now`.
pub(super) fn phase_after(now: Time, phase: usize) -> Time {
    let tick = 20_000_000;
    let offset = u64::try_from(phase).unwrap_or(0).saturating_mul(1_000_000);
    let base = now.as_nanos() / tick * tick;
    let at = Time::from_nanos(base.saturating_add(offset));
    if at < now { at + TICK } else { at }
}
