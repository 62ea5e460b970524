//! Two real phones register, call, hear each other at the right level, and leave nothing behind.

use std::time::Duration;

use koukan_e2e::audio::Sound;
use koukan_e2e::baresip::{PhoneSpec, TONE_DBFS};
use koukan_e2e::office::{phone, phone_spec};
use koukan_e2e::server::Server;

const LIMIT: Duration = Duration::from_secs(8);

/// The tone must be there from one second after the answer, within 1 dB, and the own one must not.
fn assert_hears(heard: &Sound, expected: f64, own: f64) {
    let middle = heard.part(1.0, heard.seconds() - 0.3);
    assert!(middle.seconds() > 1.5, "only {:.1} s were heard", heard.seconds());
    let level = middle.tone_dbfs(expected);
    println!("{expected} Hz heard at {level:.2} dBFS, sent at {TONE_DBFS}");
    assert!((level - TONE_DBFS).abs() <= 1.0, "{expected} Hz at {level:.2} dBFS");
    assert!(middle.tone_dbfs(own) < -45.0, "an echo of the own {own} Hz is heard");
}

fn two_way_call(name: &str, transport: &'static str, codecs: [&'static [&'static str]; 2]) {
    let server = Server::start(name).expect("the server starts");
    let spec_a =
        PhoneSpec { tone: 440.0, transport, codecs: codecs[0], ..phone_spec(&server, 'A') };
    let spec_b = PhoneSpec { tone: 880.0, codecs: codecs[1], ..phone_spec(&server, 'B') };
    let mut a = phone(&server, "a", &spec_a).expect("A registers");
    let mut b = phone(&server, "b", &spec_b).expect("B registers");
    a.dial("802").expect("the control link stands");
    b.wait("CALL_INCOMING", LIMIT).unwrap_or_else(|| panic!("B does not ring:\n{}", a.log()));
    b.answer().expect("the control link stands");
    a.wait("CALL_ESTABLISHED", LIMIT).unwrap_or_else(|| panic!("no answer:\n{}", a.log()));
    std::thread::sleep(Duration::from_secs(4));
    b.hang_up().expect("the control link stands");
    a.wait("CALL_CLOSED", LIMIT).unwrap_or_else(|| panic!("A is not cleared:\n{}", a.log()));
    assert_hears(&a.heard().expect("A's recording"), 880.0, 440.0);
    assert_hears(&b.heard().expect("B's recording"), 440.0, 880.0);
    server.wait_empty(Duration::from_secs(40)).expect("nothing is left");
}

#[test]
fn two_phones_hear_each_others_tone_and_leave_nothing_behind() {
    two_way_call("same-codec", "udp", [&["PCMU"], &["PCMU"]]);
}

#[test]
fn a_law_and_mu_law_phones_hear_each_other() {
    two_way_call("transcoded", "udp", [&["PCMU"], &["PCMA"]]);
}

#[test]
fn a_phone_on_tcp_calls_one_on_udp() {
    two_way_call("tcp", "tcp", [&["PCMA", "PCMU"], &["PCMA", "PCMU"]]);
}

#[test]
fn a_declined_call_ends_with_busy_and_one_to_nobody_with_unavailable() {
    let server = Server::start("declined").expect("the server starts");
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    let mut b = phone(&server, "b", &phone_spec(&server, 'B')).expect("B registers");
    a.dial("802").expect("the control link stands");
    b.wait("CALL_INCOMING", LIMIT).expect("B rings");
    b.hang_up().expect("the control link stands");
    let reason = a.wait("CALL_CLOSED", LIMIT).expect("A is cleared");
    assert!(reason.contains("486"), "{reason}");
    a.dial("803").expect("the control link stands");
    let reason = a.wait("CALL_CLOSED", LIMIT).expect("A is cleared");
    assert!(reason.contains("480"), "{reason}");
    server.wait_empty(Duration::from_secs(40)).expect("nothing is left");
}

#[test]
fn a_caller_that_gives_up_silences_the_phone() {
    let server = Server::start("gives-up").expect("the server starts");
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    let mut b = phone(&server, "b", &phone_spec(&server, 'B')).expect("B registers");
    a.dial("802").expect("the control link stands");
    b.wait("CALL_INCOMING", LIMIT).expect("B rings");
    a.hang_up().expect("the control link stands");
    b.wait("CALL_CLOSED", LIMIT).expect("B stops ringing");
    server.wait_empty(Duration::from_secs(40)).expect("nothing is left");
}

#[test]
fn the_echo_test_gives_the_own_voice_back() {
    let server = Server::start("echo").expect("the server starts");
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    a.dial("600").expect("the control link stands");
    a.wait("CALL_ESTABLISHED", LIMIT).unwrap_or_else(|| panic!("no answer:\n{}", a.log()));
    std::thread::sleep(Duration::from_secs(3));
    a.hang_up().expect("the control link stands");
    let heard = a.heard().expect("A's recording");
    let level = heard.part(1.0, heard.seconds() - 0.2).tone_dbfs(440.0);
    assert!((level - TONE_DBFS).abs() <= 1.0, "the echo is at {level:.2} dBFS");
    server.wait_empty(Duration::from_secs(40)).expect("nothing is left");
}

#[test]
fn a_phone_that_vanishes_is_noticed_by_its_missing_rtp() {
    let server = Server::start("vanished").expect("the server starts");
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    let mut b = phone(&server, "b", &phone_spec(&server, 'B')).expect("B registers");
    a.dial("802").expect("the control link stands");
    b.wait("CALL_INCOMING", LIMIT).expect("B rings");
    b.answer().expect("the control link stands");
    a.wait("CALL_ESTABLISHED", LIMIT).expect("A is connected");
    std::thread::sleep(Duration::from_secs(1));
    drop(b);
    a.wait("CALL_CLOSED", Duration::from_secs(15)).expect("A is cleared");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}
