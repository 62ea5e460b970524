//! Sending: a call that a fax box makes, decided as every other behind the outbound gate. Its first
//! leg is the box, and is over from the beginning; the machine that answers takes that place.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use koukan_base::CallId;
use koukan_dialplan::{
    Ask, Asker, Caller, Decision, Direction, Facts, FaxSender, FaxSenderError, Origin, Resumed,
};
use koukan_sip::{Flow, Transport};

use super::receive::speaks_g711;
use super::{Duty, FaxId, FaxOrder, FaxRun};
use crate::action::{Action, Now};
use crate::call::channels::Channel;
use crate::call::request::dialled;
use crate::call::{Call, Stage};
use crate::conference::brings_somebody;
use crate::leg::identity::Identity;
use crate::leg::{Leg, LegState, Party};
use crate::record::CallCause;
use crate::switch::{Fate, Switch};

/// How long a machine may ring.
const RINGS: Duration = Duration::from_secs(75);

/// How long after the answer T.38 is asked for by us, who called. The side that was called should
/// ask (ITU-T T.38, D.2.2.4), and many gateways do so when they hear its answer tone; some never
/// do. By then the tone of 2.6 to 4 s still lasts, and no frame of T.30 was said.
const ASK_AFTER: Duration = Duration::from_millis(2_500);

/// A fax that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaxCall {
    /// Its name in orders and reports: one of [`FaxId::outgoing`].
    pub fax: FaxId,
    /// The tenant's id.
    pub tenant: Arc<str>,
    /// The number that sends, by its name in the plan.
    pub number: Arc<str>,
    /// Whom to.
    pub to: Destination,
    /// T.38 is asked for and accepted.
    pub t38: bool,
    /// The app that sends it, by its device's name in the plan: pages may be free for it (S-43).
    pub app: Option<Arc<str>>,
}

/// An office as one that sends faxes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaxOffice {
    /// The number that sends.
    pub sender: FaxSender,
    /// The office's language.
    pub language: Arc<str>,
    /// Seconds that its clocks are ahead of UTC.
    pub utc_offset_s: i32,
}

/// Whom a fax is sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A number, as it is dialled.
    Number(Arc<str>),
    /// A device of the office, by its name in the plan.
    Device(Arc<str>),
}

/// Why a fax was not sent, before any word of T.30.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// Our own rules do not let the call out.
    Refused {
        /// The SIP status that a phone would get.
        status: u16,
        /// Why, as one word.
        cause: Arc<str>,
    },
    /// Whoever was called, or the network, says so.
    Failed {
        /// The SIP status.
        status: u16,
    },
    /// The call was answered and cut at once.
    Dropped,
}

/// What a call is made for.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) fax: FaxId,
    mailbox: Arc<str>,
    t38: bool,
    app: Option<Arc<str>>,
}

impl Switch {
    /// Who sends a fax of an office; `from` names one of its numbers, `app` the device of the app
    /// that sends.
    ///
    /// # Errors
    /// Why nobody does.
    pub fn fax_office(
        &self,
        now: Now,
        tenant: &str,
        (from, app): (Option<&str>, Option<&str>),
    ) -> Result<FaxOffice, FaxSenderError> {
        let plans = &self.directory.plans;
        let sender = plans.fax_sender(tenant, from)?;
        if let Some(app) = app.filter(|app| !plans.is_app(tenant, app)) {
            return Err(FaxSenderError::App { app: app.into(), tenant: tenant.into() });
        }
        let zone = plans.time_zone(tenant);
        let utc_offset_s = zone.map_or(0, |zone| zone.to_offset(now.date).seconds());
        Ok(FaxOffice { sender, language: plans.language(tenant).into(), utc_offset_s })
    }

    /// Calls a machine for a fax. Answered by [`FaxOrder::Send`] or [`FaxOrder::NotSent`], once.
    pub fn send_fax(&mut self, now: Now, wish: &FaxCall) {
        self.trunks.see(now.time);
        if let Err(why) = self.call_machine(now, wish) {
            let order = FaxOrder::NotSent { fax: wish.fax, call: None, why };
            self.actions.push_back(Action::Fax(order));
        }
        self.drain(now);
    }

    fn call_machine(&mut self, now: Now, wish: &FaxCall) -> Result<(), NotSent> {
        if self.stopping || self.is_draining() || self.calls.len() >= self.config.max_calls {
            return Err(NotSent::Failed { status: 503 });
        }
        let refused = |cause: &str| NotSent::Refused { status: 403, cause: cause.into() };
        let plans = &self.directory.plans;
        let sender = plans
            .fax_sender(&wish.tenant, Some(&wish.number))
            .map_err(|error| refused(&error.to_string()))?;
        let mut decision = self.decide_fax(now, wish, &sender);
        self.note_refusal(now, &decision);
        let lines = decision.lines();
        let few = decision.steps.iter().take_while(|step| brings_somebody(step)).count();
        if few == 0 {
            if !decision.steps.is_empty() {
                return Err(refused("no-machine-there"));
            }
            let (status, cause) = (decision.release.status, decision.release.cause);
            return Err(NotSent::Refused { status, cause });
        }
        if decision.uses_channel && self.faxes_have_their_share(&wish.tenant) {
            return Err(NotSent::Refused { status: 486, cause: "channels:fax".into() });
        }
        decision.steps.truncate(few);
        decision.release.prompt = None;
        // The machine that answers is no caller, and nobody records a fax.
        (decision.fax, decision.record) = (None, None);
        let mailbox = sender.mailbox.clone();
        let party = Party::FaxBox { tenant: wish.tenant.clone(), mailbox: mailbox.clone() };
        let called: Arc<str> = match &wish.to {
            Destination::Number(number) => dialled(Some(number.as_bytes().to_vec())),
            Destination::Device(device) => device.clone(),
        };
        let caller = (sender.did.to_string(), called);
        let mut call = self.opened_call(now, &party, caller, decision);
        call.did = None;
        call.unanswered_until = now.time + RINGS;
        let flow = self.nowhere();
        let mut own = Leg::new(party, flow, LegState::Ended, self.next_number(), now.date);
        own.identity = Identity::of_number(sender.did.clone());
        call.legs.push(own);
        let (fax, t38, app) = (wish.fax, wish.t38, wish.app.clone());
        call.sending = Some(Box::new(Sending { fax, mailbox, t38, app }));
        let id = call.id;
        self.explain(id, format!("fax box {} calls {}", sender.mailbox, call.called));
        for line in lines {
            self.explain(id, line);
        }
        self.write_record(now, &call);
        self.by_fax.insert(wish.fax, id);
        self.calls.insert(id, Box::new(call));
        self.with_call(now, id, |switch, call| switch.next_step(now, call));
        Ok(())
    }

    /// Whether faxes that are sent hold half of an office's lines: the others are for its callers.
    fn faxes_have_their_share(&self, tenant: &str) -> bool {
        let most = (self.directory.plans.channels(tenant) / 2).max(1);
        let calls = self.by_fax.values().filter_map(|id| self.calls.get(id));
        let sent = calls.filter(|call| {
            let outside = call.channels.iter().any(|held| matches!(held, Channel::Tenant(_)));
            call.sending.is_some() && *call.tenant == *tenant && outside
        });
        u32::try_from(sent.count()).unwrap_or(u32::MAX) >= most
    }

    fn decide_fax(&self, now: Now, wish: &FaxCall, sender: &FaxSender) -> Decision {
        let origin = Origin::Trunk { tenant: None, trunk: "".into() };
        let caller = Caller { number: Some(sender.did.clone()), ..Caller::default() };
        let (at, origin, caller) = (now.date, &origin, &caller);
        let (tenant, number) = (wish.tenant.clone(), Some(sender.number.clone()));
        match &wish.to {
            Destination::Number(to) => {
                let to = dialled(Some(to.as_bytes().to_vec()));
                let (asker, device, holds_channel) = (Asker::Fax, None, false);
                let ask = Ask { asker, tenant, device, number, holds_channel };
                let facts = Facts { at, origin, caller, called: &to, state: self };
                self.directory.plans.ask(&facts, &ask)
            }
            Destination::Device(device) => {
                let resumed = Resumed { tenant, number, holds_channel: false };
                let facts = Facts { at, origin, caller, called: device, state: self };
                let decision = self.directory.plans.ring_device(&facts, &resumed, device);
                Decision { direction: Direction::Internal, ..decision }
            }
        }
    }

    /// The flow of a leg that never had one.
    fn nowhere(&self) -> Flow {
        let listener = self.config.listeners.first();
        let remote =
            listener.map_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), |known| known.advertised);
        let (transport, id) = listener
            .map_or((Transport::Udp, koukan_sip::ListenerId(0)), |known| {
                (known.transport, known.id)
            });
        Flow { transport, listener: id, remote, connection: 0 }
    }

    /// Something has answered: it takes the first place, and its stream is lent.
    pub(crate) fn machine_answers(
        &mut self,
        now: Now,
        call: &mut Call,
        index: u16,
        sending: Sending,
    ) -> Fate {
        let Sending { fax, mailbox, t38, app } = sending;
        self.put_first(call, index);
        if let Some(app) = &app {
            self.paid_by_app(call, app);
        }
        call.answered = call.answered.or(Some(now.date));
        if !speaks_g711(call) {
            self.explain(call.id, "no fax: who answers speaks no G.711 in the clear");
            self.not_sent(call, fax, NotSent::Failed { status: 488 });
            return Fate::End(CallCause::Internal, 488);
        }
        let t38 = t38 && self.may_use_t38(call, 0);
        let ask_at = t38.then(|| now.time + self.ask_after(call, 0, ASK_AFTER));
        let (duty, lent, image, asked) = (Duty::Send, false, None, None);
        call.stage = Stage::Fax(FaxRun { fax, mailbox, duty, t38, lent, image, ask_at, asked });
        self.write_record(now, call);
        self.lend_first(call);
        Fate::Keep
    }

    /// Tells, once, that a fax was not sent.
    pub(super) fn not_sent(&mut self, call: &Call, fax: FaxId, why: NotSent) {
        if self.by_fax.remove(&fax).is_some() {
            let call: Option<CallId> = Some(call.id);
            self.actions.push_back(Action::Fax(FaxOrder::NotSent { fax, call, why }));
        }
    }
}
