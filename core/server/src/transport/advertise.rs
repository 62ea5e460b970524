//! Which address our Via, Contact and session descriptions show to peers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// `[sip] advertise`, `[media] address`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Advertise {
    /// The listener's own address, or for a wildcard the one of the default route.
    #[default]
    Auto,
    /// This one, for a server behind a one-to-one NAT.
    Address(IpAddr),
    /// This one with this port, for a server behind a NAT that forwards another port.
    Socket(SocketAddr),
}

/// The address and port that peers of a listener bound to `bound` are shown.
#[must_use]
pub fn advertised_socket(advertise: Advertise, bound: SocketAddr) -> SocketAddr {
    let port = match advertise {
        Advertise::Socket(shown) if shown.is_ipv4() == bound.is_ipv4() => shown.port(),
        Advertise::Socket(_) | Advertise::Address(_) | Advertise::Auto => bound.port(),
    };
    SocketAddr::new(advertised_address(advertise, bound.ip()), port)
}

/// The address that peers of a listener bound to `bound` are shown.
#[must_use]
pub fn advertised_address(advertise: Advertise, bound: IpAddr) -> IpAddr {
    let set = match advertise {
        Advertise::Auto => None,
        Advertise::Address(address) => Some(address),
        Advertise::Socket(shown) => Some(shown.ip()),
    };
    match set.filter(|address| address.is_ipv4() == bound.is_ipv4()) {
        Some(address) => address,
        None if bound.is_unspecified() => route_source(bound).unwrap_or_else(|| loopback(bound)),
        None => bound,
    }
}

/// The source address of packets to the outside. `connect` on a datagram socket sends nothing; the
/// addresses are of the documentation ranges (RFC 5737, RFC 3849).
fn route_source(bound: IpAddr) -> Option<IpAddr> {
    let outside = match bound {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    };
    let socket = UdpSocket::bind(SocketAddr::new(bound, 0)).ok()?;
    socket.connect(SocketAddr::new(outside, 9)).ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_unspecified()).then_some(own)
}

fn loopback(bound: IpAddr) -> IpAddr {
    match bound {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_address_is_shown_as_it_is_and_a_wildcard_never() {
        let own = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(advertised_address(Advertise::Auto, own), own);
        let wildcard = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        assert!(!advertised_address(Advertise::Auto, wildcard).is_unspecified());
    }

    #[test]
    fn a_set_address_is_shown_to_its_own_family_only() {
        let set = Advertise::Address(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)));
        let v4 = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
        assert_eq!(advertised_address(set, v4).to_string(), "203.0.113.7");
        assert_eq!(advertised_address(set, v6), v6);
    }

    #[test]
    fn a_forwarded_port_is_shown_in_place_of_the_bound_one() {
        let set = Advertise::Socket("203.0.113.7:15060".parse().unwrap());
        let bound = "0.0.0.0:5060".parse().unwrap();
        assert_eq!(advertised_socket(set, bound).to_string(), "203.0.113.7:15060");
        let other = "[::1]:5060".parse().unwrap();
        assert_eq!(advertised_socket(set, other), other);
    }
}
