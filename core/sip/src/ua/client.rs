//! Requests of ours (RFC 3261, 8.1, 9.1, 12.2.1, 13.2, 15.1.1) and their responses; digest is
//! answered once (22.2).

use std::sync::Arc;

use koukan_base::Time;

use super::dialog::Dialog;
use super::refresh::SessionWish;
use super::refresh::WISH;
use super::types::{Body, ClientTx, DialogId, ExtraHeaders, Identity, Request};
use super::{Negotiation, Owner, UserAgent};
use crate::Flow;
use crate::message::Method;
use crate::transaction::{InviteClient, NonInviteClient};
use crate::write::Writer;

#[derive(Debug)]
pub(super) enum Machine {
    Invite(InviteClient),
    Other(NonInviteClient),
}

/// A client transaction with its request.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) tx: ClientTx,
    pub(super) method: Method,
    pub(super) branch: Vec<u8>,
    pub(super) flow: Flow,
    /// What is sent again; empty once nothing will be.
    pub(super) bytes: Vec<u8>,
    /// The ACK of a refusal, for its retransmissions.
    pub(super) ack: Option<Vec<u8>>,
    pub(super) machine: Machine,
}

impl Client {
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        match &self.machine {
            Machine::Invite(machine) => machine.poll_timeout(),
            Machine::Other(machine) => machine.poll_timeout(),
        }
    }
}

/// Whether the user wants the INVITE ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cancel {
    No,
    /// As soon as a provisional response permits it, with this Reason.
    Wanted(Option<String>),
    Sent,
}

/// A dialog that a response to our INVITE opened. It is remembered beyond the dialog's end, so that
/// a late 2xx is acknowledged again and does not open it a second time.
#[derive(Debug)]
pub(super) struct Fork {
    pub(super) key: Vec<u8>,
    pub(super) dialog: u64,
    pub(super) ack: Option<Arc<[u8]>>,
}

/// What the user asked for, over the transactions that it takes.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) request: Request,
    pub(super) call_id: Vec<u8>,
    pub(super) local_tag: Vec<u8>,
    pub(super) cseq: u32,
    pub(super) current: u64,
    pub(super) dialog: Option<u64>,
    /// Early and confirmed dialogs of an initial INVITE.
    pub(super) forks: Vec<Fork>,
    pub(super) answered_challenge: bool,
    pub(super) cancel: Cancel,
    pub(super) answered: bool,
    /// The user does not wait for the outcome (BYE, PRACK, refreshes of the session).
    pub(super) silent: bool,
    /// What it asks of the session timer.
    pub(super) session: SessionWish,
}

impl UserAgent {
    /// Sends an initial INVITE.
    pub fn invite(&mut self, now: Time, request: Request) -> ClientTx {
        self.start(now, Request { method: Method::Invite, ..request }, None, false)
    }

    /// Sends another request outside any dialog.
    pub fn request(&mut self, now: Time, request: Request) -> ClientTx {
        self.start(now, request, None, false)
    }

    /// Sends a request within a dialog that the user keeps; its `to` carries the peer's tag.
    pub fn request_as(&mut self, now: Time, request: Request, identity: Identity) -> ClientTx {
        self.begin(now, request, identity, None, false)
    }

    /// Sends a request within a dialog; a re-INVITE ends with `Answered` or `Failed`. `None` when
    /// the dialog is gone.
    pub fn request_in_dialog(
        &mut self,
        now: Time,
        dialog: DialogId,
        method: Method,
        headers: ExtraHeaders,
        body: Option<Body>,
    ) -> Option<ClientTx> {
        let known = self.dialogs.get(&dialog.0)?;
        let request = in_dialog(known, method, headers, body);
        Some(self.start(now, request, Some(dialog.0), false))
    }

    /// Ends a dialog by BYE; it is gone for the user at once. While a 2xx of ours waits for its ACK
    /// the BYE waits with it (RFC 3261, section 15): overtaking a lost 2xx it would leave the peer
    /// with an INVITE that nothing ends.
    pub fn bye(&mut self, now: Time, dialog: DialogId, reason: Option<&str>) {
        let Some(known) = self.dialogs.get_mut(&dialog.0) else { return };
        if known.waiting_ack.is_some() {
            known.ending = Some(reason.map(str::to_owned));
            return;
        }
        // RFC 3261, 15: a callee hangs up no early dialog; its answer may still wait for a PRACK.
        if let Some(invite) = known.server_invite.filter(|_| !known.confirmed) {
            self.respond(now, super::ServerTx(invite), super::Response::new(480));
            return;
        }
        let headers =
            reason.map(|reason| vec![("Reason", reason.as_bytes().to_vec())]).unwrap_or_default();
        let request = in_dialog(known, Method::Bye, headers, None);
        self.start(now, request, Some(dialog.0), true);
        if let Some(invite) = self.dialogs.get(&dialog.0).and_then(|known| known.server_invite) {
            self.respond(now, super::ServerTx(invite), super::Response::new(487));
        }
        if let Some(invite) = self.remove_dialog(dialog.0).and_then(|known| known.client_invite) {
            self.bound_orphan(now, invite);
        }
    }

    /// An INVITE within a dialog that is gone: its final response may never come, since the peer
    /// repeats a 2xx only while its dialog stands. It waits no longer than a cancelled one (9.1).
    pub(super) fn bound_orphan(&mut self, now: Time, tx: ClientTx) {
        let Some(outgoing) = self.outgoing.get(&tx) else { return };
        let orphan = outgoing.dialog.is_some_and(|id| !self.dialogs.contains_key(&id));
        let id = outgoing.current;
        let Some(client) = self.clients.get_mut(&id).filter(|_| orphan) else { return };
        if let Machine::Invite(machine) = &mut client.machine {
            let before = machine.poll_timeout();
            machine.cancelled(now);
            self.timers.update(Owner::Client(id), before, machine.poll_timeout());
        }
    }

    /// Acknowledges the 2xx of an INVITE of ours (13.2.2.4).
    pub fn ack(&mut self, _now: Time, dialog: DialogId, body: Option<Body>) {
        let branch = self.mint_branch();
        let Some(known) = self.dialogs.get(&dialog.0) else { return };
        let flow = known.flow;
        let mut writer = known.request(b"ACK", known.invite_cseq);
        self.via(&mut writer, flow, &branch);
        writer.number("Max-Forwards", 70, b"");
        let bytes =
            writer.finish(body.as_ref().map(|body| (body.content_type, body.bytes.as_slice())));
        if let Some(known) = self.dialogs.get_mut(&dialog.0) {
            let ack: Arc<[u8]> = bytes.as_slice().into();
            known.ack = Some(ack.clone());
            known.negotiation = Negotiation::Settled;
            let outgoing = known.opened_by.and_then(|tx| self.outgoing.get_mut(&tx));
            let forks = outgoing.into_iter().flat_map(|outgoing| &mut outgoing.forks);
            for fork in forks.filter(|fork| fork.dialog == dialog.0) {
                fork.ack = Some(ack.clone());
            }
        }
        self.send(flow, bytes);
    }

    /// Cancels an INVITE, at once or as soon as a provisional response permits it (9.1). A 2xx that
    /// crosses it still comes as `Answered`.
    pub fn cancel(&mut self, now: Time, tx: ClientTx, reason: Option<&str>) {
        let Some(outgoing) = self.outgoing.get_mut(&tx) else { return };
        if outgoing.answered || outgoing.cancel != Cancel::No {
            return;
        }
        outgoing.cancel = Cancel::Wanted(reason.map(str::to_owned));
        self.cancel_when_possible(now, tx);
    }

    pub(super) fn cancel_when_possible(&mut self, now: Time, tx: ClientTx) {
        let Some(outgoing) = self.outgoing.get_mut(&tx) else { return };
        let Cancel::Wanted(reason) = &outgoing.cancel else { return };
        let Some(client) = self.clients.get_mut(&outgoing.current) else { return };
        let Machine::Invite(machine) = &mut client.machine else { return };
        if !machine.is_proceeding() {
            return;
        }
        let before = machine.poll_timeout();
        machine.cancelled(now);
        self.timers.update(Owner::Client(outgoing.current), before, machine.poll_timeout());
        let mut writer = Writer::request(b"CANCEL", &outgoing.request.request_uri);
        for route in &outgoing.request.route {
            writer.line("Route", &[route]);
        }
        // Within a dialog both carry their tags already.
        match outgoing.dialog {
            Some(_) => writer.line("From", &[&outgoing.request.from]),
            None => {
                writer.line("From", &[&outgoing.request.from, b";tag=", &outgoing.local_tag]);
            }
        }
        writer.line("To", &[&outgoing.request.to]);
        writer.line("Call-ID", &[&outgoing.call_id]);
        writer.number("CSeq", outgoing.cseq, b" CANCEL");
        if let Some(reason) = reason {
            writer.line("Reason", &[reason.as_bytes()]);
        }
        outgoing.cancel = Cancel::Sent;
        let (branch, flow) = (client.branch.clone(), client.flow);
        self.via(&mut writer, flow, &branch);
        writer.number("Max-Forwards", 70, b"");
        let bytes = writer.finish(None);
        let silent = ClientTx(self.id());
        self.transmit(now, silent, Method::Cancel, branch, flow, bytes);
    }

    pub(super) fn start(
        &mut self,
        now: Time,
        request: Request,
        dialog: Option<u64>,
        silent: bool,
    ) -> ClientTx {
        let identity = match dialog.and_then(|id| self.dialogs.get_mut(&id)) {
            Some(known) => {
                known.local_cseq = known.local_cseq.saturating_add(1);
                Identity {
                    call_id: known.call_id.clone(),
                    local_tag: known.local_tag.clone(),
                    cseq: known.local_cseq,
                }
            }
            None => Identity { call_id: self.mint(), local_tag: self.mint(), cseq: 1 },
        };
        self.begin(now, request, identity, dialog, silent)
    }

    fn begin(
        &mut self,
        now: Time,
        request: Request,
        identity: Identity,
        dialog: Option<u64>,
        silent: bool,
    ) -> ClientTx {
        let tx = ClientTx(self.id());
        let Identity { call_id, local_tag, cseq } = identity;
        let outgoing = Outgoing {
            request,
            call_id,
            local_tag,
            cseq,
            current: 0,
            dialog,
            forks: Vec::new(),
            answered_challenge: false,
            cancel: Cancel::No,
            answered: false,
            silent,
            session: SessionWish::default(),
        };
        self.send_outgoing(now, tx, Box::new(outgoing), None);
        tx
    }

    /// Writes and sends the request of `outgoing`, the second time with its digest.
    pub(super) fn send_outgoing(
        &mut self,
        now: Time,
        tx: ClientTx,
        mut outgoing: Box<Outgoing>,
        authorization: Option<(&'static str, Vec<u8>)>,
    ) {
        let (method, flow) = (outgoing.request.method, outgoing.request.flow);
        let branch = self.mint_branch();
        let authorization = authorization.as_ref();
        let bytes = self.write_outgoing(tx, &outgoing, flow, &branch, authorization);
        let stream = self.long_requests.stream(bytes.len(), flow, &self.config.listeners);
        let (flow, bytes) = match stream {
            None => (flow, bytes),
            // Via and Contact name the transport, so that it is written again.
            Some(stream) => {
                (stream, self.write_outgoing(tx, &outgoing, stream, &branch, authorization))
            }
        };
        outgoing.current = self.transmit(now, tx, method, branch, flow, bytes);
        self.outgoing.insert(tx, outgoing);
    }

    /// The request of `outgoing` as it goes out on `flow`.
    fn write_outgoing(
        &mut self,
        tx: ClientTx,
        outgoing: &Outgoing,
        flow: Flow,
        branch: &[u8],
        authorization: Option<&(&'static str, Vec<u8>)>,
    ) -> Vec<u8> {
        let request = &outgoing.request;
        let method = request.method;
        let name = method.name().as_bytes();
        let mut writer = match outgoing.dialog.and_then(|id| self.dialogs.get_mut(&id)) {
            Some(known) => {
                if method == Method::Invite {
                    known.client_invite = Some(tx);
                    known.invite_cseq = outgoing.cseq;
                    known.ack = None;
                    known.remote_rseq = None;
                    known.has_description = false;
                }
                if request.body.is_some() && matches!(method, Method::Invite | Method::Update) {
                    known.negotiation = Negotiation::Ours;
                }
                known.request(name, outgoing.cseq)
            }
            None => {
                let mut writer = Writer::request(name, &request.request_uri);
                for route in &request.route {
                    writer.line("Route", &[route]);
                }
                writer.line("From", &[&request.from, b";tag=", &outgoing.local_tag]);
                writer.line("To", &[&request.to]);
                writer.line("Call-ID", &[&outgoing.call_id]);
                writer.number("CSeq", outgoing.cseq, &[b" ", name].concat());
                writer
            }
        };
        self.via(&mut writer, flow, branch);
        writer.number("Max-Forwards", u32::from(request.max_forwards), b"");
        let given = request.headers.iter().any(|(name, _)| *name == "Contact");
        if tells_contact(method) && !given {
            writer.line("Contact", &[&self.contact(flow)]);
        }
        writer.line("User-Agent", &[self.config.server_name.as_bytes()]);
        // The user's own interval stands as it is, until a 422 wants a longer one.
        let own_interval = outgoing.states_interval();
        if matches!(method, Method::Invite | Method::Update) {
            let reliable: &[u8] = if self.config.reliable { b"100rel, " } else { b"" };
            writer.line("Supported", &[reliable, b"timer, replaces, norefersub"]);
            writer.line("Allow", &[self.config.allow.as_bytes()]);
            for (name, value) in self.session_wish(outgoing).into_iter().filter(|_| !own_interval) {
                writer.line(name, &[&value]);
            }
        }
        for (name, value) in
            request.headers.iter().filter(|(name, _)| own_interval || *name != WISH)
        {
            writer.line(name, &[value]);
        }
        if let Some((name, value)) = authorization {
            writer.line(name, &[value]);
        }
        let body = request.body.as_ref();
        writer.finish(body.map(|body| (body.content_type, body.bytes.as_slice())))
    }

    pub(super) fn transmit(
        &mut self,
        now: Time,
        tx: ClientTx,
        method: Method,
        branch: Vec<u8>,
        flow: Flow,
        bytes: Vec<u8>,
    ) -> u64 {
        let id = self.id();
        let reliable = flow.transport.is_reliable();
        let machine = if method == Method::Invite {
            Machine::Invite(InviteClient::new(now, reliable))
        } else {
            Machine::Other(NonInviteClient::new(now, reliable))
        };
        self.clients_by_branch.insert(client_key(&branch, method), id);
        self.send(flow, bytes.clone());
        let client = Client { tx, method, branch, flow, bytes, ack: None, machine };
        self.timers.update(Owner::Client(id), None, client.poll_timeout());
        self.clients.insert(id, Box::new(client));
        id
    }

    pub(super) fn via(&self, writer: &mut Writer, flow: Flow, branch: &[u8]) {
        let transport = flow.transport.via_name();
        let address = self.own_address(flow);
        let head = format!("SIP/2.0/{transport} {address};branch=");
        writer.line("Via", &[head.as_bytes(), branch, b";rport"]);
    }
}

/// Whether a request tells the peer where we are reached (RFC 3261, 12.2; RFC 6665, 4.1.3 and
/// 4.2.2; RFC 3515, 2.2).
const fn tells_contact(method: Method) -> bool {
    matches!(
        method,
        Method::Invite | Method::Update | Method::Subscribe | Method::Notify | Method::Refer
    )
}

pub(super) fn in_dialog(
    dialog: &Dialog,
    method: Method,
    headers: ExtraHeaders,
    body: Option<Body>,
) -> Request {
    Request {
        method,
        flow: dialog.flow,
        request_uri: dialog.remote_target.clone(),
        from: dialog.local.clone(),
        to: dialog.remote.clone(),
        route: dialog.routes.clone(),
        max_forwards: 70,
        headers,
        body,
        credentials: dialog.credentials.clone(),
    }
}

pub(super) fn client_key(branch: &[u8], method: Method) -> Vec<u8> {
    [branch, b"\0", method.name().as_bytes()].concat()
}
