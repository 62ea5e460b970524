//! Reports of RTCP, made and read.

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use koukan_base::{Rng, Time};
use koukan_media::ReceiveStats;
use koukan_media::rtcp::{RtcpSession, Sent};

use crate::counting::measure;

/// Longer than any interval between two reports.
const NEXT: Duration = Duration::from_secs(20);

pub(crate) fn bench(criterion: &mut Criterion) {
    let begin = Time::from_millis(1_000);
    let mut reception = ReceiveStats::default();
    for number in 0..100u16 {
        let now = begin + Duration::from_millis(u64::from(number) * 20);
        reception.note(now, 7, number, u32::from(number) * 160, 8_000);
    }
    let mut ours = RtcpSession::new(begin, Rng::from_number(1), b"0123456789abcdef", 8_000);
    let mut sent = Sent { ssrc: 5, packets: 100, octets: 16_000, timestamp: 16_000 };
    let (mut buffer, mut length, mut now) = ([0; 400], 0, begin);
    measure(criterion, "RTCP report made", || {
        now = now + NEXT;
        sent.packets += 50;
        length = ours.report(now, sent, &mut reception, false, black_box(&mut buffer));
    });
    assert!(length > 0, "a report was due");
    let report = buffer.get(..length).unwrap_or_default();
    let mut theirs = RtcpSession::new(begin, Rng::from_number(2), b"fedcba9876543210", 8_000);
    measure(criterion, "RTCP report read", || {
        now = now + NEXT;
        let heard = theirs.handle(now, 7, black_box(report));
        assert!(heard.is_ok_and(|heard| heard.block.is_some()));
    });
}
