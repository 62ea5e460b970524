//! Which shard a message belongs to. What answers us, or comes within a dialog, bears the mark of
//! the shard that minted its branch or tag; what is new belongs to the tenant that it names: a
//! phone's, that of the trunk that it comes by, else that of the number that a trunk of the server
//! calls. Strangers are all of one shard. This only says who looks; who may do what is asked there.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use koukan_base::{COMMON_SHARD, ShardId, Shards};
use koukan_dialplan::{NEIGHBOURS_AT, Plans, TrunkHostName};
use koukan_sip::header::Uri;
use koukan_sip::{Header, Message, Method, digest, shard_of_branch, shard_of_tag};

use crate::call::request::dialled;
use crate::config::{Directory, TrunkKey};
use crate::trunk::ResolvedHosts;
use crate::trunk::sources::{Sources, called, chosen};

/// Says of messages whose they are.
#[derive(Debug)]
pub struct Router {
    shards: Shards,
    plans: Arc<Plans>,
    /// What each trunk's hosts were when their names were looked up, and where they are.
    hosts: HashMap<TrunkKey, (Arc<[TrunkHostName]>, Vec<SocketAddr>)>,
    sources: Sources,
    remembered: Remembered,
}

impl Router {
    /// A router over all tenants' directory.
    #[must_use]
    pub fn new(shards: Shards, directory: &Directory) -> Self {
        let mut router = Self {
            shards,
            plans: Arc::default(),
            hosts: HashMap::new(),
            sources: Sources::default(),
            remembered: Remembered::default(),
        };
        router.set_directory(directory);
        router
    }

    /// Other plans are in force.
    pub fn set_directory(&mut self, directory: &Directory) {
        self.plans = Arc::clone(&directory.plans);
        let old = std::mem::take(&mut self.hosts);
        for trunk in self.plans.trunks() {
            let key = (trunk.tenant.clone(), Arc::clone(&trunk.name));
            let Some(route) = directory.trunks.get(&key) else { continue };
            let looked_up = old.get(&key).filter(|(of, _)| *of == trunk.hosts);
            let hosts = match looked_up {
                Some((_, hosts)) => hosts.clone(),
                None => route.hosts.iter().map(|host| host.address).collect(),
            };
            self.hosts.insert(key, (Arc::clone(&trunk.hosts), hosts));
        }
        self.index();
    }

    /// What the names of trunks' hosts stand for now.
    pub fn set_trunk_hosts(&mut self, resolved: &[ResolvedHosts]) {
        for ResolvedHosts { key, of, hosts } in resolved {
            if let Some((known, places)) = self.hosts.get_mut(key)
                && known == of
            {
                *places = hosts.iter().map(|host| host.address).collect();
            }
        }
        self.index();
    }

    fn index(&mut self) {
        let plans = &self.plans;
        let trunks = self.hosts.iter().filter_map(|(key, (_, hosts))| {
            let trunk = plans.trunk(key.0.as_deref(), &key.1)?;
            Some((key, hosts.clone(), &*trunk.sources))
        });
        self.sources = Sources::of(trunks);
    }

    /// The shard that a message from `source` is of.
    pub fn route(&mut self, source: SocketAddr, message: &Message) -> ShardId {
        if self.shards.is_one() {
            return COMMON_SHARD;
        }
        let marked = match message.method() {
            // A subscription may be older than this process, and than its number of shards.
            Some(Method::Subscribe) => self.device_named(message, Method::Subscribe),
            None => message.via().and_then(|via| shard_of_branch(via.branch()?)),
            Some(_) => message.to_tag().and_then(shard_of_tag),
        };
        let marked = marked.and_then(|shard| self.shards.shard(shard.0));
        match (marked, message.method()) {
            (Some(shard), _) => shard,
            // A response to nothing that we asked; whoever looks drops it.
            (None, None) => COMMON_SHARD,
            (None, Some(method)) => self.route_new(source, message, method),
        }
    }

    /// A request outside a dialog. Nothing in here may depend on what changes while a call is set
    /// up: a CANCEL and an INVITE that is sent again go where the INVITE went.
    fn route_new(&mut self, source: SocketAddr, message: &Message, method: Method) -> ShardId {
        if source == NEIGHBOURS_AT {
            return self.owner_of(message).unwrap_or(COMMON_SHARD);
        }
        let is_host = self.sources.is_host(source);
        let named = if is_host { None } else { self.device_named(message, method) };
        if let Some(home) = named {
            return home;
        }
        if method == Method::Cancel
            && let Some(home) = self.remembered.find(message.call_id())
        {
            return home;
        }
        let proved = if is_host { None } else { self.device_given(message) };
        if let Some(home) = proved {
            self.remembered.add(message.call_id(), home);
            return home;
        }
        self.by_trunk(source, message).unwrap_or(COMMON_SHARD)
    }

    /// The home of the phone that a request says that it is of.
    fn device_named(&self, message: &Message, method: Method) -> Option<ShardId> {
        let party = match method {
            Method::Register => message.to(),
            _ => message.from(),
        };
        self.home_of_device(party?.uri()?)
    }

    fn home_of_device(&self, uri: Uri<'_>) -> Option<ShardId> {
        let user = uri.user_unescaped()?;
        let (user, domain) = (std::str::from_utf8(&user).ok()?, std::str::from_utf8(uri.host));
        let device = self.plans.device_by_user(user, domain.ok()?)?;
        Some(self.shards.home(&device.tenant))
    }

    /// The home of the phone whose credentials a request gives: one that hides in From who it is.
    fn device_given(&self, message: &Message) -> Option<ShardId> {
        let headers = [Header::ProxyAuthorization, Header::Authorization];
        let mut given = headers.into_iter().flat_map(|header| message.headers(header));
        given.find_map(|value| {
            let user = std::str::from_utf8(digest::username(value)?).ok()?;
            Some(self.shards.home(&self.plans.device_by_user(user, "")?.tenant))
        })
    }

    /// The home of the neighbour whom an office calls.
    fn owner_of(&self, message: &Message) -> Option<ShardId> {
        let owner = self.plans.owner_of_did(&dialled(message.request_user()))?;
        Some(self.shards.home(owner))
    }

    fn by_trunk(&self, source: SocketAddr, message: &Message) -> Option<ShardId> {
        let keys = self.sources.at(source).into_iter();
        let trunks = keys.filter_map(|key| self.plans.trunk(key.0.as_deref(), &key.1));
        let trunk = chosen(&self.plans, trunks, message)?;
        let owner = match &trunk.tenant {
            Some(tenant) => Some(tenant),
            None => self.plans.owner_of_did(&called(&self.plans, trunk, message)),
        };
        owner.map(|tenant| self.shards.home(tenant))
    }
}

/// INVITEs that were routed by their credentials, which a CANCEL does not have.
#[derive(Debug, Default)]
struct Remembered {
    homes: HashMap<Box<[u8]>, ShardId>,
    order: VecDeque<Box<[u8]>>,
}

/// So many are remembered, the last ones.
const REMEMBERED: usize = 1_024;
/// A Call-ID that is longer is not.
const CALL_ID_BYTES: usize = 256;

impl Remembered {
    fn add(&mut self, call_id: &[u8], home: ShardId) {
        if call_id.len() > CALL_ID_BYTES || self.homes.insert(call_id.into(), home).is_some() {
            return;
        }
        self.order.push_back(call_id.into());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.homes.remove(&oldest);
        }
    }

    fn find(&self, call_id: &[u8]) -> Option<ShardId> {
        self.homes.get(call_id).copied()
    }
}
