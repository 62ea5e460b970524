//! Ports for the processes of one test, below the range that the system hands out by itself, so
//! that neither other tests nor connections that have just ended stand on them.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// Where single ports are looked for.
const FIRST: u16 = 10_240;
const COUNT: u16 = 6_000;

/// Where blocks of media ports are looked for, and how long one is.
const FIRST_MEDIA: u16 = 20_000;
const MEDIA_BLOCKS: u16 = 30;
/// Where the phones' media ports are looked for.
const FIRST_PHONE_MEDIA: u16 = 16_300;
const PHONE_MEDIA_BLOCKS: u16 = 180;
/// Ports of one phone's media range.
pub const PHONE_MEDIA_BLOCK: u16 = 20;
/// Ports of one server's media range.
pub const MEDIA_BLOCK: u16 = 400;

/// A place to begin that differs between processes, and moves on with every call.
fn turn(counter: &AtomicU16, modulo: u16) -> u16 {
    let own = u16::try_from(std::process::id() % u32::from(modulo)).unwrap_or(0);
    (u32::from(own) + u32::from(counter.fetch_add(1, Ordering::Relaxed)))
        .rem_euclid(u32::from(modulo))
        .try_into()
        .unwrap_or(0)
}

/// A port that is free for UDP and TCP on 127.0.0.1 at this moment.
///
/// # Panics
/// When none is free in a thousand tries.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    (0..1000)
        .find_map(|_| {
            // Neighbouring process numbers begin far apart.
            let port = FIRST + turn(&NEXT, COUNT).wrapping_mul(37) % COUNT;
            UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
            Some(port)
        })
        .expect("a free port in a thousand tries")
}

/// The first of [`PHONE_MEDIA_BLOCK`] media ports for one phone, free at this moment.
///
/// # Panics
/// When every block has a port in use.
#[must_use]
pub fn phone_media_block() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let free = |port: &u16| {
        UdpSocket::bind((Ipv6Addr::UNSPECIFIED, *port)).is_ok()
            || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok()
    };
    (0..PHONE_MEDIA_BLOCKS)
        .map(|_| FIRST_PHONE_MEDIA + turn(&NEXT, PHONE_MEDIA_BLOCKS) * PHONE_MEDIA_BLOCK)
        .find(|first| (*first..*first + PHONE_MEDIA_BLOCK).all(|port| free(&port)))
        .expect("a free block of media ports")
}

/// The first port of a block of [`MEDIA_BLOCK`] ports for one server.
#[must_use]
pub fn media_block() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    FIRST_MEDIA + turn(&NEXT, MEDIA_BLOCKS) * MEDIA_BLOCK
}
