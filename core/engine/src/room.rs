//! A room: the members' sound through a mixer, each of them hears the others. Made on the control
//! side for a number of places and a rate; when it needs more of either, another takes its place.
//! Members that hear the same in the same codec share one encoding. A room that outgrows one worker
//! has a part on several; each is one of these, and knows the others as [`Neighbours`].

use koukan_base::{BridgeId, StreamId, Time};
use koukan_codecs::opus::{OpusError, OpusSettings};
use koukan_codecs::{Encoder, Resampler, sample_rate};
use koukan_media::jitter::JitterMode;
use koukan_media::mixer::{Mixer, MixerConfig, TalkerEvent};
use koukan_media::{Codec, CodecParams};

use crate::limits::ROOM_PARTS;
use crate::neighbour::{Neighbour, Neighbours};
use crate::stream::{Play, fill};
use crate::voice::{Hearing, NARROW_FRAME, WIDE_FRAME};

/// Who are summed at once; a room with no more members sums all of them.
const TALKERS: usize = 8;

/// What nobody is called who whispers or is whispered to.
const PLAYER: u64 = u64::MAX;

/// Bytes of the longest shared packet: 20 ms of linear samples.
const SHARED_PACKET: usize = 700;

/// What a member brings, made for its codec and the room's rate.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) room: BridgeId,
    pub(crate) muted: bool,
    pub(crate) hearing: Hearing,
    /// From the room's rate to the member's.
    pub(crate) to_own: Option<Resampler>,
    /// Its place in the mixer, once it has one.
    pub(crate) place: Option<usize>,
    /// Its sound has begun.
    begun: bool,
}

impl Seat {
    pub(crate) fn new(
        room: BridgeId,
        muted: bool,
        codec: Codec,
        rate: u32,
    ) -> Result<Self, OpusError> {
        Ok(Self {
            room,
            muted,
            hearing: Hearing::at_rate(codec, rate, JitterMode::VOICE)?,
            to_own: Resampler::new(rate, sample_rate(codec)),
            place: None,
            begun: false,
        })
    }

    /// 20 ms of what the member says; how many samples. Who comes in the middle of a word is heard
    /// from nothing up, since its first sound comes behind its first frame.
    pub(crate) fn pull(&mut self, now: Time, out: &mut [i16; WIDE_FRAME]) -> usize {
        let count = self.hearing.pull(now, out);
        let heard = out.get_mut(..count).unwrap_or_default();
        if !self.begun && heard.iter().any(|sample| *sample != 0) {
            self.begun = true;
            let first = heard.iter().position(|sample| *sample != 0).unwrap_or(0);
            let whole = i32::try_from(count - first).unwrap_or(1).max(1);
            for (step, sample) in (1..).zip(heard.iter_mut().skip(first)) {
                *sample = i16::try_from(i32::from(*sample) * step / whole).unwrap_or(0);
            }
        }
        count
    }
}

/// One encoding of what everybody hears who does not speak.
#[derive(Debug)]
struct Shared {
    codec: Codec,
    encoder: Encoder,
    resampler: Option<Resampler>,
    packet: [u8; SHARED_PACKET],
    /// Bytes of this frame's packet, once it is made.
    length: Option<usize>,
}

/// A room on its worker.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) id: BridgeId,
    pub(crate) mixer: Mixer,
    /// Slots of the streams at each place.
    pub(crate) members: Box<[Option<u32>]>,
    rate: u32,
    /// When the next frame is due, and on which of the twenty milliseconds: the same in all parts.
    pub(crate) next: Time,
    pub(crate) phase: u8,
    neighbours: Neighbours,
    pub(crate) play: Option<Play>,
    /// The place of what is played.
    pub(crate) player: Option<usize>,
    from_narrow: Option<Resampler>,
    /// Samples of a frame.
    pub(crate) frame: usize,
    shared: Box<[Shared]>,
}

impl Room {
    /// A part of a room, with `places` for members, at `rate`; its codecs are those that are
    /// encoded once.
    pub(crate) fn new(
        (id, part, phase): (BridgeId, u16, u8),
        (places, rate): (usize, u32),
        codecs: &[Codec],
        settings: OpusSettings,
    ) -> Result<Self, OpusError> {
        let frame = usize::try_from(rate / 50).unwrap_or(NARROW_FRAME);
        let shared = codecs.iter().map(|codec| {
            Ok(Shared {
                codec: *codec,
                encoder: Encoder::new(*codec, settings)?,
                resampler: Resampler::new(rate, sample_rate(*codec)),
                packet: [0; SHARED_PACKET],
                length: None,
            })
        });
        // One place more, for what is played.
        let members = places + 1;
        let config = MixerConfig { rate, frame, members, talkers: TALKERS, part };
        Ok(Self {
            id,
            mixer: Mixer::new(config),
            members: vec![None; members].into(),
            rate,
            next: Time::ZERO,
            phase,
            neighbours: Neighbours::new(ROOM_PARTS - 1),
            play: None,
            player: None,
            from_narrow: Resampler::new(8_000, rate),
            frame,
            shared: shared.collect::<Result<_, OpusError>>()?,
        })
    }

    /// Takes the place of the one that stands, which is smaller or of a lower rate. Of one of the
    /// same rate its members keep their seats.
    pub(crate) fn replace(&mut self, old: &mut Self) {
        self.next = old.next;
        self.play = old.play.take();
        std::mem::swap(&mut self.neighbours, &mut old.neighbours);
        if self.rate != old.rate {
            return;
        }
        self.mixer.take_over(&old.mixer);
        self.player = old.player;
        for (to, from) in self.members.iter_mut().zip(&old.members) {
            *to = *from;
        }
        std::mem::swap(&mut self.from_narrow, &mut old.from_narrow);
    }

    /// Another part of the room is there.
    pub(crate) fn meet(&mut self, neighbour: Neighbour) -> Result<(), Neighbour> {
        self.neighbours.add(neighbour)
    }

    /// Sums the frame of a number with what the other parts say, and tells them what is said here.
    pub(crate) fn mix(&mut self, number: u64, changed: impl FnMut(TalkerEvent)) {
        self.neighbours.hear(number);
        self.mixer.mix(self.neighbours.distant(), changed);
        self.neighbours.tell(number, &self.mixer);
    }

    /// Whether a member hears something of its own.
    pub(crate) fn hears_own(&self, place: usize) -> bool {
        self.mixer.hears_own(place, self.neighbours.distant())
    }

    /// What a member hears.
    pub(crate) fn output(&self, place: usize, out: &mut [i16]) {
        self.mixer.output(place, self.neighbours.distant(), out);
    }

    /// A stream takes a place.
    pub(crate) fn join(&mut self, slot: u32, id: StreamId, muted: bool) -> Option<usize> {
        let place = self.mixer.join(id.0)?;
        self.mixer.mute(place, muted);
        *self.members.get_mut(place)? = Some(slot);
        Some(place)
    }

    /// A stream gives its place up; its last frame fades out.
    pub(crate) fn leave(&mut self, place: usize) {
        self.mixer.leave(place);
        if let Some(member) = self.members.get_mut(place) {
            *member = None;
        }
    }

    /// 20 ms of what is played into the room; true when it has ended with them.
    pub(crate) fn play(&mut self) -> bool {
        if self.play.is_none() {
            return false;
        }
        self.player = self.player.or_else(|| self.mixer.join(PLAYER));
        let mut law = [0; NARROW_FRAME];
        let (mut narrow, mut wide) = ([0; NARROW_FRAME], [0; WIDE_FRAME]);
        let finished = fill(&mut self.play, Codec::Pcma, &mut law);
        koukan_codecs::g711::decode_alaw(&law, &mut narrow);
        let samples = match &mut self.from_narrow {
            Some(resampler) => {
                let made = resampler.process(&narrow, &mut wide);
                wide.get(..made).unwrap_or_default()
            }
            None => &narrow,
        };
        if let Some(input) = self.player.and_then(|place| self.mixer.input(place)) {
            input.fill(0);
            for (to, from) in input.iter_mut().zip(samples) {
                *to = *from;
            }
        }
        if finished && let Some(place) = self.player.take() {
            self.mixer.leave(place);
        }
        finished
    }

    /// The packet of what everybody hears, when this format is encoded once.
    pub(crate) fn shared(&mut self, params: CodecParams) -> Option<&[u8]> {
        let shared = self.shared.iter_mut().find(|shared| shared.codec == params.codec)?;
        if params.ptime_ms != 20 {
            return None;
        }
        let length = match shared.length {
            Some(length) => length,
            None => {
                let common = self.mixer.common();
                let mut own = [0; WIDE_FRAME];
                let samples = match &mut shared.resampler {
                    Some(resampler) => {
                        let made = resampler.process(common, &mut own);
                        own.get(..made).unwrap_or_default()
                    }
                    None => common,
                };
                *shared.length.insert(shared.encoder.encode(samples, &mut shared.packet))
            }
        };
        shared.packet.get(..length)
    }

    /// Whether its encoders shall cost as little CPU as they can.
    pub(crate) fn spare(&mut self, spared: bool) {
        for shared in &mut self.shared {
            shared.encoder.spare(spared);
        }
    }

    /// Ends the frame.
    pub(crate) fn finish(&mut self) {
        self.mixer.finish();
        for shared in &mut self.shared {
            shared.length = None;
        }
    }
}
