//! A device's own forwarding for who was rung and did not answer (`[device.X] forward`): the plan
//! decides the target as a call of the device that forwards, so that the outbound gate holds.

use std::sync::Arc;

use koukan_dialplan::{Ask, Asker, Caller, DiversionCause, Facts, Origin};

use crate::action::Now;
use crate::call::Call;
use crate::call::channels::Channel;
use crate::call::diverted::Why;
use crate::leg::Party;
use crate::switch::Switch;

/// Where the calls of a device go on, by what came of ringing it.
#[derive(Debug)]
pub(crate) struct Forwarding {
    pub(crate) device: Arc<str>,
    pub(crate) extension: Arc<str>,
    pub(crate) busy: Option<Arc<str>>,
    pub(crate) no_answer: Option<Arc<str>>,
    pub(crate) unreachable: Option<Arc<str>>,
}

impl Forwarding {
    /// The target for what the device's phones answered.
    fn target(
        self,
        failures: &[u16],
        rang_out: Option<bool>,
    ) -> Option<(DiversionCause, Arc<str>)> {
        let any = |wanted: &[u16]| failures.iter().any(|status| wanted.contains(status));
        let busy = any(&[486, 600, 603]).then_some(self.busy).flatten();
        let busy = busy.map(|to| (DiversionCause::Busy, to));
        let silent = rang_out.and(self.no_answer).map(|to| (DiversionCause::NoAnswer, to));
        // A phone that showed nothing may be away; it did not answer in any case.
        let away = rang_out != Some(true) && !any(&[486, 600, 603]);
        let away = away.then_some(self.unreachable).flatten();
        let away = away.map(|to| (DiversionCause::Unreachable, to));
        busy.or(away).or(silent)
    }
}

impl Switch {
    /// Puts the steps of a device's forwarding before those that are left, when it has one for what
    /// happened.
    pub(crate) fn forward_by_device(&mut self, now: Now, call: &mut Call, given: Forwarding) {
        let (device, extension) = (given.device.clone(), given.extension.clone());
        let Some((cause, target)) = given.target(&call.failures, call.rang_out) else { return };
        self.explain(call.id, format!("device {device} forwards to {target}: {}", cause.as_str()));
        if !call.divert(&extension, Why::forwarded(cause)) {
            self.explain(call.id, "the call has been passed on too often");
            return;
        }
        let origin = self.origin_of(call);
        let caller = Caller {
            number: call.leg(0).and_then(|leg| leg.identity.number.clone()),
            anonymous: call.leg(0).is_none_or(|leg| leg.identity.number.is_none()),
            ..Caller::default()
        };
        let ask = Ask {
            asker: Asker::Forward,
            tenant: call.tenant.clone(),
            device: Some(device),
            number: None,
            holds_channel: call.channels.contains(&Channel::Tenant(call.tenant.clone())),
        };
        let facts =
            Facts { at: now.date, origin: &origin, caller: &caller, called: &target, state: self };
        let decision = call.plans.ask(&facts, &ask);
        let release = decision.release.clone();
        let Some(steps) = self.further_steps(call, decision) else { return };
        call.failures.clear();
        call.release = release;
        for step in steps.into_iter().rev() {
            call.steps.push_front(step);
        }
    }

    /// Who the first leg's party is to the plan.
    pub(crate) fn origin_of(&self, call: &Call) -> Origin {
        match call.leg(0).map(|leg| &leg.party) {
            Some(Party::Device { tenant, device }) => {
                Origin::Device { tenant: tenant.clone(), device: device.clone() }
            }
            Some(Party::Trunk((tenant, trunk))) => {
                Origin::Trunk { tenant: tenant.clone(), trunk: trunk.clone() }
            }
            Some(Party::FaxBox { .. }) | None => Origin::Trunk { tenant: None, trunk: "".into() },
        }
    }
}
