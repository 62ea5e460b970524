//! 20 ms of the tone generator and of each detector.

use std::hint::black_box;

use criterion::Criterion;
use koukan_media::tone::{
    DtmfDetector, FaxDetector, JAPAN, ProgressDetector, ToneGenerator, key_tone,
};

use crate::counting::{measure, voice};

pub(crate) fn bench(criterion: &mut Criterion) {
    if let Some(tone) = key_tone(b'5') {
        let (mut generator, mut out) = (ToneGenerator::new(&tone, 8_000), [0; 160]);
        measure(criterion, "tone generator, a key", || {
            generator.fill(black_box(&mut out));
        });
    }
    let (_, ringback) = JAPAN[1];
    let (mut generator, mut out) = (ToneGenerator::new(&ringback, 8_000), [0; 160]);
    measure(criterion, "tone generator, ringback", || {
        generator.fill(black_box(&mut out));
    });
    // Another part of a second of speech each time, as it comes.
    let sound = voice(8_000, 8_000);
    let mut at = 0;
    let mut next = move |sound: &[i16]| {
        at = (at + 160) % 8_000;
        let mut frame = [0i16; 160];
        frame.copy_from_slice(sound.get(at..at + 160).unwrap_or(&[0; 160]));
        frame
    };
    let mut dtmf = DtmfDetector::new();
    measure(criterion, "DTMF detector", || {
        dtmf.listen(black_box(&next(&sound)), |event| {
            black_box(event);
        });
    });
    let mut fax = FaxDetector::new();
    measure(criterion, "CNG and CED detector", || {
        fax.listen(black_box(&next(&sound)), |tone| {
            black_box(tone);
        });
    });
    let mut progress = ProgressDetector::new(&JAPAN);
    measure(criterion, "call-progress detector", || {
        progress.listen(black_box(&next(&sound)), |tone| {
            black_box(tone);
        });
    });
}
