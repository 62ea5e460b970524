//! Opus in RTP (RFC 6716, RFC 7587) over libopus: mono both ways, at 8, 16, 24 or 48 kHz. The RTP
//! clock counts 48000 a second at each of them.
//!
//! A decoder of one channel makes the mean of a stereo packet's two, in libopus itself: a voice on
//! one side is 6 dB lower, one in the middle as loud as it was.

use audiopus::coder::{Decoder as Inner, Encoder as InnerEncoder};
use audiopus::{Application, Bitrate, Channels, SampleRate};
use thiserror::Error;

/// Why libopus gave no coder: our fault or lack of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("libopus makes no coder for {sample_rate} Hz")]
pub struct OpusError {
    /// The rate that was asked for.
    pub sample_rate: u32,
}

/// What an encoder is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusSettings {
    /// 0 (least CPU) to 10.
    pub complexity: u8,
    /// Bits a second, 6000 to 510000.
    pub bitrate: u32,
    /// Loss that is expected at first, in percent; above zero each packet carries the one before in
    /// brief. At 24 kbit/s libopus does so from 6 % on, and it costs 0.7 of MOS where nothing is
    /// lost, so that it is better begun when the peer reports losses.
    pub expected_loss: u8,
    /// Send next to nothing in pauses.
    pub dtx: bool,
}

impl Default for OpusSettings {
    fn default() -> Self {
        Self { complexity: 5, bitrate: 24_000, expected_loss: 0, dtx: false }
    }
}

/// The request number of `OPUS_SET_DTX` (opus_defines.h), which the binding does not name.
const SET_DTX: i32 = 4_016;

fn rate(sample_rate: u32) -> Result<SampleRate, OpusError> {
    match sample_rate {
        8_000 => Ok(SampleRate::Hz8000),
        16_000 => Ok(SampleRate::Hz16000),
        24_000 => Ok(SampleRate::Hz24000),
        48_000 => Ok(SampleRate::Hz48000),
        _ => Err(OpusError { sample_rate }),
    }
}

/// A decoder of one stream.
#[derive(Debug)]
pub struct Decoder {
    inner: Inner,
}

impl Decoder {
    /// A decoder to samples at `sample_rate`.
    ///
    /// # Errors
    /// Another rate than 8, 16, 24 and 48 kHz, or no memory.
    pub fn new(sample_rate: u32) -> Result<Self, OpusError> {
        let inner = Inner::new(rate(sample_rate)?, Channels::Mono);
        Ok(Self { inner: inner.map_err(|_| OpusError { sample_rate })? })
    }

    /// Decodes a packet of up to 120 ms; how many samples it was, 0 when it is none or has no room.
    pub fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> usize {
        if payload.is_empty() {
            return 0;
        }
        self.inner.decode(Some(payload), samples, false).unwrap_or(0)
    }

    /// Fills `samples`, a multiple of 2.5 ms, in place of a lost packet: from what the packet
    /// behind it carries of it, else from what was heard. False when libopus refuses.
    pub fn conceal(&mut self, next: Option<&[u8]>, samples: &mut [i16]) -> bool {
        let wanted = samples.len();
        let next = next.filter(|next| !next.is_empty());
        let made = match next {
            Some(next) => self.inner.decode(Some(next), &mut *samples, true),
            None => self.inner.decode(None::<&[u8]>, &mut *samples, false),
        };
        made.is_ok_and(|made| made == wanted)
    }
}

/// Whether a packet carries the one before it in brief, as libopus 1.5 asks
/// (`opus_packet_has_lbrr`): of its first frame in SILK (RFC 6716, section 4.2.3) the flag behind
/// those of voice. Only packets of one frame are looked at (section 3.2.2), as telephones send.
#[must_use]
pub fn carries_previous(payload: &[u8]) -> bool {
    let Some(&[toc, head]) = payload.first_chunk() else { return false };
    let (config, stereo, code) = (toc >> 3, toc & 4 != 0, toc & 3);
    // SILK alone in four durations, with CELT above it in two.
    let silk_frames = match (config, config & 3) {
        (0..12, 2) => 2,
        (0..12, 3) => 3,
        (0..16, _) => 1,
        _ => return false,
    };
    let flag = |behind: u8| head >> (7 - behind) & 1 == 1;
    code == 0 && (flag(silk_frames) || stereo && flag(2 * silk_frames + 1))
}

/// An encoder of one stream.
#[derive(Debug)]
pub struct Encoder {
    inner: InnerEncoder,
    settings: OpusSettings,
}

impl Encoder {
    /// An encoder of samples at `sample_rate`.
    ///
    /// # Errors
    /// Another rate than 8, 16, 24 and 48 kHz, or settings out of their range.
    pub fn new(sample_rate: u32, settings: OpusSettings) -> Result<Self, OpusError> {
        let failed = |_| OpusError { sample_rate };
        let rate = rate(sample_rate)?;
        let mut inner =
            InnerEncoder::new(rate, Channels::Mono, Application::Voip).map_err(failed)?;
        inner.set_complexity(settings.complexity).map_err(failed)?;
        let bits = i32::try_from(settings.bitrate).unwrap_or(i32::MAX);
        inner.set_bitrate(Bitrate::BitsPerSecond(bits)).map_err(failed)?;
        inner.set_inband_fec(settings.expected_loss > 0).map_err(failed)?;
        inner.set_packet_loss_perc(settings.expected_loss).map_err(failed)?;
        inner.set_encoder_ctl_request(SET_DTX, i32::from(settings.dtx)).map_err(failed)?;
        Ok(Self { inner, settings })
    }

    /// The share of packets that the peer loses, in percent: above zero each packet carries the one
    /// before in brief, and a third more bits are spent.
    pub fn expect_loss(&mut self, percent: u8) {
        let percent = percent.min(100);
        let bits = self.settings.bitrate;
        let bits = if percent > 0 { bits / 3 * 4 } else { bits };
        // Within their ranges libopus refuses none of these.
        let _ = self.inner.set_inband_fec(percent > 0);
        let _ = self.inner.set_packet_loss_perc(percent);
        let bits = i32::try_from(bits).unwrap_or(i32::MAX);
        let _ = self.inner.set_bitrate(Bitrate::BitsPerSecond(bits));
    }

    /// Whether it shall cost as little CPU as it can.
    pub fn spare(&mut self, spared: bool) {
        let complexity = if spared { 0 } else { self.settings.complexity };
        let _ = self.inner.set_complexity(complexity);
    }

    /// Encodes a packet of 10, 20, 40 or 60 ms; how many bytes it is, 0 when it cannot be.
    pub fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> usize {
        self.inner.encode(samples, payload).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation, reason = "signals of tests")]

    use super::*;

    fn tone(rate: u32, hertz: f64, count: usize) -> Vec<i16> {
        let turn = hertz * std::f64::consts::TAU / f64::from(rate);
        (0..count).map(|n| ((n as f64 * turn).sin() * 8_000.0) as i16).collect()
    }

    fn power(samples: &[i16]) -> f64 {
        samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len() as f64
    }

    fn coded(rate: u32, frame: usize, settings: OpusSettings, signal: &[i16]) -> Vec<Vec<u8>> {
        let mut encoder = Encoder::new(rate, settings).unwrap();
        let mut payload = [0; 1_500];
        let frames = signal.chunks_exact(frame);
        frames
            .map(|frame| {
                let count = encoder.encode(frame, &mut payload);
                payload[..count].to_vec()
            })
            .collect()
    }

    #[test]
    fn a_tone_comes_back_as_loud_at_every_rate_and_packet_time() {
        for rate in [8_000u32, 16_000, 48_000] {
            for ms in [10, 20, 40, 60] {
                let frame = (rate / 1_000 * ms) as usize;
                let signal = tone(rate, 700.0, frame * 30);
                let mut decoder = Decoder::new(rate).unwrap();
                let mut heard = Vec::new();
                for packet in coded(rate, frame, OpusSettings::default(), &signal) {
                    let mut out = vec![0; (rate / 1_000 * 120) as usize];
                    let count = decoder.decode(&packet, &mut out);
                    assert_eq!(count, frame);
                    heard.extend_from_slice(&out[..count]);
                }
                let ratio = power(&heard[frame * 10..]) / power(&signal);
                assert!((0.7..1.3).contains(&ratio), "{rate} {ms}: {ratio}");
            }
        }
    }

    #[test]
    fn one_side_of_stereo_is_6_db_lower_and_the_middle_as_loud() {
        for bits in [24_000, 128_000] {
            for (left, right, wanted) in [(1, 0, 0.25), (0, 1, 0.25), (1, 1, 1.0)] {
                let mut encoder =
                    InnerEncoder::new(SampleRate::Hz48000, Channels::Stereo, Application::Voip)
                        .unwrap();
                encoder.set_bitrate(Bitrate::BitsPerSecond(bits)).unwrap();
                let signal = tone(48_000, 440.0, 960 * 40);
                let stereo: Vec<i16> =
                    signal.iter().flat_map(|sample| [sample * left, sample * right]).collect();
                let mut decoder = Decoder::new(16_000).unwrap();
                let mut heard = Vec::new();
                for frame in stereo.chunks_exact(1_920) {
                    let mut payload = [0; 1_500];
                    let count = encoder.encode(frame, &mut payload).unwrap();
                    let mut out = [0; 320];
                    assert_eq!(decoder.decode(&payload[..count], &mut out), 320);
                    heard.extend(out);
                }
                let ratio = power(&heard[3_200..]) / power(&signal);
                let decibels = 10.0 * (ratio / wanted).log10();
                assert!(decibels.abs() < 1.0, "{bits} {left} {right}: {decibels:.2} dB off");
            }
        }
    }

    /// A tone whose pitch glides: each packet is unlike the one before.
    fn glide(count: usize) -> Vec<i16> {
        let mut phase = 0.0f64;
        let next = |n: usize| {
            phase += (250.0 + 150.0 * (n as f64 / 2_000.0).sin()) / 16_000.0;
            ((phase * std::f64::consts::TAU).sin() * 8_000.0) as i16
        };
        (0..count).map(next).collect()
    }

    #[test]
    fn a_lost_packet_is_nearer_to_what_was_said_with_the_one_behind_it() {
        let settings = OpusSettings { expected_loss: 20, bitrate: 32_000, ..Default::default() };
        let packets = coded(16_000, 320, settings, &glide(320 * 200));
        let whole: Vec<[i16; 320]> = {
            let mut decoder = Decoder::new(16_000).unwrap();
            let decode = |packet: &Vec<u8>| {
                let mut out = [0; 320];
                decoder.decode(packet, &mut out);
                out
            };
            packets.iter().map(decode).collect()
        };
        let error = |with_next: bool| {
            let mut decoder = Decoder::new(16_000).unwrap();
            let mut error = 0.0;
            for (number, packet) in packets.iter().enumerate() {
                let mut out = [0; 320];
                if number % 10 == 9 && number + 1 < packets.len() {
                    let next = packets[number + 1].as_slice();
                    assert!(decoder.conceal(with_next.then_some(next), &mut out));
                    let difference = out.iter().zip(&whole[number]);
                    error += difference
                        .map(|(one, other)| (f64::from(*one) - f64::from(*other)).powi(2))
                        .sum::<f64>();
                } else {
                    decoder.decode(packet, &mut out);
                }
            }
            error
        };
        let (with, without) = (error(true), error(false));
        assert!(with < without * 0.7, "with {with:.0}, without {without:.0}");
    }

    #[test]
    fn packets_say_whether_they_carry_the_one_before_and_do_when_losses_are_reported() {
        let mut encoder = Encoder::new(16_000, OpusSettings::default()).unwrap();
        let signal = glide(320 * 120);
        let mut carried = Vec::new();
        for (number, frame) in signal.chunks_exact(320).enumerate() {
            match number {
                40 => encoder.expect_loss(10),
                80 => encoder.expect_loss(0),
                _ => {}
            }
            let mut payload = [0; 1_500];
            let count = encoder.encode(frame, &mut payload);
            carried.push(carries_previous(&payload[..count]));
        }
        let of = |range: std::ops::Range<usize>| carried[range].iter().filter(|c| **c).count();
        assert_eq!((of(0..40), of(82..120)), (0, 0));
        // Frames in which libopus hears no voice have none.
        assert!(of(42..80) >= 15, "{carried:?}");
        assert!(!carries_previous(&[]) && !carries_previous(&[0x48]));
        assert!(!carries_previous(&[0xFC, 0xFF]), "CELT has none");
    }

    #[test]
    fn pauses_are_nearly_nothing_and_decode_all_the_same() {
        let settings = OpusSettings { dtx: true, ..Default::default() };
        let packets = coded(16_000, 320, settings, &[0; 320 * 100]);
        assert!(packets[60..].iter().filter(|packet| packet.len() <= 2).count() > 30);
        let mut decoder = Decoder::new(16_000).unwrap();
        for packet in &packets {
            assert_eq!(decoder.decode(packet, &mut [0; 320]), 320);
        }
    }

    #[test]
    fn garbage_and_wrong_rates_are_refused() {
        assert_eq!(Decoder::new(44_100).unwrap_err(), OpusError { sample_rate: 44_100 });
        let mut decoder = Decoder::new(8_000).unwrap();
        let mut state = 1u32;
        for length in 0..200 {
            let garbage: Vec<u8> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    state.to_be_bytes()[0]
                })
                .collect();
            assert!(decoder.decode(&garbage, &mut [0; 960]) <= 960);
            decoder.conceal(Some(&garbage), &mut [0; 160]);
        }
        assert_eq!(decoder.decode(&[], &mut [0; 960]), 0);
        assert!(!decoder.conceal(None, &mut [0; 13]));
    }
}
