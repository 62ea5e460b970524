//! Offices as tests want them: the sample, changed, at another time, beside a neighbour, of fifty
//! phones, or another process on the same journal; and what the switch is configured with.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use koukan_base::{Rng, ShardId, Time};
use koukan_dialplan::{Capabilities, Plans, TenantSource};
use koukan_media::Codec;
use koukan_sip::digest::Ha1;
use koukan_sip::registrar::RegistrarConfig;
use koukan_sip::{Credentials, Listener, ListenerId, Transport};
use koukan_switch::{Directory, ListenerMedia, Switch, SwitchConfig, TrunkRoute};

use super::{
    INTERIM, Media, Modules, OFFICE, Office, PASSWORD, Phone, REALM, RTP_TIMEOUT, TRUNK, address,
};

impl Office {
    /// The office on a Wednesday at ten, its phones not registered.
    pub(crate) fn new() -> Self {
        Self::with("2026-07-01T10:00:00+09:00", 1, OFFICE)
    }

    /// The same with every phone registered.
    pub(crate) fn open() -> Self {
        Self::new().registered()
    }

    pub(crate) fn at(date: &str) -> Self {
        Self::with(date, 1, OFFICE).registered()
    }

    /// The office with a change in its plan.
    pub(crate) fn changed(from: &str, to: &str) -> Self {
        assert!(OFFICE.contains(from), "the sample has no {from}");
        Self::with("2026-07-01T10:00:00+09:00", 1, &OFFICE.replace(from, to)).registered()
    }

    /// The office with its plan rewritten.
    pub(crate) fn planned(rewrite: impl Fn(&str) -> String) -> Self {
        Self::with("2026-07-01T10:00:00+09:00", 1, &rewrite(OFFICE)).registered()
    }

    /// The same with room for so many calls at once.
    pub(crate) fn large(calls: usize, rewrite: impl Fn(&str) -> String) -> Self {
        let names = ('A'..='F').chain([TRUNK]);
        let config = SwitchConfig { max_calls: calls, ..config() };
        Self::built("2026-07-01T10:00:00+09:00", 1, &rewrite(OFFICE), (names, config)).registered()
    }

    /// The same at another time.
    pub(crate) fn planned_at(date: &str, rewrite: impl Fn(&str) -> String) -> Self {
        Self::with(date, 1, &rewrite(OFFICE)).registered()
    }

    pub(crate) fn seeded(seed: u64) -> Self {
        Self::with("2026-07-01T10:00:00+09:00", seed, OFFICE)
    }

    /// The office of a seed with its plan rewritten; its phones not registered.
    pub(crate) fn seeded_and_planned(seed: u64, rewrite: impl Fn(&str) -> String) -> Self {
        Self::with("2026-07-01T10:00:00+09:00", seed, &rewrite(OFFICE))
    }

    /// The office with two media workers, which calls are spread over in turn.
    pub(crate) fn on_two_workers() -> Self {
        Self::new().spread()
    }

    /// The same office with two media workers; its phones registered.
    pub(crate) fn spread(mut self) -> Self {
        let directory = self.switch.directory().clone();
        let config = SwitchConfig { workers: 2, ..config() };
        self.switch = Switch::new(config, directory, Rng::from_number(2));
        self.registered()
    }

    /// The office that speaks these codecs; its phones registered.
    pub(crate) fn speaking(codecs: &[Codec]) -> Self {
        let mut office = Self::new();
        let directory = office.switch.directory().clone();
        let config = SwitchConfig { codecs: codecs.to_vec(), ..config() };
        office.switch = Switch::new(config, directory, Rng::from_number(2));
        office.registered()
    }

    /// The same office before its phones are registered, speaking these codecs.
    pub(crate) fn turned_to(mut self, codecs: &[Codec]) -> Self {
        let directory = self.switch.directory().clone();
        let config = SwitchConfig { codecs: codecs.to_vec(), ..config() };
        self.switch = Switch::new(config, directory, Rng::from_number(2));
        self
    }

    /// The office behind a NAT that forwards to it; its phones registered.
    pub(crate) fn showing(shown: IpAddr) -> Self {
        let mut office = Self::new();
        let directory = office.switch.directory().clone();
        let media = ListenerMedia { listener: ListenerId(0), bound: address().ip(), shown };
        let config = SwitchConfig { media: vec![media], ..config() };
        office.switch = Switch::new(config, directory, Rng::from_number(2));
        office.registered()
    }

    /// The office beside another one, whose devices have the same extensions.
    pub(crate) fn with_neighbour() -> Self {
        Self::with_neighbour_planned(str::to_owned)
    }

    /// The same with both plans rewritten.
    pub(crate) fn with_neighbour_planned(rewrite: impl Fn(&str) -> String) -> Self {
        let mut office = Self::open();
        let own = ("acme", rewrite(OFFICE));
        let outside = OFFICE.split_once("\n[[expect]]").map_or(OFFICE, |(plan, _)| plan);
        let outside = rewrite(outside);
        let other = outside
            .replace("id = \"acme\"", "id = \"beta\"")
            .replace("03123400", "03987600")
            .replace("0120000001", "0120000002")
            .replace("127.0.0.1:5070", "127.0.0.1:5071");
        let directory = directory_of(&[own, ("beta", other)], office.date);
        office.install(directory);
        office
    }

    /// The sample's plan without one of its devices.
    pub(crate) fn without(name: char) -> Directory {
        let (before, rest) = OFFICE.split_once(&format!("[device.{name}]")).unwrap();
        let end = rest.find("\n[").unwrap();
        let plan = [before, &rest[end..]].concat().replace(&format!(", \"{name}\""), "");
        let plan = plan.replace(&format!("\"{name}\", "), "");
        directory(&plan, "2026-07-01T10:00:00+09:00".parse().unwrap())
    }

    /// Another process: nothing is left but what the journal keeps.
    pub(crate) fn restart(&mut self) {
        let directory = self.switch.directory().clone();
        let config = SwitchConfig { first_number: 1_000_000, ..config() };
        self.switch = Switch::new(config, directory, Rng::from_number(99));
        self.media = Media::default();
    }

    /// An office of many phones, named by the letters from `a` on, with two media workers; none is
    /// registered.
    pub(crate) fn crowd(seed: u64, count: u8, text: &str) -> Self {
        let names = (0..count).map(|number| char::from(b'a' + number)).chain([TRUNK]);
        let config = SwitchConfig { workers: 2, max_calls: 200, ..config() };
        Self::built("2026-07-01T10:00:00+09:00", seed, text, (names, config))
    }

    fn with(date: &str, seed: u64, text: &str) -> Self {
        Self::built(date, seed, text, (('A'..='F').chain([TRUNK]), config()))
    }

    fn built(
        date: &str,
        seed: u64,
        text: &str,
        (names, config): (impl Iterator<Item = char>, SwitchConfig),
    ) -> Self {
        let date: Timestamp = date.parse().unwrap();
        let directory = Arc::new(directory(text, date));
        Self {
            now: Time::from_millis(1),
            date,
            switch: Switch::new(config, directory, Rng::from_number(seed)),
            phones: names.map(|name| (name, Phone::new(name, seed))).collect(),
            media: Media::default(),
            modules: Modules::default(),
            faxes: Vec::new(),
            wire: BTreeMap::new(),
            packets: 0,
            dice: Rng::from_number(seed ^ 0xD1CE),
            loss_percent: 0,
            unheard: None,
            did: Vec::new(),
            explained: Vec::new(),
            notices: Vec::new(),
            mails: Vec::new(),
            strays: Vec::new(),
        }
    }

    pub(crate) fn registered(mut self) -> Self {
        for name in 'A'..='F' {
            self.register(name, &[]);
        }
        self.run(Duration::from_secs(2));
        assert_eq!(self.switch.registrations(self.now()).len(), 6);
        self
    }
}

fn config() -> SwitchConfig {
    let listener = Listener { id: ListenerId(0), transport: Transport::Udp, advertised: address() };
    SwitchConfig {
        shard: ShardId(0),
        first_number: 0,
        workers: 1,
        listeners: vec![listener],
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
        max_calls: 20,
        rtp_timeout: RTP_TIMEOUT,
        room_part: super::media::ROOM_PART,
        interim_cdr: INTERIM,
    }
}

fn directory(text: &str, date: Timestamp) -> Directory {
    directory_of(&[("acme", text.to_owned())], date)
}

pub(crate) fn directory_of(offices: &[(&str, String)], date: Timestamp) -> Directory {
    let tenant = |(name, text): &(&str, String)| TenantSource {
        name: (*name).to_owned(),
        files: vec![("office.toml".to_owned(), text.clone())],
    };
    let tenants: Vec<TenantSource> = offices.iter().map(tenant).collect();
    let loaded = Plans::load(&tenants, &[], &Capabilities::this_version(), date);
    assert!(loaded.refused.is_empty(), "{:?}", loaded.report);
    let secret = |user: &Arc<str>| Ha1::new(user.as_bytes(), REALM.as_bytes(), PASSWORD.as_bytes());
    let secrets: HashMap<_, _> =
        loaded.plans.devices().map(|device| (device.user.clone(), secret(&device.user))).collect();
    let credentials = |trunk: &koukan_dialplan::TrunkInfo| {
        let account = trunk.account.as_ref()?;
        let (username, password) = (account.auth_user.to_string(), PASSWORD.to_owned());
        Some(Credentials { username, password })
    };
    let trunks = loaded.plans.trunks().map(|trunk| {
        let key = (trunk.tenant.clone(), trunk.name.clone());
        (key, TrunkRoute::of(trunk, credentials(trunk)))
    });
    let home = |tenant: &Arc<str>| (tenant.clone(), Arc::from(format!("/homes/{tenant}")));
    let homes = loaded.plans.tenants().map(home).collect();
    let (trunks, pins) = (trunks.collect(), HashMap::new());
    let pin = |secret: Option<&Arc<str>>| {
        secret.map(|secret| Arc::from(secret.strip_prefix("env:").unwrap_or(secret)))
    };
    let room_pins = loaded
        .plans
        .room_pins()
        .map(|secrets| {
            let (member, moderator) = (pin(secrets.pin), pin(secrets.moderator_pin));
            let key = (secrets.tenant.clone(), secrets.room.clone());
            (key, koukan_switch::RoomPins { member, moderator })
        })
        .collect();
    let plans = Arc::new(loaded.plans);
    Directory { trunks, secrets, homes, pins, room_pins, plans, ..Directory::default() }
}
