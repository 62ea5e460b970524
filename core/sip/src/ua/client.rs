//! Requests of ours (RFC 3261, 8.1, 9.1, 12.2.1, 13.2, 15.1.1) and their responses; digest is
//! answered once (22.2).

use koukan_base::Time;

use super::dialog::{self, Dialog};
use super::types::{Body, ClientTx, DialogId, Event, ExtraHeaders, FailureCause, Request, token};
use super::{Owner, UserAgent};
use crate::Flow;
use crate::digest;
use crate::message::{Header, Message, Method};
use crate::transaction::{InviteClient, NonInviteClient, Receipt, Tick};
use crate::write::Writer;

#[derive(Debug)]
enum Machine {
    Invite(InviteClient),
    Other(NonInviteClient),
}

/// A client transaction with its request.
#[derive(Debug)]
pub(super) struct Client {
    tx: ClientTx,
    method: Method,
    branch: Vec<u8>,
    pub(super) flow: Flow,
    bytes: Vec<u8>,
    /// The ACK of a refusal, for its retransmissions.
    ack: Option<Vec<u8>>,
    machine: Machine,
}

impl Client {
    fn poll_timeout(&self) -> Option<Time> {
        match &self.machine {
            Machine::Invite(machine) => machine.poll_timeout(),
            Machine::Other(machine) => machine.poll_timeout(),
        }
    }
}

/// Whether the user wants the INVITE ended.
#[derive(Debug, PartialEq, Eq)]
enum Cancel {
    No,
    /// As soon as a provisional response permits it, with this Reason.
    Wanted(Option<String>),
    Sent,
}

/// A dialog that a response to our INVITE opened. It is remembered beyond the dialog's end, so that
/// a late 2xx is acknowledged again and does not open it a second time.
#[derive(Debug)]
struct Fork {
    key: Vec<u8>,
    dialog: u64,
    ack: Option<Vec<u8>>,
}

/// What the user asked for, over the transactions that it takes.
#[derive(Debug)]
pub(super) struct Outgoing {
    request: Request,
    call_id: Vec<u8>,
    local_tag: Vec<u8>,
    cseq: u32,
    current: u64,
    dialog: Option<u64>,
    /// Early and confirmed dialogs of an initial INVITE.
    forks: Vec<Fork>,
    answered_challenge: bool,
    cancel: Cancel,
    answered: bool,
    /// Nobody waits for the outcome (BYE, CANCEL).
    silent: bool,
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
        let headers =
            reason.map(|reason| vec![("Reason", reason.as_bytes().to_vec())]).unwrap_or_default();
        let request = in_dialog(known, Method::Bye, headers, None);
        self.start(now, request, Some(dialog.0), true);
        if let Some(invite) = self.dialogs.get(&dialog.0).and_then(|known| known.server_invite) {
            self.respond(now, super::ServerTx(invite), super::Response::new(487));
        }
        self.remove_dialog(dialog.0);
    }

    /// Acknowledges the 2xx of an INVITE of ours (13.2.2.4).
    pub fn ack(&mut self, _now: Time, dialog: DialogId, body: Option<Body>) {
        let branch = branch(&mut self.rng);
        let Some(known) = self.dialogs.get(&dialog.0) else { return };
        let flow = known.flow;
        let mut writer = known.request(b"ACK", known.invite_cseq);
        self.via(&mut writer, flow, &branch);
        writer.number("Max-Forwards", 70, b"");
        let bytes =
            writer.finish(body.as_ref().map(|body| (body.content_type, body.bytes.as_slice())));
        if let Some(known) = self.dialogs.get_mut(&dialog.0) {
            known.ack = Some(bytes.clone());
            let outgoing = known.opened_by.and_then(|tx| self.outgoing.get_mut(&tx));
            let forks = outgoing.into_iter().flat_map(|outgoing| &mut outgoing.forks);
            for fork in forks.filter(|fork| fork.dialog == dialog.0) {
                fork.ack = Some(bytes.clone());
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

    fn cancel_when_possible(&mut self, now: Time, tx: ClientTx) {
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
        writer.line("From", &[&outgoing.request.from, b";tag=", &outgoing.local_tag]);
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

    fn start(
        &mut self,
        now: Time,
        request: Request,
        dialog: Option<u64>,
        silent: bool,
    ) -> ClientTx {
        let tx = ClientTx(self.id());
        let (call_id, local_tag, cseq) = match dialog.and_then(|id| self.dialogs.get_mut(&id)) {
            Some(known) => {
                known.local_cseq = known.local_cseq.saturating_add(1);
                (known.call_id.clone(), known.local_tag.clone(), known.local_cseq)
            }
            None => (token(&mut self.rng), token(&mut self.rng), 1),
        };
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
        };
        self.send_outgoing(now, tx, outgoing, None);
        tx
    }

    /// Writes and sends the request of `outgoing`, the second time with its digest.
    fn send_outgoing(
        &mut self,
        now: Time,
        tx: ClientTx,
        mut outgoing: Outgoing,
        authorization: Option<(&'static str, Vec<u8>)>,
    ) {
        let request = &outgoing.request;
        let (method, flow) = (request.method, request.flow);
        let name = method.name().as_bytes();
        let branch = branch(&mut self.rng);
        let mut writer = match outgoing.dialog.and_then(|id| self.dialogs.get_mut(&id)) {
            Some(known) => {
                if method == Method::Invite {
                    known.client_invite = Some(tx);
                    known.invite_cseq = outgoing.cseq;
                    known.ack = None;
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
        self.via(&mut writer, flow, &branch);
        writer.number("Max-Forwards", u32::from(request.max_forwards), b"");
        if matches!(method, Method::Invite | Method::Update | Method::Subscribe) {
            let given = request.headers.iter().any(|(name, _)| *name == "Contact");
            if !given {
                writer.line("Contact", &[&self.contact(flow)]);
            }
        }
        writer.line("User-Agent", &[self.config.server_name.as_bytes()]);
        for (name, value) in &request.headers {
            writer.line(name, &[value]);
        }
        if let Some((name, value)) = authorization {
            writer.line(name, &[&value]);
        }
        let body = request.body.as_ref();
        let bytes = writer.finish(body.map(|body| (body.content_type, body.bytes.as_slice())));
        outgoing.current = self.transmit(now, tx, method, branch, flow, bytes);
        self.outgoing.insert(tx, outgoing);
    }

    fn transmit(
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
        self.clients.insert(id, client);
        id
    }

    fn via(&self, writer: &mut Writer, flow: Flow, branch: &[u8]) {
        let transport = flow.transport.via_name();
        let address = self.own_address(flow);
        let head = format!("SIP/2.0/{transport} {address};branch=");
        writer.line("Via", &[head.as_bytes(), branch, b";rport"]);
    }

    pub(super) fn handle_response(&mut self, now: Time, message: Message) {
        let found = message.via().and_then(|via| {
            let method = message.cseq()?.method;
            self.clients_by_branch.get(&client_key(via.branch()?, method)).copied()
        });
        let (Some(id), Some(status)) = (found, message.status()) else {
            self.dropped.stray_responses = self.dropped.stray_responses.saturating_add(1);
            return;
        };
        let Some(client) = self.clients.get_mut(&id) else { return };
        let before = client.poll_timeout();
        let receipt = match &mut client.machine {
            Machine::Invite(machine) => machine.handle_response(now, status),
            Machine::Other(machine) => machine.handle_response(now, status),
        };
        let (tx, method, flow, ack) = (client.tx, client.method, client.flow, client.ack.clone());
        self.timers.update(Owner::Client(id), before, client.poll_timeout());
        match receipt {
            Receipt::Drop => {}
            Receipt::Ack => {
                if let Some(bytes) = ack {
                    self.send(flow, bytes);
                }
            }
            Receipt::PassAndAck => {
                self.ack_refusal(id, &message);
                self.invite_failed(now, tx, status, FailureCause::Response, Some(message));
            }
            Receipt::Pass if method == Method::Invite => {
                self.invite_progress(now, tx, status, message);
            }
            Receipt::Pass if status < 200 => {}
            Receipt::Pass => {
                self.request_ended(now, tx, status, FailureCause::Response, Some(message));
            }
        }
        self.client_timeout(now, id);
    }

    /// The ACK of a refusal belongs to the INVITE's transaction (17.1.1.3).
    fn ack_refusal(&mut self, id: u64, response: &Message) {
        let Some(client) = self.clients.get(&id) else { return };
        let Some(outgoing) = self.outgoing.get(&client.tx) else { return };
        let (flow, branch) = (client.flow, client.branch.clone());
        let target = match outgoing.dialog.and_then(|id| self.dialogs.get(&id)) {
            Some(known) => known.remote_target.clone(),
            None => outgoing.request.request_uri.clone(),
        };
        let mut writer = Writer::request(b"ACK", &target);
        for route in &outgoing.request.route {
            writer.line("Route", &[route]);
        }
        writer.copy(response, Header::From);
        writer.copy(response, Header::To);
        writer.copy(response, Header::CallId);
        writer.number("CSeq", outgoing.cseq, b" ACK");
        self.via(&mut writer, flow, &branch);
        writer.number("Max-Forwards", 70, b"");
        let bytes = writer.finish(None);
        if let Some(client) = self.clients.get_mut(&id) {
            client.ack = Some(bytes.clone());
        }
        self.send(flow, bytes);
    }

    fn invite_progress(&mut self, now: Time, tx: ClientTx, status: u16, message: Message) {
        self.cancel_when_possible(now, tx);
        if status == 100 {
            return;
        }
        let dialog = self.dialog_of_response(tx, &message);
        if status < 200 {
            self.tell(Event::Progress { tx, dialog: dialog.map(DialogId), status, message });
            return;
        }
        // RFC 3261, 12.1.2: a 2xx without a To tag comes from RFC 2543; its dialog has none either.
        let Some(id) = dialog else { return };
        let Some(known) = self.dialogs.get_mut(&id) else { return };
        known.client_invite = None;
        if let (true, Some(ack)) = (known.confirmed, known.ack.clone()) {
            let flow = known.flow;
            self.send(flow, ack);
            return;
        }
        let initial = !known.confirmed;
        known.confirmed = true;
        if initial {
            known.take_routes(&message);
        } else {
            known.refresh_target(&message);
        }
        if let Some(outgoing) = self.outgoing.get_mut(&tx) {
            outgoing.answered = true;
        }
        self.tell(Event::Answered { tx, dialog: DialogId(id), message });
    }

    /// The dialog that a response to our INVITE belongs to, made when it is new.
    fn dialog_of_response(&mut self, tx: ClientTx, message: &Message) -> Option<u64> {
        let outgoing = self.outgoing.get(&tx)?;
        if let Some(id) = outgoing.dialog {
            return self.dialogs.contains_key(&id).then_some(id);
        }
        let status = message.status()?;
        let tag = message.to_tag();
        if tag.is_none() && status < 200 {
            return None;
        }
        let key = dialog::key(&outgoing.local_tag, tag.unwrap_or_default());
        if let Some(fork) = outgoing.forks.iter().find(|fork| fork.key == key) {
            if self.dialogs.contains_key(&fork.dialog) {
                return Some(fork.dialog);
            }
            let (flow, ack) = (outgoing.request.flow, fork.ack.clone());
            if let Some(bytes) = ack {
                self.send(flow, bytes);
            }
            return None;
        }
        if self.dialogs.len() >= self.config.max_dialogs {
            return None;
        }
        let local = [outgoing.request.from.as_slice(), b";tag=", &outgoing.local_tag].concat();
        let local_tag = outgoing.local_tag.clone();
        let mut dialog = Dialog::as_client(message, &outgoing.request, local, local_tag);
        dialog.opened_by = Some(tx);
        let id = self.insert_dialog(dialog);
        if let Some(outgoing) = self.outgoing.get_mut(&tx) {
            outgoing.forks.push(Fork { key, dialog: id, ack: None });
        }
        Some(id)
    }

    fn invite_failed(
        &mut self,
        now: Time,
        tx: ClientTx,
        status: u16,
        cause: FailureCause,
        message: Option<Message>,
    ) {
        let Some(mut outgoing) = self.outgoing.remove(&tx) else { return };
        if let Some(known) = outgoing.dialog.and_then(|id| self.dialogs.get_mut(&id)) {
            known.client_invite = None;
        }
        for fork in std::mem::take(&mut outgoing.forks) {
            if self.dialogs.get(&fork.dialog).is_some_and(|dialog| !dialog.confirmed) {
                self.remove_dialog(fork.dialog);
            }
        }
        if outgoing.cancel == Cancel::No
            && let Some(authorization) = self.challenged(&outgoing, status, message.as_ref())
        {
            self.retry(now, tx, outgoing, authorization);
            return;
        }
        self.tell(Event::Failed { tx, status, cause, message });
    }

    fn request_ended(
        &mut self,
        now: Time,
        tx: ClientTx,
        status: u16,
        cause: FailureCause,
        message: Option<Message>,
    ) {
        // A CANCEL has no entry of its own: its outcome is the INVITE's.
        let Some(outgoing) = self.outgoing.remove(&tx) else { return };
        if let Some(authorization) = self.challenged(&outgoing, status, message.as_ref()) {
            self.retry(now, tx, outgoing, authorization);
            return;
        }
        if !outgoing.silent {
            let dialog = outgoing.dialog.map(DialogId);
            self.tell(Event::Response { tx, dialog, status, cause, message });
        }
    }

    /// The digest that answers a 401 or 407, unless one was given already.
    fn challenged(
        &mut self,
        outgoing: &Outgoing,
        status: u16,
        message: Option<&Message>,
    ) -> Option<(&'static str, Vec<u8>)> {
        let (header, name) = match status {
            401 => (Header::WwwAuthenticate, "Authorization"),
            407 => (Header::ProxyAuthenticate, "Proxy-Authorization"),
            _ => return None,
        };
        let credentials = outgoing.request.credentials.as_ref()?;
        if outgoing.answered_challenge {
            return None;
        }
        let cnonce = token(&mut self.rng);
        let method = outgoing.request.method.name().as_bytes();
        let uri = &outgoing.request.request_uri;
        let answer = message?
            .headers(header)
            .find_map(|challenge| digest::answer(challenge, credentials, method, uri, &cnonce))?;
        Some((name, answer))
    }

    fn retry(
        &mut self,
        now: Time,
        tx: ClientTx,
        mut outgoing: Outgoing,
        authorization: (&'static str, Vec<u8>),
    ) {
        outgoing.answered_challenge = true;
        outgoing.cseq = outgoing.cseq.saturating_add(1);
        if let Some(known) = outgoing.dialog.and_then(|id| self.dialogs.get_mut(&id)) {
            known.local_cseq = known.local_cseq.max(outgoing.cseq);
        }
        self.send_outgoing(now, tx, outgoing, Some(authorization));
    }

    pub(super) fn client_timeout(&mut self, now: Time, id: u64) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        let before = client.poll_timeout();
        let tick = match &mut client.machine {
            Machine::Invite(machine) => machine.handle_timeout(now),
            Machine::Other(machine) => machine.handle_timeout(now),
        };
        let after = client.poll_timeout();
        self.timers.update(Owner::Client(id), before, None);
        match tick {
            Tick::Nothing => self.timers.update(Owner::Client(id), None, after),
            Tick::Retransmit => {
                let (flow, bytes) = (client.flow, client.bytes.clone());
                self.timers.update(Owner::Client(id), None, after);
                self.send(flow, bytes);
            }
            Tick::TimedOut => self.client_gone(now, id, FailureCause::Timeout),
            Tick::Terminated => {
                if let Some(client) = self.remove_client(id) {
                    self.outgoing_done(client.tx, id);
                }
            }
        }
    }

    /// Nobody answered, or the way is gone: the user hears a status made up here (8.1.3.1).
    pub(super) fn client_gone(&mut self, now: Time, id: u64, cause: FailureCause) {
        let Some(client) = self.remove_client(id) else { return };
        let pending = match &client.machine {
            Machine::Invite(machine) => {
                machine.is_pending() || matches!(cause, FailureCause::Timeout)
            }
            Machine::Other(_) => true,
        };
        let current = self.outgoing.get(&client.tx).is_some_and(|out| out.current == id);
        if !current {
            return;
        }
        let status = if cause == FailureCause::Transport { 503 } else { 408 };
        if client.method != Method::Invite {
            self.request_ended(now, client.tx, status, cause, None);
        } else if pending && !self.outgoing.get(&client.tx).is_some_and(|out| out.answered) {
            self.invite_failed(now, client.tx, status, cause, None);
        } else {
            self.outgoing.remove(&client.tx);
        }
    }

    fn remove_client(&mut self, id: u64) -> Option<Client> {
        let client = self.clients.remove(&id)?;
        self.timers.update(Owner::Client(id), client.poll_timeout(), None);
        self.clients_by_branch.remove(&client_key(&client.branch, client.method));
        Some(client)
    }

    /// The last transaction of a request is over: early dialogs of forks that lost end with it.
    fn outgoing_done(&mut self, tx: ClientTx, id: u64) {
        if self.outgoing.get(&tx).is_none_or(|outgoing| outgoing.current != id) {
            return;
        }
        let forks = self.outgoing.remove(&tx).map(|outgoing| outgoing.forks).unwrap_or_default();
        for fork in forks {
            if self.dialogs.get(&fork.dialog).is_some_and(|dialog| !dialog.confirmed) {
                self.remove_dialog(fork.dialog);
            }
        }
    }
}

fn in_dialog(
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

fn branch(rng: &mut koukan_base::Rng) -> Vec<u8> {
    [b"z9hG4bK", token(rng).as_slice()].concat()
}

fn client_key(branch: &[u8], method: Method) -> Vec<u8> {
    [branch, b"\0", method.name().as_bytes()].concat()
}
