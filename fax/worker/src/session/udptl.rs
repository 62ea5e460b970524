//! IFP packets in UDPTL (T.38, clause 9): repaired on the way in, with copies or parities on the
//! way out. Datagrams go where they come from, because a machine behind a NAT is known by nothing
//! else; only one that is UDPTL to its last byte moves that.

use std::net::SocketAddr;

use koukan_base::Time;
use koukan_fax::protocol::T38;
use koukan_media::udptl::{Correction, Packet as Datagram, Receiver, Sender, UdptlCounts};
use koukan_media::{Latch, Verdict};

use crate::spandsp::Packet;

/// One UDPTL stream, both ways.
#[derive(Debug)]
pub struct UdptlLine {
    announced: SocketAddr,
    peer: SocketAddr,
    latch: Latch,
    receiver: Receiver,
    sender: Sender,
    datagram: Vec<u8>,
}

/// Bytes of a datagram around its primary: number, length, kind and count.
const AROUND: u16 = 6;

/// Smaller datagrams carry no control frame of T.30.
const LEAST_IFP: u16 = 40;

/// The largest that spandsp's packets are let grow to.
const MOST_IFP: u16 = 300;

/// Bytes of the largest IFP packet that fits the other side's largest datagram.
pub(super) fn max_ifp(max_datagram: u16) -> u16 {
    max_datagram.saturating_sub(AROUND).clamp(LEAST_IFP, MOST_IFP)
}

impl UdptlLine {
    /// A stream as SDP has agreed on it.
    #[must_use]
    pub fn new(t38: &T38) -> Self {
        let correction = match (t38.fec, t38.redundancy) {
            (Some((span, entries)), _) => Correction::Fec { span, entries },
            (None, 0) => Correction::None,
            (None, depth) => Correction::Redundancy { depth },
        };
        Self {
            announced: t38.remote,
            peer: t38.remote,
            latch: Latch::default(),
            receiver: Receiver::default(),
            sender: Sender::new(correction, usize::from(t38.max_datagram)),
            datagram: Vec::new(),
        }
    }

    /// Takes a datagram and gives out what is new; says whether it was one of the stream's.
    pub fn receive(
        &mut self,
        now: Time,
        from: SocketAddr,
        datagram: &[u8],
        deliver: impl FnMut(u16, &[u8]),
    ) -> bool {
        // Junk is judged by what it is before it may say where we send to.
        if Datagram::parse(datagram).is_err() {
            return false;
        }
        match self.latch.judge(now, from, 0, self.announced) {
            Verdict::Foreign => return false,
            Verdict::Latched => self.peer = from,
            Verdict::Accept => {}
        }
        self.receiver.receive(datagram, deliver).is_ok()
    }

    /// Sends a packet, as often as it is to be.
    pub fn send(&mut self, packet: &Packet, mut send: impl FnMut(SocketAddr, &[u8])) {
        self.sender.write(&packet.ifp, &mut self.datagram);
        for _ in 0..packet.times {
            send(self.peer, &self.datagram);
        }
    }

    /// What came.
    #[must_use]
    pub const fn counts(&self) -> UdptlCounts {
        self.receiver.counts()
    }
}
