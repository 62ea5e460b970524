//! Comfort noise of RFC 3389.

use std::hint::black_box;

use criterion::Criterion;
use koukan_media::comfort::{ComfortNoise, NoiseGenerator};

use crate::counting::measure;

pub(crate) fn bench(criterion: &mut Criterion) {
    let (mut generator, mut out) = (NoiseGenerator::new(7), [0; 160]);
    measure(criterion, "comfort noise read and 20 ms made", || {
        if let Some(noise) = ComfortNoise::parse(black_box(&[40, 120, 130, 127])) {
            generator.set(noise);
        }
        generator.fill(&mut out);
        black_box(&out);
    });
}
