//! Transfers that go wrong: nobody takes who was sent on and the referrer has hung up, both sides
//! send each other on at once, a BYE crosses the REFER. Each has one end, and leaves nothing.
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

/// What is asked for is on its way and has not arrived.
fn ask(office: &mut Office, name: char, target: &str) {
    let now = office.now;
    office.phone(name).refer(now, &format!("<sip:{target}@{SERVER}>"), &[]);
    office.run(Duration::from_millis(1));
}

fn joined(office: &mut Office, a: char, b: char) -> bool {
    let (a, b) = (office.phone(a).media, office.phone(b).media);
    office.media.joined(a, b)
}

fn music(office: &mut Office, name: char) -> bool {
    let media = office.phone(name).media;
    office.media.playing(media).is_some_and(|names| names == ["Music"])
}

/// D sends the caller on to B and hangs up at once, as many phones do.
fn sent_on(does: Does) -> Office {
    let mut office = talking();
    office.phone('B').does = does;
    office.phone('D').does = Does::Rings;
    ask(&mut office, 'D', "802");
    office.run(Duration::from_millis(100));
    office.hang_up('D');
    office.run(Duration::from_millis(100));
    office.phone('D').log.clear();
    office
}

#[test]
fn a_caller_whom_nobody_takes_comes_back_to_who_sent_it_on_with_the_target_shown() {
    for (does, seconds) in [(Does::RefusesAfter(2_000, 486), 3), (Does::Rings, 65)] {
        let mut office = sent_on(does);
        office.run(secs(seconds));
        assert!(office.phone('D').heard("invite"), "{:?}", office.explained);
        let invite = office.phone('D').invite.clone().unwrap();
        let from = String::from_utf8_lossy(invite.header(Header::From).unwrap()).into_owned();
        assert!(from.starts_with("\"0455550001 (転送戻り 802)\" <sip:0455550001@"), "{from}");
        assert!(music(&mut office, TRUNK), "until somebody answers");
        let dialog = office.phone('D').ringing.unwrap();
        office.answer('D', dialog);
        office.run(secs(1));
        assert!(joined(&mut office, TRUNK, 'D'), "{:?}", office.explained);
        assert!(!music(&mut office, TRUNK));
        office.hang_up('D');
        let cdr = only(office.finish());
        assert_eq!(ending(&cdr), (CallCause::CalleeHungUp, 200), "one call, one record");
    }
}

#[test]
fn a_caller_who_is_not_taken_back_either_is_released_once() {
    let mut office = sent_on(Does::RefusesAfter(500, 486));
    office.run(secs(20));
    assert!(office.phone(TRUNK).log.is_empty(), "it rings at D: {:?}", office.phone(TRUNK).log);
    office.run(secs(15));
    assert!(office.phone(TRUNK).heard("bye "), "{:?}", office.explained);
    assert_eq!(office.phone('D').log.iter().filter(|line| *line == "invite").count(), 1);
    office.finish();
    // A phone that is off gets nothing back.
    let mut office = talking();
    office.phone('B').does = Does::RefusesAfter(2_000, 486);
    ask(&mut office, 'D', "802");
    office.run(Duration::from_millis(100));
    office.hang_up('D');
    office.register('D', &[("Expires", "0")]);
    office.run(secs(4));
    assert!(office.phone(TRUNK).heard("bye "), "{:?}", office.explained);
    office.finish();
}

#[test]
fn a_caller_who_hangs_up_while_it_comes_back_silences_the_phone() {
    let mut office = sent_on(Does::RefusesAfter(500, 486));
    office.run(secs(2));
    office.hang_up(TRUNK);
    office.run(secs(1));
    let log = office.phone('D').log.clone();
    assert!(log.iter().any(|line| line.starts_with("cancelled")), "{log:?}");
    office.finish();
}

#[test]
fn whom_a_ringing_colleague_does_not_take_comes_back_to_who_put_it_through() {
    for office in [Office::open(), Office::on_two_workers()] {
        let mut office = office;
        office.phone('D').does = Does::Answers(500);
        office.call(TRUNK, "0312340003");
        office.run(secs(2));
        let media = office.phone('D').media;
        office.phone('D').media = (media.ip(), media.port() + 10).into();
        office.call('D', "802");
        office.run(secs(2));
        let dialog = *office.phone('D').early.last().unwrap();
        let replaces = office.phone('D').replaces(dialog);
        let escaped = replaces.replace(';', "%3B").replace('=', "%3D").replace('@', "%40");
        let now = office.now;
        let target = format!("<sip:acme-802@{SERVER}?Replaces={escaped}>");
        office.phone('D').refer(now, &target, &[]);
        office.run(secs(1));
        assert_eq!(office.phone('D').told(), [200], "{:?}", office.phone('D').log);
        // B rings for its minute and does not answer; D, who put the caller through, does.
        office.run(secs(65));
        assert!(joined(&mut office, TRUNK, 'D'), "{:?}", office.explained);
        office.hang_up('D');
        assert_eq!(office.finish().len(), 2);
    }
}

#[test]
fn a_second_transfer_waits_for_the_first() {
    let mut office = talking();
    ask(&mut office, 'D', "802");
    ask(&mut office, 'D', "803");
    office.run(secs(1));
    assert!(office.phone('D').heard("response 202") && office.phone('D').heard("response 491"));
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn of_two_who_send_each_other_on_at_once_one_has_its_way_and_the_other_is_told() {
    // A carrier may not; two colleagues may.
    for (first, second) in [('A', 'D'), ('D', 'A')] {
        let mut office = Office::open();
        office.phone('D').does = Does::Answers(500);
        office.call('A', "804");
        office.run(secs(2));
        office.phone('B').does = Does::Answers(2_000);
        office.phone('C').does = Does::Answers(2_000);
        let now = office.now;
        office.phone(first).refer(now, &format!("<sip:802@{SERVER}>"), &[]);
        office.phone(second).refer(now, &format!("<sip:803@{SERVER}>"), &[]);
        office.run(secs(1));
        // What arrives first is which phone the network serves first; one of each, in any case.
        let taken = |office: &Office, name| office.phones[&name].heard("response 202");
        let refused = |office: &Office, name| office.phones[&name].heard("response 491");
        let (winner, loser) = if taken(&office, first) { (first, second) } else { (second, first) };
        assert!(taken(&office, winner) && refused(&office, loser), "{:?}", office.explained);
        assert!(!taken(&office, loser) && !refused(&office, winner));
        office.run(secs(4));
        let target = if winner == first { 'B' } else { 'C' };
        assert!(joined(&mut office, loser, target), "{:?}", office.explained);
        assert!(office.phone(winner).up.is_empty(), "who had its way has left");
        // Who lost may ask again, in its new call.
        let other = if winner == first { "803" } else { "802" };
        office.phone(loser).log.clear();
        ask(&mut office, loser, other);
        office.run(secs(4));
        assert!(office.phone(loser).heard("response 202"), "{:?}", office.phone(loser).log);
        let last = if winner == first { 'C' } else { 'B' };
        assert!(joined(&mut office, target, last), "{:?}", office.explained);
        office.hang_up(target);
        only(office.finish());
    }
}

#[test]
fn a_bye_that_crosses_the_refer_ends_the_call_and_no_phone_rings_on() {
    // The party that was to be sent on, or who asks: their BYE arrives before or behind the REFER.
    for (leaves, first) in [(TRUNK, true), (TRUNK, false), ('D', true), ('D', false)] {
        let mut office = talking();
        office.phone('B').does = Does::Rings;
        if first {
            office.hang_up(leaves);
        }
        let now = office.now;
        // Of its own dialog a phone that has hung up asks nothing any more.
        if !office.phone('D').up.is_empty() {
            office.phone('D').refer(now, &format!("<sip:802@{SERVER}>"), &[]);
        }
        if !first {
            office.hang_up(leaves);
        }
        office.run(secs(2));
        if leaves == TRUNK {
            let log = office.phone('B').log.clone();
            let silenced = log.iter().any(|line| line.starts_with("cancelled"));
            assert!(silenced || !office.phone('B').heard("invite"), "{log:?}");
            assert!(office.phone('D').up.is_empty());
            if first {
                assert!(office.phone('D').heard("response 481"), "{:?}", office.phone('D').log);
            }
            assert!(office.switch.calls().is_empty(), "{:?}", office.explained);
        } else if !first {
            // Who asked has left; its wish was heard before.
            assert!(office.phone('B').heard("invite"), "{:?}", office.explained);
            office.hang_up(TRUNK);
        }
        office.run(secs(1));
        assert!(office.switch.calls().is_empty(), "{:?}", office.explained);
        only(office.finish());
    }
}
