//! HEP version 3: a copy of each message in a datagram to a collector (Homer, heplify). The form is
//! chunks of vendor 0 behind the letters `HEP3` (HEP3 protocol reference, revision 12): family,
//! protocol, addresses, ports, time, kind of the payload, who captured, the payload itself.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use jiff::Timestamp;
use koukan_sip::{Flow, Transport};

/// `[trace]`: where copies go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HepConfig {
    /// The collector.
    pub collector: SocketAddr,
    /// Which agent we are there.
    pub id: u32,
}

/// The way to a collector.
#[derive(Debug)]
pub struct Collector {
    socket: UdpSocket,
    id: u32,
    packet: Vec<u8>,
    lost: u64,
}

/// The largest payload of a datagram, less what stands around a message.
const LARGEST: usize = 65_000;

impl Collector {
    /// A socket of its own that never waits.
    ///
    /// # Errors
    /// The system refuses one.
    pub fn open(config: HepConfig) -> io::Result<Self> {
        let any: SocketAddr = match config.collector {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(config.collector)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, id: config.id, packet: Vec::with_capacity(2_048), lost: 0 })
    }

    /// Sends a copy; what the system does not take is lost and counted.
    pub(super) fn send(
        &mut self,
        at: Timestamp,
        sent: bool,
        flow: &Flow,
        local: SocketAddr,
        bytes: &[u8],
    ) {
        let (source, target) = if sent { (local, flow.remote) } else { (flow.remote, local) };
        let payload = bytes.get(..LARGEST).unwrap_or(bytes);
        write(&mut self.packet, (source, target), flow.transport, at, self.id, payload);
        // A collector that is down answers by ICMP, which the next send is told of.
        if self.socket.send(&self.packet).is_err() {
            self.lost = self.lost.saturating_add(1);
        }
    }

    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }
}

/// Writes a packet over what the buffer held.
fn write(
    packet: &mut Vec<u8>,
    (source, target): (SocketAddr, SocketAddr),
    transport: Transport,
    at: Timestamp,
    id: u32,
    payload: &[u8],
) {
    const SIP: u8 = 1;
    packet.clear();
    packet.extend_from_slice(b"HEP3\0\0");
    // A machine that has both families may be asked over one and show an address of the other.
    let (source_ip, target_ip) = same_family(source.ip(), target.ip());
    let protocol = if transport == Transport::Udp { 17 } else { 6 };
    chunk(packet, 0x0001, &[if source_ip.is_ipv4() { 2 } else { 10 }]);
    chunk(packet, 0x0002, &[protocol]);
    for (v4, v6, address) in [(0x0003, 0x0005, source_ip), (0x0004, 0x0006, target_ip)] {
        match address {
            IpAddr::V4(address) => chunk(packet, v4, &address.octets()),
            IpAddr::V6(address) => chunk(packet, v6, &address.octets()),
        }
    }
    chunk(packet, 0x0007, &source.port().to_be_bytes());
    chunk(packet, 0x0008, &target.port().to_be_bytes());
    let micros = at.as_microsecond().max(0).unsigned_abs();
    let word = |number: u64| u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
    chunk(packet, 0x0009, &word(micros / 1_000_000));
    chunk(packet, 0x000a, &word(micros % 1_000_000));
    chunk(packet, 0x000b, &[SIP]);
    chunk(packet, 0x000c, &id.to_be_bytes());
    chunk(packet, 0x000f, payload);
    let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
    if let Some(place) = packet.get_mut(4..6) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

fn chunk(packet: &mut Vec<u8>, kind: u16, value: &[u8]) {
    packet.extend_from_slice(&[0, 0]);
    packet.extend_from_slice(&kind.to_be_bytes());
    let length = u16::try_from(value.len() + 6).unwrap_or(u16::MAX);
    packet.extend_from_slice(&length.to_be_bytes());
    packet.extend_from_slice(value);
}

/// Both as IPv6 when one of them is.
pub(super) fn same_family(a: IpAddr, b: IpAddr) -> (IpAddr, IpAddr) {
    let wide = |address: IpAddr| match address {
        IpAddr::V4(address) => IpAddr::V6(address.to_ipv6_mapped()),
        IpAddr::V6(_) => address,
    };
    if a.is_ipv4() == b.is_ipv4() { (a, b) } else { (wide(a), wide(b)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The chunks of a packet by their kinds.
    fn chunks(packet: &[u8]) -> Vec<(u16, Vec<u8>)> {
        assert_eq!(&packet[..4], b"HEP3");
        assert_eq!(usize::from(u16::from_be_bytes([packet[4], packet[5]])), packet.len());
        let mut rest = &packet[6..];
        let mut found = Vec::new();
        while !rest.is_empty() {
            assert_eq!(&rest[..2], [0, 0], "vendor");
            let length = usize::from(u16::from_be_bytes([rest[4], rest[5]]));
            found.push((u16::from_be_bytes([rest[2], rest[3]]), rest[6..length].to_vec()));
            rest = &rest[length..];
        }
        found
    }

    #[test]
    fn a_packet_says_who_when_and_what() {
        let (source, target) = ("192.0.2.7:5060", "198.51.100.1:5070");
        let pair = (source.parse().unwrap(), target.parse().unwrap());
        let at = "2026-07-01T03:00:00.123456Z".parse().unwrap();
        let mut packet = vec![9; 40];
        write(&mut packet, pair, Transport::Tcp, at, 2001, b"BYE sip:a SIP/2.0\r\n\r\n");
        let found = chunks(&packet);
        let kinds: Vec<u16> = found.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 15]);
        let value = |kind| found.iter().find(|(k, _)| *k == kind).unwrap().1.clone();
        assert_eq!((value(1), value(2), value(11)), (vec![2], vec![6], vec![1]));
        assert_eq!((value(3), value(4)), (vec![192, 0, 2, 7], vec![198, 51, 100, 1]));
        assert_eq!((value(7), value(8)), (vec![0x13, 0xc4], vec![0x13, 0xce]));
        assert_eq!(value(9), 1_782_874_800_u32.to_be_bytes());
        assert_eq!(value(10), 123_456_u32.to_be_bytes());
        assert_eq!(value(12), 2001_u32.to_be_bytes());
        assert_eq!(value(15), b"BYE sip:a SIP/2.0\r\n\r\n");
    }

    #[test]
    fn addresses_of_two_families_are_both_the_wider() {
        let mut packet = Vec::new();
        let pair = ("[2001:db8::1]:5060".parse().unwrap(), "192.0.2.1:5060".parse().unwrap());
        write(&mut packet, pair, Transport::Udp, Timestamp::UNIX_EPOCH, 1, b"x");
        let kinds: Vec<u16> = chunks(&packet).iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds[..4], [1, 2, 5, 6]);
    }
}
