//! Requests of the peer (RFC 3261, 8.2, 9.2, 12.2.2, 13.3, 15.1.2, 17.2.3).

use koukan_base::Time;

use super::dialog::{self, Dialog, WaitingAck};
use super::types::{DialogId, Event, Response, ServerTx, token};
use super::{Owner, UserAgent};
use crate::header::{self, Params, Uri, Via, split_list};
use crate::message::{Header, Message, Method};
use crate::transaction::{InviteServer, NonInviteServer, Tick};
use crate::write::Writer;
use crate::{Flow, Transport};

#[derive(Debug)]
enum Machine {
    Invite(InviteServer),
    Other(NonInviteServer),
}

/// A server transaction with its request and our last response.
#[derive(Debug)]
pub(super) struct Server {
    request: Message,
    source: Flow,
    /// Where responses go (18.2.2).
    reply: Flow,
    key: Vec<u8>,
    initial_key: Option<Vec<u8>>,
    machine: Machine,
    last: Option<Vec<u8>>,
    dialog: Option<u64>,
    to_tag: Vec<u8>,
}

impl Server {
    fn poll_timeout(&self) -> Option<Time> {
        match &self.machine {
            Machine::Invite(machine) => machine.poll_timeout(),
            Machine::Other(machine) => machine.poll_timeout(),
        }
    }

    fn is_pending(&self) -> bool {
        match &self.machine {
            Machine::Invite(machine) => machine.is_proceeding(),
            Machine::Other(machine) => machine.is_pending(),
        }
    }

    fn is_accepted(&self) -> bool {
        match &self.machine {
            Machine::Invite(machine) => machine.is_accepted(),
            Machine::Other(_) => false,
        }
    }

    fn respond(&mut self, now: Time, status: u16) {
        match &mut self.machine {
            Machine::Invite(machine) => machine.respond(now, status),
            Machine::Other(machine) => machine.respond(now, status),
        }
    }
}

impl UserAgent {
    pub(super) fn handle_request(&mut self, now: Time, flow: Flow, request: Message) {
        let Some(key) = transaction_key(&request, request.method()) else {
            self.dropped.unreadable = self.dropped.unreadable.saturating_add(1);
            return;
        };
        if let Some(&id) = self.servers_by_key.get(&key) {
            if request.method() == Some(Method::Ack) {
                // RFC 6026, 7.1: in Accepted an ACK belongs to the user, whatever its branch.
                let accepted = self.servers.get(&id).is_some_and(Server::is_accepted);
                if accepted {
                    self.ack_of_success(now, &request);
                } else {
                    self.ack_of_refusal(now, id);
                }
            } else {
                self.retransmission(id);
            }
            return;
        }
        if let Err((status, why)) = acceptable(&request) {
            self.refuse_statelessly(flow, &request, status, why);
            return;
        }
        match request.method() {
            Some(Method::Ack) => self.ack_of_success(now, &request),
            Some(Method::Cancel) => self.handle_cancel(now, flow, request, key),
            _ if request.to_tag().is_some() => self.handle_in_dialog(now, flow, request, key),
            _ => self.handle_initial(now, flow, request, key),
        }
    }

    fn retransmission(&mut self, id: u64) {
        let Some(server) = self.servers.get(&id) else { return };
        let again = match &server.machine {
            Machine::Invite(machine) => machine.handle_retransmission(),
            Machine::Other(machine) => machine.handle_retransmission(),
        };
        if let (true, Some(bytes)) = (again, server.last.clone()) {
            let reply = server.reply;
            self.send(reply, bytes);
        }
    }

    fn ack_of_refusal(&mut self, now: Time, id: u64) {
        self.change_server(id, |server| {
            if let Machine::Invite(machine) = &mut server.machine {
                machine.handle_ack(now);
            }
        });
        self.server_timeout(now, id);
    }

    /// RFC 3261, 13.3.1.4: the ACK of a 2xx is a transaction of its own and belongs to the dialog.
    fn ack_of_success(&mut self, now: Time, request: &Message) {
        let cseq = request.cseq().map(|cseq| cseq.number);
        let found = self.dialog_of(request).and_then(|id| {
            let dialog = self.dialogs.get_mut(&id)?;
            let before = dialog.poll_timeout();
            dialog.waiting_ack.take_if(|waiting| Some(waiting.cseq) == cseq)?;
            dialog.confirmed = true;
            self.timers.update(Owner::Dialog(id), before, None);
            Some(id)
        });
        match found {
            Some(id) => {
                let ending = self.dialogs.get_mut(&id).and_then(|dialog| dialog.ending.take());
                if let Some(reason) = ending {
                    self.bye(now, DialogId(id), reason.as_deref());
                    return;
                }
                let message = request.clone();
                self.tell(Event::Acked { dialog: DialogId(id), message });
            }
            None => self.dropped.stray_acks = self.dropped.stray_acks.saturating_add(1),
        }
    }

    fn dialog_of(&self, request: &Message) -> Option<u64> {
        let local = request.to_tag()?;
        let remote = request.from_tag().unwrap_or_default();
        let id = *self.dialogs_by_key.get(&dialog::key(local, remote))?;
        let dialog = self.dialogs.get(&id)?;
        (dialog.call_id == request.call_id()).then_some(id)
    }

    fn handle_cancel(&mut self, now: Time, flow: Flow, request: Message, key: Vec<u8>) {
        let invite = transaction_key(&request, Some(Method::Invite))
            .and_then(|key| self.servers_by_key.get(&key).copied());
        let reason = request.header(Header::Reason).map(<[u8]>::to_vec);
        // What belongs to nothing here takes no memory here (8.2.7): strangers may send much of it.
        let Some(invite) = invite else {
            self.refuse_statelessly(flow, &request, 481, "no such INVITE");
            return;
        };
        let cancel = self.open(flow, request, key, None);
        self.respond(now, cancel, Response::new(200));
        let Some(server) = self.servers.get(&invite).filter(|server| server.is_pending()) else {
            return;
        };
        let dialog = server.dialog;
        self.respond(now, ServerTx(invite), Response::new(487));
        if let Some(dialog) = dialog {
            let (tx, dialog) = (ServerTx(invite), DialogId(dialog));
            self.tell(Event::Cancelled { tx, dialog, reason });
        }
    }

    fn handle_in_dialog(&mut self, now: Time, flow: Flow, request: Message, key: Vec<u8>) {
        let Some(id) = self.dialog_of(&request) else {
            self.refuse_statelessly(flow, &request, 481, "no such dialog");
            return;
        };
        let method = request.method();
        if method != Some(Method::Bye) && self.is_full() {
            self.refuse_statelessly(flow, &request, 503, "no room");
            return;
        }
        let number = request.cseq().map_or(0, |cseq| cseq.number);
        let Some(dialog) = self.dialogs.get_mut(&id) else { return };
        let refusal = if dialog.ending.is_some() && method != Some(Method::Bye) {
            Some(481)
        } else if dialog.remote_cseq.is_some_and(|known| number <= known) {
            Some(500)
        } else if method == Some(Method::Invite) && dialog.server_invite.is_some() {
            // RFC 3261, 14.2: a second INVITE before the first has its final response.
            Some(500)
        } else if method == Some(Method::Invite) && dialog.client_invite.is_some() {
            Some(491)
        } else {
            None
        };
        if refusal.is_none() {
            dialog.remote_cseq = Some(number);
            if matches!(method, Some(Method::Invite | Method::Update)) {
                dialog.refresh_target(&request);
            }
        }
        let copy = request.clone();
        let tx = self.open(flow, request, key, Some(id));
        if let Some(status) = refusal {
            let mut response = Response::new(status);
            if status == 500 {
                let seconds = self.rng.next_u32() % 10;
                response.headers.push(("Retry-After", seconds.to_string().into_bytes()));
            }
            self.respond(now, tx, response);
            return;
        }
        if method == Some(Method::Bye) {
            self.handle_bye(now, tx, id, copy);
            return;
        }
        if method == Some(Method::Invite) {
            if let Some(dialog) = self.dialogs.get_mut(&id) {
                dialog.server_invite = Some(tx.0);
            }
            self.respond(now, tx, Response::new(100));
        }
        self.tell(Event::InDialog { tx, dialog: DialogId(id), message: copy });
    }

    /// RFC 3261, 15.1.2: an INVITE that still waits is ended with 487.
    fn handle_bye(&mut self, now: Time, tx: ServerTx, id: u64, message: Message) {
        let pending = self.dialogs.get(&id).and_then(|dialog| dialog.server_invite);
        self.respond(now, tx, Response::new(200));
        if let Some(invite) = pending {
            self.respond(now, ServerTx(invite), Response::new(487));
        }
        let ended = self.remove_dialog(id).is_some_and(|dialog| dialog.ending.is_some());
        if !ended {
            self.tell(Event::Bye { dialog: DialogId(id), message });
        }
    }

    fn handle_initial(&mut self, now: Time, flow: Flow, request: Message, key: Vec<u8>) {
        let initial = [
            request.call_id(),
            b"\0",
            request.from_tag().unwrap_or_default(),
            b"\0",
            request.header(Header::CSeq).unwrap_or_default(),
        ]
        .concat();
        if self.initial.contains_key(&initial) {
            self.refuse_statelessly(flow, &request, 482, "merged");
            return;
        }
        let no_dialog = request.method() == Some(Method::Invite)
            && self.dialogs.len() >= self.config.max_dialogs;
        if no_dialog || self.is_full() {
            self.refuse_statelessly(flow, &request, 503, "no room");
            return;
        }
        let method = request.method();
        let copy = request.clone();
        let tx = self.open(flow, request, key, None);
        self.initial.insert(initial.clone(), tx.0);
        if let Some(server) = self.servers.get_mut(&tx.0) {
            server.initial_key = Some(initial);
        }
        if method != Some(Method::Invite) {
            self.tell(Event::Request { tx, flow, message: copy });
            return;
        }
        let tag = self.servers.get(&tx.0).map(|server| server.to_tag.clone()).unwrap_or_default();
        let mut dialog = Dialog::as_server(&copy, flow, tag);
        dialog.server_invite = Some(tx.0);
        let id = self.insert_dialog(dialog);
        if let Some(server) = self.servers.get_mut(&tx.0) {
            server.dialog = Some(id);
        }
        self.respond(now, tx, Response::new(100));
        self.tell(Event::Invite { tx, dialog: DialogId(id), flow, message: copy });
    }

    /// Whether there is no room for another transaction.
    fn is_full(&self) -> bool {
        let transactions = self.servers.len().saturating_add(self.clients.len());
        transactions >= self.config.max_transactions
    }

    fn open(
        &mut self,
        flow: Flow,
        request: Message,
        key: Vec<u8>,
        dialog: Option<u64>,
    ) -> ServerTx {
        let id = self.id();
        let reliable = flow.transport.is_reliable();
        let machine = if request.method() == Some(Method::Invite) {
            Machine::Invite(InviteServer::new(reliable))
        } else {
            Machine::Other(NonInviteServer::new(reliable))
        };
        let to_tag = match request.to_tag() {
            Some(tag) => tag.to_vec(),
            None => token(&mut self.rng),
        };
        let reply = reply_flow(&request, flow);
        self.servers_by_key.insert(key.clone(), id);
        let server = Server {
            request,
            source: flow,
            reply,
            key,
            initial_key: None,
            machine,
            last: None,
            dialog,
            to_tag,
        };
        self.servers.insert(id, server);
        ServerTx(id)
    }

    /// Sends a response of the user; one that comes after a final response is dropped.
    pub fn respond(&mut self, now: Time, tx: ServerTx, response: Response) {
        let Some(server) = self.servers.get(&tx.0).filter(|server| server.is_pending()) else {
            return;
        };
        let status = response.status;
        let bytes = self.write_response(server, response);
        let (reply, dialog) = (server.reply, server.dialog);
        let is_invite = matches!(server.machine, Machine::Invite(_));
        let initial = server.request.to_tag().is_none();
        let cseq = server.request.cseq().map_or(0, |cseq| cseq.number);
        self.change_server(tx.0, |server| {
            server.last = Some(bytes.clone());
            server.respond(now, status);
        });
        if let (true, Some(id)) = (is_invite && status >= 200, dialog) {
            let waiting = WaitingAck::new(now, reply, cseq, bytes.clone());
            self.invite_answered(id, status, initial, waiting);
        }
        self.send(reply, bytes);
        self.server_timeout(now, tx.0);
    }

    /// Our final response to an INVITE confirms, keeps or ends the dialog.
    fn invite_answered(&mut self, id: u64, status: u16, initial: bool, waiting: WaitingAck) {
        if status >= 300 && initial {
            self.remove_dialog(id);
            return;
        }
        let Some(dialog) = self.dialogs.get_mut(&id) else { return };
        dialog.server_invite = None;
        if status < 300 {
            let before = dialog.poll_timeout();
            dialog.waiting_ack = Some(waiting);
            let after = dialog.poll_timeout();
            self.timers.update(Owner::Dialog(id), before, after);
        }
    }

    fn write_response(&self, server: &Server, response: Response) -> Vec<u8> {
        let request = &server.request;
        let mut writer = Writer::response(response.status, response.reason);
        writer.vias(request, server.source);
        let is_invite = request.method() == Some(Method::Invite);
        if is_invite && response.status > 100 && response.status < 300 {
            writer.copy(request, Header::RecordRoute);
        }
        writer.copy(request, Header::From);
        let to = request.header(Header::To).unwrap_or_default();
        if request.to_tag().is_some() || response.status == 100 {
            writer.line("To", &[to]);
        } else {
            writer.line("To", &[to, b";tag=", &server.to_tag]);
        }
        writer.line("Call-ID", &[request.call_id()]);
        writer.copy(request, Header::CSeq);
        let has_contact = response.headers.iter().any(|(name, _)| *name == "Contact");
        if response.status > 100
            && response.status < 300
            && !has_contact
            && matches!(request.method(), Some(Method::Invite | Method::Update | Method::Subscribe))
        {
            writer.line("Contact", &[&self.contact(server.source)]);
        }
        if response.status >= 200 {
            writer.line("Supported", &[header::SUPPORTED.as_bytes()]);
            writer.line("Allow", &[self.config.allow.as_bytes()]);
            writer.line("Server", &[self.config.server_name.as_bytes()]);
        }
        for (name, value) in &response.headers {
            writer.line(name, &[value]);
        }
        writer.finish(response.body.as_ref().map(|body| (body.content_type, body.bytes.as_slice())))
    }

    /// Refuses a request that is not worth a transaction (8.2.7); nothing answers an ACK.
    pub(super) fn refuse_statelessly(
        &mut self,
        flow: Flow,
        request: &Message,
        status: u16,
        why: &str,
    ) {
        let readable = request.via().is_some() && !request.call_id().is_empty();
        if !readable || request.method() == Some(Method::Ack) {
            self.dropped.unreadable = self.dropped.unreadable.saturating_add(1);
            return;
        }
        let mut writer = Writer::response(status, None);
        writer.vias(request, flow);
        writer.copy(request, Header::From);
        let to = request.header(Header::To).unwrap_or_default();
        let tag = token(&mut self.rng);
        match request.to_tag() {
            Some(_) => writer.line("To", &[to]),
            None => writer.line("To", &[to, b";tag=", &tag]),
        }
        writer.line("Call-ID", &[request.call_id()]);
        writer.copy(request, Header::CSeq);
        match status {
            405 | 501 => writer.line("Allow", &[self.config.allow.as_bytes()]),
            420 => writer.line("Unsupported", &[&unsupported(request)]),
            503 => writer.line("Retry-After", &[b"5"]),
            400 => writer.line("Warning", &[b"399 koukan \"", why.as_bytes(), b"\""]),
            _ => {}
        }
        let bytes = writer.finish(None);
        self.send(reply_flow(request, flow), bytes);
    }

    fn change_server(&mut self, id: u64, change: impl FnOnce(&mut Server)) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let before = server.poll_timeout();
        change(server);
        let after = server.poll_timeout();
        self.timers.update(Owner::Server(id), before, after);
    }

    pub(super) fn server_timeout(&mut self, now: Time, id: u64) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let before = server.poll_timeout();
        let tick = match &mut server.machine {
            Machine::Invite(machine) => machine.handle_timeout(now),
            Machine::Other(machine) => machine.handle_timeout(now),
        };
        let (after, reply, last) = (server.poll_timeout(), server.reply, server.last.clone());
        self.timers.update(Owner::Server(id), before, None);
        match tick {
            Tick::Nothing => self.timers.update(Owner::Server(id), None, after),
            Tick::Retransmit => {
                self.timers.update(Owner::Server(id), None, after);
                if let Some(bytes) = last {
                    self.send(reply, bytes);
                }
            }
            Tick::TimedOut | Tick::Terminated => {
                if let Some(server) = self.servers.remove(&id) {
                    self.servers_by_key.remove(&server.key);
                    if let Some(initial) = server.initial_key {
                        self.initial.remove(&initial);
                    }
                }
            }
        }
    }
}

/// What makes a request acceptable at all (8.1.1, 8.2); the refusal otherwise.
fn acceptable(request: &Message) -> Result<(), (u16, &'static str)> {
    let cseq = request.cseq().ok_or((400, "no readable CSeq"))?;
    if cseq.name != request.method_name() {
        return Err((400, "the CSeq names another method"));
    }
    request.from().ok_or((400, "no readable From"))?;
    request.to().ok_or((400, "no readable To"))?;
    if request.call_id().is_empty() {
        return Err((400, "no Call-ID"));
    }
    let single = [Header::CallId, Header::CSeq, Header::From, Header::To, Header::MaxForwards];
    if single.into_iter().any(|header| request.headers(header).count() > 1) {
        return Err((400, "a header that may stand once stands twice"));
    }
    if request.list(Header::Via).any(|value| Via::parse(value).is_none()) {
        return Err((400, "a Via that cannot be read"));
    }
    acceptable_uri(request.request_uri())?;
    let in_dialog = request.to_tag().is_some();
    match request.method() {
        Some(Method::Other) => return Err((501, "unknown method")),
        Some(Method::Invite) if !in_dialog && request.max_forwards() == Some(0) => {
            return Err((483, "Max-Forwards is used up"));
        }
        _ => {}
    }
    let exempt = matches!(request.method(), Some(Method::Ack | Method::Cancel));
    if !exempt && !unsupported(request).is_empty() {
        return Err((420, "an extension is required that is not supported"));
    }
    Ok(())
}

fn acceptable_uri(text: &[u8]) -> Result<(), (u16, &'static str)> {
    let Some(uri) = Uri::parse(text) else {
        let scheme = text.split(|&byte| byte == b':').next().unwrap_or_default();
        let ours = [b"sip".as_slice(), b"sips", b"tel"];
        let foreign = text.contains(&b':')
            && scheme.first().is_some_and(u8::is_ascii_alphabetic)
            && !ours.iter().any(|known| scheme.eq_ignore_ascii_case(known));
        let status = if foreign { 416 } else { 400 };
        return Err((status, "the Request-URI is no SIP URI"));
    };
    // RFC 3261, 19.1.1, table 1: headers have no place in a Request-URI.
    if uri.headers.is_empty() { Ok(()) } else { Err((400, "headers in the Request-URI")) }
}

/// The option tags that are required and not done here (8.2.2.3); a Proxy-Require is for proxies,
/// of which a back-to-back user agent is none, yet whoever sends one wants it kept on the way.
fn unsupported(request: &Message) -> Vec<u8> {
    let lines = request.headers(Header::Require).chain(request.headers(Header::ProxyRequire));
    let foreign = lines.flat_map(split_list).filter(|tag| !header::is_supported(tag));
    foreign.collect::<Vec<&[u8]>>().join(b", ".as_slice())
}

/// The key under which a request's transaction is found (17.2.3); `None` without a readable Via.
fn transaction_key(request: &Message, method: Option<Method>) -> Option<Vec<u8>> {
    let via = request.via()?;
    let method = match method {
        Some(Method::Ack) => Method::Invite.name().as_bytes(),
        Some(Method::Other) | None => request.method_name(),
        Some(method) => method.name().as_bytes(),
    };
    let port = via.port.unwrap_or(5060).to_be_bytes();
    Some(match via.rfc3261_branch() {
        Some(branch) => [branch, b"\0", via.host, b"\0", &port, method].concat(),
        // RFC 2543 clients: the whole identity of the request stands in for the branch.
        None => {
            let number = request.cseq().map_or(0, |cseq| cseq.number).to_be_bytes();
            let tag = request.from_tag().unwrap_or_default();
            let call_id = request.call_id();
            let uri = request.request_uri();
            [call_id, b"\0", tag, b"\0", &number, uri, b"\0", via.host, &port, method].concat()
        }
    })
}

/// RFC 3261, 18.2.2 and RFC 3581, 4: responses go back by the connection, to the source port when
/// `rport` asks for it, else to the source address and the port of sent-by.
fn reply_flow(request: &Message, source: Flow) -> Flow {
    if source.transport != Transport::Udp {
        return source;
    }
    let Some(via) = request.via() else { return source };
    let params: Params<'_> = via.params;
    if params.has(b"rport") {
        return source;
    }
    let mut reply = source;
    reply.remote.set_port(via.port.unwrap_or(5060));
    reply
}
