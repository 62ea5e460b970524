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
fn sipp(server: &Server, scenario: &str, port: u16, service: &str) -> Sipp {
    let directory = server.directory.join("sipp");
    fs::create_dir_all(&directory).expect("a directory");
    fs::write(directory.join("voice.ulaw"), [0x55; 8000]).expect("a file");
    let spec = SippSpec { scenario, server: server.sip, port, service, calls: 1 };
    let media = phone_media_block().to_string();
    let more = ["-timeout", "110s", "-timeout_error", "-trace_msg", "-rtp_echo", "-mp", &media];
    Sipp::start_with(&directory, &spec, &more).expect("sipp is installed")
}

fn device(server: &Server, scenario: &str, service: &str) -> Sipp {
    sipp(server, scenario, free_port(), service)
}

fn finish(server: &Server, mut sipp: Sipp, limit: Duration) {
    assert!(sipp.succeeded(limit), "{}\n{}", sipp.messages(), server.log_tail());
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

/// A phone that calls outside, to where sipp plays the carrier.
fn calls_outside(server: &Server) -> Baresip {
    let mut a = phone(server, "a", &phone_spec(server, 'A')).expect("A registers");
    a.dial("0455550001").expect("the control link stands");
    a
}

#[test]
fn a_call_without_an_offer_gets_one_and_its_answer_comes_in_the_ack() {
    let server = Server::start("late-offer").expect("the server starts");
    let sipp = device(&server, scenario!("late_offer"), "600");
    finish(&server, sipp, Duration::from_secs(20));
}

#[test]
fn a_caller_that_demands_reliable_responses_gets_them() {
    let server = Server::start("prack").expect("the server starts");
    let mut b = phone(&server, "b", &phone_spec(&server, 'B')).expect("B registers");
    let sipp = device(&server, scenario!("prack"), "802");
    b.wait("CALL_INCOMING", LIMIT).unwrap_or_else(|| panic!("{}", sipp.messages()));
    std::thread::sleep(Duration::from_millis(500));
    b.answer().expect("the control link stands");
    finish(&server, sipp, Duration::from_secs(20));
}

#[test]
fn a_reliable_183_of_the_carrier_is_acknowledged() {
    let server = Server::start("prack-callee").expect("the server starts");
    let sipp = sipp(&server, scenario!("prack_callee"), server.trunk_port, "carrier");
    let mut a = calls_outside(&server);
    a.wait("CALL_ESTABLISHED", LIMIT)
        .unwrap_or_else(|| panic!("{}\n{}", sipp.messages(), server.log_tail()));
    a.hang_up().expect("the control link stands");
    finish(&server, sipp, Duration::from_secs(20));
}

#[test]
fn a_description_changes_by_update() {
    let server = Server::start("update").expect("the server starts");
    let sipp = device(&server, scenario!("update"), "600");
    finish(&server, sipp, Duration::from_secs(20));
}

#[test]
fn a_session_that_is_no_longer_refreshed_ends_and_too_short_a_one_is_refused() {
    let server = Server::start("session-caller").expect("the server starts");
    let sipp = device(&server, scenario!("session_caller"), "600");
    finish(&server, sipp, Duration::from_secs(90));
}

#[test]
fn a_carrier_that_wants_a_longer_session_gets_it() {
    let server = Server::start("session-callee").expect("the server starts");
    let sipp = sipp(&server, scenario!("session_callee"), server.trunk_port, "carrier");
    let mut a = calls_outside(&server);
    a.wait("CALL_ESTABLISHED", LIMIT)
        .unwrap_or_else(|| panic!("{}\n{}", sipp.messages(), server.log_tail()));
    a.hang_up().expect("the control link stands");
    finish(&server, sipp, Duration::from_secs(20));
}

#[test]
fn a_refresh_that_crosses_the_carriers_re_invite_comes_again_in_its_time() {
    let server = Server::start("glare").expect("the server starts");
    let mut sipp = sipp(&server, scenario!("glare"), server.trunk_port, "carrier");
    let mut a = calls_outside(&server);
    a.wait("CALL_ESTABLISHED", LIMIT)
        .unwrap_or_else(|| panic!("{}\n{}", sipp.messages(), server.log_tail()));
    // The refresh at 45 s, its repetition up to 4 s later.
    std::thread::sleep(Duration::from_secs(52));
    a.hang_up().expect("the control link stands");
    assert!(sipp.succeeded(LIMIT), "{}\n{}", sipp.messages(), server.log_tail());
    let received = sipp.received("INVITE ");
    println!("INVITEs received at {received:.3?}");
    let [_, refresh, again] = received.as_slice() else {
        panic!("{} INVITEs:\n{}", received.len(), sipp.messages());
    };
    let wait = again - refresh;
    // The rule's 4 s, and what a busy machine adds.
    assert!((2.1..6.0).contains(&wait), "the refresh comes again after {wait:.2} s");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

#[test]
fn a_200_that_crosses_the_cancel_is_acknowledged_and_ended() {
    let server = Server::start("crossing").expect("the server starts");
    let sipp = sipp(&server, scenario!("cancel_crossing"), server.trunk_port, "carrier");
    let mut a = calls_outside(&server);
    a.wait("CALL_RINGING", LIMIT)
        .unwrap_or_else(|| panic!("{}\n{}", sipp.messages(), server.log_tail()));
    a.hang_up().expect("the control link stands");
    finish(&server, sipp, Duration::from_secs(20));
}

#[test]
fn a_cancel_after_the_answer_changes_nothing() {
    let server = Server::start("late-cancel").expect("the server starts");
    let sipp = device(&server, scenario!("cancel_after_answer"), "600");
    finish(&server, sipp, Duration::from_secs(20));
}

#[test]
fn a_transfer_reports_trying_ringing_and_success_and_releases_who_asked() {
    let server = Server::start("refer").expect("the server starts");
    let mut b = phone(&server, "b", &phone_spec(&server, 'B')).expect("B registers");
    let mut c = phone(&server, "c", &phone_spec(&server, 'C')).expect("C registers");
    let sipp = device(&server, scenario!("refer"), "802");
    b.wait("CALL_INCOMING", LIMIT).unwrap_or_else(|| panic!("{}", sipp.messages()));
    b.answer().expect("the control link stands");
    c.wait("CALL_INCOMING", LIMIT)
        .unwrap_or_else(|| panic!("{}\n{}", sipp.messages(), server.log_tail()));
    std::thread::sleep(Duration::from_millis(500));
    c.answer().expect("the control link stands");
    c.wait("CALL_ESTABLISHED", LIMIT).expect("C is connected");
    std::thread::sleep(Duration::from_secs(3));
    c.hang_up().expect("the control link stands");
    b.wait("CALL_CLOSED", LIMIT).expect("B is cleared");
    finish(&server, sipp, Duration::from_secs(20));
}

#[test]
fn a_lamp_follows_a_colleagues_line() {
    let server = Server::start("lamp").expect("the server starts");
    let mut b = phone(&server, "b", &phone_spec(&server, 'B')).expect("B registers");
    let mut c = phone(&server, "c", &phone_spec(&server, 'C')).expect("C registers");
    let sipp = device(&server, scenario!("subscribe_dialog"), "802");
    std::thread::sleep(Duration::from_secs(1));
    c.dial("802").expect("the control link stands");
    b.wait("CALL_INCOMING", LIMIT).expect("B rings");
    std::thread::sleep(Duration::from_secs(2));
    b.answer().expect("the control link stands");
    c.wait("CALL_ESTABLISHED", LIMIT).expect("C is connected");
    std::thread::sleep(Duration::from_secs(2));
    c.hang_up().expect("the control link stands");
    finish(&server, sipp, Duration::from_secs(20));
}

#[test]
fn a_phone_is_told_of_its_messages() {
    let server = Server::start("summary").expect("the server starts");
    let sipp = device(&server, scenario!("subscribe_summary"), "801");
    finish(&server, sipp, Duration::from_secs(20));
}
