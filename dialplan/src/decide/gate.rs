//! The outbound gate: the one door for every leg to outside, whoever asks (outbound order, 5 to 9).

use std::borrow::Cow;
use std::sync::Arc;

use super::{Call, inbound, plain_release};
use crate::country;
use crate::decision::{Origin, Release, Step, TrunkCall};
use crate::model::Plan;
use crate::model::device::DeviceKind;
use crate::model::number::Number;
use crate::model::objects::Object;
use crate::model::outside::Profile;
use crate::plans::TrunkInfo;

/// What somebody wants from the gate.
pub(super) struct Wish<'w> {
    /// The number in its canonical form.
    pub(super) to: &'w str,
    /// The number to show, which is also the one whose channel is taken.
    pub(super) shown: Option<&'w Object<Number>>,
    pub(super) anonymous: bool,
    /// The kind of device that asks; none when no device does.
    pub(super) kind: Option<DeviceKind>,
}

/// Forwards to a number: on-net as a call to it, else through the gate with the own DID shown.
pub(super) fn forward<'p>(
    call: &mut Call<'p, '_>,
    plan: &'p Plan,
    shown: Option<&'p Object<Number>>,
    to: &str,
    rule: &str,
) -> Release {
    let to = country::JAPAN.canonical(to);
    call.because(rule, format!("forwarded to {to}"));
    let plans = call.plans;
    if let Some((plan, number)) = plans.number_by_did(&to) {
        call.because("outbound.on_net", format!("{to} is a number of this server"));
        return inbound::to_number(call, plan, number, None);
    }
    let wish = Wish { to: &to, shown, anonymous: false, kind: None };
    match pass(call, plan, &wish, false) {
        Ok(leg) => {
            call.steps.push(Step::Forward(leg));
            plain_release(480, "forward-failed")
        }
        Err(release) => release,
    }
}

/// Asks for a leg to outside. `own_channel`: the leg takes a channel of the office that no other
/// leg of the call holds already.
pub(super) fn pass(
    call: &mut Call<'_, '_>,
    plan: &Plan,
    wish: &Wish<'_>,
    own_channel: bool,
) -> Result<TrunkCall, Release> {
    let class = class(call, plan, wish)?;
    if let Some(shown) = wish.shown {
        let text = format!("shows number.{} ({})", shown.name, shown.did.value);
        call.because("outbound.caller", text);
    }
    if own_channel {
        channels(call, plan, wish.shown)?;
        call.uses_channel = true;
    }
    let trunks = trunks(call, plan, &class)?;
    let profile = trunks.first().map_or(Profile::JpNgn, |(_, _, profile)| *profile);
    let written = |number: &str| -> Arc<str> {
        match profile {
            Profile::JpNgn | Profile::HomeGateway => Arc::from(number),
            Profile::E164 => match country::JAPAN.e164(number) {
                Cow::Borrowed(number) => Arc::from(number),
                Cow::Owned(number) => Arc::from(number),
            },
        }
    };
    Ok(TrunkCall {
        number: written(wish.to),
        shown_caller: wish.shown.map(|number| written(&Plan::did(number))),
        anonymous: wish.anonymous,
        class,
        trunks: trunks.into_iter().map(|(owner, name, _)| (owner, name)).collect(),
    })
}

/// 5 and 6: the class, and whether whoever asks may call it.
fn class(call: &mut Call<'_, '_>, plan: &Plan, wish: &Wish<'_>) -> Result<Arc<str>, Release> {
    let date = call.local(plan).date();
    let Some(entry) = plan.classes.of(wish.to, date) else {
        call.because("class", format!("{} is of no class", wish.to));
        let prompt = Some(call.prompt(plan, "unallocated"));
        return Err(Release { status: 404, prompt, cause: Arc::from("no-class") });
    };
    let class = &entry.class;
    call.because("class", format!("{} is of class {class}", wish.to));
    let listed = |names: &[crate::source::Name]| names.iter().any(|name| name.value == *class);
    let allow = plan.outbound.allow.iter().find(|(kind, _)| Some(*kind) == wish.kind);
    let (rule, cause) = if listed(&plan.outbound.block) {
        ("outbound.block", format!("blocked:{class}"))
    } else if allow.is_some_and(|(_, classes)| !listed(classes)) {
        ("outbound.allow", format!("not-allowed:{class}"))
    } else {
        return Ok(Arc::clone(class));
    };
    call.because(rule, format!("{class} cannot be called"));
    let prompt = Some(call.prompt(plan, "refused"));
    Err(Release { status: 403, prompt, cause: Arc::from(cause) })
}

/// 8: a free channel of the office and of the number.
fn channels(
    call: &mut Call<'_, '_>,
    plan: &Plan,
    number: Option<&Object<Number>>,
) -> Result<(), Release> {
    let tenant = &*plan.tenant.id.value;
    let (state, most) = (call.facts.state, plan.channels());
    let cause = if state.tenant_channels(tenant) >= most {
        call.because("tenant.channels", format!("all {most} in use"));
        String::from("channels:tenant")
    } else {
        let cap = number.and_then(|number| Some((&number.name, number.channels?)));
        let full = cap.filter(|(name, most)| state.number_channels(tenant, name) >= *most);
        let Some((name, most)) = full else { return Ok(()) };
        call.because(format!("number.{name}.channels"), format!("all {most} in use"));
        format!("channels:number:{name}")
    };
    let prompt = Some(call.prompt(plan, "lines-busy"));
    Err(Release { status: 486, prompt, cause: Arc::from(cause) })
}

fn came_by(call: &Call<'_, '_>, by: &TrunkInfo) -> bool {
    matches!(call.facts.origin, Origin::Trunk { tenant, trunk }
        if *tenant == by.tenant && *trunk == by.name)
}

type Trunks = Vec<(Option<Arc<str>>, Arc<str>, Profile)>;

/// 9: the trunks of the class in order, those with a free channel.
fn trunks(call: &mut Call<'_, '_>, plan: &Plan, class: &Arc<str>) -> Result<Trunks, Release> {
    let outbound = &plan.outbound;
    let names = match outbound.route.get(class) {
        Some(names) => names.as_slice(),
        None => outbound.default_trunk.as_slice(),
    };
    let tenant = &plan.tenant.id.value;
    let mut free = Trunks::new();
    for name in names {
        let own = call.plans.trunk(Some(tenant), &name.value);
        let Some(trunk) = own.or_else(|| call.plans.trunk(None, &name.value)) else { continue };
        let used = call.facts.state.trunk_channels(trunk.tenant.as_deref(), &trunk.name);
        // A forwarded call takes two channels of the trunk that it came by.
        let used = used.saturating_add(u32::from(came_by(call, trunk)));
        if used >= trunk.channels {
            let text = format!("all {} in use", trunk.channels);
            call.because(format!("trunk.{}.channels", trunk.name), text);
            continue;
        }
        call.because("outbound.trunk", format!("{class} leaves by trunk {}", trunk.name));
        free.push((trunk.tenant.clone(), Arc::clone(&trunk.name), trunk.profile));
    }
    if !free.is_empty() {
        return Ok(free);
    }
    let cause = if names.is_empty() { "no-trunk" } else { "trunks-busy" };
    call.because("outbound.trunk", format!("no free trunk for {class}"));
    let prompt = Some(call.prompt(plan, "trunks-busy"));
    Err(Release { status: 503, prompt, cause: Arc::from(cause) })
}
