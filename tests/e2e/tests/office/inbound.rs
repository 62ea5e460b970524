//! Calls from the carrier: each number rings exactly its phones, and lunch is announced at lunch.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use koukan_e2e::audio::Sound;
use koukan_e2e::baresip::Baresip;
use koukan_e2e::office::{carrier, phone, phone_spec};
use koukan_e2e::server::{Server, source_root};
use koukan_e2e::sipp::{Sipp, SippSpec};

const LIMIT: Duration = Duration::from_secs(8);

/// A carrier's call that lets it ring for two seconds and gives up.
const RING_AND_CANCEL: &str = include_str!("../data/ring_and_cancel.xml");

fn incoming(phone: &Baresip) -> usize {
    phone.history.iter().filter(|event| event["type"] == "CALL_INCOMING").count()
}

#[test]
fn s_02_each_number_rings_exactly_its_phones() {
    let server = Server::start("rings").expect("the server starts");
    server.ctl(&["clock", "2026-07-01T10:00:00+09:00"]).expect("the test clock can be set");
    let mut phones: BTreeMap<char, Baresip> = ('A'..='F')
        .map(|device| {
            let name = format!("phone-{device}");
            (device, phone(&server, &name, &phone_spec(&server, device)).expect("it registers"))
        })
        .collect();
    let rings = [("0312340001", "ABCDE"), ("0312340002", "ABC"), ("0312340003", "DE")];
    let mut expected: BTreeMap<char, usize> = ('A'..='F').map(|device| (device, 0)).collect();
    for (did, devices) in rings {
        let spec = SippSpec {
            scenario: RING_AND_CANCEL,
            server: server.sip,
            port: server.trunk_port,
            service: did,
            calls: 1,
        };
        let mut trunk = Sipp::start(&server.directory.join(did), &spec).expect("sipp is installed");
        assert!(trunk.succeeded(Duration::from_secs(20)), "{did}:\n{}", trunk.messages());
        for device in devices.chars() {
            *expected.entry(device).or_default() += 1;
        }
        for (device, phone) in &mut phones {
            let count = expected.get(device).copied().unwrap_or(0);
            if devices.contains(*device) {
                phone.wait("CALL_CLOSED", LIMIT).expect("it stops ringing");
            }
            phone.saw("");
            assert_eq!(incoming(phone), count, "{did}: calls that rang {device}");
        }
        println!("{did} rang exactly {devices}");
    }
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

#[test]
fn at_lunch_the_loaded_module_plays_the_lunch_announcement() {
    let server = Server::start("lunch").expect("the server starts");
    server.ctl(&["clock", "2026-07-01T12:30:00+09:00"]).expect("the test clock can be set");
    let mut caller = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    caller.dial("0312340001").expect("the control link stands");
    caller
        .wait("CALL_CLOSED", Duration::from_secs(40))
        .unwrap_or_else(|| panic!("the announcement does not end:\n{}", caller.log()));
    let prompt = prompt("lunch");
    let heard = caller.heard().expect("a recording");
    let (likeness, at) = heard.likeness(&prompt.part(0.0, 3.0));
    println!("lunch announcement heard {at:.2} s into the call, likeness {likeness:.3}");
    assert!(likeness >= 0.9, "likeness {likeness:.3}");
    let (late, _) = heard.likeness(&prompt.part(prompt.seconds() - 1.5, prompt.seconds()));
    assert!(late >= 0.9, "its end is missing: likeness {late:.3}");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

#[test]
fn a_phone_answers_a_carriers_call_and_both_hear_each_other() {
    let server = Server::start("inbound").expect("the server starts");
    server.ctl(&["clock", "2026-07-01T10:00:00+09:00"]).expect("the test clock can be set");
    let mut b = phone(&server, "b", &phone_spec(&server, 'B')).expect("B registers");
    let mut c = phone(&server, "c", &phone_spec(&server, 'C')).expect("C registers");
    let mut caller = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    caller.dial("0312340002").expect("the control link stands");
    b.wait("CALL_INCOMING", LIMIT).unwrap_or_else(|| panic!("{}", caller.log()));
    c.wait("CALL_INCOMING", LIMIT).expect("C rings too");
    b.answer().expect("the control link stands");
    caller.wait("CALL_ESTABLISHED", LIMIT).expect("the caller is connected");
    c.wait("CALL_CLOSED", LIMIT).expect("C stops ringing");
    assert!(
        c.log().contains("SIP;cause=200;text=\"Call completed elsewhere\""),
        "C is not told that the call was taken elsewhere"
    );
    assert!(b.log().contains("0455550001"), "B does not see who calls");
    std::thread::sleep(Duration::from_secs(3));
    caller.hang_up().expect("the control link stands");
    b.wait("CALL_CLOSED", LIMIT).expect("B is cleared");
    let level = b.heard().expect("B's recording").part(1.0, 2.5).tone_dbfs(1000.0);
    assert!((level + 15.0).abs() <= 1.0, "B hears the caller at {level:.2} dBFS");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

#[test]
fn an_unknown_number_is_announced_and_refused() {
    let server = Server::start("unknown").expect("the server starts");
    let mut caller = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    caller.dial("0399999999").expect("the control link stands");
    let reason = caller.wait("CALL_CLOSED", Duration::from_secs(40)).expect("it is refused");
    assert!(reason.contains("404"), "{reason}");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

pub(super) fn prompt(name: &str) -> Sound {
    let file = source_root().join("conf/prompts/ja").join(format!("{name}.wav"));
    Sound::read_wav(Path::new(&file)).expect("the prompt is in the tree")
}
