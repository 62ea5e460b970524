//! Responses to requests of ours (RFC 3261, 8.1.3, 13.2.2, 17.1.1.3), their time-outs, and digest
//! that is answered once (22.2).

use koukan_base::Time;

use super::client::{Cancel, Client, Fork, Machine, Outgoing, client_key};
use super::dialog::{self, Dialog};
use super::types::{ClientTx, DialogId, Event, FailureCause, token};
use super::{Negotiation, Owner, UserAgent};
use crate::Transport;
use crate::digest;
use crate::message::{Header, Message, Method};
use crate::transaction::{Receipt, Tick};
use crate::write::Writer;

impl UserAgent {
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
        let (tx, method, flow) = (client.tx, client.method, client.flow);
        if method == Method::Invite || status >= 200 {
            // RFC 3261, 17.1.1.2 and 17.1.2.2: nothing is sent again after this.
            client.bytes = Vec::new();
        }
        let ack = if receipt == Receipt::Ack { client.ack.clone() } else { None };
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
        self.bound_orphan(now, tx);
        if status == 100 {
            return;
        }
        let dialog = self.dialog_of_response(tx, &message);
        if status < 200 {
            let offer = match dialog {
                Some(id) => match self.provisional_came(now, tx, id, &message) {
                    Some(offer) => offer,
                    None => return,
                },
                None => false,
            };
            let dialog = dialog.map(DialogId);
            self.tell(Event::Progress { tx, dialog, status, offer, message });
            return;
        }
        // RFC 3261, 12.1.2: a 2xx without a To tag comes from RFC 2543; its dialog has none either.
        let Some(id) = dialog else { return };
        let Some(known) = self.dialogs.get_mut(&id) else { return };
        known.client_invite = None;
        if let (true, Some(ack)) = (known.confirmed, known.ack.clone()) {
            let flow = known.flow;
            self.send(flow, ack.to_vec());
            return;
        }
        let initial = !known.confirmed;
        known.confirmed = true;
        if initial {
            known.take_routes(&message);
        } else {
            known.refresh_target(&message);
        }
        let mut offered = false;
        if let Some(outgoing) = self.outgoing.get_mut(&tx) {
            outgoing.answered = true;
            offered = outgoing.request.body.is_some();
            // It is not written again; what other forks' dialogs need of it stays.
            outgoing.request.headers = Vec::new();
            if let Some(body) = &mut outgoing.request.body {
                body.bytes = Vec::new();
            }
        }
        self.answer_came(id, offered, &message);
        self.session_agreed(now, id, &message);
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
                self.send(flow, bytes.to_vec());
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
            known.negotiation = Negotiation::Settled;
        }
        for fork in std::mem::take(&mut outgoing.forks) {
            if self.dialogs.get(&fork.dialog).is_some_and(|dialog| !dialog.confirmed) {
                self.remove_dialog(fork.dialog);
            }
        }
        if outgoing.cancel == Cancel::No
            && let Some(authorization) = self.challenged(&outgoing, status, message.as_ref())
        {
            outgoing.answered_challenge = true;
            self.retry(now, tx, outgoing, Some(authorization));
            return;
        }
        if outgoing.cancel == Cancel::No
            && message.as_ref().is_some_and(|told| Self::take_min_se(&mut outgoing, status, told))
        {
            self.retry(now, tx, outgoing, None);
            return;
        }
        if let Some(id) = outgoing.dialog {
            self.description_failed(now, id, &outgoing, status, message.as_ref());
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
        let Some(mut outgoing) = self.outgoing.remove(&tx) else { return };
        if let Some(authorization) = self.challenged(&outgoing, status, message.as_ref()) {
            outgoing.answered_challenge = true;
            self.retry(now, tx, outgoing, Some(authorization));
            return;
        }
        if message.as_ref().is_some_and(|told| Self::take_min_se(&mut outgoing, status, told)) {
            self.retry(now, tx, outgoing, None);
            return;
        }
        self.exchange_ended(now, &outgoing, status, message.as_ref());
        if !outgoing.silent {
            let dialog = outgoing.dialog.map(DialogId);
            self.tell(Event::Response { tx, dialog, status, cause, message });
        }
    }

    /// The 2xx to our INVITE: it answers our offer, or is an offer that the ACK answers.
    fn answer_came(&mut self, id: u64, offered: bool, message: &Message) {
        let Some(dialog) = self.dialogs.get_mut(&id) else { return };
        if offered || message.sdp().is_none() {
            dialog.negotiation = Negotiation::Settled;
        } else if !dialog.has_description {
            dialog.negotiation = dialog.negotiation.heard();
        }
    }

    /// The final response to an UPDATE or PRACK of ours closes the offer in it.
    fn exchange_ended(
        &mut self,
        now: Time,
        outgoing: &Outgoing,
        status: u16,
        message: Option<&Message>,
    ) {
        let Some(id) = outgoing.dialog else { return };
        let method = outgoing.request.method;
        if !matches!(method, Method::Update | Method::Prack) {
            return;
        }
        if let Some(dialog) = self.dialogs.get_mut(&id)
            && outgoing.request.body.is_some()
            && dialog.negotiation == Negotiation::Ours
        {
            dialog.negotiation = Negotiation::Settled;
        }
        if method == Method::Update {
            match message.filter(|_| (200..300).contains(&status)) {
                Some(message) => {
                    if let Some(dialog) = self.dialogs.get_mut(&id) {
                        dialog.refresh_target(message);
                    }
                    self.session_agreed(now, id, message);
                }
                None => self.description_failed(now, id, outgoing, status, message),
            }
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
        mut outgoing: Box<Outgoing>,
        authorization: Option<(&'static str, Vec<u8>)>,
    ) {
        outgoing.cseq = outgoing.cseq.saturating_add(1);
        if let Some(known) = outgoing.dialog.and_then(|id| self.dialogs.get_mut(&id)) {
            known.local_cseq = known.local_cseq.max(outgoing.cseq);
        }
        self.send_outgoing(now, tx, outgoing, authorization);
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
            Tick::Nothing | Tick::Trying => self.timers.update(Owner::Client(id), None, after),
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
        if self.falls_back(now, &client, cause) {
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

    /// RFC 3261, 18.1.1: a request that took a stream for its size alone goes by datagrams when
    /// the stream fails before anybody answered.
    fn falls_back(&mut self, now: Time, client: &Client, cause: FailureCause) -> bool {
        let silent = match &client.machine {
            Machine::Invite(machine) => machine.is_pending() && !machine.is_proceeding(),
            Machine::Other(_) => true,
        };
        let tx = client.tx;
        let Some(outgoing) = self.outgoing.get(&tx).filter(|_| silent) else { return false };
        let flow = outgoing.request.flow;
        let took_stream = flow.transport == Transport::Udp && client.flow != flow;
        let spent = outgoing.answered_challenge || outgoing.cancel != Cancel::No;
        if cause != FailureCause::Transport || !took_stream || spent {
            return false;
        }
        self.long_requests.refused(now, flow);
        let Some(outgoing) = self.outgoing.remove(&tx) else { return false };
        self.send_outgoing(now, tx, outgoing, None);
        true
    }

    fn remove_client(&mut self, id: u64) -> Option<Box<Client>> {
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
        let Some(outgoing) = self.outgoing.remove(&tx) else { return };
        let forks = outgoing.forks.iter().map(|fork| fork.dialog);
        for dialog in forks.chain(outgoing.dialog) {
            let Some(known) = self.dialogs.get_mut(&dialog) else { continue };
            if outgoing.dialog.is_none() && !known.confirmed {
                self.remove_dialog(dialog);
            } else if known.invite_cseq == outgoing.cseq {
                known.ack = None;
            }
        }
    }
}
