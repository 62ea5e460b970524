//! Digits in RTP (RFC 4733): received, sent, and pressed by the 20 ms as events and as tones.

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use koukan_base::{OpId, Time};
use koukan_media::{
    DigitReceiver, DigitSender, Digits, KeyFrame, KeyMode, KeyOrder, KeySender, TONE_FRAME,
};

use crate::counting::measure;

pub(crate) fn bench(criterion: &mut Criterion) {
    let (mut receiver, mut now, mut timestamp) =
        (DigitReceiver::default(), Time::from_millis(1_000), 0u32);
    measure(criterion, "telephone-events of a digit of 100 ms received, seven packets", || {
        timestamp = timestamp.wrapping_add(8_000);
        let mut digits = 0;
        for packet in 1..=7u8 {
            now = now + Duration::from_millis(20);
            // Four that grow, the end three times.
            let (units, flags) =
                (u16::from(packet.min(5)) * 160, if packet < 5 { 10 } else { 138 });
            let [high, low] = units.to_be_bytes();
            let payload = [5, flags, high, low];
            digits +=
                u32::from(receiver.receive(now, timestamp, black_box(&payload), 8_000).is_some());
        }
        assert_eq!(digits, 1);
    });
    measure(criterion, "telephone-events of a digit of 100 ms made, seven packets", || {
        let Some(mut sender) = DigitSender::new(black_box(b'5'), 100, 20, 8_000) else { return };
        let packets = std::iter::from_fn(|| sender.next_packet()).map(black_box).count();
        assert_eq!(packets, 7);
    });
    for (name, mode) in
        [("as events", KeyMode::Event { clock_rate: 8_000 }), ("as tones", KeyMode::Tone)]
    {
        let (mut keys, mut tone) = (KeySender::default(), [0; TONE_FRAME]);
        let Some(digits) = Digits::new(b"0123456789*#") else { continue };
        measure(criterion, &format!("20 ms of keys pressed {name}"), || {
            if keys.is_idle() {
                let order = KeyOrder { op: OpId(1), digits, duration_ms: 100, pause_ms: 60 };
                assert!(keys.order(order));
            }
            assert!(keys.tick(mode, &mut tone) != KeyFrame::Nothing || !keys.is_sounding());
            black_box(&tone);
            keys.poll_done();
        });
    }
}
