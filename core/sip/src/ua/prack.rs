//! PRACK (RFC 3262) in both roles: the caller acknowledges reliable provisional responses in order
//! (section 4), the callee takes the acknowledgement and lets go what waited for it (section 3).

use koukan_base::Time;

use super::client::in_dialog;
use super::provisional::{Gate, Provisional};
use super::types::{Body, ClientTx, DialogId, Event, Response, ServerTx};
use super::{Negotiation, UserAgent};
use crate::Flow;
use crate::header::RAck;
use crate::message::{Header, Message, Method};

/// The option tag of reliable provisional responses.
pub(super) const TAG: &[u8] = b"100rel";

impl UserAgent {
    /// Acknowledges the provisional response that came with an offer, with our answer; an offer of
    /// ours may stand in the PRACK of another one. The outcome comes as `Response`. `None` when
    /// nothing waits for a PRACK of the user.
    pub fn prack(&mut self, now: Time, dialog: DialogId, body: Option<Body>) -> Option<ClientTx> {
        let (rseq, cseq) = self.dialogs.get_mut(&dialog.0)?.prack_wanted.take()?;
        self.send_prack(now, dialog.0, (rseq, cseq), body, false)
    }

    fn send_prack(
        &mut self,
        now: Time,
        id: u64,
        (rseq, cseq): (u32, u32),
        body: Option<Body>,
        silent: bool,
    ) -> Option<ClientTx> {
        let dialog = self.dialogs.get_mut(&id)?;
        if body.is_some() {
            dialog.negotiation = dialog.negotiation.said();
        }
        let headers = vec![("RAck", format!("{rseq} {cseq} INVITE").into_bytes())];
        let request = in_dialog(dialog, Method::Prack, headers, body);
        Some(self.start(now, request, Some(id), silent))
    }

    /// A 101–199 to our INVITE in the dialog `id`. `None`: it repeats or overtakes another one and
    /// is not for the user; else whether it carries an offer.
    pub(super) fn provisional_came(
        &mut self,
        now: Time,
        tx: ClientTx,
        id: u64,
        message: &Message,
    ) -> Option<bool> {
        let offered = self.outgoing.get(&tx).is_some_and(|out| out.request.body.is_some());
        let dialog = self.dialogs.get_mut(&id)?;
        let rseq = message.number(Header::RSeq).filter(|_| message.requires(TAG));
        let Some(rseq) = rseq else { return Some(false) };
        // RFC 3262, 4: what is not one above the last is neither acknowledged nor processed.
        if dialog.remote_rseq.is_some_and(|last| rseq != last.wrapping_add(1)) {
            return None;
        }
        dialog.remote_rseq = Some(rseq);
        let cseq = message.cseq().map_or(0, |cseq| cseq.number);
        let mut offer = false;
        if message.sdp().is_some() {
            let before = dialog.negotiation;
            offer = !offered && before == Negotiation::Settled && !dialog.has_description;
            dialog.has_description = true;
            dialog.negotiation = match before {
                Negotiation::Settled if !offer => before,
                _ => before.heard(),
            };
        }
        if offer {
            dialog.prack_wanted = Some((rseq, cseq));
        } else {
            self.send_prack(now, id, (rseq, cseq), None, true);
        }
        Some(offer)
    }

    /// A PRACK of the peer in the dialog `id`.
    pub(super) fn handle_prack(
        &mut self,
        now: Time,
        flow: Flow,
        id: u64,
        request: Message,
        key: Vec<u8>,
    ) {
        let rack = request.header(Header::RAck).and_then(RAck::parse);
        let invite = self.dialogs.get(&id).and_then(|dialog| dialog.reliable_invite);
        let found = rack.zip(invite).filter(|(rack, invite)| {
            self.servers.get(invite).is_some_and(|server| server.awaits_prack(rack))
        });
        let Some((rack, invite)) = found else {
            self.refuse_statelessly(flow, &request, 481, "no such provisional response");
            return;
        };
        self.change_server(invite, |server| {
            if let Some(provisional) = &mut server.provisional {
                provisional.acknowledge(rack.rseq);
            }
        });
        let has_body = request.sdp().is_some();
        let copy = request.clone();
        let tx = self.open(now, flow, request, key, Some(id));
        let offer = self.dialogs.get_mut(&id).is_some_and(|dialog| {
            let ours = dialog.negotiation == Negotiation::Ours;
            if has_body || ours {
                dialog.heard(tx.0);
            }
            has_body && !ours
        });
        if offer {
            if let Some(provisional) =
                self.servers.get_mut(&invite).and_then(|server| server.provisional.as_mut())
            {
                provisional.block(tx.0);
            }
        } else {
            self.respond(now, tx, Response::new(200));
        }
        let (invite_tx, dialog) = (ServerTx(invite), DialogId(id));
        let tx = offer.then_some(tx);
        self.tell(Event::Pracked { tx, invite: invite_tx, dialog, message: copy });
        if !offer {
            self.release_held(now, invite);
        }
    }

    /// Our answer to a PRACK's offer has gone out.
    pub(super) fn prack_answered(&mut self, now: Time, prack: u64, dialog: u64) {
        let invite = self.dialogs.get(&dialog).and_then(|dialog| dialog.reliable_invite);
        let Some(invite) = invite else { return };
        let provisional =
            self.servers.get_mut(&invite).and_then(|server| server.provisional.as_mut());
        if provisional.is_some_and(|provisional| provisional.unblock(prack)) {
            self.release_held(now, invite);
        }
    }

    fn release_held(&mut self, now: Time, invite: u64) {
        loop {
            let provisional =
                self.servers.get_mut(&invite).and_then(|server| server.provisional.as_mut());
            let Some(next) = provisional.and_then(|provisional| provisional.release()) else {
                return;
            };
            self.send_response(now, ServerTx(invite), next);
        }
    }

    /// Whether a response of ours must or may be reliable: 101–199 to an INVITE.
    pub(super) fn is_reliable(&self, tx: ServerTx, response: &Response) -> bool {
        let Some(server) = self.servers.get(&tx.0) else { return false };
        (101..=199).contains(&response.status)
            && server.is_invite()
            && server.request.as_ref().is_some_and(|request| {
                request.requires(TAG) || response.reliable && request.supports(TAG)
            })
    }

    /// What becomes of a response of the user; one that has to wait is kept.
    pub(super) fn gate(&mut self, tx: ServerTx, response: &Response) -> Gate {
        let reliable = self.is_reliable(tx, response);
        let Some(server) = self.servers.get_mut(&tx.0) else { return Gate::Drop };
        if reliable && server.provisional.is_none() {
            server.provisional = Some(Box::new(Provisional::new(self.rng.next_u32())));
        }
        let gate = server.provisional.as_mut().map(|machine| machine.gate(response, reliable));
        gate.unwrap_or(Gate::Send)
    }
}
