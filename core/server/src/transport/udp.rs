//! A datagram listener (RFC 3261, section 18.1 and 18.2): one datagram, one message, and the
//! keep-alives between them (RFC 5626, section 4.4).

use std::io;
use std::net::SocketAddr;

use koukan_sip::{Flow, ListenerId, Transport, stun};
use mio::net::UdpSocket;
use socket2::Socket;

use super::counters::count;
use super::{Counters, DropCause, Input, Sink};
use crate::limits;

/// Room for a burst: a thousand phones that register after a power cut.
const RECEIVE_BUFFER: usize = 4 << 20;

#[derive(Debug)]
pub(super) struct UdpListener {
    socket: UdpSocket,
    id: ListenerId,
}

impl UdpListener {
    pub(super) fn new(socket: Socket, id: ListenerId) -> io::Result<Self> {
        // The system may grant less; then bursts are shorter and nothing else.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        Ok(Self { socket: UdpSocket::from_std(socket.into()), id })
    }

    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(super) fn source(&mut self) -> &mut UdpSocket {
        &mut self.socket
    }

    /// Takes a batch; whether more may wait.
    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
        counters: &mut Counters,
        sink: &mut Sink<'_>,
    ) -> bool {
        for _ in 0..limits::UDP_BATCH {
            match self.socket.recv_from(buffer) {
                Ok((length, remote)) => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    if self.keeps_alive(bytes, remote, counters) {
                        continue;
                    }
                    count(&mut counters.udp.received);
                    let flow = Flow {
                        transport: Transport::Udp,
                        listener: self.id,
                        remote,
                        connection: 0,
                    };
                    sink(Input::Bytes { flow, bytes });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // An ICMP error of an earlier datagram: the next call has the next datagram.
                Err(_) => {}
            }
        }
        true
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
        match self.socket.send_to(bytes, flow.remote) {
            Ok(_) => count(&mut counters.udp.sent),
            // RFC 3261, 17: lost datagrams are repeated by the transaction.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                counters.dropped(DropCause::UdpFull);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                counters.dropped(DropCause::UdpFull);
            }
            Err(_) => {
                counters.dropped(DropCause::UdpRefused);
                sink(Input::FlowFailed { flow });
            }
        }
    }
}
