//! A station's side of a call's media (RFC 3264).

use std::net::SocketAddr;

use koukan_sip::sdp::{AudioFormat, Direction, LocalAudio, LocalSession, Session};
use koukan_sip::{Body, Message};

use super::habits::Habits;

/// The session of one call.
#[derive(Debug)]
pub(crate) struct Voice {
    session: LocalSession,
    pub(crate) address: SocketAddr,
    pub(crate) direction: Direction,
    habits: Habits,
}

impl Voice {
    pub(crate) fn new(id: u64, address: SocketAddr, habits: Habits) -> Self {
        let direction = Direction::SendRecv;
        Self { session: LocalSession::new(id), address, direction, habits }
    }

    fn local(&self) -> LocalAudio {
        let format = |payload_type, name: &str| AudioFormat {
            payload_type,
            name: name.to_owned(),
            clock_rate: 8000,
            channels: 1,
        };
        let mut formats = vec![format(8, "PCMA")];
        if !self.habits.a_law {
            formats.insert(0, format(0, "PCMU"));
        }
        LocalAudio {
            address: self.address,
            formats,
            telephone_event: self.habits.telephone_event,
            ptime_ms: 20,
            direction: self.direction,
            crypto: Vec::new(),
            secure: false,
        }
    }

    pub(crate) fn offer(&mut self) -> Body {
        let local = self.local();
        Body::sdp(self.session.offer(&local))
    }

    /// The same description again, or the first offer.
    pub(crate) fn repeat(&mut self) -> Body {
        self.session.repeat().map_or_else(|| self.offer(), Body::sdp)
    }

    /// The answer to the offer in a message, or an offer when it has none; `None` when the offer
    /// cannot be taken.
    pub(crate) fn describe(&mut self, message: &Message) -> Option<Body> {
        let Some(body) = message.sdp() else { return Some(self.offer()) };
        let offer = Session::parse(body).ok()?;
        let local = self.local();
        Some(Body::sdp(self.session.answer(&offer, &local, false).ok()?.0))
    }
}
