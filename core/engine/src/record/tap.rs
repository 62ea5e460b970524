//! The tap on a stream: both directions through a jitter buffer of one fixed delay, so that they
//! stand beside each other as they were, by the clock into the ring's blocks. Where nothing came
//! there is silence; nothing is stretched.

use std::sync::Arc;
use std::time::Duration;

use koukan_base::{OpId, Time};
use koukan_codecs::opus::OpusError;
use koukan_codecs::{Decoder, Resampler, bytes_per_second};
use koukan_media::jitter::{JitterBuffer, JitterConfig, JitterMode, Payload};
use koukan_media::{Codec, RecordEnd, RecordRules, Recorded, Recording, RtpHeader};

use super::ring::{Block, Ring};

/// How far behind the clock sound is taken down: what comes later than this is not recorded.
const DELAY: Duration = Duration::from_millis(200);

/// Sound is taken down in steps of this: so exactly is it placed after a pause.
const STEP: Duration = Duration::from_millis(5);

/// Samples of a step at the highest rate, and what a resampler may make beyond.
const MOST_STEP: usize = 80;

/// Steps in one go: a tick's four, and what a machine that stood still left over.
const MOST_STEPS: usize = 40;

/// One direction.
#[derive(Debug)]
struct Track {
    codec: Codec,
    jitter: JitterBuffer,
    decoder: Decoder,
    resampler: Option<Resampler>,
    /// Samples of a step at the decoder's rate.
    step: usize,
    /// Made by the resampler and not taken yet.
    made: [i16; 2 * MOST_STEP],
    waiting: usize,
}

impl Track {
    fn new(codec: Codec, sample_rate: u32) -> Result<Self, OpusError> {
        let (decoder, rate) = Decoder::new(codec, sample_rate)?;
        let mode = JitterMode::Fixed { delay: DELAY };
        let jitter = JitterBuffer::new(JitterConfig {
            sample_rate: rate,
            clock_rate: codec.clock_rate(),
            payload_bytes: JitterConfig::payload_room(mode, bytes_per_second(codec)),
            mode,
        });
        Ok(Self {
            codec,
            jitter,
            decoder,
            resampler: Resampler::new(rate, sample_rate),
            step: usize::try_from(rate / 200).unwrap_or(40),
            made: [0; 2 * MOST_STEP],
            waiting: 0,
        })
    }

    /// The next samples of it, as many as `out` takes.
    fn pull(&mut self, now: Time, out: &mut [i16]) {
        let mut decoded = [0; MOST_STEP];
        let decoded = decoded.get_mut(..self.step).unwrap_or_default();
        self.jitter.pull(now, &mut self.decoder, decoded);
        let room = self.made.get_mut(self.waiting..).unwrap_or_default();
        let count = match &mut self.resampler {
            Some(resampler) => resampler.process(decoded, room),
            None => room.iter_mut().zip(decoded).map(|(to, from)| *to = *from).count(),
        };
        self.waiting += count;
        let taken = out.len().min(self.waiting);
        for (to, from) in out.iter_mut().zip(&self.made) {
            *to = *from;
        }
        self.made.copy_within(taken..self.waiting, 0);
        self.waiting -= taken;
    }
}

/// The directions that are recorded, made on the control side for the stream's codec.
#[derive(Debug)]
pub(crate) struct Tracks {
    peer: Track,
    own: Option<Track>,
}

impl Tracks {
    pub(crate) fn new(codec: Codec, what: Recorded, sample_rate: u32) -> Result<Self, OpusError> {
        let own = what.takes_both().then(|| Track::new(codec, sample_rate)).transpose()?;
        Ok(Self { peer: Track::new(codec, sample_rate)?, own })
    }
}

/// A recording on its stream. When it is dropped, the recording has ended.
#[derive(Debug)]
pub(crate) struct Tap {
    pub(crate) op: OpId,
    what: Recorded,
    rules: RecordRules,
    /// Samples of a step in the file.
    step: usize,
    tracks: Option<Box<Tracks>>,
    /// What is taken down next was said at this time.
    next: Option<Time>,
    ring: Arc<Ring>,
    block: Option<Box<[i16]>>,
    filled: usize,
    gap: u64,
    /// The worker is behind: silence is taken down.
    spared: bool,
    over: bool,
}

impl Tap {
    pub(crate) fn new(op: OpId, order: &Recording, ring: Arc<Ring>) -> Self {
        Self {
            op,
            what: order.what,
            rules: RecordRules::new(order),
            step: usize::try_from(order.format.sample_rate() / 200).unwrap_or(40),
            tracks: None,
            next: None,
            ring,
            block: None,
            filled: 0,
            gap: 0,
            spared: false,
            over: false,
        }
    }

    /// It begins.
    pub(crate) const fn start(&mut self, now: Time) {
        self.next = Some(now);
    }

    /// Takes the stream's codec from now on; the tracks of before, to be freed elsewhere.
    pub(crate) const fn turn_to(&mut self, tracks: Option<Box<Tracks>>) -> Option<Box<Tracks>> {
        std::mem::replace(&mut self.tracks, tracks)
    }

    /// A packet of the peer; sound is of a codec.
    pub(crate) fn hear(
        &mut self,
        now: Time,
        header: &RtpHeader,
        codec: Option<Codec>,
        audio: Payload<'_>,
    ) {
        let tracks = self.tracks.as_mut().filter(|_| !self.spared);
        let track = tracks.map(|tracks| &mut tracks.peer);
        let fits = |track: &&mut Track| codec.is_none_or(|codec| codec == track.codec);
        if let Some(track) = track.filter(fits) {
            let numbers = (header.ssrc, header.sequence, header.timestamp);
            let _ = track.jitter.insert(now, numbers, audio);
        }
    }

    /// A packet to the peer.
    pub(crate) fn say(&mut self, now: Time, header: &RtpHeader, codec: Codec, audio: Payload<'_>) {
        let tracks = self.tracks.as_mut().filter(|_| !self.spared);
        let track = tracks.and_then(|tracks| tracks.own.as_mut());
        if let Some(track) = track.filter(|track| track.codec == codec) {
            let numbers = (header.ssrc, header.sequence, header.timestamp);
            let _ = track.jitter.insert(now, numbers, audio);
        }
    }

    /// Whether a key of the peer ends it.
    pub(crate) fn digit(&self, digit: u8) -> Option<RecordEnd> {
        self.rules.digit(digit)
    }

    /// Takes down what is due, or silence in its place where the worker is to be `spared`; whether
    /// that ends it.
    pub(crate) fn tick(&mut self, now: Time, spared: bool) -> Option<RecordEnd> {
        self.spared = spared;
        if self.ring.has_failed() {
            return Some(RecordEnd::DiskError);
        }
        for _ in 0..MOST_STEPS {
            let next = self.next.filter(|next| *next + DELAY <= now)?;
            let end = if spared { self.pass_over(next) } else { self.take_down(next) };
            if end.is_some() {
                return end;
            }
        }
        None
    }

    /// It ends `now`: what is not taken down yet is, and the writer is told.
    pub(crate) fn finish(&mut self, now: Time, end: RecordEnd) {
        if end == RecordEnd::Stopped || matches!(end, RecordEnd::Digit(_)) {
            // What has been said until now lies in the buffers.
            for _ in 0..MOST_STEPS * 2 {
                let Some(next) = self.next.filter(|next| *next < now) else { break };
                if self.take_down(next).is_some() {
                    break;
                }
            }
        }
        self.close(end);
    }

    /// 5 ms that were said at `at`.
    fn take_down(&mut self, at: Time) -> Option<RecordEnd> {
        self.next = Some(at + STEP);
        let played = at + DELAY;
        let (mut peer, mut own) = ([0; MOST_STEP], [0; MOST_STEP]);
        let count = self.rules.room(self.step);
        let peer = peer.get_mut(..count).unwrap_or_default();
        let own = own.get_mut(..count).unwrap_or_default();
        if let Some(tracks) = &mut self.tracks {
            tracks.peer.pull(played, peer);
            if let Some(track) = &mut tracks.own {
                track.pull(played, own);
            }
        }
        self.write(peer, own);
        self.rules.note(peer)
    }

    /// Silence in place of 5 ms that were said at `at`, counted as what was dropped.
    fn pass_over(&mut self, at: Time) -> Option<RecordEnd> {
        self.next = Some(at + STEP);
        self.give_block();
        let count = u64::try_from(self.rules.room(self.step)).unwrap_or(0);
        self.gap += count;
        self.ring.note_dropped(count);
        self.rules.pass_over(count)
    }

    fn write(&mut self, peer: &[i16], own: &[i16]) {
        if self.block.is_none() {
            self.block = self.ring.room();
        }
        let Some(block) = &mut self.block else {
            let count = u64::try_from(peer.len()).unwrap_or(0);
            self.gap += count;
            self.ring.note_dropped(count);
            return;
        };
        let mut put = |sample| {
            if let Some(place) = block.get_mut(self.filled) {
                *place = sample;
                self.filled += 1;
            }
        };
        for (peer, own) in peer.iter().zip(own) {
            match self.what {
                Recorded::Peer => put(*peer),
                Recorded::Mixed => put(peer.saturating_add(*own)),
                Recorded::Stereo => {
                    put(*peer);
                    put(*own);
                }
            }
        }
        // A block holds whole steps.
        if self.filled >= block.len() {
            self.give_block();
        }
    }

    fn give_block(&mut self) {
        if let Some(samples) = self.block.take() {
            let (filled, gap) = (self.filled, self.gap);
            (self.filled, self.gap) = (0, 0);
            self.ring.give(Block { samples, filled, gap });
        }
    }

    fn close(&mut self, end: RecordEnd) {
        if !self.over {
            self.over = true;
            if self.gap > 0 && self.block.is_none() {
                // Silence that no sound follows is part of it, too.
                self.block = self.ring.room();
            }
            self.give_block();
            self.ring.finish(end);
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.close(RecordEnd::Stopped);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use koukan_media::RecordFormat;

    use super::*;

    fn order(what: Recorded) -> Recording {
        Recording {
            path: Path::new("/x.wav").into(),
            seal: false,
            what,
            format: RecordFormat::Linear8k,
            longest: Duration::from_secs(60),
            silence: None,
            stop_digits: None,
            call: None,
        }
    }

    fn header(number: u16) -> RtpHeader {
        RtpHeader {
            marker: false,
            payload_type: 0,
            sequence: number,
            timestamp: u32::from(number) * 160,
            ssrc: 7,
            payload_start: 12,
            payload_end: 172,
        }
    }

    fn tap(what: Recorded) -> (Tap, Arc<Ring>) {
        let order = order(what);
        let ring = Arc::new(Ring::new(8_000, what.channels()));
        let mut tap = Tap::new(OpId(1), &order, ring.clone());
        drop(tap.turn_to(Some(Box::new(Tracks::new(Codec::L16, what, 8_000).unwrap()))));
        (tap, ring)
    }

    fn all(ring: &Ring) -> Vec<i16> {
        let mut all = Vec::new();
        while let Some(block) = ring.take() {
            all.resize(all.len() + usize::try_from(block.gap).unwrap(), 0);
            all.extend_from_slice(&block.samples[..block.filled]);
            ring.give_back(block.samples);
        }
        all
    }

    /// Both directions in µ-law: the peer's packets n are of the value 100 + n, ours 10 ms later.
    #[test]
    fn both_directions_stand_beside_each_other_to_the_sample_and_silence_where_nothing_came() {
        let (mut tap, ring) = tap(Recorded::Stereo);
        let tracks = Tracks::new(Codec::Pcmu, Recorded::Stereo, 8_000).unwrap();
        drop(tap.turn_to(Some(Box::new(tracks))));
        let begin = Time::from_millis(5_000);
        tap.start(begin);
        for ms in 0..1_000u64 {
            let now = begin + Duration::from_millis(ms);
            let number = u16::try_from(ms / 20).unwrap();
            // The peer pauses from 400 to 600 ms.
            if ms % 20 == 0 && !(400..600).contains(&ms) {
                tap.hear(now, &header(number), Some(Codec::Pcmu), Payload::Audio(&[0x20; 160]));
            }
            if ms % 20 == 10 {
                tap.say(now, &header(number), Codec::Pcmu, Payload::Audio(&[0xA0; 160]));
            }
            if ms % 20 == 19 {
                assert_eq!(tap.tick(now, false), None);
            }
        }
        tap.finish(begin + Duration::from_millis(1_000), RecordEnd::Stopped);
        let all = all(&ring);
        assert_eq!((all.len(), ring.dropped()), (16_000, 0));
        let (mut value, mut negative) = ([0; 1], [0; 1]);
        koukan_codecs::g711::decode_ulaw(&[0xA0], &mut value);
        koukan_codecs::g711::decode_ulaw(&[0x20], &mut negative);
        let left: Vec<i16> = all.iter().step_by(2).copied().collect();
        let right: Vec<i16> = all.iter().skip(1).step_by(2).copied().collect();
        let sounding = |of: &[i16], wanted: i16| of.iter().filter(|s| **s == wanted).count();
        assert_eq!((sounding(&left, negative[0]), sounding(&left, 0)), (6_400, 1_600));
        assert!(left[3_200..4_800].iter().all(|sample| *sample == 0), "the pause is in its place");
        assert_eq!(right.iter().position(|sample| *sample != 0), Some(80), "10 ms after the peer");
        assert_eq!(sounding(&right, value[0]), 7_920);
    }

    #[test]
    fn a_disk_that_stands_still_costs_silence_which_is_counted_and_what_follows_is_in_its_place() {
        let (mut tap, ring) = tap(Recorded::Peer);
        let tracks = Tracks::new(Codec::Pcmu, Recorded::Peer, 8_000).unwrap();
        drop(tap.turn_to(Some(Box::new(tracks))));
        let begin = Time::from_millis(5_000);
        tap.start(begin);
        let mut file = Vec::new();
        for number in 0..500u16 {
            let now = begin + Duration::from_millis(u64::from(number) * 20);
            tap.hear(now, &header(number), Some(Codec::Pcmu), Payload::Audio(&[0x20; 160]));
            assert_eq!(tap.tick(now, false), None);
            // The disk works again after six seconds.
            if number >= 300 {
                file.extend(all(&ring));
            }
        }
        tap.finish(begin + Duration::from_secs(10), RecordEnd::Stopped);
        file.extend(all(&ring));
        assert_eq!(file.len(), 80_000);
        let dropped = usize::try_from(ring.dropped()).unwrap();
        assert!((14_000..=16_000).contains(&dropped), "{dropped}");
        assert_eq!(file.iter().filter(|sample| **sample == 0).count(), dropped);
        assert!(file[..32_000].iter().chain(&file[32_000 + dropped..]).all(|sample| *sample != 0));
    }

    #[test]
    fn a_worker_that_is_behind_costs_counted_silence_and_what_follows_is_in_its_place() {
        let (mut tap, ring) = tap(Recorded::Peer);
        let tracks = Tracks::new(Codec::Pcmu, Recorded::Peer, 8_000).unwrap();
        drop(tap.turn_to(Some(Box::new(tracks))));
        let begin = Time::from_millis(5_000);
        tap.start(begin);
        let mut file = Vec::new();
        for number in 0..400u16 {
            let now = begin + Duration::from_millis(u64::from(number) * 20);
            tap.hear(now, &header(number), Some(Codec::Pcmu), Payload::Audio(&[0x20; 160]));
            // Behind for two seconds, and again at the end.
            let spared = (100..200).contains(&number) || number >= 350;
            assert_eq!(tap.tick(now, spared), None);
            file.extend(all(&ring));
        }
        tap.close(RecordEnd::Stopped);
        file.extend(all(&ring));
        // What lies within the delay of the buffers is the next tick's.
        assert_eq!(file.len(), (400 * 20 - 20 - 200 + 5) * 8);
        assert_eq!(ring.dropped(), (100 + 50) * 160);
        let silent = file.iter().filter(|sample| **sample == 0).count();
        let dropped = usize::try_from(ring.dropped()).unwrap();
        // Packets that came meanwhile are not there; their successors are in their place.
        assert!((dropped..dropped + 3_200).contains(&silent), "{silent} of {dropped}");
        assert!(file[..12_000].iter().all(|sample| *sample != 0));
        assert!(file[36_000..48_000].iter().all(|sample| *sample != 0));
    }

    #[test]
    fn a_tap_that_is_dropped_has_stopped_and_one_whose_disk_failed_says_so() {
        let (tap, ring) = tap(Recorded::Peer);
        drop(tap);
        assert_eq!(ring.end(), Some(RecordEnd::Stopped));
        let (mut tap, ring) = self::tap(Recorded::Mixed);
        ring.fail();
        assert_eq!(tap.tick(Time::ZERO, false), Some(RecordEnd::DiskError));
        tap.finish(Time::ZERO, RecordEnd::DiskError);
        assert_eq!(ring.end(), Some(RecordEnd::DiskError));
    }
}
