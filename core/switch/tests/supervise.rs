//! Supervisors: who may listen to whom, who is heard, and that calls go on without them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_sip::sdp::Direction;
use office::{Does, Office, SERVER, TRUNK, only};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The trunk's caller talks to D, whom A supervises.
fn talking() -> Office {
    let mut office = Office::planned(|plan| {
        let codes = "[park]\nslots = { first = \"8101\", count = 3 }\n[feature_codes]\n\
                     monitor = \"*81\"\nwhisper = \"*82\"\nbarge = \"*83\"\n[extension.echo]";
        plan.replace("[extension.echo]", codes)
            .replace("[device.A]\n", "[device.A]\nsupervises = [\"B\", \"D\"]\n")
            .replace("[device.C]\n", "[device.C]\nsupervises = [\"D\"]\n")
    });
    office.phone('D').does = Does::Answers(200);
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    office
}

/// Who is in the room; in small letters who is not heard.
fn room(office: &Office) -> String {
    let rooms = office.media.rooms();
    assert!(rooms.len() <= 1);
    let mut names: Vec<char> = rooms
        .into_iter()
        .flatten()
        .map(|(address, muted)| {
            let phone = office.phones.values().find(|phone| phone.media == address).unwrap();
            if muted { phone.name.to_ascii_lowercase() } else { phone.name }
        })
        .collect();
    names.sort_by_key(char::to_ascii_uppercase);
    names.into_iter().collect()
}

fn joined(office: &mut Office, a: char, b: char) -> bool {
    let (a, b) = (office.phone(a).media, office.phone(b).media);
    office.media.joined(a, b)
}

fn dial(office: &mut Office, name: char, number: &str) {
    office.call(name, number);
    office.run(secs(1));
}

#[test]
fn a_supervisor_listens_or_talks_and_the_parties_go_on_without_it() {
    for (code, heard) in [("*81804", "aDT"), ("*83804", "ADT")] {
        let mut office = talking();
        dial(&mut office, 'A', code);
        assert!(office.phone('A').heard("answered"), "{:?}", office.explained);
        assert_eq!(room(&office), heard);
        office.hang_up('A');
        office.run(secs(1));
        assert_eq!(room(&office), "");
        assert!(joined(&mut office, TRUNK, 'D'), "the parties hear each other directly again");
        office.hang_up(TRUNK);
        let cdr = only(office.finish());
        assert!(cdr.legs.iter().any(|leg| leg.party == "device A"), "the record tells of it");
    }
}

#[test]
fn a_supervisor_whispers_to_its_colleague_alone() {
    let mut office = talking();
    dial(&mut office, 'A', "*82804");
    assert_eq!(room(&office), "aDT", "{:?}", office.explained);
    let to = |office: &mut Office| {
        let media = office.phone('A').media;
        office.media.of(media).unwrap().1.whispers
    };
    let colleague = office.phone('D').media;
    let stream = office.media.of(colleague).unwrap().0;
    assert_eq!(to(&mut office), Some(stream));
    // Nobody hears the music of a supervisor who holds.
    for (direction, heard) in [(Direction::SendOnly, None), (Direction::SendRecv, Some(stream))] {
        let now = office.now;
        office.phone('A').offer_again(now, direction);
        office.run(secs(1));
        assert_eq!(to(&mut office), heard);
    }
    office.hang_up('A');
    office.run(secs(1));
    assert!(joined(&mut office, TRUNK, 'D'));
    office.hang_up(TRUNK);
    only(office.finish());
}

#[test]
fn of_two_supervisors_one_leaves_and_the_other_goes_on() {
    for leaves in ['A', 'C'] {
        let mut office = talking();
        dial(&mut office, 'A', "*82804");
        dial(&mut office, 'C', "*81804");
        assert_eq!(room(&office), "acDT", "{:?}", office.explained);
        office.hang_up(leaves);
        office.run(secs(1));
        assert_eq!(room(&office), if leaves == 'A' { "cDT" } else { "aDT" });
        office.hang_up(TRUNK);
        only(office.finish());
    }
}

#[test]
fn a_party_that_holds_or_hangs_up_does_so_as_ever() {
    let mut office = talking();
    dial(&mut office, 'A', "*81804");
    let now = office.now;
    office.phone('D').offer_again(now, Direction::SendOnly);
    office.run(secs(1));
    assert_eq!(room(&office), "adT");
    let media = office.phone(TRUNK).media;
    assert_eq!(office.media.playing(media).unwrap(), ["Music"]);
    let now = office.now;
    office.phone('D').offer_again(now, Direction::SendRecv);
    office.run(secs(1));
    assert_eq!(room(&office), "aDT");
    assert!(office.media.playing(media).is_none());
    office.hang_up(TRUNK);
    office.run(secs(1));
    assert!(office.phone('A').heard("bye "), "{:?}", office.phone('A').log);
    only(office.finish());
}

#[test]
fn a_call_that_goes_elsewhere_leaves_its_supervisor() {
    for target in ["802", "8101"] {
        let mut office = talking();
        dial(&mut office, 'A', "*83804");
        office.phone('B').does = Does::Answers(200);
        let now = office.now;
        office.phone('D').refer(now, &format!("<sip:{target}@{SERVER}>"), &[]);
        office.run(secs(2));
        assert!(office.phone('A').heard("bye "), "{target}: {:?}", office.phone('A').log);
        assert_eq!(room(&office), "");
        office.hang_up(TRUNK);
        office.finish();
    }
}

#[test]
fn the_call_that_a_colleague_talks_in_is_joined_and_left_by_a_transfer_into_it() {
    let mut office = talking();
    office.phone('B').does = Does::Answers(200);
    let media = office.phone('D').media;
    let now = office.now;
    office.phone('D').offer_again(now, Direction::SendOnly);
    office.run(secs(1));
    // Its second line.
    office.phone('D').media = (media.ip(), media.port() + 10).into();
    dial(&mut office, 'D', "802");
    dial(&mut office, 'A', "*83804");
    assert_eq!(room(&office), "ABD", "not the caller who is on hold: {:?}", office.explained);
    let escaped = office.phone('D').replaced();
    let escaped = escaped.replace(';', "%3B").replace('=', "%3D").replace('@', "%40");
    let target = format!("<sip:acme-802@{SERVER}?Replaces={escaped}>");
    let now = office.now;
    office.phone('D').refer(now, &target, &[]);
    office.run(secs(2));
    assert!(office.phone('A').heard("bye "), "{:?}", office.phone('A').log);
    assert_eq!(room(&office), "");
    assert!(joined(&mut office, TRUNK, 'B'), "{:?}", office.explained);
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn nobody_listens_who_may_not_and_there_must_be_a_call() {
    let mut office = talking();
    for (name, number, status) in
        [('B', "*81804", 403), ('A', "*81803", 403), ('A', "*81", 403), ('A', "*81802", 480)]
    {
        office.phone(name).log.clear();
        office.call(name, number);
        office.run(secs(5));
        let line = format!("failed {status}");
        assert!(office.phone(name).heard(&line), "{number}: {:?}", office.phone(name).log);
    }
    assert!(joined(&mut office, TRUNK, 'D'));
    office.hang_up(TRUNK);
    office.finish();
}
