//! Decisions in the middle of a call: the key of a menu, the overflow of a queue, a parked call
//! that returns, a module that failed; and legs to outside that somebody asks for (a transfer, a
//! redirection, a conference, a call back, a module, a fax). The same order and the same gate.

use std::sync::Arc;

use super::gate::{self, Wish};
use super::{Asker, Call, outbound, plain_release};
use crate::decision::{Decision, Direction, Facts, Release, Step, Way};
use crate::model::Plan;
use crate::plans::Plans;

/// A call that goes on by a [`Way`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// The tenant whose call it is.
    pub tenant: Arc<str>,
    /// The number whose rules hold, by its name in the plan.
    pub number: Option<Arc<str>>,
    /// Whether the call holds a channel of the office already.
    pub holds_channel: bool,
}

/// A leg to outside, or inside, that somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Who asks.
    pub asker: Asker,
    /// The tenant that pays for it.
    pub tenant: Arc<str>,
    /// The device that asked, when one did: it is charged, and its rules hold.
    pub device: Option<Arc<str>>,
    /// The number to show, by its name in the plan; none: the device's, else the contract number.
    pub number: Option<Arc<str>>,
    /// Whether the call holds a channel of the office that this leg takes over.
    pub holds_channel: bool,
}

pub(super) fn go_on(plans: &Plans, facts: &Facts<'_>, resumed: &Resumed, way: &Way) -> Decision {
    resume(plans, facts, resumed, |call, plan| {
        call.because("later", format!("goes on with {}", way.words()));
        call.perform(plan, &way.action)
    })
}

pub(super) fn ring_device(
    plans: &Plans,
    facts: &Facts<'_>,
    resumed: &Resumed,
    device: &str,
) -> Decision {
    resume(plans, facts, resumed, |call, plan| {
        call.because("menu.direct_extensions", format!("{} is dialled", facts.called));
        outbound::ring_device(call, plan, device)
    })
}

fn resume<'p>(
    plans: &'p Plans,
    facts: &Facts<'_>,
    resumed: &Resumed,
    decide: impl FnOnce(&mut Call<'p, '_>, &'p Plan) -> Release,
) -> Decision {
    let mut call = Call::new(plans, facts);
    let release = match plans.plan(&resumed.tenant) {
        Some(plan) => {
            call.enter(plan);
            call.uses_channel = resumed.holds_channel;
            call.caller = facts.caller.number.clone().filter(|_| !facts.caller.anonymous);
            let number = resumed.number.as_ref().and_then(|name| plan.numbers.find(name));
            call.number = number.map(|number| (plan, number));
            decide(&mut call, plan)
        }
        None => plain_release(480, "unknown-tenant"),
    };
    call.finish(release)
}

pub(super) fn ask(plans: &Plans, facts: &Facts<'_>, ask: &Ask) -> Decision {
    let mut call = Call::new(plans, facts);
    call.direction = Direction::Internal;
    let release = match plans.plan(&ask.tenant) {
        Some(plan) => asked(&mut call, plan, ask),
        None => plain_release(403, "unknown-tenant"),
    };
    call.finish(release)
}

fn asked<'p>(call: &mut Call<'p, '_>, plan: &'p Plan, ask: &Ask) -> Release {
    call.enter(plan);
    call.uses_channel = ask.holds_channel;
    call.because("outbound.asker", format!("asked by {}", ask.asker.as_str()));
    if let Some(name) = &ask.device {
        let Some(device) = plan.devices.find(name) else {
            call.because("outbound.device", format!("{name} is no device of {}", ask.tenant));
            return plain_release(403, "unknown-device");
        };
        call.caller = Some(Arc::clone(&device.ext.value));
        return outbound::dialled(call, plan, device, ask.asker, call.facts.called);
    }
    let shown = match &ask.number {
        Some(name) => plan.numbers.find(name),
        None => plan.main_number(),
    };
    let to = plan.tenant.country.canonical(call.facts.called);
    call.number = shown.map(|number| (plan, number));
    let plans = call.plans;
    if let Some((other, number)) = plans.number_by_did(&plan.tenant.country, &to) {
        call.because("outbound.on_net", format!("{to} is number.{} of this server", number.name));
        return super::inbound::to_number(call, other, number, None);
    }
    let wish = Wish { to: &to, shown, anonymous: false, device: None, asker: ask.asker };
    if plans.is_neighbours(&plan.tenant.country, &to) {
        let leg = gate::neighbour(call, plan, &wish);
        call.steps.push(Step::Trunk(leg));
        return plain_release(503, "trunk-failed");
    }
    call.direction = Direction::Outbound;
    match gate::pass(call, plan, &wish, !ask.holds_channel) {
        Ok(leg) => {
            call.steps.push(Step::Trunk(leg));
            plain_release(503, "trunk-failed")
        }
        Err(release) => release,
    }
}
