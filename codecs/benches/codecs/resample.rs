//! 20 ms from one rate to another.

use std::hint::black_box;

use criterion::Criterion;
use koukan_codecs::Resampler;

use crate::counting::{measure, voice};

const RATES: [u32; 4] = [8_000, 16_000, 24_000, 48_000];

pub(crate) fn bench(criterion: &mut Criterion) {
    let pairs = RATES.into_iter().flat_map(|from| RATES.map(|to| (from, to)));
    for (from, to) in pairs {
        let Some(mut resampler) = Resampler::new(from, to) else { continue };
        let input = voice(usize::try_from(from / 50).unwrap_or(0), from);
        let mut out = vec![0i16; usize::try_from(to / 50).unwrap_or(0) + 8];
        measure(criterion, &format!("{from} to {to} Hz"), || {
            black_box(resampler.process(black_box(&input), &mut out));
        });
    }
}
