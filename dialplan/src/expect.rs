//! `[[expect]]`: what the admin expects of the plan, held against its decisions on every check.

use std::sync::Arc;

use jiff::Timestamp;

use crate::decision::{Caller, Decision, Facts, Origin, State, Step};
use crate::plan::{Expect, Plan};
use crate::plans::Plans;
use crate::text::{Diagnostic, Sources, Value};

/// A quiet office: every phone is registered and no line is taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl State for Quiet {
    fn reachable(&self, _: &str, _: &str) -> bool {
        true
    }

    fn tenant_channels(&self, _: &str) -> u32 {
        0
    }

    fn number_channels(&self, _: &str, _: &str) -> u32 {
        0
    }

    fn trunk_channels(&self, _: Option<&str>, _: &str) -> u32 {
        0
    }
}

/// Every expectation that does not hold.
pub(crate) fn failures(plans: &Plans, plan: &Plan, sources: &Sources) -> Vec<Diagnostic> {
    plan.expects.iter().flat_map(|expect| failures_of(plans, plan, sources, expect)).collect()
}

fn failures_of(plans: &Plans, plan: &Plan, sources: &Sources, expect: &Expect) -> Vec<Diagnostic> {
    let value = &expect.value;
    let at = match value.text_of("at") {
        None => Some(moment(plan, "2026-07-01T10:00").unwrap_or_default()),
        Some(text) => moment(plan, text),
    };
    let Some(at) = at else {
        let hint = "expected a local date and time like \"2026-07-01T12:30\"";
        let place = value.get("at").map_or(&value.place, |at| &at.place);
        return vec![sources.at(place, "not a date and time", hint)];
    };
    let decision = decide(plans, plan, value, at);
    let mut found = Vec::new();
    let mut differs = |key: &str, got: String| {
        let Some(expected) = value.get(key) else { return };
        let wanted = texts(expected).join(" ");
        if wanted != got {
            let got = if got.is_empty() { "nothing" } else { &got };
            let name = value.text_of("name").map_or_else(String::new, |name| format!(" ({name})"));
            let message = format!("the expectation{name} does not hold: {key} is {got}");
            let why: Vec<String> = decision.lines().collect();
            found.push(sources.at(&expected.place, message, why.join("; ")));
        }
    };
    differs("rings", rings(&decision));
    differs("announces", announces(&decision));
    differs("then", then(&decision));
    differs("forwards", outside(&decision, |call| call.number.to_string()));
    differs(
        "shown_caller",
        outside(&decision, |call| call.shown_caller.as_deref().unwrap_or_default().to_owned()),
    );
    differs(
        "refused",
        if decision.steps.is_empty() { decision.release.cause.to_string() } else { String::new() },
    );
    found
}

/// A local date and time of the tenant.
#[must_use]
pub fn moment(plan: &Plan, text: &str) -> Option<Timestamp> {
    let local: jiff::civil::DateTime = text.parse().ok()?;
    plan.timezone.to_timestamp(local).ok()
}

fn decide(plans: &Plans, plan: &Plan, value: &Value, at: Timestamp) -> Decision {
    let called = value.text_of("to").unwrap_or_default();
    let origin = match value.text_of("from_device") {
        Some(device) => Origin::Device { tenant: plan.tenant.clone(), device: device.into() },
        None => Origin::Trunk { tenant: None, trunk: "".into() },
    };
    let caller = Caller { number: value.text_of("from").map(Arc::from), anonymous: false };
    plans.decide(&Facts { at, origin: &origin, caller: &caller, called, state: &Quiet })
}

fn texts(value: &Value) -> Vec<&str> {
    value.items().iter().filter_map(Value::text).collect()
}

fn rings(decision: &Decision) -> String {
    let devices = decision.steps.iter().flat_map(|step| match step {
        Step::Ring { targets, .. } => targets.as_slice(),
        _ => &[],
    });
    devices.map(|target| &*target.device).collect::<Vec<_>>().join(" ")
}

fn announces(decision: &Decision) -> String {
    let name = decision.steps.iter().find_map(|step| match step {
        Step::Announce { name, .. } => Some(name.to_string()),
        _ => None,
    });
    name.unwrap_or_default()
}

/// What follows the first step.
fn then(decision: &Decision) -> String {
    match decision.steps.get(1) {
        Some(Step::Voicemail { mailbox }) => format!("voicemail:{mailbox}"),
        Some(Step::Announce { name, .. }) => format!("announce:{name}"),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

fn outside(decision: &Decision, of: impl Fn(&crate::TrunkCall) -> String) -> String {
    let call = decision.steps.iter().find_map(|step| match step {
        Step::Forward(call) | Step::Trunk(call) => Some(call),
        _ => None,
    });
    call.map(of).unwrap_or_default()
}
