//! The plans of some of a server's tenants, and the way to the others: an office that is at home on
//! another control shard is called by a trunk that no plan names, which carries nothing but such
//! calls, costs nothing and has no bound.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::{Plans, TrunkInfo};
use crate::country::Country;
use crate::model::outside::{NumberFormat, TrunkHostName};
use crate::model::signalling::TrunkSignalling;

/// The name of the trunk between the shards of a server; no trunk of a plan can be called so.
pub const NEIGHBOURS: &str = "kk:neighbours";

/// Where it is: nothing is ever sent to this address.
pub const NEIGHBOURS_AT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

impl Plans {
    /// The same with those tenants alone whose ids are wanted; the others are their neighbours.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(&str) -> bool) -> Self {
        let mut few =
            Self { nobody: self.nobody.clone(), ..Self::of(self.capabilities, self.shared) };
        few.server_trunks.clone_from(&self.server_trunks);
        few.server_trunks.push(way());
        few.everywhere = Some(self.by_did.clone());
        for plan in self.tenants.iter().filter(|plan| wanted(&plan.tenant.id.value)) {
            few.add(Arc::clone(plan));
        }
        few
    }

    /// Whether a number, in the national form of a country, is a neighbour's.
    pub(crate) fn is_neighbours(&self, country: &Country, did: &str) -> bool {
        let Some(everywhere) = &self.everywhere else { return false };
        let did = country.e164(did);
        self.by_did.get(&did).is_none() && everywhere.get(&did).is_some()
    }
}

fn way() -> TrunkInfo {
    let address = Arc::from(NEIGHBOURS_AT.to_string());
    TrunkInfo {
        tenant: None,
        name: Arc::from(NEIGHBOURS),
        hosts: [TrunkHostName { address, priority: 0, weight: 0 }].into(),
        channels: u32::MAX,
        did_in_to: false,
        account: None,
        sources: [].into(),
        pace: None,
        probe: None,
        over_tcp: false,
        signalling: TrunkSignalling::default(),
        format: NumberFormat::E164,
    }
}
