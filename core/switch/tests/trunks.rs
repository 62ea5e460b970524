//! Trunks on the virtual clock: registration with everything that a registrar may say, hosts that
//! fail and come back, caps, maintenance, and whose fault an error is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::net::SocketAddr;
use std::time::Duration;

use koukan_dialplan::TrunkHostName;
use koukan_sip::{Header, Message, Method};
use koukan_switch::{CallCause, ResolvedHosts, TrunkHost, TrunkView};
use office::{Does, Office, PASSWORD, SERVER, TRUNK, ending, only};

const CARRIER: &str = "127.0.0.1:5070";
const SPARE: &str = "203.0.113.9:5060";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The office whose trunk has further keys.
fn with(keys: &str) -> Office {
    let own = "profile = \"jp-ngn\"";
    Office::changed(own, &format!("{own}\n{keys}"))
}

fn registering(keys: &str) -> Office {
    with(&format!("register = {{ user = \"line1\", secret = \"file:x\"{keys} }}"))
}

fn trunk(office: &Office) -> TrunkView {
    let mut all = office.switch.trunks(office.now());
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn hosts(office: &Office) -> Vec<(String, String)> {
    let view = trunk(office);
    view.hosts.into_iter().map(|host| (host.address, host.health)).collect()
}

/// A call of a phone to outside and how it ended.
fn outside(office: &mut Office, seconds: u64) -> (CallCause, u16) {
    office.call('A', "0455550001");
    office.run(secs(seconds));
    let finals = office.finals();
    ending(finals.last().unwrap())
}

/// The first stray request of a method, taken out.
fn stray(office: &mut Office, method: Method, to: &str) -> Message {
    let to: SocketAddr = to.parse().unwrap();
    let at = office
        .strays
        .iter()
        .position(|(at, message)| *at == to && message.method() == Some(method))
        .unwrap_or_else(|| panic!("no {method:?} to {to}: {:?}", office.strays.len()));
    let (_, taken) = office.strays.remove(at);
    // It was sent again meanwhile.
    let same = |message: &Message| message.header(Header::Via) == taken.header(Header::Via);
    office.strays.retain(|(_, message)| message.method() == Some(Method::Ack) || !same(message));
    taken
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8(bytes.unwrap().to_vec()).unwrap()
}

/// Answers a request as the peer at an address does.
fn answer(office: &mut Office, from: &str, request: &Message, status: &str, headers: &str) {
    let header = |header| text(request.header(header));
    let tag = if status.starts_with("100") { "" } else { ";tag=peer" };
    let response = format!(
        "SIP/2.0 {status}\nVia: {}\nFrom: {}\nTo: {}{tag}\nCall-ID: {}\nCSeq: {}\n{headers}\
         Content-Length: 0\n\n",
        header(Header::Via),
        header(Header::From),
        header(Header::To),
        header(Header::CallId),
        header(Header::CSeq),
    );
    office.raw(from, &response);
}

/// The office whose trunk is at an address where the test answers itself.
fn scripted(keys: &str) -> Office {
    Office::planned(|plan| {
        plan.replace(CARRIER, SPARE)
            .replace("profile = \"jp-ngn\"", &format!("profile = \"jp-ngn\"\n{keys}"))
    })
}

const REGISTER: &str = "register = { user = \"line1\", secret = \"file:x\", expires = \"600s\" }";

#[test]
fn we_register_with_digest_refresh_in_time_and_take_it_back() {
    let mut office = scripted(REGISTER);
    let first = stray(&mut office, Method::Register, SPARE);
    assert_eq!(first.request_uri(), format!("sip:{SPARE}").as_bytes());
    assert_eq!(text(first.header(Header::To)), "<sip:line1@203.0.113.9>");
    assert_eq!(text(first.header(Header::Contact)), format!("<sip:line1@{SERVER}>"));
    assert_eq!(first.number(Header::Expires), Some(600));
    let challenge = "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"abc\", qop=\"auth\"\n";
    answer(&mut office, SPARE, &first, "401 Unauthorized", challenge);
    office.run(Duration::from_millis(10));
    let second = stray(&mut office, Method::Register, SPARE);
    let digest = text(second.header(Header::Authorization));
    assert!(digest.contains("username=\"line1\"") && digest.contains("realm=\"carrier\""));
    assert_eq!(first.call_id(), second.call_id());
    assert_eq!(trunk(&office).registration.as_deref(), Some("trying"));
    let bound = format!(
        "Contact: <sip:other@192.0.2.77>;expires=3600\nContact: <sip:line1@{SERVER}>;expires=300\n"
    );
    answer(&mut office, SPARE, &second, "200 OK", &bound);
    let view = trunk(&office);
    assert_eq!((view.registration.as_deref(), view.state.as_str()), (Some("registered"), "ready"));
    assert_eq!(view.registered_at.as_deref(), Some(SPARE));
    let until = view.registered_until.unwrap();
    let left = until.duration_since(office.now().date).as_secs();
    assert!((299..=300).contains(&left), "{left}");
    assert!(office.notices.iter().any(|text| text.contains("registered there")));
    // Half of 300 s, up to a tenth earlier.
    office.run(secs(130));
    assert!(office.strays.is_empty());
    office.run(secs(22));
    let third = stray(&mut office, Method::Register, SPARE);
    assert_eq!(third.call_id(), first.call_id());
    assert!(third.cseq().unwrap().number > second.cseq().unwrap().number);
    answer(&mut office, SPARE, &third, "200 OK", &bound);
    office.strays.clear();
    office.stop();
    office.run(Duration::from_millis(10));
    let last = stray(&mut office, Method::Register, SPARE);
    assert_eq!(last.number(Header::Expires), Some(0));
}

#[test]
fn too_brief_a_time_is_asked_for_again_and_a_refusal_is_not_repeated_soon() {
    let mut office = scripted(REGISTER);
    let first = stray(&mut office, Method::Register, SPARE);
    answer(&mut office, SPARE, &first, "423 Interval Too Brief", "Min-Expires: 1800\n");
    office.run(Duration::from_millis(10));
    let second = stray(&mut office, Method::Register, SPARE);
    assert_eq!(second.number(Header::Expires), Some(1800));
    answer(&mut office, SPARE, &second, "403 Forbidden", "");
    assert_eq!(trunk(&office).registration.as_deref(), Some("failed 403"));
    assert_eq!(trunk(&office).state, "unregistered");
    office.run(secs(29));
    assert!(office.strays.is_empty(), "a wrong password is not tried every second");
    office.run(secs(32));
    let third = stray(&mut office, Method::Register, SPARE);
    answer(&mut office, SPARE, &third, "200 OK", "");
    assert_eq!(trunk(&office).registration.as_deref(), Some("registered"));
}

#[test]
fn a_wrong_digest_is_given_once() {
    let mut office = scripted(REGISTER);
    let challenge = "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"abc\", qop=\"auth\"\n";
    for _ in 0..2 {
        let request = stray(&mut office, Method::Register, SPARE);
        answer(&mut office, SPARE, &request, "401 Unauthorized", challenge);
        office.run(Duration::from_millis(10));
    }
    assert!(office.strays.is_empty());
    assert_eq!(trunk(&office).registration.as_deref(), Some("failed 401"));
}

#[test]
fn the_registration_moves_to_the_next_host_and_calls_go_where_it_stands() {
    let more = "hosts = [{ address = \"203.0.113.10\", priority = 2 }]";
    let mut office = scripted(&format!("{REGISTER}\n{more}"));
    let first = stray(&mut office, Method::Register, SPARE);
    answer(&mut office, SPARE, &first, "503 Service Unavailable", "Retry-After: 120 (busy)\n");
    office.run(Duration::from_millis(10));
    let other = "203.0.113.10:5060";
    let second = stray(&mut office, Method::Register, other);
    answer(&mut office, other, &second, "200 OK", "");
    assert_eq!(trunk(&office).registered_at.as_deref(), Some(other));
    assert_eq!(hosts(&office)[0], (SPARE.to_owned(), "held".to_owned()));
    office.run(secs(130));
    assert_eq!(hosts(&office)[0].1, "untested", "it may be called again");
    office.call('A', "0455550001");
    office.run(Duration::from_millis(100));
    stray(&mut office, Method::Invite, other);
    // Another machine of the carrier calls: it is one of the trunk's hosts.
    assert!(office.strays.iter().all(|(to, _)| to.to_string() != SPARE));
}

#[test]
fn an_account_that_the_plan_drops_is_taken_back_and_a_new_one_registers() {
    let mut office = scripted(REGISTER);
    let first = stray(&mut office, Method::Register, SPARE);
    answer(&mut office, SPARE, &first, "200 OK", "");
    let changed = scripted(&REGISTER.replace("line1", "line2"));
    let directory = std::sync::Arc::clone(changed.switch.directory());
    let now = office.now();
    office.switch.set_directory(now, directory);
    office.run(Duration::from_millis(100));
    let gone = stray(&mut office, Method::Register, SPARE);
    assert_eq!(gone.number(Header::Expires), Some(0));
    let new = stray(&mut office, Method::Register, SPARE);
    assert_eq!(text(new.header(Header::To)), "<sip:line2@203.0.113.9>");
}

#[test]
fn a_call_on_our_contact_rings_the_number_that_to_names() {
    // The carrier plays a registrar and then calls the contact that we gave it.
    let mut office = registering("");
    office.run(secs(1));
    for (to, rung) in [("0312340003", "DE"), ("0399999999", "")] {
        let before = office.finals().len();
        office.raw(
            CARRIER,
            &format!(
                "INVITE sip:line1@{SERVER} SIP/2.0\nVia: SIP/2.0/UDP {CARRIER};branch=z9hG4bKx{to}\n\
                 Max-Forwards: 70\nFrom: <sip:0455550001@carrier>;tag=c{to}\n\
                 To: <sip:{to}@carrier>\nCall-ID: {to}\nCSeq: 1 INVITE\n\
                 Contact: <sip:{CARRIER}>\nContent-Length: 0\n\n"
            ),
        );
        office.run(secs(2));
        let ringing: String =
            ('A'..='F').filter(|name| office.phone(*name).ringing.take().is_some()).collect();
        assert_eq!(ringing, rung, "{to}");
        if rung.is_empty() {
            assert!(office.finals().len() > before || office.switch.calls().len() == 1);
        }
        while !office.switch.calls().is_empty() {
            office.kill();
            office.run(secs(40));
        }
    }
}

#[test]
fn the_next_trunk_is_tried_when_the_fault_is_the_first_ones_and_never_otherwise() {
    let second = "[trunk.second]\naddress = \"203.0.113.9\"\nprofile = \"jp-ngn\"\n";
    for (status, next) in [
        (401, true),
        (403, true),
        (404, false),
        (408, true),
        (410, false),
        (480, false),
        (484, false),
        (486, false),
        (488, true),
        (500, true),
        (503, true),
        (504, true),
        (600, false),
        (603, false),
        (604, false),
    ] {
        let mut office = Office::planned(|plan| {
            plan.replace("[trunk.carrier]", &format!("{second}[trunk.carrier]")).replace(
                "default_trunk = \"carrier\"",
                "default_trunk = \"carrier\"\nroute = { fixed = [\"carrier\", \"second\"] }",
            )
        });
        office.phone(TRUNK).does = Does::Refuses(status);
        office.call('A', "0455550001");
        office.run(secs(1));
        let invites = office.strays.iter().filter(|(_, m)| m.method() == Some(Method::Invite));
        assert_eq!(invites.count() > 0, next, "{status}");
        if next {
            let invite = stray(&mut office, Method::Invite, SPARE);
            answer(&mut office, SPARE, &invite, "486 Busy Here", "");
            office.run(secs(40));
            assert_eq!(ending(&only(office.finals())).1, 486, "{status}: what the second says");
        } else {
            office.run(secs(40));
            let told = if status == 600 { 486 } else { status };
            assert_eq!(ending(&only(office.finals())).1, told);
        }
    }
}

#[test]
fn a_host_that_says_nothing_is_left_after_four_seconds_and_passed_over_by_the_next_call() {
    let mut office = with("hosts = [{ address = \"203.0.113.9\", priority = 2 }]");
    office.vanish(TRUNK);
    office.call('A', "0455550001");
    office.run(Duration::from_millis(3_900));
    assert!(office.strays.is_empty());
    office.run(Duration::from_millis(300));
    let invite = stray(&mut office, Method::Invite, SPARE);
    answer(&mut office, SPARE, &invite, "486 Busy Here", "");
    office.run(secs(1));
    assert_eq!(hosts(&office)[0].1, "held");
    let second = outside_at_spare(&mut office);
    assert!(second < Duration::from_millis(200), "{second:?}");
    let view = trunk(&office);
    assert_eq!((view.begun, view.failed), (3, 1));
    // Nothing is remembered for ever.
    office.run(secs(60));
    assert_eq!(hosts(&office)[0].1, "untested");
}

/// How long a call took to the spare host, which refuses it.
fn outside_at_spare(office: &mut Office) -> Duration {
    let begun = office.now;
    office.strays.clear();
    office.call('A', "0455550001");
    while office.strays.is_empty() {
        office.run(Duration::from_millis(10));
    }
    let after = office.now.since(begun);
    let invite = stray(office, Method::Invite, SPARE);
    answer(office, SPARE, &invite, "486 Busy Here", "");
    office.run(secs(1));
    after
}

#[test]
fn a_host_that_has_said_100_may_take_its_time() {
    let mut office = with("hosts = [{ address = \"203.0.113.9\", priority = 2 }]");
    office.phone(TRUNK).does = Does::Answers(20_000);
    office.call('A', "0455550001");
    office.run(secs(25));
    assert!(office.strays.is_empty());
    assert_eq!(office.phone('A').up.len(), 1, "{:?}", office.phone('A').log);
    office.hang_up('A');
    only(office.finish());
}

#[test]
fn a_callee_who_never_answers_is_no_fault_of_the_trunk() {
    let mut office = with("hosts = [{ address = \"203.0.113.9\", priority = 2 }]");
    assert_eq!(outside(&mut office, 200), (CallCause::NotAnswered, 480));
    assert!(office.strays.is_empty(), "nobody rings twice");
    assert_eq!(trunk(&office).failed, 0);
}

#[test]
fn offices_that_share_a_carriers_address_have_their_calls_each_by_its_numbers() {
    // Written otherwise, the same address.
    let mut office =
        Office::with_neighbour_planned(|plan| plan.replace(CARRIER, "[::ffff:127.0.0.1]:5070"));
    office.register('E', &[("Expires", "0")]);
    office.run(secs(1));
    office.phone('E').user = "beta-805".to_owned();
    office.register('E', &[]);
    office.run(secs(1));
    office.call(TRUNK, "0398760003");
    office.run(secs(1));
    assert!(office.phone('E').ringing.is_some(), "{:?}", office.explained);
    office.hang_up(TRUNK);
    office.run(secs(1));
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    assert!(office.phone('D').ringing.is_some(), "{:?}", office.explained);
}

#[test]
fn forwarded_calls_take_no_more_channels_than_the_trunk_has() {
    let mut office = Office::planned(|plan| {
        let number = "[number.number3]\n";
        let way = "no_answer = { forward = \"09012345678\" }\n";
        plan.replace(number, &format!("{number}{way}")).replace("\nchannels = 30", "\nchannels = 3")
    });
    for _ in 0..2 {
        office.call(TRUNK, "0312340003");
    }
    office.run(secs(40));
    assert!(office.explained("all 3 channels in use"), "{:?}", office.explained);
    assert_eq!(office.switch.tables().outside, 1, "{:?}", office.explained);
}

#[test]
fn a_host_that_answers_no_probe_is_skipped_and_comes_back() {
    let mut office = with("probe = \"30s\"");
    office.run(secs(40));
    assert_eq!(hosts(&office)[0].1, "alive");
    assert_eq!(trunk(&office).state, "ready");
    office.deafen(Some(TRUNK));
    office.run(secs(45));
    assert_eq!((hosts(&office)[0].1.as_str(), trunk(&office).state.as_str()), ("dead", "down"));
    assert!(office.notices.iter().any(|text| text.contains("none of its hosts answers")));
    office.call('A', "0455550001");
    office.run(secs(30));
    assert_eq!(ending(&only(office.finals())), (CallCause::Plan, 503));
    assert!(office.explained("none of its hosts answers"));
    assert_eq!(trunk(&office).begun, 0, "nobody is called in vain");
    office.deafen(None);
    office.run(secs(35));
    assert_eq!(trunk(&office).state, "ready");
    assert!(office.notices.iter().any(|text| text.contains("answers again")));
    office.phone(TRUNK).does = Does::Refuses(486);
    assert_eq!(outside(&mut office, 5).1, 486);
}

#[test]
fn no_more_calls_begin_in_a_second_than_the_trunk_takes() {
    let mut office = with("calls_per_second = 2");
    office.phone(TRUNK).does = Does::Rings;
    for name in ['A', 'B', 'D'] {
        office.call(name, "0455550001");
        office.run(Duration::from_millis(50));
    }
    office.run(Duration::from_millis(300));
    let view = trunk(&office);
    assert_eq!((view.in_second, view.state.as_str(), view.begun), (2, "paced", 2));
    assert!(office.explained("no more calls begin there in this second"));
    office.run(secs(1));
    assert_eq!(trunk(&office).state, "ready");
    office.call('E', "0455550001");
    office.run(secs(1));
    assert_eq!(trunk(&office).begun, 3);
}

#[test]
fn a_trunk_in_maintenance_keeps_its_calls_and_takes_no_new_ones() {
    let mut office = Office::open();
    office.phone(TRUNK).does = Does::Answers(500);
    office.call('A', "0455550001");
    office.run(secs(2));
    let key = (Some("acme".into()), "carrier".into());
    let now = office.now();
    assert!(office.switch.set_maintenance(now, &key, "Hanako", true));
    assert!(!office.switch.set_maintenance(now, &(None, "carrier".into()), "Hanako", true));
    office.run(secs(1));
    let view = trunk(&office);
    assert_eq!(
        (view.state.as_str(), view.maintenance_by.as_deref()),
        ("maintenance", Some("Hanako"))
    );
    office.call('B', "0455550001");
    office.call(TRUNK, "0312340003");
    office.run(secs(30));
    assert_eq!(office.phone('A').up.len(), 1, "it goes on");
    assert!(office.explained("it is in maintenance"));
    assert!(office.phone(TRUNK).heard("failed 503"), "{:?}", office.phone(TRUNK).log);
    // Another process knows it.
    let notes: Vec<_> = office
        .did
        .iter()
        .filter_map(|did| match did {
            office::Did::Record(koukan_switch::Record::Note(note)) => Some(note.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(notes.len(), 1);
    let mut other = Office::new();
    other.switch.restore_maintenance(&notes);
    assert_eq!(trunk(&other).state, "maintenance");
    let now = office.now();
    assert!(office.switch.set_maintenance(now, &key, "Hanako", false));
    office.call(TRUNK, "0312340003");
    office.run(secs(2));
    assert!(office.phone('D').ringing.is_some());
}

#[test]
fn a_name_that_stands_for_other_hosts_is_followed() {
    let mut office =
        Office::changed("address = \"127.0.0.1:5070\"", "address = \"sip.carrier.test\"");
    assert_eq!(trunk(&office).state, "down", "nothing is known of the name");
    let key = (Some("acme".into()), "carrier".into());
    let host = TrunkHost {
        address: CARRIER.parse().unwrap(),
        name: Some("sip.carrier.test".into()),
        priority: 1,
        weight: 1,
    };
    let of =
        |name: &str| vec![TrunkHostName { address: name.into(), priority: 1, weight: 1 }].into();
    let now = office.now();
    let stale = ResolvedHosts { key, of: of("sip.before.test"), hosts: vec![host] };
    office.switch.set_trunk_hosts(now, std::slice::from_ref(&stale));
    assert_eq!(trunk(&office).state, "down", "looked up for a plan that is not in force");
    let fresh = ResolvedHosts { of: of("sip.carrier.test"), ..stale };
    office.switch.set_trunk_hosts(now, &[fresh]);
    assert_eq!(trunk(&office).state, "ready");
    office.phone(TRUNK).does = Does::Answers(500);
    office.call('A', "0455550001");
    office.run(secs(2));
    let invite = office.phone(TRUNK).invite.clone().unwrap();
    assert_eq!(invite.request_uri(), b"sip:0455550001@sip.carrier.test");
    office.hang_up('A');
    office.run(secs(1));
    // Its calls are known by the address that was found.
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    assert!(office.phone('D').ringing.is_some());
}

#[test]
fn each_kind_of_line_is_spoken_to_in_its_own_way() {
    let case = |keys: &str, called: &str| {
        let own = "profile = \"jp-ngn\"";
        let mut office = Office::changed(own, keys);
        office.phone(TRUNK).does = Does::Rings;
        office.call('A', called);
        office.run(secs(2));
        let invite = office.phone(TRUNK).invite.clone().unwrap();
        String::from_utf8(invite.bytes().to_vec()).unwrap()
    };
    let user = "register = { user = \"201\", secret = \"file:x\" }";
    let gateway = case(&format!("profile = \"home-gateway\"\n{user}"), "0455550001");
    assert!(gateway.starts_with("INVITE sip:1860455550001@127.0.0.1:5070 SIP/2.0"), "{gateway}");
    for part in ["From: <sip:201@192.0.2.1", "Session-Expires: 300", "RTP/AVP 0\r\n"] {
        assert!(gateway.contains(part), "no {part} in {gateway}");
    }
    for part in ["PCMA", "telephone-event", "Privacy", "Asserted"] {
        assert!(!gateway.contains(part), "{part} in {gateway}");
    }
    let hidden = case(&format!("profile = \"home-gateway\"\n{user}"), "1840455550001");
    assert!(hidden.starts_with("INVITE sip:1840455550001@"), "{hidden}");
    assert!(!hidden.contains("Privacy") && hidden.contains("From: <sip:201@"), "{hidden}");
    let uni = case("profile = \"ngn-uni\"", "1840455550001");
    for part in ["INVITE sip:0455550001@", "P-Preferred-Identity: <sip:0312340001@", "Privacy: id"]
    {
        assert!(uni.contains(part), "no {part} in {uni}");
    }
    let between = case("profile = \"interconnect\"\nuser_phone = true", "0455550001");
    let line = "INVITE sip:+81455550001@127.0.0.1:5070;user=phone SIP/2.0";
    assert!(between.starts_with(line), "{between}");
    assert!(between.contains("P-Asserted-Identity: <sip:+81312340001@"), "{between}");
}

#[test]
fn a_challenged_call_is_answered_with_the_trunks_account() {
    let mut office = scripted("auth = { user = \"line1\", secret = \"file:x\" }");
    assert!(office.strays.is_empty(), "nobody registers");
    assert_eq!(trunk(&office).registration, None);
    office.call('A', "0455550001");
    office.run(secs(1));
    let invite = stray(&mut office, Method::Invite, SPARE);
    let challenge = "Proxy-Authenticate: Digest realm=\"c\", nonce=\"n\", qop=\"auth\"\n";
    answer(&mut office, SPARE, &invite, "407 Proxy Authentication Required", challenge);
    office.run(Duration::from_millis(100));
    let ack = stray(&mut office, Method::Ack, SPARE);
    assert_eq!(ack.cseq().unwrap().number, 1);
    let again = stray(&mut office, Method::Invite, SPARE);
    let digest = text(again.header(Header::ProxyAuthorization));
    assert!(digest.contains("username=\"line1\""), "{digest}");
    assert_eq!(PASSWORD, "secret");
    answer(&mut office, SPARE, &again, "407 Proxy Authentication Required", challenge);
    office.run(secs(40));
    assert_eq!(ending(&only(office.finals())), (CallCause::Plan, 503), "the trunk's fault");
}

#[test]
fn a_phone_behind_the_address_of_a_trunks_host_is_a_phone() {
    // The carrier's box and the office's phones stand behind one NAT.
    let mut office =
        Office::changed("address = \"127.0.0.1:5070\"", "address = \"192.0.2.11:5070\"");
    office.phone('D').does = Does::Answers(200);
    office.call('A', "804");
    office.run(secs(2));
    let (a, d) = (office.phone('A').media, office.phone('D').media);
    assert!(office.media.joined(a, d), "{:?}", office.phone('A').log);
    office.hang_up('A');
    assert_eq!(only(office.finish()).caller, "801");
    // One that is not registered gives credentials or names itself; else it is the carrier.
    let mut office =
        Office::changed("address = \"127.0.0.1:5070\"", "address = \"192.0.2.11:5070\"");
    let invite = |number: u32, from: &str, extra: &str| {
        format!(
            "INVITE sip:0312340003@{SERVER} SIP/2.0\n\
             Via: SIP/2.0/UDP 192.0.2.11:5099;branch=z9hG4bKbeside{number}\nMax-Forwards: 70\n\
             From: <sip:{from}@{SERVER}>;tag=a{number}\nTo: <sip:0312340003@{SERVER}>\n\
             Call-ID: beside{number}\nCSeq: 1 INVITE\nContact: <sip:x@192.0.2.11:5099>\n\
             {extra}Content-Length: 0\n\n"
        )
    };
    let given = "Proxy-Authorization: Digest username=\"acme-801\", realm=\"koukan\", \
                 nonce=\"old\", uri=\"sip:x\", response=\"0\"\n";
    for (number, from, given) in [(1, "0455550001", given), (2, "acme-801", "")] {
        office.raw("192.0.2.11:5099", &invite(number, from, given));
        office.run(secs(1));
        let status = office.strays.drain(..).find_map(|(_, message)| message.status());
        assert_eq!((status, office.switch.calls().len()), (Some(407), 0), "{from}");
    }
    office.all(Does::Rings);
    office.raw("192.0.2.11:5099", &invite(3, "0455550001", ""));
    office.run(secs(1));
    assert!(office.phone('D').heard("invite"), "the carrier may call from any port");
    office.stop();
    office.run(secs(40));
}

#[test]
fn a_host_that_no_listener_reaches_is_passed_over_by_a_registration() {
    let account = "register = { user = \"line1\", secret = \"file:x\" }\n\
                   hosts = [{ address = \"203.0.113.9:5060\", priority = 2 }]";
    let mut office = Office::planned(|plan| {
        let own = "profile = \"jp-ngn\"";
        plan.replace("127.0.0.1:5070", "[2001:db8::5]:5060")
            .replace(own, &format!("{own}\n{account}"))
    });
    office.run(secs(3));
    let register = stray(&mut office, Method::Register, SPARE);
    answer(&mut office, SPARE, &register, "200 OK", "Expires: 600\n");
    office.run(secs(1));
    assert_eq!(trunk(&office).registration.as_deref(), Some("registered"), "{:?}", trunk(&office));
}
