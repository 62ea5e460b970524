//! UDPTL packets of a T.38 stream, read. They are written by the fax worker, a process of its own.

use std::hint::black_box;

use criterion::Criterion;
use koukan_media::udptl::{Correction, Packet, Sender};

use crate::counting::measure;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut sender = Sender::new(Correction::Redundancy { depth: 3 }, 400);
    let mut datagram = Vec::new();
    // Data of page images (V.17, non-ECM): one field of 40 bytes.
    let mut ifp = vec![0xC0, 0x01, 0x80, 0x00, 39];
    ifp.extend([0x5A; 40]);
    for _ in 0..5 {
        sender.write(&ifp, &mut datagram);
    }
    measure(criterion, "UDPTL datagram with three copies read", || {
        let packet = Packet::parse(black_box(&datagram));
        assert!(packet.is_ok_and(|packet| packet.primary.len() == ifp.len()));
    });
}
