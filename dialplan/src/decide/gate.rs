//! The outbound gate: the one door for every leg to outside, whoever asks (outbound order, 5 to 9).
//! A [`TrunkCall`] is the proof of having passed it: nothing else can make one.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use super::{Call, inbound, plain_release};
use crate::decision::{Alert, DiversionCause, Origin, Release, Step};
use crate::model::Plan;
use crate::model::caps::Cap;
use crate::model::device::Device;
use crate::model::number::Number;
use crate::model::objects::Object;
use crate::model::outside::{Allowed, NumberFormat};
use crate::model::tariff::ChargedLeg;
use crate::plans::{NEIGHBOURS, TrunkInfo};
use crate::state::{TrunkState, Usage};

/// Who asks for a leg to outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asker {
    /// Somebody who dialled.
    Phone,
    /// A number that is forwarded, or an action `{ forward = ... }`.
    Forward,
    /// REFER.
    Transfer,
    /// A phone that answered with a redirection.
    Redirect,
    /// A conference that calls a member.
    Conference,
    /// A caller of voicemail who calls back.
    CallBack,
    /// A module.
    Module,
    /// A fax that is sent.
    Fax,
}

impl Asker {
    pub(crate) const ALL: [Self; 8] = [
        Self::Phone,
        Self::Forward,
        Self::Transfer,
        Self::Redirect,
        Self::Conference,
        Self::CallBack,
        Self::Module,
        Self::Fax,
    ];

    /// The word in the plan.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Forward => "forward",
            Self::Transfer => "transfer",
            Self::Redirect => "redirect",
            Self::Conference => "conference",
            Self::CallBack => "call_back",
            Self::Module => "module",
            Self::Fax => "fax",
        }
    }
}

/// What a leg to outside is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideLeg {
    /// The trunks to try in order: owner tenant (`None`: of the server) and name.
    pub trunks: Vec<(Option<Arc<str>>, Arc<str>)>,
    /// The number to call as the trunk wants it.
    pub number: Arc<str>,
    /// The caller number to show (a DID), when one may be shown.
    pub shown_caller: Option<Arc<str>>,
    /// Ask the network to hide the caller number (184).
    pub anonymous: bool,
    /// What is dialled before the number where the trunk takes that for privacy (184, 186).
    pub privacy_prefix: Option<Arc<str>>,
    /// The class of the number (`mobile`), for caps and rates.
    pub class: Arc<str>,
    /// Who asked.
    pub asker: Asker,
    /// The tenant that pays for it.
    pub payer: Arc<str>,
    /// The device that asked, when one did: its ID is charged.
    pub device: Option<Arc<str>>,
    /// The number that is shown, by its name in the plan.
    pub shown_number: Option<Arc<str>>,
}

/// A leg to outside that has passed the gate. It can be read, kept and executed; it cannot be made
/// or changed anywhere but in the gate, so that every call to a trunk has been asked for.
///
/// ```compile_fail
/// # fn leg() -> koukan_dialplan::OutsideLeg { unimplemented!() }
/// let call = koukan_dialplan::TrunkCall(leg());
/// ```
///
/// ```compile_fail
/// fn redirect(call: &mut koukan_dialplan::TrunkCall) {
///     call.number = "0990123456".into();
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkCall(OutsideLeg);

impl Deref for TrunkCall {
    type Target = OutsideLeg;

    fn deref(&self) -> &OutsideLeg {
        &self.0
    }
}

/// What somebody wants from the gate.
pub(super) struct Wish<'w> {
    /// The number in its canonical form.
    pub(super) to: &'w str,
    /// The number to show, which is also the one whose channel is taken.
    pub(super) shown: Option<&'w Object<Number>>,
    pub(super) anonymous: bool,
    /// The device that asks; none when no device does.
    pub(super) device: Option<&'w Object<Device>>,
    pub(super) asker: Asker,
}

/// Forwards to a number: on-net as a call to it, else through the gate with the own DID shown.
pub(super) fn forward<'p>(
    call: &mut Call<'p, '_>,
    plan: &'p Plan,
    shown: Option<&'p Object<Number>>,
    to: &str,
    rule: &str,
) -> Release {
    let country = &plan.tenant.country;
    let to = country.canonical(to);
    call.because(rule, format!("forwarded to {to}"));
    if let Some(number) = shown {
        call.divert(plan.did(number), DiversionCause::Unconditional);
    }
    let plans = call.plans;
    if let Some((plan, number)) = plans.number_by_did(country, &to) {
        call.because("outbound.on_net", format!("{to} is a number of this server"));
        return inbound::to_number(call, plan, number, None);
    }
    let wish = Wish { to: &to, shown, anonymous: false, device: None, asker: Asker::Forward };
    if plans.is_neighbours(country, &to) {
        call.record = None;
        let leg = neighbour(call, plan, &wish);
        call.steps.push(Step::Forward(leg));
        return plain_release(480, "forward-failed");
    }
    // A call from outside holds the office's channel already; one from inside takes it here.
    let own_channel = !call.uses_channel;
    match pass(call, plan, &wish, own_channel) {
        Ok(leg) => {
            // S-75: a forwarded call is never recorded.
            call.record = None;
            call.steps.push(Step::Forward(leg));
            plain_release(480, "forward-failed")
        }
        Err(release) => release,
    }
}

/// A leg to an office that is at home on another shard of this server: as a call between two
/// offices it is nobody's channel and nobody's cost, and no class is asked for.
pub(super) fn neighbour(call: &mut Call<'_, '_>, plan: &Plan, wish: &Wish<'_>) -> TrunkCall {
    let to = wish.to;
    call.because("outbound.on_net", format!("{to} is a number of this server"));
    let country = &plan.tenant.country;
    let written = |number: &str| Arc::from(&*country.e164(number));
    TrunkCall(OutsideLeg {
        privacy_prefix: None,
        number: written(to),
        shown_caller: wish.shown.map(|number| written(&plan.did(number))),
        anonymous: wish.anonymous,
        class: Arc::from(NEIGHBOURS),
        trunks: vec![(None, Arc::from(NEIGHBOURS))],
        asker: wish.asker,
        payer: Arc::clone(&plan.tenant.id.value),
        device: wish.device.map(|device| Arc::clone(&device.name)),
        shown_number: wish.shown.map(|number| Arc::clone(&number.name)),
    })
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
    priced(call, plan, wish, &class)?;
    caps(call, plan, wish)?;
    if let Some(shown) = wish.shown {
        let text = format!("shows number.{} ({})", shown.name, shown.did.value);
        call.because("outbound.caller", text);
    }
    if own_channel {
        channels(call, plan, wish.shown)?;
        call.uses_channel = true;
    }
    let trunks = trunks(call, plan, &class)?;
    let format = trunks.first().map_or(NumberFormat::National, |(_, _, format)| *format);
    let written = |number: &str| -> Arc<str> {
        match format {
            NumberFormat::National => Arc::from(number),
            NumberFormat::E164 => match plan.tenant.country.e164(number) {
                Cow::Borrowed(number) => Arc::from(number),
                Cow::Owned(number) => Arc::from(number),
            },
        }
    };
    let country = &plan.tenant.country;
    let said = if wish.anonymous { &country.hide } else { &country.show };
    Ok(TrunkCall(OutsideLeg {
        privacy_prefix: said.clone(),
        number: written(wish.to),
        shown_caller: wish.shown.map(|number| written(&plan.did(number))),
        anonymous: wish.anonymous,
        class,
        trunks: trunks.into_iter().map(|(owner, name, _)| (owner, name)).collect(),
        asker: wish.asker,
        payer: Arc::clone(&plan.tenant.id.value),
        device: wish.device.map(|device| Arc::clone(&device.name)),
        shown_number: wish.shown.map(|number| Arc::clone(&number.name)),
    }))
}

/// 5 and 6: the class, and whether whoever asks may call it. Behind a carrier's prefix the number
/// itself is asked for too.
fn class(call: &mut Call<'_, '_>, plan: &Plan, wish: &Wish<'_>) -> Result<Arc<str>, Release> {
    let mut to = wish.to;
    let class = class_of(call, plan, wish, to)?;
    while let Some(rest) = plan.tenant.country.behind_carrier(to) {
        if rest.is_empty() {
            break;
        }
        call.because("class", format!("{rest} lies behind a carrier's prefix"));
        class_of(call, plan, wish, rest)?;
        to = rest;
    }
    Ok(class)
}

fn class_of(
    call: &mut Call<'_, '_>,
    plan: &Plan,
    wish: &Wish<'_>,
    to: &str,
) -> Result<Arc<str>, Release> {
    let date = call.local(plan).date();
    let Some(entry) = plan.classes.of(to, date) else {
        call.because("class", format!("{to} is of no class"));
        let prompt = Some(call.prompt(plan, "unallocated"));
        return Err(Release { status: 404, prompt, cause: Arc::from("no-class") });
    };
    let class = &entry.class;
    call.because("class", format!("{to} is of class {class}"));
    let listed = |names: &[crate::source::Name]| names.iter().any(|name| name.value == *class);
    let asks = |who: Allowed| match who {
        Allowed::Kind(kind) => wish.device.is_some_and(|device| device.kind == kind),
        Allowed::Asker(asker) => asker == wish.asker,
    };
    let mut allow = plan.outbound.allow.iter().filter(|(who, _)| asks(*who));
    let refused = allow.find(|(_, classes)| !listed(classes));
    let (rule, cause) = if listed(&plan.outbound.block) {
        ("outbound.block", format!("blocked:{class}"))
    } else if refused.is_some() {
        ("outbound.allow", format!("not-allowed:{class}"))
    } else {
        return Ok(Arc::clone(class));
    };
    call.because(rule, format!("{class} cannot be called"));
    let prompt = Some(call.prompt(plan, "refused"));
    Err(Release { status: 403, prompt, cause: Arc::from(cause) })
}

/// 6: a hole in the tariff is no free call.
fn priced(
    call: &mut Call<'_, '_>,
    plan: &Plan,
    wish: &Wish<'_>,
    class: &Arc<str>,
) -> Result<(), Release> {
    let Some(tariff) = &plan.tariff else { return Ok(()) };
    let leg = ChargedLeg::asked(wish.asker, wish.device.is_some());
    let kind = wish.device.filter(|_| leg == ChargedLeg::Out).map(|device| device.kind);
    let day = call.local(plan).date();
    // Faxes are counted in pages, and an office may send them without a price of their own.
    if leg == ChargedLeg::FaxOut || tariff.rate_of(leg, kind, class, day).is_some() {
        return Ok(());
    }
    call.because("tariff.rate", format!("no rate with leg {} for class {class}", leg.as_str()));
    let prompt = Some(call.prompt(plan, "refused"));
    Err(Release { status: 403, prompt, cause: Arc::from(format!("no-rate:{class}")) })
}

/// 6: the caps against fraud.
fn caps(call: &mut Call<'_, '_>, plan: &Plan, wish: &Wish<'_>) -> Result<(), Release> {
    let tenant = &*plan.tenant.id.value;
    let (state, caps) = (call.facts.state, &plan.caps);
    let usage =
        if caps.count_outside() { state.usage(tenant, call.facts.at) } else { Usage::default() };
    let forwards = wish.shown.filter(|_| wish.asker == Asker::Forward).and_then(|number| {
        let most = number.forwards_max.or(caps.forwards)?;
        Some((most, state.forwards(tenant, &number.name)))
    });
    let hit = if caps.spend.is_some_and(|most| usage.spent >= most) {
        Some((Cap::Spend, format!("{} yen spent today", usage.spent)))
    } else if caps.talk.is_some_and(|most| usage.talked >= most) {
        Some((Cap::Minutes, format!("{} minutes talked today", usage.talked.as_secs() / 60)))
    } else if caps.concurrent.is_some_and(|most| usage.outside_legs >= most) {
        Some((Cap::Concurrent, format!("{} calls to outside", usage.outside_legs)))
    } else if let Some(night) = caps.night
        && night.holds(call.local(plan).time())
        && usage.outside_legs >= night.concurrent
    {
        Some((Cap::Night, format!("{} calls to outside at night", usage.outside_legs)))
    } else {
        forwards
            .filter(|(most, now)| now >= most)
            .map(|(_, now)| (Cap::Forwards, format!("{now} calls are forwarded")))
    };
    let Some((cap, text)) = hit else { return Ok(()) };
    call.because(format!("limits.{cap}"), format!("{text}: no more"));
    call.alert = Some(Alert { cap, receivers: Arc::clone(&caps.alert) });
    let prompt = Some(call.prompt(plan, "refused"));
    Err(Release { status: 403, prompt, cause: Arc::from(format!("cap:{cap}")) })
}

/// The caps on callers of toll-free numbers, whom the office pays for: whoever pumps calls into
/// them is refused before anything is played or rings.
pub(super) fn toll_free_caps(call: &mut Call<'_, '_>, plan: &Plan) -> Option<Release> {
    let caps = &plan.caps;
    if !caps.count_tollfree() {
        return None;
    }
    let usage = call.facts.state.usage(&plan.tenant.id.value, call.facts.at);
    let (cap, text) = if caps.tollfree_spend.is_some_and(|most| usage.tollfree_spent >= most) {
        let text = format!("toll-free callers cost {} yen today", usage.tollfree_spent);
        (Cap::TollfreeSpend, text)
    } else if caps.tollfree_concurrent.is_some_and(|most| usage.tollfree_legs >= most) {
        (Cap::TollfreeConcurrent, format!("{} toll-free callers", usage.tollfree_legs))
    } else {
        return None;
    };
    call.because(format!("limits.{cap}"), format!("{text}: no more"));
    call.alert = Some(Alert { cap, receivers: Arc::clone(&caps.alert) });
    Some(plain_release(486, &format!("cap:{cap}")))
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

type Trunks = Vec<(Option<Arc<str>>, Arc<str>, NumberFormat)>;

/// 9: the trunks of the class in order, those with a free channel.
fn trunks(call: &mut Call<'_, '_>, plan: &Plan, class: &Arc<str>) -> Result<Trunks, Release> {
    let outbound = &plan.outbound;
    let names = match outbound.route.get(class) {
        Some(names) => names.as_slice(),
        None => outbound.default_trunk.as_slice(),
    };
    let tenant = &plan.tenant.id.value;
    let (mut free, mut doubtful) = (Trunks::new(), Trunks::new());
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
        let state = call.facts.state.trunk_state(trunk.tenant.as_deref(), &trunk.name);
        let found = (trunk.tenant.clone(), Arc::clone(&trunk.name), trunk.format);
        match state {
            TrunkState::Ready => free.push(found),
            TrunkState::Unregistered => {
                call.because(format!("trunk.{}", trunk.name), state.words());
                doubtful.push(found);
            }
            TrunkState::Paced | TrunkState::Down | TrunkState::Maintenance => {
                call.because(format!("trunk.{}", trunk.name), state.words());
                continue;
            }
        }
        call.because("outbound.trunk", format!("{class} leaves by trunk {}", trunk.name));
    }
    free.append(&mut doubtful);
    if !free.is_empty() {
        return Ok(free);
    }
    let cause = if names.is_empty() { "no-trunk" } else { "trunks-busy" };
    call.because("outbound.trunk", format!("no free trunk for {class}"));
    let prompt = Some(call.prompt(plan, "trunks-busy"));
    Err(Release { status: 503, prompt, cause: Arc::from(cause) })
}
