//! Two offices on one switch: whatever a phone of one of them names, it reaches nothing of the
//! other but what the other's numbers offer to everybody (RFC 3891, section 4; RFC 3515, section 5;
//! RFC 6665, section 8).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_sip::{Header, Message};
use office::{Does, Office, SERVER};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A to D are phones of the first office, E and F of its neighbour; A talks to D, E to F.
fn neighbours() -> Office {
    let mut office = Office::with_neighbour();
    for (name, user) in [('E', "beta-805"), ('F', "beta-806")] {
        office.register(name, &[("Expires", "0")]);
        office.run(secs(1));
        office.phone(name).user = user.to_owned();
        office.register(name, &[]);
    }
    office.run(secs(1));
    for (caller, called, number) in [('A', 'D', "804"), ('E', 'F', "806")] {
        office.phone(called).does = Does::Answers(200);
        office.call(caller, number);
        office.run(secs(2));
        assert!(joined(&mut office, caller, called), "{:?}", office.explained);
    }
    office
}

fn joined(office: &mut Office, a: char, b: char) -> bool {
    let (a, b) = (office.phone(a).media, office.phone(b).media);
    office.media.joined(a, b)
}

/// Both calls stand as they were.
fn untouched(office: &mut Office) {
    assert!(joined(office, 'A', 'D') && joined(office, 'E', 'F'), "{:?}", office.explained);
    assert_eq!(office.switch.calls().len(), 2);
}

fn home(mut office: Office) {
    for name in ['A', 'E'] {
        office.hang_up(name);
    }
    office.run(secs(1));
    assert_eq!(office.finish().len(), 2);
}

#[test]
fn a_call_of_the_neighbour_is_not_taken_over() {
    let mut office = neighbours();
    for (thief, victim) in [('B', 'E'), ('B', 'F'), ('C', 'F')] {
        let replaces = office.phone(victim).replaced();
        for value in [replaces.clone(), turned(&replaces)] {
            office.phone(thief).log.clear();
            office.phone(thief).headers = vec![("Replaces", value.clone().into_bytes())];
            office.call(thief, "804");
            office.run(secs(1));
            let log = office.phone(thief).log.clone();
            assert!(log.contains(&"failed 403".to_owned()), "{thief} {value}: {log:?}");
            untouched(&mut office);
        }
    }
    home(office);
}

/// The same dialog as the other side writes it.
fn turned(replaces: &str) -> String {
    let swapped = replaces.replace("to-tag=", "x-tag=").replace("from-tag=", "to-tag=");
    swapped.replace("x-tag=", "from-tag=")
}

#[test]
fn a_call_that_rings_at_the_neighbour_is_not_picked_up() {
    let mut office = neighbours();
    office.phone('F').does = Does::Rings;
    let now = office.now;
    let media = office.phone('E').media;
    office.phone('E').media = (media.ip(), media.port() + 10).into();
    office.phone('E').call(now, "806");
    office.run(secs(2));
    office.phone('E').media = media;
    let ringing = office.phone('F').ringing.unwrap();
    let replaces = office.phone('F').replaces(ringing);
    office.phone('B').headers = vec![("Replaces", replaces.into_bytes())];
    office.call('B', "804");
    office.run(secs(1));
    assert!(office.phone('B').heard("failed 403"), "{:?}", office.phone('B').log);
    office.give_up('E');
    office.run(secs(1));
    untouched(&mut office);
    for name in ['A', 'E'] {
        office.hang_up(name);
    }
    office.run(secs(1));
    assert_eq!(office.finish().len(), 3);
}

#[test]
fn nobody_is_put_through_into_a_call_of_the_neighbour() {
    let mut office = neighbours();
    for (referrer, victim) in [('A', 'E'), ('D', 'F'), ('F', 'D')] {
        let replaces = office.phone(victim).replaced().replace(';', "%3B").replace('=', "%3D");
        let target = format!("<sip:x@{SERVER}?Replaces={replaces}>");
        let now = office.now;
        office.phone(referrer).refer(now, &target, &[]);
        office.run(secs(2));
        let told = office.phone(referrer).told();
        assert_eq!(told, [403], "{referrer} into a call of {victim}");
        office.phone(referrer).requests.clear();
        untouched(&mut office);
    }
    home(office);
}

#[test]
fn a_transfer_to_a_user_of_the_neighbour_finds_nobody() {
    let mut office = neighbours();
    let now = office.now;
    office.phone('A').refer(now, &format!("<sip:beta-805@{SERVER}>"), &[]);
    office.run(secs(3));
    let told = office.phone('A').told();
    assert!(told.last().is_some_and(|status| *status >= 400), "{told:?}");
    assert!(!office.phone('E').heard("invite"), "{:?}", office.phone('E').log);
    untouched(&mut office);
    // Nor does a call to that name.
    office.call('B', "beta-805");
    office.run(secs(2));
    assert!(!office.phone('E').heard("invite") && !office.phone('B').heard("answered"));
    untouched(&mut office);
    for name in ['A', 'E'] {
        office.hang_up(name);
    }
    office.run(secs(1));
    office.finish();
}

#[test]
fn a_transfer_to_a_number_of_the_neighbour_is_refused_and_rings_nobody_of_either_office() {
    let mut office = neighbours();
    for name in ['B', 'C', 'E', 'F'] {
        office.phone(name).log.clear();
    }
    let now = office.now;
    // The neighbour's third number, whose devices are called D and E there too.
    office.phone('A').refer(now, &format!("<sip:0398760003@{SERVER}>"), &[]);
    office.run(secs(3));
    let told = office.phone('A').told();
    assert_eq!(told.last(), Some(&603), "{told:?}, {:?}", office.explained);
    for name in ['B', 'C', 'E', 'F'] {
        assert!(!office.phone(name).heard("invite"), "{name} rings");
    }
    untouched(&mut office);
    home(office);
}

#[test]
fn nothing_of_the_neighbour_is_watched_and_the_own_lamps_tell_nothing_of_it() {
    let mut office = neighbours();
    for (target, package) in
        [("beta-805", "dialog"), ("beta-806", "reg"), ("beta-805", "message-summary")]
    {
        let now = office.now;
        office.phone('B').responses.clear();
        office.phone('B').subscribe(now, target, package, 600);
        office.run(secs(1));
        let status = office.phone('B').responses.last().and_then(Message::status);
        assert_eq!(status, Some(403), "{target} {package}");
    }
    let now = office.now;
    office.phone('B').subscribe(now, "lamps", "dialog", 600);
    office.run(secs(1));
    let body = office.phone('B').notifies.last().unwrap().body().to_vec();
    let text = String::from_utf8(body).unwrap();
    assert!(text.contains("acme-804") && !text.contains("beta"), "{text}");
    // The neighbour's 806 has the same extension as the own one.
    let now = office.now;
    office.phone('B').notifies.clear();
    office.phone('B').subscribe(now, "806", "dialog", 600);
    office.run(secs(1));
    let notify = office.phone('B').notifies.last().unwrap();
    let text = String::from_utf8_lossy(notify.body()).into_owned();
    assert!(!text.contains("<dialog "), "the own 806 does not talk: {text}");
    home(office);
}

#[test]
fn a_refer_outside_any_call_is_refused_whoever_sends_it() {
    let mut office = Office::open();
    let stranger = "203.0.113.9:5060";
    office.raw(
        stranger,
        &format!(
            "REFER sip:804@{SERVER} SIP/2.0\nVia: SIP/2.0/UDP {stranger};branch=z9hG4bKr\n\
             From: <sip:x@y>;tag=1\nTo: <sip:804@{SERVER}>\nCall-ID: r\nCSeq: 1 REFER\n\
             Contact: <sip:x@{stranger}>\nRefer-To: <sip:0455550001@{SERVER}>\n\
             Content-Length: 0\n\n"
        ),
    );
    office.run(secs(1));
    let answer = &office.strays.last().unwrap().1;
    assert_eq!((answer.status(), answer.header(Header::CSeq)), (Some(403), Some(&b"1 REFER"[..])));
    assert!(office.switch.calls().is_empty());
    office.finish();
}
