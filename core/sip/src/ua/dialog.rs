//! Dialogs (RFC 3261, section 12): their identity, route set, remote target and sequence numbers.

use std::time::Duration;

use koukan_base::Time;

use super::types::{ClientTx, Credentials, Request};
use crate::Flow;
use crate::header::NameAddr;
use crate::message::{Header, Message};
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
    pub(super) fn new(now: Time, flow: Flow, cseq: u32, bytes: Vec<u8>) -> Self {
        // RFC 3261, 13.3.1.4: sent again on every transport, since a later hop may be unreliable;
        // a phone on a stream has no later hop.
        let retransmit = (!flow.transport.is_reliable()).then(|| now + T1);
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
    /// The ACK that we sent, for retransmitted 2xx.
    pub(super) ack: Option<Vec<u8>>,
    pub(super) waiting_ack: Option<WaitingAck>,
    /// The user has hung up, with this Reason, and the BYE waits for the ACK (RFC 3261, section
    /// 15).
    pub(super) ending: Option<Option<String>>,
    /// An INVITE of the peer without a final response.
    pub(super) server_invite: Option<u64>,
    /// An INVITE of ours without a final response.
    pub(super) client_invite: Option<ClientTx>,
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
        let cseq = request.cseq().map_or(0, |cseq| cseq.number);
        Self {
            call_id: request.call_id().to_vec(),
            remote_tag: request.from_tag().unwrap_or_default().to_vec(),
            local: [to, b";tag=", &local_tag].concat(),
            local_tag,
            remote: request.header(Header::From).unwrap_or_default().to_vec(),
            local_cseq: 0,
            remote_cseq: Some(cseq),
            // RFC 2543 wanted no Contact: such a caller is reached at its From.
            remote_target: contact(request)
                .or_else(|| request.from().map(|from| from.uri_text))
                .unwrap_or_default()
                .to_vec(),
            routes: request.list(Header::RecordRoute).map(<[u8]>::to_vec).collect(),
            flow,
            confirmed: false,
            invite_cseq: 0,
            ack: None,
            waiting_ack: None,
            ending: None,
            server_invite: None,
            client_invite: None,
            opened_by: None,
            credentials: None,
        }
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
            call_id: response.call_id().to_vec(),
            local_tag,
            remote_tag: response.to_tag().unwrap_or_default().to_vec(),
            local,
            remote: response.header(Header::To).unwrap_or_default().to_vec(),
            local_cseq: cseq,
            remote_cseq: None,
            remote_target: request.request_uri.clone(),
            routes: Vec::new(),
            flow: request.flow,
            confirmed: false,
            invite_cseq: cseq,
            ack: None,
            waiting_ack: None,
            ending: None,
            server_invite: None,
            client_invite: None,
            opened_by: None,
            credentials: request.credentials.clone(),
        };
        dialog.take_routes(response);
        dialog
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
        self.waiting_ack.as_ref().map(WaitingAck::next)
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
