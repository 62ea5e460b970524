//! Attended transfer, pickup and taking over: who talks to whom, on one media worker and across
//! two, and who may do it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_switch::CallCause;
use office::{Does, Office, SERVER, TRUNK, ending, only};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn joined(office: &mut Office, a: char, b: char) -> bool {
    let (a, b) = (office.phone(a).media, office.phone(b).media);
    office.media.joined(a, b)
}

/// D talks to the trunk's caller and, in a second call, to B.
fn consulting(mut office: Office, answers: bool) -> Office {
    office.phone('D').does = Does::Answers(500);
    office.phone('B').does = if answers { Does::Answers(500) } else { Does::Rings };
    office.call(TRUNK, "0312340003");
    office.run(secs(2));
    // The second call has media of its own, as a phone's second line has.
    let media = office.phone('D').media;
    office.phone('D').media = (media.ip(), media.port() + 10).into();
    office.call('D', "802");
    office.run(secs(2));
    office
}

/// `<sip:acme-802@server?Replaces=...>` with everything escaped that must be.
fn target(replaces: &str) -> String {
    let escaped = replaces.replace(';', "%3B").replace('=', "%3D").replace('@', "%40");
    format!("<sip:acme-802@{SERVER}?Replaces={escaped}>")
}

fn put_through(office: &mut Office) {
    let now = office.now;
    let replaces = office.phone('D').replaced();
    office.phone('D').refer(now, &target(&replaces), &[]);
    office.run(secs(2));
}

#[test]
fn a_consulted_colleague_takes_the_call_over_on_one_worker_and_across_two() {
    for (office, moved) in [(Office::open(), 0), (Office::on_two_workers(), 1)] {
        let mut office = consulting(office, true);
        assert_eq!(office.switch.calls().len(), 2);
        put_through(&mut office);
        assert_eq!(office.phone('D').told(), [200], "{:?}", office.phone('D').log);
        assert!(joined(&mut office, TRUNK, 'B'), "{:?}", office.explained);
        assert_eq!(office.media.moved, moved);
        assert!(office.phone('D').up.is_empty(), "the referrer has left both calls");
        assert_eq!(office.switch.calls().len(), 1);
        assert_eq!(office.switch.tables().channels, 1, "the caller holds its channel");
        let update = office.phone('B').requests.last().cloned().unwrap();
        let who = update.header_named("P-Asserted-Identity").unwrap();
        assert!(String::from_utf8_lossy(who).contains("<sip:0455550001@"));
        office.hang_up(TRUNK);
        let cdrs = office.finish();
        assert_eq!(ending(&cdrs[0]), (CallCause::Transferred, 200));
        assert_eq!(cdrs.len(), 2);
        let parties: Vec<&str> = cdrs[1].legs.iter().map(|leg| leg.party.as_str()).collect();
        assert_eq!(parties, ["trunk carrier", "device D", "device B"]);
    }
}

#[test]
fn a_caller_is_put_through_to_a_phone_that_still_rings() {
    for office in [Office::open(), Office::on_two_workers()] {
        let mut office = consulting(office, false);
        let dialog = *office.phone('D').early.last().unwrap();
        let replaces = office.phone('D').replaces(dialog);
        let now = office.now;
        office.phone('D').refer(now, &target(&replaces), &[]);
        office.run(secs(1));
        assert_eq!(office.phone('D').told(), [200], "{:?}", office.phone('D').log);
        assert!(office.phone('D').up.is_empty() && office.phone('D').heard("failed 487"));
        assert_eq!(office.switch.calls()[0].stage, "ringing");
        let b = office.phone('B').ringing.unwrap();
        office.answer('B', b);
        office.run(secs(1));
        assert!(joined(&mut office, TRUNK, 'B'), "{:?}", office.explained);
        office.hang_up('B');
        let cdrs = office.finish();
        assert_eq!(cdrs.len(), 2);
        assert_eq!(ending(&cdrs[1]), (CallCause::CalleeHungUp, 200));
        let answered = cdrs[1].answered.unwrap();
        assert!(answered > cdrs[1].started, "the caller is in this call from then on: {cdrs:?}");
    }
}

#[test]
fn a_ringing_call_is_picked_up_by_its_dialog() {
    for mut office in [Office::open(), Office::on_two_workers()] {
        office.call(TRUNK, "0312340003");
        office.run(secs(1));
        let dialog = office.phone('D').ringing.unwrap();
        let replaces = office.phone('D').replaces(dialog);
        pick_up(&mut office, 'A', &replaces);
        assert!(joined(&mut office, TRUNK, 'A'), "{:?}", office.explained);
        for name in ['D', 'E'] {
            let log = office.phone(name).log.clone();
            assert!(log.iter().any(|line| line.starts_with("cancelled SIP;cause=200")), "{log:?}");
        }
        office.hang_up('A');
        assert_eq!(ending(&only(office.finish())), (CallCause::CalleeHungUp, 200));
    }
}

#[test]
fn an_overloaded_server_refuses_new_calls_and_not_who_takes_the_place_of_a_party() {
    let mut office = Office::open();
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    let dialog = office.phone('D').ringing.unwrap();
    let replaces = office.phone('D').replaces(dialog);
    office.switch.set_overloaded(true);
    let invented = replaces.replace("to-tag=", "to-tag=x");
    for (name, replaces) in [('B', ""), ('C', invented.as_str())] {
        office.phone(name).headers = match replaces {
            "" => Vec::new(),
            named => vec![("Replaces", named.as_bytes().to_vec())],
        };
        office.call(name, "804");
        office.run(secs(1));
        assert!(office.phone(name).heard("failed 503"), "{name}: {:?}", office.phone(name).log);
    }
    pick_up(&mut office, 'A', &replaces);
    assert!(joined(&mut office, TRUNK, 'A'), "{:?}", office.phone('A').log);
    office.hang_up('A');
    assert_eq!(ending(&only(office.finish())), (CallCause::CalleeHungUp, 200));
}

fn pick_up(office: &mut Office, name: char, replaces: &str) {
    office.phone(name).headers = vec![("Replaces", replaces.as_bytes().to_vec())];
    office.call(name, "804");
    office.phone(name).headers.clear();
    office.run(secs(1));
}

#[test]
fn a_call_that_is_up_is_taken_over_from_either_side() {
    for (from, stays) in [('D', 'A'), ('A', 'D')] {
        let mut office = Office::open();
        office.phone('D').does = Does::Answers(500);
        office.call('A', "804");
        office.run(secs(2));
        let replaces = office.phone(from).replaced();
        pick_up(&mut office, 'B', &replaces);
        assert!(office.phone('B').heard("answered"), "{:?}", office.phone('B').log);
        assert!(joined(&mut office, stays, 'B'), "{from}: {:?}", office.explained);
        let log = office.phone(from).log.clone();
        assert!(log.iter().any(|line| line.starts_with("bye SIP;cause=200")), "{log:?}");
        office.hang_up(stays);
        office.finish();
    }
}

#[test]
fn nobody_takes_what_is_not_there_or_not_its_own() {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(500);
    office.call('A', "804");
    office.run(secs(2));
    let up = office.phone('D').replaced();
    let early_only = format!("{up};early-only");
    for (name, replaces, status) in [
        ('B', "nothing@nowhere;to-tag=1;from-tag=2", 481),
        ('B', "rubbish", 400),
        ('B', early_only.as_str(), 486),
        (TRUNK, up.as_str(), 403),
    ] {
        pick_up(&mut office, name, replaces);
        let log = office.phone(name).log.clone();
        assert!(log.contains(&format!("failed {status}")), "{replaces}: {log:?}");
    }
    assert!(joined(&mut office, 'A', 'D'));
    office.hang_up('A');
    only(office.finish());
}

#[test]
fn a_phone_that_gives_up_while_it_takes_over_leaves_the_call_as_it_was() {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(500);
    office.call('A', "804");
    office.run(secs(2));
    let replaces = office.phone('D').replaced();
    office.phone('B').headers = vec![("Replaces", replaces.into_bytes())];
    office.media.dead = true;
    office.call('B', "804");
    office.run(Duration::from_millis(50));
    office.media.dead = false;
    office.give_up('B');
    office.run(secs(1));
    assert!(office.phone('B').heard("failed 487"), "{:?}", office.phone('B').log);
    assert!(joined(&mut office, 'A', 'D'));
    office.hang_up('A');
    office.run(secs(60));
    assert_eq!(office.switch.calls().len(), 0);
}

#[test]
fn who_is_put_through_to_a_phone_that_rings_hears_it_ring() {
    for office in [Office::open(), Office::on_two_workers()] {
        let mut office = consulting(office, false);
        let dialog = *office.phone('D').early.last().unwrap();
        let replaces = office.phone('D').replaces(dialog);
        let now = office.now;
        office.phone('D').refer(now, &target(&replaces), &[]);
        office.run(secs(1));
        let media = office.phone(TRUNK).media;
        let heard = office.media.playing(media).unwrap();
        assert!(heard.len() == 1 && heard[0].contains("Ringback"), "{heard:?}");
        let b = office.phone('B').ringing.unwrap();
        office.answer('B', b);
        office.run(secs(1));
        assert!(joined(&mut office, TRUNK, 'B'), "{:?}", office.explained);
        assert_eq!(office.media.playing(media), None);
        office.hang_up('B');
        office.finish();
    }
}
