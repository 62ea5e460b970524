//! A switch in a state that a test chooses.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use koukan_dialplan::{Caller, Decision, Facts, Live, Loaded, Origin, Plans, State, Usage};

use super::{load, sample, wednesday};

/// What is true in the switch.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    /// Devices that are not registered.
    pub(crate) off: Vec<&'static str>,
    /// Devices that are in a call.
    pub(crate) in_call: Vec<&'static str>,
    pub(crate) tenant: u32,
    pub(crate) number: u32,
    pub(crate) trunk: u32,
    pub(crate) pool_is_full: bool,
    pub(crate) usage: Usage,
    pub(crate) forwards: u32,
    pub(crate) live: HashMap<String, Live>,
}

impl State for World {
    fn reachable(&self, _tenant: &str, device: &str) -> bool {
        !self.off.contains(&device)
    }
    fn tenant_channels(&self, _tenant: &str) -> u32 {
        self.tenant
    }
    fn number_channels(&self, _tenant: &str, _number: &str) -> u32 {
        self.number
    }
    fn trunk_channels(&self, _tenant: Option<&str>, _trunk: &str) -> u32 {
        self.trunk
    }
    fn in_call(&self, _tenant: &str, device: &str) -> bool {
        self.in_call.contains(&device)
    }
    fn pool_is_full(&self, _tenant: &str) -> bool {
        self.pool_is_full
    }
    fn usage(&self, _tenant: &str, _at: Timestamp) -> Usage {
        self.usage
    }
    fn forwards(&self, _tenant: &str, _number: &str) -> u32 {
        self.forwards
    }
    fn live(&self, tenant: &str) -> Option<&Live> {
        self.live.get(tenant)
    }
}

/// The plans of a text that must be in order.
pub(crate) fn plans(text: &str) -> Plans {
    let Loaded { plans, report, .. } = load(text, &koukan_dialplan::Capabilities::all());
    assert!(report.is_ok(), "{report}");
    plans
}

/// The sample without its expectations, with changes.
pub(crate) fn changed(changes: &[(&str, &str)]) -> String {
    let text = sample();
    let mut text = text.split_once("[[expect]]").expect("the sample has expectations").0.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "the sample has no {from}");
        text = text.replace(from, to);
    }
    text
}

/// A call from outside, by the sample's trunk.
pub(crate) fn call_in(plans: &Plans, at: Timestamp, called: &str, world: &World) -> Decision {
    call_from(plans, at, Some("0455550001"), called, world)
}

pub(crate) fn call_from(
    plans: &Plans,
    at: Timestamp,
    from: Option<&str>,
    called: &str,
    world: &World,
) -> Decision {
    let origin = Origin::Trunk { tenant: Some(Arc::from("acme")), trunk: Arc::from("carrier") };
    let caller =
        Caller { number: from.map(Arc::from), anonymous: from.is_none(), ..Caller::default() };
    plans.decide(&Facts { at, origin: &origin, caller: &caller, called, state: world })
}

/// A call of a device, on the Wednesday of all tests.
pub(crate) fn call_out(plans: &Plans, device: &str, called: &str, world: &World) -> Decision {
    call_out_at(plans, wednesday(), device, called, world)
}

pub(crate) fn call_out_at(
    plans: &Plans,
    at: Timestamp,
    device: &str,
    called: &str,
    world: &World,
) -> Decision {
    let origin = Origin::Device { tenant: Arc::from("acme"), device: Arc::from(device) };
    let caller = Caller::default();
    plans.decide(&Facts { at, origin: &origin, caller: &caller, called, state: world })
}

/// A moment in Japan.
pub(crate) fn at(text: &str) -> Timestamp {
    format!("{text}+09:00").parse().expect("a moment")
}
