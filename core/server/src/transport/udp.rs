//! A datagram listener (RFC 3261, section 18.1 and 18.2): one datagram, one message.

use std::io;
use std::net::SocketAddr;

use koukan_sip::{Flow, ListenerId, Transport};
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
                    count(&mut counters.udp.received);
                    let flow = Flow {
                        transport: Transport::Udp,
                        listener: self.id,
                        remote,
                        connection: 0,
                    };
                    let bytes = buffer.get(..length).unwrap_or_default();
                    sink(Input::Bytes { flow, bytes });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // An ICMP error of an earlier datagram: the next call has the next datagram.
                Err(_) => {}
            }
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
