//! Digits at the limits of ITU-T Q.24 for the Japanese administration, and speech that is none.

use std::io;

use koukan_base::Rng;
use koukan_codecs::{Resampler, g711};
use koukan_media::tone::{COLUMNS, DtmfDetector, DtmfEvent, KEYS, ROWS};

use crate::{Figure, speech};

const DIGITS: u32 = 10_000;

/// Samples of the shortest digit that must be taken, and of the shortest pause that parts two.
const TONE: usize = 40 * 8;
const PAUSE: usize = 30 * 8;

/// The weakest and the loudest tone in dBm0, the larger twist in dB, and how far off a frequency
/// may be.
const WEAKEST: f64 = -24.0;
const LOUDEST: f64 = -3.0;
const TWIST: f64 = 5.0;
const OFF: f64 = 0.018;

/// White noise so far below the weaker tone, in dB.
const NOISE: f64 = 15.0;

pub(crate) fn bench() -> io::Result<Vec<Figure>> {
    let missed = missed();
    println!(
        "dtmf: {DIGITS} digits of 40 ms, 30 apart, at {WEAKEST} to {LOUDEST} dBm0 with {TWIST} dB \
         of twist, {:.1} % off, noise {NOISE} dB below, A-law: {missed} not as they were sent",
        OFF * 100.0
    );
    let (minutes, hits) = talk_off()?;
    println!("dtmf: {minutes:.1} minutes of speech: {hits} digits");
    let figure = |name, value| Figure { name, unit: "", value, floor: 0.0, goal: 0.0 };
    Ok(vec![
        figure("digits at the limits that are missed, doubled or mistaken", f64::from(missed)),
        figure("digits in speech of half an hour and more", f64::from(hits)),
    ])
}

/// Digits that are not found once and as what they are.
fn missed() -> u32 {
    let mut rng = Rng::from_number(24);
    let mut detector = DtmfDetector::new();
    let mut found = Vec::new();
    let mut wrong = 0;
    detector.listen(&[0; 800], |_| {});
    for number in 0..DIGITS {
        let (key, signal) = digit(number, &mut rng);
        let mut coded = vec![0; signal.len()];
        g711::encode_alaw(&signal, &mut coded);
        let mut heard = vec![0; coded.len()];
        g711::decode_alaw(&coded, &mut heard);
        found.clear();
        detector.listen(&heard, |event| {
            if let DtmfEvent::Pressed(key) = event {
                found.push(key);
            }
        });
        wrong += u32::from(found != [key]);
    }
    wrong
}

/// A digit at a corner of what is permitted, and its pause, all in noise.
fn digit(number: u32, rng: &mut Rng) -> (u8, Vec<i16>) {
    let pick = |shift: u32, of: u32| usize::try_from(number / shift % of).unwrap_or(0);
    let (row, column) = (pick(1, 4), pick(4, 4));
    let key = KEYS.get(row).and_then(|keys| keys.get(column)).copied().unwrap_or(b'0');
    let hertz = |tones: &[f32; 4], at: usize, off: f64| {
        f64::from(tones.get(at).copied().unwrap_or(0.0)) * (1.0 + off)
    };
    let offs = [(0.0, 0.0), (OFF, OFF), (-OFF, -OFF), (OFF, -OFF), (-OFF, OFF)];
    let (row_off, column_off) = offs.get(pick(16, 5)).copied().unwrap_or_default();
    let level = [WEAKEST, LOUDEST - TWIST, (WEAKEST + LOUDEST) / 2.0];
    let level = level.get(pick(80, 3)).copied().unwrap_or(WEAKEST);
    let twists = [(0.0, 0.0), (TWIST, 0.0), (0.0, TWIST)];
    let (row_more, column_more) = twists.get(pick(240, 3)).copied().unwrap_or_default();
    let mut share = || f64::from(rng.next_u32()) / 4_294_967_296.0;
    let tones = [
        (hertz(&ROWS, row, row_off), peak(level + row_more), share()),
        (hertz(&COLUMNS, column, column_off), peak(level + column_more), share()),
    ];
    // Samples before the tone: it begins anywhere in the detector's window.
    let odd = usize::try_from(number * 37 % 64).unwrap_or(0);
    // Evenly spread noise has a third of its peak's square, a sine half.
    let noise = peak(level - NOISE) * 1.5f64.sqrt();
    let signal = (0..odd + TONE + PAUSE).map(|n| {
        let mut value = (share() * 2.0 - 1.0) * noise;
        if (odd..odd + TONE).contains(&n) {
            let time = f64::from(u32::try_from(n).unwrap_or(0)) / 8_000.0;
            for (hertz, peak, phase) in tones {
                value += ((hertz * time + phase) * std::f64::consts::TAU).sin() * peak;
            }
        }
        sample(value)
    });
    (key, signal.collect())
}

/// dBm0 as the peak of a sine: 3.17 dBm0 is full scale.
fn peak(dbm0: f64) -> f64 {
    32_767.0 * 10f64.powf((dbm0 - 3.17) / 20.0)
}

#[expect(clippy::cast_possible_truncation, reason = "saturated by the cast")]
fn sample(value: f64) -> i16 {
    value as i16
}

/// Minutes of speech, and the digits that were found in it: all that the packages say, from 8 kHz
/// and once more from 16.
fn talk_off() -> io::Result<(f64, u32)> {
    let narrow = speech::read(8_000, true)?;
    let wide = speech::read(16_000, true)?;
    let mut halved = vec![0; wide.len() / 2 + 1_000];
    let mut filled = 0;
    if let Some(mut resampler) = Resampler::new(16_000, 8_000) {
        for block in wide.chunks(320) {
            let Some(room) = halved.get_mut(filled..) else { break };
            filled += resampler.process(block, room);
        }
    }
    halved.truncate(filled);
    let mut hits = 0;
    let mut samples = 0;
    for (name, speech) in [("8 kHz", narrow), ("16 kHz", halved)] {
        let mut detector = DtmfDetector::new();
        for (second, part) in speech.chunks(8_000).enumerate() {
            detector.listen(part, |event| {
                if let DtmfEvent::Pressed(key) = event {
                    println!("dtmf: {name}: {} in second {second}", char::from(key));
                    hits += 1;
                }
            });
        }
        samples += speech.len();
    }
    let seconds = f64::from(u32::try_from(samples / 8_000).unwrap_or(0));
    Ok((seconds / 60.0, hits))
}
