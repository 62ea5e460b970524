//! Hold: only the party whose other side holds hears music, whoever holds, and at a resume both
//! hear each other at once.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_sip::sdp::Direction;
use office::{Does, Office, SERVER, TRUNK};

const MUSIC: &str = "Music";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn talking(mut office: Office) -> Office {
    office.phone('D').does = Does::Answers(200);
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    office
}

fn music(office: &mut Office, name: char) -> Option<Vec<String>> {
    let media = office.phone(name).media;
    office.media.playing(media)
}

fn offers(office: &mut Office, name: char, direction: Direction) {
    let now = office.now;
    office.phone(name).offer_again(now, direction);
    office.run(secs(1));
}

fn joined(office: &mut Office, a: char, b: char) -> bool {
    let (a, b) = (office.phone(a).media, office.phone(b).media);
    office.media.joined(a, b)
}

#[test]
fn whoever_is_held_hears_music_and_nobody_else() {
    for direction in [Direction::SendOnly, Direction::Inactive] {
        for (holds, held) in [('D', TRUNK), (TRUNK, 'D')] {
            let mut office = talking(Office::open());
            offers(&mut office, holds, direction);
            assert_eq!(music(&mut office, held), Some(vec![MUSIC.to_owned()]));
            assert_eq!(music(&mut office, holds), None);
            offers(&mut office, holds, Direction::SendRecv);
            assert_eq!(music(&mut office, held), None);
            assert!(joined(&mut office, 'D', TRUNK), "both hear each other again");
            office.hang_up('D');
            office.finish();
        }
    }
}

#[test]
fn of_two_who_hold_each_other_nobody_hears_music_until_one_resumes() {
    let mut office = talking(Office::open());
    offers(&mut office, 'D', Direction::SendOnly);
    offers(&mut office, TRUNK, Direction::SendOnly);
    assert_eq!(music(&mut office, 'D'), None, "a phone that holds plays nothing");
    offers(&mut office, 'D', Direction::SendRecv);
    assert_eq!(music(&mut office, 'D'), Some(vec![MUSIC.to_owned()]));
    offers(&mut office, TRUNK, Direction::SendRecv);
    assert_eq!((music(&mut office, 'D'), music(&mut office, TRUNK)), (None, None));
    assert!(joined(&mut office, 'D', TRUNK));
    office.hang_up('D');
    office.finish();
}

#[test]
fn a_hold_that_is_said_twice_does_not_begin_the_music_again() {
    let mut office = talking(Office::open());
    offers(&mut office, 'D', Direction::SendOnly);
    offers(&mut office, 'D', Direction::SendOnly);
    assert_eq!(office.media.played, [MUSIC]);
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn an_office_has_music_of_its_own_and_the_servers_when_that_cannot_be_read() {
    for (file, last) in [("sounds/ours.wav", "//homes/acme/sounds/ours.wav"), ("missing", MUSIC)] {
        let place = "language = \"ja\"";
        let mut office =
            talking(Office::changed(place, &format!("hold_music = \"{file}\"\n{place}")));
        offers(&mut office, 'D', Direction::SendOnly);
        assert_eq!(music(&mut office, TRUNK), Some(vec![last.to_owned()]), "{file}");
        office.hang_up('D');
        office.finish();
    }
}

#[test]
fn who_is_put_through_hears_music_until_somebody_answers() {
    let mut office = talking(Office::open());
    let now = office.now;
    office.phone('B').does = Does::Answers(3_000);
    office.phone('D').refer(now, &format!("<sip:802@{SERVER}>"), &[]);
    office.run(secs(1));
    assert_eq!(music(&mut office, TRUNK), Some(vec![MUSIC.to_owned()]));
    assert_eq!(music(&mut office, 'D'), None);
    office.run(secs(3));
    assert_eq!(music(&mut office, TRUNK), None);
    assert!(joined(&mut office, 'B', TRUNK));
    office.hang_up('B');
    office.finish();
}

#[test]
fn a_held_party_that_is_put_through_to_another_worker_hears_the_other_at_once() {
    let mut office = talking(Office::on_two_workers());
    offers(&mut office, 'D', Direction::SendOnly);
    office.phone('B').does = Does::Answers(200);
    office.call('D', "802");
    office.run(secs(1));
    let now = office.now;
    let replaces = office.phone('D').replaced();
    let escaped = replaces.replace(';', "%3B").replace('=', "%3D").replace('@', "%40");
    office.phone('D').refer(now, &format!("<sip:acme-802@{SERVER}?Replaces={escaped}>"), &[]);
    office.run(secs(1));
    assert!(joined(&mut office, TRUNK, 'B'), "{:?}", office.explained);
    assert_eq!(music(&mut office, TRUNK), None);
    office.hang_up('B');
    office.finish();
}
