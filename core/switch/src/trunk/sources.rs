//! Whose calls come from where: the trunks at an address, which of them a request is of, and what
//! it calls. The switch asks it of the trunks that it knows, the router of those of all shards.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use koukan_dialplan::{Network, Plans, TrunkInfo};
use koukan_sip::Message;

use crate::call::request::dialled;
use crate::config::TrunkKey;

/// The addresses of trunks.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    by_address: HashMap<IpAddr, Vec<(u16, TrunkKey)>>,
    networks: Vec<(Network, TrunkKey)>,
}

impl Sources {
    /// Those of trunks: key, hosts, and the networks that calls come from besides.
    pub(crate) fn of<'t>(
        trunks: impl Iterator<Item = (&'t TrunkKey, Vec<SocketAddr>, &'t [Network])>,
    ) -> Self {
        let mut trunks: Vec<_> = trunks.collect();
        // A seed replays the same run.
        trunks.sort_unstable_by_key(|(key, ..)| *key);
        let mut sources = Self::default();
        for (key, hosts, networks) in trunks {
            for host in hosts {
                let here = sources.by_address.entry(host.ip().to_canonical()).or_default();
                here.push((host.port(), key.clone()));
            }
            sources.networks.extend(networks.iter().map(|network| (*network, key.clone())));
        }
        sources
    }

    /// The trunks that a request from here may be of: those of its address and port, else those of
    /// its address, else those of a network around it. On a loopback address everybody shares it,
    /// phones too, and the port must match.
    pub(crate) fn at(&self, source: SocketAddr) -> Vec<&TrunkKey> {
        let ip = source.ip().to_canonical();
        let here = self.by_address.get(&ip).map(Vec::as_slice).unwrap_or_default();
        let exact = here.iter().filter(|(port, _)| *port == source.port());
        let mut keys: Vec<&TrunkKey> = exact.map(|(_, key)| key).collect();
        if keys.is_empty() && !ip.is_loopback() {
            keys = here.iter().map(|(_, key)| key).collect();
        }
        if keys.is_empty() {
            let held = self.networks.iter().filter(|(network, _)| network.holds(ip));
            keys = held.map(|(_, key)| key).collect();
        }
        keys
    }

    /// Whether a trunk's host is at this very address and port.
    pub(crate) fn is_host(&self, source: SocketAddr) -> bool {
        let here = self.by_address.get(&source.ip().to_canonical());
        here.is_some_and(|here| here.iter().any(|(port, _)| *port == source.port()))
    }
}

/// Among several trunks at one address the one whose account a request names, else the one whose
/// office has the number that is called, else the first.
pub(crate) fn chosen<'t>(
    plans: &Plans,
    mut at_source: impl Iterator<Item = &'t TrunkInfo>,
    message: &Message,
) -> Option<&'t TrunkInfo> {
    let first = at_source.next()?;
    let others: Vec<&TrunkInfo> = at_source.collect();
    if others.is_empty() {
        return Some(first);
    }
    let all = || std::iter::once(first).chain(others.iter().copied());
    let user = message.request_user();
    let by_account = all().find(|trunk| {
        let account = trunk.account.as_ref();
        account.is_some_and(|own| user.as_deref() == Some(own.user.as_bytes()))
    });
    let by_number = || {
        all().find(|trunk| {
            let called = called(plans, trunk, message);
            let owner = plans.owner_of_did(&called);
            owner.is_some_and(|owner| trunk.tenant.as_ref().is_none_or(|own| own == owner))
        })
    };
    Some(by_account.or_else(by_number).unwrap_or(first))
}

/// What a trunk calls: the DID stands in the Request-URI, in To, or, where that is our account
/// there and no number of ours, wherever one is.
pub(crate) fn called(plans: &Plans, trunk: &TrunkInfo, message: &Message) -> Arc<str> {
    if trunk.did_in_to {
        return dialled(message.to_user());
    }
    let called = dialled(message.request_user());
    let account = trunk.account.as_ref().is_some_and(|account| account.user == called);
    if !account {
        return called;
    }
    let in_to = dialled(message.to_user());
    if plans.is_did(&in_to) { in_to } else { called }
}
