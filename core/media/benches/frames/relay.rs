//! A packet that is passed on: read, judged by the latch and the pace, noted, and given the header
//! under which the other peer gets it. Everything of a relay but its system calls.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use criterion::Criterion;
use koukan_base::Time;
use koukan_media::{HEADER_BYTES, Latch, Pace, ReceiveStats, RtpHeader, Sender, Verdict};

use crate::counting::measure;

/// Bytes of a packet of 20 ms of G.711.
pub(crate) const PACKET: usize = 172;

/// Such a packet.
pub(crate) fn packet() -> [u8; PACKET] {
    let mut packet = [0x55; PACKET];
    packet[..HEADER_BYTES].copy_from_slice(&[0x80, 8, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7]);
    packet
}

/// Gives a packet the next sequence number and timestamp.
pub(crate) fn next(packet: &mut [u8]) {
    let Some(head) = packet.first_chunk_mut::<8>() else { return };
    let [_, _, s0, s1, t0, t1, t2, t3] = *head;
    let [s0, s1] = u16::from_be_bytes([s0, s1]).wrapping_add(1).to_be_bytes();
    let [t0, t1, t2, t3] = u32::from_be_bytes([t0, t1, t2, t3]).wrapping_add(160).to_be_bytes();
    *head = [0x80, 8, s0, s1, t0, t1, t2, t3];
}

pub(crate) fn bench(criterion: &mut Criterion) {
    let plain = packet();
    measure(criterion, "RTP header read", || {
        black_box(RtpHeader::parse(black_box(&plain)));
    });
    let peer = SocketAddr::from(([192, 0, 2, 7], 4_000));
    let (mut latch, mut pace, mut reception) =
        (Latch::default(), Pace::default(), ReceiveStats::default());
    let mut sender = Sender::new(99, 1_000, 50_000);
    let (mut buffer, mut now) = (packet(), Time::from_millis(1_000));
    // What comes in, since the header that goes out is written over it.
    let mut incoming = packet();
    measure(criterion, "RTP relay: read, latch, note, rewrite", || {
        now = now + Duration::from_millis(20);
        next(&mut incoming);
        buffer[..HEADER_BYTES].copy_from_slice(&incoming[..HEADER_BYTES]);
        if !pace.permits(now) {
            return;
        }
        let Some(header) = RtpHeader::parse(black_box(&buffer)) else { return };
        if latch.judge(now, black_box(peer), header.ssrc, peer) == Verdict::Foreign {
            return;
        }
        pace.took();
        reception.note(now, header.ssrc, header.sequence, header.timestamp, 8_000);
        let header = sender.pass_on(now, 1, &header, 8, 8_000);
        buffer[..HEADER_BYTES].copy_from_slice(&header.bytes());
        black_box(&buffer);
    });
    let stranger = SocketAddr::from(([203, 0, 113, 9], 9));
    measure(criterion, "RTP relay: a stranger's packet refused", || {
        let Some(header) = RtpHeader::parse(black_box(&plain)) else { return };
        black_box(latch.judge(now, black_box(stranger), 8, peer));
        black_box(header);
    });
}
