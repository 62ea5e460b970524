//! Requests of the peer (RFC 3261, 8.2, 9.2, 12.2.2, 13.3, 15.1.2, 17.2.3).

use std::net::IpAddr;

use koukan_base::Time;

use super::dialog::{self, Dialog};
use super::provisional::Provisional;
use super::refuse::acceptable;
use super::types::{DialogId, Event, Response, ServerTx};
use super::{Negotiation, Owner, UserAgent};
use crate::header::{Params, RAck, Replaces};
use crate::message::{Header, Message, Method};
use crate::transaction::{InviteServer, NonInviteServer, Tick};
use crate::{Flow, Transport, limits};

#[derive(Debug)]
pub(super) enum Machine {
    Invite(InviteServer),
    Other(NonInviteServer),
}

/// A server transaction with its request and our last response.
#[derive(Debug)]
pub(super) struct Server {
    /// Until the final response is written.
    pub(super) request: Option<Message>,
    cseq: u32,
    pub(super) source: Flow,
    /// Where responses go (18.2.2).
    pub(super) reply: Flow,
    key: Vec<u8>,
    initial_key: Option<Vec<u8>>,
    machine: Machine,
    pub(super) last: Option<Vec<u8>>,
    pub(super) dialog: Option<u64>,
    pub(super) to_tag: Vec<u8>,
    /// Reliable provisional responses to an INVITE (RFC 3262).
    pub(super) provisional: Option<Box<Provisional>>,
    /// A description of ours has gone out: what comes now in an INVITE without one is no offer.
    pub(super) described: bool,
}

impl Server {
    fn poll_timeout(&self) -> Option<Time> {
        let machine = match &self.machine {
            Machine::Invite(machine) => machine.poll_timeout(),
            Machine::Other(machine) => machine.poll_timeout(),
        };
        let provisional = self.provisional.as_ref().and_then(|machine| machine.poll_timeout());
        machine.into_iter().chain(provisional).min()
    }

    pub(super) fn is_pending(&self) -> bool {
        match &self.machine {
            Machine::Invite(machine) => machine.is_proceeding(),
            Machine::Other(machine) => machine.is_pending(),
        }
    }

    pub(super) const fn is_invite(&self) -> bool {
        matches!(self.machine, Machine::Invite(_))
    }

    fn is_accepted(&self) -> bool {
        match &self.machine {
            Machine::Invite(machine) => machine.is_accepted(),
            Machine::Other(_) => false,
        }
    }

    /// Whether a PRACK with this header acknowledges a response of this transaction.
    pub(super) fn awaits_prack(&self, rack: &RAck) -> bool {
        rack.method == Method::Invite
            && rack.cseq == self.cseq
            && self.provisional.as_ref().is_some_and(|machine| machine.awaits(rack.rseq))
    }

    pub(super) fn respond(&mut self, now: Time, status: u16) {
        match &mut self.machine {
            Machine::Invite(machine) => machine.respond(now, status),
            Machine::Other(machine) => machine.respond(now, status),
        }
    }

    /// What is due: of the transaction, else of its reliable provisional response.
    fn handle_timeout(&mut self, now: Time) -> Due {
        let tick = match &mut self.machine {
            Machine::Invite(machine) => machine.handle_timeout(now),
            Machine::Other(machine) => machine.handle_timeout(now),
        };
        match tick {
            Tick::Trying => return Due::Trying,
            Tick::Retransmit => return Due::Send(self.last.clone()),
            Tick::TimedOut | Tick::Terminated => return Due::Over,
            Tick::Nothing => {}
        }
        match self.provisional.as_mut().map(|machine| (machine.handle_timeout(now), machine)) {
            Some((Tick::Retransmit, machine)) => Due::Send(machine.bytes().map(<[u8]>::to_vec)),
            Some((Tick::TimedOut, _)) => Due::PrackMissing,
            Some((Tick::Nothing | Tick::Trying | Tick::Terminated, _)) | None => Due::Nothing,
        }
    }
}

/// What a server transaction wants at a timer.
enum Due {
    Nothing,
    Trying,
    Send(Option<Vec<u8>>),
    PrackMissing,
    Over,
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
                let accepted = self.servers.get(&id).is_some_and(|server| server.is_accepted());
                if accepted {
                    self.ack_of_success(now, &request);
                } else {
                    self.ack_of_refusal(now, id);
                }
            } else {
                self.retransmission(now, id);
            }
            return;
        }
        // What came over so many hops gets no answer as long as itself.
        let hops = usize::try_from(limits::VIAS.default).unwrap_or(usize::MAX);
        if request.list(Header::Via).nth(hops).is_some() {
            self.dropped.unreadable = self.dropped.unreadable.saturating_add(1);
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

    fn retransmission(&mut self, now: Time, id: u64) {
        let Some(server) = self.servers.get(&id) else { return };
        if server.is_invite() && server.last.is_none() {
            self.respond(now, ServerTx(id), Response::new(100));
            return;
        }
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
            let taken = self.change_dialog(id, |dialog| {
                dialog.waiting_ack.take_if(|waiting| Some(waiting.cseq) == cseq)?;
                dialog.confirmed = true;
                // Our offer in the 2xx is answered now, or never.
                dialog.negotiation = Negotiation::Settled;
                Some(())
            });
            taken.flatten().map(|()| id)
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
        let cancel = self.open(now, flow, request, key, None);
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
            match request.method() {
                // Subscriptions are kept by others.
                Some(Method::Subscribe | Method::Notify) if !self.is_full() => {
                    let message = request.clone();
                    let tx = self.open(now, flow, request, key, None);
                    self.tell(Event::Request { tx, flow, message });
                }
                _ => self.refuse_statelessly(flow, &request, 481, "no such dialog"),
            }
            return;
        };
        let method = request.method();
        if method != Some(Method::Bye) && self.is_full() {
            self.refuse_statelessly(flow, &request, 503, "no room");
            return;
        }
        let number = request.cseq().map_or(0, |cseq| cseq.number);
        let too_small = self.is_session_too_small(&request);
        let Some(dialog) = self.dialogs.get_mut(&id) else { return };
        let refusal = dialog.refusal(&request, number).or(too_small.then_some(422));
        if refusal.is_none() {
            dialog.remote_cseq = Some(number);
            if matches!(method, Some(Method::Invite | Method::Update)) {
                dialog.refresh_target(&request);
                // A NAT that gave the peer another port, or its new connection, is the way from
                // here on.
                dialog.flow = flow;
            }
            if method == Some(Method::Prack) {
                self.handle_prack(now, flow, id, request, key);
                return;
            }
        }
        let copy = request.clone();
        let tx = self.open(now, flow, request, key, Some(id));
        if let Some(status) = refusal {
            self.refuse_in_dialog(now, tx, status);
            return;
        }
        match method {
            Some(Method::Bye) => {
                self.handle_bye(now, tx, id, copy);
                return;
            }
            Some(Method::Invite | Method::Update) => self.new_description(tx, id, &copy),
            _ => {}
        }
        self.tell(Event::InDialog { tx, dialog: DialogId(id), message: copy });
    }

    fn refuse_in_dialog(&mut self, now: Time, tx: ServerTx, status: u16) {
        let mut response = Response::new(status);
        if status == 500 {
            let seconds = self.rng.next_u32() % 10;
            response.headers.push(("Retry-After", seconds.to_string().into_bytes()));
        }
        if status == 422 {
            response.headers.push(self.min_se());
        }
        self.respond(now, tx, response);
    }

    /// A re-INVITE or UPDATE is under way.
    fn new_description(&mut self, tx: ServerTx, id: u64, request: &Message) {
        let invite = request.method() == Some(Method::Invite);
        if let Some(dialog) = self.dialogs.get_mut(&id) {
            dialog.learn(request);
            if invite {
                dialog.server_invite = Some(tx.0);
            } else {
                dialog.server_update = Some(tx.0);
            }
            if request.sdp().is_some() {
                dialog.heard(tx.0);
            }
        }
    }

    /// RFC 3261, 15.1.2: an INVITE that still waits is ended with 487.
    fn handle_bye(&mut self, now: Time, tx: ServerTx, id: u64, message: Message) {
        let pending = self.dialogs.get(&id).and_then(|dialog| dialog.server_invite);
        self.respond(now, tx, Response::new(200));
        if let Some(invite) = pending {
            self.respond(now, ServerTx(invite), Response::new(487));
        }
        let gone = self.remove_dialog(id);
        if let Some(invite) = gone.as_ref().and_then(|dialog| dialog.client_invite) {
            self.bound_orphan(now, invite);
        }
        let early = gone.as_ref().filter(|dialog| !dialog.confirmed);
        if let Some(invite) = early.and_then(|dialog| dialog.opened_by) {
            self.fork_gone(now, invite);
        }
        if gone.is_none_or(|dialog| dialog.ending.is_none()) {
            self.tell(Event::Bye { dialog: DialogId(id), message });
        }
    }

    /// A fork of an INVITE of ours has hung up before we heard its 2xx: that was lost for 64·T1,
    /// and no other response follows from there. Without another fork the INVITE is given up (9.1).
    fn fork_gone(&mut self, now: Time, invite: super::ClientTx) {
        let Some(outgoing) = self.outgoing.get(&invite) else { return };
        if !outgoing.forks.iter().any(|fork| self.dialogs.contains_key(&fork.dialog)) {
            self.cancel(now, invite, None);
        }
    }

    fn handle_initial(&mut self, now: Time, flow: Flow, request: Message, key: Vec<u8>) {
        let is_call = request.method() == Some(Method::Invite);
        if self.overloaded && is_call && !self.replaces_one(&request) {
            self.shed = self.shed.saturating_add(1);
            self.refuse_statelessly(flow, &request, 503, "overloaded");
            return;
        }
        let initial = [
            request.call_id(),
            b"\0",
            request.from_tag().unwrap_or_default(),
            b"\0",
            request.header(Header::CSeq).unwrap_or_default(),
        ]
        .concat();
        if self.initial.contains_key(&initial) || self.is_looped(&request) {
            self.refuse_statelessly(flow, &request, 482, "merged or looped");
            return;
        }
        let no_dialog = request.method() == Some(Method::Invite)
            && self.dialogs.len() >= self.config.max_dialogs;
        if no_dialog || self.is_full() {
            self.refuse_statelessly(flow, &request, 503, "no room");
            return;
        }
        let method = request.method();
        if method == Some(Method::Invite) && self.is_session_too_small(&request) {
            self.refuse_statelessly(flow, &request, 422, "the session interval is too small");
            return;
        }
        let copy = request.clone();
        let tx = self.open(now, flow, request, key, None);
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
        if copy.sdp().is_some() {
            dialog.heard(tx.0);
        }
        let id = self.insert_dialog(dialog);
        if let Some(server) = self.servers.get_mut(&tx.0) {
            server.dialog = Some(id);
        }
        self.tell(Event::Invite { tx, dialog: DialogId(id), flow, message: copy });
    }

    /// Whether an INVITE belongs to a call that is here: it takes the place of a dialog of ours
    /// (RFC 3891), named from either side.
    fn replaces_one(&self, request: &Message) -> bool {
        let Some(replaces) = request.header(Header::Replaces).and_then(Replaces::parse) else {
            return false;
        };
        let Replaces { to_tag: from_tag, from_tag: to_tag, .. } = replaces;
        let turned = Replaces { to_tag, from_tag, ..replaces };
        self.find_dialog(replaces).or_else(|| self.find_dialog(turned)).is_some()
    }

    /// Whether there is no room for another transaction.
    fn is_full(&self) -> bool {
        let transactions = self.servers.len().saturating_add(self.clients.len());
        transactions >= self.config.max_transactions
    }

    pub(super) fn open(
        &mut self,
        now: Time,
        flow: Flow,
        request: Message,
        key: Vec<u8>,
        dialog: Option<u64>,
    ) -> ServerTx {
        let id = self.id();
        let reliable = flow.transport.is_reliable();
        let machine = if request.method() == Some(Method::Invite) {
            Machine::Invite(InviteServer::new(now, reliable))
        } else {
            Machine::Other(NonInviteServer::new(reliable))
        };
        let to_tag = match request.to_tag() {
            Some(tag) => tag.to_vec(),
            None => self.mint(),
        };
        let reply = reply_flow(&request, flow);
        self.servers_by_key.insert(key.clone(), id);
        let server = Server {
            cseq: request.cseq().map_or(0, |cseq| cseq.number),
            request: Some(request),
            source: flow,
            reply,
            key,
            initial_key: None,
            machine,
            last: None,
            dialog,
            to_tag,
            provisional: None,
            described: false,
        };
        self.timers.update(Owner::Server(id), None, server.poll_timeout());
        self.servers.insert(id, Box::new(server));
        ServerTx(id)
    }

    pub(super) fn change_server(&mut self, id: u64, change: impl FnOnce(&mut Server)) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let before = server.poll_timeout();
        change(server);
        let after = server.poll_timeout();
        self.timers.update(Owner::Server(id), before, after);
    }

    pub(super) fn server_timeout(&mut self, now: Time, id: u64) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let before = server.poll_timeout();
        let due = server.handle_timeout(now);
        let (after, reply) = (server.poll_timeout(), server.reply);
        self.timers.update(Owner::Server(id), before, None);
        match due {
            Due::Nothing => self.timers.update(Owner::Server(id), None, after),
            Due::Send(bytes) => {
                self.timers.update(Owner::Server(id), None, after);
                if let Some(bytes) = bytes {
                    self.send(reply, bytes);
                }
            }
            Due::Trying => {
                self.timers.update(Owner::Server(id), None, after);
                self.respond(now, ServerTx(id), Response::new(100));
            }
            Due::PrackMissing => {
                self.timers.update(Owner::Server(id), None, after);
                self.prack_missing(now, id);
            }
            Due::Over => self.remove_server(id),
        }
    }

    pub(super) fn remove_server(&mut self, id: u64) {
        let Some(server) = self.servers.remove(&id) else { return };
        self.timers.update(Owner::Server(id), server.poll_timeout(), None);
        self.servers_by_key.remove(&server.key);
        if let Some(initial) = server.initial_key {
            self.initial.remove(&initial);
        }
    }
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
/// `rport` asks for it, else to the source address and the port of sent-by. Where sent-by is
/// another address than the source, a NAT stands between and knows only the source port: old phones
/// do not ask for it, and some ALGs take `rport` away.
pub(super) fn reply_flow(request: &Message, source: Flow) -> Flow {
    if source.transport != Transport::Udp {
        return source;
    }
    let Some(via) = request.via() else { return source };
    let params: Params<'_> = via.params;
    if params.has(b"rport") {
        return source;
    }
    let host = std::str::from_utf8(via.host).ok().and_then(|host| host.parse::<IpAddr>().ok());
    if host.is_some_and(|host| host != source.remote.ip()) {
        return source;
    }
    let mut reply = source;
    // Nobody listens at port 0.
    let port = via.port.filter(|port| *port != 0);
    reply.remote.set_port(port.unwrap_or(if via.port.is_some() {
        source.remote.port()
    } else {
        5060
    }));
    reply
}
