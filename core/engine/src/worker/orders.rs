//! What the control side orders of a stream that stands.

use koukan_base::{StreamId, Time};
use koukan_media::{Event, PlayEnd, Shed, Source};

use super::Worker;
use crate::ear::Ear;
use crate::order::{Returned, Setup};
use crate::secure::{Change, Secure};
use crate::stream::Play;
use crate::voice::Hearing;

impl Worker {
    pub(super) fn configure(&mut self, now: Time, id: StreamId, setup: Setup) {
        let Setup { config, speaker, secure } = setup;
        let spared = self.shed() >= Shed::Coders;
        let Some(slot) = self.slot(id) else { return };
        let Some(stream) = self.stream(slot) else { return };
        let moved = stream.config.as_ref().is_some_and(|old| old.remote != config.remote);
        if moved {
            stream.latch.release();
        }
        stream.heard = now;
        stream.silent = false;
        stream.config = Some(config);
        let old = speaker.and_then(|mut speaker| {
            speaker.spare(spared);
            stream.speaker.replace(speaker)
        });
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
        self.watch(now, slot);
        self.retick(now, slot);
    }

    pub(super) fn hear_with(&mut self, now: Time, id: StreamId, hearing: Option<Box<Hearing>>) {
        let Some(slot) = self.slot(id) else { return };
        let Some(stream) = self.stream(slot) else { return };
        let old = std::mem::replace(&mut stream.hearing, hearing);
        if let Some(old) = old {
            self.give_back(Returned::Hearing(old));
        }
        self.retick(now, slot);
    }

    pub(super) fn listen_with(&mut self, id: StreamId, ear: Option<Box<Ear>>) {
        let Some(slot) = self.slot(id) else { return };
        let Some(stream) = self.stream(slot) else { return };
        let old = std::mem::replace(&mut stream.ear, ear);
        if let Some(old) = old {
            self.give_back(Returned::Ear(old));
        }
    }

    pub(super) fn feed(&mut self, now: Time, id: StreamId, source: Source) {
        let Some(slot) = self.slot(id) else { return };
        let Some(stream) = self.stream(slot) else { return };
        let old = std::mem::replace(&mut stream.source, source);
        self.stand_up(slot);
        let Some(stream) = self.stream(slot) else { return };
        if old != source {
            // Whoever held a key is not heard any more.
            stream.keys.let_go(0);
        }
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

    pub(super) fn play(&mut self, now: Time, id: StreamId, play: Play) {
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

    pub(super) fn end_play(&mut self, slot: u32, end: PlayEnd) {
        let Some(stream) = self.stream(slot) else { return };
        let id = stream.id;
        if let Some(play) = stream.play.take() {
            self.events.push(Event::Played { stream: id, op: play.op, end });
        }
    }
}
