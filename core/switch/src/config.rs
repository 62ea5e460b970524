//! What a switch is set up with, and what a reload replaces.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use koukan_base::{ShardId, Shards};
use koukan_dialplan::{NEIGHBOURS, Network, Plans, TrunkInfo};
use koukan_media::Codec;
use koukan_sip::digest::Ha1;
use koukan_sip::registrar::RegistrarConfig;
use koukan_sip::{Credentials, Listener, ListenerId};

use crate::trunk::TrunkHost;

/// How a switch is set up; fixed for its life.
#[derive(Clone, Debug)]
pub struct SwitchConfig {
    /// Its shard.
    pub shard: ShardId,
    /// Where the numbers of calls, legs and streams begin: beyond those of an earlier start, since
    /// records and logs outlive the process. Their lower 48 bits count.
    pub first_number: u64,
    /// Media workers; calls are spread over them in turn.
    pub workers: u16,
    /// SIP listeners.
    pub listeners: Vec<Listener>,
    /// Where media is bound for peers of each listener, and what their SDP shows.
    pub media: Vec<ListenerMedia>,
    /// Where media is bound and what SDP shows, for IPv4, to the peers of any other listener.
    pub media_v4: Option<IpAddr>,
    /// The same for IPv6.
    pub media_v6: Option<IpAddr>,
    /// The codecs that are offered and taken, the preferred first.
    pub codecs: Vec<Codec>,
    /// The directory of recorded calls, one below it a tenant.
    pub recordings: PathBuf,
    /// Whether they are sealed under a key of the server's.
    pub seals_recordings: bool,
    /// The digest realm.
    pub realm: String,
    /// Server and User-Agent header.
    pub server_name: String,
    /// Bounds of registrations.
    pub registrar: RegistrarConfig,
    /// Networks that no wrong password is held against.
    pub trusted: Vec<Network>,
    /// Calls at once, see [`crate::limits::CALLS`].
    pub max_calls: usize,
    /// A party that sends no RTP for so long is gone.
    pub rtp_timeout: Duration,
    /// Members of a conference room on one media worker, before it gets a part on another.
    pub room_part: u32,
    /// How often the record of a running call is written again.
    pub interim_cdr: Duration,
}

/// The media addresses of one listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerMedia {
    /// Which listener.
    pub listener: ListenerId,
    /// Where media is bound.
    pub bound: IpAddr,
    /// What session descriptions show: the same, or a NAT's outside.
    pub shown: IpAddr,
}

/// Where a trunk is and how it is answered when it challenges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkRoute {
    /// Those of its hosts that are addresses; what the names among them stand for comes by
    /// [`crate::Switch::set_trunk_hosts`].
    pub hosts: Vec<TrunkHost>,
    /// Our credentials there.
    pub credentials: Option<Credentials>,
}

/// The PINs of a conference room that has any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomPins {
    /// Everybody's.
    pub member: Option<Arc<str>>,
    /// Of who leads the room.
    pub moderator: Option<Arc<str>>,
}

impl TrunkRoute {
    /// The route to a trunk as far as its plan says it without names.
    #[must_use]
    pub fn of(trunk: &TrunkInfo, credentials: Option<Credentials>) -> Self {
        let hosts = trunk.hosts.iter().filter_map(|host| {
            let address = host.literal()?;
            Some(TrunkHost { address, name: None, priority: host.priority, weight: host.weight })
        });
        Self { hosts: hosts.collect(), credentials }
    }
}

/// Tenant (`None`: of the server) and name of a trunk.
pub type TrunkKey = (Option<Arc<str>>, Arc<str>);

/// Plans and secrets; swapped as a whole by a reload.
#[derive(Debug, Default)]
pub struct Directory {
    /// Every tenant's plan.
    pub plans: Arc<Plans>,
    /// The secret of each SIP user.
    pub secrets: HashMap<Arc<str>, Ha1>,
    /// The directory of each tenant, which the names of its files are below.
    pub homes: HashMap<Arc<str>, Arc<str>>,
    /// By tenant and name, the file that an announcement of an office's own is played from.
    pub sounds: HashMap<Arc<str>, HashMap<Arc<str>, Arc<str>>>,
    /// The PINs of voicemail boxes, by tenant and box.
    pub pins: HashMap<(Arc<str>, Arc<str>), Arc<str>>,
    /// The PINs of conference rooms, by tenant and room.
    pub room_pins: HashMap<(Arc<str>, Arc<str>), RoomPins>,
    /// Where each trunk is.
    pub trunks: HashMap<TrunkKey, TrunkRoute>,
}

impl Directory {
    /// What a shard needs of it: the tenants that are at home there, and the trunks of the server.
    #[must_use]
    pub fn of_shard(self: &Arc<Self>, shards: Shards, shard: ShardId) -> Arc<Self> {
        if shards.is_one() {
            return Arc::clone(self);
        }
        let is_here = |tenant: &str| shards.home(tenant) == shard;
        let plans = self.plans.only(is_here);
        let secret = |(user, secret): (&Arc<str>, &Ha1)| {
            plans.device_by_user(user, "")?;
            Some((Arc::clone(user), secret.clone()))
        };
        let secrets = self.secrets.iter().filter_map(secret).collect();
        fn only<K: Clone + Eq + Hash, V: Clone>(
            all: &HashMap<K, V>,
            keep: impl Fn(&K) -> bool,
        ) -> HashMap<K, V> {
            let kept = all.iter().filter(|(key, _)| keep(key));
            kept.map(|(key, value)| (key.clone(), value.clone())).collect()
        }
        let mut trunks =
            only(&self.trunks, |(tenant, _)| tenant.as_ref().is_none_or(|tenant| is_here(tenant)));
        if let Some(way) = plans.trunk(None, NEIGHBOURS) {
            trunks.insert((None, Arc::clone(&way.name)), TrunkRoute::of(way, None));
        }
        Arc::new(Self {
            secrets,
            homes: only(&self.homes, |tenant| is_here(tenant)),
            sounds: only(&self.sounds, |tenant| is_here(tenant)),
            pins: only(&self.pins, |(tenant, _)| is_here(tenant)),
            room_pins: only(&self.room_pins, |(tenant, _)| is_here(tenant)),
            trunks,
            plans: Arc::new(plans),
        })
    }
}
