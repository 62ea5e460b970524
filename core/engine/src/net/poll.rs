//! The loop on readiness: mio tells once that a socket can be read, and each packet is a call.

use std::io;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Interest, Poll, Token};

use super::Arrival;
use crate::stream::Stream;

/// The token of the waker.
pub(crate) const WAKE: Token = Token(usize::MAX);

/// What is told in one turn.
const TURN: usize = 1_024;

/// The loop.
pub(crate) struct PollLoop {
    poll: Poll,
    events: Events,
    /// What is told and not asked for yet, the last one first.
    told: Vec<Arrival>,
}

impl PollLoop {
    pub(super) fn new(poll: Poll) -> Self {
        Self { poll, events: Events::with_capacity(TURN), told: Vec::with_capacity(TURN) }
    }

    pub(super) const fn poll(&self) -> &Poll {
        &self.poll
    }

    pub(super) fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
        let arrivals = self.events.iter().filter_map(arrival);
        self.told.extend(arrivals.take(TURN.saturating_sub(self.told.len())));
        self.told.reverse();
        Ok(())
    }

    pub(super) fn next(&mut self) -> Option<Arrival> {
        self.told.pop()
    }

    pub(super) fn open(&self, slot: u32, stream: &mut Stream) -> io::Result<()> {
        let registry = self.poll.registry();
        registry.register(&mut stream.rtp, token(Arrival::Rtp(slot)), Interest::READABLE)?;
        self.open_rtcp(slot, stream)
    }

    pub(super) fn open_rtcp(&self, slot: u32, stream: &mut Stream) -> io::Result<()> {
        let rtcp = token(Arrival::Rtcp(slot));
        self.poll.registry().register(&mut stream.rtcp, rtcp, Interest::READABLE)
    }

    pub(super) fn close(&self, stream: &mut Stream) {
        // They were registered by `open`, and closing deregisters all the same.
        let _ = self.poll.registry().deregister(&mut stream.rtp);
        self.close_rtcp(stream);
    }

    pub(super) fn close_rtcp(&self, stream: &mut Stream) {
        let _ = self.poll.registry().deregister(&mut stream.rtcp);
    }

    pub(super) fn hear_again(&self, slot: u32, stream: &mut Stream) {
        self.tell_again(Arrival::Rtp(slot), stream);
        self.tell_again(Arrival::Rtcp(slot), stream);
    }

    /// Registering anew makes the edge-triggered poll report what is there.
    pub(super) fn tell_again(&self, arrival: Arrival, stream: &mut Stream) {
        let registry = self.poll.registry();
        let socket = match arrival {
            Arrival::Rtp(_) => &mut stream.rtp,
            Arrival::Rtcp(_) => &mut stream.rtcp,
            Arrival::Orders | Arrival::Datagram { .. } | Arrival::Failed(_) => return,
        };
        let _ = registry.reregister(socket, token(arrival), Interest::READABLE);
    }
}

/// Even tokens are RTP, odd ones RTCP.
fn token(arrival: Arrival) -> Token {
    let of = |slot: u32| usize::try_from(slot).unwrap_or(usize::MAX).saturating_mul(2);
    match arrival {
        Arrival::Rtp(slot) | Arrival::Datagram { slot, .. } | Arrival::Failed(slot) => {
            Token(of(slot))
        }
        Arrival::Rtcp(slot) => Token(of(slot) | 1),
        Arrival::Orders => WAKE,
    }
}

fn arrival(event: &Event) -> Option<Arrival> {
    let Token(token) = event.token();
    if event.token() == WAKE {
        return Some(Arrival::Orders);
    }
    let slot = u32::try_from(token / 2).ok()?;
    Some(if token % 2 == 0 { Arrival::Rtp(slot) } else { Arrival::Rtcp(slot) })
}
