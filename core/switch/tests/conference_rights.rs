//! Who may come into a conference room and who leads it: PINs and how often they are guessed, keys
//! of members and moderators, orders of operators.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_switch::{RoomError, RoomOrder};
use office::room::{dial, end, planned, playing, press, rooms};
use office::{Does, Office, SERVER, TRUNK};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_pin_lets_in_and_three_wrong_ones_end_the_call() {
    let keys = "pin = \"env:4711\"\nmoderator_pin = \"env:0815\"";
    let mut office = planned(keys);
    dial(&mut office, 'A');
    assert_eq!(playing(&mut office, 'A'), ["ja/room-pin"]);
    press(&mut office, 'A', "47");
    assert!(playing(&mut office, 'A').is_empty(), "a key stops the question");
    press(&mut office, 'A', "*4711#");
    assert_eq!(rooms(&office), ["A"], "{:?}", office.explained);
    // Without the hash key, when no more comes.
    dial(&mut office, TRUNK);
    press(&mut office, TRUNK, "0815");
    assert_eq!(rooms(&office), ["A"]);
    office.run(secs(5));
    assert_eq!(rooms(&office), ["AT"]);
    let views = office.switch.rooms();
    let leads: Vec<bool> = views[0].members.iter().map(|member| member.moderator).collect();
    assert_eq!(leads, [false, true]);

    dial(&mut office, 'B');
    for wrong in ["0000#", "47111#", "4711*0815471108154#"] {
        assert!(office.phone('B').up.len() == 1, "{:?}", office.phone('B').log);
        press(&mut office, 'B', wrong);
    }
    assert_eq!(office.media.played.last().unwrap(), "ja/room-pin-wrong");
    assert_eq!(rooms(&office), ["AT"]);
    office.run(secs(5));
    assert!(office.phone('B').heard("bye "), "{:?}", office.explained);
    // Nobody presses anything: the question comes thrice.
    office.media.played.clear();
    dial(&mut office, 'C');
    office.run(secs(60));
    let questions = office.media.played.iter().filter(|name| *name == "ja/room-pin").count();
    assert_eq!(questions, 3);
    assert!(office.phone('C').heard("bye "));
    assert_eq!(end(office).len(), 4);
}

#[test]
fn without_a_pin_for_all_the_moderators_lets_lead_and_nothing_lets_in() {
    let mut office = planned("moderator_pin = \"env:0815\"");
    dial(&mut office, 'A');
    press(&mut office, 'A', "#");
    dial(&mut office, 'B');
    press(&mut office, 'B', "0815#");
    let leads: Vec<bool> =
        office.switch.rooms()[0].members.iter().map(|member| member.moderator).collect();
    assert_eq!(leads, [false, true]);
    press(&mut office, 'A', "*2");
    assert_eq!(playing(&mut office, 'A'), ["ja/room-refused"]);
    assert!(!office.switch.rooms()[0].locked);
    end(office);
}

#[test]
fn a_room_whose_pin_cannot_be_read_lets_nobody_in() {
    let mut office = planned("pin = \"env:4711\"");
    let mut directory = koukan_switch::Directory::default();
    let known = office.switch.directory().clone();
    directory.plans = known.plans.clone();
    directory.secrets.clone_from(&known.secrets);
    office.install(directory);
    dial(&mut office, 'A');
    assert!(office.phone('A').heard("failed 480"), "{:?}", office.phone('A').log);
    office.finish();
}

#[test]
fn keys_mute_lock_hush_and_put_out() {
    let mut office = planned("announce = true");
    for name in ['A', 'B', TRUNK] {
        dial(&mut office, name);
    }
    office.run(secs(8));
    press(&mut office, 'B', "*1");
    assert_eq!(rooms(&office), ["AbT"]);
    assert_eq!(playing(&mut office, 'B'), ["ja/room-muted"]);
    press(&mut office, 'B', "*1");
    assert_eq!(rooms(&office), ["ABT"]);
    assert_eq!(playing(&mut office, 'B'), ["ja/room-unmuted"]);
    // Who calls from outside leads nothing.
    for keys in ["*2", "*3", "*4", "*9802#"] {
        press(&mut office, TRUNK, keys);
        assert_eq!(playing(&mut office, TRUNK), ["ja/room-refused"], "{keys}");
        office.run(secs(4));
    }
    press(&mut office, 'A', "*3");
    assert_eq!(rooms(&office), ["ABt"]);
    press(&mut office, TRUNK, "*1*1");
    assert_eq!(rooms(&office), ["ABt"], "who is hushed cannot speak");
    press(&mut office, 'A', "*3");
    assert_eq!(rooms(&office), ["ABT"]);
    press(&mut office, 'A', "*2");
    office.run(secs(1));
    assert_eq!(office.media.announced.last().unwrap(), "ja/room-locked");
    dial(&mut office, 'C');
    assert_eq!(office.media.played.last().unwrap(), "ja/room-locked");
    assert_eq!(rooms(&office), ["ABT"]);
    office.run(secs(4));
    assert!(office.phone('C').heard("failed 486"), "{:?}", office.phone('C').log);
    press(&mut office, 'A', "*2");
    dial(&mut office, 'C');
    assert_eq!(rooms(&office), ["ABCT"]);
    press(&mut office, 'A', "*4");
    assert_eq!(rooms(&office), ["ABT"]);
    assert!(office.phone('C').heard("bye "));
    // Half an order is forgotten, and other keys are nobody's.
    press(&mut office, 'A', "12#*");
    office.run(secs(5));
    press(&mut office, 'A', "2");
    assert!(!office.switch.rooms()[0].locked);
    end(office);
}

#[test]
fn operators_see_a_room_and_order_in_it() {
    let mut office = planned("");
    assert!(office.switch.rooms().is_empty());
    let empty = office.order_in_room("main", &RoomOrder::Lock(true));
    assert!(matches!(empty, Err(RoomError::Empty { .. })));
    for name in ['A', TRUNK] {
        dial(&mut office, name);
    }
    let view = office.switch.rooms().remove(0);
    assert_eq!((view.tenant.as_str(), view.room.as_str()), ("acme", "main"));
    let parties: Vec<&str> = view.members.iter().map(|member| member.party.as_str()).collect();
    assert_eq!(parties, ["device A", "trunk carrier"]);
    let outside = view.members[1].call.clone();
    office.order_in_room("main", &RoomOrder::Mute(outside.clone())).unwrap();
    assert_eq!(rooms(&office), ["At"]);
    office.order_in_room("main", &RoomOrder::Unmute(outside.clone())).unwrap();
    assert_eq!(rooms(&office), ["AT"]);
    office.order_in_room("main", &RoomOrder::Hush(true)).unwrap();
    office.order_in_room("main", &RoomOrder::Lock(true)).unwrap();
    assert_eq!(rooms(&office), ["At"]);
    let view = office.switch.rooms().remove(0);
    assert!(view.locked && view.hushed && view.members[1].muted);
    office.phone('B').does = Does::Answers(200);
    office.order_in_room("main", &RoomOrder::Dial("802".into())).unwrap();
    office.run(secs(1));
    assert_eq!(rooms(&office), ["Abt"], "a guest comes into a locked room");
    let refused = office.order_in_room("main", &RoomOrder::Dial("119".into()));
    assert!(matches!(refused, Err(RoomError::NotCalled { .. })), "{refused:?}");
    office.order_in_room("main", &RoomOrder::PutOut(outside.clone())).unwrap();
    office.run(secs(1));
    assert!(office.phone(TRUNK).heard("bye "));
    let gone = office.order_in_room("main", &RoomOrder::Mute(outside));
    assert!(matches!(gone, Err(RoomError::NoMember { .. })));
    end(office);
}

/// Three wrong PINs in one call.
fn guess(office: &mut Office, name: char) {
    dial(office, name);
    for wrong in ["0000#", "0001#", "0002#"] {
        press(office, name, wrong);
    }
    office.run(secs(6));
    assert!(office.phone(name).heard("bye "), "{:?}", office.explained);
    office.phone(name).log.clear();
}

#[test]
fn wrong_pins_make_the_next_ones_wait_over_calls_by_caller_and_are_forgotten_in_time() {
    let mut office = planned("pin = \"env:4711\"");
    guess(&mut office, 'B');
    for wait in [2, 4, 8, 16, 32, 60, 60] {
        dial(&mut office, 'B');
        press(&mut office, 'B', "0003#");
        let line = format!("many wrong PINs of room main: looked at in {wait} s");
        assert!(office.explained(&line), "{line}: {:?}", office.explained);
        // What is pressed meanwhile is no further guess.
        press(&mut office, 'B', "4711#");
        office.run(secs(wait));
        assert!(rooms(&office).is_empty(), "{wait}");
        office.hang_up('B');
        office.run(secs(1));
    }
    // Others do not wait.
    dial(&mut office, 'C');
    press(&mut office, 'C', "4711#");
    assert_eq!(rooms(&office), ["C"]);
    // Nor is who has guessed shut out; and who knows the PIN has not guessed.
    dial(&mut office, 'B');
    press(&mut office, 'B', "4711#");
    assert_eq!(rooms(&office), ["C"]);
    office.run(secs(61));
    assert_eq!(rooms(&office), ["BC"]);
    office.hang_up('B');
    office.run(secs(1));
    dial(&mut office, 'B');
    press(&mut office, 'B', "4711#");
    assert_eq!(rooms(&office), ["BC"]);
    guess(&mut office, 'D');
    office.run(secs(900));
    dial(&mut office, 'D');
    press(&mut office, 'D', "4711#");
    assert_eq!(rooms(&office), ["BCD"], "forgotten");
    end(office);
}

#[test]
fn strangers_who_show_other_numbers_make_callers_from_outside_wait_and_shut_nobody_out() {
    let mut office = planned("pin = \"env:4711\"");
    for caller in 0..10 {
        let from = format!("<sip:04555500{caller:02}@192.0.2.9>");
        office.phone(TRUNK).from = Some(from.into_bytes());
        guess(&mut office, TRUNK);
    }
    assert!(office.notices.iter().any(|text| text.contains("30 wrong PINs from outside")));
    office.phone(TRUNK).from = Some(b"<sip:0455550077@192.0.2.9>".to_vec());
    dial(&mut office, 'A');
    press(&mut office, 'A', "4711#");
    assert_eq!(rooms(&office), ["A"], "the office's own phones do not wait");
    dial(&mut office, TRUNK);
    press(&mut office, TRUNK, "4711#");
    assert_eq!(rooms(&office), ["A"]);
    office.run(secs(2));
    assert_eq!(rooms(&office), ["AT"], "{:?}", office.explained);
    end(office);
}

#[test]
fn a_moderators_rights_are_not_of_who_is_put_in_its_place() {
    // By the PIN, and as a phone of the office; the outside caller in its place leads nothing.
    for keys in ["pin = \"env:4711\"\nmoderator_pin = \"env:0815\"", ""] {
        let mut office = planned(keys);
        for (name, pin) in [('D', "0815#"), ('B', "4711#")] {
            dial(&mut office, name);
            press(&mut office, name, if keys.is_empty() { "" } else { pin });
        }
        office.phone('D').does = Does::Answers(200);
        office.call(TRUNK, "0312340003");
        office.run(secs(1));
        // The caller is transferred, into the place that D has in the room.
        office.phone('D').up.swap(0, 1);
        let leads = |office: &Office| -> Vec<bool> {
            office.switch.rooms()[0].members.iter().map(|member| member.moderator).collect()
        };
        assert_eq!(leads(&office), [true, keys.is_empty()], "{:?}", office.explained);
        let replaces = office.phone('D').replaced().replace(';', "%3B").replace('=', "%3D");
        let now = office.now;
        let target = format!("<sip:670@{SERVER}?Replaces={}>", replaces.replace('@', "%40"));
        office.phone('D').refer(now, &target, &[]);
        office.run(secs(1));
        assert_eq!(rooms(&office), ["BT"], "{:?}", office.explained);
        assert_eq!(leads(&office), [false, keys.is_empty()]);
        press(&mut office, TRUNK, "*2");
        assert_eq!(playing(&mut office, TRUNK), ["ja/room-refused"]);
        assert!(!office.switch.rooms()[0].locked);
        end(office);
    }
}
