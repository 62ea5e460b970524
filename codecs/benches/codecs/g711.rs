//! The loops of G.711, as wide as the processor has them: 20 ms, and a second as a prompt is read.

use std::hint::black_box;

use criterion::Criterion;
use koukan_codecs::g711;

use crate::counting::{measure, voice};

pub(crate) fn bench(criterion: &mut Criterion) {
    for (name, count) in [("20 ms", 160), ("a second", 8_000)] {
        let samples = voice(count, 8_000);
        let (mut bytes, mut back) = (vec![0u8; count], vec![0i16; count]);
        measure(criterion, &format!("G.711 µ-law encode, {name}"), || {
            g711::encode_ulaw(black_box(&samples), black_box(&mut bytes));
        });
        measure(criterion, &format!("G.711 µ-law decode, {name}"), || {
            g711::decode_ulaw(black_box(&bytes), black_box(&mut back));
        });
        measure(criterion, &format!("G.711 µ-law to A-law, {name}"), || {
            g711::ulaw_to_alaw(black_box(&mut bytes));
        });
        measure(criterion, &format!("G.711 A-law encode, {name}"), || {
            g711::encode_alaw(black_box(&samples), black_box(&mut bytes));
        });
        measure(criterion, &format!("G.711 A-law decode, {name}"), || {
            g711::decode_alaw(black_box(&bytes), black_box(&mut back));
        });
        measure(criterion, &format!("G.711 A-law to µ-law, {name}"), || {
            g711::alaw_to_ulaw(black_box(&mut bytes));
        });
    }
}
