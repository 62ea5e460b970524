//! The receivers that hear the same packets: ours, on a virtual clock, and one with a fixed buffer.

use std::io;
use std::time::Duration;

use koukan_base::{Rng, Time};
use koukan_codecs::{Decoder, Encoder, bytes_per_second, sample_rate};
use koukan_engine::OpusSettings;
use koukan_media::jitter::{Decode, JitterBuffer, JitterConfig, JitterMode, Payload};
use koukan_media::{Codec, Redundancy};

/// What the reference waits for packets.
pub(crate) const FIXED_DELAY: Duration = Duration::from_millis(80);

const PACKET_MS: u64 = 20;

/// What was heard.
pub(crate) struct Heard {
    pub(crate) sound: Vec<i16>,
    /// Ours: what the buffer added to the way of the fastest packet, in ms, on average.
    pub(crate) delay_ms: f64,
    /// The fixed buffer: packets that were not there in time.
    pub(crate) missing: Vec<bool>,
}

/// The packets of 20 ms that a telephone sends whose peer reports such a share of losses.
pub(crate) fn packets(codec: Codec, said: &[i16], loss_percent: u32) -> io::Result<Vec<Vec<u8>>> {
    let mut encoder = Encoder::new(codec, OpusSettings::default()).map_err(io::Error::other)?;
    let fraction = u8::try_from((loss_percent * 256).div_ceil(100)).unwrap_or(u8::MAX);
    if let Some(expected) = Redundancy::default().report(fraction) {
        encoder.expect_loss(expected);
    }
    let frames = said.chunks_exact(frame(codec));
    Ok(frames
        .map(|frame| {
            let mut payload = vec![0; 1_500];
            let length = encoder.encode(frame, &mut payload);
            payload.truncate(length);
            payload
        })
        .collect())
}

fn frame(codec: Codec) -> usize {
    usize::try_from(sample_rate(codec) / 50).unwrap_or(160)
}

/// Our jitter buffer, concealment and decoder, joined as the media engine joins them and pulled
/// every 20 ms at a moment that has nothing to do with the sender's clock.
pub(crate) fn ours(
    codec: Codec,
    packets: &[Vec<u8>],
    delays: &[Option<Duration>],
    seed: u64,
) -> io::Result<Heard> {
    let (mut decoder, rate) = Decoder::new(codec, sample_rate(codec)).map_err(io::Error::other)?;
    let mode = JitterMode::VOICE;
    let mut jitter = JitterBuffer::new(JitterConfig {
        sample_rate: rate,
        clock_rate: codec.clock_rate(),
        payload_bytes: JitterConfig::payload_room(mode, bytes_per_second(codec)),
        mode,
    });
    let mut rng = Rng::from_number(seed ^ 0x7068_6173);
    let first = rng.next_u32();
    let phase = Duration::from_micros(u64::from(rng.next_u32() % 20_000));
    let sent = |number: usize| {
        Time::from_millis(1_000) + PACKET * u32::try_from(number).unwrap_or(u32::MAX)
    };
    let mut arrivals: Vec<(Time, usize)> = delays
        .iter()
        .enumerate()
        .filter_map(|(number, delay)| Some((sent(number) + (*delay)?, number)))
        .collect();
    arrivals.sort_unstable();
    let mut waiting = arrivals.into_iter().peekable();
    let ticks = codec.clock_rate() / 50;
    let mut heard = Heard { sound: Vec::new(), delay_ms: 0.0, missing: Vec::new() };
    let mut out = vec![0; frame(codec)];
    let mut pulls = 0.0f64;
    for number in 0..packets.len() {
        let now = sent(number) + phase;
        while let Some((at, number)) = waiting.next_if(|(at, _)| *at <= now) {
            let number32 = u32::try_from(number).unwrap_or(0);
            let [.., high, low] = first.wrapping_add(number32).to_be_bytes();
            let sequence = u16::from_be_bytes([high, low]);
            let timestamp = first.wrapping_add(number32.wrapping_mul(ticks));
            let payload = packets.get(number).map(Vec::as_slice).unwrap_or_default();
            let _ = jitter.insert(at, (1, sequence, timestamp), Payload::Audio(payload));
        }
        jitter.pull(now, &mut decoder, &mut out);
        heard.sound.extend_from_slice(&out);
        if number >= packets.len() / 3 {
            heard.delay_ms += jitter.delay(now).as_secs_f64() * 1_000.0;
            pulls += 1.0;
        }
    }
    heard.delay_ms /= pulls.max(1.0);
    Ok(heard)
}

/// A buffer of 80 ms: what comes within them is decoded. What is missing is left as silence to the
/// scorer, which has spandsp conceal it; for Opus libopus conceals it here, without what the next
/// packet carries of it.
pub(crate) fn fixed(
    codec: Codec,
    packets: &[Vec<u8>],
    delays: &[Option<Duration>],
) -> io::Result<Heard> {
    let (mut decoder, _) = Decoder::new(codec, sample_rate(codec)).map_err(io::Error::other)?;
    let mut heard = Heard { sound: Vec::new(), delay_ms: 80.0, missing: Vec::new() };
    for (payload, delay) in packets.iter().zip(delays) {
        let mut out = vec![0; frame(codec)];
        let missing = delay.is_none_or(|delay| delay > FIXED_DELAY);
        if missing {
            decoder.conceal(None, &mut out);
        } else {
            decoder.decode(payload, &mut out);
        }
        heard.missing.push(missing);
        heard.sound.extend_from_slice(&out);
    }
    Ok(heard)
}

const PACKET: Duration = Duration::from_millis(PACKET_MS);
