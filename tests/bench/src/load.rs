//! The load: sockets that send G.711 packets every 20 ms, spread over them, and drain what comes.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use koukan_media::RtpHeader;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use crate::proc;

/// A thread that plays every phone.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    received: Arc<AtomicU64>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

/// Sockets of phones on free ports, with their addresses.
pub(crate) fn sockets(count: usize) -> io::Result<Vec<(UdpSocket, SocketAddr)>> {
    let bind = |_| {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = socket.local_addr()?;
        Ok((socket, address))
    };
    (0..count).map(bind).collect()
}

impl Load {
    /// Starts sending from each socket to its target.
    pub(crate) fn start(pairs: Vec<(UdpSocket, SocketAddr)>, core: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let received = Arc::new(AtomicU64::new(0));
        let (end, count) = (stop.clone(), received.clone());
        let thread = std::thread::spawn(move || run(pairs, core, &end, &count));
        Self { stop, received, thread: Some(thread) }
    }

    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub(crate) fn stop(mut self) -> io::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            _ => Err(io::Error::other("the load has panicked")),
        }
    }
}

fn run(
    mut pairs: Vec<(UdpSocket, SocketAddr)>,
    core: u32,
    stop: &AtomicBool,
    received: &AtomicU64,
) -> io::Result<()> {
    proc::pin(proc::thread_id()?, core)?;
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    for (index, (socket, _)) in pairs.iter_mut().enumerate() {
        poll.registry().register(socket, Token(index), Interest::READABLE)?;
    }
    let start = Instant::now();
    let mut buffer = [0; 2048];
    let mut slot: u64 = 0;
    while !stop.load(Ordering::Relaxed) {
        // One slot a millisecond; every twentieth of the sockets has its turn in each.
        let due = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        while slot <= due {
            send_slot(&pairs, slot);
            slot += 1;
        }
        let next = Duration::from_millis(slot).saturating_sub(start.elapsed());
        poll.poll(&mut events, Some(next))?;
        let mut count = 0;
        for event in &events {
            let Some((socket, _)) = pairs.get(event.token().0) else { continue };
            while socket.recv_from(&mut buffer).is_ok() {
                count += 1;
            }
        }
        received.fetch_add(count, Ordering::Relaxed);
    }
    Ok(())
}

fn send_slot(pairs: &[(UdpSocket, SocketAddr)], slot: u64) {
    let phase = usize::try_from(slot % 20).unwrap_or(0);
    let turn = slot / 20;
    #[expect(clippy::cast_possible_truncation, reason = "RTP numbers wrap")]
    let (sequence, timestamp) = (turn as u16, (turn as u32).wrapping_mul(160));
    for (index, (socket, target)) in pairs.iter().enumerate().skip(phase).step_by(20) {
        let header = RtpHeader {
            marker: false,
            payload_type: 0,
            sequence,
            timestamp,
            ssrc: u32::try_from(index).unwrap_or(0).wrapping_add(1),
            payload_start: 12,
            payload_end: 172,
        };
        let packet = [header.bytes().as_slice(), [0x55; 160].as_slice()].concat();
        // A full buffer is a lost packet, as on any network.
        let _ = socket.send_to(&packet, *target);
    }
}
