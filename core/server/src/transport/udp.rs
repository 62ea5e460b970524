//! A datagram listener (RFC 3261, section 18.1 and 18.2): one datagram, one message, and the
//! keep-alives between them (RFC 5626, section 4.4).

use std::io;
use std::net::SocketAddr;

use koukan_sip::{Flow, ListenerId, Transport, stun};
use mio::net::UdpSocket;
use socket2::Socket;

use super::backlog::Backlog;
use super::counters::count;
use super::datagrams::{second, sent};
use super::{Counters, DropCause, Input, Sink};
use crate::limits;

/// Room for a burst: a thousand phones that register after a power cut.
const RECEIVE_BUFFER: usize = 4 << 20;

#[derive(Debug)]
pub(super) struct UdpListener {
    socket: UdpSocket,
    id: ListenerId,
    /// The last turn left something.
    behind: bool,
    backlog: Backlog,
}

impl UdpListener {
    pub(super) fn new(socket: Socket, id: ListenerId) -> io::Result<Self> {
        // The system may grant less; then bursts are shorter and nothing else.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        let socket = UdpSocket::from_std(socket.into());
        Ok(Self { socket, id, behind: false, backlog: Backlog::default() })
    }

    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(super) fn source(&mut self) -> &mut UdpSocket {
        &mut self.socket
    }

    /// Takes a batch; whether more may wait. When the last turn left something, all that has come
    /// is taken out of the socket, and the batch is the most urgent of it.
    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
        counters: &mut Counters,
        sink: &mut Sink<'_>,
    ) -> bool {
        let from =
            |remote| Flow { transport: Transport::Udp, listener: self.id, remote, connection: 0 };
        let (batch, keep) = match self.behind {
            true => (limits::UDP_DRAIN, true),
            false => (limits::UDP_BATCH, false),
        };
        let mut taken = 0;
        let mut dry = false;
        while taken < batch && !dry && !self.backlog.is_full() {
            match self.socket.recv_from(buffer) {
                Ok((length, remote)) => {
                    taken += 1;
                    let bytes = buffer.get(..length).unwrap_or_default();
                    if self.keeps_alive(bytes, remote, counters) {
                        continue;
                    }
                    count(&mut counters.udp.received);
                    if keep {
                        self.backlog.push(remote, bytes);
                    } else {
                        sink(Input::Bytes { flow: from(remote), bytes });
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => dry = true,
                // An ICMP error of an earlier datagram: the next call has the next datagram.
                Err(_) => taken += 1,
            }
        }
        for _ in 0..limits::UDP_BATCH {
            let Some((remote, bytes)) = self.backlog.pop() else { break };
            sink(Input::Bytes { flow: from(remote), bytes: &bytes });
        }
        self.behind = !dry || !self.backlog.is_empty();
        self.behind
    }

    /// Whether anything that calls are made of waits, or may wait.
    pub(super) fn keeps_calls_waiting(&self) -> bool {
        self.behind && (self.backlog.is_empty() || self.backlog.has_calls())
    }

    /// Answers what only keeps a NAT's binding open, and says whether it was that: STUN, a double
    /// line end as on streams (RFC 5626, 4.4.1), and the bare bytes of phones that want no answer.
    fn keeps_alive(&self, bytes: &[u8], remote: SocketAddr, counters: &mut Counters) -> bool {
        let answer = if stun::is_stun(bytes) && bytes.len() > 4 {
            match stun::respond(bytes, remote) {
                Ok(answer) => answer,
                Err(_) => {
                    counters.dropped(DropCause::Stun);
                    return true;
                }
            }
        } else if bytes == b"\r\n\r\n" {
            Some(b"\r\n".to_vec())
        } else if bytes.len() <= 4 {
            // Nothing that short is SIP: a line end, a zero, the letters of some phones.
            None
        } else {
            return false;
        };
        count(&mut counters.pings);
        if let Some(answer) = answer
            && self.socket.send_to(&answer, remote).is_err()
        {
            // The phone asks again in half a minute.
            counters.dropped(DropCause::UdpFull);
        }
        true
    }

    pub(super) fn send(
        &self,
        flow: Flow,
        bytes: &[u8],
        counters: &mut Counters,
        sink: &mut Sink<'_>,
    ) {
        sent(self.socket.send_to(bytes, flow.remote), flow, counters, sink);
    }

    /// A second descriptor, for a thread that only sends.
    pub(super) fn second(&self) -> io::Result<std::net::UdpSocket> {
        second(&self.socket)
    }
}
