//! Two ends in memory, with loss, repeats and strangers.
#![allow(clippy::cast_possible_truncation, reason = "small numbers, or meant to wrap")]

use koukan_base::Rng;
use proptest::prelude::*;

use super::*;

/// IFP packets as a call has them: V.21 data of one octet, image data, indicators.
fn ifp(number: usize) -> Vec<u8> {
    let byte = (number % 251) as u8;
    match number % 4 {
        0 => vec![0x06],
        1 => vec![0xC0, 1, 0x80, 0, 0, byte],
        _ => {
            let length = 30 + number % 60;
            let mut packet = vec![0xCE, 1, 0x80, 0, length as u8 - 1];
            packet.extend((0..length).map(|at| byte.wrapping_mul(7).wrapping_add(at as u8)));
            packet
        }
    }
}

const REDUNDANCY: Correction = Correction::Redundancy { depth: 3 };
const FEC: Correction = Correction::Fec { span: 3, entries: 3 };

/// Sends packets through a lossy line; says which came out, and the receiver's counts.
fn through(correction: Correction, packets: usize, loss: u64, seed: u64) -> (Vec<usize>, Receiver) {
    let (mut sender, mut receiver) = (Sender::new(correction, 400), Receiver::default());
    let (mut random, mut out, mut came) = (Rng::from_number(seed), Vec::new(), Vec::new());
    for number in 0..packets {
        sender.write(&ifp(number), &mut out);
        // The first and the last arrive: a stream begins and ends with what came.
        let edge = number == 0 || number + 1 == packets;
        if !edge && random.next_u64() % 1_000 < loss {
            continue;
        }
        let taken = receiver.receive(&out, |sequence, packet| {
            let number = came.last().map_or(0, |last: &usize| *last + 1);
            let whole = number + usize::from(sequence.wrapping_sub(number as u16));
            assert_eq!(packet, ifp(whole), "packet {whole}");
            came.push(whole);
        });
        taken.unwrap();
    }
    (came, receiver)
}

#[test]
fn without_loss_everything_comes_once_and_in_order() {
    for correction in [Correction::None, REDUNDANCY, FEC] {
        // More than 65536, so that numbers begin anew.
        let (came, receiver) = through(correction, 70_000, 0, 1);
        assert!(came.into_iter().eq(0..70_000));
        let counts = receiver.counts();
        assert_eq!((counts.received, counts.lost, counts.recovered), (70_000, 0, 0));
    }
}

#[test]
fn copies_and_parities_repair_a_tenth_of_loss() {
    let lost = |correction| {
        let (came, receiver) = through(correction, 20_000, 100, 2);
        let counts = receiver.counts();
        assert_eq!(came.len() as u64, 20_000 - counts.lost);
        assert!(counts.recovered + counts.lost > 1_800);
        counts.lost
    };
    assert!(lost(Correction::None) > 1_800);
    // Four in a row must be lost: one in ten thousand.
    assert!(lost(REDUNDANCY) < 12, "{}", lost(REDUNDANCY));
    // A parity is lost with any two of its three packets.
    assert!(lost(FEC) < 800, "{}", lost(FEC));
}

#[test]
fn a_datagram_stays_below_the_largest_and_its_primary_is_always_there() {
    for correction in [REDUNDANCY, FEC] {
        let (mut sender, mut out) = (Sender::new(correction, 160), Vec::new());
        let mut repaired = 0;
        for number in 0..200 {
            sender.write(&ifp(number), &mut out);
            let packet = Packet::parse(&out).unwrap();
            assert_eq!(packet.primary, ifp(number));
            assert!(out.len() <= 160, "{} bytes", out.len());
            repaired += match packet.recovery {
                Recovery::Redundancy(entries) | Recovery::Fec { entries, .. } => entries.len(),
            };
        }
        assert!(repaired > 200);
        let (mut sender, mut out) = (Sender::new(correction, 10), Vec::new());
        sender.write(&ifp(3), &mut out);
        assert_eq!(Packet::parse(&out).unwrap().primary, ifp(3));
    }
}

#[test]
fn repeats_say_nothing_new_and_late_ones_neither() {
    let (mut sender, mut receiver) = (Sender::new(Correction::None, 400), Receiver::default());
    let datagrams: Vec<Vec<u8>> = (0..5)
        .map(|number| {
            let mut out = Vec::new();
            sender.write(&ifp(number), &mut out);
            out
        })
        .collect();
    let mut came = Vec::new();
    for index in [0, 0, 0, 1, 3, 2, 3, 4] {
        receiver.receive(&datagrams[index], |number, _| came.push(number)).unwrap();
    }
    assert_eq!(came, [0, 1, 3, 4]);
    let counts = receiver.counts();
    assert_eq!((counts.received, counts.repeated, counts.lost), (8, 4, 1));
}

#[test]
fn strangers_do_not_move_the_stream_and_a_new_count_is_followed() {
    let (mut sender, mut receiver) = (Sender::new(REDUNDANCY, 400), Receiver::default());
    let (mut random, mut out, mut came) = (Rng::from_number(3), Vec::new(), 0_usize);
    for number in 0..2_000 {
        sender.write(&ifp(number), &mut out);
        receiver.receive(&out, |_, _| came += 1).unwrap();
        // RTP of 172 bytes, and noise of any length.
        let mut rtp = vec![0x80, 0, (number >> 8) as u8, number as u8];
        rtp.extend((0..168).map(|_| (random.next_u64() & 0xFF) as u8));
        assert!(receiver.receive(&rtp, |_, _| came += 1_000_000).is_err());
        let length = random.next_u64() % 60;
        let noise: Vec<u8> = (0..length).map(|_| (random.next_u64() & 0xFF) as u8).collect();
        assert!(receiver.receive(&noise, |_, _| came += 1_000_000).is_err());
    }
    assert_eq!(came, 2_000);
    // A single well-formed datagram far away is not believed; two in a row are.
    let far = |number: u16| [number.to_be_bytes().as_slice(), &[1, 0x06, 0, 0]].concat();
    let jump = receiver.receive(&far(40_000), |_, _| came += 1);
    assert_eq!(jump, Err(UdptlError::Jump { number: 40_000, expected: 2_000 }));
    sender.write(&ifp(2_000), &mut out);
    receiver.receive(&out, |_, _| came += 1).unwrap();
    assert!(receiver.receive(&far(40_000), |_, _| came += 1).is_err());
    receiver.receive(&far(40_001), |_, _| came += 1).unwrap();
    assert_eq!(came, 2_002);
}

/// As another stack writes it: indicator CED; V.21 data with two copies; a parity of FEC.
#[test]
fn datagrams_of_the_wire_are_read() {
    let packet = Packet::parse(&[0, 0, 1, 0x04, 0, 0]).unwrap();
    assert_eq!((packet.sequence, packet.primary), (0, &[0x04][..]));
    let copies = [0x01, 0x02, 6, 0xC0, 1, 0x80, 0, 0, 0xFF, 0, 2, 1, 0x06, 1, 0x04];
    let Recovery::Redundancy(entries) = Packet::parse(&copies).unwrap().recovery else {
        panic!("copies")
    };
    assert!(entries.iter().eq([&[0x06][..], &[0x04]]));
    let parity = [0, 3, 1, 0x06, 0x80, 1, 3, 1, 1, 0x02];
    let Recovery::Fec { span: 3, entries } = Packet::parse(&parity).unwrap().recovery else {
        panic!("a parity")
    };
    assert!(entries.iter().eq([&[0x02][..]]));
}

#[test]
fn every_cut_is_an_error_and_so_is_what_hangs_behind() {
    for correction in [REDUNDANCY, FEC] {
        let (mut sender, mut out) = (Sender::new(correction, 400), Vec::new());
        (0..20).for_each(|number| sender.write(&ifp(number), &mut out));
        for length in 0..out.len() {
            assert!(Packet::parse(&out[..length]).is_err(), "{length}");
        }
        out.push(0);
        assert_eq!(Packet::parse(&out), Err(UdptlError::Trailing { bytes: 1 }));
    }
    assert_eq!(Packet::parse(&[0; 1_501]), Err(UdptlError::TooLong { bytes: 1_501 }));
}

proptest! {
    #[test]
    fn any_datagrams_in_any_order_give_numbers_that_only_rise(
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..60),
        order in prop::collection::vec(0_usize..200, 0..200),
        seed: u64,
    ) {
        let correction = if seed & 1 == 0 { REDUNDANCY } else { FEC };
        let mut sender = Sender::new(correction, 300);
        let mut good = Vec::new();
        for number in 0..200 {
            let mut out = Vec::new();
            sender.write(&ifp(number), &mut out);
            good.push(out);
        }
        let mut receiver = Receiver::default();
        let mut last: Option<u16> = None;
        let mut strange = datagrams.iter();
        for index in order {
            if let Some(datagram) = strange.next() {
                let _ = receiver.receive(datagram, |_, _| {});
                continue;
            }
            let _ = receiver.receive(&good[index], |number, packet| {
                assert!(ifp_bytes(packet) == Some(packet.len()));
                assert!(last.is_none_or(|last| number.wrapping_sub(last) < 40_000));
                last = Some(number);
            });
        }
    }

    #[test]
    fn a_packet_reads_back_as_it_was_written(count in 1_usize..40, depth in 0_u8..9) {
        let correction = Correction::Redundancy { depth };
        let mut sender = Sender::new(correction, 1_400);
        let mut out = Vec::new();
        (0..count).for_each(|number| sender.write(&ifp(number), &mut out));
        let packet = Packet::parse(&out).unwrap();
        prop_assert_eq!(usize::from(packet.sequence), count - 1);
        let Recovery::Redundancy(entries) = packet.recovery else { panic!("copies") };
        let wanted = usize::from(depth).min(7).min(count - 1);
        prop_assert_eq!(entries.len(), wanted);
        for (back, copy) in (2..).zip(entries.iter()) {
            prop_assert_eq!(copy, &ifp(count - back)[..]);
        }
    }
}
