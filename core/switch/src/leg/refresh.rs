//! Sessions kept alive (RFC 4028): the refresh by re-INVITE of a leg whose peer takes no UPDATE,
//! the end of a call whose party no longer answers; offers in a PRACK (RFC 3262, section 5).

use koukan_sip::{Body, DialogId, ExtraHeaders, Message, Method, ServerTx};

use crate::action::Now;
use crate::call::{Call, Stage};
use crate::leg::LegState;
use crate::switch::{Fate, Switch};

impl Switch {
    /// Sends a leg's last description again, unchanged.
    pub(crate) fn refresh(&mut self, now: Now, dialog: DialogId) {
        let Some(&(id, index)) = self.by_dialog.get(&dialog) else { return };
        self.with_call(now, id, |switch, call| {
            let headers = match call.stage {
                Stage::Bridged { leg } => {
                    let other = if index == 0 { leg } else { 0 };
                    switch.connected(call, index, other)
                }
                _ => Vec::new(),
            };
            switch.repeat_offer(now, call, index, headers);
            Fate::Keep
        });
    }

    /// A re-INVITE with a leg's last description, unchanged.
    pub(crate) fn repeat_offer(
        &mut self,
        now: Now,
        call: &mut Call,
        index: u16,
        headers: ExtraHeaders,
    ) {
        let Some(leg) = call.leg(index) else { return };
        let LegState::Up { dialog } = leg.state else { return };
        let (local, body) = (self.local_audio(leg, None, None), leg.session.repeat());
        if let Some(leg) = call.leg_mut(index) {
            leg.offered = local;
        }
        let body = body.map(Body::sdp);
        self.ua.request_in_dialog(now.time, dialog, Method::Invite, headers, body);
    }

    /// The 2xx to a re-INVITE of ours; false when the dialog is no leg's that stands.
    pub(crate) fn refreshed(&mut self, now: Now, dialog: DialogId, message: &Message) -> bool {
        let Some(&(id, index)) = self.by_dialog.get(&dialog) else { return false };
        let is_up = |leg: &crate::leg::Leg| leg.state == LegState::Up { dialog };
        let call = self.calls.get(&id);
        if !call.and_then(|call| call.leg(index)).is_some_and(is_up) {
            return false;
        }
        self.ua.ack(now.time, dialog, None);
        self.with_call(now, id, |switch, call| {
            if index == 0 && switch.fax_answered(now, call, message)
                || switch.carried_answer(now, call, index, message)
            {
                return Fate::Keep;
            }
            let taken = switch.take_answer(call, index, message.sdp().unwrap_or_default());
            if let Some(leg) = call.leg_mut(index) {
                leg.offered = None;
            }
            if taken { Fate::Keep } else { switch.lost(now, call, index) }
        });
        true
    }

    /// A request that crossed one of the peer's may be sent again: the refresh, or who is at the
    /// other end.
    pub(crate) fn try_again(&mut self, now: Now, dialog: DialogId, method: Method) {
        if method == Method::Invite {
            self.refresh(now, dialog);
            return;
        }
        let Some(&(id, index)) = self.by_dialog.get(&dialog) else { return };
        self.with_call(now, id, |switch, call| {
            if let Stage::Bridged { leg } = call.stage {
                let other = if index == 0 { leg } else { 0 };
                switch.tell_connected(now, call, index, other);
            }
            Fate::Keep
        });
    }

    /// Nobody refreshed in time: the party is gone.
    pub(crate) fn session_expired(&mut self, now: Now, dialog: DialogId) {
        let Some(&(id, index)) = self.by_dialog.get(&dialog) else {
            self.ua.bye(now.time, dialog, None);
            return;
        };
        self.with_call(now, id, |switch, call| {
            let party = call.leg(index).map(|leg| leg.party.name()).unwrap_or_default();
            switch.explain(call.id, format!("{party} no longer refreshes the session"));
            switch.lost(now, call, index)
        });
    }

    /// A PRACK: with an offer it is answered like an UPDATE.
    pub(crate) fn pracked(
        &mut self,
        now: Now,
        tx: Option<ServerTx>,
        dialog: DialogId,
        message: &Message,
    ) {
        match tx {
            Some(tx) => self.in_dialog(now, tx, dialog, message),
            // It answers the offer of our response, as an ACK would.
            None => self.acked(now, dialog, message),
        }
    }
}
