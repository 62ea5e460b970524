//! A call to a DID of this server, from a trunk or from a device (inbound order, 1 to 11).

use std::sync::Arc;
use std::time::Duration;

use super::{Call, gate, plain_release};
use crate::country;
use crate::decision::{Caller, Direction, PromptRef, Release, RingTarget, Start, Step};
use crate::model::Plan;
use crate::model::number::{Fax, Mode, Number, Role};
use crate::model::objects::Object;
use crate::read::{Action, Do};

/// What to do, before who may do it is asked.
enum Way<'p> {
    Ring,
    Forward,
    Announce(&'p Arc<str>),
    Other(&'p Action),
}

/// 1: finds the number.
pub(super) fn from_trunk(call: &mut Call<'_, '_>, tenant: Option<&str>, trunk: &str) -> Release {
    call.direction = Direction::Inbound;
    call.caller = caller(call.facts.caller);
    let called = country::JAPAN.canonical(call.facts.called);
    let plans = call.plans;
    let found = plans.number_by_did(&called).filter(|(plan, number)| match tenant {
        None => true,
        // A tenant's trunk brings the numbers that the plan gave it, and nobody else's.
        Some(tenant) => {
            let numbers = plan.trunks.find(trunk).map(|trunk| trunk.numbers.as_slice());
            let mut numbers = numbers.unwrap_or_default().iter();
            &*plan.tenant.id.value == tenant
                && (numbers.len() == 0 || numbers.any(|name| name.value == number.name))
        }
    });
    let Some((plan, number)) = found else {
        call.because("inbound.number", format!("{called} is no number of trunk {trunk}"));
        let language = plans.language_of(tenant);
        let prompt = Some(PromptRef { language, name: Arc::from("unallocated") });
        return Release { status: 404, prompt, cause: Arc::from("unknown-number") };
    };
    call.because("inbound.number", format!("{called} is number.{}", number.name));
    to_number(call, plan, number, Some((tenant, trunk)))
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
    call.tenant = Arc::clone(&plan.tenant.id.value);
    let number = toll_free_target(call, plan, number);
    call.number = Some(Arc::clone(&number.name));
    if let Some(release) = refused_caller(call, number) {
        return release;
    }
    let fax = number.fax.as_ref().filter(|fax| fax.only);
    let way = way(call, plan, number);
    let needs_channel = match &way {
        Way::Ring | Way::Forward => true,
        Way::Announce(_) => fax.is_some(),
        Way::Other(action) => fax.is_some() || needs_channel(action),
    };
    // Calls from inside take no channel of the office.
    if let Some((owner, trunk)) = trunk.filter(|_| needs_channel) {
        if let Some(cause) = full(call, plan, number, owner, trunk) {
            return when_full(call, plan, number, &way, fax.is_some(), &cause);
        }
        call.uses_channel = true;
    }
    if let Some(fax) = fax {
        return fax_only(call, plan, number, fax);
    }
    match way {
        Way::Announce(name) => {
            let release = call.announce(plan, name);
            then_voicemail(call, number, release)
        }
        Way::Forward => match &number.forward_to {
            Some(to) => {
                let rule = format!("number.{}.forward_to", number.name);
                gate::forward(call, plan, Some(number), &to.value, &rule)
            }
            None => plain_release(480, "no-answer"),
        },
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
    let target = number.target.as_ref().filter(|_| number.role == Role::Tollfree);
    let Some(target) = target.and_then(|target| plan.numbers.find(&target.value)) else {
        return number;
    };
    let text = format!("toll-free: goes on as number.{}, the office pays", target.name);
    call.because(format!("number.{}.target", number.name), text);
    target
}

/// 3: the block list and the rule on anonymous callers (accepted unless the plan says otherwise).
fn refused_caller(call: &mut Call<'_, '_>, number: &Object<Number>) -> Option<Release> {
    let Caller { number: caller, anonymous } = call.facts.caller;
    let hidden = *anonymous || caller.is_none();
    if hidden && number.block_anonymous && call.direction == Direction::Inbound {
        call.because(format!("number.{}.block_anonymous", number.name), "the caller is anonymous");
        return Some(plain_release(433, "anonymous"));
    }
    let from = country::JAPAN.canonical(caller.as_deref()?);
    let blocked = |entry: &Arc<str>| country::JAPAN.canonical(entry) == from;
    if !number.blocked.iter().any(blocked) {
        return None;
    }
    call.because(format!("number.{}.blocked", number.name), format!("{from} is blocked"));
    Some(plain_release(603, "blocked-caller"))
}

/// 4: the mode, or the schedule's cell.
fn way<'p>(call: &mut Call<'p, '_>, plan: &'p Plan, number: &'p Object<Number>) -> Way<'p> {
    let name = &number.name;
    let schedule = number.schedule.as_ref().and_then(|name| plan.schedules.find(&name.value));
    let action = match (number.mode, schedule) {
        (Mode::Ring, _) | (Mode::Schedule, None) => {
            call.because(format!("number.{name}.mode"), "ring");
            return Way::Ring;
        }
        (Mode::Forward, _) => {
            call.because(format!("number.{name}.mode"), "forward");
            return Way::Forward;
        }
        (Mode::Schedule, Some(schedule)) => {
            let verdict = schedule.at(call.local(plan));
            let text = verdict.to_string();
            call.because(format!("number.{name}.schedule"), format!("{}: {text}", schedule.name));
            verdict.action
        }
    };
    match &action.what {
        Do::Ring => Way::Ring,
        Do::Forward(None) => Way::Forward,
        Do::Announce(announcement) => Way::Announce(&announcement.value),
        Do::Forward(Some(_))
        | Do::Voicemail(_)
        | Do::VoicemailMenu
        | Do::Group(_)
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
        return then_voicemail(call, number, busy);
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
fn fax_only(call: &mut Call<'_, '_>, plan: &Plan, number: &Object<Number>, fax: &Fax) -> Release {
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
        release = call.ring_targets(plan, vec![target], FAX_MACHINE_TIMEOUT, None, &rule);
    }
    if let Some(mailbox) = &fax.mailbox {
        call.steps.push(Step::Fax { mailbox: Arc::clone(&mailbox.value) });
    }
    release
}

/// How long a fax machine rings before the box takes over.
const FAX_MACHINE_TIMEOUT: Duration = Duration::from_secs(60);

/// 7 and 9: voicemail, when the number has it; else the release stands.
fn then_voicemail(call: &mut Call<'_, '_>, number: &Object<Number>, release: Release) -> Release {
    let Some(voicemail) = &number.voicemail else { return release };
    if number.mode == Mode::Forward {
        // S-50: the box is inert while the number is forwarded.
        return release;
    }
    let mailbox = Arc::clone(&voicemail.mailbox.value);
    call.because(format!("number.{}.voicemail", number.name), format!("then box {mailbox}"));
    call.steps.push(Step::Voicemail { mailbox });
    plain_release(480, "voicemail")
}

/// 9: rings the number's devices.
fn ring<'p>(call: &mut Call<'p, '_>, plan: &'p Plan, number: &'p Object<Number>) -> Release {
    let rule = format!("number.{}.ring", number.name);
    let after = number.voicemail.as_ref().map(|voicemail| voicemail.after.value);
    let release = match &number.ring {
        Some(ring) => call.ring(plan, ring, &rule, number.title.clone(), after),
        None => {
            call.because(rule, "no device is assigned to the number");
            plain_release(480, "not-reachable")
        }
    };
    if number.voicemail.is_some() {
        return then_voicemail(call, number, release);
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
fn caller(caller: &Caller) -> Option<Arc<str>> {
    let number = caller.number.as_ref().filter(|_| !caller.anonymous)?;
    Some(match country::JAPAN.canonical(number) {
        std::borrow::Cow::Borrowed(_) => Arc::clone(number),
        std::borrow::Cow::Owned(number) => Arc::from(number),
    })
}
