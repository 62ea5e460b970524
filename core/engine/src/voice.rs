//! What a stream needs to speak and to hear by the clock: a speaker that turns samples into its
//! codec's packets, and a hearing that turns another stream's packets into samples. Both are made
//! on the control side.

use std::time::Duration;

use koukan_base::Time;
use koukan_codecs::opus::{OpusError, OpusSettings};
use koukan_codecs::{Decoder, Encoder, Resampler, bytes_per_second, sample_rate};
use koukan_media::jitter::{JitterBuffer, JitterConfig, JitterMode, Payload};
use koukan_media::{Codec, CodecParams, Redundancy, RtpHeader};

/// Samples of 20 ms at the rate of prompts.
pub(crate) const NARROW_FRAME: usize = 160;

/// Samples of 20 ms at the highest rate that a stream is spoken at.
pub(crate) const WIDE_FRAME: usize = 320;

/// An event packet keeps the sound away for so long: until the next one, and a little.
const EVENT_HOLD: Duration = Duration::from_millis(60);

/// A muted packet is heard no more so long after its time in the buffer.
const MUTED_HOLD: Duration = Duration::from_millis(40);

/// Encodes what a stream says, in packets of its own time.
#[derive(Debug)]
pub(crate) struct Speaker {
    params: CodecParams,
    encoder: Encoder,
    redundancy: Redundancy,
    from_narrow: Option<Resampler>,
    pending: Box<[i16]>,
    filled: usize,
    packet: usize,
}

impl Speaker {
    pub(crate) fn new(params: CodecParams, settings: OpusSettings) -> Result<Self, OpusError> {
        let rate = sample_rate(params.codec);
        let packet =
            usize::try_from(rate / 1_000).unwrap_or(8) * usize::from(params.ptime_ms.max(10));
        Ok(Self {
            params,
            encoder: Encoder::new(params.codec, settings)?,
            redundancy: Redundancy::default(),
            from_narrow: Resampler::new(8_000, rate),
            pending: vec![0; packet + 2 * WIDE_FRAME].into(),
            filled: 0,
            packet,
        })
    }

    pub(crate) const fn params(&self) -> CodecParams {
        self.params
    }

    /// The peer reports what share it lost, in 256ths.
    pub(crate) fn reported(&mut self, fraction_lost: u8) {
        if let Some(expected) = self.redundancy.report(fraction_lost) {
            self.encoder.expect_loss(expected);
        }
    }

    /// Whether it shall cost as little CPU as it can.
    pub(crate) fn spare(&mut self, spared: bool) {
        self.encoder.spare(spared);
    }

    /// What a packet moves the RTP timestamp by.
    pub(crate) fn ticks(&self) -> u32 {
        u32::from(self.params.ptime_ms.max(10)) * (self.params.codec.clock_rate() / 1_000)
    }

    /// Says samples at the speaker's own rate.
    pub(crate) fn say(&mut self, samples: &[i16]) {
        let end = (self.filled + samples.len()).min(self.pending.len());
        if let Some(room) = self.pending.get_mut(self.filled..end) {
            for (to, from) in room.iter_mut().zip(samples) {
                *to = *from;
            }
        }
        self.filled = end;
    }

    /// Says samples at 8 kHz.
    pub(crate) fn say_narrow(&mut self, samples: &[i16]) {
        let Some(resampler) = &mut self.from_narrow else {
            self.say(samples);
            return;
        };
        let Some(room) = self.pending.get_mut(self.filled..) else { return };
        self.filled += resampler.process(samples, room);
    }

    /// The next whole packet, encoded; how many bytes, `None` until there is enough.
    pub(crate) fn packet(&mut self, payload: &mut [u8]) -> Option<usize> {
        let samples = self.pending.get(..self.packet).filter(|_| self.filled >= self.packet)?;
        let length = self.encoder.encode(samples, payload);
        self.pending.copy_within(self.packet..self.filled, 0);
        self.filled -= self.packet;
        Some(length)
    }
}

/// Hears what another stream receives in a codec that this one does not send.
#[derive(Debug)]
pub(crate) struct Hearing {
    from: Codec,
    jitter: JitterBuffer,
    decoder: Decoder,
    resampler: Option<Resampler>,
    /// 20 ms at the decoder's rate.
    frame: usize,
    decoded: [i16; WIDE_FRAME],
    event_until: Time,
    muted_until: Time,
}

/// What a packet means for the sound around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Around {
    /// Nothing.
    Plain,
    /// It is an event that is passed on: nothing is said meanwhile.
    Event,
    /// A key is down in it that the peer is told otherwise: silence, also of what waits.
    Muted,
}

impl Hearing {
    pub(crate) fn new(from: Codec, to: Codec) -> Result<Self, OpusError> {
        Self::at_rate(from, sample_rate(to), JitterMode::VOICE)
    }

    /// Of a codec, at a rate.
    pub(crate) fn at_rate(from: Codec, to_rate: u32, mode: JitterMode) -> Result<Self, OpusError> {
        let (decoder, rate) = Decoder::new(from, to_rate)?;
        let jitter = JitterBuffer::new(JitterConfig {
            sample_rate: rate,
            clock_rate: from.clock_rate(),
            payload_bytes: JitterConfig::payload_room(mode, bytes_per_second(from)),
            mode,
        });
        Ok(Self {
            from,
            jitter,
            decoder,
            resampler: Resampler::new(rate, to_rate),
            frame: usize::try_from(rate / 50).unwrap_or(NARROW_FRAME),
            decoded: [0; WIDE_FRAME],
            event_until: Time::ZERO,
            muted_until: Time::ZERO,
        })
    }

    pub(crate) const fn from(&self) -> Codec {
        self.from
    }

    /// Packets that came too late for it, and the delay that it aims at.
    pub(crate) fn lateness(&self) -> (u64, Duration) {
        (self.jitter.counts().late, self.jitter.target())
    }

    /// A packet of the other stream.
    pub(crate) fn insert(
        &mut self,
        now: Time,
        header: &RtpHeader,
        payload: Payload<'_>,
        around: Around,
    ) {
        match around {
            Around::Plain => {}
            Around::Event => self.event_until = now + EVENT_HOLD,
            Around::Muted => self.muted_until = now + self.jitter.target() + MUTED_HOLD,
        }
        let numbers = (header.ssrc, header.sequence, header.timestamp);
        // What became of it is in the buffer's counts.
        let _ = self.jitter.insert(now, numbers, payload);
    }

    /// Whether a key is being pressed: the sound waits.
    pub(crate) fn is_in_event(&self, now: Time) -> bool {
        now < self.event_until
    }

    /// 20 ms at the speaker's rate; how many samples.
    pub(crate) fn pull(&mut self, now: Time, out: &mut [i16; WIDE_FRAME]) -> usize {
        let Some(decoded) = self.decoded.get_mut(..self.frame) else { return 0 };
        self.jitter.pull(now, &mut self.decoder, decoded);
        if now < self.muted_until {
            decoded.fill(0);
        }
        match &mut self.resampler {
            Some(resampler) => resampler.process(decoded, out),
            None => {
                let count = decoded.len();
                if let Some(to) = out.get_mut(..count) {
                    to.copy_from_slice(decoded);
                }
                count
            }
        }
    }
}
