//! The bare forwarder that the engine is held against: one thread, epoll through mio, `recv_from`
//! and `send_to`, the same flows, and nothing else at all.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use crate::proc;

/// The running forwarder.
pub(crate) struct Forwarder {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Forwarder {
    /// What comes to socket `i` goes out by its neighbour's, to the neighbour's peer.
    pub(crate) fn start(pairs: Vec<(UdpSocket, SocketAddr)>, core: u32) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let end = stop.clone();
        let thread = std::thread::Builder::new()
            .name("bare".to_owned())
            .spawn(move || run(pairs, core, &end))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    pub(crate) fn stop(mut self) -> io::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            _ => Err(io::Error::other("the forwarder has panicked")),
        }
    }
}

fn run(mut pairs: Vec<(UdpSocket, SocketAddr)>, core: u32, stop: &AtomicBool) -> io::Result<()> {
    proc::pin(proc::thread_id()?, core)?;
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    for (index, (socket, _)) in pairs.iter_mut().enumerate() {
        poll.registry().register(socket, Token(index), Interest::READABLE)?;
    }
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        poll.poll(&mut events, Some(Duration::from_millis(100)))?;
        for event in &events {
            let Token(index) = event.token();
            let (Some((from, _)), Some((to, peer))) = (pairs.get(index), pairs.get(index ^ 1))
            else {
                continue;
            };
            while let Ok((length, _)) = from.recv_from(&mut buffer) {
                // What the kernel does not take is lost, as on any network.
                let _ = to.send_to(buffer.get(..length).unwrap_or_default(), *peer);
            }
        }
    }
    Ok(())
}
