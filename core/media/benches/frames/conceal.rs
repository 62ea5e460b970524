//! Loss concealment at the rates of G.711, G.722 and full-band sound: the first lost frame with its
//! search for the pitch, the ones behind it, and the frame that ends the loss.

use std::hint::black_box;

use criterion::Criterion;
use koukan_media::Concealer;

use crate::counting::{measure, voice};

pub(crate) fn bench(criterion: &mut Criterion) {
    for rate in [8_000u32, 16_000, 48_000] {
        let frame = usize::try_from(rate / 50).unwrap_or(160);
        let heard = voice(frame * 5, rate);
        let (mut concealer, mut out) = (Concealer::new(rate), vec![0i16; frame]);
        measure(criterion, &format!("concealment {rate} Hz, lost frame and the next"), || {
            concealer.conceal(black_box(&heard), &mut out);
            concealer.rejoin(&mut out);
        });
        measure(
            criterion,
            &format!("concealment {rate} Hz, three lost frames and the next"),
            || {
                for _ in 0..3 {
                    concealer.conceal(black_box(&heard), &mut out);
                }
                concealer.rejoin(&mut out);
            },
        );
    }
}
