//! Channels in use: counted from a call's life and freed by its end, whatever ends it. Which calls
//! take one of the office's is said by the decision (`uses_channel`).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use crate::config::TrunkKey;

/// What a call holds; given back as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// One of the tenant's.
    Tenant(Arc<str>),
    /// One of a number's.
    Number(Arc<str>, Arc<str>),
    /// One of a trunk's.
    Trunk(TrunkKey),
}

/// The counts of one shard.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Channels {
    tenants: HashMap<Arc<str>, u32>,
    numbers: HashMap<(Arc<str>, Arc<str>), u32>,
    trunks: HashMap<TrunkKey, u32>,
}

impl Channels {
    pub(crate) fn take(&mut self, channel: &Channel) {
        match channel {
            Channel::Tenant(tenant) => up(&mut self.tenants, tenant.clone()),
            Channel::Number(tenant, name) => up(&mut self.numbers, (tenant.clone(), name.clone())),
            Channel::Trunk(key) => up(&mut self.trunks, key.clone()),
        }
    }

    pub(crate) fn give_back(&mut self, channel: &Channel) {
        match channel {
            Channel::Tenant(tenant) => down(&mut self.tenants, tenant),
            Channel::Number(tenant, name) => {
                down(&mut self.numbers, &(tenant.clone(), name.clone()));
            }
            Channel::Trunk(key) => down(&mut self.trunks, key),
        }
    }

    pub(crate) fn tenant(&self, tenant: &str) -> u32 {
        self.tenants.get(tenant).copied().unwrap_or(0)
    }

    pub(crate) fn number(&self, tenant: &str, name: &str) -> u32 {
        self.numbers.get(&(tenant.into(), name.into())).copied().unwrap_or(0)
    }

    pub(crate) fn trunk(&self, tenant: Option<&str>, name: &str) -> u32 {
        self.trunks.get(&(tenant.map(Arc::from), name.into())).copied().unwrap_or(0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tenants.is_empty() && self.numbers.is_empty() && self.trunks.is_empty()
    }
}

fn up<K: Hash + Eq>(counts: &mut HashMap<K, u32>, key: K) {
    let count = counts.entry(key).or_insert(0);
    *count = count.saturating_add(1);
}

fn down<K: Hash + Eq>(counts: &mut HashMap<K, u32>, key: &K) {
    let left = counts.get_mut(key).map(|count| {
        *count = count.saturating_sub(1);
        *count
    });
    if left == Some(0) {
        counts.remove(key);
    }
}
