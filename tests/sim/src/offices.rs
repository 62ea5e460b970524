//! The offices: the sample plan, several times, with numbers and a carrier of their own, and with
//! some of the choices that a plan has.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use koukan_base::ShardId;
use koukan_dialplan::{Capabilities, Plans, TenantSource};
use koukan_media::Codec;
use koukan_sip::digest::Ha1;
use koukan_sip::registrar::RegistrarConfig;
use koukan_sip::{Listener, ListenerId, Transport};
use koukan_switch::{Directory, SwitchConfig, TrunkRoute};

use crate::book::{Book, Office};

/// The exchange's address.
pub(crate) const EXCHANGE: &str = "192.0.2.1:5060";
/// The password of every phone.
pub(crate) const PASSWORD: &str = "secret";
const REALM: &str = "koukan";
/// A phone that is silent for so long has gone.
const RTP_TIMEOUT: Duration = Duration::from_secs(30);

const SAMPLE: &str = include_str!("../../../conf/tenants/acme/office.toml");

/// How the plan of one office differs from the sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    from: &'static str,
    to: &'static str,
}

/// Every second office follows redirections of its third phone; every third one is told its
/// messages without asking; every fourth one's carrier wants short sessions and Diversion.
const CHANGES: [(u8, Change); 3] = [
    (2, Change { from: "ext = \"803\"", to: "ext = \"803\"\nredirect = true" }),
    (3, Change { from: "ext = \"804\"", to: "ext = \"804\"\nmwi = \"unsolicited\"" }),
    (
        4,
        Change {
            from: "profile = \"jp-ngn\"",
            to: "profile = \"jp-ngn\"\nsession_expires = \"90s\"\ndiversion = \"diversion\"",
        },
    ),
];

pub(crate) fn address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5060))
}

/// Where the carrier of an office is.
pub(crate) fn carrier(office: u8) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, office.saturating_add(1)], 5060))
}

/// Its SIP users are `office0-801` and so on.
fn tenant(office: u8) -> String {
    format!("office{office}")
}

fn plan(office: u8, without: Option<&str>) -> String {
    let plan = SAMPLE.split_once("\n[[expect]]").map_or(SAMPLE, |(plan, _)| plan);
    let mut text = plan
        .replace("id = \"acme\"", &format!("id = \"{}\"", tenant(office)))
        .replace("03123400", &format!("03{}00", 1234 + u32::from(office)))
        .replace("0120000001", &format!("0120000{:03}", u32::from(office) + 1))
        .replace("127.0.0.1:5070", &carrier(office).to_string());
    for (nth, change) in CHANGES {
        if office.is_multiple_of(nth) {
            text = text.replacen(change.from, change.to, 1);
        }
    }
    match without {
        Some(device) => dismissed(&text, device),
        None => text,
    }
}

/// The plan without one of its devices.
fn dismissed(text: &str, device: &str) -> String {
    let head = format!("[device.{device}]");
    let Some((before, rest)) = text.split_once(&head) else { return text.to_owned() };
    let end = rest.find("\n[").unwrap_or(rest.len());
    let after = rest.get(end..).unwrap_or_default();
    let kept = [before, after].concat();
    let listed = format!("\"{device}\"");
    // In a ring list it stands last or before another.
    kept.replace(&format!("{listed}, "), "").replace(&format!(", {listed}"), "")
}

/// The numbers that people of the offices may call, and that outside calls.
pub(crate) fn book(offices: u8) -> Book {
    let office = |number: u8| Office {
        tenant: tenant(number),
        users: (801..=806).map(|extension| format!("{}-{extension}", tenant(number))).collect(),
        extensions: (801..=806).map(|extension| extension.to_string()).collect(),
        numbers: (1..=3).map(|last| format!("03{}000{last}", 1234 + u32::from(number))).collect(),
    };
    Book { offices: (0..offices).map(office).collect() }
}

/// The directory; `without` names an office and a device that it has no more.
///
/// # Errors
/// What the plans' reader says: the sample has changed.
pub(crate) fn directory(
    offices: u8,
    date: Timestamp,
    without: Option<(u8, &str)>,
) -> Result<Directory, String> {
    let source = |office: u8| {
        let gone = without.filter(|(of, _)| *of == office).map(|(_, device)| device);
        TenantSource {
            name: tenant(office),
            files: vec![("office.toml".to_owned(), plan(office, gone))],
        }
    };
    let tenants: Vec<TenantSource> = (0..offices).map(source).collect();
    let loaded = Plans::load(&tenants, &[], &Capabilities::this_version(), date);
    if !loaded.refused.is_empty() {
        return Err(format!("{:?}", loaded.report));
    }
    let secret = |user: &Arc<str>| Ha1::new(user.as_bytes(), REALM.as_bytes(), PASSWORD.as_bytes());
    let secrets: HashMap<_, _> =
        loaded.plans.devices().map(|device| (device.user.clone(), secret(&device.user))).collect();
    let trunks = loaded.plans.trunks().map(|trunk| {
        let key = (trunk.tenant.clone(), trunk.name.clone());
        (key, TrunkRoute::of(trunk, None))
    });
    let (trunks, plans) = (trunks.collect(), Arc::new(loaded.plans));
    Ok(Directory { trunks, secrets, plans, ..Directory::default() })
}

/// The switch's set-up: a listener for datagrams, one for connections, two media workers.
pub(crate) fn config() -> SwitchConfig {
    let listener =
        |id, transport| Listener { id: ListenerId(id), transport, advertised: address() };
    SwitchConfig {
        shard: ShardId(0),
        first_number: 0,
        workers: 2,
        listeners: vec![listener(0, Transport::Udp), listener(1, Transport::Tcp)],
        media: Vec::new(),
        media_v4: Some(IpAddr::from([192, 0, 2, 1])),
        media_v6: None,
        codecs: vec![Codec::Pcmu, Codec::Pcma],
        recordings: "/recordings".into(),
        seals_recordings: false,
        realm: REALM.to_owned(),
        server_name: "koukan".to_owned(),
        registrar: RegistrarConfig::default(),
        trusted: Vec::new(),
        max_calls: 200,
        rtp_timeout: RTP_TIMEOUT,
        room_part: 500,
        interim_cdr: Duration::from_secs(60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_office_has_its_phones_and_one_can_lose_a_device() {
        let date = Timestamp::UNIX_EPOCH;
        let whole = directory(12, date, None).expect("plans");
        assert_eq!((whole.secrets.len(), whole.trunks.len()), (72, 12));
        let less = directory(12, date, Some((3, "B"))).expect("plans");
        assert_eq!(less.secrets.len(), 71);
        assert!(!less.secrets.contains_key("office3-802"));
        let book = book(12);
        let numbers: Vec<&String> =
            book.offices.iter().flat_map(|office| &office.numbers).collect();
        assert_eq!(numbers.len(), 36);
        assert!(
            book.offices.iter().flat_map(|o| &o.users).all(|u| whole.secrets.contains_key(&**u))
        );
    }
}
