//! Linear samples on the wire.

use std::hint::black_box;

use criterion::Criterion;
use koukan_codecs::l16;

use crate::counting::{measure, voice};

pub(crate) fn bench(criterion: &mut Criterion) {
    let samples = voice(160, 8_000);
    let (mut payload, mut back) = ([0u8; 320], [0i16; 160]);
    measure(criterion, "L16 encode", || {
        l16::encode(black_box(&samples), black_box(&mut payload));
    });
    measure(criterion, "L16 decode", || {
        l16::decode(black_box(&payload), black_box(&mut back));
    });
}
