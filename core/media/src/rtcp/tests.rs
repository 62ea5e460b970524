//! Compound packets there and back, cut and turned; two ends on a virtual clock.

use std::time::Duration;

use koukan_base::{Rng, Time};
use proptest::prelude::*;

use super::*;
use crate::ReceiveStats;

fn blocks() -> impl Strategy<Value = Vec<ReportBlock>> {
    let block = (any::<[u32; 5]>(), any::<u8>(), -0x80_0000i32..0x80_0000).prop_map(
        |([ssrc, highest, jitter, last_report, delay], fraction_lost, lost)| ReportBlock {
            ssrc,
            fraction_lost,
            lost,
            highest,
            jitter,
            last_report,
            delay,
        },
    );
    prop::collection::vec(block, 0..32)
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        ssrc: u32, sends: bool, ntp: u64, counts: [u32; 3], blocks in blocks(),
        cname in prop::collection::vec(any::<u8>(), 0..256), bye: bool,
    ) {
        let [rtp, packets, octets] = counts;
        let info = sends.then_some(SenderInfo { ntp, rtp, packets, octets });
        let mut buffer = [0; 1_500];
        let length = write(&mut buffer, ssrc, info, &blocks, &cname, bye).unwrap();
        prop_assert_eq!(length % 4, 0);
        let compound = Compound::parse(&buffer[..length]).unwrap();
        let all: Vec<Packet> = compound.packets().collect();
        prop_assert_eq!(all.len(), 2 + usize::from(bye));
        let (who, back) = match all[0] {
            Packet::SenderReport { ssrc, info: read, reports } => {
                prop_assert_eq!(Some(read), info);
                (ssrc, reports)
            }
            Packet::ReceiverReport { ssrc, reports } => (ssrc, reports),
            _ => panic!("no report first"),
        };
        prop_assert_eq!(who, ssrc);
        prop_assert!(back.iter().eq(blocks.iter().copied()));
        let Packet::Description { first } = all[1] else { panic!("no SDES second") };
        prop_assert_eq!(first, Some((ssrc, cname.as_slice())));
        for end in 1..length {
            // A cut at a packet's end leaves a shorter compound packet; elsewhere it is refused.
            if let Ok(cut) = Compound::parse(&buffer[..end]) {
                prop_assert!(cut.packets().count() < all.len());
            }
        }
        prop_assert!(write(&mut buffer[..length - 1], ssrc, info, &blocks, &cname, bye).is_none());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(compound) = Compound::parse(&bytes) {
            prop_assert!(compound.packets().count() <= bytes.len() / 4);
        }
    }
}

#[test]
fn what_is_no_compound_packet_is_refused_with_its_reason() {
    let parse = |bytes: &[u8]| Compound::parse(bytes).map(|_| ());
    let report = [0x80, 201, 0, 1, 0, 0, 0, 9];
    assert_eq!(parse(&report), Ok(()));
    assert_eq!(parse(&[]), Err(RtcpError::Truncated));
    assert_eq!(parse(&report[..7]), Err(RtcpError::Truncated));
    assert_eq!(parse(&[0x40, 201, 0, 1, 0, 0, 0, 9]), Err(RtcpError::Version));
    assert_eq!(parse(&[0x80, 203, 0, 0]), Err(RtcpError::NotCompound));
    assert_eq!(parse(&[0x81, 201, 0, 1, 0, 0, 0, 9]), Err(RtcpError::Contents));
    let padded_first = [&[0xA0, 201, 0, 2, 0, 0, 0, 9, 0, 0, 0, 4][..], &report].concat();
    assert_eq!(parse(&padded_first), Err(RtcpError::NotCompound));
    assert_eq!(parse(&padded_first[..12]), Ok(()), "padding is fine at the end");
    let lying = [&report[..], &[0x81, 202, 0, 2, 0, 0, 0, 9, 1, 200, b'x', 0]].concat();
    assert_eq!(parse(&lying), Err(RtcpError::Contents), "a name longer than its packet");
    let bye = [&report[..], &[0x81, 203, 0, 2, 0, 0, 0, 9, 9, b'b', b'y', b'e']].concat();
    assert_eq!(parse(&bye), Err(RtcpError::Contents), "a reason longer than its packet");
}

#[test]
fn reports_come_every_two_to_six_seconds_and_measure_loss_and_the_way() {
    let start = Time::from_millis(100_000);
    let session = |seed| RtcpSession::new(start, Rng::from_number(seed), b"a@b", 8_000);
    let (mut one, mut other) = (session(1), session(2));
    let mut stats = ReceiveStats::default();
    let (mut packets, mut reports, mut at) = (0u64, Vec::new(), Vec::new());
    let mut wire: Vec<(Time, bool, Vec<u8>)> = Vec::new();
    for ms in 0..120_000u64 {
        let now = start + Duration::from_millis(ms);
        if ms % 20 == 0 {
            packets += 1;
            // Every tenth packet is lost on the way to the other.
            if packets % 10 != 0 {
                let sequence = u16::try_from(packets).unwrap();
                stats.note(now, 1, sequence, u32::from(sequence) * 160, 8_000);
            }
        }
        let mut buffer = [0; 500];
        let sent = Sent { ssrc: 1, packets, octets: packets * 160, timestamp: 0 };
        let mut none = ReceiveStats::default();
        let length = one.report(now, sent, &mut none, false, &mut buffer);
        if length > 0 {
            at.push(ms);
            wire.push((now + Duration::from_millis(30), true, buffer[..length].to_vec()));
        }
        let idle = Sent { ssrc: 2, ..Sent::default() };
        let length = other.report(now, idle, &mut stats, false, &mut buffer);
        if length > 0 {
            wire.push((now + Duration::from_millis(50), false, buffer[..length].to_vec()));
        }
        let (due, rest): (Vec<_>, Vec<_>) = wire.into_iter().partition(|(when, ..)| *when <= now);
        wire = rest;
        for (_, to_other, bytes) in due {
            if to_other {
                other.handle(now, 2, &bytes).unwrap();
            } else {
                reports.push(one.handle(now, 1, &bytes).unwrap());
            }
        }
    }
    let gaps: Vec<u64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| (2_050..=6_160).contains(gap)), "{gaps:?}");
    let mean = gaps.iter().sum::<u64>() / gaps.len() as u64;
    assert!((3_300..4_900).contains(&mean), "{mean}");
    let last = reports.last().unwrap().block.unwrap();
    assert!((20..32).contains(&last.fraction_lost), "{last:?}");
    assert!((570..=600).contains(&last.lost), "{last:?}");
    let way = one.round_trip().unwrap().as_micros();
    assert!((79_000..=81_000).contains(&way), "{way} µs");
    let mut buffer = [0; 500];
    let length = one.report(start, Sent::default(), &mut stats, true, &mut buffer);
    assert!(other.handle(start, 2, &buffer[..length]).unwrap().bye);
}
