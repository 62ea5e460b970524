//! Blind transfer (RFC 3515, RFC 5589 section 5; `norefersub` of RFC 4488): the dialplan decides
//! the target as the referrer's own call, so that the outbound gate holds. The referrer stays on
//! the call until somebody answers; when nobody does, the call goes on as it was, or comes back to
//! who has hung up meanwhile.

pub(crate) mod replaces;
pub(crate) mod ring_back;

use std::sync::Arc;

use koukan_dialplan::{Asker, Caller, Decision, Facts, Origin};
use koukan_sip::header::{NameAddr, ReferTo, refer_sub};
use koukan_sip::{Body, DialogId, Header, Message, Method, Response, ServerTx};

use crate::action::Now;
use crate::call::channels::Channel;
use crate::call::request::dialled;
use crate::call::{Call, Stage};
use crate::leg::identity::name_addr;
use crate::leg::{LegState, Party};
use crate::limits;
use crate::switch::{Fate, LegKey, Switch};
use crate::transfer::replaces::PUT_THROUGH;
use crate::transfer::ring_back::RingBack;

/// A transfer under way.
#[derive(Debug)]
pub(crate) struct Transfer {
    /// The leg of who asked for it; none once that party has hung up.
    pub(crate) by: Option<u16>,
    /// Where its progress is told, unless nobody wants to know.
    report: Option<Report>,
    /// Who asked, also when that party has hung up.
    pub(crate) referrer: Option<Party>,
    /// For whom the other party is meant.
    called: Arc<str>,
    /// Referred-By for the phones that ring (RFC 3892).
    pub(crate) referred_by: Box<[u8]>,
    /// The channels that it took.
    channels: Vec<Channel>,
}

/// The implicit subscription of a REFER.
#[derive(Debug)]
struct Report {
    dialog: DialogId,
    /// The REFER's CSeq tells it from others of the dialog (RFC 3515, 2.4.6).
    id: u32,
    /// What was told last.
    last: u16,
}

/// What a REFER asks for.
pub(crate) struct Wish {
    /// The number or extension to be called.
    pub(crate) called: Arc<str>,
    /// The leg whose place the other party shall take (attended transfer).
    pub(crate) place: Option<LegKey>,
    pub(crate) referred_by: Box<[u8]>,
    /// Whether NOTIFYs are wanted.
    pub(crate) reported: bool,
}

impl Switch {
    /// REFER within a call.
    pub(crate) fn refer(&mut self, now: Now, tx: ServerTx, key: LegKey, message: &Message) {
        let (id, index) = key;
        self.with_call(now, id, |switch, call| {
            let wish = switch
                .may_transfer(call, index)
                .and_then(|()| switch.transfer_wish(call, index, message));
            match wish {
                Ok(wish) => {
                    switch.accept_refer(now, tx, &wish);
                    let cseq = message.cseq().map_or(0, |cseq| cseq.number);
                    switch.transfer(now, call, index, cseq, wish)
                }
                Err(status) => {
                    switch.explain(call.id, format!("a transfer is refused: {status}"));
                    switch.ua.respond(now.time, tx, Response::new(status));
                    Fate::Keep
                }
            }
        });
    }

    fn accept_refer(&mut self, now: Now, tx: ServerTx, wish: &Wish) {
        let mut response = Response::new(202);
        if !wish.reported {
            response.headers.push(("Refer-Sub", b"false".to_vec()));
        }
        self.ua.respond(now.time, tx, response);
    }

    /// Whether this leg's party may transfer the other one now.
    fn may_transfer(&self, call: &Call, index: u16) -> Result<(), u16> {
        let leg = call.leg(index).ok_or(481u16)?;
        match &leg.party {
            Party::Device { .. } => {}
            Party::FaxBox { .. } => return Err(403),
            Party::Trunk((tenant, name)) => {
                let trunk = self.directory.plans.trunk(tenant.as_deref(), name);
                if !trunk.is_some_and(|trunk| trunk.signalling.transfer) {
                    return Err(403);
                }
            }
        }
        if call.transfer.is_some() || call.carries_fax() {
            return Err(491);
        }
        match call.stage {
            Stage::Bridged { leg: other } if index == 0 || index == other => Ok(()),
            _ => Err(603),
        }
    }

    fn transfer_wish(&self, call: &Call, index: u16, message: &Message) -> Result<Wish, u16> {
        let mut targets = message.headers(Header::ReferTo);
        let (target, further) = (targets.next().ok_or(400u16)?, targets.next());
        let refer = ReferTo::parse(target).filter(|_| further.is_none()).ok_or(400u16)?;
        if refer.method != Method::Invite {
            return Err(603);
        }
        let place = refer.replaces().map(|value| self.replaced_leg(&value, true)).transpose()?;
        let uri = refer.address.uri().ok_or(416u16)?;
        let reported = message.header(Header::ReferSub).and_then(refer_sub) != Some(false);
        let given = message.header(Header::ReferredBy);
        let given = given.filter(|value| value.len() <= limits::IDENTITY_BYTES);
        let referred_by = match given.filter(|value| NameAddr::parse(value).is_some()) {
            Some(value) => value.to_vec(),
            None => self.own_referred_by(call, index),
        };
        Ok(Wish {
            called: dialled(uri.user_unescaped()),
            place,
            referred_by: referred_by.into(),
            reported,
        })
    }

    /// Who asks, for a phone that does not say so itself.
    fn own_referred_by(&self, call: &Call, index: u16) -> Vec<u8> {
        let Some(leg) = call.leg(index) else { return Vec::new() };
        let Party::Device { tenant, device } = &leg.party else { return Vec::new() };
        let info = self.directory.plans.device(tenant, device);
        info.map(|info| name_addr("", &info.user, &self.own_host(leg))).unwrap_or_default()
    }

    fn transfer(&mut self, now: Now, call: &mut Call, index: u16, cseq: u32, wish: Wish) -> Fate {
        let Stage::Bridged { leg: other } = call.stage else { return Fate::Keep };
        let Some(LegState::Up { dialog }) = call.leg(index).map(|leg| leg.state) else {
            return Fate::Keep;
        };
        let party = call.leg(index).map(|leg| leg.party.name()).unwrap_or_default();
        self.explain(call.id, format!("{party} transfers to {}", wish.called));
        let report = wish.reported.then_some(Report { dialog, id: cseq, last: 0 });
        if let Some(place) = wish.place {
            return self.put_through(now, call, (index, wish.called), place, report);
        }
        self.release_supervisors(now, call);
        self.leave_aside(call);
        // The party that stays is the one that the next steps are about.
        let by = if index == 0 {
            self.put_first(call, other);
            other
        } else {
            index
        };
        let decision = self.decide_transfer(now, call, by, &wish.called);
        self.note_refusal(now, &decision);
        for line in decision.lines() {
            self.explain(call.id, line);
        }
        let foreign = self.is_foreign(call, &decision);
        let mut channels = Vec::new();
        if decision.uses_channel && !foreign {
            channels.push(Channel::Tenant(decision.tenant.clone()));
            let number = decision.number.clone();
            channels.extend(number.map(|name| Channel::Number(decision.tenant.clone(), name)));
        }
        for channel in &channels {
            self.channels.take(channel);
            call.channels.push(channel.clone());
        }
        let referred_by = wish.referred_by;
        let referrer = call.leg(by).map(|leg| leg.party.clone());
        let called = wish.called;
        let transfer = Transfer { by: Some(by), report, referrer, called, referred_by, channels };
        call.transfer = Some(Box::new(transfer));
        if foreign {
            self.transfer_failed(now, call, 603);
            return Fate::Keep;
        }
        call.did = None;
        if !self.divert_by_plan(call, &decision.diverted) {
            return self.release(now, call);
        }
        call.steps = decision.steps.into();
        call.release = decision.release;
        call.failures.clear();
        self.report(now, call, 100);
        self.feed(call, 0, koukan_media::Source::Silence);
        self.feed(call, by, koukan_media::Source::Silence);
        self.stop_music(call, by);
        self.next_step(now, call)
    }

    /// Attended transfer: done at once, or refused; the referrer is told which.
    fn put_through(
        &mut self,
        now: Now,
        call: &mut Call,
        (index, called): (u16, Arc<str>),
        place: LegKey,
        report: Option<Report>,
    ) -> Fate {
        let by = Some(index);
        let transfer = Transfer {
            by,
            report,
            referrer: None,
            called,
            referred_by: Box::default(),
            channels: Vec::new(),
        };
        call.transfer = Some(Box::new(transfer));
        let outcome = self.transfer_into(now, call, index, place);
        self.report(now, call, outcome.err().unwrap_or(200));
        call.transfer = None;
        match outcome {
            Ok(()) => PUT_THROUGH,
            Err(status) => {
                self.explain(call.id, format!("the transfer failed: {status}; the call goes on"));
                Fate::Keep
            }
        }
    }

    /// What the plan does with the target as a call of the referrer.
    fn decide_transfer(&self, now: Now, call: &Call, by: u16, called: &Arc<str>) -> Decision {
        let party = call.leg(by).map(|leg| &leg.party);
        let (origin, caller) = match party {
            Some(Party::Device { tenant, device }) => {
                let info = self.directory.plans.device(tenant, device);
                let number = info.map(|info| info.extension.clone());
                let origin = Origin::Device { tenant: tenant.clone(), device: device.clone() };
                (origin, Caller { number, ..Caller::default() })
            }
            Some(Party::Trunk((tenant, trunk))) => {
                let origin = Origin::Trunk { tenant: tenant.clone(), trunk: trunk.clone() };
                (origin, Caller::default())
            }
            Some(Party::FaxBox { .. }) | None => {
                (Origin::Trunk { tenant: None, trunk: "".into() }, Caller::default())
            }
        };
        // A phone that transfers to who called it names the SIP user.
        let plans = &self.directory.plans;
        let named = plans
            .device_by_user(called, "")
            .filter(|known| known.tenant == call.tenant)
            .map(|known| known.extension.clone());
        let called = named.as_deref().unwrap_or(called);
        let facts = Facts { at: now.date, origin: &origin, caller: &caller, called, state: self };
        plans.decide_for(&facts, Asker::Transfer)
    }

    /// Tells the referrer how far its transfer is (RFC 3515, 2.4.5).
    pub(crate) fn report(&mut self, now: Now, call: &mut Call, status: u16) {
        let Some(transfer) = &mut call.transfer else { return };
        let Some(report) = transfer.report.as_mut().filter(|report| report.last != status) else {
            return;
        };
        report.last = status;
        let state: &[u8] =
            if status < 200 { b"active;expires=300" } else { b"terminated;reason=noresource" };
        let phrase = koukan_sip::reason_phrase(status);
        let headers = vec![
            ("Event", format!("refer;id={}", report.id).into_bytes()),
            ("Subscription-State", state.to_vec()),
        ];
        let body = Body {
            content_type: "message/sipfrag;version=2.0",
            bytes: format!("SIP/2.0 {status} {phrase}\r\n").into_bytes(),
        };
        let dialog = report.dialog;
        self.ua.request_in_dialog(now.time, dialog, Method::Notify, headers, Some(body));
    }

    /// Somebody, or something, has taken the transferred party: the referrer leaves.
    pub(crate) fn transfer_done(&mut self, now: Now, call: &mut Call) {
        call.ring_back = None;
        self.report(now, call, 200);
        let Some(transfer) = call.transfer.take() else { return };
        self.explain(call.id, "the transfer is done");
        if let Some(by) = transfer.by {
            self.end_leg(now, call, by, 487, None);
        }
    }

    /// Nobody has taken the transferred party. True when the referrer is still there and both talk
    /// again.
    pub(crate) fn transfer_failed(&mut self, now: Now, call: &mut Call, status: u16) -> bool {
        self.report(now, call, status);
        let Some(transfer) = call.transfer.take() else { return false };
        for channel in transfer.channels {
            if let Some(at) = call.channels.iter().rposition(|held| *held == channel) {
                call.channels.remove(at);
                self.channels.give_back(&channel);
            }
        }
        let Some(by) = transfer.by else { return false };
        self.explain(call.id, format!("the transfer failed: {status}; the call goes on"));
        call.failures.clear();
        call.stage = Stage::Bridged { leg: by };
        self.wire(call);
        true
    }

    /// The referrer has gone while its transfer is under way: the transfer goes on without it.
    /// False when this leg is not the referrer's.
    pub(crate) fn referrer_gone(&mut self, call: &mut Call, index: u16) -> bool {
        match &mut call.transfer {
            Some(transfer) if transfer.by == Some(index) => {
                transfer.by = None;
                transfer.report = None;
                let referrer = transfer.referrer.as_ref();
                call.ring_back = referrer.and_then(|who| RingBack::to(who, &transfer.called));
                true
            }
            _ => false,
        }
    }

    /// Makes a leg the first, the one that the steps of a call are about; the first takes its
    /// place.
    pub(crate) fn put_first(&mut self, call: &mut Call, index: u16) {
        self.swap_legs(call, 0, index);
    }

    /// Writes down where a leg stands in its call, wherever that is looked up.
    pub(crate) fn index_leg(&mut self, call: &Call, index: u16) {
        let Some(leg) = call.leg(index) else { return };
        let key = (call.id, index);
        match leg.state {
            LegState::Incoming { tx, dialog } => {
                self.by_server.insert(tx, key);
                self.by_dialog.insert(dialog, key);
            }
            LegState::Calling { tx, .. } => {
                self.by_client.insert(tx, key);
            }
            LegState::Up { dialog } => {
                self.by_dialog.insert(dialog, key);
            }
            LegState::Opening | LegState::Ended => {}
        }
        for dialog in &leg.early {
            self.by_dialog.insert(*dialog, key);
        }
        if let Some(stream) = leg.stream.id() {
            self.by_stream.insert(stream, key);
        }
    }
}
