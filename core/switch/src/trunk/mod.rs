//! Trunks as peers: which of them take calls, where their hosts are, our registrations there, and
//! whose calls come from where. The plan says what a trunk is, the driver what its names stand for;
//! a call to it is made in `call/trunk`.

mod ask;
mod hosts;
mod news;
mod pace;
mod registration;
pub(crate) mod sources;
mod view;

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use koukan_base::{Rng, Time};
use koukan_dialplan::{NEIGHBOURS, TrunkHostName, TrunkInfo, TrunkSignalling, TrunkState};
use koukan_sip::sdp::AudioFormat;
use koukan_sip::{ClientTx, Flow, Header, Message, Transport};
use serde::{Deserialize, Serialize};

pub use self::hosts::TrunkHost;
pub use self::news::{Standing, TrunkNews};
pub use self::view::{TrunkHostView, TrunkView};

pub(crate) use self::ask::{parameter, retry_after};

use self::ask::Question;
use self::hosts::Hosts;
use self::news::Heard;
use self::pace::Pace;
use self::registration::Registration;
use self::sources::{Sources, called, chosen};
use crate::action::{Action, Now};
use crate::config::{TrunkKey, TrunkRoute};
use crate::leg::{Leg, Party};
use crate::neighbours::NEIGHBOURS_LISTENER;
use crate::record::{Note, Record};
use crate::switch::Switch;

/// Whose notes in the journal say that a trunk is in maintenance; no module is called so.
pub const MAINTENANCE_OWNER: &str = "kk:trunk";

/// A trunk that an operator has taken out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Maintenance {
    /// Who.
    pub(crate) by: String,
    /// Since when.
    pub(crate) since: jiff::Timestamp,
}

/// One trunk.
#[derive(Debug)]
struct Trunk {
    info: TrunkInfo,
    route: TrunkRoute,
    hosts: Hosts,
    registration: Option<Registration>,
    /// The Call-ID, our tag and the last CSeq of its REGISTERs.
    call_id: Vec<u8>,
    tag: Vec<u8>,
    cseq: u32,
    pace: Option<Pace>,
    deadline: Option<Time>,
    /// Calls that were begun to it, and those of them that failed by its fault.
    begun: u64,
    failed: u64,
    /// What the other shards say of it.
    heard: Heard,
}

/// What the names of a trunk's hosts stand for.
#[derive(Clone, Debug)]
pub struct ResolvedHosts {
    /// The trunk.
    pub key: TrunkKey,
    /// Its hosts as they stood in the plan when they were looked up.
    pub of: Arc<[TrunkHostName]>,
    /// What they stand for, with those of them that are addresses; no address twice.
    pub hosts: Vec<TrunkHost>,
}

/// Every trunk of the shard.
#[derive(Debug, Default)]
pub(crate) struct Trunks {
    by_key: HashMap<TrunkKey, Box<Trunk>>,
    sources: Sources,
    /// Also of trunks that the plans do not have at this moment.
    maintenance: HashMap<TrunkKey, Maintenance>,
    asked: HashMap<ClientTx, Question>,
    deadlines: BTreeSet<(Time, TrunkKey)>,
    /// The latest time that was seen.
    now: Time,
}

/// Registrations of a start or reload are spread over so long for each of them.
const SPREAD: Duration = Duration::from_millis(20);
/// At most over so long.
const SPREAD_MOST: Duration = Duration::from_secs(60);

impl Trunks {
    /// Time goes on.
    pub(crate) fn see(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    /// Whether a trunk takes a call.
    pub(crate) fn state(&self, key: &TrunkKey) -> TrunkState {
        self.state_at(key, self.now)
    }

    fn state_at(&self, key: &TrunkKey, now: Time) -> TrunkState {
        let Some(trunk) = self.by_key.get(key) else { return TrunkState::Down };
        if self.maintenance.contains_key(key) {
            TrunkState::Maintenance
        } else if trunk.hosts.is_down(now) {
            TrunkState::Down
        } else if trunk.pace.as_ref().is_some_and(|pace| !pace.is_open(now)) {
            TrunkState::Paced
        } else if trunk.registration.as_ref().is_some_and(Registration::is_lacking)
            || trunk.heard.standing.lacking
        {
            TrunkState::Unregistered
        } else {
            TrunkState::Ready
        }
    }

    /// Calls that a trunk takes at once; none when there is no such trunk.
    pub(crate) fn most(&self, key: &TrunkKey) -> u32 {
        self.by_key.get(key).map_or(0, |trunk| trunk.info.channels)
    }

    /// A call to a trunk begins, at another host than those that were tried.
    pub(crate) fn begin(
        &mut self,
        key: &TrunkKey,
        rng: &mut Rng,
        tried: &[SocketAddr],
    ) -> Result<(SocketAddr, Transport), &'static str> {
        let now = self.now;
        if self.maintenance.contains_key(key) {
            return Err(TrunkState::Maintenance.words());
        }
        let trunk = self.by_key.get_mut(key).ok_or("it has no address")?;
        // Calls leave from where we are registered, as carriers want it.
        let registered = trunk.registration.as_ref().and_then(|known| known.stands());
        let registered = registered
            .map(|(host, _)| host)
            .or(trunk.heard.standing.at)
            .filter(|host| !tried.contains(host) && trunk.hosts.is_usable(now, *host));
        let chosen = registered.or_else(|| trunk.hosts.choose(now, rng, tried));
        let Some(host) = chosen else {
            return Err(if tried.is_empty() {
                TrunkState::Down.words()
            } else {
                "it has no other host"
            });
        };
        if trunk.pace.as_mut().is_some_and(|pace| !pace.take(now)) {
            return Err(TrunkState::Paced.words());
        }
        trunk.begun = trunk.begun.saturating_add(1);
        Ok((host, transport(&trunk.info)))
    }

    /// Whether a call may be tried at another host of the trunk.
    pub(crate) fn has_other(&self, key: &TrunkKey, tried: &[SocketAddr]) -> bool {
        let mut rng = Rng::from_number(0);
        let trunk = self.by_key.get(key);
        trunk.is_some_and(|trunk| trunk.hosts.choose(self.now, &mut rng, tried).is_some())
    }

    /// A call failed by the fault of the trunk; `silent`: its host was not there.
    pub(crate) fn call_failed(
        &mut self,
        key: &TrunkKey,
        host: SocketAddr,
        silent: bool,
        retry_after: Option<Duration>,
    ) {
        let Some(trunk) = self.by_key.get_mut(key) else { return };
        trunk.failed = trunk.failed.saturating_add(1);
        if silent {
            trunk.hosts.failed(self.now, host, retry_after);
            self.wake(key);
        }
    }

    /// A host answered a call.
    pub(crate) fn call_answered(&mut self, key: &TrunkKey, host: SocketAddr) {
        if let Some(trunk) = self.by_key.get_mut(key) {
            trunk.hosts.answered(host);
        }
    }

    /// The host name or address that stands in what is sent to a host of the trunk.
    pub(crate) fn domain(&self, key: &TrunkKey, host: SocketAddr) -> String {
        let trunk = self.by_key.get(key);
        let set = trunk.and_then(|trunk| trunk.info.account.as_ref()?.domain.as_deref());
        let name = || trunk.and_then(|trunk| trunk.hosts.at(host)?.name.as_deref());
        set.or_else(name).map_or_else(|| host.to_string(), str::to_owned)
    }

    /// The trunks that a request from here may be of.
    fn at_source(&self, source: SocketAddr) -> impl Iterator<Item = &TrunkInfo> {
        let keys = self.sources.at(source).into_iter();
        keys.filter_map(|key| Some(&self.by_key.get(key)?.info))
    }

    /// Looks anew when a trunk wants to be looked at.
    fn wake(&mut self, key: &TrunkKey) {
        let Some(trunk) = self.by_key.get_mut(key) else { return };
        let registration = trunk.registration.as_ref().and_then(Registration::poll_timeout);
        let next = [trunk.hosts.poll_timeout(), registration].into_iter().flatten().min();
        if trunk.deadline == next {
            return;
        }
        if let Some(old) = trunk.deadline {
            self.deadlines.remove(&(old, key.clone()));
        }
        if let Some(new) = next {
            self.deadlines.insert((new, key.clone()));
        }
        trunk.deadline = next;
    }

    /// When a trunk wants to be looked at next.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Questions of ours that wait for their answers.
    pub(crate) fn waiting(&self) -> usize {
        self.asked.len()
    }

    /// Puts down whose calls come from where.
    fn index(&mut self) {
        let trunks = self.by_key.iter().map(|(key, trunk)| {
            let hosts = trunk.hosts.all().map(|(host, _)| host.address);
            (key, hosts.collect(), &*trunk.info.sources)
        });
        self.sources = Sources::of(trunks);
    }
}

fn transport(info: &TrunkInfo) -> Transport {
    if info.over_tcp { Transport::Tcp } else { Transport::Udp }
}

/// `acme/carrier`, or `carrier` for one of the whole server.
pub(crate) fn shown((tenant, name): &TrunkKey) -> String {
    tenant.as_ref().map_or_else(|| name.to_string(), |tenant| format!("{tenant}/{name}"))
}

impl Switch {
    /// Fits what is known of the trunks to the plans in force: new ones begin, what has changed
    /// registers anew, those that are gone take their registrations back.
    pub(crate) fn fit_trunks(&mut self, now: Time) {
        let directory = Arc::clone(&self.directory);
        let known = |key: &TrunkKey| {
            let plan = directory.plans.trunk(key.0.as_deref(), &key.1);
            plan.filter(|_| directory.trunks.contains_key(key))
        };
        let mut gone: Vec<TrunkKey> =
            self.trunks.by_key.keys().filter(|key| known(key).is_none()).cloned().collect();
        gone.sort_unstable();
        for key in gone {
            self.drop_trunk(now, &key);
        }
        let mut routes: Vec<_> = directory.trunks.iter().collect();
        routes.sort_unstable_by_key(|(key, _)| *key);
        let accounts = directory.plans.trunks().filter_map(|trunk| trunk.account.as_ref());
        let registering = accounts.filter(|account| account.register.is_some()).count();
        let registering = u32::try_from(registering).unwrap_or(u32::MAX);
        let spread = SPREAD.saturating_mul(registering).min(SPREAD_MOST);
        for (key, route) in routes {
            if let Some(info) = known(key) {
                self.fit_trunk(now, key, (info, route), spread);
            }
        }
        self.trunks.index();
    }

    fn fit_trunk(
        &mut self,
        now: Time,
        key: &TrunkKey,
        (info, route): (&TrunkInfo, &TrunkRoute),
        spread: Duration,
    ) {
        if let Some(trunk) = self.trunks.by_key.get(key)
            && trunk.info == *info
            && trunk.route == *route
        {
            return;
        }
        let old = self.trunks.by_key.get(key);
        let same_hosts = old.is_some_and(|old| old.info.hosts == info.hosts);
        let same_account = old.is_some_and(|old| {
            old.info.account == info.account && old.route.credentials == route.credentials
        });
        if old.is_some() && !(same_account && same_hosts) {
            self.take_back(now, key);
        }
        let kept = self.trunks.by_key.remove(key);
        let mut trunk = match kept {
            Some(trunk) => trunk,
            None => Box::new(self.new_trunk(info, route)),
        };
        // Until its names are looked up again, those that it keeps stand for what they did.
        let named = |host: &&TrunkHost| {
            let name = host.name.as_deref();
            name.is_some_and(|name| info.hosts.iter().any(|host| host.bare() == name))
        };
        let resolved = trunk.hosts.all().map(|(host, _)| host);
        let hosts: Vec<TrunkHost> = match same_hosts {
            true => resolved.cloned().collect(),
            false => route.hosts.iter().chain(resolved.filter(named)).cloned().collect(),
        };
        let probe = info.probe.filter(|_| self.is_home_of(key));
        trunk.hosts.set(now, &hosts, probe);
        if !self.is_home_of(key) {
            trunk.hosts.hear(&trunk.heard.standing.dead);
        }
        trunk.pace = match (trunk.pace.take(), info.pace) {
            (Some(mut pace), Some(most)) => {
                pace.set(most);
                Some(pace)
            }
            (_, most) => most.map(Pace::new),
        };
        let register = info.account.as_ref().and_then(|account| account.register);
        let register = register.filter(|_| self.is_home_of(key));
        if !(same_account && same_hosts) || trunk.registration.is_none() {
            let spread_ms = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX).max(1);
            let begin = now + Duration::from_millis(self.rng.next_u64() % spread_ms);
            trunk.registration = register.map(|expires| {
                Registration::new(begin, u32::try_from(expires.as_secs()).unwrap_or(3_600))
            });
        }
        (trunk.info, trunk.route) = (info.clone(), route.clone());
        self.trunks.by_key.insert(key.clone(), trunk);
        self.trunks.wake(key);
    }

    fn new_trunk(&mut self, info: &TrunkInfo, route: &TrunkRoute) -> Trunk {
        let mut word = || format!("{:016x}{:016x}", self.rng.next_u64(), self.rng.next_u64());
        let (call_id, tag) = (word().into_bytes(), word().into_bytes());
        Trunk {
            info: info.clone(),
            route: route.clone(),
            hosts: Hosts::default(),
            registration: None,
            call_id,
            tag,
            cseq: 0,
            pace: None,
            deadline: None,
            begun: 0,
            failed: 0,
            heard: Heard::default(),
        }
    }

    fn drop_trunk(&mut self, now: Time, key: &TrunkKey) {
        self.take_back(now, key);
        if let Some(trunk) = self.trunks.by_key.remove(key)
            && let Some(deadline) = trunk.deadline
        {
            self.trunks.deadlines.remove(&(deadline, key.clone()));
        }
    }

    /// What the names of trunks' hosts stand for now. What was looked up for a plan that is not in
    /// force any more is passed over.
    pub fn set_trunk_hosts(&mut self, now: Now, resolved: &[ResolvedHosts]) {
        self.trunks.see(now.time);
        let mut changed = false;
        for resolved in resolved {
            changed |= self.set_hosts_of(now, resolved);
        }
        if changed {
            self.trunks.index();
            self.drain(now);
        }
    }

    /// Whether the hosts of a trunk are others now.
    fn set_hosts_of(&mut self, now: Now, ResolvedHosts { key, of, hosts }: &ResolvedHosts) -> bool {
        let is_home = self.is_home_of(key);
        let Some(trunk) = self.trunks.by_key.get_mut(key) else { return false };
        if trunk.info.hosts != *of || trunk.hosts.all().map(|(host, _)| host).eq(hosts) {
            return false;
        }
        let known = |host: &TrunkHost| trunk.hosts.at(host.address).is_some();
        let all_known = hosts.iter().all(known);
        trunk.hosts.set(now.time, hosts, trunk.info.probe.filter(|_| is_home));
        self.trunks.wake(key);
        if all_known {
            return true;
        }
        // Where we have not been refused yet.
        let registration = self.trunks.by_key.get_mut(key).and_then(|t| t.registration.as_mut());
        if let Some(registration) = registration.filter(|known| known.stands().is_none()) {
            registration.hurry(now.time);
            self.trunks.wake(key);
        }
        let places: Vec<String> = hosts.iter().map(|host| host.address.to_string()).collect();
        let text = format!("trunk {} is at {}", shown(key), places.join(", "));
        self.actions.extend(is_home.then_some(Action::Notice { grave: false, text }));
        true
    }

    /// Takes a trunk out, or in again (`by`: who says so): no new calls go to it or come from it,
    /// those that are up stay. False when there is no such trunk.
    pub fn set_maintenance(&mut self, now: Now, key: &TrunkKey, by: &str, on: bool) -> bool {
        if !self.trunks.by_key.contains_key(key) {
            return false;
        }
        let maintenance = Maintenance { by: by.to_owned(), since: now.date };
        let value = if on { serde_json::to_string(&maintenance).ok() } else { None };
        match on {
            true => drop(self.trunks.maintenance.insert(key.clone(), maintenance)),
            false => drop(self.trunks.maintenance.remove(key)),
        }
        let note = Note {
            module: MAINTENANCE_OWNER.to_owned(),
            tenant: key.0.as_deref().unwrap_or_default().to_owned(),
            key: key.1.to_string(),
            value,
        };
        self.actions.push_back(Action::Record(Record::Note(note)));
        let state = if on { "in maintenance" } else { "in service again" };
        let text = format!("trunk {} is {state}, {by} says", shown(key));
        self.actions.push_back(Action::Notice { grave: on, text });
        true
    }

    /// Takes over from the journal which trunks were in maintenance; before anything else comes in.
    pub fn restore_maintenance<'n>(&mut self, notes: impl IntoIterator<Item = &'n Note>) {
        for note in notes.into_iter().filter(|note| note.module == MAINTENANCE_OWNER) {
            let tenant = (!note.tenant.is_empty()).then(|| Arc::from(note.tenant.as_str()));
            let value = note.value.as_deref().and_then(|text| serde_json::from_str(text).ok());
            if let Some(maintenance) = value {
                let key = (tenant, Arc::from(note.key.as_str()));
                self.trunks.maintenance.insert(key, maintenance);
            }
        }
    }

    /// Whether a phone calls from the address of a trunk's host, by another port: it is registered
    /// from there, or gives credentials, which a trunk is never asked for.
    pub(crate) fn is_phone_beside_trunk(&self, source: SocketAddr, message: &Message) -> bool {
        let realm = self.config.realm.as_bytes();
        let gives = || {
            let mut given = message.headers(Header::ProxyAuthorization);
            given.any(|value| crate::registration::contains(value, realm))
        };
        !self.trunks.sources.is_host(source) && (self.registrar.is_source(source) || gives())
    }

    /// The trunk that a request came from; among several at one address the one whose account it
    /// names, else the one whose office has the number that is called.
    pub(crate) fn trunk_of(&self, flow: Flow, message: &Message) -> Option<TrunkInfo> {
        let at_source = self.trunks.at_source(flow.remote);
        // What bears the way's address is from there only where it came by its listener.
        let at_source = at_source
            .filter(|trunk| (*trunk.name == *NEIGHBOURS) == (flow.listener == NEIGHBOURS_LISTENER));
        chosen(&self.directory.plans, at_source, message).cloned()
    }

    /// Leaves of the formats those that the trunk of a leg takes; whether keys are tones there.
    pub(crate) fn narrow_by_trunk(&self, leg: &Leg, formats: &mut Vec<AudioFormat>) -> bool {
        let signalling = self.trunk_signalling(leg);
        formats.retain(|format| signalling.is_none_or(|set| set.codecs.has(&format.name)));
        signalling.is_some_and(|set| set.tones)
    }

    /// How the trunk of a leg wants to be spoken to.
    fn trunk_signalling(&self, leg: &Leg) -> Option<TrunkSignalling> {
        let Party::Trunk((tenant, name)) = &leg.party else { return None };
        Some(self.directory.plans.trunk(tenant.as_deref(), name)?.signalling)
    }

    /// Whether an operator has taken this trunk out.
    pub(crate) fn is_in_maintenance(&self, trunk: &TrunkInfo) -> bool {
        let key = (trunk.tenant.clone(), Arc::clone(&trunk.name));
        self.trunks.maintenance.contains_key(&key)
    }

    /// What a trunk calls.
    pub(crate) fn called_by_trunk(&self, trunk: &TrunkInfo, message: &Message) -> Arc<str> {
        called(&self.directory.plans, trunk, message)
    }
}
