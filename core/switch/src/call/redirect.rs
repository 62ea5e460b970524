//! A phone's 3xx (RFC 3261, section 21.3): followed when the plan lets this device redirect, as a
//! call of that device's own, so that the outbound gate holds; else it counts as a refusal. A
//! trunk's is never followed.

use std::sync::Arc;
use std::time::Duration;

use koukan_dialplan::{Asker, Caller, Decision, Diversion, Facts, Origin, Start, Step};
use koukan_sip::header::{NameAddr, Uri};
use koukan_sip::{Header, Message};

use crate::action::Now;
use crate::call::channels::Channel;
use crate::call::diverted::Why;
use crate::call::request::dialled;
use crate::call::{Call, Stage};
use crate::leg::Party;
use crate::switch::Switch;

impl Switch {
    /// Follows a redirection; false when it is to count as a refusal.
    pub(crate) fn redirected(
        &mut self,
        now: Now,
        call: &mut Call,
        index: u16,
        message: &Message,
    ) -> bool {
        let Some(Party::Device { tenant, device }) = call.leg(index).map(|leg| &leg.party) else {
            return false;
        };
        let Some(info) = call.plans.device(tenant, device).cloned() else { return false };
        let Some(target) = target_of(message).filter(|_| info.signalling.redirect) else {
            return false;
        };
        let named = call.plans.device_by_user(&target, "");
        let named = named.filter(|known| known.tenant == call.tenant);
        let called = named.map_or(target, |known| known.extension.clone());
        self.explain(call.id, format!("device {} redirects to {called}", info.device));
        if !call.divert(&info.extension, Why::of(message)) {
            self.explain(call.id, "the call has been passed on too often");
            return false;
        }
        let facts = Facts {
            at: now.date,
            origin: &Origin::Device { tenant: info.tenant, device: info.device },
            caller: &Caller { number: Some(info.extension), ..Caller::default() },
            called: &called,
            state: self,
        };
        let decision = call.plans.decide_for(&facts, Asker::Redirect);
        let Some(steps) = self.further_steps(call, decision) else { return false };
        self.add_steps(call, steps);
        true
    }

    /// The steps of a decision that a call goes on by, its channels taken and its diversions noted;
    /// `None` when it has none, or the call has been passed on too often.
    pub(crate) fn further_steps(
        &mut self,
        call: &mut Call,
        decision: Decision,
    ) -> Option<Vec<Step>> {
        for line in decision.lines() {
            self.explain(call.id, line);
        }
        if let Some(now) = self.latest {
            self.note_refusal(now, &decision);
        }
        if decision.steps.is_empty() || self.is_foreign(call, &decision) {
            return None;
        }
        if !self.divert_by_plan(call, &decision.diverted) {
            return None;
        }
        let own = Channel::Tenant(decision.tenant.clone());
        // A call that holds a channel of the office holds it for all that it becomes.
        if decision.uses_channel && !call.channels.contains(&own) {
            let tenant = decision.tenant;
            let number = decision.number.map(|name| Channel::Number(tenant, name));
            for channel in std::iter::once(own).chain(number) {
                self.channels.take(&channel);
                call.channels.push(channel);
            }
        }
        Some(decision.steps)
    }

    /// Whether a decision about a standing call leads into another office: its phones, rooms and
    /// slots are that office's by their names, and a call has the names of one office alone.
    pub(crate) fn is_foreign(&mut self, call: &Call, decision: &Decision) -> bool {
        let foreign = !decision.steps.is_empty() && decision.tenant != call.tenant;
        if foreign {
            self.explain(call.id, "the target is another office's, where this call cannot go on");
        }
        foreign
    }

    /// Notes who passed a call on by the plan; false when that was too often.
    pub(crate) fn divert_by_plan(&mut self, call: &mut Call, diverted: &[Diversion]) -> bool {
        let few = diverted
            .iter()
            .all(|diversion| call.divert(&diversion.number, Why::forwarded(diversion.cause)));
        if !few {
            self.explain(call.id, "the call has been passed on too often");
        }
        few
    }

    /// Phones ring beside those that ring already; anything else has its turn when nobody answers.
    fn add_steps(&mut self, call: &mut Call, mut steps: Vec<Step>) {
        if let (Stage::Ringing(ringing), Some(Step::Ring { .. })) = (&mut call.stage, steps.first())
            && let Step::Ring { targets, .. } = steps.remove(0)
        {
            ringing.waiting.extend(targets.into_iter().map(|mut target| {
                target.start = match target.start {
                    Start::After(_) => Start::After(Duration::ZERO),
                    Start::WhenUnreachable => Start::WhenUnreachable,
                };
                target
            }));
        }
        for step in steps.into_iter().rev() {
            call.steps.push_front(step);
        }
    }
}

/// The user of the first contact.
fn target_of(message: &Message) -> Option<Arc<str>> {
    let contact = NameAddr::parse(message.list(Header::Contact).next()?)?;
    let target = dialled(Uri::parse(contact.uri_text)?.user_unescaped());
    (!target.is_empty()).then_some(target)
}
