//! Dialogs (RFC 3261, section 12): their identity, route set, remote target and sequence numbers.

use std::sync::Arc;
use std::time::Duration;

use koukan_base::Time;

use super::negotiation::Negotiation;
use super::session::SessionTimer;
use super::types::{ClientTx, Credentials, Request};
use crate::Flow;
use crate::header::NameAddr;
use crate::message::{Header, Message, Method};
use crate::timer::{T1, T2, TIMEOUT};
use crate::write::Writer;

/// A 2xx of ours that waits for its ACK (RFC 3261, 13.3.1.4).
#[derive(Debug)]
pub(super) struct WaitingAck {
    pub(super) bytes: Vec<u8>,
    pub(super) flow: Flow,
    pub(super) cseq: u32,
    interval: Duration,
    retransmit: Option<Time>,
    give_up: Time,
}

impl WaitingAck {
    /// `later_hops`: proxies stand between the peer and us.
    pub(super) fn new(now: Time, flow: Flow, cseq: u32, bytes: Vec<u8>, later_hops: bool) -> Self {
        // RFC 3261, 13.3.1.4: sent again on every transport, since a later hop may be unreliable;
        // a phone on a stream of its own has no later hop.
        let retransmit = (later_hops || !flow.transport.is_reliable()).then(|| now + T1);
        Self { bytes, flow, cseq, interval: T1, retransmit, give_up: now + TIMEOUT }
    }

    pub(super) fn next(&self) -> Time {
        self.retransmit.map_or(self.give_up, |at| at.min(self.give_up))
    }

    /// `Some(true)`: nobody acknowledged; `Some(false)`: send it again.
    pub(super) fn handle_timeout(&mut self, now: Time) -> Option<bool> {
        if self.give_up <= now {
            return Some(true);
        }
        let at = self.retransmit.filter(|at| *at <= now)?;
        self.interval = self.interval.saturating_mul(2).min(T2);
        self.retransmit = Some(at.max(now) + self.interval);
        Some(false)
    }
}

/// One dialog.
#[derive(Debug)]
pub(super) struct Dialog {
    pub(super) call_id: Vec<u8>,
    pub(super) local_tag: Vec<u8>,
    pub(super) remote_tag: Vec<u8>,
    /// Our From (as client) with its tag.
    pub(super) local: Vec<u8>,
    /// Our To (as client) with its tag.
    pub(super) remote: Vec<u8>,
    pub(super) local_cseq: u32,
    pub(super) remote_cseq: Option<u32>,
    pub(super) remote_target: Vec<u8>,
    pub(super) routes: Vec<Vec<u8>>,
    pub(super) flow: Flow,
    pub(super) confirmed: bool,
    /// The number of the INVITE of ours whose 2xx is to be acknowledged.
    pub(super) invite_cseq: u32,
    /// The ACK that we sent, for retransmitted 2xx; gone with the INVITE's transaction.
    pub(super) ack: Option<Arc<[u8]>>,
    pub(super) waiting_ack: Option<Box<WaitingAck>>,
    /// The user has hung up, with this Reason, and the BYE waits for the ACK (RFC 3261, section
    /// 15).
    pub(super) ending: Option<Option<String>>,
    /// An INVITE of the peer without a final response.
    pub(super) server_invite: Option<u64>,
    /// An UPDATE of the peer without a final response.
    pub(super) server_update: Option<u64>,
    /// The request of the peer whose offer waits for our answer.
    pub(super) offer_tx: Option<u64>,
    /// The INVITE of the peer that had reliable provisional responses of ours.
    pub(super) reliable_invite: Option<u64>,
    /// An INVITE of ours without a final response.
    pub(super) client_invite: Option<ClientTx>,
    /// The RSeq of the last reliable provisional response to it (RFC 3262, section 4).
    pub(super) remote_rseq: Option<u32>,
    /// RSeq and CSeq of a response whose PRACK the user will send.
    pub(super) prack_wanted: Option<(u32, u32)>,
    /// The peer has described its media in a response to our INVITE.
    pub(super) has_description: bool,
    /// Whose offer is open.
    pub(super) negotiation: Negotiation,
    /// The peer takes UPDATE, as its Allow says.
    pub(super) takes_update: bool,
    /// The session timer.
    pub(super) session: Option<SessionTimer>,
    /// When to offer what was refused by 491 again (RFC 3261, 14.1).
    pub(super) try_again: Option<(Time, Method)>,
    /// The INVITE of ours that opened it.
    pub(super) opened_by: Option<ClientTx>,
    pub(super) credentials: Option<Credentials>,
}

/// The key of a dialog: our tag, then the peer's.
pub(super) fn key(local_tag: &[u8], remote_tag: &[u8]) -> Vec<u8> {
    [local_tag, b"\0", remote_tag].concat()
}

impl Dialog {
    /// The dialog that an INVITE of the peer opens (RFC 3261, 12.1.1).
    pub(super) fn as_server(request: &Message, flow: Flow, local_tag: Vec<u8>) -> Self {
        let to = request.header(Header::To).unwrap_or_default();
        // RFC 2543 wanted no Contact: such a caller is reached at its From.
        let target = contact(request).or_else(|| request.from().map(|from| from.uri_text));
        let mut dialog = Self {
            remote_tag: request.from_tag().unwrap_or_default().to_vec(),
            local: [to, b";tag=", &local_tag].concat(),
            remote: request.header(Header::From).unwrap_or_default().to_vec(),
            remote_cseq: Some(request.cseq().map_or(0, |cseq| cseq.number)),
            remote_target: target.unwrap_or_default().to_vec(),
            routes: request.list(Header::RecordRoute).map(<[u8]>::to_vec).collect(),
            ..Self::new(request.call_id(), local_tag, flow)
        };
        dialog.learn(request);
        dialog
    }

    /// The dialog that a response to our INVITE opens (RFC 3261, 12.1.2).
    pub(super) fn as_client(
        response: &Message,
        request: &Request,
        local: Vec<u8>,
        local_tag: Vec<u8>,
    ) -> Self {
        let cseq = response.cseq().map_or(0, |cseq| cseq.number);
        let mut dialog = Self {
            remote_tag: response.to_tag().unwrap_or_default().to_vec(),
            local,
            remote: response.header(Header::To).unwrap_or_default().to_vec(),
            local_cseq: cseq,
            invite_cseq: cseq,
            remote_target: request.request_uri.clone(),
            credentials: request.credentials.clone(),
            ..Self::new(response.call_id(), local_tag, request.flow)
        };
        dialog.learn(response);
        if request.body.is_some() {
            dialog.negotiation = Negotiation::Ours;
        }
        dialog.take_routes(response);
        dialog
    }

    /// An early dialog of which no more is known than our half of its identity.
    fn new(call_id: &[u8], local_tag: Vec<u8>, flow: Flow) -> Self {
        Self {
            call_id: call_id.to_vec(),
            local_tag,
            remote_tag: Vec::new(),
            local: Vec::new(),
            remote: Vec::new(),
            local_cseq: 0,
            remote_cseq: None,
            remote_target: Vec::new(),
            routes: Vec::new(),
            flow,
            confirmed: false,
            invite_cseq: 0,
            ack: None,
            waiting_ack: None,
            ending: None,
            server_invite: None,
            server_update: None,
            offer_tx: None,
            reliable_invite: None,
            client_invite: None,
            remote_rseq: None,
            prack_wanted: None,
            has_description: false,
            negotiation: Negotiation::Settled,
            takes_update: false,
            session: None,
            try_again: None,
            opened_by: None,
            credentials: None,
        }
    }

    /// The route set and target of a response that creates or confirms the dialog.
    pub(super) fn take_routes(&mut self, response: &Message) {
        self.routes = response.list(Header::RecordRoute).map(<[u8]>::to_vec).collect();
        self.routes.reverse();
        self.refresh_target(response);
    }

    /// Target refresh (RFC 3261, 12.2).
    pub(super) fn refresh_target(&mut self, message: &Message) {
        if let Some(target) = contact(message) {
            self.remote_target = target.to_vec();
        }
    }

    pub(super) fn key(&self) -> Vec<u8> {
        key(&self.local_tag, &self.remote_tag)
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let ack = self.waiting_ack.as_ref().map(|waiting| waiting.next());
        let session = self.session.as_ref().map(SessionTimer::poll_timeout);
        let again = self.try_again.map(|(at, _)| at);
        ack.into_iter().chain(session).chain(again).min()
    }

    /// What a message of the peer tells about it.
    pub(super) fn learn(&mut self, message: &Message) {
        if let Some(takes) = message.allows(Method::Update) {
            self.takes_update = takes;
        }
    }

    /// Why a request of the peer with this CSeq cannot be taken now: its status.
    pub(super) fn refusal(&self, request: &Message, cseq: u32) -> Option<u16> {
        let method = request.method()?;
        if self.ending.is_some() && method != Method::Bye {
            return Some(481);
        }
        if self.remote_cseq.is_some_and(|known| cseq <= known) {
            return Some(500);
        }
        match method {
            // RFC 3261, 14.2: a second INVITE before the first has its final response.
            Method::Invite if self.server_invite.is_some() => Some(500),
            Method::Invite if self.client_invite.is_some() => Some(491),
            // RFC 3311, 5.2.
            Method::Update if self.server_update.is_some() => Some(500),
            _ => self.negotiation.refusal(method, request.sdp().is_some()),
        }
    }

    /// A description of the peer came in this request.
    pub(super) fn heard(&mut self, tx: u64) {
        self.negotiation = self.negotiation.heard();
        if self.negotiation == Negotiation::Theirs {
            self.offer_tx = Some(tx);
        }
    }

    /// Whether we generated the Call-ID.
    pub(super) const fn owns_call_id(&self) -> bool {
        self.opened_by.is_some()
    }

    /// The head of a request within the dialog (RFC 3261, 12.2.1.1): everything but Via, Contact,
    /// further headers and body. A strict router as first hop is not met any more and not served.
    pub(super) fn request(&self, method: &[u8], cseq: u32) -> Writer {
        let mut writer = Writer::request(method, &self.remote_target);
        for route in &self.routes {
            writer.line("Route", &[route]);
        }
        writer.line("From", &[&self.local]);
        writer.line("To", &[&self.remote]);
        writer.line("Call-ID", &[&self.call_id]);
        writer.number("CSeq", cseq, &[b" ", method].concat());
        writer
    }
}

/// The URI of the first Contact.
fn contact(message: &Message) -> Option<&[u8]> {
    let value = message.list(Header::Contact).next()?;
    NameAddr::parse(value).map(|address| address.uri_text).filter(|uri| *uri != b"*")
}
