//! What the names of trunks stand for (RFC 3263, 4): NAPTR, SRV, A and AAAA, looked up on the
//! service thread and looked up again when they are too old. The control loop hears of hosts, never
//! of names. What cannot be looked up keeps the hosts that it had.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::name_server::TokioConnectionProvider;
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::proto::xfer::Protocol;
use hickory_resolver::proto::{ProtoError, ProtoErrorKind};
use hickory_resolver::{ResolveError, TokioResolver};
use koukan_dialplan::{TrunkHostName, TrunkInfo};
use koukan_switch::{ResolvedHosts, TrunkHost, TrunkKey};
use tokio::task::JoinSet;

use crate::http::Service;

/// How names are looked up.
#[derive(Clone, Debug)]
pub(crate) struct NameLookup {
    /// Instead of those of the system.
    pub(crate) nameservers: Vec<SocketAddr>,
    /// Whether there is a listener for IPv4.
    pub(crate) v4: bool,
    /// Whether there is one for IPv6.
    pub(crate) v6: bool,
}

/// A name that is looked up: the host as the plan writes it, and the transport.
type Wanted = (Arc<str>, bool);

/// A trunk that has hosts with names: all its hosts, and those names.
#[derive(Debug)]
struct Named {
    key: TrunkKey,
    hosts: Arc<[TrunkHostName]>,
    names: Vec<Wanted>,
}

/// An address that a name stands for, as its SRV record ranks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    address: SocketAddr,
    priority: u16,
    /// That of the SRV record; none: the plan's.
    weight: Option<u16>,
}

/// What is known of one name.
#[derive(Clone, Debug)]
struct Known {
    found: Vec<Found>,
    until: Instant,
}

/// No name is looked up more often, whatever its records say.
const OFTEN: Duration = Duration::from_secs(30);
/// What could not be told is told again.
const SOON: Duration = Duration::from_secs(5);
/// None is believed for longer.
const LONG: Duration = Duration::from_secs(3_600);
/// Names that are looked up at once.
const AT_ONCE: usize = 16;
/// Trunks that the control loop hears of at once.
const AT_ONCE_TOLD: usize = 200;
/// Addresses of one name.
const ADDRESSES: usize = 16;
const SIP_PORT: u16 = 5060;

/// Looks names up for as long as the runtime runs.
pub(crate) async fn run(service: Arc<Service>, lookup: NameLookup) {
    let resolver = match resolver(&lookup) {
        Ok(resolver) => Arc::new(resolver),
        Err(error) => return tracing::error!(%error, "names of trunks cannot be looked up"),
    };
    let mut known: HashMap<Wanted, Known> = HashMap::new();
    loop {
        let trunks = named_trunks(&service).await;
        let wanted: BTreeSet<Wanted> =
            trunks.iter().flat_map(|trunk| trunk.names.clone()).collect();
        known.retain(|name, _| wanted.contains(name));
        let now = Instant::now();
        let due = wanted.iter().filter(|name| known.get(name).is_none_or(|k| k.until <= now));
        let mut told = tell(&service, &trunks, &known).await;
        let mut looked_up = LookUps::new(&resolver, &lookup, due.cloned().collect());
        // A name that nobody answers for holds up none of the others.
        while let Some((name, outcome)) = looked_up.next().await {
            note(&name, outcome, &mut known);
            let has = |trunk: &&Named| trunk.names.contains(&name);
            told &= tell(&service, trunks.iter().filter(has), &known).await;
        }
        let next = known.values().map(|known| known.until).min();
        let most = if told { LONG } else { SOON };
        let wait = next.map_or(most, |next| next.saturating_duration_since(Instant::now()));
        let wait = wait.min(most);
        // Woken when other plans come into force.
        let woken = service.plans_changed.notified();
        let _ = tokio::time::timeout(wait.max(Duration::from_secs(1)), woken).await;
    }
}

/// The trunks that have a host with a name, with those names.
async fn named_trunks(service: &Service) -> Vec<Named> {
    let directory = Arc::clone(&service.generations.lock().await.current().directory);
    let named = |trunk: &TrunkInfo| {
        let names = trunk.hosts.iter().filter(|host| host.literal().is_none());
        let names: Vec<Wanted> =
            names.map(|host| (Arc::clone(&host.address), trunk.over_tcp)).collect();
        let key = (trunk.tenant.clone(), Arc::clone(&trunk.name));
        let hosts = Arc::clone(&trunk.hosts);
        (!names.is_empty()).then_some(Named { key, hosts, names })
    };
    directory.plans.trunks().filter_map(named).collect()
}

fn resolver(lookup: &NameLookup) -> Result<TokioResolver, ResolveError> {
    let mut builder = if lookup.nameservers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let mut config = ResolverConfig::new();
        for server in &lookup.nameservers {
            for protocol in [Protocol::Udp, Protocol::Tcp] {
                config.add_name_server(NameServerConfig::new(*server, protocol));
            }
        }
        TokioResolver::builder_with_config(config, TokioConnectionProvider::default())
    };
    let options = builder.options_mut();
    options.timeout = Duration::from_secs(3);
    options.attempts = 2;
    options.ip_strategy = match (lookup.v4, lookup.v6) {
        (true, true) => LookupIpStrategy::Ipv4AndIpv6,
        (false, true) => LookupIpStrategy::Ipv6Only,
        _ => LookupIpStrategy::Ipv4Only,
    };
    // Each look-up is a new one: the pauses between them are ours.
    options.cache_size = 0;
    Ok(builder.build())
}

/// Names that are looked up, some of them at a time.
struct LookUps {
    resolver: Arc<TokioResolver>,
    lookup: NameLookup,
    names: std::vec::IntoIter<Wanted>,
    running: JoinSet<(Wanted, Result<Known, ResolveError>)>,
}

impl LookUps {
    fn new(resolver: &Arc<TokioResolver>, lookup: &NameLookup, names: Vec<Wanted>) -> Self {
        let (resolver, lookup) = (Arc::clone(resolver), lookup.clone());
        Self { resolver, lookup, names: names.into_iter(), running: JoinSet::new() }
    }

    /// The next name of which something is known; `None` when all are through.
    async fn next(&mut self) -> Option<(Wanted, Result<Known, ResolveError>)> {
        loop {
            while self.running.len() < AT_ONCE
                && let Some(name) = self.names.next()
            {
                let (resolver, lookup) = (Arc::clone(&self.resolver), self.lookup.clone());
                self.running.spawn(async move {
                    let outcome = look_up(&resolver, &lookup, &name).await;
                    (name, outcome)
                });
            }
            if let Ok(done) = self.running.join_next().await? {
                return Some(done);
            }
        }
    }
}

/// Takes down what a look-up brought; without an answer a name stands for what it did.
fn note(name: &Wanted, outcome: Result<Known, ResolveError>, known: &mut HashMap<Wanted, Known>) {
    match outcome {
        Ok(found) => drop(known.insert(name.clone(), found)),
        Err(error) => {
            let host = &name.0;
            tracing::warn!(%host, %error, "the name of a trunk cannot be looked up");
            let again = Instant::now() + OFTEN;
            let unknown = Known { found: Vec::new(), until: again };
            known.entry(name.clone()).or_insert(unknown).until = again;
        }
    }
}

/// RFC 3263, 4.1 and 4.2, for a transport that the plan names: a port or an address leaves nothing
/// to look up but the address; else NAPTR names the SRV record, and without any the name itself is
/// the host.
async fn look_up(
    resolver: &TokioResolver,
    lookup: &NameLookup,
    (name, tcp): &Wanted,
) -> Result<Known, ResolveError> {
    if let Some((host, port)) = name.split_once(':') {
        let port = port.parse().unwrap_or(SIP_PORT);
        return addresses(resolver, lookup, host, port).await;
    }
    let service = services(resolver, name, *tcp).await?;
    let records = match resolver.srv_lookup(service.as_str()).await {
        Ok(records) => records,
        Err(error) if says_none(&error) => {
            return addresses(resolver, lookup, name, SIP_PORT).await;
        }
        Err(error) => return Err(error),
    };
    let mut all = Known { found: Vec::new(), until: records.as_lookup().valid_until() };
    for record in records.iter().take(ADDRESSES) {
        let target = record.target().to_utf8();
        // RFC 2782: the target "." says that the service is not to be had.
        if target == "." {
            continue;
        }
        let known = match addresses(resolver, lookup, &target, record.port()).await {
            Ok(known) => known,
            Err(error) if says_none(&error) => continue,
            Err(error) => return Err(error),
        };
        all.until = all.until.min(known.until);
        let ranked = known.found.into_iter().map(|found| Found {
            priority: record.priority(),
            weight: Some(record.weight()),
            ..found
        });
        all.found.extend(ranked);
    }
    all.found.truncate(ADDRESSES);
    Ok(all.believed())
}

/// Whether a name server has said that there is no such record; silence and trouble are no answer.
fn says_none(error: &ResolveError) -> bool {
    let Some(ProtoErrorKind::NoRecordsFound { response_code, .. }) =
        error.proto().map(ProtoError::kind)
    else {
        return false;
    };
    matches!(response_code, ResponseCode::NXDomain | ResponseCode::NoError)
}

/// The name of the SRV record: what NAPTR says, else the usual one.
async fn services(resolver: &TokioResolver, name: &str, tcp: bool) -> Result<String, ResolveError> {
    let (wanted, usual) = if tcp { ("SIP+D2T", "_sip._tcp") } else { ("SIP+D2U", "_sip._udp") };
    let records = match resolver.lookup(name, RecordType::NAPTR).await {
        Ok(records) => Some(records),
        // Some name servers have never heard of NAPTR and say so in many ways.
        Err(error) if error.is_no_records_found() => None,
        Err(error) => return Err(error),
    };
    let named = records.and_then(|records| {
        let naptr = records.iter().filter_map(|data| match data {
            RData::NAPTR(naptr) => Some(naptr),
            _ => None,
        });
        let fits = naptr.filter(|record| {
            record.services().eq_ignore_ascii_case(wanted.as_bytes())
                && record.flags().eq_ignore_ascii_case(b"s")
        });
        let best = fits.min_by_key(|record| (record.order(), record.preference()))?;
        Some(best.replacement().to_utf8())
    });
    Ok(named.unwrap_or_else(|| format!("{usual}.{name}")))
}

async fn addresses(
    resolver: &TokioResolver,
    lookup: &NameLookup,
    host: &str,
    port: u16,
) -> Result<Known, ResolveError> {
    let answer = resolver.lookup_ip(host).await?;
    let reached = |ip: &IpAddr| if ip.is_ipv4() { lookup.v4 } else { lookup.v6 };
    let found = answer.iter().filter(reached).take(ADDRESSES).map(|ip| Found {
        address: SocketAddr::new(ip, port),
        priority: 0,
        weight: None,
    });
    let found = found.collect();
    Ok(Known { found, until: answer.valid_until() }.believed())
}

impl Known {
    /// Within what a name may be believed for.
    fn believed(mut self) -> Self {
        let now = Instant::now();
        self.until = self.until.clamp(now + OFTEN, now + LONG);
        self
    }
}

/// Tells the control loop what the names stand for; whether it has heard. A trunk of which nothing
/// is known keeps what it had.
async fn tell<'t>(
    service: &Service,
    trunks: impl IntoIterator<Item = &'t Named>,
    known: &HashMap<Wanted, Known>,
) -> bool {
    let mut found = Vec::new();
    for Named { key, hosts, names } in trunks {
        let tcp = names.first().is_some_and(|(_, tcp)| *tcp);
        let list = ranked(hosts, |name| {
            known.get(&(Arc::clone(name), tcp)).map(|known| known.found.as_slice())
        });
        if !list.is_empty() {
            found.push(ResolvedHosts { key: key.clone(), of: Arc::clone(hosts), hosts: list });
        }
    }
    let mut told = true;
    for part in found.chunks(AT_ONCE_TOLD) {
        if let Err(error) = service.control.set_trunk_hosts(part).await {
            tracing::warn!(%error, "hosts of trunks are told later");
            told = false;
        }
    }
    told
}

/// The hosts of a trunk: the plan's ranks first, those of SRV records within them; each address
/// once, in the same order whatever the order of the answers.
fn ranked<'k>(
    hosts: &[TrunkHostName],
    known: impl Fn(&Arc<str>) -> Option<&'k [Found]>,
) -> Vec<TrunkHost> {
    let mut ranks: BTreeMap<(u16, u16), Vec<TrunkHost>> = BTreeMap::new();
    for host in hosts {
        let one;
        let (name, found) = match host.literal() {
            Some(address) => {
                one = [Found { address, priority: 0, weight: None }];
                (None, one.as_slice())
            }
            None => (Some(Arc::from(host.bare())), known(&host.address).unwrap_or_default()),
        };
        for Found { address, priority, weight } in found {
            let weight = weight.unwrap_or(host.weight);
            let rank = ranks.entry((host.priority, *priority)).or_default();
            rank.push(TrunkHost { address: *address, name: name.clone(), priority: 0, weight });
        }
    }
    let mut seen = BTreeSet::new();
    let mut hosts = Vec::new();
    for (priority, mut rank) in (1_u16..).zip(ranks.into_values()) {
        // Name servers turn their answers round: that changes nothing.
        rank.sort_by_key(|host| host.address);
        rank.retain(|host| seen.insert(host.address));
        hosts.extend(rank.into_iter().map(|host| TrunkHost { priority, ..host }));
    }
    hosts.truncate(TrunkHost::MOST);
    hosts
}

#[cfg(test)]
mod tests;
