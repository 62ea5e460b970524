//! What the names of trunks stand for (RFC 3263, 4): NAPTR, SRV, A and AAAA, looked up on the
//! service thread and looked up again when they are too old. The control loop hears of hosts, never
//! of names. What cannot be looked up keeps the hosts that it had.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::name_server::TokioConnectionProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::proto::xfer::Protocol;
use hickory_resolver::{ResolveError, TokioResolver};
use koukan_dialplan::{TrunkHostName, TrunkInfo};
use koukan_switch::{TrunkHost, TrunkKey};
use tokio::task::JoinSet;

use crate::control::Request;
use crate::http::Service;

/// How names are looked up.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
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
pub(crate) async fn run(service: Arc<Service>, lookup: Lookup) {
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
        look_up_all(&resolver, &lookup, due.cloned().collect(), &mut known).await;
        tell(&service, &trunks, &known).await;
        let next = known.values().map(|known| known.until).min();
        let wait = next.map_or(LONG, |next| next.saturating_duration_since(Instant::now()));
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

fn resolver(lookup: &Lookup) -> Result<TokioResolver, ResolveError> {
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
    // Each look-up is a new one: the pauses between them are ours.
    options.cache_size = 0;
    Ok(builder.build())
}

async fn look_up_all(
    resolver: &Arc<TokioResolver>,
    lookup: &Lookup,
    names: Vec<Wanted>,
    known: &mut HashMap<Wanted, Known>,
) {
    let mut names = names.into_iter();
    let mut running = JoinSet::new();
    loop {
        while running.len() < AT_ONCE
            && let Some(name) = names.next()
        {
            let (resolver, lookup) = (Arc::clone(resolver), lookup.clone());
            running.spawn(async move { (look_up(&resolver, &lookup, &name).await, name) });
        }
        let Some(done) = running.join_next().await else { return };
        let Ok((outcome, name)) = done else { continue };
        match outcome {
            Ok(found) => drop(known.insert(name, found)),
            Err(error) => {
                let host = &name.0;
                tracing::warn!(%host, %error, "the name of a trunk cannot be looked up");
                let again = Instant::now() + OFTEN;
                let unknown = Known { found: Vec::new(), until: again };
                known.entry(name).or_insert(unknown).until = again;
            }
        }
    }
}

/// RFC 3263, 4.1 and 4.2, for a transport that the plan names: a port or an address leaves nothing
/// to look up but the address; else NAPTR names the SRV record, and without any the name itself is
/// the host.
async fn look_up(
    resolver: &TokioResolver,
    lookup: &Lookup,
    (name, tcp): &Wanted,
) -> Result<Known, ResolveError> {
    if let Some((host, port)) = name.split_once(':') {
        let port = port.parse().unwrap_or(SIP_PORT);
        return addresses(resolver, lookup, host, port).await;
    }
    let service = services(resolver, name, *tcp).await;
    let Ok(records) = resolver.srv_lookup(service.as_str()).await else {
        return addresses(resolver, lookup, name, SIP_PORT).await;
    };
    let mut all = Known { found: Vec::new(), until: records.as_lookup().valid_until() };
    for record in records.iter().take(ADDRESSES) {
        let target = record.target().to_utf8();
        // RFC 2782: the target "." says that the service is not to be had.
        if target == "." {
            continue;
        }
        let Ok(known) = addresses(resolver, lookup, &target, record.port()).await else { continue };
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

/// The name of the SRV record: what NAPTR says, else the usual one.
async fn services(resolver: &TokioResolver, name: &str, tcp: bool) -> String {
    let (wanted, usual) = if tcp { ("SIP+D2T", "_sip._tcp") } else { ("SIP+D2U", "_sip._udp") };
    let records = resolver.lookup(name, RecordType::NAPTR).await;
    let named = records.ok().and_then(|records| {
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
    named.unwrap_or_else(|| format!("{usual}.{name}"))
}

async fn addresses(
    resolver: &TokioResolver,
    lookup: &Lookup,
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

/// Tells the control loop what the names stand for. A trunk of which nothing is known keeps what it
/// had.
async fn tell(service: &Service, trunks: &[Named], known: &HashMap<Wanted, Known>) {
    let mut found = Vec::new();
    for Named { key, hosts, names } in trunks {
        let tcp = names.first().is_some_and(|(_, tcp)| *tcp);
        let list = ranked(hosts, |name| {
            known.get(&(Arc::clone(name), tcp)).map(|known| known.found.as_slice())
        });
        if !list.is_empty() {
            found.push((key.clone(), list));
        }
    }
    for part in found.chunks(AT_ONCE_TOLD) {
        let order = |reply| Request::TrunkHosts(part.to_vec(), reply);
        if let Err(error) = service.control.ask(order).await {
            tracing::warn!(%error, "hosts of trunks are told later");
        }
    }
}

/// The hosts of a trunk: the plan's ranks first, those of SRV records within them.
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
            None => {
                let bare = host.address.split(':').next().unwrap_or_default();
                (Some(Arc::from(bare)), known(&host.address).unwrap_or_default())
            }
        };
        for Found { address, priority, weight } in found {
            let weight = weight.unwrap_or(host.weight);
            let rank = ranks.entry((host.priority, *priority)).or_default();
            rank.push(TrunkHost { address: *address, name: name.clone(), priority: 0, weight });
        }
    }
    let numbered = (1_u16..).zip(ranks.into_values());
    let set = |(priority, rank): (u16, Vec<TrunkHost>)| {
        rank.into_iter().map(move |host| TrunkHost { priority, ..host })
    };
    numbered.flat_map(set).collect()
}

#[cfg(test)]
mod tests;
