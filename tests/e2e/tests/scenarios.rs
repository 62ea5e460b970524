//! The rules of SIP that no phone shows on request, against sipp: late offers, reliable provisional
//! responses, UPDATE, session timers, requests that cross, transfers with their reports, lamps.

use std::fs;
use std::time::Duration;

use koukan_e2e::baresip::Baresip;
use koukan_e2e::office::{phone, phone_spec};
use koukan_e2e::ports::{free_port, phone_media_block};
use koukan_e2e::server::Server;
use koukan_e2e::sipp::{Sipp, SippSpec};

const LIMIT: Duration = Duration::from_secs(8);

macro_rules! scenario {
    ($name:literal) => {
        include_str!(concat!("data/sip/", $name, ".xml"))
    };
}

/// sipp as device A (`port` is free) or as the carrier (`port` is the trunk's), with one call.
fn sipp(server: &Server, name: &str, scenario: &str, port: u16, service: &str) -> Sipp {
    let directory = server.directory.join(format!("sipp-{name}"));
    fs::create_dir_all(&directory).expect("a directory");
    fs::write(directory.join("voice.ulaw"), [0x55; 8000]).expect("a file");
    let spec = SippSpec { scenario, server: server.sip, port, service, calls: 1 };
    let media = phone_media_block().to_string();
    let more = ["-timeout", "110s", "-timeout_error", "-trace_msg", "-rtp_echo", "-mp", &media];
    Sipp::start_with(&directory, &spec, &more).expect("sipp is installed")
}

macro_rules! device {
    ($server:expr, $name:literal, $service:literal) => {
        sipp(&$server, $name, scenario!($name), free_port(), $service)
    };
}

macro_rules! carrier {
    ($server:expr, $name:literal) => {
        sipp(&$server, $name, scenario!($name), $server.trunk_port, "carrier")
    };
}

fn finish(server: &Server, sipp: &mut Sipp, limit: Duration) {
    assert!(sipp.succeeded(limit), "{}\n{}", sipp.messages(), server.log_tail());
}

fn nothing_is_left(server: &Server) {
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

/// `phone` calls outside, to where `carrier` plays the carrier.
fn calls_outside(server: &Server, phone: &mut Baresip, carrier: &Sipp, until: &str) {
    phone.dial("0455550001").expect("the control link stands");
    phone
        .wait(until, LIMIT)
        .unwrap_or_else(|| panic!("{}\n{}", carrier.messages(), server.log_tail()));
}

/// A late offer is answered in the ACK, a description changes by UPDATE, a CANCEL after the answer
/// changes nothing, a phone is told of its messages: four phones at once.
#[test]
fn what_a_phone_may_do_without_another_phone() {
    let server = Server::start("alone").expect("the server starts");
    let mut late_offer = device!(server, "late_offer", "600");
    let mut update = device!(server, "update", "600");
    let mut cancel = device!(server, "cancel_after_answer", "600");
    let mut summary = device!(server, "subscribe_summary", "801");
    for sipp in [&mut late_offer, &mut update, &mut cancel, &mut summary] {
        finish(&server, sipp, Duration::from_secs(25));
    }
    nothing_is_left(&server);
}

/// Reliable provisional responses, a transfer with its reports, a lamp: one after the other with
/// the same colleagues.
#[test]
fn what_a_phone_may_do_with_its_colleagues() {
    let server = Server::start("colleagues").expect("the server starts");
    let mut b = phone(&server, "b", &phone_spec(&server, 'B')).expect("B registers");
    let mut c = phone(&server, "c", &phone_spec(&server, 'C')).expect("C registers");

    let mut prack = device!(server, "prack", "802");
    b.wait("CALL_INCOMING", LIMIT).unwrap_or_else(|| panic!("{}", prack.messages()));
    std::thread::sleep(Duration::from_millis(500));
    b.answer().expect("the control link stands");
    b.wait("CALL_ESTABLISHED", LIMIT).expect("B is connected");
    finish(&server, &mut prack, Duration::from_secs(20));
    b.wait("CALL_CLOSED", LIMIT).expect("B is cleared");

    let mut refer = device!(server, "refer", "802");
    b.wait("CALL_INCOMING", LIMIT).unwrap_or_else(|| panic!("{}", refer.messages()));
    b.answer().expect("the control link stands");
    c.wait("CALL_INCOMING", LIMIT)
        .unwrap_or_else(|| panic!("{}\n{}", refer.messages(), server.log_tail()));
    std::thread::sleep(Duration::from_millis(500));
    c.answer().expect("the control link stands");
    c.wait("CALL_ESTABLISHED", LIMIT).expect("C is connected");
    finish(&server, &mut refer, Duration::from_secs(20));
    c.hang_up().expect("the control link stands");
    b.wait("CALL_CLOSED", LIMIT).expect("B is cleared");

    let mut lamp = device!(server, "subscribe_dialog", "802");
    std::thread::sleep(Duration::from_secs(1));
    c.dial("802").expect("the control link stands");
    b.wait("CALL_INCOMING", LIMIT).expect("B rings");
    std::thread::sleep(Duration::from_secs(2));
    b.answer().expect("the control link stands");
    c.wait("CALL_ESTABLISHED", LIMIT).expect("C is connected");
    std::thread::sleep(Duration::from_secs(2));
    c.hang_up().expect("the control link stands");
    finish(&server, &mut lamp, Duration::from_secs(20));
    nothing_is_left(&server);
}

/// A reliable 183 is acknowledged, a longer session granted, a 200 that crosses the CANCEL is
/// acknowledged and ended: one call outside after the other.
#[test]
fn what_a_carrier_may_do() {
    let server = Server::start("carrier").expect("the server starts");
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");

    let mut prack = carrier!(server, "prack_callee");
    calls_outside(&server, &mut a, &prack, "CALL_ESTABLISHED");
    a.hang_up().expect("the control link stands");
    finish(&server, &mut prack, Duration::from_secs(20));

    let mut session = carrier!(server, "session_callee");
    calls_outside(&server, &mut a, &session, "CALL_ESTABLISHED");
    a.hang_up().expect("the control link stands");
    finish(&server, &mut session, Duration::from_secs(20));

    let mut crossing = carrier!(server, "cancel_crossing");
    calls_outside(&server, &mut a, &crossing, "CALL_RINGING");
    a.hang_up().expect("the control link stands");
    finish(&server, &mut crossing, Duration::from_secs(20));
    nothing_is_left(&server);
}

#[test]
fn a_session_that_is_no_longer_refreshed_ends_and_too_short_a_one_is_refused() {
    let server = Server::start("session-caller").expect("the server starts");
    let mut sipp = device!(server, "session_caller", "600");
    finish(&server, &mut sipp, Duration::from_secs(90));
    nothing_is_left(&server);
}

#[test]
fn a_refresh_that_crosses_the_carriers_re_invite_comes_again_in_its_time() {
    let server = Server::start("glare").expect("the server starts");
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    let mut sipp = carrier!(server, "glare");
    calls_outside(&server, &mut a, &sipp, "CALL_ESTABLISHED");
    // The refresh at 45 s, its repetition up to 4 s later.
    std::thread::sleep(Duration::from_secs(52));
    a.hang_up().expect("the control link stands");
    finish(&server, &mut sipp, LIMIT);
    let received = sipp.received("INVITE ");
    println!("INVITEs received at {received:.3?}");
    let [_, refresh, again] = received.as_slice() else {
        panic!("{} INVITEs:\n{}", received.len(), sipp.messages());
    };
    let wait = again - refresh;
    // The rule's 4 s, and what a busy machine adds.
    assert!((2.1..6.0).contains(&wait), "the refresh comes again after {wait:.2} s");
    nothing_is_left(&server);
}
