//! Ringing phones: tiers begin in time, the first answer wins, the others are told so (S-02, S-12).

use std::sync::Arc;
use std::time::Duration;

use koukan_base::Time;
use koukan_dialplan::{RingTarget, Start};
use koukan_sip::registrar::Binding;
use koukan_sip::{ClientTx, DialogId, Message, Method, Request, Response};

use crate::action::Now;
use crate::call::{Call, Ringing, Stage};
use crate::identity::name_addr;
use crate::leg::{Contact, Leg, LegState, Party};
use crate::limits;
use crate::record::CallCause;
use crate::registration::text;
use crate::switch::{Fate, Switch};

/// What the phones that lost are told (RFC 3326).
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

/// A phone that gives no 18x for so long counts as not reachable (DIALPLAN, section 3).
const SHOWS_LIFE: Duration = Duration::from_secs(3);

impl Switch {
    /// Begins a ring step; false when there is nobody to ring.
    pub(crate) fn start_ringing(
        &mut self,
        now: Now,
        call: &mut Call,
        targets: Vec<RingTarget>,
        timeout: Duration,
        called_name: Option<Arc<str>>,
    ) -> bool {
        call.stage = Stage::Ringing(Ringing {
            waiting: targets,
            began: now.time,
            until: now.time + timeout,
            called_name,
        });
        self.begin_tiers(now, call);
        let begun = call.callees().any(|(_, leg)| !leg.is_over());
        let later = matches!(&call.stage, Stage::Ringing(ringing) if !ringing.waiting.is_empty());
        if !begun && !later {
            self.explain(call.id, "nobody is registered");
        }
        begun || later
    }

    /// Begins every target whose time has come; those that stand in for unreachable ones begin when
    /// none of the others can be reached.
    fn begin_tiers(&mut self, now: Now, call: &mut Call) {
        let Stage::Ringing(ringing) = &mut call.stage else { return };
        let began = ringing.began;
        let ready = |target: &mut RingTarget| match target.start {
            Start::After(delay) => began + delay <= now.time,
            Start::WhenUnreachable => false,
        };
        let due: Vec<RingTarget> = ringing.waiting.extract_if(.., ready).collect();
        for target in due {
            self.ring_target(now, call, &target);
        }
        let alive = call.callees().any(|(_, leg)| reachable(now.time, leg));
        let Stage::Ringing(ringing) = &mut call.stage else { return };
        if alive {
            return;
        }
        let reserve = |target: &mut RingTarget| matches!(target.start, Start::WhenUnreachable);
        let due: Vec<RingTarget> = ringing.waiting.extract_if(.., reserve).collect();
        for target in due {
            self.ring_target(now, call, &target);
        }
    }

    fn ring_target(&mut self, now: Now, call: &mut Call, target: &RingTarget) {
        let contact = |binding: &&Binding| {
            let (uri, path) = (binding.uri.clone(), binding.path.clone());
            (binding.flow, Contact { uri, path })
        };
        let contacts: Vec<_> = self.registrar.bindings(&target.user).iter().map(contact).collect();
        if contacts.is_empty() {
            self.explain(call.id, format!("device {} is not registered", target.device));
        }
        let most = usize::try_from(limits::RING_LEGS.default).unwrap_or(usize::MAX);
        for (flow, contact) in contacts {
            if call.legs.len() > most {
                self.explain(call.id, "no more phones can ring at once");
                return;
            }
            let party =
                Party::Device { tenant: call.tenant.clone(), device: target.device.clone() };
            let number = self.next_number();
            let mut leg = Leg::new(party, flow, LegState::Opening, number, now.date);
            leg.contact = Some(contact);
            self.add_leg(now, call, leg);
        }
    }

    /// Adds a leg that is called as soon as its stream is open.
    pub(crate) fn add_leg(&mut self, now: Now, call: &mut Call, leg: Leg) {
        let index = u16::try_from(call.legs.len()).unwrap_or(u16::MAX);
        call.legs.push(leg);
        if !self.open_stream(call, index)
            && let Some(leg) = call.leg_mut(index)
        {
            leg.state = LegState::Ended;
            leg.ended = Some(now.date);
            leg.status = 488;
            self.explain(call.id, "no media address of the phone's family");
        }
    }

    /// The leg's stream is open: send its INVITE.
    pub(crate) fn call_leg(&mut self, now: Now, call: &mut Call, index: u16) -> Fate {
        let first = call.leg(0).and_then(|caller| {
            let offer = caller.offer.as_ref()?.audio()?.1;
            offer
                .audio_formats()
                .map(|format| format.name)
                .find(|name| name == "PCMU" || name == "PCMA")
        });
        let first = call
            .leg(0)
            .and_then(|leg| leg.agreed.as_ref().map(|a| a.format.name.clone()))
            .or(first);
        let Some(leg) = call.leg(index) else { return Fate::Keep };
        let Some(local) = self.local_audio(leg, first.as_deref()) else { return Fate::Keep };
        let request = match &leg.party {
            Party::Device { tenant, device } => self.device_request(call, leg, tenant, device),
            Party::Trunk(key) => self.trunk_request(call, leg, key),
        };
        let Some(mut request) = request else {
            return self.callee_over(now, call, index, 480);
        };
        let Some(leg) = call.leg_mut(index) else { return Fate::Keep };
        let body = koukan_sip::Body::sdp(leg.session.offer(&local));
        request.body = Some(body);
        leg.offered = Some(local);
        leg.called_at = Some(now.time);
        let (party, flow) = (leg.party.name(), leg.flow);
        let tx = self.ua.invite(now.time, request);
        if let Some(leg) = call.leg_mut(index) {
            leg.state = LegState::Calling { tx, rang: false };
        }
        self.by_client.insert(tx, (call.id, index));
        self.explain(call.id, format!("calls {party} at {flow}"));
        Fate::Keep
    }

    /// The INVITE to a phone: the caller in From, the called number beside it (S-10).
    fn device_request(
        &self,
        call: &Call,
        leg: &Leg,
        tenant: &str,
        device: &str,
    ) -> Option<Request> {
        let info = self.directory.plans.device(tenant, device)?;
        let contact = leg.contact.clone()?;
        let host = self.own_host(leg);
        let called_name = match &call.stage {
            Stage::Ringing(ringing) => ringing.called_name.clone(),
            _ => None,
        };
        let mut headers = Vec::new();
        if let Some(did) = &call.did {
            let name = called_name.as_deref().unwrap_or("");
            headers.push(("P-Called-Party-ID", name_addr(name, did, &host)));
        }
        Some(Request {
            method: Method::Invite,
            flow: leg.flow,
            request_uri: contact.uri,
            from: self.shown_caller(call, called_name.as_deref(), &host),
            to: name_addr("", &info.user, &host),
            route: contact.path,
            max_forwards: call.max_forwards,
            headers,
            body: None,
            credentials: None,
        })
    }

    /// `"0455550001 (代表)" <sip:0455550001@host>`: the number stays alone in the URI, so that
    /// calling back works; a colleague's URI is its SIP user.
    fn shown_caller(&self, call: &Call, called_name: Option<&str>, host: &str) -> Vec<u8> {
        let Some(shown) = &call.shown else {
            return b"\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_vec();
        };
        let colleague = match call.leg(0).map(|leg| &leg.party) {
            Some(Party::Device { tenant, device }) => self.directory.plans.device(tenant, device),
            _ => None,
        };
        let user = match colleague.filter(|info| info.extension == *shown) {
            Some(info) => &info.user,
            None => shown,
        };
        let display = match called_name {
            Some(name) => format!("{shown} ({name})"),
            None => shown.to_string(),
        };
        name_addr(&display, user, host)
    }

    /// Our host on a leg's flow.
    pub(crate) fn own_host(&self, leg: &Leg) -> String {
        let listeners = &self.config.listeners;
        let listener = listeners.iter().find(|known| known.id == leg.flow.listener);
        listener
            .or_else(|| listeners.first())
            .map_or_else(String::new, |known| known.advertised.to_string())
    }

    /// 18x of a leg that we called.
    pub(crate) fn progress(&mut self, now: Now, tx: ClientTx, status: u16, message: &Message) {
        let Some(&(id, index)) = self.by_client.get(&tx) else { return };
        self.with_call(now, id, |switch, call| {
            if let Some(leg) = call.leg_mut(index) {
                leg.state = LegState::Calling { tx, rang: true };
                leg.sip_call_id = text(message.call_id());
            }
            match message.sdp() {
                Some(body) => switch.callee_early_media(now, call, index, body),
                None if status == 180 => switch.ringback(now, call),
                None => {}
            }
            Fate::Keep
        });
    }

    /// Tells the caller that it rings, once.
    fn ringback(&mut self, now: Now, call: &mut Call) {
        let Some(LegState::Incoming { tx, .. }) = call.leg(0).map(|leg| leg.state) else { return };
        let early = call.leg(0).is_some_and(|leg| leg.answer.is_some());
        if !early && !std::mem::replace(&mut call.rings, true) {
            self.ua.respond(now.time, tx, Response::new(180));
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
        let taken = call
            .callees()
            .any(|(other, leg)| other != index && leg.agreed.is_some() && !leg.is_over());
        if !first_time || taken || !self.take_answer(call, index, body) {
            return;
        }
        let codec =
            call.leg(index).and_then(|leg| leg.agreed.as_ref().map(|a| a.format.name.clone()));
        if self.early_media(now, call, codec.as_deref())
            && let Some(stream) = call.leg(index).and_then(|leg| leg.stream.id())
        {
            self.feed(call, 0, koukan_media::Source::Stream(stream));
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
        self.ua.ack(now.time, dialog, None);
        let Some((id, index)) = live else {
            // A CANCEL crossed this answer, or a fork answered twice: nobody is there any more.
            self.ua.bye(now.time, dialog, Some(ELSEWHERE));
            return;
        };
        self.by_client.remove(&tx);
        self.by_dialog.insert(dialog, (id, index));
        self.with_call(now, id, |switch, call| {
            if let Some(leg) = call.leg_mut(index) {
                leg.state = LegState::Up { dialog };
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
        let others: Vec<u16> = call
            .callees()
            .filter(|(other, leg)| *other != index && !leg.is_over())
            .map(|(other, _)| other)
            .collect();
        for other in others {
            self.end_leg(now, call, other, 487, Some(ELSEWHERE));
        }
        call.stage = Stage::Bridged { leg: index };
        let codec =
            call.leg(index).and_then(|leg| leg.agreed.as_ref().map(|a| a.format.name.clone()));
        if !self.answer_caller(now, call, codec.as_deref()) {
            return Fate::End(CallCause::NotAnswered, 488);
        }
        self.wire(call);
        Fate::Keep
    }

    /// A leg that we called has refused, or nobody answered its INVITE.
    pub(crate) fn leg_failed(&mut self, now: Now, tx: ClientTx, status: u16) {
        let Some((id, index)) = self.by_client.remove(&tx) else { return };
        self.with_call(now, id, |switch, call| switch.callee_over(now, call, index, status));
    }

    /// A callee's leg is over before it was answered; what follows depends on what is left.
    pub(crate) fn callee_over(
        &mut self,
        now: Now,
        call: &mut Call,
        index: u16,
        status: u16,
    ) -> Fate {
        let Some(leg) = call.leg_mut(index) else { return Fate::Keep };
        leg.state = LegState::Ended;
        leg.ended = Some(now.date);
        leg.answered = None;
        leg.status = status;
        let party = leg.party.name();
        self.close_stream(call, index);
        self.explain(call.id, format!("{party}: {status}"));
        call.failures.push(status);
        match call.stage {
            Stage::Ringing(_) => self.ring_on(now, call),
            Stage::Trunk(_) => self.next_trunk(now, call, status),
            Stage::Opening { .. } | Stage::Module(_) | Stage::Echo | Stage::Bridged { .. } => {
                Fate::Keep
            }
        }
    }

    /// Begins what is due; the next step follows when nobody is left to wait for.
    pub(crate) fn ring_on(&mut self, now: Now, call: &mut Call) -> Fate {
        let over = match &call.stage {
            Stage::Ringing(ringing) => ringing.until <= now.time,
            _ => return Fate::Keep,
        };
        if over {
            self.explain(call.id, "nobody answered in time");
            let ringing: Vec<u16> =
                call.callees().filter(|(_, leg)| !leg.is_over()).map(|(index, _)| index).collect();
            for index in ringing {
                self.end_leg(now, call, index, 487, None);
            }
            call.failures.push(408);
            return self.next_step(now, call);
        }
        self.begin_tiers(now, call);
        let waiting = matches!(&call.stage, Stage::Ringing(ringing) if !ringing.waiting.is_empty());
        let ringing = call.callees().any(|(_, leg)| !leg.is_over());
        if waiting || ringing { Fate::Keep } else { self.next_step(now, call) }
    }

    /// When a ring step wants to be looked at next.
    pub(crate) fn ring_deadline(ringing: &Ringing, call: &Call) -> Time {
        let mut next = ringing.until;
        for target in &ringing.waiting {
            match target.start {
                Start::After(delay) => next = next.min(ringing.began + delay),
                // As long as one rings, its end is what to wait for.
                Start::WhenUnreachable => {
                    let lives = call.callees().filter(|(_, leg)| !leg.is_over()).map(|(_, leg)| {
                        let silent = matches!(leg.state, LegState::Calling { rang: false, .. });
                        leg.called_at.filter(|_| silent).map(|at| at + SHOWS_LIFE)
                    });
                    let last = lives.map(|at| at.unwrap_or(next)).max();
                    next = next.min(last.unwrap_or(next));
                }
            }
        }
        next
    }
}

/// Whether a leg may still be answered by somebody.
fn reachable(now: Time, leg: &Leg) -> bool {
    match leg.state {
        LegState::Opening | LegState::Calling { rang: true, .. } => true,
        LegState::Calling { rang: false, .. } => {
            leg.called_at.is_none_or(|at| now < at + SHOWS_LIFE)
        }
        LegState::Incoming { .. } | LegState::Up { .. } => true,
        LegState::Ended => false,
    }
}
