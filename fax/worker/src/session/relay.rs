//! T.38 on both sides (ITU-T T.38, clause 9): packets that come at one go out at the other, with that
//! side's numbers, copies or parities and largest datagram. What was lost on the one way and repaired
//! is whole on the other.

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
