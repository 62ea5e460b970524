//! The address of a sender as the kernel writes it beside a datagram: `sockaddr_in` of `ip(7)`,
//! `sockaddr_in6` of `ipv6(7)`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Bytes of the longer of the two.
pub(super) const MOST: u32 = 28;

/// Reads one; `None` for other families.
pub(super) fn read(name: &[u8]) -> Option<SocketAddr> {
    let &[f0, f1, p0, p1, ..] = name.first_chunk::<4>()?;
    let port = u16::from_be_bytes([p0, p1]);
    match i32::from(u16::from_ne_bytes([f0, f1])) {
        libc::AF_INET => {
            let octets: [u8; 4] = *name.get(4..)?.first_chunk()?;
            Some(SocketAddr::from((Ipv4Addr::from(octets), port)))
        }
        libc::AF_INET6 => {
            let flow: [u8; 4] = *name.get(4..)?.first_chunk()?;
            let octets: [u8; 16] = *name.get(8..)?.first_chunk()?;
            let scope: [u8; 4] = *name.get(24..)?.first_chunk()?;
            let (flow, scope) = (u32::from_be_bytes(flow), u32::from_ne_bytes(scope));
            let address = SocketAddrV6::new(Ipv6Addr::from(octets), port, flow, scope);
            Some(SocketAddr::V6(address))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_are_read_and_others_are_none() {
        let family = |number: i32| u16::try_from(number).unwrap().to_ne_bytes();
        let [f0, f1] = family(libc::AF_INET);
        let four = [f0, f1, 0x1F, 0x90, 192, 0, 2, 7, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(read(&four), Some("192.0.2.7:8080".parse().unwrap()));
        let [f0, f1] = family(libc::AF_INET6);
        let mut six = vec![f0, f1, 0x1F, 0x90, 0, 0, 0, 0];
        six.extend("fe80::7".parse::<Ipv6Addr>().unwrap().octets());
        six.extend(3u32.to_ne_bytes());
        assert_eq!(u32::try_from(six.len()), Ok(MOST));
        let wanted = SocketAddrV6::new("fe80::7".parse().unwrap(), 8_080, 0, 3);
        assert_eq!(read(&six), Some(SocketAddr::V6(wanted)));
        for cut in 0..8 {
            assert_eq!(read(&four[..cut]), None);
        }
        for cut in 0..six.len() {
            assert_eq!(read(&six[..cut]), None);
        }
        let [f0, f1] = family(libc::AF_UNIX);
        assert_eq!(read(&[f0, f1, 0, 0, 0, 0, 0, 0]), None);
    }
}
