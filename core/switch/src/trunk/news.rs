//! What shards say to each other of the trunks of the whole server. One of them is at home there:
//! it registers and asks the hosts, and the others hear how it stands. Channels and calls a second
//! are everybody's: each shard says what it has begun, and counts what it heard to its own. Between
//! two turns a shard does not know what another begins, so that a cap may be passed by a call for
//! each other shard that begins one in that moment; the carrier's own refusal leads to the next
//! trunk.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use koukan_base::{COMMON_SHARD, ShardId};

use super::{Registration, Trunk, Trunks};
use crate::action::Now;
use crate::config::TrunkKey;
use crate::neighbours::is_way;
use crate::switch::Switch;

/// What a shard has to say of one trunk of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkNews {
    /// Which shard says it.
    pub from: ShardId,
    /// The trunk's name.
    pub trunk: Arc<str>,
    /// Its calls there now.
    pub channels: u32,
    /// Its calls that have begun there since the start.
    pub begun: u64,
    /// How the trunk stands, from the shard that is at home there.
    pub standing: Option<Standing>,
}

/// How a trunk stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// It wants to be registered at, and we are not.
    pub lacking: bool,
    /// Where we are registered.
    pub at: Option<SocketAddr>,
    /// The hosts that do not answer.
    pub dead: Vec<SocketAddr>,
}

/// What a shard has heard and said of one trunk.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Channels and calls begun of each other shard.
    counts: BTreeMap<ShardId, (u32, u64)>,
    /// How it stands, for a shard that is not at home there.
    pub(super) standing: Standing,
    said: Option<TrunkNews>,
}

impl Trunks {
    /// Calls that other shards have on a trunk.
    pub(crate) fn elsewhere(&self, key: &TrunkKey) -> u32 {
        let heard = self.by_key.get(key).map(|trunk| &trunk.heard);
        let counts = heard.into_iter().flat_map(|heard| heard.counts.values());
        counts.fold(0, |sum, (channels, _)| sum.saturating_add(*channels))
    }
}

impl Trunk {
    fn standing(&self) -> Standing {
        let registration = self.registration.as_ref();
        Standing {
            lacking: registration.is_some_and(Registration::is_lacking),
            at: registration.and_then(Registration::stands).map(|(host, _)| host),
            dead: self.hosts.dead(),
        }
    }
}

impl Switch {
    /// Whether this shard registers at a trunk and asks its hosts whether they are there.
    pub(super) fn is_home_of(&self, key: &TrunkKey) -> bool {
        key.0.is_some() || self.config.shard == COMMON_SHARD
    }

    /// Calls on a trunk, of every shard.
    pub(crate) fn channels_of_trunk(&self, key: &TrunkKey) -> u32 {
        let own = self.channels.trunk(key.0.as_deref(), &key.1);
        own.saturating_add(self.trunks.elsewhere(key))
    }

    /// What is new to the other shards about the trunks of the server, to be asked behind a turn.
    pub fn trunk_news(&mut self) -> Vec<TrunkNews> {
        let from = self.config.shard;
        let mut news = Vec::new();
        for (key, trunk) in
            self.trunks.by_key.iter_mut().filter(|(key, _)| key.0.is_none() && !is_way(key))
        {
            let now = TrunkNews {
                from,
                trunk: Arc::clone(&key.1),
                channels: self.channels.trunk(None, &key.1),
                begun: trunk.begun,
                standing: (from == COMMON_SHARD).then(|| trunk.standing()),
            };
            if trunk.heard.said.as_ref() != Some(&now) {
                trunk.heard.said = Some(now.clone());
                news.push(now);
            }
        }
        news.sort_by(|a, b| a.trunk.cmp(&b.trunk));
        news
    }

    /// Says everything again the next time: somebody has not heard it.
    pub fn repeat_trunk_news(&mut self) {
        self.trunks.by_key.values_mut().for_each(|trunk| trunk.heard.said = None);
    }

    /// What another shard says of trunks of the server.
    pub fn hear_trunks(&mut self, now: Now, news: &[TrunkNews]) {
        self.trunks.see(now.time);
        for TrunkNews { from, trunk: name, channels, begun, standing } in news {
            let key = (None, Arc::clone(name));
            let is_guest = !self.is_home_of(&key);
            let Some(trunk) = self.trunks.by_key.get_mut(&key) else { continue };
            let old = trunk.heard.counts.insert(*from, (*channels, *begun));
            let fresh = begun.saturating_sub(old.map_or(0, |(_, begun)| begun));
            if let Some(pace) = &mut trunk.pace {
                pace.note(now.time, fresh);
            }
            if let Some(standing) = standing.as_ref().filter(|_| is_guest) {
                trunk.hosts.hear(&standing.dead);
                trunk.heard.standing.clone_from(standing);
            }
        }
    }
}
