//! The outside: `[trunk.X]`, `[outbound]`.

use std::collections::HashMap;
use std::sync::Arc;

use super::device::DeviceKind;
use super::signalling::TrunkSignalling;
use crate::decide::Asker;
use crate::read::{Item, Kind, Secret, Table, noted};
use crate::source::{At, Name};

/// How a trunk writes numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// NTT's NGN and its resellers: national digits.
    JpNgn,
    /// A home gateway: national digits, the called DID in To.
    HomeGateway,
    /// `+` and E.164.
    E164,
}

#[derive(Debug)]
pub(crate) struct Trunk {
    pub(crate) address: Arc<str>,
    pub(crate) profile: Profile,
    pub(crate) register: Option<(Arc<str>, Secret)>,
    pub(crate) numbers: Vec<Name>,
    pub(crate) channels: u32,
    pub(crate) signalling: TrunkSignalling,
}

impl Trunk {
    /// A tenant's own trunk.
    pub(crate) fn read(table: &mut Table<'_>) -> Option<Self> {
        let numbers = table.or("numbers", Vec::new(), |item| item.names(Kind::Number));
        Self::read_of_server(table).map(|trunk| Self { numbers, ..trunk })
    }

    /// A trunk of the whole server: it brings every tenant's numbers.
    pub(crate) fn read_of_server(table: &mut Table<'_>) -> Option<Self> {
        let address = table.req("address", address);
        let profiles = [
            ("jp-ngn", Profile::JpNgn),
            ("home-gateway", Profile::HomeGateway),
            ("e164", Profile::E164),
        ];
        let profile = table.or("profile", Profile::JpNgn, |item| item.choice(&profiles));
        let register = table.opt("register", |item| {
            item.table("trunk.register", |table| {
                let user = table.req("user", Item::text);
                let secret = table.req("secret", Item::secret);
                Some((user?, secret?))
            })
        });
        let channels = table.or("channels", u32::MAX, |item| item.whole(1, 100_000));
        table.opt("calls_per_second", |item| item.whole(1, 10_000));
        let signalling = TrunkSignalling::read(table);
        let numbers = Vec::new();
        Some(Self { address: address?, profile, register, numbers, channels, signalling })
    }
}

/// `127.0.0.1:5070`, `[2001:db8::1]:5060`, `sip.example.jp`, `sip.example.jp:5060`.
fn address(item: Item<'_>) -> Option<Arc<str>> {
    item.parsed("an address: host or host:port, IPv6 in brackets", |text| {
        if text.parse::<std::net::SocketAddr>().is_ok_and(|address| address.port() != 0) {
            return Some(Arc::from(text));
        }
        let (host, port) = text.split_once(':').unwrap_or((text, "5060"));
        let label = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let named = host.len() <= 253 && host.split('.').all(label);
        (named && port.parse::<u16>().is_ok_and(|port| port != 0)).then(|| Arc::from(text))
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
