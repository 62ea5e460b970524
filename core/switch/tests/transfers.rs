//! Transfers asked for by phones: who talks to whom afterwards, what the referrer is told, and what
//! may not be done.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_sip::Header;
use koukan_switch::CallCause;
use office::{Does, Office, SERVER, TRUNK, ending, only};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A trunk's caller talks to D.
fn talking() -> Office {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(500);
    office.call(TRUNK, "0312340003");
    office.run(secs(2));
    office.phone(TRUNK).log.clear();
    office
}

fn refer(office: &mut Office, name: char, user: &str) {
    let now = office.now;
    office.phone(name).refer(now, &format!("<sip:{user}@{SERVER}>"), &[]);
    office.run(Duration::from_millis(1));
}

fn joined(office: &mut Office, a: char, b: char) -> bool {
    let (a, b) = (office.phone(a).media, office.phone(b).media);
    office.media.joined(a, b)
}

#[test]
fn a_called_phone_sends_its_caller_on_and_is_told_how_it_goes() {
    let mut office = talking();
    office.phone('B').does = Does::Answers(3_000);
    refer(&mut office, 'D', "802");
    office.run(secs(1));
    assert!(office.phone('D').heard("response 202"), "{:?}", office.phone('D').log);
    assert_eq!(office.phone('D').told(), [100, 180]);
    office.run(secs(4));
    assert_eq!(office.phone('D').told(), [100, 180, 200]);
    assert!(joined(&mut office, TRUNK, 'B'), "{:?}", office.explained);
    assert!(office.phone('D').up.is_empty() && office.phone('D').heard("bye "));
    assert!(!office.phone(TRUNK).log.iter().any(|line| line.starts_with("request Invite")));
    let invite = office.phone('B').invite.clone().unwrap();
    assert_eq!(invite.from_user().unwrap(), b"0455550001");
    let by = String::from_utf8(invite.header(Header::ReferredBy).unwrap().to_vec()).unwrap();
    assert!(by.starts_with("<sip:acme-804@"), "{by}");
    office.hang_up(TRUNK);
    let cdr = only(office.finish());
    assert_eq!(ending(&cdr), (CallCause::CallerHungUp, 200));
    let parties: Vec<&str> = cdr.legs.iter().map(|leg| leg.party.as_str()).collect();
    assert_eq!(parties, ["trunk carrier", "device D", "device E", "device B"]);
}

#[test]
fn a_calling_phone_sends_the_called_one_on() {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(500);
    office.phone('B').does = Does::Answers(500);
    office.call('A', "804");
    office.run(secs(2));
    refer(&mut office, 'A', "acme-802");
    office.run(secs(2));
    assert!(joined(&mut office, 'D', 'B'), "{:?}", office.explained);
    assert_eq!(office.phone('A').told(), [100, 180, 200]);
    assert_eq!(office.phone('B').invite.clone().unwrap().from_user().unwrap(), b"acme-804");
    office.hang_up('B');
    let cdr = only(office.finish());
    assert_eq!(ending(&cdr), (CallCause::CalleeHungUp, 200));
    assert_eq!(cdr.legs[0].party, "device A", "the record begins with who called");
}

#[test]
fn a_referrer_that_hangs_up_at_once_does_not_end_its_transfer() {
    let mut office = talking();
    office.phone('B').does = Does::Answers(3_000);
    refer(&mut office, 'D', "802");
    office.run(Duration::from_millis(100));
    office.hang_up('D');
    office.run(secs(5));
    assert!(joined(&mut office, TRUNK, 'B'), "{:?}", office.explained);
    office.hang_up('B');
    assert_eq!(ending(&only(office.finish())), (CallCause::CalleeHungUp, 200));
}

#[test]
fn a_transfer_that_nobody_takes_leaves_the_call_as_it_was() {
    for (target, does, told) in [
        ("802", Does::Refuses(486), 486),
        ("802", Does::RefusesAfter(500, 603), 603),
        ("119", Does::Rings, 403),
        ("999", Does::Rings, 404),
    ] {
        let mut office = talking();
        office.phone('B').does = does;
        refer(&mut office, 'D', target);
        office.run(secs(3));
        assert_eq!(office.phone('D').told().last(), Some(&told), "{target}");
        assert!(joined(&mut office, TRUNK, 'D'), "{:?}", office.explained);
        office.hang_up('D');
        assert_eq!(ending(&only(office.finish())), (CallCause::CalleeHungUp, 200));
    }
}

#[test]
fn a_caller_who_hangs_up_during_a_transfer_ends_everything() {
    let mut office = talking();
    refer(&mut office, 'D', "802");
    office.run(secs(1));
    office.hang_up(TRUNK);
    office.run(secs(1));
    assert!(office.phone('B').log.iter().any(|line| line.starts_with("cancelled")));
    assert!(office.phone('D').heard("bye "));
    assert_eq!(ending(&only(office.finish())), (CallCause::CallerHungUp, 200));
}

#[test]
fn a_transfer_to_outside_goes_through_the_gate_and_takes_a_channel() {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(500);
    office.phone(TRUNK).does = Does::Answers(500);
    office.call('A', "804");
    office.run(secs(2));
    refer(&mut office, 'D', "0455550001");
    office.run(secs(2));
    assert!(joined(&mut office, 'A', TRUNK), "{:?}", office.explained);
    let invite = office.phone(TRUNK).invite.clone().unwrap();
    assert_eq!(invite.from_user().unwrap(), b"0312340003", "the referrer's own number is shown");
    assert_eq!(invite.header(Header::ReferredBy), None, "a carrier is told nothing of the office");
    assert_eq!(office.switch.tables().channels, 1);
    office.hang_up('A');
    office.finish();
}

#[test]
fn a_caller_may_be_sent_to_the_echo_test() {
    let mut office = talking();
    refer(&mut office, 'D', "600");
    office.run(secs(2));
    assert_eq!(office.switch.calls()[0].stage, "echo");
    assert_eq!(office.phone('D').told().last(), Some(&200));
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn a_transfer_without_reports_is_done_in_silence() {
    let mut office = talking();
    office.phone('B').does = Does::Answers(500);
    let now = office.now;
    let target = format!("<sip:802@{SERVER}>");
    let headers = [("Refer-Sub", "false"), ("Referred-By", "\"\u{4ee3}\" <sip:acme-804@x>")];
    office.phone('D').refer(now, &target, &headers);
    office.run(secs(2));
    assert!(joined(&mut office, TRUNK, 'B'));
    assert!(office.phone('D').told().is_empty());
    let invite = office.phone('B').invite.clone().unwrap();
    assert_eq!(invite.header(Header::ReferredBy).unwrap(), headers[1].1.as_bytes());
    office.hang_up('B');
    office.finish();
}

#[test]
fn what_cannot_be_a_transfer_is_refused_and_the_call_goes_on() {
    for (target, status) in [
        ("rubbish", 416),
        ("<http://x>", 416),
        ("<sip:802@x>, <sip:803@x>", 400),
        ("<sip:802@x;method=BYE>", 603),
    ] {
        let mut office = talking();
        let now = office.now;
        office.phone('D').refer(now, target, &[]);
        office.run(secs(1));
        assert!(office.phone('D').heard(&format!("response {status}")), "{target}");
        assert!(joined(&mut office, TRUNK, 'D'));
        office.hang_up('D');
        office.finish();
    }
}

#[test]
fn a_trunk_may_not_transfer_unless_the_plan_lets_it() {
    let plain = talking();
    let mut allowed =
        Office::changed("profile = \"jp-ngn\"", "profile = \"jp-ngn\"\ntransfer = true");
    allowed.phone('D').does = Does::Answers(500);
    allowed.call(TRUNK, "0312340003");
    allowed.run(secs(2));
    for (mut office, taken) in [(plain, false), (allowed, true)] {
        office.phone('A').does = Does::Answers(500);
        refer(&mut office, TRUNK, "0312340002");
        office.run(secs(2));
        let answer = if taken { "response 202" } else { "response 403" };
        assert!(office.phone(TRUNK).heard(answer), "{:?}", office.phone(TRUNK).log);
        assert_eq!(joined(&mut office, 'D', 'A'), taken, "{:?}", office.explained);
        office.hang_up('D');
        office.finish();
    }
}

#[test]
fn a_call_is_sent_on_again_and_again() {
    let mut office = talking();
    let mut last = 'D';
    for next in ['B', 'C', 'A', 'B', 'D'] {
        office.phone(next).does = Does::Answers(200);
        let user = office.phone(next).user.clone();
        refer(&mut office, last, &user);
        office.run(secs(2));
        assert!(joined(&mut office, TRUNK, next), "{last} to {next}: {:?}", office.explained);
        last = next;
    }
    office.hang_up(TRUNK);
    assert_eq!(only(office.finish()).legs.len(), 8);
}

#[test]
fn a_transfer_and_a_redirection_reach_no_more_than_the_plan_allows_them() {
    let allow = "area_code = \"03\"\nallow = { transfer = [\"fixed\"], redirect = [\"fixed\"] }";
    let plan = |text: &str| {
        let text = text.replace("ext = \"804\"", "ext = \"804\"\nredirect = true");
        text.replacen("area_code = \"03\"", allow, 1)
    };
    let mut office = Office::planned(plan);
    office.phone('D').does = Does::Answers(500);
    office.phone(TRUNK).does = Does::Answers(500);
    office.call('A', "804");
    office.run(secs(2));
    refer(&mut office, 'D', "09012345678");
    office.run(secs(5));
    assert_eq!(office.phone('D').told().last(), Some(&403), "{:?}", office.explained);
    assert!(joined(&mut office, 'A', 'D'), "{:?}", office.explained);
    refer(&mut office, 'D', "0455550001");
    office.run(secs(2));
    assert!(joined(&mut office, 'A', TRUNK), "{:?}", office.explained);
    office.hang_up('A');
    office.run(secs(1));
    office.phone('D').does = Does::Redirects("09012345678");
    office.call('A', "804");
    office.run(secs(5));
    assert!(!office.phone('A').heard("answered") || office.phone(TRUNK).up.is_empty());
    assert!(office.explained("outbound.allow: mobile cannot be called"), "{:?}", office.explained);
    office.give_up('A');
    office.finish();
}
