//! A call to a DID of this server, from a trunk or from a device (inbound order, 1 to 11).

use std::sync::Arc;
use std::time::Duration;

use super::ringing::Ringing;
use super::{Call, gate, plain_release, shown_number};
use crate::country::Country;
use crate::decision::{Caller, Direction, FaxRule, PromptRef, Release, RingTarget, Start, Step};
use crate::live::CellValue;
use crate::model::Plan;
use crate::model::number::{Detect, Fax, Mode, Number, Role};
use crate::model::objects::Object;
use crate::model::schedule::Said;
use crate::plans::{NEIGHBOURS, Plans};
use crate::read::{Action, Do};

/// What to do, before who may do it is asked.
enum Way<'p> {
    Ring,
    Forward,
    Announce(Arc<str>),
    /// The night key of a number without a schedule and without a `closed` action.
    Closed,
    Other(&'p Action),
}

/// 1: finds the number.
pub(super) fn from_trunk(call: &mut Call<'_, '_>, tenant: Option<&str>, trunk: &str) -> Release {
    // From another office of this server, which is at home on another shard.
    let neighbour = tenant.is_none() && trunk == NEIGHBOURS;
    call.direction = if neighbour { Direction::Internal } else { Direction::Inbound };
    let plans = call.plans;
    let country = home(plans, tenant);
    let called = country.canonical(call.facts.called);
    let Some((plan, number)) = number_of(plans, tenant, trunk, call.facts.called) else {
        call.caller = caller(call.facts.caller, &country);
        call.because("inbound.number", format!("{called} is no number of trunk {trunk}"));
        let language = plans.language_of(tenant);
        let prompt = Some(PromptRef { language, name: Arc::from("unallocated") });
        return Release { status: 404, prompt, cause: Arc::from("unknown-number") };
    };
    call.caller = caller(call.facts.caller, &plan.tenant.country);
    call.because("inbound.number", format!("{called} is number.{}", number.name));
    to_number(call, plan, number, Some((tenant, trunk)).filter(|_| !neighbour))
}

/// The numbering plan that a trunk brings numbers in.
fn home(plans: &Plans, tenant: Option<&str>) -> Arc<Country> {
    let own = tenant.and_then(|tenant| plans.plan(tenant)).map(|plan| &plan.tenant.country);
    own.cloned().unwrap_or_else(|| plans.home())
}

/// The number that a trunk's call is for; none when it brings no such.
pub(super) fn number_of<'p>(
    plans: &'p Plans,
    tenant: Option<&str>,
    trunk: &str,
    called: &str,
) -> Option<(&'p Plan, &'p Object<Number>)> {
    let country = home(plans, tenant);
    let found = plans.number_by_did(&country, &country.canonical(called));
    found.filter(|(plan, number)| match tenant {
        None => true,
        // A tenant's trunk brings the numbers that the plan gave it, and nobody else's.
        Some(tenant) => {
            let numbers = plan.trunks.find(trunk).map(|trunk| trunk.numbers.as_slice());
            let mut numbers = numbers.unwrap_or_default().iter();
            &*plan.tenant.id.value == tenant
                && (numbers.len() == 0 || numbers.any(|name| name.value == number.name))
        }
    })
}

/// 2 to 11: the number is known. `trunk` is the one the call came by, none for a call from inside.
pub(super) fn to_number<'p>(
    call: &mut Call<'p, '_>,
    plan: &'p Plan,
    number: &'p Object<Number>,
    trunk: Option<(Option<&str>, &str)>,
) -> Release {
    if let Err(release) = call.hop() {
        return release;
    }
    call.enter(plan);
    let number = toll_free_target(call, plan, number);
    call.number = Some((plan, number));
    if trunk.is_some()
        && call.toll_free.is_some()
        && let Some(release) = gate::toll_free_caps(call, plan)
    {
        return release;
    }
    if let Some(release) = refused_caller(call, plan, number) {
        return release;
    }
    let fax = number.fax.as_ref().map(|fax| &fax.value);
    let fax_only = fax.filter(|fax| fax.detect == Detect::Only);
    let way = way(call, plan, number);
    let needs_channel = match &way {
        Way::Ring | Way::Forward => true,
        Way::Announce(_) | Way::Closed => fax_only.is_some(),
        Way::Other(action) => fax_only.is_some() || needs_channel(action),
    };
    // Calls from inside take no channel of the office.
    if let Some((owner, trunk)) = trunk.filter(|_| needs_channel) {
        if let Some(cause) = full(call, plan, number, owner, trunk) {
            return when_full(call, plan, number, &way, fax_only.is_some(), &cause);
        }
        call.uses_channel = true;
    }
    call.record = number.record.as_ref().map(|record| record.value);
    if let Some(fax) = fax_only {
        call.record = None;
        return takes_fax(call, plan, number, fax);
    }
    // S-39, S-63: whatever answers, a fax machine on the other side ends in the box.
    call.fax = fax.filter(|fax| fax.detect == Detect::Auto).map(fax_rule);
    match way {
        Way::Announce(name) => {
            call.record = None;
            let release = call.announce(plan, &name);
            then_voicemail(call, plan, number, release)
        }
        Way::Closed => {
            call.record = None;
            let prompt = call.prompt(plan, "closed");
            let name = Arc::clone(&prompt.name);
            call.steps.push(Step::Announce { name, prompt, answered: true });
            then_voicemail(call, plan, number, plain_release(480, "announced"))
        }
        Way::Forward => forward(call, plan, number),
        Way::Ring => ring(call, plan, number),
        Way::Other(action) => call.perform(plan, action),
    }
}

/// 2: a toll-free number goes on as its target.
fn toll_free_target<'p>(
    call: &mut Call<'p, '_>,
    plan: &'p Plan,
    number: &'p Object<Number>,
) -> &'p Object<Number> {
    let Some(target) = target_of(plan, number) else { return number };
    let text = format!("toll-free: goes on as number.{}, the office pays", target.name);
    call.because(format!("number.{}.target", number.name), text);
    call.toll_free = Some(Arc::clone(&number.name));
    target
}

/// The number whose rules hold for calls to a toll-free one.
pub(super) fn target_of<'p>(plan: &'p Plan, number: &Object<Number>) -> Option<&'p Object<Number>> {
    let target = number.target.as_ref().filter(|_| number.role == Role::Tollfree)?;
    plan.numbers.find(&target.value)
}

/// 3: the block list and the rule on anonymous callers (accepted unless the plan says otherwise).
fn refused_caller(
    call: &mut Call<'_, '_>,
    plan: &Plan,
    number: &Object<Number>,
) -> Option<Release> {
    let Caller { number: caller, anonymous, .. } = call.facts.caller;
    let hidden = *anonymous || caller.is_none();
    if hidden && number.block_anonymous && call.direction == Direction::Inbound {
        call.because(format!("number.{}.block_anonymous", number.name), "the caller is anonymous");
        return Some(plain_release(433, "anonymous"));
    }
    let from = plan.tenant.country.canonical(caller.as_deref()?);
    if is_blocked(plan, number, &from) {
        call.because(format!("number.{}.blocked", number.name), format!("{from} is blocked"));
        return Some(plain_release(603, "blocked-caller"));
    }
    let why = call.facts.caller.refused.as_ref()?;
    let module = plan.lookup.as_ref().map_or("", |lookup| &lookup.module);
    call.because("lookup.module", format!("{module} refuses {from}: {why}"));
    Some(plain_release(603, "blocked-caller"))
}

/// Whether a number's own list has a caller, given as it is dialled in the office's country.
pub(super) fn is_blocked(plan: &Plan, number: &Number, caller: &str) -> bool {
    number.blocked.iter().any(|entry| plan.tenant.country.canonical(entry) == caller)
}

/// 4: the night key, the mode, or the schedule's cell; each as it was flipped last.
fn way<'p>(call: &mut Call<'p, '_>, plan: &'p Plan, number: &'p Object<Number>) -> Way<'p> {
    let name = &number.name;
    let live = call.live.and_then(|live| live.number(name));
    let schedule = number.schedule.as_ref().and_then(|name| plan.schedules.find(&name.value));
    if let Some(closed) = live.and_then(|live| live.closed.as_ref()).filter(|set| set.value) {
        let text = format!("closed by {} at {}", closed.by, closed.at);
        call.because(format!("number.{name}.closed"), text);
        let action = number.closed.as_ref().or_else(|| schedule.map(|found| &found.default));
        return action.map_or(Way::Closed, way_of);
    }
    let set = live.and_then(|live| live.mode.as_ref());
    let mode = set.map_or(number.mode, |set| set.value);
    let set = set.map_or_else(String::new, |set| format!(", set by {} at {}", set.by, set.at));
    match (mode, schedule) {
        (Mode::Ring, _) | (Mode::Schedule, None) => {
            call.because(format!("number.{name}.mode"), format!("ring{set}"));
            Way::Ring
        }
        (Mode::Forward, _) => {
            call.because(format!("number.{name}.mode"), format!("forward{set}"));
            Way::Forward
        }
        (Mode::Schedule, Some(schedule)) => {
            let live = call.live.and_then(|live| live.schedule(&schedule.name));
            let verdict = schedule.at(call.local(plan), live);
            let text = format!("{}: {verdict}{set}", schedule.name);
            call.because(format!("number.{name}.schedule"), text);
            match verdict.said {
                Said::Plan(action) => way_of(action),
                Said::Live(setting) => match &setting.value {
                    CellValue::Ring => Way::Ring,
                    CellValue::Forward => Way::Forward,
                    CellValue::Announce(name) => Way::Announce(Arc::clone(name)),
                },
            }
        }
    }
}

fn way_of(action: &Action) -> Way<'_> {
    // What may fail goes the general way, which knows where to go on then.
    if action.on_error.is_some() {
        return Way::Other(action);
    }
    match &action.what {
        Do::Ring => Way::Ring,
        Do::Forward(None) => Way::Forward,
        Do::Announce(announcement) => Way::Announce(Arc::clone(&announcement.value)),
        Do::Forward(Some(_))
        | Do::Voicemail(_)
        | Do::VoicemailMenu
        | Do::Group(_)
        | Do::Page(_)
        | Do::Menu(_)
        | Do::Queue(_)
        | Do::Conference(_)
        | Do::Fax(_)
        | Do::Echo
        | Do::Park
        | Do::Reject(_)
        | Do::Module { .. } => Way::Other(action),
    }
}

/// 5: announcements and voicemail run in a pool of their own.
const fn needs_channel(action: &Action) -> bool {
    match action.what {
        Do::Announce(_) | Do::Voicemail(_) | Do::VoicemailMenu | Do::Reject(_) => false,
        Do::Ring
        | Do::Forward(_)
        | Do::Group(_)
        | Do::Page(_)
        | Do::Menu(_)
        | Do::Queue(_)
        | Do::Conference(_)
        | Do::Fax(_)
        | Do::Echo
        | Do::Park
        | Do::Module { .. } => true,
    }
}

/// 5: whether the tenant, the number or the trunk has no free channel.
fn full(
    call: &mut Call<'_, '_>,
    plan: &Plan,
    number: &Object<Number>,
    owner: Option<&str>,
    trunk: &str,
) -> Option<String> {
    let tenant = &*plan.tenant.id.value;
    let state = call.facts.state;
    let (most, used) = (plan.channels(), state.tenant_channels(tenant));
    if used >= most {
        call.because("tenant.channels", format!("all {most} in use"));
        return Some(String::from("channels:tenant"));
    }
    let most = number.channels.unwrap_or(u32::MAX);
    if most < u32::MAX && state.number_channels(tenant, &number.name) >= most {
        call.because(format!("number.{}.channels", number.name), format!("all {most} in use"));
        return Some(format!("channels:number:{}", number.name));
    }
    let most = call.plans.trunk(owner, trunk).map_or(u32::MAX, |trunk| trunk.channels);
    if most < u32::MAX && state.trunk_channels(owner, trunk) >= most {
        call.because(format!("trunk.{trunk}.channels"), format!("all {most} in use"));
        return Some(format!("channels:trunk:{trunk}"));
    }
    None
}

/// 5: what a caller gets who finds every channel taken.
fn when_full(
    call: &mut Call<'_, '_>,
    plan: &Plan,
    number: &Object<Number>,
    way: &Way<'_>,
    fax_only: bool,
    cause: &str,
) -> Release {
    let busy = plain_release(486, cause);
    if fax_only {
        // The sending machine tries again by itself.
        return busy;
    }
    if matches!(way, Way::Ring) && number.voicemail.is_some() {
        return then_voicemail(call, plan, number, busy);
    }
    if number.busy_announcement {
        let prompt = call.prompt(plan, "lines-busy");
        call.because(format!("number.{}.busy_announcement", number.name), "the caller hears it");
        let name = Arc::clone(&prompt.name);
        call.steps.push(Step::Announce { name, prompt, answered: false });
    }
    busy
}

/// 6: every call is a fax, for the machine on an adapter when one is named, and for the box.
fn takes_fax(call: &mut Call<'_, '_>, plan: &Plan, number: &Object<Number>, fax: &Fax) -> Release {
    let rule = format!("number.{}.fax", number.name);
    call.because(rule.as_str(), "takes every call as a fax");
    let machine = fax.device.as_ref().map(|name| &name.value);
    let mut release = plain_release(480, "finished");
    if let Some(device) = machine.and_then(|name| call.plans.device(&plan.tenant.id.value, name)) {
        let target = RingTarget {
            device: Arc::clone(&device.device),
            user: Arc::clone(&device.user),
            start: Start::After(Duration::ZERO),
        };
        let ringing = Ringing { rule: &rule, at_most: None, called_name: None };
        release = call.ring_targets(plan, vec![target], FAX_MACHINE_TIMEOUT, &ringing);
    }
    fax_box(call, plan, fax);
    release
}

fn fax_box(call: &mut Call<'_, '_>, plan: &Plan, fax: &Fax) {
    let mailbox = fax.mailbox.as_ref().and_then(|name| plan.fax_boxes.find(&name.value));
    if let Some(found) = mailbox {
        let (mailbox, spec) = (Arc::clone(&found.name), Arc::clone(found));
        call.steps.push(Step::Fax { mailbox, spec });
    }
}

/// 10: how a caller that turns out to be a fax machine is treated.
fn fax_rule(fax: &Fax) -> FaxRule {
    let name = |name: &Option<crate::source::Name>| name.as_ref().map(|n| Arc::clone(&n.value));
    FaxRule {
        mailbox: name(&fax.mailbox),
        device: name(&fax.device),
        listen: fax.listen,
        after: fax.after.as_ref().map(|after| after.value),
        answer_early: fax.answer_early,
        deliver_to: name(&fax.deliver_to),
    }
}

/// How long a fax machine rings before the box takes over.
const FAX_MACHINE_TIMEOUT: Duration = Duration::from_secs(60);

/// 8: to the target, as it was set last; the own DID as caller, no recording, no voicemail (S-50,
/// S-58, S-75).
pub(super) fn forward<'p>(
    call: &mut Call<'p, '_>,
    plan: &'p Plan,
    number: &'p Object<Number>,
) -> Release {
    let live = call.live.and_then(|live| live.number(&number.name));
    let set = live.and_then(|live| live.forward_to.as_ref());
    let target = set.map(|set| &set.value).or(number.forward_to.as_ref().map(|to| &to.value));
    call.record = None;
    match target {
        Some(to) => {
            let rule = format!("number.{}.forward_to", number.name);
            gate::forward(call, plan, Some(number), to, &rule)
        }
        None => {
            call.because(format!("number.{}.forward_to", number.name), "forwarded to nowhere");
            plain_release(480, "no-answer")
        }
    }
}

/// 7 and 9: voicemail, when the number has it; else the release stands.
fn then_voicemail(
    call: &mut Call<'_, '_>,
    plan: &Plan,
    number: &Object<Number>,
    release: Release,
) -> Release {
    let Some(voicemail) = &number.voicemail else { return release };
    let live = call.live.and_then(|live| live.number(&number.name));
    let mode = live.and_then(|live| live.mode.as_ref()).map_or(number.mode, |set| set.value);
    if mode == Mode::Forward {
        // S-50: the box is inert while the number is forwarded.
        return release;
    }
    let rule = format!("number.{}.voicemail", number.name);
    call.voicemail(plan, &voicemail.mailbox.value, &rule)
}

/// 9: rings the number's devices, then voicemail, the fax box or `no_answer`.
pub(super) fn ring<'p>(
    call: &mut Call<'p, '_>,
    plan: &'p Plan,
    number: &'p Object<Number>,
) -> Release {
    let rule = format!("number.{}.ring", number.name);
    let voicemail = number.voicemail.as_ref().map(|voicemail| voicemail.after.value);
    let fax = number.fax.as_ref().map(|fax| &fax.value).filter(|fax| fax.detect != Detect::Off);
    let answers = fax.and_then(|fax| Some((fax, fax.after.as_ref()?.value)));
    // The earlier of the two answers.
    let answers = answers.filter(|(_, after)| voicemail.is_none_or(|voicemail| *after < voicemail));
    let at_most = answers.map(|(_, after)| after).or(voicemail);
    let release = match &number.ring {
        Some(ring) => {
            let called_name = number.title.clone();
            call.ring(plan, ring, Ringing { rule: &rule, at_most, called_name })
        }
        None => {
            call.because(rule, "no device is assigned to the number");
            plain_release(480, "not-reachable")
        }
    };
    if let Some((fax, _)) = answers {
        call.because(format!("number.{}.fax.after", number.name), "then answered as a fax");
        fax_box(call, plan, fax);
        return plain_release(480, "finished");
    }
    if number.voicemail.is_some() {
        return then_voicemail(call, plan, number, release);
    }
    match &number.no_answer {
        Some(action) => {
            call.because(format!("number.{}.no_answer", number.name), "then, when nobody answers");
            call.perform(plan, action)
        }
        None => release,
    }
}

/// What the phones show: the outside number, when it may be known.
fn caller(caller: &Caller, country: &Country) -> Option<Arc<str>> {
    let number = caller.number.as_ref().filter(|_| !caller.anonymous)?;
    Some(shown_number(country, number))
}
