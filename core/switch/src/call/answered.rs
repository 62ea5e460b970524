//! Responses to the INVITEs that we send (RFC 3261, section 13.2.2): ringing, early media, the
//! answer that wins. Of several phones that speak early the first is heard, until one answers.

use koukan_sip::{ClientTx, DialogId, Message, Response};

use crate::action::Now;
use crate::call::{Call, Stage};
use crate::leg::LegState;
use crate::limits;
use crate::record::CallCause;
use crate::registration::text;
use crate::switch::{Fate, Switch};

/// What the phones that lost are told (RFC 3326).
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

impl Switch {
    /// 18x of a leg that we called.
    pub(crate) fn progress(
        &mut self,
        now: Now,
        tx: ClientTx,
        dialog: Option<DialogId>,
        status: u16,
        message: &Message,
    ) {
        let Some(&(id, index)) = self.by_client.get(&tx) else { return };
        self.with_call(now, id, |switch, call| {
            if let Some(leg) = call.leg_mut(index)
                && matches!(leg.state, LegState::Calling { .. })
            {
                leg.state = LegState::Calling { tx, rang: true };
                leg.sip_call_id = text(message.call_id());
                if let Some(dialog) = dialog.filter(|dialog| !leg.early.contains(dialog))
                    && leg.early.len() < limits::FORKS
                {
                    leg.early.push(dialog);
                    switch.by_dialog.insert(dialog, (id, index));
                }
            }
            switch.report(now, call, status);
            match message.sdp() {
                Some(body) => switch.callee_early_media(now, call, index, body),
                None if status == 180 => switch.ringback(now, call, index),
                None => {}
            }
            Fate::Keep
        });
    }

    /// Tells the caller that it rings, once.
    fn ringback(&mut self, now: Now, call: &mut Call, index: u16) {
        let Some(LegState::Incoming { tx, .. }) = call.leg(0).map(|leg| leg.state) else {
            return self.wire(call);
        };
        let early = call.leg(0).is_some_and(|leg| leg.answer.is_some());
        if early {
            // Who has heard a prompt hears no ringing of its own phone's any more.
            return self.start_ringback(call);
        }
        if !std::mem::replace(&mut call.rings, true) {
            // Of several phones nobody knows yet who will answer.
            let alone = call.rung().count() == 1;
            let headers = if alone { self.connected(call, 0, index) } else { Vec::new() };
            self.ua.respond(now.time, tx, Response { headers, ..Response::new(180) });
        }
    }

    /// Says again what the caller was told, so that no proxy before it gives up (13.3.1.1 of RFC
    /// 3261: every minute).
    pub(crate) fn still_ringing(&mut self, now: Now, call: &Call) {
        let Some(leg) = call.leg(0) else { return };
        let LegState::Incoming { tx, .. } = leg.state else { return };
        match &leg.answer {
            Some(answer) => {
                let body = Some(koukan_sip::Body::sdp(answer.clone()));
                self.ua.respond(now.time, tx, Response { body, ..Response::new(183) });
            }
            None if call.rings => self.ua.respond(now.time, tx, Response::new(180)),
            None => {}
        }
    }

    /// The first leg that sends early media is heard by the caller.
    fn callee_early_media(&mut self, now: Now, call: &mut Call, index: u16, body: &[u8]) {
        let first_time = call.leg(index).is_some_and(|leg| leg.agreed.is_none());
        let taken = call.rung().any(|(other, leg)| other != index && leg.agreed.is_some());
        if !first_time || taken || !self.take_answer(call, index, body) {
            return;
        }
        let codec =
            call.leg(index).and_then(|leg| leg.agreed.as_ref().map(|a| a.format.name.clone()));
        if self.early_media(now, call, codec.as_deref())
            && let Some(stream) = call.leg(index).and_then(|leg| leg.stream.id())
        {
            self.feed(call, 0, koukan_media::Source::Stream(stream));
            self.stop_music(call, 0);
            self.explain(call.id, "early media");
        }
    }

    /// A leg that we called has answered.
    pub(crate) fn answered(&mut self, now: Now, tx: ClientTx, dialog: DialogId, message: &Message) {
        let known = self.by_client.get(&tx).copied();
        let live = known.filter(|(id, index)| {
            let leg = self.calls.get(id).and_then(|call| call.leg(*index));
            leg.is_some_and(|leg| matches!(leg.state, LegState::Calling { .. }))
        });
        if known.is_none() && self.refreshed(now, dialog, message) {
            return;
        }
        self.ua.ack(now.time, dialog, None);
        let Some((id, index)) = live else {
            // A CANCEL crossed this answer, or a fork answered twice: nobody is there any more.
            self.ua.bye(now.time, dialog, Some(ELSEWHERE));
            return;
        };
        self.by_client.remove(&tx);
        self.with_call(now, id, |switch, call| {
            if let Some(leg) = call.leg_mut(index) {
                for early in std::mem::take(&mut leg.early) {
                    switch.by_dialog.remove(&early);
                }
                switch.by_dialog.insert(dialog, (id, index));
                leg.state = LegState::Up { dialog };
                leg.learn_methods(message);
                leg.answered = Some(now.date);
                leg.status = 200;
                leg.sip_call_id = text(message.call_id());
            }
            switch.join(now, call, index, message)
        });
    }

    /// The winner is joined with the caller, the others are cancelled.
    fn join(&mut self, now: Now, call: &mut Call, index: u16, message: &Message) -> Fate {
        let party = call.leg(index).map(|leg| leg.party.name()).unwrap_or_default();
        self.explain(call.id, format!("{party} answers"));
        // What the answer says counts, also after early media: another fork may have answered.
        let body = message.sdp().unwrap_or_default();
        let early = call.leg(index).is_some_and(|leg| leg.agreed.is_some());
        if early && body.is_empty() {
            self.configure(call, index);
        } else if !self.take_answer(call, index, body) {
            self.end_leg(now, call, index, 488, None);
            return self.callee_over(now, call, index, 488);
        }
        if let Some(leg) = call.leg_mut(index) {
            leg.offered = None;
        }
        self.learn_connected(call, index, message);
        self.joined(now, call, index)
    }

    /// This leg has answered: it is joined with the first one, those that still ring are cancelled.
    pub(crate) fn joined(&mut self, now: Now, call: &mut Call, index: u16) -> Fate {
        if matches!(call.stage, Stage::Paging(_)) {
            return self.page_answered(call);
        }
        let others: Vec<u16> =
            call.rung().filter(|(other, _)| *other != index).map(|(other, _)| other).collect();
        for other in others {
            self.end_leg(now, call, other, 487, Some(ELSEWHERE));
        }
        // What was to follow if nobody answered is no use of the outside any more.
        call.steps.clear();
        if let Some(guest) = call.guest.take() {
            return self.guest_answers(now, call, index, *guest);
        }
        if let Some(sending) = call.sending.take() {
            return self.machine_answers(now, call, index, *sending);
        }
        self.agent_answers(call, index);
        call.stage = Stage::Bridged { leg: index };
        self.aside_answered(now, call);
        (call.returning, call.ring_back) = (None, None);
        let waiting = matches!(call.leg(0).map(|leg| leg.state), Some(LegState::Incoming { .. }));
        let codec = call.leg(index).and_then(|leg| leg.codec());
        if !self.answer_caller(now, call, codec.as_deref()) {
            return Fate::End(CallCause::NotAnswered, 488);
        }
        self.wire(call);
        self.start_tape(now, call);
        if !waiting {
            self.tell_connected(now, call, 0, index);
            if call.transfer.is_none() {
                // The first party was put through while this one rang.
                self.tell_connected(now, call, index, 0);
            }
        }
        self.transfer_done(now, call);
        Fate::Keep
    }
}
