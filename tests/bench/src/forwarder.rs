//! The bare forwarder that the engine is held against: one thread, epoll through mio, `recv_from`
//! and `send_to`, the same flows, and nothing else at all.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use crate::proc;

/// The running forwarder.
pub(crate) struct Forwarder {
    stop: Arc<AtomicBool>,
    forwarded: Arc<AtomicU64>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Forwarder {
    /// What comes to socket `i` goes out by its neighbour's, to the neighbour's peer.
    pub(crate) fn start(pairs: Vec<(UdpSocket, SocketAddr)>, core: u32) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let forwarded = Arc::new(AtomicU64::new(0));
        let (end, count) = (stop.clone(), forwarded.clone());
        let thread = std::thread::Builder::new()
            .name("bare".to_owned())
            .spawn(move || run(pairs, core, &end, &count))?;
        Ok(Self { stop, forwarded, thread: Some(thread) })
    }

    pub(crate) fn forwarded(&self) -> u64 {
        self.forwarded.load(Ordering::Relaxed)
    }

    pub(crate) fn stop(mut self) -> io::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            _ => Err(io::Error::other("the forwarder has panicked")),
        }
    }
}

fn run(
    mut pairs: Vec<(UdpSocket, SocketAddr)>,
    core: u32,
    stop: &AtomicBool,
    forwarded: &AtomicU64,
) -> io::Result<()> {
    proc::pin(proc::thread_id()?, core)?;
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    for (index, (socket, _)) in pairs.iter_mut().enumerate() {
        poll.registry().register(socket, Token(index), Interest::READABLE)?;
    }
    let mut buffer = [0; 2048];
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        poll.poll(&mut events, Some(Duration::from_millis(100)))?;
        for event in &events {
            let Token(index) = event.token();
            let (Some((from, _)), Some((to, peer))) = (pairs.get(index), pairs.get(index ^ 1))
            else {
                continue;
            };
            while let Ok((length, _)) = from.recv_from(&mut buffer) {
                if to.send_to(buffer.get(..length).unwrap_or_default(), *peer).is_ok() {
                    count += 1;
                }
            }
        }
        forwarded.store(count, Ordering::Relaxed);
    }
    Ok(())
}
