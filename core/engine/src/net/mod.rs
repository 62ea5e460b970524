//! What a worker needs of the system: to be woken, to wait for packets, to send them. Two loops do
//! that, with the same few verbs: mio's, which works everywhere, and io_uring's, where the kernel
//! has it and lets us.

mod address;
mod poll;
#[expect(unsafe_code, reason = "buffers that the kernel fills while the ring stands")]
mod region;
#[expect(unsafe_code, reason = "what is queued points to what the loop owns")]
mod ring;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mio::Poll;
use mio::net::UdpSocket;

pub(crate) use poll::WAKE;

use crate::stats::{Counters, add};
use crate::stream::Stream;
use poll::PollLoop;
use ring::{Parts, RingLoop};

/// How a worker waits and sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Io {
    /// As [`Io::Mio`].
    #[default]
    Auto,
    /// Readiness (epoll), a call a packet.
    Mio,
    /// io_uring, where the kernel has it (6.1) and lets this process; else as [`Io::Mio`].
    Uring,
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Orders wait.
    Orders,
    /// The RTP socket of a slot can be read.
    Rtp(u32),
    /// The RTCP socket of a slot can be read.
    Rtcp(u32),
    /// A datagram came to the RTP socket of a slot: the first bytes of the buffer are it.
    Datagram { slot: u32, from: SocketAddr, length: usize },
    /// The RTP socket of a slot cannot be heard at the moment.
    Failed(u32),
}

/// A worker's loop.
pub(crate) enum Net {
    Poll(PollLoop),
    Ring(Box<RingLoop>),
}

impl Net {
    /// The loop of a worker, on its thread; `poll` has its waker.
    pub(crate) fn new(poll: Poll, io: Io, slots: usize) -> Self {
        let poll = PollLoop::new(poll);
        match io {
            Io::Mio | Io::Auto => Self::Poll(poll),
            Io::Uring => match Parts::new() {
                Ok(parts) => Self::Ring(Box::new(RingLoop::new(parts, poll, slots))),
                Err(_) => Self::Poll(poll),
            },
        }
    }

    /// Whether it is io_uring's.
    pub(crate) const fn is_ring(&self) -> bool {
        matches!(self, Self::Ring(_))
    }

    /// Sends what is queued and waits until something happens, at most so long.
    ///
    /// # Errors
    /// The system's loop is broken.
    pub(crate) fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Poll(poll) => poll.wait(timeout),
            Self::Ring(ring) => ring.wait(timeout),
        }
    }

    /// What has happened, one after the other; `None` when it is time to wait again.
    pub(crate) fn next(&mut self, buffer: &mut [u8]) -> Option<Arrival> {
        match self {
            Self::Poll(poll) => poll.next(),
            Self::Ring(ring) => ring.next(buffer),
        }
    }

    /// A stream's sockets are heard from now on.
    ///
    /// # Errors
    /// The system cannot hear so many.
    pub(crate) fn open(&mut self, slot: u32, stream: &mut Stream) -> io::Result<()> {
        match self {
            Self::Poll(poll) => poll.open(slot, stream),
            Self::Ring(ring) => ring.open(slot, stream),
        }
    }

    /// Nothing more is taken from a stream's RTP socket; what was taken is still to be had.
    pub(crate) fn stop(&mut self, slot: u32) {
        match self {
            // What is not read stays in the socket.
            Self::Poll(_) => {}
            Self::Ring(ring) => ring.stop(slot),
        }
    }

    /// A stream's sockets are heard no more, whoever has them next.
    pub(crate) fn close(&mut self, slot: u32, stream: &mut Stream) {
        match self {
            Self::Poll(poll) => poll.close(stream),
            Self::Ring(ring) => ring.close(slot, stream),
        }
    }

    /// A stream is left unread until [`Net::hear_again`].
    pub(crate) fn rest(&mut self, slot: u32) {
        match self {
            // Readiness is told once: whoever does not read is told no more.
            Self::Poll(_) => {}
            Self::Ring(ring) => ring.rest(slot),
        }
    }

    /// A stream that was left unread is heard again, with what waits in its sockets.
    pub(crate) fn hear_again(&mut self, slot: u32, stream: &mut Stream) {
        match self {
            Self::Poll(poll) => poll.hear_again(slot, stream),
            Self::Ring(ring) => ring.hear_again(slot, stream),
        }
    }

    /// More waits in a socket than one turn takes: it is told of again.
    pub(crate) fn tell_again(&mut self, arrival: Arrival, stream: &mut Stream) {
        match self {
            Self::Poll(poll) => poll.tell_again(arrival, stream),
            Self::Ring(ring) => ring.tell_again(arrival, stream),
        }
    }

    /// Sends a datagram: whether the system took it; or queues it until the next wait, which
    /// [`Net::outcome`] is of.
    fn send(&mut self, socket: &UdpSocket, packet: &[u8], target: SocketAddr) -> Option<bool> {
        match self {
            Self::Poll(_) => Some(socket.send_to(packet, target).is_ok()),
            Self::Ring(ring) => ring.send(socket, packet, target),
        }
    }

    /// Datagrams that were queued, since this was asked: those that are sent, and those that the
    /// system would not send.
    fn outcome(&mut self) -> (u64, u64) {
        match self {
            Self::Poll(_) => (0, 0),
            Self::Ring(ring) => ring.outcome(),
        }
    }
}

/// Bytes of the longest packet that is sent under SRTP.
const SEALED: usize = 2_048;

/// Where a worker's packets leave.
pub(crate) struct Way {
    pub(crate) net: Net,
    counters: Arc<Counters>,
    /// Room for a packet under SRTP.
    sealed: Box<[u8; SEALED]>,
}

impl Way {
    pub(crate) fn new(net: Net, counters: Arc<Counters>) -> Self {
        Self { net, counters, sealed: Box::new([0; SEALED]) }
    }

    /// Sends a packet of a stream, under SRTP when that was agreed; the packet stays as it is.
    pub(crate) fn send(&mut self, stream: &mut Stream, packet: &[u8], target: SocketAddr) {
        let outcome = match &mut stream.secure {
            None => self.net.send(&stream.rtp, packet, target),
            Some(secure) => {
                if let Some(room) = self.sealed.get_mut(..packet.len()) {
                    room.copy_from_slice(packet);
                }
                let length =
                    secure.sender.protect_rtp(self.sealed.as_mut_slice(), packet.len()).ok();
                let sealed = length.and_then(|length| self.sealed.get(..length));
                sealed.map_or(Some(false), |sealed| self.net.send(&stream.rtp, sealed, target))
            }
        };
        match outcome {
            Some(true) => add(&self.counters.sent, 1),
            Some(false) => add(&self.counters.send_errors, 1),
            None => {}
        }
    }

    /// Counts what was queued and has been tried since.
    pub(crate) fn count(&mut self) {
        let (sent, refused) = self.net.outcome();
        if sent > 0 {
            add(&self.counters.sent, sent);
        }
        if refused > 0 {
            add(&self.counters.send_errors, refused);
        }
    }
}
