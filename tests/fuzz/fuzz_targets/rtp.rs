//! Datagrams to one stream in any order (RFC 3550): header view, latch, statistics, digits, and the
//! header under which a packet goes on. Each operation is two bytes (length, time and source) and
//! that many bytes of datagram.
#![no_main]

use std::net::SocketAddr;
use std::time::Duration;

use koukan_base::Time;
use koukan_media::{DigitReceiver, Latch, ReceiveStats, RtpHeader, Sender, Verdict};
use libfuzzer_sys::fuzz_target;

const CLOCK_RATE: u32 = 8000;

fuzz_target!(|bytes: &[u8]| {
    let announced = SocketAddr::from(([192, 0, 2, 1], 4000));
    let (mut latch, mut stats) = (Latch::default(), ReceiveStats::default());
    let (mut digits, mut sender) = (DigitReceiver::default(), Sender::new(1, 65_535, u32::MAX));
    let (mut now, mut rest, mut accepted) = (Time::from_millis(1), bytes, 0u64);
    while let Some((&[length, turn], behind)) = rest.split_first_chunk() {
        let (datagram, next) = behind.split_at(usize::from(length).min(behind.len()));
        rest = next;
        now = now + Duration::from_millis(u64::from(turn >> 2) * 5);
        let Some(header) = RtpHeader::parse(datagram) else { continue };
        let payload = &datagram[header.payload_start..header.payload_end];
        let from = SocketAddr::from(([192, 0, 2, 1], 4000 + u16::from(turn & 3)));
        if latch.judge(now, from, header.ssrc, announced) == Verdict::Foreign {
            continue;
        }
        accepted += 1;
        stats.note(now, header.ssrc, header.sequence, header.timestamp, CLOCK_RATE);
        let _ = digits.receive(now, header.timestamp, payload, CLOCK_RATE);
        let sent = sender.pass_on(now, u64::from(turn & 1), &header, 0, CLOCK_RATE);
        assert_eq!(sent.ssrc, 1);
        assert_eq!(stats.received(), accepted, "every accepted packet counts once");
        let _ = (stats.lost(), stats.jitter_us(CLOCK_RATE), latch.target(announced));
        if turn & 2 != 0 {
            let _ = sender.own(now, 0, 160, CLOCK_RATE);
        }
    }
});
