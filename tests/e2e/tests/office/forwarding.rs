//! Forwarding from outside: a target for each number (S-56) that is set from outside, no phone of
//! the number rings (S-55) and none need be on (S-57), the own number is shown (S-58) and the
//! record names who called (S-59), nothing is recorded (S-75), no voicemail (S-50), circles end.

use std::thread::sleep;
use std::time::{Duration, Instant};

use koukan_e2e::baresip::Baresip;
use koukan_e2e::office::{carrier, phone, phone_spec};
use koukan_e2e::server::Server;
use koukan_e2e::wait::wait_for;

use super::changed_office;
use super::settings::{clock, hang_up, incoming, set};

const LIMIT: Duration = Duration::from_secs(8);
/// Who calls, and who answers as the target of one of the numbers.
const CALLER: &str = "0455550001";

/// Two numbers that may be forwarded, the second one recorded.
const CHANGES: [(&str, &str); 2] = [
    (
        "ring = { devices = [\"A\", \"B\", \"C\"], strategy = \"all\" }",
        "ring = { devices = [\"A\", \"B\", \"C\"], strategy = \"all\" }\n\
         options = [\"forwarding\", \"recording\"]\nrecord = { enabled = true }\n\
         forward_to = \"0455550002\"",
    ),
    (
        "ring = { devices = [\"D\", \"E\"], strategy = \"all\", timeout = \"30s\" }",
        "ring = { devices = [\"D\", \"E\"], strategy = \"all\" }\n\
         options = [\"forwarding\", \"voicemail\"]\nforward_to = \"0455550001\"\n\
         voicemail = { box = \"main\", after = \"5s\" }",
    ),
];

/// The INVITE that the carrier got last: whom it calls, and as whom.
fn invited(outside: &Baresip, before: usize) -> String {
    let log = outside.log();
    log.get(before..).unwrap_or_default().to_owned()
}

/// A call to a number that goes on outside to `target`; what the carrier was sent.
fn goes_outside(outside: &mut Baresip, number: &str, target: &str) -> String {
    let before = outside.log().len();
    outside.dial(number).expect("the control link stands");
    let called = format!("INVITE sip:{target}@");
    let invite = || Some(invited(outside, before)).filter(|log| log.contains(&called));
    wait_for(LIMIT, invite).unwrap_or_else(|| panic!("no {called}:\n{}", outside.log()))
}

#[test]
fn each_number_goes_to_its_own_target_as_itself_and_leaves_no_recording() {
    let server = changed_office("forwards", &CHANGES, "[voicemail_box.main]\n");
    clock(&server, "2026-07-01T10:00:00");
    let mut outside = carrier(&server, CALLER, 1000.0).expect("the carrier starts");
    set(&server, "number2.forwarding", "on");
    set(&server, "number3.forwarding", "on");
    // With every phone off. The carrier knows nobody of the second number's target.
    let invite = goes_outside(&mut outside, "0312340002", "0455550002");
    assert!(invite.contains("From: <sip:0312340002@"), "the own number is shown: {invite}");
    outside.wait("CALL_CLOSED", LIMIT).expect("it is over");
    let invite = goes_outside(&mut outside, "0312340003", CALLER);
    assert!(invite.contains("From: <sip:0312340003@"), "the own number is shown: {invite}");
    talks(&server, &mut outside);
    // With a phone on, which does not ring, and another target, set from outside.
    let mut d = phone(&server, "d", &phone_spec(&server, 'D')).expect("D registers");
    set(&server, "number2.forward_to", CALLER);
    set(&server, "number3.forward_to", "09012345678");
    goes_outside(&mut outside, "0312340003", "09012345678");
    outside.wait("CALL_CLOSED", LIMIT).expect("it is over");
    assert_eq!(incoming(&mut d), 0, "a phone of the number has rung");
    // The recorded number talks while it is forwarded.
    goes_outside(&mut outside, "0312340002", CALLER);
    talks(&server, &mut outside);
    set(&server, "number3.forwarding", "off");
    outside.dial("0312340003").expect("the control link stands");
    d.wait("CALL_INCOMING", LIMIT).expect("it rings here again");
    hang_up(&mut outside);
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");

    // Who called is known afterwards, and the recorded number has no recording of them.
    let cdrs = server.ctl(&["cdrs"]).expect("they can be read");
    let callers: Vec<&str> =
        cdrs.as_array().into_iter().flatten().filter_map(|cdr| cdr["caller"].as_str()).collect();
    println!("the records name {callers:?}");
    assert!(callers.len() == 5 && callers.iter().all(|who| who.contains("455550001")), "{cdrs}");
    clock(&server, "2026-07-02T12:00:00");
    let list = server.ctl(&["recordings", "acme"]).expect("they can be listed");
    assert_eq!(list.as_array().map(Vec::len), Some(0), "{list}");
}

/// The forwarded call is answered outside, and ends after a while.
fn talks(server: &Server, outside: &mut Baresip) {
    outside.wait("CALL_INCOMING", LIMIT).expect("it rings outside");
    outside.answer().expect("the control link stands");
    outside.wait("CALL_ESTABLISHED", LIMIT).expect("it is answered");
    sleep(Duration::from_secs(2));
    hang_up(outside);
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

#[test]
fn a_forwarded_call_that_nobody_answers_has_no_voicemail_for_a_minute() {
    let server = changed_office("forward-rings", &CHANGES, "[voicemail_box.main]\n");
    clock(&server, "2026-07-01T10:00:00");
    set(&server, "number3.forwarding", "on");
    let mut outside = carrier(&server, CALLER, 1000.0).expect("the carrier starts");
    goes_outside(&mut outside, "0312340003", CALLER);
    let began = Instant::now();
    let answered = outside.wait("CALL_ESTABLISHED", Duration::from_secs(60));
    println!("{:.0} s unanswered: {answered:?}", began.elapsed().as_secs_f64());
    assert!(answered.is_none() && began.elapsed() >= Duration::from_secs(60));
    assert_eq!(super::voicemail::messages(&server).len(), 0);
    hang_up(&mut outside);
    server.wait_empty(Duration::from_secs(90)).expect("nothing is left");
}

#[test]
fn numbers_that_are_forwarded_to_each_other_end_as_a_circle() {
    let server = changed_office("forward-circle", &CHANGES, "[voicemail_box.main]\n");
    clock(&server, "2026-07-01T10:00:00");
    for (key, target) in [("number2", "0312340003"), ("number3", "0312340002")] {
        set(&server, &format!("{key}.forward_to"), target);
        set(&server, &format!("{key}.forwarding"), "on");
    }
    let mut outside = carrier(&server, CALLER, 1000.0).expect("the carrier starts");
    outside.dial("0312340003").expect("the control link stands");
    let ended = outside.wait("CALL_CLOSED", Duration::from_secs(30)).expect("it ends");
    println!("the circle ends with: {ended}");
    assert!(ended.contains("482") || ended.contains("480"), "{ended}");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}
