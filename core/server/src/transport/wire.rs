//! What carries the bytes of one stream connection: the bare socket, or TLS over it.
//!
//! This is the place for another layer over the socket. SIP over WebSocket (RFC 7118) is a third
//! kind of wire, over the bare socket or over TLS: it takes the HTTP upgrade as its handshake,
//! under the same time limit and bounds, and hands out the payload of its frames. One frame holds
//! one message (RFC 7118, section 5), so that [`koukan_sip::Framer`] finds the same messages behind
//! it that it finds in a stream, and `Transport` gets the two names that stand in Via, `WS` and
//! `WSS`.

use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;

use mio::net::TcpStream;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Connection as Session, ServerConnection};

use super::Tls;

#[derive(Debug)]
pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsWire>),
}

/// What a read brought.
#[derive(Debug)]
pub(super) enum Taken {
    /// So many bytes stand in the buffer.
    Bytes(usize),
    /// Nothing more is there.
    Nothing,
    /// The peer talks on without saying anything; others get their turn.
    Again,
    /// The peer has closed.
    Closed,
}

/// Raw reads that may pass without a byte of content before the others get their turn: empty
/// records are permitted and cost the peer nothing.
const RAW_READS: usize = 32;

impl Wire {
    /// A connection that the peer opened, over TLS when `tls` is given.
    pub(super) fn accepted(socket: TcpStream, tls: Option<&Tls>) -> Result<Self, rustls::Error> {
        let Some(tls) = tls else { return Ok(Self::Plain(socket)) };
        let session = ServerConnection::new(tls.server.clone())?;
        Ok(Self::Tls(Box::new(TlsWire { socket, session: Session::Server(session) })))
    }

    /// TLS over a connection that we open; `None` when no authority of peers is configured.
    pub(super) fn opened(socket: TcpStream, tls: &Tls, peer: IpAddr) -> Option<Self> {
        let name = ServerName::IpAddress(peer.into());
        let session = ClientConnection::new(tls.client.clone()?, name).ok()?;
        Some(Self::Tls(Box::new(TlsWire { socket, session: Session::Client(session) })))
    }

    pub(super) fn socket(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(wire) => &mut wire.socket,
        }
    }

    /// Whether a handshake is under way.
    pub(super) fn is_handshaking(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(wire) => wire.session.is_handshaking(),
        }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Taken> {
        match self {
            Self::Plain(socket) => taken(socket.read(buffer)),
            Self::Tls(wire) => wire.read(buffer),
        }
    }

    /// Takes as many bytes as fit; those that it took may still wait for [`Self::flush`].
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(wire) => wire.write(bytes),
        }
    }

    /// Sends what was taken and waits.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(wire) => wire.flush(),
        }
    }
}

fn taken(outcome: io::Result<usize>) -> io::Result<Taken> {
    match outcome {
        Ok(0) => Ok(Taken::Closed),
        Ok(length) => Ok(Taken::Bytes(length)),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock => Ok(Taken::Nothing),
            io::ErrorKind::Interrupted => Ok(Taken::Again),
            _ => Err(error),
        },
    }
}

/// A TLS session over its socket. The session's own buffers are bounded by the TLS library: a
/// record of what comes, 64 kB of what goes.
#[derive(Debug)]
pub(super) struct TlsWire {
    socket: TcpStream,
    session: Session,
}

impl TlsWire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Taken> {
        for _ in 0..RAW_READS {
            match taken(self.session.reader().read(buffer))? {
                Taken::Nothing => {}
                other => return Ok(other),
            }
            match taken(self.session.read_tls(&mut self.socket))? {
                Taken::Bytes(_) => {}
                other => return Ok(other),
            }
            if let Err(error) = self.session.process_new_packets() {
                // The alert says why; a peer that does not take it is closed without.
                let _ = self.flush();
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
            match self.flush() {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
        Ok(Taken::Again)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        match self.session.writer().write(bytes)? {
            0 if !bytes.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
