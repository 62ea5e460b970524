//! What comes within a call: new descriptions (hold, codec, address), digits by INFO, the end.

use koukan_sip::sdp::{Direction, Session};
use koukan_sip::{Body, ClientTx, DialogId, Message, Method, Response, ServerTx};

use crate::action::Now;
use crate::call::{Call, Stage};
use crate::leg::LegState;
use crate::leg::dtmf::Digit;
use crate::record::CallCause;
use crate::switch::{Fate, LegKey, Switch};

impl Switch {
    /// CANCEL: the caller gave up before an answer.
    pub(crate) fn caller_gave_up(&mut self, now: Now, tx: ServerTx, dialog: DialogId) {
        // A re-INVITE that is given up leaves its dialog.
        let Some((id, index)) = self.by_server.remove(&tx) else {
            self.lookup_given_up(now, tx);
            return;
        };
        self.by_dialog.remove(&dialog);
        self.with_call(now, id, |switch, call| {
            if let Some(leg) = call.leg_mut(index) {
                leg.state = LegState::Ended;
                leg.ended = Some(now.date);
                leg.status = 487;
            }
            switch.party_gone(now, call, index, CallCause::CallerGaveUp, 487)
        });
    }

    /// BYE of either party.
    pub(crate) fn hung_up(&mut self, now: Now, dialog: DialogId) {
        let Some((id, index)) = self.by_dialog.remove(&dialog) else { return };
        self.with_call(now, id, |switch, call| {
            if let Some(LegState::Calling { tx, .. }) = call.leg(index).map(|leg| leg.state) {
                return switch.answer_lost(now, call, index, (tx, dialog));
            }
            if let Some(leg) = call.leg_mut(index) {
                if let LegState::Incoming { tx, .. } = leg.state {
                    switch.by_server.remove(&tx);
                }
                leg.state = LegState::Ended;
                leg.ended = Some(now.date);
            }
            let caller = call.leg(index).is_some_and(|leg| leg.is_caller(call));
            let cause = match (caller, call.answered) {
                (true, None) => CallCause::CallerGaveUp,
                (true, Some(_)) => CallCause::CallerHungUp,
                (false, _) => CallCause::CalleeHungUp,
            };
            switch.party_gone(now, call, index, cause, 487)
        });
    }

    /// A party that we called hangs up, and its answer has never come: the network lost it for as
    /// long as it was repeated. Another fork of the same phone may still be there.
    fn answer_lost(
        &mut self,
        now: Now,
        call: &mut Call,
        index: u16,
        (tx, dialog): (ClientTx, DialogId),
    ) -> Fate {
        let Some(leg) = call.leg_mut(index) else { return Fate::Keep };
        leg.early.retain(|known| *known != dialog);
        if !leg.early.is_empty() {
            return Fate::Keep;
        }
        self.by_client.remove(&tx);
        self.callee_over(now, call, index, 408)
    }

    /// A party has gone. The call goes on when it was not one of the two that talk.
    pub(crate) fn party_gone(
        &mut self,
        now: Now,
        call: &mut Call,
        index: u16,
        cause: CallCause,
        status: u16,
    ) -> Fate {
        let talks = matches!(call.stage, Stage::Bridged { leg } if leg == index);
        if talks && self.second_party_gone(now, call) {
            return Fate::Keep;
        }
        if index == 0 || talks {
            return Fate::End(cause, status);
        }
        if self.referrer_gone(call, index) {
            self.explain(call.id, "the referrer has hung up; its transfer goes on");
        }
        call.taker_gone(index);
        self.close_stream(call, index);
        self.supervisor_gone(call, index);
        if matches!(call.stage, Stage::Paging(_)) && self.page_on(call).is_none() {
            return Fate::End(cause, status);
        }
        Fate::Keep
    }

    pub(crate) fn ack_missing(&mut self, now: Now, dialog: DialogId) {
        match self.by_dialog.get(&dialog).copied() {
            Some((id, index)) => self.with_call(now, id, |switch, call| {
                let party = call.leg(index).map(|leg| leg.party.name()).unwrap_or_default();
                switch.explain(call.id, format!("no ACK from {party}"));
                switch.lost(now, call, index)
            }),
            None => self.ua.bye(now.time, dialog, None),
        }
    }

    /// The ACK of our 200: with the answer when the offer was ours.
    pub(crate) fn acked(&mut self, now: Now, dialog: DialogId, message: &Message) {
        let Some(&(id, index)) = self.by_dialog.get(&dialog) else { return };
        self.with_call(now, id, |switch, call| {
            let Some(leg) = call.leg(index).filter(|leg| leg.offered.is_some()) else {
                return Fate::Keep;
            };
            let agreed = leg.agreed.is_some();
            let taken = switch.take_answer(call, index, message.sdp().unwrap_or_default());
            if let Some(leg) = call.leg_mut(index) {
                leg.offered = None;
            }
            // Later on what was agreed before goes on (RFC 3261, 14.1); at first there is nothing.
            if !taken && !agreed {
                switch.end_leg(now, call, index, 488, None);
                return switch.party_gone(now, call, index, CallCause::SignallingLost, 488);
            }
            switch.wire(call);
            Fate::Keep
        });
    }

    /// A party does not answer any more: its leg is ended, and the call unless others go on.
    pub(crate) fn lost(&mut self, now: Now, call: &mut Call, index: u16) -> Fate {
        self.end_leg(now, call, index, 480, None);
        self.party_gone(now, call, index, CallCause::SignallingLost, 480)
    }

    /// Asks every party whose RTP is not watched (it holds) whether it is still there.
    pub(crate) fn probe(&mut self, now: Now, call: &mut Call) {
        for leg in &mut call.legs {
            let open = leg.agreed.as_ref().map(|a| a.direction) == Some(Direction::SendRecv);
            if let (LegState::Up { dialog }, false, None) = (leg.state, open, leg.probe) {
                let headers = vec![("Accept", b"application/sdp".to_vec())];
                let ua = &mut self.ua;
                leg.probe = ua.request_in_dialog(now.time, dialog, Method::Options, headers, None);
            }
        }
    }

    /// The outcome of a question within a dialog: these two statuses say that the dialog is gone
    /// (RFC 3261, 12.2.1.2). Of other requests they speak only of what was asked (RFC 5057).
    pub(crate) fn probed(&mut self, now: Now, tx: ClientTx, dialog: Option<DialogId>, status: u16) {
        let known = dialog.and_then(|dialog| self.by_dialog.get(&dialog).copied());
        let Some((id, index)) = known else { return };
        self.with_call(now, id, |switch, call| {
            let Some(leg) = call.leg_mut(index) else { return Fate::Keep };
            let probe = leg.probe.take_if(|probe| *probe == tx);
            if probe.is_none() || !matches!(status, 408 | 481) {
                return Fate::Keep;
            }
            let party = leg.party.name();
            switch.explain(call.id, format!("{party} is gone: {status}"));
            switch.lost(now, call, index)
        });
    }

    pub(crate) fn in_dialog(
        &mut self,
        now: Now,
        tx: ServerTx,
        dialog: DialogId,
        message: &Message,
    ) {
        let known = self.by_dialog.get(&dialog).copied();
        match (message.method(), known) {
            (_, None) => self.ua.respond(now.time, tx, Response::new(481)),
            (Some(Method::Invite | Method::Update | Method::Prack), Some(key)) => {
                self.new_description(now, tx, key, message);
            }
            (Some(Method::Info), Some((id, index))) => {
                self.ua.respond(now.time, tx, Response::new(200));
                if let Some(digit) = Digit::of(message) {
                    self.with_call(now, id, |switch, call| {
                        switch.pressed(now, call, index, digit, false)
                    });
                }
            }
            (Some(Method::Refer), Some(key)) => self.refer(now, tx, key, message),
            (Some(Method::Options | Method::Notify), Some(_)) => {
                self.ua.respond(now.time, tx, Response::new(200));
            }
            (_, Some(_)) => self.ua.respond(now.time, tx, Response::new(405)),
        }
    }

    /// A re-INVITE or UPDATE: answered here, for this leg alone; the other leg's dialog is
    /// untouched.
    fn new_description(&mut self, now: Now, tx: ServerTx, key: LegKey, message: &Message) {
        let (id, index) = key;
        let offer = match message.sdp().map(Session::parse) {
            None => None,
            Some(Ok(session)) => Some(session),
            Some(Err(_)) => {
                self.ua.respond(now.time, tx, Response::new(488));
                return;
            }
        };
        let update = message.method() == Some(Method::Update);
        let mut response = Response::new(200);
        self.with_call(now, id, |switch, call| {
            let mut fate = Fate::Keep;
            match (offer, update) {
                (Some(offer), _) => match switch.answer_offer(now, call, index, &offer) {
                    Some(body) => {
                        response.body = Some(body);
                        if offer.audio().is_some() {
                            switch.back_in_audio(now, call, index);
                        }
                    }
                    None => {
                        response.status = 488;
                        fate = switch.t38_is_fax(now, call, index, &offer);
                    }
                },
                (None, true) => {}
                (None, false) => response.body = switch.offer_again(call, index),
            }
            switch.note_hold(now, call, index);
            fate
        });
        self.ua.respond(now.time, tx, response);
    }

    fn answer_offer(
        &mut self,
        now: Now,
        call: &mut Call,
        index: u16,
        offer: &Session,
    ) -> Option<Body> {
        if index == 0
            && let Some(answer) = self.fax_offer(call, offer)
        {
            return answer;
        }
        if let Some(answer) = self.carried_offer(now, call, index, offer) {
            return answer;
        }
        let other = other_codec(call, index);
        let leg = call.leg(index)?;
        if self.cannot_secure(&leg.party, offer) {
            return None;
        }
        let local = self.local_audio(leg, other.as_deref(), Some(offer))?;
        let leg = call.leg_mut(index)?;
        let (bytes, agreed) = leg.session.answer(offer, &local, other.is_some()).ok()?;
        if index == 0 {
            leg.answer = Some(bytes.clone());
        }
        self.agree(call, index, agreed);
        self.wire(call);
        Some(Body::sdp(bytes))
    }

    /// A re-INVITE without an offer asks for ours (RFC 3261, 14.2).
    fn offer_again(&mut self, call: &mut Call, index: u16) -> Option<Body> {
        if let Some(standing) = self.standing_image(call, index) {
            return Some(standing);
        }
        let codec = other_codec(call, index);
        let local = self.local_audio(call.leg(index)?, codec.as_deref(), None)?;
        let leg = call.leg_mut(index)?;
        let bytes = leg.session.offer(&local);
        leg.offered = Some(local);
        Some(Body::sdp(bytes))
    }
}

/// The codec of the leg that this one talks to.
fn other_codec(call: &Call, index: u16) -> Option<String> {
    let Stage::Bridged { leg } = call.stage else { return None };
    let other = if index == 0 { leg } else { 0 };
    call.leg(other)?.agreed.as_ref().map(|agreed| agreed.format.name.clone())
}
