//! What strangers send: nothing rings, nothing stays.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_sip::Header;
use office::{Does, Office, PASSWORD, SERVER, TRUNK, only};

const STRANGER: &str = "203.0.113.9:5060";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn message(method: &str, to_tag: &str, extra: &str) -> String {
    format!(
        "{method} sip:0312340001@{SERVER} SIP/2.0\n\
         Via: SIP/2.0/UDP {STRANGER};branch=z9hG4bK{method}{to_tag}\nMax-Forwards: 70\n\
         From: <sip:acme-801@{SERVER}>;tag=a\nTo: <sip:0312340001@{SERVER}>{to_tag}\n\
         Call-ID: hostile\nCSeq: 1 {method}\nContact: <sip:x@{STRANGER}>\n\
         {extra}Content-Length: 0\n\n"
    )
}

fn answers(office: &mut Office) -> Vec<u16> {
    office.run(secs(1));
    std::mem::take(&mut office.strays).iter().map(|(_, m)| m.status().unwrap()).collect()
}

#[test]
fn a_stranger_who_calls_is_challenged_and_nothing_rings_or_is_recorded() {
    let mut office = Office::open();
    office.raw(STRANGER, &message("INVITE", "", ""));
    let got = answers(&mut office);
    assert!(got.starts_with(&[407]), "{got:?}");
    assert!(office.phones.values().all(|phone| !phone.heard("invite")));
    assert!(office.finish().is_empty());
}

#[test]
fn the_trunks_address_with_another_port_is_a_stranger() {
    let mut office = Office::open();
    office.raw("127.0.0.1:5071", &message("INVITE", "", ""));
    let got = answers(&mut office);
    assert!(got.starts_with(&[407]), "{got:?}");
    assert!(office.finish().is_empty());
}

#[test]
fn requests_for_dialogs_that_do_not_exist_get_481_and_an_ack_nothing() {
    let mut office = Office::new();
    for method in ["BYE", "CANCEL", "INFO", "UPDATE", "INVITE", "OPTIONS"] {
        let tag = if method == "CANCEL" { "" } else { ";tag=nothing" };
        office.raw(STRANGER, &message(method, tag, ""));
        assert_eq!(answers(&mut office), [481], "{method}");
    }
    office.raw(STRANGER, &message("ACK", ";tag=nothing", ""));
    office.raw(STRANGER, &message("ACK", "", ""));
    office.run(secs(1));
    assert!(answers(&mut office).is_empty(), "nothing answers an ACK");
    assert_eq!(office.switch.dropped().stray_acks, 2);
    let tables = office.switch.tables();
    assert_eq!(tables, koukan_switch::Tables::default(), "strangers take no memory");
    assert!(office.finish().is_empty());
}

#[test]
fn a_stranger_cannot_end_a_call_whose_tags_it_does_not_know() {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(500);
    office.call('A', "804");
    office.run(secs(2));
    let invite = office.phone('D').invite.clone().unwrap();
    let call_id = String::from_utf8(invite.call_id().to_vec()).unwrap();
    for method in ["BYE", "CANCEL"] {
        let text = message(method, ";tag=guess", "")
            .replace("Call-ID: hostile", &format!("Call-ID: {call_id}"));
        office.raw(STRANGER, &text);
    }
    office.run(secs(5));
    assert_eq!(office.switch.calls()[0].stage, "bridged");
    office.hang_up('A');
    only(office.finish());
}

#[test]
fn a_from_of_another_device_changes_neither_the_caller_nor_its_rights() {
    let mut office = Office::open();
    office.phone('A').from = Some(format!("\"Boss\" <sip:acme-805@{SERVER}>").into_bytes());
    office.phone('A').headers =
        vec![("P-Asserted-Identity", b"<sip:0312349999@192.0.2.1>".to_vec())];
    office.call('A', "804");
    office.run(secs(1));
    let invite = office.phone('D').invite.clone().unwrap();
    assert_eq!(invite.from_user().unwrap(), b"acme-801");
    assert_eq!(invite.header(Header::PAssertedIdentity), None);
    office.give_up('A');
    assert_eq!(only(office.finish()).caller, "801");
}

#[test]
fn a_call_with_a_wrong_password_or_an_unknown_user_is_refused() {
    let mut office = Office::open();
    let now = office.now;
    office.phone('A').call_as(now, "804", "acme-801", "wrong");
    office.phone('B').call_as(now, "804", "acme-999", PASSWORD);
    office.run(secs(1));
    for name in ['A', 'B'] {
        assert!(office.phone(name).heard("failed 403"), "{:?}", office.phone(name).log);
    }
    assert!(office.finish().is_empty());
}

#[test]
fn an_offer_that_cannot_be_read_or_has_no_audio_is_488_and_rings_nobody() {
    for body in [
        "rubbish\r\n",
        "v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nt=0 0\r\n\
         m=video 9 RTP/AVP 31\r\n",
    ] {
        let mut office = Office::open();
        let text = message("INVITE", "", "Content-Type: application/sdp\n").replace(
            "Content-Length: 0\n\n",
            &format!("Content-Length: {}\n\n{}", body.len(), body.replace("\r\n", "\n")),
        );
        office.raw("127.0.0.1:5070", &text.replace(STRANGER, "127.0.0.1:5070"));
        office.run(secs(1));
        assert!(office.sent("SIP/2.0 488") > 0, "{:?}", office.did.last());
        assert!(office.phones.values().all(|phone| !phone.heard("invite")));
        assert!(office.finish().is_empty());
    }
}

#[test]
fn a_codec_that_nobody_has_is_488() {
    let mut office = Office::open();
    let body =
        "v=0\no=- 1 1 IN IP4 1.2.3.4\ns=-\nc=IN IP4 1.2.3.4\nt=0 0\nm=audio 4000 RTP/AVP 18\n";
    let text = message("INVITE", "", "Content-Type: application/sdp\n").replace(
        "Content-Length: 0\n\n",
        &format!("Content-Length: {}\n\n{body}", body.len() + body.matches('\n').count()),
    );
    office.phone('A').does = Does::AnswersAtOnce;
    office.raw("127.0.0.1:5070", &text.replace(STRANGER, "127.0.0.1:5070"));
    office.run(secs(1));
    assert!(office.sent("SIP/2.0 488") > 0, "{:?}", office.explained);
    assert!(!office.phone('A').heard("invite"), "nobody answers a call that cannot be joined");
    assert!(office.finish().is_empty());
}

#[test]
fn methods_outside_a_dialog_are_answered_and_forgotten() {
    let mut office = Office::new();
    for (method, status) in [
        ("OPTIONS", 200),
        ("SUBSCRIBE", 401),
        ("PUBLISH", 489),
        ("MESSAGE", 405),
        ("NONSENSE", 501),
    ] {
        office.raw(STRANGER, &message(method, "", ""));
        assert_eq!(answers(&mut office).first(), Some(&status), "{method}");
    }
    office.finish();
}

#[test]
fn a_call_beyond_the_bound_gets_503_with_retry_after_and_the_others_live() {
    let mut office = Office::open();
    for _ in 0..20 {
        office.call('A', "600");
        office.run(secs(1));
    }
    assert_eq!(office.switch.calls().len(), 20);
    office.call('B', "600");
    office.run(secs(1));
    let refused = office.phone('B').responses.last().cloned().unwrap();
    assert_eq!(refused.status(), Some(503));
    assert_eq!(refused.header_named("Retry-After"), Some(b"10".as_slice()));
    office.hang_up('A');
    assert_eq!(office.finish().len(), 20);
}

#[test]
fn ten_thousand_damaged_messages_leave_nothing_and_hurt_no_call() {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(500);
    office.call('A', "804");
    office.run(secs(2));
    let invite = office.phone('D').invite.clone().unwrap();
    let seeds: Vec<Vec<u8>> = ["INVITE", "REGISTER", "BYE", "CANCEL", "ACK", "OPTIONS"]
        .into_iter()
        .map(|method| message(method, "", "").replace('\n', "\r\n").into_bytes())
        .chain([invite.bytes().to_vec()])
        .collect();
    for _ in 0..10_000 {
        let which = usize::try_from(office.dice(7)).unwrap();
        let mut bytes = seeds[which].clone();
        for _ in 0..=office.dice(6) {
            let at = usize::try_from(office.dice(2_000)).unwrap() % bytes.len();
            match office.dice(3) {
                0 => bytes[at] = office.dice(256).to_le_bytes()[0],
                1 => drop(bytes.remove(at)),
                _ => bytes.truncate(at.max(20)),
            }
        }
        // From a stranger and from the trunk, which needs no password.
        let from = if office.dice(2) == 0 { STRANGER } else { "127.0.0.1:5070" };
        office.bytes(from, &bytes);
        office.run(Duration::from_millis(20));
    }
    let bridged = office.switch.calls().iter().filter(|call| call.stage == "bridged").count();
    assert!(bridged >= 1, "the call that was up is up");
    // What the trunk's INVITEs have begun is never acknowledged, and ends all the same.
    office.all(Does::Refuses(480));
    office.run(secs(200));
    office.hang_up('A');
    assert!(!office.finish().is_empty());
}

#[test]
fn a_call_that_has_used_up_its_hops_is_483() {
    let mut office = Office::open();
    let text = message("INVITE", "", "").replace("Max-Forwards: 70", "Max-Forwards: 0");
    office.raw(STRANGER, &text);
    assert_eq!(answers(&mut office).first(), Some(&483));
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    assert_eq!(office.phone('D').invite.clone().unwrap().max_forwards(), Some(69));
    office.give_up(TRUNK);
    office.finish();
}

#[test]
fn our_own_call_that_a_trunk_gives_back_is_a_loop() {
    let mut office = Office::open();
    let text = message("INVITE", "", "").replace(STRANGER, "127.0.0.1:5070").replace(
        "Max-Forwards",
        &format!("Via: SIP/2.0/UDP {SERVER};branch=z9hG4bKours\nMax-Forwards"),
    );
    office.raw("127.0.0.1:5070", &text);
    office.run(secs(1));
    assert!(office.sent("SIP/2.0 482") > 0, "{:?}", office.did.last());
    assert!(office.phones.values().all(|phone| phone.name == TRUNK || !phone.heard("invite")));
    assert!(office.finish().is_empty());
}
