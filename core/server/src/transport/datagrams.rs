//! Datagrams out of the listeners' sockets by another thread than the one that reads them: the
//! kernel takes them from any.

use std::io;
use std::net::UdpSocket;

use koukan_sip::{Flow, Transport};

use super::counters::count;
use super::{Counters, DropCause, Input, Sink};

/// The sockets by listener; none for one of streams.
#[derive(Debug)]
pub(crate) struct Datagrams(pub(super) Vec<Option<UdpSocket>>);

impl Datagrams {
    /// Sends one datagram. What cannot be sent is counted; a flow that can send no more is told to
    /// the sink.
    pub(crate) fn send(
        &self,
        flow: Flow,
        bytes: &[u8],
        counters: &mut Counters,
        sink: &mut Sink<'_>,
    ) {
        let socket = self.0.get(usize::from(flow.listener.0)).and_then(Option::as_ref);
        match socket.filter(|_| flow.transport == Transport::Udp) {
            Some(socket) => sent(socket.send_to(bytes, flow.remote), flow, counters, sink),
            None => {
                counters.dropped(DropCause::NoListener);
                sink(Input::FlowFailed { flow });
            }
        }
    }

    /// The same sockets for one thread more.
    ///
    /// # Errors
    /// No descriptor is free: resource.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        let sockets = self.0.iter().map(|socket| match socket {
            Some(socket) => socket.try_clone().map(Some),
            None => Ok(None),
        });
        Ok(Self(sockets.collect::<io::Result<_>>()?))
    }
}

/// What has become of a datagram.
pub(super) fn sent(
    outcome: io::Result<usize>,
    flow: Flow,
    counters: &mut Counters,
    sink: &mut Sink<'_>,
) {
    match outcome {
        Ok(_) => count(&mut counters.udp.sent),
        // RFC 3261, 17: lost datagrams are repeated by the transaction.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) =>
        {
            counters.dropped(DropCause::UdpFull);
        }
        Err(_) => {
            counters.dropped(DropCause::UdpRefused);
            sink(Input::FlowFailed { flow });
        }
    }
}

/// A second descriptor of a socket.
///
/// # Errors
/// No descriptor is free: resource.
pub(super) fn second(socket: &mio::net::UdpSocket) -> io::Result<UdpSocket> {
    use std::os::fd::AsFd;
    Ok(UdpSocket::from(socket.as_fd().try_clone_to_owned()?))
}

#[cfg(test)]
mod tests {
    use koukan_sip::ListenerId;

    use super::*;

    #[test]
    fn another_thread_sends_from_the_listeners_own_port() {
        let listener = mio::net::UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let datagrams = Datagrams(vec![None, Some(second(&listener).unwrap())]);
        let datagrams = datagrams.try_clone().unwrap();
        let remote: std::net::SocketAddr = peer.local_addr().unwrap();
        let flow = |listener| Flow {
            transport: Transport::Udp,
            listener: ListenerId(listener),
            remote,
            connection: 0,
        };
        let mut counters = Counters::default();
        let failed = std::thread::spawn(move || {
            let mut failed = 0;
            let mut sink = |_: Input<'_>| failed += 1;
            datagrams.send(flow(1), b"hello", &mut counters, &mut sink);
            datagrams.send(flow(0), b"lost", &mut counters, &mut sink);
            (failed, counters.udp.sent, counters.drops(DropCause::NoListener))
        });
        assert_eq!(failed.join().unwrap(), (1, 1, 1));
        let mut buffer = [0; 8];
        let (length, from) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from), (&b"hello"[..], listener.local_addr().unwrap()));
    }
}
