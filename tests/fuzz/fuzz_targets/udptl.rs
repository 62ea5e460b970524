//! Datagrams to a UDPTL stream (T.38, clause 9), between those of a true sender. The first byte
//! chooses how losses are repaired; each operation is a byte: the lowest bits say whether a
//! datagram of the sender comes, is lost or is repeated, or a stranger's of so many bytes follows.
#![no_main]

use koukan_media::udptl::{Correction, Packet, Receiver, Sender, ifp_bytes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, mut rest)) = bytes.split_first() else { return };
    let correction = match first & 3 {
        0 => Correction::None,
        1 => Correction::Redundancy { depth: first >> 2 },
        _ => Correction::Fec { span: first >> 5, entries: (first >> 2) & 7 },
    };
    let (mut sender, mut receiver) = (Sender::new(correction, 300), Receiver::default());
    let (mut out, mut sent, mut came) = (Vec::new(), 0_u8, 0_u64);
    let check = |number: u16, ifp: &[u8], came: &mut u64| {
        assert_eq!(ifp_bytes(ifp), Some(ifp.len()), "{number}");
        *came += 1;
    };
    while let Some((&operation, behind)) = rest.split_first() {
        rest = behind;
        if operation & 3 == 3 {
            let (datagram, behind) = rest.split_at(usize::from(operation >> 2).min(rest.len()));
            rest = behind;
            let read = Packet::parse(datagram).is_ok();
            let taken = receiver.receive(datagram, |number, ifp| check(number, ifp, &mut came));
            assert!(read || taken.is_err());
            continue;
        }
        if operation & 3 != 2 {
            sender.write(&[0xC6, 1, 0x80, 0, 1, sent, operation], &mut out);
            sent = sent.wrapping_add(1);
        }
        if operation & 3 != 1 && !out.is_empty() {
            let _ = receiver.receive(&out, |number, ifp| check(number, ifp, &mut came));
        }
    }
    let counts = receiver.counts();
    assert!(came <= counts.received + counts.recovered);
});
