//! Calls whose sides speak different codecs: CPU time of a packet and what is added to the way of
//! the sound, and how many calls a core carries.

use std::io;
use std::time::Duration;

use koukan_codecs::{Encoder, OPUS_RATE, g711};
use koukan_engine::OpusSettings;
use koukan_media::{Codec, HEADER_BYTES};

use crate::Figure;
use crate::load::{Load, PAYLOAD, Said, Voice, quantile};
use crate::media::{self, LOAD_CORE};

const G711_CALLS: usize = 400;
const OPUS_CALLS: usize = 60;
const MEASURED: Duration = Duration::from_secs(8);

pub(crate) fn bench() -> io::Result<Vec<Figure>> {
    let mut figures = g711()?;
    figures.push(opus()?);
    Ok(figures)
}

fn g711() -> io::Result<Vec<Figure>> {
    let mut engine = media::start_engine(true)?;
    let codec = |number: usize| {
        media::params(if number.is_multiple_of(2) { Codec::Pcmu } else { Codec::Pcma })
    };
    let pairs = media::open_calls(&mut engine, 0..G711_CALLS, codec)?;
    let load = Load::start(pairs, LOAD_CORE, Stairs::default());
    let cpu = media::thread_cpu(media::THREAD);
    let mut span = media::span(load, MEASURED, G711_CALLS * 100, cpu)?;
    span.voice.delays.sort_unstable();
    let late: u64 = engine.stats().workers.iter().map(|worker| worker.late_ticks).sum();
    let p99 = quantile(&span.voice.delays, 990);
    println!(
        "transcode: {G711_CALLS} calls PCMU-PCMA: {:.2} us a packet, {:.0} % of a core, {:.1} % came, sound \
         {:.1} ms later (p50), {p99:.1} ms (p99); {late} ticks more than 5 ms late; load late {:.2} ms (p99)",
        span.cpu_us,
        span.share * 100.0,
        span.received * 100.0,
        quantile(&span.voice.delays, 500),
        quantile(&span.late, 990),
    );
    let figure = |name, unit, value, floor, goal| Figure { name, unit, value, floor, goal };
    Ok(vec![
        figure(
            "CPU of a packet from PCMU to PCMA or back, 400 calls",
            "us",
            span.cpu_us,
            20.0,
            12.0,
        ),
        figure("p99 of what is added to its sound's way", "ms", p99, 25.0, 22.0),
    ])
}

fn opus() -> io::Result<Figure> {
    let mut engine = media::start_engine(true)?;
    let codec = |number: usize| {
        media::params(if number.is_multiple_of(2) { Codec::Pcmu } else { Codec::Opus })
    };
    let pairs = media::open_calls(&mut engine, 0..OPUS_CALLS, codec)?;
    let load = Load::start(pairs, LOAD_CORE, Talk::new()?);
    let span = media::span(load, MEASURED, OPUS_CALLS * 100, media::thread_cpu(media::THREAD))?;
    #[expect(clippy::cast_precision_loss, reason = "tens")]
    let calls = OPUS_CALLS as f64;
    println!(
        "transcode: {OPUS_CALLS} calls PCMU-Opus take {:.0} % of a core, {:.1} % came: {:.0} calls a core",
        span.share * 100.0,
        span.received * 100.0,
        calls / span.share,
    );
    Ok(Figure {
        name: "CPU of a second of a call PCMU-Opus",
        unit: "ms",
        value: span.share * 1e3 / calls,
        floor: 20.0,
        goal: 8.0,
    })
}

/// Each packet is one level, so that its sound is known again in whatever codec it comes out.
#[derive(Default)]
struct Stairs {
    delays: Vec<Duration>,
}

/// Levels, one a packet, before they come again.
const LEVELS: u8 = 16;
const STEP: i16 = 1_800;

impl Stairs {
    /// The step of a sample; the nearest one.
    fn step(sample: i16) -> Option<u64> {
        let number = (i32::from(sample) + i32::from(STEP) / 2) / i32::from(STEP) - 1;
        u64::try_from(number).ok().filter(|number| *number < u64::from(LEVELS))
    }
}

impl Voice for Stairs {
    fn say(&mut self, phone: usize, turn: u64, _: Duration, payload: &mut [u8; PAYLOAD]) -> Said {
        let number = i16::try_from(turn % u64::from(LEVELS)).unwrap_or(0);
        let level = (number + 1) * STEP;
        let levels = [level; PAYLOAD];
        let payload_type = if phone.is_multiple_of(2) {
            g711::encode_ulaw(&levels, payload);
            0
        } else {
            g711::encode_alaw(&levels, payload);
            8
        };
        Said { payload_type, units: 160, length: 160 }
    }

    fn hear(&mut self, phone: usize, packet: &[u8], at: Duration) {
        let Some(&middle) = packet.get(HEADER_BYTES + 80) else { return };
        let mut sample = [0];
        if phone.is_multiple_of(2) {
            g711::decode_ulaw(&[middle], &mut sample);
        } else {
            g711::decode_alaw(&[middle], &mut sample);
        }
        let [sample] = sample;
        let Some(step) = Self::step(sample) else { return };
        // The other phone said it in the last turn that had this level.
        let phase = Duration::from_millis(u64::try_from((phone ^ 1) % 20).unwrap_or(0));
        let since = u64::try_from(at.saturating_sub(phase).as_millis()).unwrap_or(0);
        let last = since / 20;
        let back = (last + u64::from(LEVELS) - step) % u64::from(LEVELS);
        let Some(turn) = last.checked_sub(back) else { return };
        self.delays.push(at.saturating_sub(phase + Duration::from_millis(turn * 20)));
    }
}

/// A second of something like speech, in both codecs.
pub(crate) struct Talk {
    g711: Vec<Vec<u8>>,
    opus: Vec<Vec<u8>>,
}

impl Talk {
    #[expect(clippy::cast_possible_truncation, reason = "a sum of sines below the largest sample")]
    pub(crate) fn new() -> io::Result<Self> {
        let settings = OpusSettings::default();
        let mut encoder = Encoder::new(Codec::Opus, settings).map_err(io::Error::other)?;
        let frames = |rate: u32| {
            let samples = (0..rate).map(move |n| {
                let t = f64::from(n) / f64::from(rate);
                let wave = |hertz: f64| (t * hertz * std::f64::consts::TAU).sin();
                let syllables = wave(4.0).mul_add(0.5, 0.5);
                ((wave(140.0) + wave(560.0) * 0.6 + wave(1_900.0) * 0.3) * syllables * 7_000.0)
                    as i16
            });
            samples.collect::<Vec<i16>>()
        };
        let mut opus = Vec::new();
        for frame in frames(OPUS_RATE).chunks_exact(960) {
            let mut payload = [0; PAYLOAD];
            let length = encoder.encode(frame, &mut payload);
            opus.push(payload.get(..length).unwrap_or_default().to_vec());
        }
        let g711 = frames(8_000)
            .chunks_exact(160)
            .map(|frame| {
                let mut payload = vec![0; frame.len()];
                g711::encode_ulaw(frame, &mut payload);
                payload
            })
            .collect();
        Ok(Self { g711, opus })
    }
}

impl Voice for Talk {
    fn say(&mut self, phone: usize, turn: u64, _: Duration, payload: &mut [u8; PAYLOAD]) -> Said {
        let (frames, payload_type, units) =
            if phone.is_multiple_of(2) { (&self.g711, 0, 160) } else { (&self.opus, 96, 960) };
        let number = usize::try_from(turn).unwrap_or(0).checked_rem(frames.len()).unwrap_or(0);
        let frame = frames.get(number).map(Vec::as_slice).unwrap_or_default();
        if let Some(place) = payload.get_mut(..frame.len()) {
            place.copy_from_slice(frame);
        }
        Said { payload_type, units, length: frame.len() }
    }

    fn hear(&mut self, _: usize, _: &[u8], _: Duration) {}
}
