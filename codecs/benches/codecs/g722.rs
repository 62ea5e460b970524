//! G.722.

use std::hint::black_box;

use criterion::Criterion;
use koukan_codecs::g722::{Decoder, Encoder};

use crate::counting::{measure, voice};

pub(crate) fn bench(criterion: &mut Criterion) {
    let samples = voice(320, 16_000);
    let (mut bytes, mut back) = ([0u8; 160], [0i16; 320]);
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
    measure(criterion, "G.722 encode", || {
        encoder.encode(black_box(&samples), black_box(&mut bytes));
    });
    measure(criterion, "G.722 decode", || {
        decoder.decode(black_box(&bytes), black_box(&mut back));
    });
}
