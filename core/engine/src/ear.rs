//! What a stream is listened to for: digits as tones (ITU-T Q.24) and the tones of fax machines, in
//! the sound that its peer sends. Made on the control side; it hears packets as they come, without
//! a jitter buffer: what is late is passed over, and what is lost leaves no hole, which would part
//! one digit in two.

use std::time::Duration;

use koukan_base::Time;
use koukan_codecs::opus::OpusError;
use koukan_codecs::{Decoder, Resampler};
use koukan_media::jitter::Decode;
use koukan_media::tone::{DtmfDetector, DtmfEvent, FaxDetector, FaxTone};
use koukan_media::{Codec, RtpHeader};

/// Samples of the longest packet, 120 ms at 16 kHz.
const LONGEST: usize = 1_920;

/// A key of a peer that has fallen silent is let go after so long.
const FORGOTTEN: Duration = Duration::from_millis(200);

/// What is listened for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) dtmf: bool,
    pub(crate) fax: bool,
}

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Pressed(u8),
    /// The key and how long it was down, in ms.
    Released(u8, u32),
    Fax(FaxTone),
}

/// Keys and fax tones that one packet can bring: two keys' ends and beginnings and a tone.
const MOST_FOUND: usize = 6;

/// What one packet brought.
#[derive(Debug, Default)]
pub(crate) struct Finds {
    all: [Option<Found>; MOST_FOUND],
}

impl Finds {
    fn push(&mut self, found: Found) {
        if let Some(place) = self.all.iter_mut().find(|place| place.is_none()) {
            *place = Some(found);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Found> {
        self.all.into_iter().flatten()
    }
}

#[derive(Debug)]
pub(crate) struct Ear {
    codec: Codec,
    decoder: Decoder,
    to_narrow: Option<Resampler>,
    dtmf: Option<DtmfDetector>,
    fax: Option<FaxDetector>,
    /// SSRC and number of the newest packet.
    newest: Option<(u32, u16)>,
    pressed: Option<u8>,
    decoded: [i16; LONGEST],
    narrow: [i16; LONGEST],
}

impl Ear {
    pub(crate) fn new(codec: Codec, wanted: Wanted) -> Result<Self, OpusError> {
        let (decoder, rate) = Decoder::new(codec, 8_000)?;
        Ok(Self {
            codec,
            decoder,
            to_narrow: Resampler::new(rate, 8_000),
            dtmf: wanted.dtmf.then(DtmfDetector::new),
            fax: wanted.fax.then(FaxDetector::new),
            newest: None,
            pressed: None,
            decoded: [0; LONGEST],
            narrow: [0; LONGEST],
        })
    }

    /// The key that is down.
    pub(crate) const fn pressed(&self) -> Option<u8> {
        self.pressed
    }

    /// Listens to a packet of sound.
    pub(crate) fn listen(&mut self, header: &RtpHeader, codec: Codec, payload: &[u8]) -> Finds {
        if codec != self.codec {
            return Finds::default();
        }
        let newer = |(ssrc, sequence): (u32, u16)| {
            ssrc != header.ssrc || (1..0x8000).contains(&header.sequence.wrapping_sub(sequence))
        };
        if !self.newest.is_none_or(newer) {
            return Finds::default();
        }
        self.newest = Some((header.ssrc, header.sequence));
        let count = self.decoder.decode(payload, &mut self.decoded);
        let decoded = self.decoded.get(..count).unwrap_or_default();
        let samples = match &mut self.to_narrow {
            Some(resampler) => {
                let made = resampler.process(decoded, &mut self.narrow);
                self.narrow.get(..made).unwrap_or_default()
            }
            None => decoded,
        };
        let mut finds = Finds::default();
        hear(&mut self.dtmf, &mut self.pressed, samples, &mut finds);
        if let Some(fax) = &mut self.fax {
            fax.listen(samples, |tone| finds.push(Found::Fax(tone)));
        }
        finds
    }

    /// The end of a key whose peer has fallen silent, which was heard last at `heard`.
    pub(crate) fn overdue(&mut self, now: Time, heard: Time) -> Finds {
        let mut finds = Finds::default();
        if self.pressed.is_some() && now.since(heard) >= FORGOTTEN {
            hear(&mut self.dtmf, &mut self.pressed, &[0; 800], &mut finds);
        }
        finds
    }
}

fn hear(
    dtmf: &mut Option<DtmfDetector>,
    pressed: &mut Option<u8>,
    samples: &[i16],
    finds: &mut Finds,
) {
    let Some(dtmf) = dtmf else { return };
    dtmf.listen(samples, |event| match event {
        DtmfEvent::Pressed(key) => {
            *pressed = Some(key);
            finds.push(Found::Pressed(key));
        }
        DtmfEvent::Released(key, ms) => {
            *pressed = None;
            finds.push(Found::Released(key, ms));
        }
    });
}
