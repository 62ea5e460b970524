//! Opus, of libopus, at the rates and complexities that it is spoken at.

use std::hint::black_box;

use criterion::Criterion;
use koukan_codecs::opus::{Decoder, Encoder, OpusSettings};

use crate::counting::{measure, voice};

pub(crate) fn bench(criterion: &mut Criterion) {
    for rate in [8_000u32, 16_000, 48_000] {
        let frame = usize::try_from(rate / 50).unwrap_or(0);
        let samples = voice(frame * 50, rate);
        for complexity in [0, 5] {
            let settings = OpusSettings { complexity, ..Default::default() };
            let Ok(mut encoder) = Encoder::new(rate, settings) else { continue };
            let (mut payload, mut number) = ([0u8; 1_500], 0);
            let name = format!("Opus encode {rate} Hz complexity {complexity}");
            measure(criterion, &name, || {
                number = (number + 1) % 50;
                let frame = samples.get(number * frame..(number + 1) * frame);
                black_box(encoder.encode(frame.unwrap_or_default(), &mut payload));
            });
        }
        decode(criterion, rate, &samples);
    }
}

fn decode(criterion: &mut Criterion, rate: u32, samples: &[i16]) {
    let frame = usize::try_from(rate / 50).unwrap_or(0);
    let Ok(mut encoder) = Encoder::new(rate, OpusSettings::default()) else { return };
    let Ok(mut decoder) = Decoder::new(rate) else { return };
    encoder.expect_loss(10);
    let mut packets = Vec::new();
    for frame in samples.chunks_exact(frame) {
        let mut payload = vec![0u8; 1_500];
        let count = encoder.encode(frame, &mut payload);
        payload.truncate(count);
        packets.push(payload);
    }
    let (mut out, mut number) = (vec![0i16; frame], 0);
    let mut next = || {
        number = (number + 1) % packets.len();
        packets.get(number).map(Vec::as_slice).unwrap_or_default()
    };
    measure(criterion, &format!("Opus decode {rate} Hz"), || {
        black_box(decoder.decode(next(), &mut out));
    });
    measure(criterion, &format!("Opus conceal {rate} Hz"), || {
        black_box(decoder.conceal(None, &mut out));
    });
    measure(criterion, &format!("Opus conceal {rate} Hz by what the next packet carries"), || {
        black_box(decoder.conceal(Some(next()), &mut out));
    });
}
