//! One stream connection (RFC 3261, section 18.3; RFC 5626, section 4.4.1): framing on the way in,
//! a bounded queue on the way out, and what it may take its time for.

use std::io;
use std::time::Duration;

use koukan_base::Time;
use koukan_sip::{Flow, Framed, Framer, Scanner};
use mio::net::TcpStream;

use super::counters::count;
use super::wire::{Taken, Wire};
use super::{ConnectionLimits, Counters, DropCause, Input, Sink};
use crate::limits;

/// A connection that never said a whole thing is given this long.
const FIRST_WORD: Duration = Duration::from_secs(32);
/// A peer that cannot be followed is given this long to read why.
const REFUSAL: Duration = Duration::from_secs(1);
/// A connection that we open is given this long to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// A peer that takes nothing of what waits for it is given this long.
const STALLED: Duration = Duration::from_secs(32);

/// Whether a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stands; everything that came was taken.
    Stands,
    /// It stands, and more may wait in the socket.
    More,
    /// The peer closed it, or it broke.
    Ended,
    /// We close it.
    Close(DropCause),
}

/// How far a peer that cannot be followed is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// It keeps to the rules.
    No,
    /// It broke them at this time; the user agent has not answered yet.
    Due(Time),
    /// The answer is written or waits to be.
    Said,
}

#[derive(Debug)]
pub(super) struct Connection {
    wire: Wire,
    /// How the switch names it.
    pub(super) flow: Flow,
    framer: Framer,
    out: Vec<u8>,
    written: usize,
    connecting: bool,
    opened: Time,
    /// The peer broke the rules; it is closed when its refusal is out.
    refusal: Refusal,
    spoke: bool,
    heard: Time,
    message_began: Option<Time>,
    stalled: Option<Time>,
    /// The deadline that stands in the queue of deadlines.
    pub(super) queued: Time,
}

impl Connection {
    pub(super) fn new(now: Time, wire: Wire, flow: Flow, opened_by_us: bool) -> Self {
        Self {
            wire,
            flow,
            framer: Framer::default(),
            out: Vec::new(),
            written: 0,
            connecting: opened_by_us,
            opened: now,
            refusal: Refusal::No,
            spoke: false,
            heard: now,
            message_began: None,
            stalled: None,
            queued: Time::MAX,
        }
    }

    pub(super) fn stream(&mut self) -> &mut TcpStream {
        self.wire.socket()
    }

    /// Whether the peer has not finished its TLS handshake.
    pub(super) fn is_handshaking(&self) -> bool {
        !self.connecting && self.wire.is_handshaking()
    }

    /// When it is closed if nothing happens, and for what.
    pub(super) fn deadline(&self, bounds: &ConnectionLimits) -> (Time, DropCause) {
        let quiet = if self.spoke { bounds.idle } else { FIRST_WORD };
        let half = self.message_began.map(|at| (at + bounds.message, DropCause::TcpHalfMessage));
        let stalled = self.stalled.map(|at| (at + STALLED, DropCause::TcpSlowReader));
        let refused = match self.refusal {
            Refusal::Due(at) => Some((at + REFUSAL, DropCause::TcpUnreadable)),
            Refusal::No | Refusal::Said => None,
        };
        let opening = if self.connecting {
            Some((self.opened + CONNECT, DropCause::TcpConnect))
        } else {
            let until = (self.opened + bounds.handshake, DropCause::TlsSlowHandshake);
            self.wire.is_handshaking().then_some(until)
        };
        [half, stalled, refused, opening]
            .into_iter()
            .flatten()
            .chain([(self.heard + quiet, DropCause::TcpIdle)])
            .min_by_key(|(at, _)| *at)
            .unwrap_or((Time::MAX, DropCause::TcpIdle))
    }

    /// Takes what came, up to a bounded batch.
    pub(super) fn read(
        &mut self,
        now: Time,
        bounds: &ConnectionLimits,
        scanner: &mut Scanner,
        buffer: &mut [u8],
        counters: &mut Counters,
        sink: &mut Sink<'_>,
    ) -> Fate {
        let mut taken = 0;
        while taken < limits::TCP_BATCH {
            let handshaking = self.wire.is_handshaking();
            let length = match self.wire.read(buffer) {
                Ok(Taken::Bytes(length)) => length,
                Ok(Taken::Nothing) => return self.flush_after_read(now, handshaking),
                Ok(Taken::Again) => return Fate::More,
                Ok(Taken::Closed) if self.wire.is_handshaking() => {
                    return Fate::Close(DropCause::TlsHandshake);
                }
                Ok(Taken::Closed) => return Fate::Ended,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Fate::Close(DropCause::TlsHandshake);
                }
                Err(_) => return Fate::Ended,
            };
            taken += length;
            // What a refused peer still says is read away, so that its refusal is not lost to a
            // reset, and not looked at.
            if self.refusal != Refusal::No {
                continue;
            }
            self.heard = now;
            let bytes = buffer.get(..length).unwrap_or_default();
            match self.frame(now, bounds, scanner, bytes, counters, sink) {
                Fate::Stands => {}
                other => return other,
            }
        }
        Fate::More
    }

    /// What waited for the handshake goes out behind it.
    fn flush_after_read(&mut self, now: Time, handshaking: bool) -> Fate {
        if handshaking && !self.out.is_empty() { self.flush(now) } else { Fate::Stands }
    }

    fn frame(
        &mut self,
        now: Time,
        bounds: &ConnectionLimits,
        scanner: &mut Scanner,
        bytes: &[u8],
        counters: &mut Counters,
        sink: &mut Sink<'_>,
    ) -> Fate {
        let mut at_start = !self.framer.is_waiting();
        self.framer.push(bytes);
        loop {
            match self.framer.next(scanner) {
                Ok(Framed::Message(message)) => {
                    count(&mut counters.of(self.flow.transport).received);
                    (self.spoke, self.message_began, at_start) = (true, None, false);
                    sink(Input::Message { flow: self.flow, message });
                }
                Ok(Framed::Ping) => {
                    count(&mut counters.pings);
                    (self.spoke, self.message_began, at_start) = (true, None, false);
                    match self.send(now, b"\r\n", bounds) {
                        Fate::Stands => {}
                        other => return other,
                    }
                }
                Ok(Framed::Nothing) => break,
                Err(_) => {
                    // RFC 3261, 18.3: refuse what can be refused, and close. The refusal is made by
                    // the user agent when the message begins with these bytes.
                    (self.refusal, self.message_began) = (Refusal::Due(now), None);
                    if at_start {
                        sink(Input::Bytes { flow: self.flow, bytes });
                    }
                    return Fate::Stands;
                }
            }
        }
        // Lone line ends are a keep-alive of some phones and begin no message.
        let begins = bytes.iter().any(|byte| !matches!(byte, b'\r' | b'\n'));
        if !self.framer.is_waiting() {
            self.message_began = None;
        } else if self.message_began.is_none() && begins {
            self.message_began = Some(now);
        }
        Fate::Stands
    }

    /// Puts a message on its way.
    pub(super) fn send(&mut self, now: Time, bytes: &[u8], bounds: &ConnectionLimits) -> Fate {
        let waiting = self.out.len().saturating_sub(self.written);
        if waiting.saturating_add(bytes.len()) > bounds.write_bytes {
            return Fate::Close(DropCause::TcpSlowReader);
        }
        self.out.extend_from_slice(bytes);
        if self.refusal != Refusal::No {
            self.refusal = Refusal::Said;
        }
        if self.connecting { Fate::Stands } else { self.flush(now) }
    }

    /// The socket can take bytes again, or its connect has ended.
    pub(super) fn handle_writable(&mut self, now: Time) -> Fate {
        if self.connecting {
            match self.wire.socket().take_error() {
                Ok(None) => {}
                Ok(Some(_)) | Err(_) => return Fate::Close(DropCause::TcpConnect),
            }
            match self.wire.socket().peer_addr() {
                Ok(_) => self.connecting = false,
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Fate::Stands,
                Err(_) => return Fate::Close(DropCause::TcpConnect),
            }
        }
        self.flush(now)
    }

    /// Whether the peer was refused and has been told so.
    pub(super) fn is_refused(&self) -> bool {
        self.refusal == Refusal::Said && self.out.is_empty()
    }

    /// Whether our connect has not ended yet.
    pub(super) fn is_connecting(&self) -> bool {
        self.connecting
    }

    fn flush(&mut self, now: Time) -> Fate {
        loop {
            let rest = self.out.get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                // Given back: ten thousand idle connections hold no buffers.
                (self.out, self.written) = (Vec::new(), 0);
                return match self.wire.flush() {
                    Ok(()) => {
                        self.stalled = None;
                        Fate::Stands
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.stalled.get_or_insert(now);
                        Fate::Stands
                    }
                    Err(_) => Fate::Ended,
                };
            }
            match self.wire.write(rest) {
                Ok(0) => return Fate::Ended,
                Ok(count) => {
                    self.written = self.written.saturating_add(count);
                    self.stalled = None;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.out.drain(..self.written.min(self.out.len()));
                    self.written = 0;
                    self.stalled.get_or_insert(now);
                    return Fate::Stands;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Fate::Ended,
            }
        }
    }
}
