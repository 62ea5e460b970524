//! Park (S-13): the ways into a slot and out of it, its lamp, its time-out, and who hears why not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_sip::Header;
use koukan_switch::CallCause;
use office::{Does, Office, SERVER, TRUNK, ending, only};

const MUSIC: &str = "Music";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn planned(keys: &str) -> Office {
    Office::planned(|plan| {
        let park = format!(
            "[park]\nslots = {{ first = \"8101\", count = 3 }}\n{keys}\n\
             [extension.park]\ndial = \"700\"\ndo = \"park\"\n\
             [feature_codes]\npark = \"*5\"\npickup = \"**\"\n[extension.echo]"
        );
        plan.replace("[extension.echo]", &park)
    })
}

/// The trunk's caller talks to D.
fn talking(keys: &str) -> Office {
    let mut office = planned(keys);
    office.phone('D').does = Does::Answers(200);
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    office
}

fn refer(office: &mut Office, name: char, user: &str) {
    let now = office.now;
    office.phone(name).refer(now, &format!("<sip:{user}@{SERVER}>"), &[]);
    office.run(secs(1));
}

fn parked(keys: &str) -> Office {
    let mut office = talking(keys);
    refer(&mut office, 'D', "8101");
    assert_eq!(office.phone('D').told().last(), Some(&200), "{:?}", office.explained);
    assert_eq!(stage(&office), "parked 8101");
    office
}

fn stage(office: &Office) -> String {
    office.switch.calls().first().map(|call| call.stage.clone()).unwrap_or_default()
}

fn joined(office: &mut Office, a: char, b: char) -> bool {
    let (a, b) = (office.phone(a).media, office.phone(b).media);
    office.media.joined(a, b)
}

fn hears_music(office: &mut Office, name: char) -> bool {
    let media = office.phone(name).media;
    office.media.playing(media).is_some_and(|names| names == [MUSIC])
}

#[test]
fn a_call_is_parked_by_transfer_and_taken_by_any_phone_with_one_record() {
    let mut office = parked("");
    assert!(office.phone('D').up.is_empty(), "the parker has left");
    assert!(hears_music(&mut office, TRUNK));
    office.call('C', "8101");
    office.run(secs(1));
    assert!(joined(&mut office, TRUNK, 'C'), "{:?}", office.explained);
    assert!(!hears_music(&mut office, TRUNK));
    assert!(office.phone('C').connected[0].contains("<sip:0455550001@"), "the caller is shown");
    assert_eq!(office.switch.tables().parked, 0);
    office.hang_up('C');
    let cdr = only(office.finish());
    assert_eq!(ending(&cdr), (CallCause::CalleeHungUp, 200));
    let parties: Vec<&str> = cdr.legs.iter().map(|leg| leg.party.as_str()).collect();
    assert_eq!(parties, ["trunk carrier", "device D", "device E", "device C"]);
}

#[test]
fn every_way_into_a_slot_is_one() {
    // What D dials beside the call that it holds, and the slot that it comes to.
    for (dialled, slot) in [("8102", "8102"), ("*5", "8101"), ("*58103", "8103"), ("700", "8101")] {
        let mut office = talking("");
        let now = office.now;
        office.phone('D').offer_again(now, koukan_sip::sdp::Direction::SendOnly);
        office.run(secs(1));
        office.phone('D').log.clear();
        office.call('D', dialled);
        office.run(secs(1));
        let parked =
            office.switch.calls().iter().any(|call| call.stage == format!("parked {slot}"));
        assert!(parked, "{dialled}: {:?}", office.explained);
        assert!(hears_music(&mut office, TRUNK));
        assert!(office.phone('D').heard("answered"), "{dialled}");
        let spoken: Vec<String> = slot.chars().map(|digit| format!("ja/digit-{digit}")).collect();
        let played = office.media.played.clone();
        assert!(played.ends_with(&spoken), "the slot is spoken: {played:?}");
        office.run(secs(4));
        assert!(office.phone('D').up.is_empty(), "and the parker is released");
        office.hang_up(TRUNK);
        assert_eq!(office.finish().len(), 2);
    }
    // As the target of a transfer.
    for (target, slot) in [("700", "8101"), ("*58102", "8102"), ("*5", "8101")] {
        let mut office = talking("");
        refer(&mut office, 'D', target);
        assert_eq!(stage(&office), format!("parked {slot}"), "{target}: {:?}", office.explained);
        office.hang_up(TRUNK);
        office.finish();
    }
}

#[test]
fn two_phones_at_one_slot_in_the_same_millisecond_one_talks_the_other_hears_why() {
    let mut office = parked("");
    office.call('B', "8101");
    office.call('C', "8101");
    office.run(secs(1));
    let b = joined(&mut office, TRUNK, 'B');
    let c = joined(&mut office, TRUNK, 'C');
    assert!(b != c, "{:?}", office.explained);
    assert_eq!(office.media.played.last().unwrap(), "ja/slot-empty");
    office.run(secs(5));
    let (winner, loser) = if b { ('B', 'C') } else { ('C', 'B') };
    assert!(office.phone(loser).heard("failed 480"), "{:?}", office.phone(loser).log);
    office.hang_up(winner);
    office.finish();
}

#[test]
fn a_phone_that_gives_up_while_it_takes_a_call_leaves_it_in_its_slot() {
    let mut office = parked("");
    office.media.dead = true;
    office.call('C', "8101");
    office.run(Duration::from_millis(50));
    office.media.dead = false;
    office.give_up('C');
    office.run(secs(1));
    assert!(office.phone('C').heard("failed 487"), "{:?}", office.phone('C').log);
    assert_eq!(stage(&office), "parked 8101");
    office.call('B', "8101");
    office.run(secs(1));
    assert!(joined(&mut office, TRUNK, 'B'));
    office.hang_up('B');
    office.run(secs(60));
    assert_eq!(office.switch.calls().len(), 0);
}

#[test]
fn an_empty_slot_says_so_and_so_does_a_full_lot_which_keeps_the_call() {
    let mut office = planned("");
    office.call('C', "8101");
    office.run(secs(5));
    assert_eq!(office.media.played, ["ja/slot-empty"]);
    assert!(office.phone('C').heard("failed 480"));
    office.finish();

    let mut office = parked("");
    for slot in ["8102", "8103"] {
        office.call(TRUNK, "0312340003");
        office.run(secs(1));
        refer(&mut office, 'D', slot);
    }
    assert_eq!(office.switch.tables().parked, 3);
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    for target in ["700", "8101"] {
        refer(&mut office, 'D', target);
        assert_eq!(office.phone('D').told().last(), Some(&486), "{target}");
        assert!(joined(&mut office, TRUNK, 'D') || !office.phone('D').up.is_empty());
    }
    assert!(office.switch.calls().iter().any(|call| call.stage == "bridged"));
    office.call('D', "*5");
    office.run(secs(1));
    assert_eq!(office.media.played.last().unwrap(), "ja/park-full");
    assert!(office.switch.calls().iter().any(|call| call.stage == "bridged"));
    office.run(secs(5));
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn a_call_that_nobody_takes_comes_back_to_who_parked_it_with_its_slot_shown() {
    let mut office = parked("return_after = \"20s\"");
    office.phone('D').does = Does::Rings;
    office.phone('D').log.clear();
    office.run(secs(21));
    assert!(office.phone('D').heard("invite"), "{:?}", office.explained);
    let invite = office.phone('D').invite.clone().unwrap();
    let from = String::from_utf8_lossy(invite.header(Header::From).unwrap()).into_owned();
    assert!(from.starts_with("\"0455550001 (保留 8101)\" <sip:0455550001@"), "{from}");
    assert!(hears_music(&mut office, TRUNK), "until somebody answers");
    assert_eq!(office.switch.tables().parked, 0, "the slot is free meanwhile");
    let dialog = office.phone('D').ringing.unwrap();
    office.answer('D', dialog);
    office.run(secs(1));
    assert!(joined(&mut office, TRUNK, 'D'));
    assert!(!hears_music(&mut office, TRUNK));
    office.hang_up('D');
    only(office.finish());
}

#[test]
fn a_parker_that_vanished_does_not_lose_the_call() {
    let mut office = parked("return_after = \"20s\"");
    office.register('D', &[("Expires", "0")]);
    office.run(secs(30));
    assert_eq!(stage(&office), "parked 8101", "{:?}", office.explained);
    office.phone('D').does = Does::Refuses(486);
    office.register('D', &[]);
    office.run(secs(20));
    assert_eq!(stage(&office), "parked 8101", "a parker who refuses neither");
    // Not for ever either.
    office.run(secs(200));
    assert!(office.phone(TRUNK).heard("bye "), "{:?}", office.explained);
    office.finish();
}

#[test]
fn a_call_comes_back_to_whom_the_plan_names() {
    for (keys, rings) in [
        ("return_to = \"B\"", "B"),
        ("return_to = { group = \"all\" }\n[group.all]\nmembers = [\"B\", \"C\"]", "BC"),
    ] {
        let mut office = parked(&format!("return_after = \"20s\"\n{keys}"));
        office.run(secs(21));
        let rung: String = ('A'..='C').filter(|name| office.phones[name].heard("invite")).collect();
        assert_eq!(rung, rings, "{:?}", office.explained);
        office.hang_up(TRUNK);
        office.finish();
    }
}

#[test]
fn a_held_call_is_parked_where_the_plan_says_so_and_not_beside_another_call() {
    let hold = |office: &mut Office, name, direction| {
        let now = office.now;
        office.phone(name).offer_again(now, direction);
        office.run(secs(1));
    };
    let (held, open) = (koukan_sip::sdp::Direction::SendOnly, koukan_sip::sdp::Direction::SendRecv);
    let mut office = talking("hold_after = \"3s\"");
    hold(&mut office, 'D', held);
    assert_eq!(stage(&office), "bridged");
    assert!(hears_music(&mut office, TRUNK));
    office.run(secs(3));
    assert_eq!(stage(&office), "parked 8101", "{:?}", office.explained);
    assert!(hears_music(&mut office, TRUNK));
    assert!(office.phone('D').heard("bye SIP;cause=200;text=\"Parked 8101\""), "it is free");
    // Anybody takes it, the phone that held it as well.
    office.call('D', "8101");
    office.run(secs(1));
    assert!(joined(&mut office, TRUNK, 'D'), "{:?}", office.explained);
    // Who talks again in time keeps its call.
    hold(&mut office, 'D', held);
    hold(&mut office, 'D', open);
    office.run(secs(5));
    assert!(joined(&mut office, TRUNK, 'D'));
    // Who asks a colleague meanwhile transfers as ever.
    hold(&mut office, 'D', held);
    office.phone('B').does = Does::Answers(200);
    office.call('D', "802");
    office.run(secs(10));
    assert!(office.switch.calls().iter().all(|call| call.stage == "bridged"));
    office.hang_up(TRUNK);
    office.hang_up('D');
    assert_eq!(office.finish().len(), 2);
    // An office that does not want it.
    let mut office = talking("");
    hold(&mut office, 'D', held);
    office.run(secs(30));
    assert_eq!(stage(&office), "bridged");
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn a_slots_lamp_shows_who_is_parked_and_goes_out() {
    let mut office = talking("");
    let now = office.now;
    office.phone('A').subscribe(now, "8101", "dialog", 600);
    office.run(secs(1));
    let body = |office: &mut Office| {
        let notify = office.phone('A').notifies.last().cloned().unwrap();
        String::from_utf8_lossy(notify.body()).into_owned()
    };
    assert!(!body(&mut office).contains("<dialog "), "{}", body(&mut office));
    refer(&mut office, 'D', "8101");
    let lit = body(&mut office);
    assert!(lit.contains("<state>confirmed</state>") && lit.contains("sip:0455550001@"), "{lit}");
    office.call('C', "8101");
    office.run(secs(1));
    assert!(!body(&mut office).contains("<dialog "), "{}", body(&mut office));
    refer(&mut office, 'C', "8101");
    assert!(body(&mut office).contains("<dialog "));
    office.hang_up(TRUNK);
    office.run(secs(1));
    assert!(!body(&mut office).contains("<dialog "), "a caller who hangs up frees the slot");
}

#[test]
fn slots_are_empty_after_a_restart_and_their_lamps_say_so() {
    let mut office = talking("");
    let now = office.now;
    office.phone('A').subscribe(now, "8101", "dialog", 600);
    refer(&mut office, 'D', "8101");
    let watch = office.did.iter().rev().find_map(|did| match did {
        office::Did::Record(koukan_switch::Record::Watching(watch)) => Some(watch.clone()),
        _ => None,
    });
    office.restart();
    office.phone('A').notifies.clear();
    office.restore_watch(&watch.unwrap());
    office.run(secs(1));
    let notify = office.phone('A').notifies.last().cloned().expect("the lamp is told");
    let body = String::from_utf8_lossy(notify.body()).into_owned();
    assert!(body.contains("state=\"full\"") && !body.contains("<dialog "), "{body}");
}

#[test]
fn a_neighbour_sees_nothing_of_an_offices_slots() {
    let mut office = parked("");
    let now = office.now;
    office.phone('A').subscribe(now, "9999", "dialog", 600);
    office.run(secs(1));
    assert!(office.phone('A').responses.iter().any(|r| r.status() == Some(404)));
    // A caller from outside reaches no slot.
    office.phone(TRUNK).log.clear();
    office.call(TRUNK, "8101");
    office.run(secs(4));
    assert!(office.phone(TRUNK).heard("failed 404"), "{:?}", office.phone(TRUNK).log);
    office.hang_up(TRUNK);
    office.finish();
}

/// E is a phone of the neighbour's, whose lot has the same slots.
fn neighbours() -> Office {
    let mut office = Office::with_neighbour_planned(|plan| {
        let park = "[park]\nslots = { first = \"8101\", count = 3 }\nreturn_after = \"20s\"\n\
                    [feature_codes]\npark = \"*5\"\n[extension.echo]";
        plan.replacen("[extension.echo]", park, 1)
    });
    office.register('E', &[("Expires", "0")]);
    office.run(secs(1));
    office.phone('E').user = "beta-805".to_owned();
    office.register('E', &[]);
    office.run(secs(1));
    office.phone('E').does = Does::Answers(200);
    office.call('A', "0398760003");
    office.run(secs(2));
    assert!(joined(&mut office, 'A', 'E'), "{:?}", office.explained);
    office
}

#[test]
fn a_call_with_a_neighbour_waits_in_the_lot_of_who_parks_it() {
    let mut office = neighbours();
    let now = office.now;
    office.phone('B').subscribe(now, "8101", "dialog", 600);
    office.call('A', "*5");
    office.run(secs(1));
    assert!(office.switch.calls().iter().any(|call| call.stage == "parked 8101"));
    let lit = office.phone('B').notifies.last().cloned().unwrap();
    assert!(String::from_utf8_lossy(lit.body()).contains("<dialog "), "the own slot's lamp");
    // The neighbour's slot of these digits is empty.
    office.phone('E').log.clear();
    office.call('E', "8101");
    office.run(secs(5));
    assert!(office.phone('E').heard("failed 480"), "{:?}", office.explained);
    office.call('C', "8101");
    office.run(secs(1));
    assert!(joined(&mut office, 'C', 'E'), "{:?}", office.explained);
    office.hang_up('C');
    office.finish();

    // Nobody takes it: it comes back to who parked it, of the phones called A.
    let mut office = neighbours();
    office.call('A', "*5");
    office.run(secs(5));
    office.phone('A').does = Does::Answers(200);
    office.phone('A').log.clear();
    office.run(secs(18));
    assert!(office.phone('A').heard("invite"), "{:?}", office.explained);
    assert!(joined(&mut office, 'A', 'E'), "{:?}", office.explained);
    office.hang_up('A');
    office.finish();
}
