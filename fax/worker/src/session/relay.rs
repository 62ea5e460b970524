//! T.38 on both sides (ITU-T T.38, clause 9): packets that come at one go out at the other, with
//! that side's numbers, copies or parities and largest datagram. What was lost on the one way and
//! repaired is whole on the other.

use std::net::SocketAddr;

use koukan_base::Time;
use koukan_fax::protocol::T38;

use super::{Line, UdptlLine};
use crate::spandsp::Packet;

/// Packets of so few bytes begin or end something (an indicator, the end of a signal): often no
/// other follows them soon that would bring them once more, so that they go out three times.
const SHORT: usize = 8;

/// Packets that wait for their tick; more than this is a flood.
const WAITING: usize = 64;

/// Two UDPTL streams, each the other's source.
#[derive(Debug)]
pub(super) struct Relay {
    near: UdptlLine,
    far: UdptlLine,
    /// What has come at the near side and goes out at the far one, and the other way.
    to_far: Vec<Packet>,
    to_near: Vec<Packet>,
}

impl Relay {
    pub(super) fn new(near: &T38, far: &T38) -> Self {
        let (near, far) = (UdptlLine::new(near), UdptlLine::new(far));
        Self { near, far, to_far: Vec::new(), to_near: Vec::new() }
    }

    /// Takes a datagram; says whether it was one of the stream's.
    pub(super) fn receive(
        &mut self,
        now: Time,
        line: Line,
        from: SocketAddr,
        datagram: &[u8],
    ) -> bool {
        let (side, waiting) = match line {
            Line::T38 => (&mut self.near, &mut self.to_far),
            Line::Far => (&mut self.far, &mut self.to_near),
            Line::Audio => return false,
        };
        side.receive(now, from, datagram, |_, ifp| {
            if waiting.len() < WAITING {
                let times = if ifp.len() <= SHORT { 3 } else { 1 };
                waiting.push(Packet { ifp: ifp.to_vec(), times });
            }
        })
    }

    /// Sends what has come.
    pub(super) fn tick(&mut self, send: &mut impl FnMut(Line, SocketAddr, &[u8])) {
        for packet in self.to_far.drain(..) {
            self.far.send(&packet, |to, datagram| send(Line::Far, to, datagram));
        }
        for packet in self.to_near.drain(..) {
            self.near.send(&packet, |to, datagram| send(Line::T38, to, datagram));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn t38(port: u16) -> T38 {
        T38 {
            remote: address(port),
            max_datagram: 400,
            redundancy: 3,
            fec: None,
            local_tcf: false,
            max_bit_rate: 14_400,
        }
    }

    /// An indicator, or V.21 octets: what a machine sends.
    fn ifp(number: u8) -> Vec<u8> {
        match number % 4 {
            0 => vec![(number % 16) << 1],
            _ => vec![0xC0, 0x01, 0x80, 0x00, 0x00, number],
        }
    }

    #[test]
    fn what_comes_at_one_side_goes_out_at_the_other_whole_though_a_third_was_lost() {
        let mut relay = Relay::new(&t38(1), &t38(2));
        let (mut one, mut other) = (UdptlLine::new(&t38(3)), UdptlLine::new(&t38(3)));
        let now = Time::from_millis(1);
        let mut came = Vec::new();
        for number in 0..60_u8 {
            let packet = Packet { ifp: ifp(number), times: 1 };
            let mut wire = Vec::new();
            one.send(&packet, |_, datagram| wire.push(datagram.to_vec()));
            for datagram in wire.iter().filter(|_| number % 3 != 1) {
                assert!(relay.receive(now, Line::T38, address(1), datagram));
            }
            relay.tick(&mut |line, to, datagram| {
                assert_eq!((line, to), (Line::Far, address(2)));
                let number_of = |number: u16, ifp: &[u8]| came.push((number, ifp.to_vec()));
                other.receive(now + Duration::from_millis(1), address(3), datagram, number_of);
            });
        }
        let sent: Vec<Vec<u8>> = (0..60).map(ifp).collect();
        let got: Vec<Vec<u8>> = came.iter().map(|(_, ifp)| ifp.clone()).collect();
        assert_eq!(got, sent.get(..got.len()).unwrap_or_default(), "in order, each once");
        assert!(got.len() >= 59, "{}", got.len());
        assert!(came.iter().zip(0..).all(|((number, _), counted)| *number == counted));
    }

    #[test]
    fn junk_and_floods_change_nothing() {
        let mut relay = Relay::new(&t38(1), &t38(2));
        let now = Time::from_millis(1);
        for junk in [&b""[..], b"\x80\x00", b"junk that is none", &[0; 200]] {
            assert!(!relay.receive(now, Line::T38, address(1), junk));
            assert!(!relay.receive(now, Line::Audio, address(1), junk));
        }
        let mut one = UdptlLine::new(&t38(3));
        for number in 0..200_u8 {
            let packet = Packet { ifp: ifp(number), times: 1 };
            one.send(&packet, |_, datagram| {
                relay.receive(now, Line::T38, address(1), datagram);
            });
        }
        assert_eq!(relay.to_far.len(), WAITING, "what waits is bounded");
        let mut sent = 0;
        relay.tick(&mut |_, _, _| sent += 1);
        assert!(sent >= WAITING && relay.to_far.is_empty() && relay.to_near.is_empty());
    }
}
