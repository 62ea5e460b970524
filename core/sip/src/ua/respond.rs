//! Responses of ours (RFC 3261, 8.2.6, 13.3.1, 12.1.1): written, sent, and what they do to their
//! dialog: its confirmation or end, the offer that they answer, the session timer that they set.

use koukan_base::Time;

use super::dialog::WaitingAck;
use super::prack::TAG;
use super::provisional::Gate;
use super::server::Server;
use super::types::{DialogId, Event, Response, ServerTx};
use super::{Negotiation, UserAgent};
use crate::header;
use crate::message::{Header, Message, Method};
use crate::write::Writer;

impl UserAgent {
    /// Sends a response of the user; one that comes after a final response is dropped. A response
    /// that has to wait for a PRACK (RFC 3262) goes out after it.
    pub fn respond(&mut self, now: Time, tx: ServerTx, response: Response) {
        if self.servers.get(&tx.0).is_none_or(|server| !server.is_pending()) {
            return;
        }
        match self.gate(tx, &response) {
            Gate::Send => self.send_response(now, tx, response),
            Gate::Hold => {
                if let Some(machine) =
                    self.servers.get_mut(&tx.0).and_then(|server| server.provisional.as_mut())
                {
                    machine.hold(response);
                }
            }
            Gate::Drop => {}
        }
    }

    /// Drops a request without an answer, and the dialog that it would have begun: its repetition
    /// is a new request.
    pub fn forget(&mut self, tx: ServerTx) {
        let Some(server) = self.servers.get(&tx.0).filter(|server| server.is_pending()) else {
            return;
        };
        let initial = server.request.as_ref().is_some_and(|request| request.to_tag().is_none());
        let begun = server.dialog.filter(|_| initial);
        self.remove_server(tx.0);
        if let Some(id) = begun {
            self.remove_dialog(id);
        }
    }

    pub(super) fn send_response(&mut self, now: Time, tx: ServerTx, mut response: Response) {
        let reliable = self.is_reliable(tx, &response);
        let status = response.status;
        if reliable && let Some(rseq) = self.next_rseq(tx) {
            response.headers.push(("Require", TAG.to_vec()));
            response.headers.push(("RSeq", rseq.to_string().into_bytes()));
        }
        if (200..300).contains(&status) {
            self.grant_session(now, tx, &mut response);
        }
        let Some(server) = self.servers.get(&tx.0).filter(|server| server.is_pending()) else {
            return;
        };
        let Some(request) = &server.request else { return };
        let bytes = self.write_response(server, request, &response);
        let (reply, dialog, is_invite) = (server.reply, server.dialog, server.is_invite());
        let initial = request.to_tag().is_none();
        let cseq = request.cseq().map_or(0, |cseq| cseq.number);
        let later_hops = request.list(Header::Via).nth(1).is_some();
        let has_body = response.body.is_some();
        self.change_server(tx.0, |server| {
            server.last = Some(bytes.clone());
            server.respond(now, status);
            if let Some(machine) = server.provisional.as_mut().filter(|_| reliable) {
                machine.sent(now, has_body, bytes.clone());
            }
        });
        if let Some(id) = dialog {
            self.described(tx.0, id, status, reliable, has_body);
            if is_invite
                && reliable
                && let Some(dialog) = self.dialogs.get_mut(&id)
            {
                dialog.reliable_invite = Some(tx.0);
            }
            if is_invite && status >= 200 {
                let waiting = WaitingAck::new(now, reply, cseq, bytes.clone(), later_hops);
                self.invite_answered(id, tx.0, status, initial, waiting);
            }
        }
        if status >= 200
            && let Some(server) = self.servers.get_mut(&tx.0)
        {
            server.request = None;
        }
        self.send(reply, bytes);
        self.server_timeout(now, tx.0);
        if let (Some(id), false, 200..) = (dialog, is_invite, status) {
            self.prack_answered(now, tx.0, id);
        }
    }

    fn next_rseq(&self, tx: ServerTx) -> Option<u32> {
        Some(self.servers.get(&tx.0)?.provisional.as_ref()?.rseq())
    }

    /// What a response does to the offer that is open in its dialog.
    fn described(&mut self, tx: u64, id: u64, status: u16, reliable: bool, has_body: bool) {
        let Some(server) = self.servers.get_mut(&tx) else { return };
        let Some(dialog) = self.dialogs.get_mut(&id) else { return };
        let is_final = status >= 200;
        if dialog.server_update == Some(tx) && is_final {
            dialog.server_update = None;
        }
        if dialog.offer_tx == Some(tx) {
            if is_final || reliable && has_body {
                dialog.offer_tx = None;
                dialog.negotiation = Negotiation::Settled;
            }
            return;
        }
        if !server.is_invite() || dialog.server_invite != Some(tx) {
            return;
        }
        let asked = server.request.as_ref().is_some_and(|request| request.sdp().is_some());
        let counts = has_body && (reliable || (200..300).contains(&status));
        if status >= 300 {
            dialog.negotiation = Negotiation::Settled;
        } else if counts && !asked && !server.described {
            server.described = true;
            dialog.negotiation = dialog.negotiation.said();
        }
    }

    /// Our final response to an INVITE confirms, keeps or ends the dialog.
    fn invite_answered(
        &mut self,
        id: u64,
        tx: u64,
        status: u16,
        initial: bool,
        waiting: WaitingAck,
    ) {
        if status >= 300 && initial {
            self.remove_dialog(id);
            return;
        }
        self.change_dialog(id, |dialog| {
            if dialog.server_invite == Some(tx) {
                dialog.server_invite = None;
            }
            if status < 300 {
                dialog.waiting_ack = Some(Box::new(waiting));
            }
        });
    }

    /// Nobody acknowledged a reliable provisional response in 64·T1 (RFC 3262, 3).
    pub(super) fn prack_missing(&mut self, now: Time, invite: u64) {
        let dialog = self.servers.get(&invite).and_then(|server| server.dialog);
        self.respond(now, ServerTx(invite), Response::new(504));
        if let Some(dialog) = dialog {
            let (invite, dialog) = (ServerTx(invite), DialogId(dialog));
            self.tell(Event::PrackMissing { invite, dialog });
        }
    }

    fn write_response(&self, server: &Server, request: &Message, response: &Response) -> Vec<u8> {
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
        let reliable = response.headers.iter().any(|(name, _)| *name == "RSeq");
        if response.status >= 200 || reliable {
            writer.line("Supported", &[header::SUPPORTED.as_bytes()]);
            writer.line("Allow", &[self.config.allow.as_bytes()]);
            writer.line("Server", &[self.config.server_name.as_bytes()]);
        }
        for (name, value) in &response.headers {
            writer.line(name, &[value]);
        }
        writer.finish(response.body.as_ref().map(|body| (body.content_type, body.bytes.as_slice())))
    }
}
