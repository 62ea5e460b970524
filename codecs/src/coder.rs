//! One encoder and one decoder for all codecs, chosen once a stream: a match a packet, nothing a
//! sample.

use koukan_media::Codec;
use koukan_media::jitter::Decode;

use crate::opus::{OpusError, OpusSettings};
use crate::{g711, g722, l16, opus};

/// Samples a second that Opus is spoken at: wide-band, at a third of what full band would cost.
pub const OPUS_RATE: u32 = 16_000;

/// Samples a second that a codec is spoken at.
#[must_use]
pub const fn sample_rate(codec: Codec) -> u32 {
    match codec {
        Codec::Pcmu | Codec::Pcma => 8_000,
        Codec::G722 | Codec::L16 => 16_000,
        Codec::Opus => OPUS_RATE,
    }
}

/// Payload bytes a second, at most as telephones set it.
#[must_use]
pub const fn bytes_per_second(codec: Codec) -> usize {
    match codec {
        Codec::Pcmu | Codec::Pcma | Codec::G722 => 8_000,
        Codec::L16 => 32_000,
        Codec::Opus => 16_000,
    }
}

/// A decoder of one stream.
#[derive(Debug)]
pub enum Decoder {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722.
    G722(Box<g722::Decoder>),
    /// Opus.
    Opus(opus::Decoder),
    /// Linear samples.
    L16,
}

impl Decoder {
    /// A decoder and its rate. Opus decodes to any rate, so it takes the one that is wanted.
    ///
    /// # Errors
    /// libopus gives no decoder.
    pub fn new(codec: Codec, wanted_rate: u32) -> Result<(Self, u32), OpusError> {
        let decoder = match codec {
            Codec::Pcmu => Self::Pcmu,
            Codec::Pcma => Self::Pcma,
            Codec::G722 => Self::G722(Box::default()),
            Codec::L16 => Self::L16,
            Codec::Opus => return Ok((Self::Opus(opus::Decoder::new(wanted_rate)?), wanted_rate)),
        };
        Ok((decoder, sample_rate(codec)))
    }
}

impl Decode for Decoder {
    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        match self {
            Self::Pcmu => {
                g711::decode_ulaw(payload, out);
                payload.len().min(out.len())
            }
            Self::Pcma => {
                g711::decode_alaw(payload, out);
                payload.len().min(out.len())
            }
            Self::G722(decoder) => decoder.decode(payload, out),
            Self::Opus(decoder) => decoder.decode(payload, out),
            Self::L16 => l16::decode(payload, out),
        }
    }

    fn conceal(&mut self, next: Option<&[u8]>, out: &mut [i16]) -> bool {
        match self {
            Self::Opus(decoder) => decoder.conceal(next, out),
            Self::Pcmu | Self::Pcma | Self::G722(_) | Self::L16 => false,
        }
    }

    fn carries_previous(&self, payload: &[u8]) -> bool {
        match self {
            Self::Opus(_) => opus::carries_previous(payload),
            Self::Pcmu | Self::Pcma | Self::G722(_) | Self::L16 => false,
        }
    }
}

/// An encoder of one stream, at [`sample_rate`].
#[derive(Debug)]
pub enum Encoder {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722.
    G722(Box<g722::Encoder>),
    /// Opus.
    Opus(opus::Encoder),
    /// Linear samples.
    L16,
}

impl Encoder {
    /// An encoder.
    ///
    /// # Errors
    /// libopus gives no encoder.
    pub fn new(codec: Codec, settings: OpusSettings) -> Result<Self, OpusError> {
        Ok(match codec {
            Codec::Pcmu => Self::Pcmu,
            Codec::Pcma => Self::Pcma,
            Codec::G722 => Self::G722(Box::default()),
            Codec::L16 => Self::L16,
            Codec::Opus => Self::Opus(opus::Encoder::new(OPUS_RATE, settings)?),
        })
    }

    /// The share of packets that its peer loses, in percent: above zero a codec that can brings
    /// each packet again with the next one.
    pub fn expect_loss(&mut self, percent: u8) {
        match self {
            Self::Opus(encoder) => encoder.expect_loss(percent),
            Self::Pcmu | Self::Pcma | Self::G722(_) | Self::L16 => {}
        }
    }

    /// Whether it shall cost as little CPU as it can.
    pub fn spare(&mut self, spared: bool) {
        match self {
            Self::Opus(encoder) => encoder.spare(spared),
            Self::Pcmu | Self::Pcma | Self::G722(_) | Self::L16 => {}
        }
    }

    /// Encodes one packet; how many bytes it is, 0 when it cannot be.
    pub fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> usize {
        match self {
            Self::Pcmu => {
                g711::encode_ulaw(samples, payload);
                samples.len().min(payload.len())
            }
            Self::Pcma => {
                g711::encode_alaw(samples, payload);
                samples.len().min(payload.len())
            }
            Self::G722(encoder) => encoder.encode(samples, payload),
            Self::Opus(encoder) => encoder.encode(samples, payload),
            Self::L16 => l16::encode(samples, payload),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation, reason = "signals of tests")]

    use super::*;

    #[test]
    fn every_codec_gives_a_tone_back_as_loud_as_it_was() {
        for codec in Codec::ALL {
            let rate = sample_rate(codec);
            let frame = (rate / 50) as usize;
            let turn = 440.0 * std::f64::consts::TAU / f64::from(rate);
            let tone: Vec<i16> =
                (0..frame * 50).map(|n| ((n as f64 * turn).sin() * 9_000.0) as i16).collect();
            let mut encoder = Encoder::new(codec, OpusSettings::default()).unwrap();
            let (mut decoder, decoded_rate) = Decoder::new(codec, rate).unwrap();
            assert_eq!(decoded_rate, rate);
            let mut power = 0.0;
            for (number, frame_of) in tone.chunks_exact(frame).enumerate() {
                let mut payload = [0; 1_500];
                let length = encoder.encode(frame_of, &mut payload);
                assert!(length > 0 && length <= bytes_per_second(codec) / 25, "{codec:?} {length}");
                let mut out = vec![0; frame * 6];
                assert_eq!(decoder.decode(&payload[..length], &mut out), frame, "{codec:?}");
                if number >= 25 {
                    power += out[..frame].iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
                }
            }
            let mean = power / (25 * frame) as f64;
            assert!((mean.sqrt() / 6_364.0 - 1.0).abs() < 0.12, "{codec:?}: {:.0}", mean.sqrt());
        }
    }
}
