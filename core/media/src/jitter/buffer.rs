//! The buffer itself: insertion, and the pull that turns packets into an unbroken signal.

mod adapt;

use std::time::Duration;

use koukan_base::Time;

use super::delay::DelayEstimator;
use super::loss::LossEstimator;
use super::store::{Kind, Slot, Store};
use super::wire::{Place, Wire};
use super::{
    Inserted, JitterConfig, JitterCounts, JitterMode, MOST_PACKET_MS, MOST_PAYLOAD, Payload, most,
};
use crate::comfort::{ComfortNoise, NoiseGenerator};
use crate::conceal::Concealer;
use crate::pitch::to_usize;

/// A codec as the buffer sees it.
pub trait Decode {
    /// Decodes a payload into `out`; how many samples it was, 0 when it cannot be decoded.
    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize;

    /// Fills `out`, in whole packets or tens of milliseconds, in place of a lost packet, with the
    /// help of the one behind it if there is one. False when the codec has no concealment of its
    /// own.
    fn conceal(&mut self, next: Option<&[u8]>, out: &mut [i16]) -> bool;

    /// Whether a payload brings the packet before it again, so that `conceal` makes use of it.
    fn carries_previous(&self, payload: &[u8]) -> bool {
        let _ = payload;
        false
    }
}

/// What is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Sound is played.
    Playing,
    /// Nothing has come yet, or the speaker pauses: noise until the next packet is due.
    Pausing,
}

/// After so many ms of concealment in a row there is nothing left to make up.
const GIVE_UP_MS: u32 = 100;

/// How far above the target the delay may be before it is shortened, in ms.
const SLACK_MS: i64 = 20;

/// So many ms of delay are worth a hundredth of the packets, lost, that the next ones bring again.
const MS_A_LOST_PERCENT: i64 = 20;

/// The jitter buffer of one stream.
#[derive(Debug)]
pub struct JitterBuffer {
    rate: u32,
    mode: JitterMode,
    wire: Wire,
    store: Store,
    delays: DelayEstimator,
    losses: LossEstimator,
    concealer: Concealer,
    noise: NoiseGenerator,
    state: State,
    /// The number that is due next.
    next: i64,
    /// The number behind the last one that was decoded.
    due: i64,
    /// Nothing of this stream has been decoded.
    fresh: bool,
    /// The highest number held or seen.
    newest: i64,
    /// Where on the timeline the next decoded sample belongs.
    head: i64,
    /// Samples that were made up although nothing is known to be lost.
    owed: i64,
    /// Samples made up since something was decoded.
    concealing: usize,
    /// Samples of the packet before.
    duration: usize,
    /// Least time that the last packets had waited beyond the base, and how many they were.
    level: i64,
    levels: u8,
    /// Least that still waited to be played when one of them was taken: with nothing, sound would
    /// be as early as the pulls permit, and no packet would have less time.
    ahead: usize,
    /// Looks at which a correction was due but would have been heard.
    patience: u8,
    /// Peak of what was played lately.
    loudest: u16,
    /// Played samples before `history`, then those that wait up to `end`.
    pcm: Box<[i16]>,
    history: usize,
    end: usize,
    payload: Box<[u8; MOST_PAYLOAD]>,
    counts: JitterCounts,
}

impl JitterBuffer {
    /// A buffer, with all the memory that it will ever use.
    #[must_use]
    pub fn new(config: JitterConfig) -> Self {
        let rate = config.sample_rate;
        let samples = |duration: Duration| {
            i64::try_from(duration.as_micros() * u128::from(rate) / 1_000_000).unwrap_or(i64::MAX)
        };
        let initial = match config.mode {
            JitterMode::Adaptive { initial, .. } => initial,
            JitterMode::Fixed { delay } => delay,
        };
        let concealer = Concealer::new(rate);
        let history = concealer.history_samples();
        // What waits at most before a packet of 120 ms is decoded: 60 ms of frame, 30 to shorten.
        let room = history + to_usize(rate / 1_000 * (MOST_PACKET_MS + 120));
        let tens = usize::try_from(most(config.mode).as_millis() / 10).unwrap_or(usize::MAX);
        Self {
            rate,
            mode: config.mode,
            wire: Wire::new(rate, config.clock_rate),
            store: Store::new(tens.clamp(8, 1_000) * 3 / 2, config.payload_bytes),
            delays: DelayEstimator::new(rate, samples(initial)),
            losses: LossEstimator::default(),
            concealer,
            noise: NoiseGenerator::new(0x9E37_79B9),
            state: State::Pausing,
            next: i64::MIN,
            due: i64::MAX,
            fresh: true,
            newest: i64::MIN,
            head: 0,
            owed: 0,
            concealing: 0,
            duration: to_usize(rate / 50),
            level: i64::MAX,
            levels: 0,
            ahead: 0,
            patience: 0,
            loudest: 0,
            pcm: vec![0; room].into(),
            history,
            end: history,
            payload: Box::new([0; MOST_PAYLOAD]),
            counts: JitterCounts::default(),
        }
    }

    /// The counts so far.
    #[must_use]
    pub const fn counts(&self) -> JitterCounts {
        self.counts
    }

    /// Packets that wait.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.store.held()
    }

    /// Samples that are decoded and wait to be pulled.
    #[must_use]
    pub const fn pending(&self) -> usize {
        self.end - self.history
    }

    /// How long after the fastest packet's way the next sample would be played at `now`: the delay
    /// that this buffer adds. Zero in a pause.
    #[must_use]
    pub fn delay(&self, now: Time) -> Duration {
        if self.state == State::Pausing {
            return Duration::ZERO;
        }
        let pending = i64::try_from(self.pending()).unwrap_or(i64::MAX);
        let samples = self.late_by(self.samples(now), self.head.saturating_sub(pending));
        let samples = u64::try_from(samples.max(0)).unwrap_or(0);
        Duration::from_micros(samples.saturating_mul(1_000_000) / u64::from(self.rate))
    }

    /// The delay that it aims at.
    #[must_use]
    pub fn target(&self) -> Duration {
        let samples = u64::try_from(self.target_samples()).unwrap_or(0);
        Duration::from_micros(samples.saturating_mul(1_000_000) / u64::from(self.rate))
    }

    fn samples(&self, now: Time) -> i64 {
        let samples = u128::from(now.as_nanos()) * u128::from(self.rate) / 1_000_000_000;
        i64::try_from(samples).unwrap_or(i64::MAX)
    }

    fn of_ms(&self, ms: i64) -> i64 {
        i64::from(self.rate) * ms / 1_000
    }

    fn of(&self, duration: Duration) -> i64 {
        self.of_ms(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 1_000_000))
    }

    /// How late something of `timeline` would be at `now`.
    fn late_by(&self, now: i64, timeline: i64) -> i64 {
        now.saturating_sub(self.delays.base()).saturating_sub(timeline)
    }

    fn target_samples(&self) -> i64 {
        match self.mode {
            JitterMode::Adaptive { least, most, .. } => {
                let most = self.of(most) - self.of_ms(SLACK_MS);
                let next = if self.losses.waits() { to_i64(self.duration) } else { 0 };
                self.delays.target().saturating_add(next).max(self.of(least)).min(most)
            }
            JitterMode::Fixed { delay } => self.of(delay),
        }
    }

    /// Takes a packet in.
    pub fn insert(
        &mut self,
        now: Time,
        (ssrc, sequence, timestamp): (u32, u16, u32),
        payload: Payload<'_>,
    ) -> Inserted {
        let now = self.samples(now);
        let (kind, bytes) = match payload {
            Payload::Audio(bytes) => (Kind::Audio, bytes),
            Payload::Noise(bytes) => (Kind::Noise, bytes),
            Payload::Event => (Kind::Other, Default::default()),
        };
        if bytes.len() > MOST_PAYLOAD {
            self.counts.strange += 1;
            return Inserted::TooBig;
        }
        let arrived = now.saturating_sub(self.delays.base());
        let (sequence, timeline) = match self.wire.place(ssrc, sequence, timestamp, arrived) {
            Place::Strange => {
                self.counts.strange += 1;
                return Inserted::Strange;
            }
            Place::New { sequence, timeline } => {
                self.restart(sequence);
                (sequence, timeline)
            }
            Place::Here { sequence, timeline, .. } => (sequence, timeline),
        };
        if self.store.knows(sequence) {
            self.counts.duplicate += 1;
            return Inserted::Duplicate;
        }
        if kind == Kind::Audio {
            self.delays.note(now, timeline);
        }
        if sequence < self.next {
            if !self.fresh {
                self.counts.late += 1;
                return Inserted::Late;
            }
            // The first packets of a stream may have overtaken each other.
            self.next = sequence;
        }
        if !self.make_room(sequence, bytes.len()) {
            self.counts.strange += 1;
            return Inserted::TooBig;
        }
        self.newest = self.newest.max(sequence);
        self.store.insert(sequence, kind, timeline, bytes);
        self.counts.kept += 1;
        Inserted::Kept
    }

    /// Another source: what waits of the old one is dropped, its last sound led over into the new.
    fn restart(&mut self, sequence: i64) {
        if self.next != i64::MIN {
            self.counts.restarts += 1;
            self.counts.discarded += u64::try_from(self.store.held()).unwrap_or(0);
            self.store.clear();
            self.delays.restart();
        }
        (self.next, self.newest, self.fresh) = (sequence, sequence, true);
        self.due = i64::MAX;
        self.owed = 0;
        self.pause();
    }

    fn pause(&mut self) {
        self.state = State::Pausing;
        (self.levels, self.patience) = (0, 0);
        self.owed = 0;
    }

    /// Drops the oldest packets until this one fits; false when it never will.
    fn make_room(&mut self, sequence: i64, length: usize) -> bool {
        let capacity = i64::try_from(self.store.capacity()).unwrap_or(i64::MAX);
        while self.store.held() > 0 {
            let Some(first) = self.first_held() else { break };
            let oldest = first.sequence;
            if sequence.saturating_sub(oldest) < capacity && self.store.fits(length) {
                break;
            }
            self.drop_packet(oldest);
        }
        // What is too old for its place in the ring has none.
        self.next = self.next.max(self.newest.max(sequence) - capacity + 1);
        if sequence < self.next {
            return false;
        }
        self.store.fits(length)
    }

    fn drop_packet(&mut self, sequence: i64) {
        self.store.remove(sequence);
        (self.next, self.fresh) = (self.next.max(sequence + 1), false);
        self.counts.discarded += 1;
    }

    /// The first packet that waits.
    fn first_held(&self) -> Option<Slot> {
        if self.store.held() == 0 {
            return None;
        }
        (self.next..=self.newest).find_map(|sequence| self.store.get(sequence)).copied()
    }

    /// Fills `out`, 60 ms at most, with what is to be heard from `now` on.
    pub fn pull<D: Decode>(&mut self, now: Time, decoder: &mut D, out: &mut [i16]) {
        let now = self.samples(now);
        let wanted = out.len().min(to_usize(self.rate / 1_000 * 60));
        while self.pending() < wanted {
            self.refill(now, decoder, wanted);
        }
        if self.state == State::Playing && self.concealing == 0 {
            match self.mode {
                JitterMode::Adaptive { .. } => self.adapt(now, decoder, wanted),
                JitterMode::Fixed { .. } => self.settle(wanted),
            }
        }
        let from = self.history;
        if let Some((to, ready)) = out.get_mut(..wanted).zip(self.pcm.get(from..from + wanted)) {
            to.copy_from_slice(ready);
        }
        // What was pulled becomes history.
        self.pcm.copy_within(wanted..self.end, 0);
        self.end -= wanted;
    }

    /// Brings more sound, or takes a packet that has none out of the way.
    fn refill<D: Decode>(&mut self, now: i64, decoder: &mut D, wanted: usize) {
        let first = self.first_held();
        match (self.state, first) {
            (State::Pausing, first) => self.refill_pause(now, decoder, first, wanted),
            (State::Playing, Some(slot)) => self.refill_from(now, decoder, slot),
            (State::Playing, None) => self.starve(now, decoder),
        }
    }

    /// In a pause: the first packet when it is due, else noise.
    fn refill_pause<D: Decode>(
        &mut self,
        now: i64,
        decoder: &mut D,
        first: Option<Slot>,
        wanted: usize,
    ) {
        let due = first.filter(|slot| {
            slot.kind == Kind::Other || self.late_by(now, slot.timeline) >= self.target_samples()
        });
        match due {
            Some(slot) if slot.kind == Kind::Audio => {
                if self.drop_overdue(now, slot) {
                    return;
                }
                self.state = State::Playing;
                self.head = slot.timeline;
                self.next = slot.sequence;
                self.fetch(now, decoder, slot);
            }
            Some(slot) => self.take_quiet(slot),
            None => {
                let count = wanted - self.pending();
                let end = self.end;
                if let Some(room) = self.pcm.get_mut(end..end + count) {
                    self.noise.fill(room);
                    // A word that was cut off fades into the pause.
                    self.concealer.rejoin(room);
                }
                self.end += count;
                self.counts.noise += to_u64(count);
            }
        }
    }

    /// A packet that only says what to be silent with.
    fn take_quiet(&mut self, slot: Slot) {
        if slot.kind == Kind::Noise {
            let length = self.store.read(&slot, self.payload.as_mut_slice());
            let payload = self.payload.get(..length).unwrap_or_default();
            self.noise.set(ComfortNoise::parse(payload).unwrap_or(ComfortNoise::white(127)));
            self.fade_out();
            self.pause();
        }
        self.store.remove(slot.sequence);
        (self.next, self.fresh) = (slot.sequence + 1, false);
        self.due = self.due.max(self.next);
        self.counts.decoded += 1;
    }

    /// The sound played last shall go on a little and fade.
    fn fade_out(&mut self) {
        if matches!(self.mode, JitterMode::Adaptive { .. }) && !self.concealer.is_active() {
            let end = self.end;
            self.concealer.conceal(self.pcm.get(..end).unwrap_or_default(), &mut []);
        }
    }

    /// While playing: the packet if its place is next, else what lies between.
    fn refill_from<D: Decode>(&mut self, now: i64, decoder: &mut D, slot: Slot) {
        if slot.kind != Kind::Audio {
            self.take_quiet(slot);
            return;
        }
        if self.drop_overdue(now, slot) {
            return;
        }
        let missing = slot.sequence - self.next;
        let owed = (slot.timeline - self.head).clamp(0, self.owed);
        if owed > 0 {
            // What was made up while nothing came stood for what is now known to be lost.
            self.head += owed;
            self.owed -= owed;
            self.counts.inserted -= owed.unsigned_abs();
            self.counts.concealed += owed.unsigned_abs();
        }
        let gap = slot.timeline - self.head;
        if gap <= 0 {
            self.counts.lost += missing.unsigned_abs();
            self.next = slot.sequence;
            self.fetch(now, decoder, slot);
        } else if missing == 0 || self.concealing >= to_usize(self.rate / 1_000 * GIVE_UP_MS) {
            // The speaker paused: a gap in time that no number is missing for.
            self.fade_out();
            self.pause();
        } else {
            let count = usize::try_from(gap).unwrap_or(usize::MAX).min(self.duration);
            let next = (count == usize::try_from(gap).unwrap_or(usize::MAX)).then_some(slot);
            self.make_up(decoder, next, count);
            self.head += to_i64(count);
            self.counts.concealed += to_u64(count);
        }
    }

    /// Nothing waits: make something up, and do not give up yet what may still come.
    fn starve<D: Decode>(&mut self, now: i64, decoder: &mut D) {
        if self.concealing >= to_usize(self.rate / 1_000 * GIVE_UP_MS) {
            self.fade_out();
            self.pause();
            return;
        }
        let count = to_usize(self.rate / 100);
        self.make_up(decoder, None, count);
        if self.late_by(now, self.head) + to_i64(count) > self.of(most(self.mode)) {
            self.head += to_i64(count);
            self.counts.concealed += to_u64(count);
        } else {
            self.owed += to_i64(count);
            self.counts.inserted += to_u64(count);
        }
    }

    /// Drops a packet that would be played beyond the bound; true when it did.
    fn drop_overdue(&mut self, now: i64, slot: Slot) -> bool {
        if self.late_by(now, slot.timeline) <= self.of(most(self.mode)) {
            return false;
        }
        self.fade_out();
        self.drop_packet(slot.sequence);
        let following = self.first_held().map(|slot| slot.timeline);
        self.head = self.head.max(following.unwrap_or(slot.timeline + to_i64(self.duration)));
        self.owed = 0;
        true
    }

    /// Makes `count` samples up.
    fn make_up<D: Decode>(&mut self, decoder: &mut D, next: Option<Slot>, count: usize) {
        let length = next.map_or(0, |slot| self.store.read(&slot, self.payload.as_mut_slice()));
        let payload = next.and(self.payload.get(..length));
        let (heard, room) = self.pcm.split_at_mut(self.end);
        let Some(room) = room.get_mut(..count) else { return };
        match self.mode {
            JitterMode::Fixed { .. } => {
                if !decoder.conceal(payload, room) {
                    room.fill(0);
                }
            }
            JitterMode::Adaptive { .. } => {
                if self.concealer.is_active() || !decoder.conceal(payload, room) {
                    self.concealer.conceal(heard, room);
                }
            }
        }
        self.end += count;
        self.concealing = self.concealing.saturating_add(count);
    }

    /// Decodes a packet whose time has come.
    fn fetch<D: Decode>(&mut self, now: i64, decoder: &mut D, slot: Slot) {
        let ahead = self.pending();
        let length = self.store.read(&slot, self.payload.as_mut_slice());
        self.store.remove(slot.sequence);
        let payload = self.payload.get(..length).unwrap_or_default();
        let brings = slot.sequence > self.due && decoder.carries_previous(payload);
        self.losses.note(brings, to_i64(self.duration), self.of_ms(MS_A_LOST_PERCENT));
        (self.next, self.fresh) = (slot.sequence + 1, false);
        self.due = self.next;
        self.counts.decoded += 1;
        let most = to_usize(self.rate / 1_000 * MOST_PACKET_MS);
        let end = self.end;
        let payload = self.payload.get(..length).unwrap_or_default();
        let room = self.pcm.get_mut(end..).unwrap_or_default();
        let room_samples = room.len().min(most);
        let count = room
            .get_mut(..room_samples)
            .map_or(0, |room| decoder.decode(payload, room).min(room_samples));
        if count == 0 {
            let count = self.duration.min(room_samples);
            self.make_up(decoder, None, count);
            self.head = slot.timeline + to_i64(count);
            self.counts.concealed += to_u64(count);
            return;
        }
        let trimmed = usize::try_from(self.head - slot.timeline).unwrap_or(0).min(count);
        self.pcm.copy_within(end + trimmed..end + count, end);
        if let Some(kept) = self.pcm.get_mut(end..end + count - trimmed) {
            self.concealer.rejoin(kept);
        }
        self.end += count - trimmed;
        self.head = self.head.max(slot.timeline + to_i64(count));
        self.duration = count;
        self.concealing = 0;
        self.counts.played += to_u64(count - trimmed);
        self.counts.trimmed += to_u64(trimmed);
        let level = self.late_by(now, slot.timeline);
        let first = self.levels == 0;
        self.level = if first { level } else { self.level.min(level) };
        self.ahead = if first { ahead } else { self.ahead.min(ahead) };
        self.levels = self.levels.saturating_add(1);
    }
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn to_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
