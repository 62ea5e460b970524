//! Datagrams to an RTCP session (RFC 3550, section 6), which reports in between. Each operation is
//! a length and that many bytes.
#![no_main]

use std::time::Duration;

use koukan_base::{Rng, Time};
use koukan_media::ReceiveStats;
use koukan_media::rtcp::{Compound, RtcpSession, Sent};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut now = Time::from_millis(1);
    let mut session = RtcpSession::new(now, Rng::from_number(1), b"name", 8_000);
    let (mut stats, mut rest, mut packets) = (ReceiveStats::default(), bytes, 0);
    while let Some((&length, behind)) = rest.split_first() {
        let (datagram, next) = behind.split_at(usize::from(length).min(behind.len()));
        rest = next;
        now = now + Duration::from_millis(u64::from(length) * 40);
        let read = session.handle(now, 0x4142_4344, datagram);
        assert_eq!(read.is_ok(), Compound::parse(datagram).is_ok());
        stats.note(now, 7, u16::from(length), u32::from(length) * 160, 8_000);
        packets += u64::from(length & 1);
        let sent = Sent { ssrc: 0x4142_4344, packets, octets: packets, timestamp: 0 };
        let mut buffer = [0; 300];
        let length = session.report(now, sent, &mut stats, false, &mut buffer);
        assert!(length == 0 || Compound::parse(&buffer[..length]).is_ok());
        assert!(session.poll_timeout() > now);
    }
});
