//! Symmetric RTP with a guarded latch: packets go where they come from, and nobody steals a stream
//! by sending to its port.

use std::net::SocketAddr;
use std::time::Duration;

use koukan_base::Time;

/// A locked source that is silent for so long gives the latch free for the same SSRC (a NAT gave
/// the phone another port).
const SAME_SOURCE: Duration = Duration::from_millis(300);

/// The same for a stranger.
const OTHER_SOURCE: Duration = Duration::from_secs(3);

/// Whose packets a stream accepts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Latch {
    locked: Option<Locked>,
}

#[derive(Clone, Copy, Debug)]
struct Locked {
    address: SocketAddr,
    ssrc: u32,
    heard: Time,
}

/// What the latch makes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// From the locked source.
    Accept,
    /// The first packet, or the first of a source that took the stream over.
    Latched,
    /// From a stranger: drop and count.
    Foreign,
}

impl Latch {
    /// Judges a packet. `announced` is the address of the peer's SDP: it may always take the stream
    /// back from somebody who was faster.
    pub fn judge(
        &mut self,
        now: Time,
        from: SocketAddr,
        ssrc: u32,
        announced: SocketAddr,
    ) -> Verdict {
        let verdict = match &self.locked {
            Some(locked) if locked.address == from => Verdict::Accept,
            None => Verdict::Latched,
            Some(locked) => {
                let silence = now.since(locked.heard);
                let needed = if locked.ssrc == ssrc { SAME_SOURCE } else { OTHER_SOURCE };
                let rightful = from == announced && locked.address != announced;
                if rightful || silence >= needed { Verdict::Latched } else { Verdict::Foreign }
            }
        };
        if verdict != Verdict::Foreign {
            self.locked = Some(Locked { address: from, ssrc, heard: now });
        }
        verdict
    }

    /// Where packets go: to the locked source, else where the SDP says.
    #[must_use]
    pub fn target(&self, announced: SocketAddr) -> SocketAddr {
        self.locked.map_or(announced, |locked| locked.address)
    }

    /// Forgets the source: the peer has announced another address.
    pub const fn release(&mut self) {
        self.locked = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: u8, port: u16) -> SocketAddr {
        ([192, 0, 2, host], port).into()
    }

    #[test]
    fn a_stranger_cannot_take_a_stream_that_is_alive() {
        let mut latch = Latch::default();
        let announced = address(1, 4000);
        assert_eq!(latch.judge(Time::ZERO, address(9, 5000), 1, announced), Verdict::Latched);
        for ms in (20..10_000).step_by(20) {
            let now = Time::from_millis(ms);
            assert_eq!(latch.judge(now, address(9, 5000), 1, announced), Verdict::Accept);
            assert_eq!(latch.judge(now, address(66, 6666), 2, announced), Verdict::Foreign);
        }
        assert_eq!(latch.target(announced), address(9, 5000));
    }

    #[test]
    fn a_phone_whose_nat_changed_takes_its_stream_back_soon_and_a_stranger_late() {
        let mut latch = Latch::default();
        let announced = address(1, 4000);
        latch.judge(Time::ZERO, address(9, 5000), 1, announced);
        let soon = Time::from_millis(299);
        assert_eq!(latch.judge(soon, address(9, 5001), 1, announced), Verdict::Foreign);
        let later = Time::from_millis(300);
        assert_eq!(latch.judge(later, address(9, 5001), 1, announced), Verdict::Latched);
        let silent = Time::from_millis(3_299);
        assert_eq!(latch.judge(silent, address(7, 1), 2, announced), Verdict::Foreign);
        let long = Time::from_millis(3_300);
        assert_eq!(latch.judge(long, address(7, 1), 2, announced), Verdict::Latched);
    }

    #[test]
    fn the_announced_address_takes_the_stream_from_one_who_was_faster() {
        let mut latch = Latch::default();
        let announced = address(1, 4000);
        latch.judge(Time::ZERO, address(66, 6666), 2, announced);
        assert_eq!(latch.judge(Time::ZERO, announced, 1, announced), Verdict::Latched);
        assert_eq!(latch.judge(Time::ZERO, address(66, 6666), 2, announced), Verdict::Foreign);
    }
}
