//! Several shards beside each other: each a switch over its own tenants, and the router that says
//! whose a message is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use koukan_base::{COMMON_SHARD, Rng, ShardId, Shards, Time};
use koukan_dialplan::{Capabilities, Plans, TenantSource};
use koukan_media::{Codec, Command, Event};
use koukan_sip::digest::{Ha1, answer};
use koukan_sip::registrar::RegistrarConfig;
use koukan_sip::{
    Credentials, Flow, Header, Listener, ListenerId, Message, Method, Scanner, Transport,
};
use koukan_switch::{
    Action, Directory, NEIGHBOURS_LISTENER, Now, Router, Switch, SwitchConfig, TrunkNews,
    TrunkRoute, neighbours_listener, neighbours_media,
};
use proptest::prelude::*;

const REALM: &str = "koukan";
const SERVER: &str = "192.0.2.1:5060";
const CARRIER: &str = "198.51.100.1:5060";

const TRUNKS: &str = "schema = 1\n[trunk.carrier]\naddress = \"198.51.100.1\"\nchannels = 1\n\
    register = { user = \"line1\", secret = \"env:X\" }\n";

fn office(number: usize) -> String {
    format!(
        "schema = 1\n[tenant]\nid = \"office-{number}\"\ntimezone = \"Asia/Tokyo\"\n\
         [device.A]\next = \"801\"\nkind = \"desk\"\nsecret = \"env:X\"\n\
         [device.B]\next = \"802\"\nkind = \"desk\"\nsecret = \"env:X\"\n\
         [number.main]\ndid = \"031234{number:04}\"\nrole = \"contract\"\n\
         ring = {{ devices = [\"A\"] }}\nmode = \"ring\"\n\
         [outbound]\ndefault_trunk = \"carrier\"\n"
    )
}

fn date() -> Timestamp {
    "2026-07-01T10:00:00+09:00".parse().unwrap()
}

fn directory(offices: usize) -> Arc<Directory> {
    let tenants: Vec<TenantSource> = (0..offices)
        .map(|number| TenantSource {
            name: format!("office-{number}"),
            files: vec![("office.toml".to_owned(), office(number))],
        })
        .collect();
    let trunks = [("trunks.toml".to_owned(), TRUNKS.to_owned())];
    let loaded = Plans::load(&tenants, &trunks, &Capabilities::this_version(), date());
    assert!(loaded.refused.is_empty(), "{:?}", loaded.report);
    let secret = |user: &Arc<str>| Ha1::new(user.as_bytes(), REALM.as_bytes(), b"secret");
    let devices = loaded.plans.devices();
    let secrets = devices.map(|device| (device.user.clone(), secret(&device.user))).collect();
    let credentials = Credentials { username: "line1".to_owned(), password: "x".to_owned() };
    let trunks = loaded.plans.trunks().map(|trunk| {
        let key = (trunk.tenant.clone(), trunk.name.clone());
        (key, TrunkRoute::of(trunk, Some(credentials.clone())))
    });
    let trunks = trunks.collect();
    Arc::new(Directory { plans: Arc::new(loaded.plans), secrets, trunks, ..Directory::default() })
}

fn config(shard: ShardId) -> SwitchConfig {
    let advertised = SERVER.parse().unwrap();
    let id = ListenerId(0);
    SwitchConfig {
        shard,
        first_number: u64::from(shard.0) << 48,
        workers: 1,
        listeners: vec![
            Listener { id, transport: Transport::Udp, advertised },
            neighbours_listener(),
        ],
        media: vec![neighbours_media()],
        media_v4: Some(IpAddr::from([192, 0, 2, 1])),
        media_v6: None,
        codecs: vec![Codec::Pcmu],
        recordings: "/recordings".into(),
        seals_recordings: false,
        realm: REALM.to_owned(),
        server_name: "koukan".to_owned(),
        registrar: RegistrarConfig::default(),
        trusted: Vec::new(),
        max_calls: 20,
        rtp_timeout: Duration::from_secs(30),
        room_part: 500,
        interim_cdr: Duration::from_secs(60),
    }
}

/// The shards of a server, with the router before them.
struct House {
    shards: Shards,
    router: Router,
    switches: Vec<Switch>,
    now: Now,
    /// What was sent, by whom and where to.
    sent: Vec<(ShardId, SocketAddr, Message)>,
    /// What was said of calls.
    explained: Vec<String>,
}

fn message(text: &str) -> Message {
    let text = text.replace('\n', "\r\n");
    Message::from_datagram(&mut Scanner::new(), text.as_bytes()).unwrap()
}

impl House {
    fn new(shards: u16, offices: usize) -> Self {
        let shards = Shards::new(shards).unwrap();
        let directory = directory(offices);
        let switch = |shard: ShardId| {
            let own = directory.of_shard(shards, shard);
            let seed = Rng::from_number(u64::from(shard.0) + 1);
            let mut switch = Switch::new(config(shard), own, seed);
            if !shards.is_one() {
                switch.set_among_others();
            }
            switch
        };
        let now = Now { time: Time::from_millis(1), date: date() };
        Self {
            shards,
            router: Router::new(shards, &directory),
            switches: shards.all().map(switch).collect(),
            now,
            sent: Vec::new(),
            explained: Vec::new(),
        }
    }

    /// Does what the switches want done; what is for another shard is brought there.
    fn drain(&mut self) {
        loop {
            let mut between = Vec::new();
            for (number, switch) in self.switches.iter_mut().enumerate() {
                let shard = ShardId(u16::try_from(number).unwrap());
                while let Some(action) = switch.poll_action() {
                    match action {
                        Action::Send { flow, bytes } if flow.listener == NEIGHBOURS_LISTENER => {
                            between.push((flow, bytes));
                        }
                        Action::Send { flow, bytes } => {
                            let message = Message::from_datagram(&mut Scanner::new(), &bytes);
                            self.sent.push((shard, flow.remote, message.unwrap()));
                        }
                        Action::Media { command: Command::Open { stream, local, .. }, .. } => {
                            let rtp = SocketAddr::new(local, 20_000);
                            switch.handle_media(self.now, Event::Opened { stream, rtp });
                        }
                        Action::Explain { text, .. } => self.explained.push(text),
                        _ => {}
                    }
                }
            }
            if between.is_empty() {
                return;
            }
            for (flow, bytes) in between {
                let message = Message::from_datagram(&mut Scanner::new(), &bytes).unwrap();
                let shard = self.router.route(flow.remote, &message);
                self.switches[usize::from(shard.0)].handle_bytes(self.now, flow, &bytes);
            }
        }
    }

    /// A message comes in; which shard took it.
    fn take(&mut self, from: &str, text: &str) -> ShardId {
        let (message, remote) = (message(text), from.parse().unwrap());
        let shard = self.router.route(remote, &message);
        let listener = ListenerId(0);
        let flow = Flow { transport: Transport::Udp, listener, remote, connection: 0 };
        self.switches[usize::from(shard.0)].handle_bytes(self.now, flow, message.bytes());
        self.drain();
        shard
    }

    fn wait(&mut self, time: Duration) {
        self.now.time = self.now.time + time;
        for switch in &mut self.switches {
            switch.handle_timeout(self.now);
        }
        self.drain();
    }

    fn last(&self) -> &Message {
        &self.sent.last().unwrap().2
    }

    /// Every shard hears what the others say of the server's trunks.
    fn gossip(&mut self) {
        let news: Vec<Vec<TrunkNews>> = self.switches.iter_mut().map(Switch::trunk_news).collect();
        for (number, switch) in self.switches.iter_mut().enumerate() {
            for (_, news) in news.iter().enumerate().filter(|(from, _)| *from != number) {
                switch.hear_trunks(self.now, news);
            }
        }
        self.drain();
    }
}

fn header(message: &Message, header: Header) -> String {
    String::from_utf8(message.header(header).unwrap_or_default().to_vec()).unwrap()
}

/// A request outside a dialog.
fn request(method: &str, uri: &str, from: &str, to: &str, call: &str, more: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\nVia: SIP/2.0/UDP 203.0.113.5:5060;branch=z9hG4bK{call}{}\n\
         From: <{from}>;tag={call}\nTo: <{to}>\nCall-ID: {call}\nCSeq: 1 {method}\n\
         Max-Forwards: 70\nContact: <sip:x@203.0.113.5:5060>\n{more}Content-Length: 0\n\n",
        more.len()
    )
}

/// The credentials that answer a challenge.
fn credentials(challenge: &Message, user: &str, method: &str, uri: &str) -> String {
    let (asked, gives) = match challenge.status() {
        Some(407) => (Header::ProxyAuthenticate, "Proxy-Authorization"),
        _ => (Header::WwwAuthenticate, "Authorization"),
    };
    let own = Credentials { username: user.to_owned(), password: "secret".to_owned() };
    let value = challenge.header(asked).unwrap();
    let value = answer(value, &own, method.as_bytes(), uri.as_bytes(), b"cnonce").unwrap();
    format!("{gives}: {}\n", String::from_utf8(value).unwrap())
}

fn register(house: &mut House, number: usize) -> ShardId {
    let user = format!("office-{number}-801");
    let aor = format!("sip:{user}@koukan");
    let ask = |call: &str, more: &str| request("REGISTER", "sip:koukan", &aor, &aor, call, more);
    let from = format!("203.0.113.5:{}", 6_000 + number);
    let first = house.take(&from, &ask(&format!("r{number}"), ""));
    let more = credentials(house.last(), &user, "REGISTER", "sip:koukan");
    let second = house.take(&from, &ask(&format!("s{number}"), &more));
    assert_eq!(first, second);
    assert_eq!(house.last().status(), Some(200), "{number}");
    second
}

#[test]
fn every_phone_registers_at_home_and_nowhere_else() {
    for shards in [1, 2, 4] {
        let mut house = House::new(shards, 16);
        let mut seen = HashMap::<ShardId, usize>::new();
        for number in 0..16 {
            let shard = register(&mut house, number);
            assert_eq!(shard, house.shards.home(&format!("office-{number}")));
            *seen.entry(shard).or_default() += 1;
        }
        assert_eq!(seen.len(), usize::from(shards), "{seen:?}");
        for shard in house.shards.all() {
            let switch = &house.switches[usize::from(shard.0)];
            let here = switch.registrations(house.now).len();
            assert_eq!(here, seen[&shard]);
            assert_eq!(switch.directory().secrets.len(), here * 2, "no secret of others");
        }
    }
}

#[test]
fn a_carriers_call_is_of_the_office_whose_number_it_calls_with_all_that_follows() {
    let mut house = House::new(4, 16);
    for number in 0..16 {
        register(&mut house, number);
        let home = house.shards.home(&format!("office-{number}"));
        let uri = format!("sip:031234{number:04}@192.0.2.1");
        let call = format!("c{number}");
        let invite = request("INVITE", &uri, "sip:0455550001@198.51.100.1", &uri, &call, "");
        let description = "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\n\
            t=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
        let head = format!(
            "Content-Type: application/sdp\nContent-Length: {}\n\n{description}",
            description.len()
        );
        let invite = invite.replace("Content-Length: 0\n\n", &head);
        assert_eq!(house.take(CARRIER, &invite), home);
        house.wait(Duration::from_millis(200));
        let trying = house.sent.iter().rev().find(|(_, to, _)| to.to_string() == CARRIER);
        let (shard, _, response) = trying.unwrap();
        assert_eq!((*shard, response.status()), (home, Some(100)));
        let cancel = request("CANCEL", &uri, "sip:0455550001@198.51.100.1", &uri, &call, "");
        assert_eq!(house.take(CARRIER, &cancel), home);
        let ended = house.sent.iter().find(|(_, _, sent)| sent.status() == Some(487));
        let tagged = header(&ended.unwrap().2, Header::To);
        let ack = request("ACK", &uri, "sip:0455550001@198.51.100.1", &uri, &call, "");
        let ack = ack.replace(&format!("To: <{uri}>"), &format!("To: {tagged}"));
        assert_eq!(house.take(CARRIER, &ack), home);
        house.sent.clear();
    }
}

#[test]
fn what_a_shard_asks_is_answered_to_it_and_dialogs_find_it_by_their_tag() {
    let mut house = House::new(4, 16);
    // The home of the server's trunk registers there, and no other.
    house.wait(Duration::from_secs(5));
    let asked: Vec<_> =
        house.sent.iter().filter(|(_, to, _)| to.to_string() == CARRIER).cloned().collect();
    assert!(asked.iter().all(|(shard, _, _)| *shard == COMMON_SHARD), "{asked:?}");
    assert!(!asked.is_empty());
    // Every refusal of a stranger comes from the common shard, every challenge from a home.
    for number in 0..16 {
        let user = format!("sip:office-{number}-802@koukan");
        let invite = request("INVITE", "sip:801@koukan", &user, "sip:801@koukan", "x", "");
        let invite = invite.replace("Call-ID: x", &format!("Call-ID: x{number}"));
        let shard = house.take("203.0.113.9:5060", &invite);
        let challenge = house.last().clone();
        assert_eq!(challenge.status(), Some(407));
        let ack = invite.replace("INVITE", "ACK");
        let to = header(&challenge, Header::To);
        let ack = ack.replace("To: <sip:801@koukan>", &format!("To: {to}"));
        assert_eq!(house.router.route(CARRIER.parse().unwrap(), &message(&ack)), shard);
    }
}

#[test]
fn a_phone_that_hides_who_it_is_comes_home_by_its_credentials_and_its_cancel_follows() {
    let mut house = House::new(4, 16);
    let number = (0..16).find(|n| house.shards.home(&format!("office-{n}")) == ShardId(3)).unwrap();
    let (user, uri) = (format!("office-{number}-801"), "sip:802@koukan");
    let anonymous = "sip:anonymous@anonymous.invalid";
    let bare = request("INVITE", uri, anonymous, uri, "hidden", "");
    assert_eq!(house.take("203.0.113.9:5060", &bare), COMMON_SHARD);
    let more = credentials(house.last(), &user, "INVITE", uri);
    let proved = request("INVITE", uri, anonymous, uri, "hidden", &more);
    assert_eq!(house.take("203.0.113.9:5060", &proved), ShardId(3));
    // Its nonce was another shard's: it is asked once more, by its own.
    assert_eq!(house.last().status(), Some(407));
    let cancel = request("CANCEL", uri, anonymous, uri, "hidden", "");
    assert_eq!(house.take("203.0.113.9:5060", &cancel), ShardId(3));
}

#[test]
fn shards_hear_of_each_other_how_a_trunk_stands_and_how_full_it_is() {
    let mut house = House::new(2, 16);
    let state = |house: &House, shard: usize| {
        let trunks = house.switches[shard].trunks(house.now);
        trunks[0].state.clone()
    };
    house.gossip();
    assert_eq!([state(&house, 0), state(&house, 1)], ["ready", "ready"]);
    house.wait(Duration::from_secs(5));
    let asked = house.sent.iter().rev().find(|(_, to, _)| to.to_string() == CARRIER).unwrap();
    let asked = asked.2.clone();
    let refused = format!(
        "SIP/2.0 403 Forbidden\nVia: {}\nFrom: {}\nTo: {};tag=c\nCall-ID: {}\nCSeq: {}\n\
         Content-Length: 0\n\n",
        header(&asked, Header::Via),
        header(&asked, Header::From),
        header(&asked, Header::To),
        header(&asked, Header::CallId),
        header(&asked, Header::CSeq),
    );
    assert_eq!(house.take(CARRIER, &refused), COMMON_SHARD);
    assert_eq!([state(&house, 0), state(&house, 1)], ["unregistered", "ready"]);
    house.gossip();
    assert_eq!([state(&house, 0), state(&house, 1)], ["unregistered", "unregistered"]);
    assert!(house.switches.iter_mut().all(|switch| switch.trunk_news().is_empty()), "told once");
}

#[test]
fn a_trunk_that_another_shard_has_filled_is_full() {
    let mut house = House::new(2, 16);
    let number = (0..16).find(|n| house.shards.home(&format!("office-{n}")) == ShardId(1)).unwrap();
    register(&mut house, number);
    let (user, uri) = (format!("office-{number}-801"), "sip:0455550001@koukan");
    let from = format!("sip:{user}@koukan");
    let description = "v=0\r\no=- 1 1 IN IP4 203.0.113.5\r\ns=-\r\nc=IN IP4 203.0.113.5\r\n\
        t=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    let head = format!(
        "Content-Type: application/sdp\nContent-Length: {}\n\n{description}",
        description.len()
    );
    let lines = |house: &mut House, call: &str| {
        let ask = |call: &str, more: &str| {
            let bare = request("INVITE", uri, &from, uri, call, more);
            bare.replace("Content-Length: 0\n\n", &head)
        };
        house.take("203.0.113.5:6000", &ask(&format!("{call}1"), ""));
        let more = credentials(house.last(), &user, "INVITE", uri);
        house.explained.clear();
        house.take("203.0.113.5:6000", &ask(&format!("{call}2"), &more));
        house.explained.join("\n")
    };
    let news = |channels| TrunkNews {
        from: COMMON_SHARD,
        trunk: "carrier".into(),
        channels,
        begun: 1,
        standing: None,
    };
    house.switches[1].hear_trunks(house.now, &[news(1)]);
    let full = lines(&mut house, "b");
    assert!(full.contains("channels"), "{full}");
    house.switches[1].hear_trunks(house.now, &[news(0)]);
    let free = lines(&mut house, "c");
    assert!(!free.contains("channels"), "{free}");
}

#[test]
fn an_office_calls_another_on_another_shard_and_nobody_pays() {
    let mut house = House::new(2, 16);
    let at = |shard, house: &House| {
        (0..16).find(|n| house.shards.home(&format!("office-{n}")) == ShardId(shard)).unwrap()
    };
    let (caller, callee) = (at(0, &house), at(1, &house));
    register(&mut house, caller);
    register(&mut house, callee);
    let user = format!("office-{caller}-801");
    let (uri, from) = (format!("sip:031234{callee:04}@koukan"), format!("sip:{user}@koukan"));
    let ask = |call: &str, more: &str| {
        let bare = request("INVITE", &uri, &from, &uri, call, more);
        bare.replace("Content-Length: 0\n\n", &described())
    };
    let phone = format!("203.0.113.5:{}", 6_000 + caller);
    house.take(&phone, &ask("n1", ""));
    let more = credentials(house.last(), &user, "INVITE", &uri);
    house.sent.clear();
    assert_eq!(house.take(&phone, &ask("n2", &more)), ShardId(0));
    house.wait(Duration::from_millis(200));
    let port = 6_000 + callee;
    let rung = house.sent.iter().find(|(_, to, sent)| {
        to.port() == u16::try_from(port).unwrap() && sent.method() == Some(Method::Invite)
    });
    let (shard, _, invite) = rung.unwrap_or_else(|| panic!("{:?}", house.explained));
    assert_eq!(*shard, ShardId(1));
    let shown = header(invite, Header::From);
    assert!(shown.contains(&format!("031234{caller:04}")), "as from outside: {shown}");
    let invite = invite.clone();
    assert!(house.explained.iter().any(|line| line.contains("outbound.on_net")));
    let accepted = format!(
        "SIP/2.0 200 OK\nVia: {}\nFrom: {shown}\nTo: {};tag=b\nCall-ID: {}\nCSeq: {}\n\
         Contact: <sip:b@203.0.113.5:{port}>\nContent-Length: 0\n\n",
        header(&invite, Header::Via),
        header(&invite, Header::To),
        header(&invite, Header::CallId),
        header(&invite, Header::CSeq),
    )
    .replace("Content-Length: 0\n\n", &described());
    house.take(&format!("203.0.113.5:{port}"), &accepted);
    let answered = house
        .sent
        .iter()
        .find(|(shard, _, sent)| *shard == ShardId(0) && sent.status() == Some(200));
    assert!(answered.is_some(), "{:?}", house.explained);
    for switch in &house.switches {
        assert_eq!(switch.tables().calls, 1, "each office has its own");
        assert_eq!(switch.tables().outside, 0, "nobody pays");
        assert!(switch.trunks(house.now).iter().all(|trunk| trunk.trunk == "carrier"));
    }
}

#[test]
fn a_stranger_at_the_address_between_shards_is_no_neighbour() {
    let mut house = House::new(2, 16);
    let callee = (0..16).find(|n| house.shards.home(&format!("office-{n}")) == ShardId(1)).unwrap();
    let uri = format!("sip:031234{callee:04}@koukan");
    let invite = request("INVITE", &uri, "sip:0455550001@x", &uri, "forged", "");
    let invite = invite.replace("Content-Length: 0\n\n", &described());
    house.take("127.0.0.1:1", &invite);
    assert_eq!(house.last().status(), Some(407));
    assert!(house.switches.iter().all(|switch| switch.tables().calls == 0));
}

/// A body with its headers.
fn described() -> String {
    let description = "v=0\r\no=- 1 1 IN IP4 203.0.113.5\r\ns=-\r\nc=IN IP4 203.0.113.5\r\n\
        t=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    let length = description.len();
    format!("Content-Type: application/sdp\nContent-Length: {length}\n\n{description}")
}

proptest! {
    #[test]
    fn any_message_is_of_one_shard_and_of_the_only_one_where_there_is_one(
        shards in 1_u16..=64,
        word in "(INVITE|REGISTER|CANCEL|ACK|BYE|SUBSCRIBE|OPTIONS)",
        user in "[a-z0-9-]{0,12}",
        tag in "[A-Za-z0-9.-]{0,16}",
        called in "[0-9+]{0,14}",
    ) {
        let directory = directory(3);
        let shards = Shards::new(shards).unwrap();
        let mut router = Router::new(shards, &directory);
        let uri = format!("sip:{called}@koukan");
        let text = request(&word, &uri, &format!("sip:{user}@koukan"), &uri, "c", "");
        let text = text.replace("To: <", &format!("To: <sip:x@y>;tag={tag}\nX: <"));
        let shard = router.route(CARRIER.parse().unwrap(), &message(&text));
        prop_assert!(shard.0 < shards.count());
    }
}
