//! What the control calls show of the trunks.

use jiff::Timestamp;
use koukan_dialplan::TrunkState;
use serde::Serialize;

use super::hosts::Health;
use crate::action::Now;
use crate::neighbours::is_way;
use crate::registration::date_of;
use crate::switch::Switch;

/// One trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrunkView {
    /// The tenant that owns it; none: of the whole server.
    pub tenant: Option<String>,
    /// Its name in the plan.
    pub trunk: String,
    /// `ready`, `unregistered`, `paced`, `down`, `maintenance`.
    pub state: String,
    /// `registered`, `trying`, `failed 403`; none: we do not register there.
    pub registration: Option<String>,
    /// The host that has our registration.
    pub registered_at: Option<String>,
    /// When it ends unless it is refreshed.
    pub registered_until: Option<Timestamp>,
    /// Its hosts.
    pub hosts: Vec<TrunkHostView>,
    /// Calls under way by it.
    pub calls: u32,
    /// Calls at once; none: without a bound.
    pub channels: Option<u32>,
    /// Calls that began in the last second, where they are counted.
    pub in_second: usize,
    /// Calls that may begin in a second.
    pub calls_per_second: Option<u32>,
    /// Calls that were begun to it.
    pub begun: u64,
    /// Those of them that failed by its fault.
    pub failed: u64,
    /// Who has taken it out.
    pub maintenance_by: Option<String>,
    /// Since when.
    pub maintenance_since: Option<Timestamp>,
}

/// One host of a trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrunkHostView {
    /// Its address.
    pub address: String,
    /// The name that it was found by.
    pub name: Option<String>,
    /// Its priority.
    pub priority: u16,
    /// Its weight.
    pub weight: u16,
    /// `untested`, `alive`, `dead`, `held` (silent lately).
    pub health: String,
    /// How long its last answer to a probe took.
    pub round_trip_ms: Option<u64>,
}

impl TrunkView {
    /// The word of a state.
    const fn word(state: TrunkState) -> &'static str {
        match state {
            TrunkState::Ready => "ready",
            TrunkState::Unregistered => "unregistered",
            TrunkState::Paced => "paced",
            TrunkState::Down => "down",
            TrunkState::Maintenance => "maintenance",
        }
    }

    /// Every word of a state.
    pub const STATES: [&'static str; 5] = ["ready", "unregistered", "paced", "down", "maintenance"];
}

impl Switch {
    /// Every trunk, by tenant and name.
    #[must_use]
    pub fn trunks(&self, now: Now) -> Vec<TrunkView> {
        let mut keys: Vec<_> = self.trunks.by_key.keys().filter(|key| !is_way(key)).collect();
        keys.sort_unstable();
        keys.into_iter().filter_map(|key| self.trunk_view(now, key)).collect()
    }

    fn trunk_view(&self, now: Now, key: &crate::TrunkKey) -> Option<TrunkView> {
        let trunk = self.trunks.by_key.get(key)?;
        let registration = trunk.registration.as_ref().map(|known| match known.failed() {
            Some(status) => format!("failed {status}"),
            None if known.stands().is_some() => "registered".to_owned(),
            None => "trying".to_owned(),
        });
        let stands = trunk.registration.as_ref().and_then(|known| known.stands());
        let hosts = trunk.hosts.all().map(|(host, health)| {
            let held = trunk.hosts.is_held(now.time, host.address);
            let (word, round_trip) = match health {
                Health::Dead => ("dead", None),
                _ if held => ("held", None),
                Health::Untested => ("untested", None),
                Health::Alive { round_trip } => ("alive", Some(round_trip)),
            };
            TrunkHostView {
                address: host.address.to_string(),
                name: host.name.as_deref().map(str::to_owned),
                priority: host.priority,
                weight: host.weight,
                health: word.to_owned(),
                round_trip_ms: round_trip
                    .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            }
        });
        let maintenance = self.trunks.maintenance.get(key);
        Some(TrunkView {
            tenant: key.0.as_deref().map(str::to_owned),
            trunk: key.1.to_string(),
            state: TrunkView::word(self.trunks.state_at(key, now.time)).to_owned(),
            registration,
            registered_at: stands.map(|(host, _)| host.to_string()),
            registered_until: stands.map(|(_, until)| date_of(now, until)),
            hosts: hosts.collect(),
            calls: self.channels.trunk(key.0.as_deref(), &key.1),
            channels: (trunk.info.channels != u32::MAX).then_some(trunk.info.channels),
            in_second: trunk.pace.as_ref().map_or(0, |pace| pace.in_second(now.time)),
            calls_per_second: trunk.info.pace,
            begun: trunk.begun,
            failed: trunk.failed,
            maintenance_by: maintenance.map(|known| known.by.clone()),
            maintenance_since: maintenance.map(|known| known.since),
        })
    }
}
