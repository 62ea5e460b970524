//! The jitter buffer: a packet put in, 20 ms taken out, with and without a bad network, for each
//! rate that a codec is decoded at. Linear samples, so that it is the buffer's own cost.

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use koukan_base::Time;
use koukan_media::jitter::{Decode, JitterBuffer, JitterConfig, JitterMode, Payload};

use crate::counting::{measure, voice};

/// Linear samples.
struct Linear;

impl Decode for Linear {
    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        let (pairs, _) = payload.as_chunks::<2>();
        out.iter_mut().zip(pairs).map(|(to, pair)| *to = i16::from_be_bytes(*pair)).count()
    }

    fn conceal(&mut self, _: Option<&[u8]>, _: &mut [i16]) -> bool {
        false
    }
}

/// A stream that loses `lost` of a hundred packets and whose packets are late by up to `late_ms`.
fn stream(rate: u32, mode: JitterMode, lost: u32, late_ms: u64) -> impl FnMut() {
    let bytes_a_second = usize::try_from(rate).unwrap_or(8_000) * 2;
    let payload_bytes = JitterConfig::payload_room(mode, bytes_a_second);
    let config = JitterConfig { sample_rate: rate, clock_rate: rate, payload_bytes, mode };
    let mut buffer = JitterBuffer::new(config);
    let frame = bytes_a_second / 100;
    let payload: Vec<u8> = voice(frame, rate).iter().flat_map(|s| s.to_be_bytes()).collect();
    let (mut number, mut state, mut out) = (0u64, 1u32, vec![0i16; frame]);
    move || {
        number += 1;
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let now = Time::from_millis(number * 20);
        let late = u64::from(state >> 8) % (late_ms + 1) / 20;
        if (state >> 16) % 100 >= lost && number > late {
            let number = number - late;
            #[expect(clippy::cast_possible_truncation, reason = "as on the wire")]
            let numbers = (1, number as u16, (number as u32).wrapping_mul(rate / 50));
            buffer.insert(now, numbers, Payload::Audio(&payload));
        }
        buffer.pull(now + Duration::from_millis(1), &mut Linear, &mut out);
        black_box(&out);
    }
}

pub(crate) fn bench(criterion: &mut Criterion) {
    let voice = JitterMode::VOICE;
    for rate in [8_000, 16_000] {
        let name = format!("jitter buffer {rate} Hz, steady");
        measure(criterion, &name, stream(rate, voice, 0, 0));
        let name = format!("jitter buffer {rate} Hz, 5 % lost, 60 ms jitter");
        measure(criterion, &name, stream(rate, voice, 5, 60));
    }
    let fixed = JitterMode::Fixed { delay: Duration::from_millis(200) };
    measure(criterion, "jitter buffer 8000 Hz, fixed at 200 ms", stream(8_000, fixed, 0, 0));
}
