//! The outside: `[trunk.X]`, `[outbound]`.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::device::DeviceKind;
use super::signalling::{CodecSet, IdentityHeader, TrunkSignalling};
use crate::decide::Asker;
use crate::read::{Item, Kind, Table, noted};
use crate::source::{At, Name};

/// How a trunk writes numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberFormat {
    /// National digits.
    National,
    /// `+` and E.164.
    E164,
}

/// What kind of line a trunk is: the defaults of its other keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Carriers that take national digits.
    JpNgn,
    /// The user's interface of NTT's NGN: the network verifies the number that we prefer (RFC
    /// 3325, P-Preferred-Identity, with Privacy).
    NgnUni,
    /// A home gateway, where we are an extension: µ-law alone, keys as tones in the sound, the DID
    /// in To, 184 and 186 dialled, sessions of 300 s.
    HomeGateway,
    /// Another network, which trusts us: `+` and E.164, P-Asserted-Identity.
    Interconnect,
    /// `+` and E.164.
    E164,
}

impl Profile {
    const WORDS: [(&'static str, Self); 5] = [
        ("jp-ngn", Self::JpNgn),
        ("ngn-uni", Self::NgnUni),
        ("home-gateway", Self::HomeGateway),
        ("interconnect", Self::Interconnect),
        ("e164", Self::E164),
    ];

    const fn format(self) -> NumberFormat {
        match self {
            Self::JpNgn | Self::NgnUni | Self::HomeGateway => NumberFormat::National,
            Self::Interconnect | Self::E164 => NumberFormat::E164,
        }
    }

    fn signalling(self) -> TrunkSignalling {
        let usual = TrunkSignalling::default();
        match self {
            Self::JpNgn | Self::Interconnect | Self::E164 => usual,
            Self::NgnUni => TrunkSignalling { identity: IdentityHeader::Preferred, ..usual },
            Self::HomeGateway => TrunkSignalling {
                identity: IdentityHeader::Account,
                dialled_privacy: true,
                tones: true,
                codecs: CodecSet::MU_LAW,
                session_expires: Some(Duration::from_secs(300)),
                ..usual
            },
        }
    }
}

#[derive(Debug)]
pub(crate) struct Trunk {
    pub(crate) hosts: Arc<[TrunkHostName]>,
    pub(crate) format: NumberFormat,
    pub(crate) did_in_to: bool,
    pub(crate) account: Option<Arc<Account>>,
    pub(crate) sources: Arc<[Network]>,
    pub(crate) numbers: Vec<Name>,
    pub(crate) channels: u32,
    pub(crate) pace: Option<u32>,
    pub(crate) probe: Option<Duration>,
    pub(crate) over_tcp: bool,
    pub(crate) signalling: TrunkSignalling,
}

/// A host of a trunk as the plan names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkHostName {
    /// `127.0.0.1:5070`, `[2001:db8::1]:5060`, or a host name for the resolver; without a port a
    /// name stands for what its NAPTR and SRV records say (RFC 3263).
    pub address: Arc<str>,
    /// The lowest that lives is called (as of SRV records, RFC 2782).
    pub priority: u16,
    /// Its share among those of its priority.
    pub weight: u16,
}

impl TrunkHostName {
    /// The address, when it is no host name.
    #[must_use]
    pub fn literal(&self) -> Option<SocketAddr> {
        let with_port = self.address.parse::<SocketAddr>().ok();
        let alone = || self.address.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, SIP_PORT));
        let address = with_port.or_else(alone)?;
        Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }

    /// The name without its port, when it is a host name.
    #[must_use]
    pub fn bare(&self) -> &str {
        self.address.split(':').next().unwrap_or_default()
    }
}

const SIP_PORT: u16 = 5060;

/// Who we are at a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user of our address there, and of our contact.
    pub user: Arc<str>,
    /// The user of the digest; mostly the same.
    pub auth_user: Arc<str>,
    /// Where the secret is found, as written.
    pub secret: Arc<str>,
    /// The domain of our address there; none: the host's.
    pub domain: Option<Arc<str>>,
    /// How long a registration is asked for; none: we do not register and only answer challenges.
    pub register: Option<Duration>,
}

/// Addresses with a common beginning (CIDR).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// `203.0.113.0/24`, `2001:db8::/32`, or one address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Self { address, bits })
    }

    /// Whether an address lies in it.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32_u32.saturating_sub(u32::from(self.bits));
                let cut = |ip: std::net::Ipv4Addr| ip.to_bits().checked_shr(shift).unwrap_or(0);
                cut(own) == cut(other)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128_u32.saturating_sub(u32::from(self.bits));
                let cut = |ip: std::net::Ipv6Addr| ip.to_bits().checked_shr(shift).unwrap_or(0);
                cut(own) == cut(other)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Trunk {
    /// A tenant's own trunk.
    pub(crate) fn read(table: &mut Table<'_>) -> Option<Self> {
        let numbers = table.or("numbers", Vec::new(), |item| item.names(Kind::Number));
        Self::read_of_server(table).map(|trunk| Self { numbers, ..trunk })
    }

    /// A trunk of the whole server: it brings every tenant's numbers.
    pub(crate) fn read_of_server(table: &mut Table<'_>) -> Option<Self> {
        let first = table.req("address", address);
        let more = table.or("hosts", Vec::new(), |item| item.list(host));
        let profile = table.or("profile", Profile::JpNgn, |item| item.choice(&Profile::WORDS));
        let formats = [("national", NumberFormat::National), ("e164", NumberFormat::E164)];
        let format = table.or("format", profile.format(), |item| item.choice(&formats));
        let in_to = profile == Profile::HomeGateway;
        let did_in_to = table.or("did", in_to, |i| i.choice(&[("request", false), ("to", true)]));
        let registered = table.opt("register", |item| account(item, true));
        let known = table.opt("auth", |item| account(item, false));
        if registered.is_some() && known.is_some() {
            let place = table.key_place("auth");
            let message = format!("{} has `register` and `auth`", table.path());
            table.reader.error(place, message, "`register` answers challenges too: leave `auth`");
        }
        let channels = table.or("channels", u32::MAX, |item| item.whole(1, 100_000));
        let pace = table.opt("calls_per_second", |item| item.whole(1, 10_000));
        let probe = table.opt("probe", |item| item.seconds(5, 3_600, 1));
        let sources = table.or("sources", Vec::new(), |item| item.list(network));
        let over_tcp = table.or("transport", false, |i| i.choice(&[("udp", false), ("tcp", true)]));
        let signalling = TrunkSignalling::read(table, profile.signalling());
        let first = TrunkHostName { address: first?, priority: 1, weight: 1 };
        Some(Self {
            hosts: std::iter::once(first).chain(more).collect(),
            format,
            did_in_to,
            account: registered.or(known).map(Arc::new),
            sources: sources.into(),
            numbers: Vec::new(),
            channels,
            pace,
            probe,
            over_tcp,
            signalling,
        })
    }
}

fn host(item: Item<'_>) -> Option<TrunkHostName> {
    item.table("trunk.hosts", |table| {
        let address = table.req("address", address);
        let whole = |key, default: u16, min| {
            let read = table.opt(key, |item| item.whole(min, u32::from(u16::MAX)));
            read.and_then(|read| u16::try_from(read).ok()).unwrap_or(default)
        };
        let (priority, weight) = (whole("priority", 2, 0), whole("weight", 1, 0));
        Some(TrunkHostName { address: address?, priority, weight })
    })
}

/// `register = { ... }`, `auth = { ... }`.
fn account(item: Item<'_>, registers: bool) -> Option<Account> {
    let shape = if registers { "trunk.register" } else { "trunk.auth" };
    item.table(shape, |table| {
        let user = table.req("user", user);
        let secret = table.req("secret", Item::secret);
        let domain = table.opt("domain", domain);
        let (auth_user, register) = match registers {
            false => (None, None),
            true => {
                let expires = table.opt("expires", |item| item.seconds(60, 86_400, 1));
                let expires = expires.unwrap_or(Duration::from_secs(3_600));
                (table.opt("auth_user", user_text), Some(expires))
            }
        };
        let user = user?;
        let auth_user = auth_user.unwrap_or_else(|| Arc::clone(&user));
        Some(Account { user, auth_user, secret: secret?.0, domain, register })
    })
}

/// A user that may stand in an address as it is.
fn user(item: Item<'_>) -> Option<Arc<str>> {
    item.parsed("a user: letters, digits and -_.+", |text| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.+".contains(&b);
        (!text.is_empty() && text.len() <= 64 && text.bytes().all(plain)).then(|| Arc::from(text))
    })
}

/// A user of the digest, which stands between quotes.
fn user_text(item: Item<'_>) -> Option<Arc<str>> {
    item.parsed("a user without quotes and control characters", |text| {
        let plain = |c: char| !c.is_control() && c != '"' && c != '\\';
        (!text.is_empty() && text.len() <= 128 && text.chars().all(plain)).then(|| Arc::from(text))
    })
}

fn domain(item: Item<'_>) -> Option<Arc<str>> {
    item.parsed("a domain or an address", |text| {
        let named = is_host(text) || text.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4());
        named.then(|| Arc::from(text))
    })
}

fn network(item: Item<'_>) -> Option<Network> {
    item.parsed("an address or a network such as \"203.0.113.0/24\"", Network::parse)
}

fn is_host(text: &str) -> bool {
    let label = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// `127.0.0.1:5070`, `[2001:db8::1]:5060`, `sip.example.jp`, `sip.example.jp:5060`.
fn address(item: Item<'_>) -> Option<Arc<str>> {
    item.parsed("an address: host or host:port, IPv6 in brackets", |text| {
        if text.parse::<SocketAddr>().is_ok_and(|address| address.port() != 0) {
            return Some(Arc::from(text));
        }
        let (host, port) = text.split_once(':').unwrap_or((text, "5060"));
        let port = port.parse::<u16>().is_ok_and(|port| port != 0);
        (is_host(host) && port).then(|| Arc::from(text))
    })
}

/// Whose classes `outbound.allow` narrows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allowed {
    Kind(DeviceKind),
    Asker(Asker),
}

impl Allowed {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Kind(kind) => kind.as_str(),
            Self::Asker(asker) => asker.as_str(),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Outbound {
    pub(crate) block: Vec<Name>,
    /// Who is named here reaches these classes only.
    pub(crate) allow: Vec<(Allowed, Vec<Name>)>,
    pub(crate) route: HashMap<Arc<str>, Vec<Name>>,
    pub(crate) default_trunk: Option<Name>,
    pub(crate) outside_prefix: Option<At<Arc<str>>>,
    pub(crate) area_code: Option<Arc<str>>,
}

impl Outbound {
    pub(crate) fn read(item: Item<'_>) -> Option<Self> {
        item.table("outbound", |table| {
            Some(Self {
                block: table.or("block", Vec::new(), |item| item.names(Kind::Class)),
                allow: table.or("allow", Vec::new(), allow),
                route: table.or("route", HashMap::new(), route),
                default_trunk: table.opt("default_trunk", |item| item.name(Kind::Trunk)),
                outside_prefix: table.at("outside_prefix", |item| item.plain_digits(2)),
                area_code: table.opt("area_code", Item::area_code),
            })
        })
    }
}

fn allow(item: Item<'_>) -> Option<Vec<(Allowed, Vec<Name>)>> {
    item.table("outbound.allow", |table| {
        let kinds = DeviceKind::WORDS.map(|(word, kind)| (word, Allowed::Kind(kind)));
        let askers = Asker::ALL.map(|asker| (asker.as_str(), Allowed::Asker(asker)));
        let read = |(word, who)| Some((who, table.opt(word, |item| item.names(Kind::Class))?));
        Some(kinds.into_iter().chain(askers).filter_map(read).collect())
    })
}

fn route(item: Item<'_>) -> Option<HashMap<Arc<str>, Vec<Name>>> {
    let reader = item.reader;
    let noted = item.probe_objects(&|item| {
        let one = |item: Item<'_>| noted(item.name(Kind::Trunk));
        noted(item.alternatives(&[&one, &|item| noted(item.names(Kind::Trunk))]));
    });
    if noted {
        return None;
    }
    let entries = item.entries()?;
    let mut routes = HashMap::new();
    for entry in entries {
        let Some(class) = reader.names.find(Kind::Class, &entry.key) else {
            let known = reader.names.of(Kind::Class);
            let hint = crate::diagnostic::did_you_mean(&entry.key, known, "defined in [class]");
            reader.error(entry.key_place, format!("unknown class \"{}\"", entry.key), hint);
            continue;
        };
        let item = Item::new(reader, format!("outbound.route.{}", entry.key), &entry.node);
        let trunks = match item.value() {
            crate::read::Value::List(_) => item.names(Kind::Trunk),
            _ => item.name(Kind::Trunk).map(|name| vec![name]),
        };
        routes.extend(trunks.map(|trunks| (class, trunks)));
    }
    Some(routes)
}
