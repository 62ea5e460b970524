//! Feature codes that flip a live setting (S-23, S-56): the night key, forwarding ON and OFF, where
//! a phone's own calls go on, do not disturb. The decision says which settings change; whoever
//! executes it keeps them.

use std::sync::Arc;

use super::{Call, outbound, plain_release};
use crate::decision::{Release, Step};
use crate::live::{Asker, Change, Live, OFF};
use crate::model::Plan;
use crate::model::device::Device;
use crate::model::objects::Object;
use crate::model::services::FeatureCode;

/// What a code changes; `None` for a code that changes no setting. The number is the one that the
/// device shows: it is the one its user answers for.
pub(super) fn changes<'p>(
    call: &mut Call<'p, '_>,
    plan: &'p Plan,
    device: &Object<Device>,
    feature: FeatureCode,
    argument: &str,
) -> Option<Vec<Change>> {
    let mut own = || {
        let shown = outbound::shown_of(call, plan, device);
        shown.map_or_else(|| Arc::from(""), |number| Arc::clone(&number.name))
    };
    Some(match feature {
        FeatureCode::Night => {
            let number = own();
            let live = call.live.and_then(|live| live.number(&number));
            let closed = live.and_then(|live| live.closed.as_ref()).is_some_and(|set| set.value);
            vec![Change::Closed { number, closed: Some(!closed) }]
        }
        FeatureCode::ForwardOn => {
            let number = own();
            let to = (!argument.is_empty()).then(|| Some(Arc::from(argument)));
            let target = to.map(|to| Change::ForwardTo { number: Arc::clone(&number), to });
            target.into_iter().chain([Change::Forwarding { number, on: true }]).collect()
        }
        FeatureCode::ForwardOff => vec![Change::Forwarding { number: own(), on: false }],
        FeatureCode::Divert(cause) => {
            let to = Some(Arc::from(if argument.is_empty() { OFF } else { argument }));
            vec![Change::DeviceForward { device: Arc::clone(&device.name), cause, to }]
        }
        FeatureCode::Dnd => {
            let on = call.live.is_some_and(|live| live.dnd(&device.name).is_some());
            vec![Change::Dnd { device: Arc::clone(&device.name), on: Some(!on) }]
        }
        FeatureCode::Agent => {
            let away = call.live.is_some_and(|live| live.is_off_duty(&device.name));
            vec![Change::Agent { device: Arc::clone(&device.name), on: Some(away) }]
        }
        FeatureCode::Park
        | FeatureCode::ThreeWay
        | FeatureCode::Pickup
        | FeatureCode::Intercom
        | FeatureCode::Monitor
        | FeatureCode::Whisper
        | FeatureCode::Barge
        | FeatureCode::Record
        | FeatureCode::ShowNumber
        | FeatureCode::Voicemail => return None,
    })
}

/// Has the settings changed and confirms it: one beep for ON, two for OFF. What the plan does not
/// allow is refused before anything changes.
pub(super) fn set(call: &mut Call<'_, '_>, plan: &Plan, changes: Vec<Change>) -> Release {
    let mut tried = call.live.cloned().unwrap_or_else(Live::new);
    let by = Arc::from("feature code");
    let (at, capabilities) = (call.facts.at, call.plans.capabilities());
    let asker = Asker { by: &by, at, capabilities };
    for change in &changes {
        if let Err(why) = tried.take_change(plan, change, &asker) {
            call.because("settings", why.to_string());
            let prompt = Some(call.prompt(plan, "refused"));
            return Release { status: 403, prompt, cause: Arc::from("setting") };
        }
    }
    let off = |change: &Change| match change {
        Change::Closed { closed: Some(on), .. }
        | Change::Dnd { on: Some(on), .. }
        | Change::Agent { on: Some(on), .. }
        | Change::Forwarding { on, .. } => !on,
        Change::DeviceForward { to: Some(to), .. } => **to == *OFF,
        _ => false,
    };
    let on = !changes.iter().any(off);
    call.because("settings", if on { "switched on" } else { "switched off" });
    call.steps.push(Step::Set { changes });
    for _ in 0..if on { 1 } else { 2 } {
        let prompt = call.prompt(plan, "beep");
        let name = Arc::clone(&prompt.name);
        call.steps.push(Step::Announce { name, prompt, answered: true });
    }
    plain_release(480, "finished")
}
