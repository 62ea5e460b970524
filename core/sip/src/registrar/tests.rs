//! The rules of RFC 3261, section 10.3, on a virtual clock.

use super::*;
use crate::{ListenerId, Transport};

fn flow(port: u16) -> Flow {
    Flow {
        transport: Transport::Udp,
        listener: ListenerId(0),
        remote: ([192, 0, 2, 1], port).into(),
        connection: 0,
    }
}

fn request(cseq: u32, contacts: &[(&str, Option<u32>)]) -> RegisterRequest {
    RegisterRequest {
        contacts: contacts
            .iter()
            .map(|(uri, expires)| ContactEntry {
                uri: uri.as_bytes().to_vec(),
                expires: *expires,
                q: 1000,
                instance: None,
                reg_id: None,
            })
            .collect(),
        call_id: b"one".to_vec(),
        cseq,
        ..RegisterRequest::default()
    }
}

fn uris(registrar: &Registrar, user: &str) -> Vec<String> {
    let uri = |binding: &&Binding| String::from_utf8(binding.uri.clone()).unwrap();
    registrar.bindings(user).iter().map(uri).collect()
}

const NOW: Time = Time::from_millis(1_000_000);

#[test]
fn a_contact_is_bound_refreshed_and_expires() {
    let mut registrar = Registrar::new(RegistrarConfig::default());
    let bind = request(1, &[("sip:a@192.0.2.1", Some(120))]);
    registrar.register(NOW, "u", &bind, flow(1), 1).unwrap();
    let refresh = request(2, &[("sip:a@192.0.2.1:5060", Some(120))]);
    let later = NOW + Duration::from_secs(100);
    registrar.register(later, "u", &refresh, flow(2), 1).unwrap();
    assert_eq!(registrar.bindings("u")[0].flow, flow(2));
    assert_eq!(registrar.handle_timeout(later + Duration::from_secs(119)), []);
    let gone = registrar.handle_timeout(later + Duration::from_secs(120));
    assert_eq!(gone.len(), 1);
    assert!(!registrar.is_bound("u"));
    assert_eq!(registrar.poll_timeout(), None);
}

#[test]
fn star_removes_everything_and_only_with_expires_zero() {
    let mut registrar = Registrar::new(RegistrarConfig::default());
    let two = request(1, &[("sip:a@192.0.2.1", None), ("sip:a@192.0.2.2", None)]);
    registrar.register(NOW, "u", &two, flow(1), 5).unwrap();
    let mut star = RegisterRequest { star: true, expires: Some(60), ..request(2, &[]) };
    assert_eq!(registrar.register(NOW, "u", &star, flow(1), 5), Err(RegisterError::Malformed));
    star.expires = Some(0);
    assert_eq!(registrar.register(NOW, "u", &star, flow(1), 5).unwrap().len(), 2);
    assert!(!registrar.is_bound("u"));
    // At boot, with nothing bound, it is no error.
    assert_eq!(registrar.register(NOW, "u", &star, flow(1), 5), Ok(vec![]));
}

#[test]
fn too_brief_is_refused_and_too_long_is_cut() {
    let mut registrar = Registrar::new(RegistrarConfig::default());
    let brief = request(1, &[("sip:a@192.0.2.1", Some(59))]);
    let error = registrar.register(NOW, "u", &brief, flow(1), 1).unwrap_err();
    assert_eq!((error, error.status()), (RegisterError::TooBrief { min: 60 }, 423));
    let long = request(1, &[("sip:a@192.0.2.1", Some(u32::MAX))]);
    registrar.register(NOW, "u", &long, flow(1), 1).unwrap();
    assert_eq!(registrar.bindings("u")[0].expires, NOW + Duration::from_secs(3600));
}

#[test]
fn an_older_request_changes_nothing_at_all() {
    let mut registrar = Registrar::new(RegistrarConfig::default());
    let first = request(5, &[("sip:a@192.0.2.1", None)]);
    registrar.register(NOW, "u", &first, flow(1), 5).unwrap();
    let old = request(5, &[("sip:b@192.0.2.1", None), ("sip:a@192.0.2.1", None)]);
    assert_eq!(registrar.register(NOW, "u", &old, flow(2), 5), Err(RegisterError::OutOfOrder));
    assert_eq!(uris(&registrar, "u"), ["sip:a@192.0.2.1"]);
    assert_eq!(registrar.bindings("u")[0].flow, flow(1));
}

#[test]
fn a_device_beyond_the_limit_takes_the_place_of_the_oldest() {
    let mut registrar = Registrar::new(RegistrarConfig::default());
    for (index, uri) in ["sip:a@192.0.2.1", "sip:a@192.0.2.2"].into_iter().enumerate() {
        let mut bind = request(1, &[(uri, None)]);
        bind.call_id = vec![u8::try_from(index).unwrap()];
        registrar.register(NOW, "u", &bind, flow(1), 1).unwrap();
    }
    assert_eq!(uris(&registrar, "u"), ["sip:a@192.0.2.2"]);
}

#[test]
fn expires_zero_removes_one_contact_and_the_list_is_only_asked_for_without_contacts() {
    let mut registrar = Registrar::new(RegistrarConfig::default());
    let two = request(1, &[("sip:a@192.0.2.1", None), ("sip:b@192.0.2.2", None)]);
    registrar.register(NOW, "u", &two, flow(1), 5).unwrap();
    let remove = request(2, &[("sip:a@192.0.2.1", Some(0))]);
    registrar.register(NOW, "u", &remove, flow(1), 5).unwrap();
    assert_eq!(registrar.register(NOW, "u", &request(3, &[]), flow(1), 5), Ok(vec![]));
    assert_eq!(uris(&registrar, "u"), ["sip:b@192.0.2.2"]);
}

fn stream(connection: u64, remote: &str) -> Flow {
    Flow {
        transport: Transport::Tcp,
        listener: ListenerId(1),
        remote: remote.parse().unwrap(),
        connection,
    }
}

/// A REGISTER of one flow of a phone (RFC 5626).
fn outbound(cseq: u32, uri: &str, instance: &str, reg_id: u32) -> RegisterRequest {
    let mut request = request(cseq, &[(uri, Some(600))]);
    request.call_id = format!("{instance}{reg_id}").into_bytes();
    request.contacts[0].instance = Some(instance.as_bytes().to_vec());
    request.contacts[0].reg_id = Some(reg_id);
    request
}

fn ways(registrar: &Registrar, user: &str) -> Vec<Vec<Flow>> {
    let flows = |ways: Vec<Way>| ways.into_iter().map(|way| way.flow).collect();
    registrar.targets(user).into_iter().map(flows).collect()
}

#[test]
fn a_flow_takes_its_own_place_whatever_its_address_and_leaves_the_others() {
    let mut registrar = Registrar::new(RegistrarConfig::default());
    let (one, two) = (stream(1, "198.51.100.1:1"), stream(2, "198.51.100.1:2"));
    let bind = outbound(1, "sip:a@10.0.0.1:1", "<urn:uuid:a>", 1);
    registrar.register(NOW, "u", &bind, one, 1).unwrap();
    let bind = outbound(1, "sip:a@10.0.0.1:1", "<urn:uuid:a>", 2);
    let later = NOW + Duration::from_secs(1);
    let changes = registrar.register(later, "u", &bind, two, 1).unwrap();
    assert_eq!(changes.len(), 1, "{changes:?}");
    // One phone, rung once: the newest flow first.
    assert_eq!(ways(&registrar, "u"), [vec![two, one]]);
    // It comes back from another address over a new connection: the same flow.
    let bind = outbound(2, "sip:a@10.0.0.9:7", "<urn:uuid:a>", 1);
    let three = stream(3, "198.51.100.9:3");
    let changes = registrar.register(later, "u", &bind, three, 1).unwrap();
    let key = BindingKey { uri: b"sip:a@10.0.0.1:1".to_vec(), reg_id: Some(1) };
    assert_eq!(changes[0], Change::Removed { key });
    assert_eq!(registrar.bindings("u").len(), 2);
    // Another phone is another: with room for one it takes the place of both flows.
    let bind = outbound(1, "sip:b@10.0.0.2", "<urn:uuid:b>", 1);
    let changes = registrar.register(later, "u", &bind, stream(4, "198.51.100.2:1"), 1).unwrap();
    assert_eq!(changes.len(), 3);
    assert_eq!(registrar.bindings("u").len(), 1);
}

#[test]
fn a_dead_flow_is_not_called_and_the_other_one_is() {
    let mut registrar = Registrar::new(RegistrarConfig::default());
    let (one, two) = (stream(1, "198.51.100.1:1"), stream(2, "198.51.100.1:2"));
    for (flow, reg_id) in [(one, 1), (two, 2)] {
        let bind = outbound(1, "sip:a@198.51.100.1:5060", "<urn:uuid:a>", reg_id);
        registrar.register(NOW, "u", &bind, flow, 1).unwrap();
    }
    registrar.flow_failed(NOW, two);
    assert_eq!(ways(&registrar, "u"), [vec![one]]);
    registrar.flow_failed(NOW, one);
    // It is never connected to, although its contact is where it spoke from.
    assert_eq!(ways(&registrar, "u"), Vec::<Vec<Flow>>::new());
    assert!(registrar.is_bound("u") && !registrar.is_reachable("u"));
    let three = stream(3, "198.51.100.1:3");
    let bind = outbound(2, "sip:a@198.51.100.1:5060", "<urn:uuid:a>", 2);
    registrar.register(NOW, "u", &bind, three, 1).unwrap();
    assert_eq!(ways(&registrar, "u"), [vec![three]]);
    let gone = registrar.handle_timeout(NOW + Duration::from_secs(600));
    assert_eq!((gone.len(), registrar.poll_timeout()), (2, None));
}

#[test]
fn a_phone_whose_connection_ended_is_connected_to_only_where_it_spoke_from() {
    let mut registrar = Registrar::new(RegistrarConfig::default());
    let flow = stream(1, "198.51.100.1:40000");
    let open = request(1, &[("sip:a@198.51.100.1:5070;transport=tcp", None)]);
    let nat = request(1, &[("sip:a@192.168.1.20:5070;transport=tcp", None)]);
    registrar.register(NOW, "open", &open, flow, 1).unwrap();
    registrar.register(NOW, "nat", &nat, flow, 1).unwrap();
    assert_eq!(ways(&registrar, "open"), [[flow]]);
    registrar.flow_failed(NOW, flow);
    let own = Flow { connection: 0, ..stream(0, "198.51.100.1:5070") };
    assert_eq!(ways(&registrar, "open"), [[own]]);
    assert!(registrar.is_reachable("open"));
    assert_eq!(ways(&registrar, "nat"), Vec::<Vec<Flow>>::new());
    assert!(!registrar.is_reachable("nat"));
}

#[test]
fn long_requests_may_take_a_stream_only_where_one_leads_to_the_phone() {
    let mut registrar = Registrar::new(RegistrarConfig::default());
    let long = |registrar: &Registrar, user: &str| registrar.targets(user)[0][0].long;
    let own = Flow { remote: "198.51.100.1:5060".parse().unwrap(), ..flow(0) };
    let bind = |registrar: &mut Registrar, user: &str, uri: &str| {
        registrar.register(NOW, user, &request(1, &[(uri, None)]), own, 1).unwrap();
    };
    bind(&mut registrar, "open", "sip:a@198.51.100.1");
    assert_eq!(long(&registrar, "open"), LongWay::Opens(own.remote));
    bind(&mut registrar, "nat", "sip:a@192.168.1.20");
    assert_eq!(long(&registrar, "nat"), LongWay::None);
    bind(&mut registrar, "insists", "sip:a@198.51.100.1;transport=udp");
    assert_eq!(long(&registrar, "insists"), LongWay::None);
    // The phone behind the NAT holds a stream as well.
    let standing = stream(5, "198.51.100.1:9");
    let bind = outbound(1, "sip:a@10.0.0.1", "<urn:uuid:a>", 1);
    registrar.register(NOW, "two", &bind, own, 1).unwrap();
    let bind = outbound(1, "sip:a@10.0.0.1;transport=tcp", "<urn:uuid:a>", 2);
    registrar.register(NOW - Duration::from_secs(1), "two", &bind, standing, 1).unwrap();
    assert_eq!(long(&registrar, "two"), LongWay::Stands(standing));
}

fn keeping(to: KeepaliveTo, by: KeepaliveBy) -> Registrar {
    let keepalive = KeepaliveConfig { to, by, interval: Duration::from_secs(20), misses: 2 };
    Registrar::new(RegistrarConfig { keepalive, ..RegistrarConfig::default() })
}

/// Runs to the next deadline; what is to be sent then.
fn next_keepalive(registrar: &mut Registrar) -> (Time, Option<Keepalive>) {
    let at = registrar.poll_timeout().unwrap();
    registrar.handle_timeout(at);
    (at, registrar.poll_keepalive())
}

#[test]
fn phones_behind_a_nat_are_asked_in_time_and_others_only_when_all_are() {
    let open = request(1, &[("sip:a@192.0.2.1:9", Some(600))]);
    let nat = request(1, &[("sip:a@10.0.0.1:9", Some(600))]);
    let mut registrar = keeping(KeepaliveTo::Nat, KeepaliveBy::LineEnds);
    registrar.register(NOW, "open", &open, flow(9), 1).unwrap();
    assert_eq!(registrar.poll_timeout(), Some(NOW + Duration::from_secs(600)));
    registrar.register(NOW, "nat", &nat, flow(9), 1).unwrap();
    let (first, ping) = next_keepalive(&mut registrar);
    assert!(first.since(NOW) <= Duration::from_secs(20), "{first:?}");
    let ping = ping.unwrap();
    assert_eq!((&*ping.user, ping.flow, ping.by), ("nat", flow(9), KeepaliveBy::LineEnds));
    // Line ends go on whether or not anybody answers.
    let (second, ping) = next_keepalive(&mut registrar);
    assert_eq!((second.since(first), ping.is_some()), (Duration::from_secs(20), true));
    for (to, expected) in [(KeepaliveTo::All, true), (KeepaliveTo::None, false)] {
        let mut registrar = keeping(to, KeepaliveBy::Options);
        registrar.register(NOW, "open", &open, flow(9), 1).unwrap();
        assert_eq!(next_keepalive(&mut registrar).1.is_some(), expected);
    }
}

#[test]
fn a_phone_that_misses_too_often_is_away_and_kept_and_back_at_its_first_answer() {
    let mut registrar = keeping(KeepaliveTo::Nat, KeepaliveBy::Options);
    let nat = request(1, &[("sip:a@10.0.0.1:9", Some(600)), ("sip:b@10.0.0.2:9", Some(600))]);
    registrar.register(NOW, "u", &nat, flow(9), 2).unwrap();
    let (at, ping) = next_keepalive(&mut registrar);
    let (ping, other) = (ping.unwrap(), registrar.poll_keepalive().unwrap());
    let answer = at + Duration::from_millis(40);
    assert_eq!(registrar.keepalive_ended(answer, "u", &other.key, true), None);
    let reachable = Health::Reachable { round_trip: Duration::from_millis(40) };
    assert_eq!(registrar.bindings("u")[1].liveness.health, reachable);
    // Timer F takes longer than the interval: the next one follows at once.
    let late = at + Duration::from_secs(32);
    assert_eq!(registrar.keepalive_ended(late, "u", &ping.key, false), None);
    assert_eq!(registrar.targets("u").len(), 2);
    registrar.handle_timeout(late);
    let again: Vec<Keepalive> = std::iter::from_fn(|| registrar.poll_keepalive()).collect();
    assert_eq!(again.len(), 2);
    assert_eq!(registrar.keepalive_ended(late, "u", &other.key, true), None);
    let later = late + Duration::from_secs(32);
    assert_eq!(registrar.keepalive_ended(later, "u", &ping.key, false), Some(false));
    assert_eq!(registrar.bindings("u")[0].liveness.health, Health::Unreachable { since: later });
    // The other one is there, so that only it is rung; alone the lost one is tried.
    assert_eq!(registrar.targets("u").len(), 1);
    let bye = RegisterRequest {
        contacts: vec![ContactEntry { expires: Some(0), ..nat.contacts[1].clone() }],
        ..request(2, &[])
    };
    registrar.register(later, "u", &bye, flow(9), 2).unwrap();
    assert_eq!(registrar.targets("u").len(), 1);
    assert!(!registrar.is_reachable("u"));
    registrar.handle_timeout(later);
    assert!(registrar.poll_keepalive().is_some());
    assert_eq!(registrar.keepalive_ended(later, "u", &ping.key, true), Some(true));
    assert!(registrar.is_reachable("u"));
    // What nobody asked for changes nothing.
    assert_eq!(registrar.keepalive_ended(later, "u", &ping.key, false), None);
}

fn register_text(contact: &str, extra: &str) -> Result<RegisterRequest, RegisterError> {
    let text = format!(
        "REGISTER sip:x SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.1;branch=z9hG4bK1\r\n{extra}\
         From: <sip:a@x>;tag=1\r\nTo: <sip:a@x>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n\
         Contact: {contact}\r\nContent-Length: 0\r\n\r\n"
    );
    let mut scanner = crate::Scanner::new();
    let message = crate::Message::from_datagram(&mut scanner, text.as_bytes()).unwrap();
    RegisterRequest::from_message(&message)
}

#[test]
fn a_flow_is_read_only_of_a_phone_that_does_outbound_without_a_proxy() {
    let contact = "<sip:a@10.0.0.1>;reg-id=1;+sip.instance=\"<urn:uuid:0-1>\"";
    let outbound = "Supported: path, outbound\r\n";
    let request = register_text(contact, outbound).unwrap();
    assert_eq!(request.contacts[0].instance.as_deref(), Some(b"<urn:uuid:0-1>".as_slice()));
    assert_eq!((request.contacts[0].reg_id, request.is_outbound()), (Some(1), true));
    assert!(!register_text(contact, "").unwrap().is_outbound());
    let proxied = format!("Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK2\r\n{outbound}");
    assert!(!register_text(contact, &proxied).unwrap().is_outbound());
    assert!(!register_text("<sip:a@10.0.0.1>;reg-id=1", outbound).unwrap().is_outbound());
    for wrong in ["0", "2147483648", "x", "99999999999999999999", "-1"] {
        let contact = format!("<sip:a@10.0.0.1>;reg-id={wrong};+sip.instance=\"<urn:uuid:0-1>\"");
        assert_eq!(register_text(&contact, outbound), Err(RegisterError::Malformed), "{wrong}");
    }
    let two = format!("{contact}, {}", contact.replace("reg-id=1", "reg-id=2"));
    assert_eq!(register_text(&two, outbound), Err(RegisterError::Malformed));
    assert!(register_text(&two, &format!("{outbound}Expires: 0\r\n")).is_ok());
}

#[test]
fn what_is_laid_side_by_side_is_what_was_there() {
    let mut registrar = keeping(KeepaliveTo::All, KeepaliveBy::Options);
    for number in 0..200_u16 {
        let user = format!("user{number}");
        let bind = request(1, &[(&format!("sip:{user}@192.0.2.1"), Some(120))]);
        let seconds = Duration::from_secs(u64::from(number % 7));
        registrar.register(NOW + seconds, &user, &bind, flow(1_000 + number), 1).unwrap();
    }
    let mut held = stream(9, "198.51.100.1:5060");
    held.transport = Transport::Tcp;
    registrar.register(NOW, "held", &request(1, &[("sip:h@x", Some(120))]), held, 1).unwrap();
    let all = |registrar: &Registrar| {
        let mut all: Vec<(String, Vec<Binding>)> =
            registrar.users().map(|(user, of)| (user.to_owned(), of.to_vec())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    };
    let (before, due) = (all(&registrar), registrar.poll_timeout());
    registrar.shrink();
    assert_eq!((all(&registrar), registrar.poll_timeout()), (before, due));
    assert!(registrar.is_source(flow(1_100).remote) && !registrar.is_source(flow(2_000).remote));
    registrar.flow_failed(NOW, held);
    assert!(matches!(registrar.bindings("held")[0].liveness.health, Health::Lost { .. }));
    let gone = registrar.handle_timeout(NOW + Duration::from_secs(130));
    assert_eq!(gone.len(), 201, "each of them expires in its time");
}
