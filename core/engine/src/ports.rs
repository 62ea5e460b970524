//! Port pairs out of the configured range: RTP on an even port, RTCP on the next (RFC 3550,
//! section 11). A port that somebody else has is skipped, never a failed call.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use koukan_media::OpenError;
use mio::net::UdpSocket;
use socket2::{Domain, Protocol, Socket, Type};

/// Kernel buffer of a stream's socket: half a second of the fastest codec.
const RECEIVE_BUFFER: usize = 64 * 1024;

/// The sockets of RTP and of RTCP.
pub(crate) type Pair = (UdpSocket, UdpSocket);

/// Hands out pairs in turn, so that a port rests as long as possible before it is used again.
#[derive(Debug)]
pub(crate) struct Ports {
    first: u16,
    pairs: u16,
    next: u16,
}

impl Ports {
    pub(crate) fn new(range: &RangeInclusive<u16>, start: u16) -> Self {
        let first = range.start().saturating_add(range.start() & 1);
        let pairs = range.end().saturating_add(1).saturating_sub(first) / 2;
        Self { first, pairs, next: start.checked_rem(pairs).unwrap_or(0) }
    }

    /// Binds the next free pair on `local`; with it the address of its RTP.
    pub(crate) fn bind(&mut self, local: IpAddr) -> Result<(SocketAddr, Pair), OpenError> {
        for _ in 0..self.pairs {
            let port = self.first.saturating_add(self.next.saturating_mul(2));
            self.next = self.next.saturating_add(1).checked_rem(self.pairs).unwrap_or(0);
            let pair = socket(local, port)
                .and_then(|rtp| Ok((rtp, socket(local, port.saturating_add(1))?)));
            match pair {
                Ok(pair) => return Ok((SocketAddr::new(local, port), pair)),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => {
                    return Err(OpenError::Bind { errno: error.raw_os_error().unwrap_or(0) });
                }
            }
        }
        Err(OpenError::NoPorts)
    }
}

fn socket(local: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let address = SocketAddr::new(local, port);
    let kind = Type::DGRAM.nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Voice first where the network cares (RFC 4594: EF); refused by some containers.
    let _ = socket.set_tos_v4(0xB8);
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket.bind(&address.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn pairs_are_even_and_odd_and_a_taken_port_is_skipped() {
        let taken = (0..50)
            .find_map(|_| {
                let socket = std::net::UdpSocket::bind((LOCAL, 0)).ok()?;
                let port = socket.local_addr().ok()?.port();
                (port % 2 == 0 && port < 65_000).then_some((socket, port))
            })
            .expect("an even port in fifty tries");
        let (_held, port) = taken;
        let mut ports = Ports::new(&(port..=port + 7), 0);
        let mut bound = Vec::new();
        while let Ok((address, (rtp, rtcp))) = ports.bind(LOCAL) {
            assert_eq!(rtp.local_addr().unwrap(), address);
            let pair = (rtp.local_addr().unwrap().port(), rtcp.local_addr().unwrap().port());
            assert_eq!((pair.0 % 2, pair.1), (0, pair.0 + 1));
            assert_ne!(pair.0, port);
            bound.push((rtp, rtcp));
        }
        assert!((1..=3).contains(&bound.len()), "{}", bound.len());
        assert_eq!(ports.bind(LOCAL).unwrap_err(), OpenError::NoPorts);
    }
}
