//! Ports for the processes of one test: taken from the system, so that tests never collide.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// A port that is free for UDP and TCP on 127.0.0.1 at this moment.
///
/// # Panics
/// When the machine has no free port left in a hundred tries.
#[must_use]
pub fn free_port() -> u16 {
    (0..100)
        .find_map(|_| {
            let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
            let port = udp.local_addr().ok()?.port();
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
            Some(port)
        })
        .expect("a free port in a hundred tries")
}
