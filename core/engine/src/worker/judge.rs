//! What a stream sounds like, judged by the sweep and told to the switch.

use std::time::Duration;

use koukan_base::Time;
use koukan_media::Event;
use koukan_media::quality::Verdict;

use super::Worker;
use crate::limits::LISTENERS;
use crate::stats::add;
use crate::watch::Counts;

/// R below which users are dissatisfied (ITU-T G.107, annex B: "many users dissatisfied").
const POOR: f32 = 70.0;

impl Worker {
    /// Judges a stream whose span is over.
    pub(super) fn judge(&mut self, now: Time, index: usize) {
        let due = |stream: &crate::stream::Stream| stream.watch.is_due(now);
        if !self.slots.get(index).and_then(Option::as_deref).is_some_and(due) {
            return;
        }
        let counts = self.counts_of(index);
        let Some(stream) = self.slots.get_mut(index).and_then(Option::as_deref_mut) else { return };
        let id = stream.id;
        let Some(told) = stream.watch.book(now, counts, &mut stream.reception) else { return };
        add(&self.counters.spans, 1);
        if told.r < POOR {
            add(&self.counters.poor_spans, 1);
        }
        if let Some(fault) = told.change {
            if let Some(fault) = fault {
                add(self.counters.fault(fault.cause), 1);
            }
            let fault = fault.map(|fault| (fault.cause, now.since(fault.since)));
            self.events.push(Event::Quality { stream: id, fault });
        }
    }

    /// What a stream was like when it ends.
    pub(super) fn verdict(&mut self, now: Time, slot: u32) -> Option<Verdict> {
        let index = usize::try_from(slot).ok()?;
        let counts = self.counts_of(index);
        let stream = self.slots.get_mut(index)?.as_deref_mut()?;
        stream.watch.verdict(now, counts, &mut stream.reception)
    }

    /// The peer of a stream owes RTP from now on, or does not.
    pub(super) fn watch(&mut self, now: Time, slot: u32) {
        let Ok(index) = usize::try_from(slot) else { return };
        let counts = self.counts_of(index);
        let Some(stream) = self.slots.get_mut(index).and_then(Option::as_deref_mut) else { return };
        if let Some(config) = &stream.config {
            let (owes, codec) = (config.silent_after.is_some(), config.codec.codec);
            stream.watch.owes(now, owes, codec, counts);
        }
    }

    fn counts_of(&self, index: usize) -> Counts {
        let at = |index: usize| self.slots.get(index).and_then(Option::as_deref);
        let Some(stream) = at(index) else { return Counts::default() };
        let listeners: [Option<u32>; LISTENERS] = stream.listeners;
        let hearings = listeners.into_iter().flatten().filter_map(|slot| {
            at(usize::try_from(slot).ok()?)?.hearing.as_ref().map(|hearing| hearing.lateness())
        });
        let worst =
            |(late, delay): (u64, Duration), (more, longer)| (late.max(more), delay.max(longer));
        let (late, delay) = hearings.fold((0, Duration::ZERO), worst);
        stream.counts(late, delay)
    }
}
