//! Two phones of any two codecs hear each other over loopback: passed on where they have the same,
//! else through jitter buffer, decoder, converter and encoder.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]
#![allow(clippy::cast_possible_truncation, reason = "signals of tests")]

mod common;

use std::time::{Duration, Instant};

use common::{Phone, WORKER, bridge, engine};
use koukan_codecs::{Decoder, Encoder, sample_rate};
use koukan_engine::OpusSettings;
use koukan_media::jitter::Decode;
use koukan_media::{Codec, Command, Source};

/// A phone's coder of a tone.
struct Voice {
    encoder: Encoder,
    rate: u32,
    at: usize,
}

impl Voice {
    fn new(codec: Codec) -> Self {
        let settings = OpusSettings { complexity: 0, ..OpusSettings::default() };
        let encoder = Encoder::new(codec, settings).unwrap();
        Self { encoder, rate: sample_rate(codec), at: 0 }
    }

    /// 20 ms of 600 Hz.
    fn packet(&mut self) -> Vec<u8> {
        let turn = 600.0 * std::f64::consts::TAU / f64::from(self.rate);
        let frame = self.rate as usize / 50;
        let tone: Vec<i16> = (self.at..self.at + frame)
            .map(|n| ((n as f64 * turn).sin() * 8_000.0) as i16)
            .collect();
        self.at += frame;
        let mut payload = [0; 1_500];
        let length = self.encoder.encode(&tone, &mut payload);
        payload[..length].to_vec()
    }
}

/// Root mean square, and the frequency by counting where the signal rises through zero.
fn measure(samples: &[i16], rate: u32) -> (f64, f64) {
    let power: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    let rises = samples.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
    let seconds = samples.len() as f64 / f64::from(rate);
    ((power / samples.len() as f64).sqrt(), rises as f64 / seconds)
}

/// `a` speaks for 0.8 s; what `b` hears.
fn heard(a: &mut Phone, b: &Phone) -> Vec<i16> {
    let mut voice = Voice::new(a.codec);
    let (mut decoder, _) = Decoder::new(b.codec, sample_rate(b.codec)).unwrap();
    let (mut sound, begin) = (Vec::new(), Instant::now());
    b.socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    for number in 0..40u32 {
        while begin.elapsed() < Duration::from_millis(20) * number {
            if let Some((header, payload)) = b.hear() {
                assert_eq!(header.payload_type, b.codec.offered_payload_type());
                let mut out = [0; 2_000];
                let count = decoder.decode(&payload, &mut out);
                sound.extend_from_slice(&out[..count]);
            }
        }
        a.say(&voice.packet());
    }
    sound
}

/// How many tenths of a second are the tone as it was said. On a machine that does other things a
/// packet may be late and concealed, so not all of them.
fn whole_tenths(sound: &[i16], rate: u32) -> usize {
    let tenths = sound.chunks_exact(rate as usize / 10);
    let is_whole = |tenth: &&[i16]| {
        let (loudness, pitch) = measure(tenth, rate);
        (loudness / 5_657.0 - 1.0).abs() < 0.15 && (pitch - 600.0).abs() <= 10.0
    };
    tenths.filter(is_whole).count()
}

#[test]
fn every_codec_is_heard_in_every_other_as_loud_and_at_its_pitch() {
    let mut engine = engine("/nowhere".into());
    let mut number = 0;
    for from in Codec::ALL {
        for to in Codec::ALL {
            let mut a = Phone::new(&mut engine, number + 1, from);
            let b = Phone::new(&mut engine, number + 2, to);
            number += 2;
            bridge(&mut engine, a.stream, b.stream);
            // Twice as much again when the machine stood still.
            let tenths = (0..3).find_map(|_| {
                let whole = whole_tenths(&heard(&mut a, &b), sample_rate(to));
                (whole >= 3).then_some(whole)
            });
            assert!(tenths.is_some(), "{from:?} to {to:?}");
            for stream in [a.stream, b.stream] {
                engine.send(WORKER, Command::Close { stream });
            }
        }
    }
}

#[test]
fn the_packet_time_that_a_peer_asks_for_is_what_it_gets() {
    let mut engine = engine("/nowhere".into());
    for (number, ptime_ms) in [(0, 10u8), (2, 30), (4, 40), (6, 60)] {
        let mut a = Phone::new(&mut engine, number + 101, Codec::G722);
        let b = Phone::new(&mut engine, number + 102, Codec::Pcma);
        let mut config = Phone::config(b.socket.local_addr().unwrap(), Codec::Pcma);
        config.codec.ptime_ms = ptime_ms;
        engine.send(WORKER, Command::Configure { stream: b.stream, config });
        bridge(&mut engine, a.stream, b.stream);
        let mut voice = Voice::new(Codec::G722);
        let (mut last, mut steps) = (None, 0);
        for _ in 0..20 {
            a.say(&voice.packet());
            std::thread::sleep(Duration::from_millis(20));
        }
        b.socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        for (header, payload) in std::iter::from_fn(|| b.hear()).take(30) {
            assert_eq!(payload.len(), usize::from(ptime_ms) * 8);
            if let Some(last) = last {
                let step: u32 = header.timestamp.wrapping_sub(last);
                steps += u32::from(step == u32::from(ptime_ms) * 8);
            }
            last = Some(header.timestamp);
        }
        assert!(steps > 0, "timestamps move by the packet time");
    }
}

#[test]
fn silence_is_sent_in_the_streams_own_codec_and_hearing_ends_with_its_source() {
    let mut engine = engine("/nowhere".into());
    let mut a = Phone::new(&mut engine, 201, Codec::Opus);
    let b = Phone::new(&mut engine, 202, Codec::G722);
    engine.send(WORKER, Command::Feed { stream: b.stream, source: Source::Silence });
    let (header, payload) = b.hear().unwrap();
    assert_eq!((header.payload_type, payload.len()), (9, 160));
    bridge(&mut engine, a.stream, b.stream);
    let sound = heard(&mut a, &b);
    assert!(measure(&sound, 16_000).0 > 1_000.0);
    engine.send(WORKER, Command::Close { stream: a.stream });
    std::thread::sleep(Duration::from_millis(100));
    while b.hear().is_some() {}
    b.socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(b.hear().is_none(), "nothing is said when nothing is heard any more");
}

#[test]
fn a_key_pressed_in_one_codec_is_one_key_in_the_other() {
    let mut engine = engine("/nowhere".into());
    let mut a = Phone::new(&mut engine, 301, Codec::G722);
    let b = Phone::new(&mut engine, 302, Codec::Pcmu);
    bridge(&mut engine, a.stream, b.stream);
    let mut voice = Voice::new(Codec::G722);
    for _ in 0..10 {
        a.say(&voice.packet());
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut begun = a.packet(101, &[5, 10, 0, 160]);
    let timestamp: [u8; 4] = begun[4..8].try_into().unwrap();
    for (flags, duration) in [(10, 160u16), (10, 320), (10, 480), (0x8A, 640), (0x8A, 640)] {
        let [high, low] = duration.to_be_bytes();
        begun = a.packet(101, &[5, flags, high, low]);
        begun[4..8].copy_from_slice(&timestamp);
        a.socket.send_to(&begun, a.engine).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut stamps = Vec::new();
    while let Some((header, payload)) = b.hear() {
        if header.payload_type == 101 {
            assert_eq!(payload[0], 5);
            stamps.push(header.timestamp);
        }
        if stamps.len() == 5 {
            break;
        }
    }
    stamps.dedup();
    assert_eq!(stamps.len(), 1, "all packets of a key have one timestamp");
}
