//! Conference rooms: who is in which, who is heard, guests, recordings, and that nothing is left.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_sip::sdp::Direction;
use koukan_switch::CallCause;
use office::room::{dial, end, plan, planned, playing, press, rooms};
use office::{Does, Office, SERVER, TRUNK, ending};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn phones_and_an_outside_caller_meet_in_a_room_and_leave_it() {
    let mut office = planned("");
    for name in ['A', 'B', TRUNK] {
        dial(&mut office, name);
        assert!(office.phone(name).heard("answered"), "{:?}", office.explained);
    }
    assert_eq!(rooms(&office), ["ABT"]);
    let stages: Vec<String> = office.switch.calls().into_iter().map(|call| call.stage).collect();
    assert_eq!(stages, vec!["conference main"; 3]);
    office.hang_up('B');
    office.run(secs(1));
    assert_eq!(rooms(&office), ["AT"]);
    assert!(office.media.announced.is_empty(), "coming and going is not announced");
    office.hang_up('A');
    office.hang_up(TRUNK);
    let cdrs = office.finish();
    assert_eq!(cdrs.len(), 3);
    for cdr in cdrs {
        assert_eq!(ending(&cdr), (CallCause::CallerHungUp, 200));
    }
}

#[test]
fn members_on_other_workers_are_moved_to_the_rooms_worker() {
    let mut office = planned("").spread();
    for name in ['A', 'B', 'C', 'D'] {
        dial(&mut office, name);
    }
    assert_eq!(rooms(&office), ["ABCD"]);
    assert_eq!(office.media.members_of_workers().len(), 1);
    assert!(office.media.moved >= 1, "nobody was on the other worker");
    // Two at once, one of whom gives up on the way.
    office.call('E', "670");
    office.call('F', "670");
    office.run(Duration::from_millis(12));
    office.hang_up('A');
    office.run(secs(1));
    assert_eq!(rooms(&office), ["BCDEF"]);
    let parts = office.media.members_of_workers();
    assert_eq!(parts.len(), 2, "the fifth is on another worker: {parts:?}");
    // Who leaves makes place where the room began.
    office.hang_up('E');
    office.hang_up('F');
    office.run(secs(1));
    dial(&mut office, 'A');
    assert_eq!(office.media.members_of_workers().len(), 1);
    assert_eq!(rooms(&office), ["ABCD"]);
    assert_eq!(end(office).len(), 7);
}

#[test]
fn who_is_alone_hears_so_with_music_and_coming_and_going_is_told_to_all() {
    let mut office = planned("announce = true");
    dial(&mut office, 'A');
    let alone = ["ja/room-alone", "Music", "Music", "Music"];
    assert_eq!(playing(&mut office, 'A'), alone);
    dial(&mut office, 'B');
    assert!(playing(&mut office, 'A').is_empty(), "the music ends when somebody comes");
    dial(&mut office, 'C');
    office.run(secs(7));
    assert_eq!(office.media.announced, ["ja/room-joined", "ja/room-joined"]);
    office.hang_up('C');
    office.run(secs(4));
    assert_eq!(office.media.announced.len(), 3);
    assert_eq!(office.media.announced[2], "ja/room-left");
    office.hang_up('B');
    office.run(secs(1));
    assert_eq!(playing(&mut office, 'A'), alone);
    assert_eq!(office.media.announced.len(), 3, "nobody is left to be told");
    assert_eq!(end(office).len(), 3);
}

#[test]
fn who_holds_is_not_heard_with_its_music_and_hears_the_room_again_after_it() {
    let mut office = planned("");
    for name in ['A', 'B', 'C'] {
        dial(&mut office, name);
    }
    let now = office.now;
    office.phone('B').offer_again(now, Direction::SendOnly);
    office.run(secs(1));
    assert_eq!(rooms(&office), ["AbC"]);
    let now = office.now;
    office.phone('B').offer_again(now, Direction::SendRecv);
    office.run(secs(1));
    assert_eq!(rooms(&office), ["ABC"]);
    assert!(office.media.played.iter().all(|name| !name.contains("muted")));
    end(office);
}

#[test]
fn a_full_room_says_so_and_takes_the_next_when_somebody_leaves() {
    let mut office = planned("max_members = 2");
    for name in ['A', 'B', 'C'] {
        dial(&mut office, name);
    }
    assert_eq!(rooms(&office), ["AB"]);
    assert_eq!(office.media.played.last().unwrap(), "ja/room-full");
    office.run(secs(4));
    assert!(office.phone('C').heard("failed 486"), "{:?}", office.phone('C').log);
    office.hang_up('A');
    office.run(secs(1));
    dial(&mut office, 'C');
    assert_eq!(rooms(&office), ["BC"]);
    end(office);
}

#[test]
fn a_moderator_calls_colleagues_and_the_outside_into_the_room() {
    let mut office = planned("announce = true");
    dial(&mut office, 'A');
    office.phone('B').does = Does::Answers(500);
    press(&mut office, 'A', "*9802#");
    let invite = office.phone('B').invite.clone().unwrap();
    assert_eq!(invite.from_user().unwrap(), b"acme-801", "who asked is shown");
    office.run(secs(2));
    assert_eq!(rooms(&office), ["AB"], "{:?}", office.explained);
    // Outside, by its time without the hash key; through the gate as any call.
    office.phone(TRUNK).does = Does::Answers(500);
    press(&mut office, 'A', "*90455550001");
    office.run(secs(6));
    assert_eq!(rooms(&office), ["ABT"], "{:?}", office.explained);
    assert!(office.switch.tables().outside == 1);
    // A class that the plan blocks is refused.
    press(&mut office, 'A', "*9119#");
    assert_eq!(playing(&mut office, 'A'), ["ja/room-refused"]);
    office.run(secs(4));
    // Nobody answers: who asked hears so.
    office.phone('C').does = Does::Refuses(486);
    press(&mut office, 'A', "*9803#");
    office.run(secs(1));
    assert_eq!(playing(&mut office, 'A'), ["ja/not-reachable"]);
    office.run(secs(4));
    assert_eq!(rooms(&office), ["ABT"]);
    let cdrs = end(office);
    assert_eq!(cdrs.len(), 4);
    let outside = cdrs.iter().find(|cdr| cdr.called == "0455550001").unwrap();
    let parties: Vec<&str> = outside.legs.iter().map(|leg| leg.party.as_str()).collect();
    assert_eq!((parties, outside.status), (vec!["device A", "trunk carrier"], 200));
    let refused = cdrs.iter().find(|cdr| cdr.called == "803").unwrap();
    assert_eq!(ending(refused), (CallCause::NotAnswered, 486));
}

#[test]
fn guests_are_called_no_more_when_nobody_is_left_in_the_room() {
    let mut office = planned("");
    dial(&mut office, 'A');
    office.phone('B').does = Does::Rings;
    press(&mut office, 'A', "*9802#");
    assert!(office.phone('B').heard("invite"));
    office.hang_up('A');
    office.run(secs(1));
    assert!(office.phone('B').heard("cancelled "), "{:?}", office.phone('B').log);
    assert_eq!(office.finish().len(), 2);
}

#[test]
fn callers_are_transferred_into_a_room_blind_and_attended() {
    let mut office = planned("").spread();
    dial(&mut office, 'A');
    office.phone('D').does = Does::Answers(200);
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    let now = office.now;
    office.phone('D').refer(now, &format!("<sip:670@{SERVER}>"), &[]);
    office.run(secs(1));
    assert_eq!(rooms(&office), ["AT"], "{:?}", office.explained);
    assert_eq!(office.phone('D').told().last(), Some(&200));
    assert!(office.phone('D').up.is_empty());

    // E talks to B, goes into the room itself, and puts B in its place.
    office.phone('B').does = Does::Answers(200);
    office.call('E', "802");
    office.run(secs(1));
    dial(&mut office, 'E');
    assert_eq!(rooms(&office), ["AET"]);
    let replaces = office.phone('E').replaced().replace(';', "%3B").replace('=', "%3D");
    let now = office.now;
    let target = format!("<sip:670@{SERVER}?Replaces={}>", replaces.replace('@', "%40"));
    office.phone('E').refer(now, &target, &[]);
    office.run(secs(1));
    assert_eq!(rooms(&office), ["ABT"], "{:?}", office.explained);
    // A member transfers nobody.
    let now = office.now;
    office.phone('A').refer(now, &format!("<sip:802@{SERVER}>"), &[]);
    office.run(secs(1));
    assert!(office.phone('A').heard("response 603"), "{:?}", office.phone('A').log);
    end(office);
}

#[test]
fn a_phone_brings_its_calls_together_by_a_code() {
    let code = "[feature_codes]\nthree_way = \"*3\"\n[extension.echo]";
    let mut office = Office::planned(|text| text.replace("[extension.echo]", code)).spread();
    office.call('D', "*3");
    office.run(secs(4));
    assert!(office.phone('D').heard("failed 480"), "it is in no call");
    office.phone('D').does = Does::Answers(200);
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    let now = office.now;
    office.phone('D').offer_again(now, Direction::SendOnly);
    office.phone('B').does = Does::Answers(200);
    office.call('D', "802");
    office.run(secs(1));
    office.call('D', "*3");
    office.run(secs(1));
    assert_eq!(rooms(&office), ["BDT"], "{:?}", office.explained);
    for name in [TRUNK, 'B', 'D'] {
        let heard = playing(&mut office, name);
        assert!(heard.is_empty(), "{name} hears the others, and no music: {heard:?}");
    }
    let phone = office.phone('D');
    phone.up.retain(|dialog| phone.ua.flow(*dialog).is_some());
    assert_eq!(phone.up.len(), 1, "its other calls are over");
    // A fourth is called in; when the phone goes, the others go on.
    office.phone('C').does = Does::Answers(200);
    press(&mut office, 'D', "*9803#");
    office.run(secs(2));
    assert_eq!(rooms(&office), ["BCDT"], "{:?}", office.explained);
    for (name, left) in [('D', "BCT"), ('C', "BT")] {
        office.hang_up(name);
        office.run(secs(1));
        assert_eq!(rooms(&office), [left]);
    }
    office.hang_up('B');
    office.run(secs(1));
    assert!(office.phone(TRUNK).heard("bye "), "nobody is left alone in it");
    office.finish();
}

#[test]
fn what_the_engine_cannot_join_goes_the_plans_way_on() {
    let refused = "[extension.meeting]\ndial = \"670\"\ndo = { conference = \"main\" }";
    let guarded = "[extension.meeting]\ndial = \"670\"\n\
                   do = { conference = \"main\", on_error = \"echo\" }";
    let mut office = Office::planned(|text| plan(text, "").replace(refused, guarded));
    office.media.refuse_joins = 1;
    dial(&mut office, 'A');
    assert_eq!(office.switch.calls()[0].stage, "echo", "{:?}", office.explained);
    office.hang_up('A');
    office.finish();

    let mut office = planned("");
    office.media.refuse_joins = 1;
    dial(&mut office, 'A');
    office.run(secs(5));
    assert!(office.phone('A').heard("bye "), "{:?}", office.explained);
    office.finish();
}

/// A is a phone of the first office, E of its neighbour, which has a room of the same name.
fn neighbours() -> Office {
    let code = "[feature_codes]\nthree_way = \"*3\"\n[extension.echo]";
    let mut office =
        Office::with_neighbour_planned(|text| plan(text, "").replacen("[extension.echo]", code, 1));
    office.register('E', &[("Expires", "0")]);
    office.run(secs(1));
    office.phone('E').user = "beta-805".to_owned();
    office.register('E', &[]);
    office.run(secs(1));
    office.phone('E').does = Does::Answers(200);
    office
}

#[test]
fn a_phone_of_a_neighbour_that_is_brought_in_or_called_in_comes_into_the_room_of_who_asked() {
    let mut office = neighbours();
    office.call('A', "0398760003");
    office.run(secs(2));
    office.phone('B').does = Does::Answers(200);
    office.call('A', "802");
    office.run(secs(1));
    office.call('A', "*3");
    office.run(secs(1));
    assert_eq!(rooms(&office), ["ABE"], "{:?}", office.explained);
    for name in ['A', 'B', 'E'] {
        assert!(playing(&mut office, name).is_empty(), "{name}");
    }
    end(office);

    // The neighbour's own room of that name is another one.
    let mut office = neighbours();
    dial(&mut office, 'A');
    press(&mut office, 'A', "*90398760003#");
    office.run(secs(2));
    assert_eq!(rooms(&office), ["AE"], "{:?}", office.explained);
    let views = office.switch.rooms();
    assert_eq!((views.len(), views[0].tenant.as_str()), (1, "acme"));
    end(office);
}

#[test]
fn a_guest_whose_phone_forwards_to_a_room_or_a_mailbox_is_no_member_without_a_voice() {
    let forward = "[device.B]\nforward = { busy = \"670\" }\n";
    let mut office = Office::planned(|text| plan(text, "").replace("[device.B]\n", forward));
    dial(&mut office, 'A');
    office.phone('B').does = Does::Refuses(486);
    press(&mut office, 'A', "*9802#");
    office.run(secs(2));
    assert_eq!(office.switch.rooms()[0].members.len(), 1, "{:?}", office.explained);
    assert_eq!(office.switch.calls().len(), 1, "{:?}", office.explained);
    end(office);
}

#[test]
fn a_room_of_calls_ends_with_the_guest_who_does_not_come() {
    let code = "[feature_codes]\nthree_way = \"*3\"\n[extension.echo]";
    let mut office = Office::planned(|text| text.replace("[extension.echo]", code));
    office.phone('B').does = Does::Answers(200);
    office.call('A', "802");
    office.run(secs(1));
    office.call('A', "*3");
    office.run(secs(1));
    assert_eq!(rooms(&office), ["AB"], "{:?}", office.explained);
    office.phone('C').does = Does::RefusesAfter(5_000, 486);
    press(&mut office, 'A', "*9803#");
    office.hang_up('B');
    office.run(secs(1));
    assert_eq!(rooms(&office), ["A"], "it waits for its guest");
    office.run(secs(6));
    assert!(office.phone('A').heard("bye "), "{:?}", office.explained);
    office.finish();
}

/// How many recordings of rooms were begun.
fn tapes(office: &Office) -> usize {
    let notes = office.did.iter().filter(|did| match did {
        office::Did::Record(koukan_switch::Record::Note(note)) => {
            note.module == koukan_switch::RECORDINGS
                && note.value.as_deref().is_some_and(|value| {
                    value.contains("\"conference\"") && value.contains("\"length_ms\":null")
                })
        }
        _ => false,
    });
    notes.count()
}

#[test]
fn a_room_is_recorded_with_a_member_who_is_heard_as_long_as_one_is_there_and_all_are_told() {
    let mut office = planned("record = true");
    dial(&mut office, 'A');
    assert_eq!(playing(&mut office, 'A'), ["ja/recording-notice"]);
    assert_eq!(tapes(&office), 1, "{:?}", office.explained);
    dial(&mut office, 'B');
    assert_eq!(playing(&mut office, 'B'), ["ja/recording-notice"]);
    dial(&mut office, TRUNK);
    office.run(secs(5));
    assert_eq!(tapes(&office), 1, "one recording of the room");
    assert!(office.explained("recorded with this member"));
    // Whom the others do not hear is not recorded either.
    press(&mut office, 'A', "*1");
    office.run(secs(1));
    assert_eq!(tapes(&office), 2, "{:?}", office.explained);
    office.hang_up('B');
    office.run(secs(1));
    assert_eq!(tapes(&office), 3, "the outside caller is still heard");
    let kept = office.did.iter().rev().find_map(|did| match did {
        office::Did::Record(koukan_switch::Record::Note(note)) => note.value.clone(),
        _ => None,
    });
    let kept: koukan_switch::CallRecording = serde_json::from_str(&kept.unwrap()).unwrap();
    assert_eq!((kept.called.as_str(), kept.direction.as_str()), ("main", "conference"));
    assert_eq!(end(office).len(), 3);
}

#[test]
fn a_room_is_recorded_with_members_whose_number_could_be_recorded_and_says_so_when_it_cannot() {
    for (enabled, on_demand) in [(false, true), (true, false)] {
        let option = format!(
            "options = [\"off_hours\", \"recording\"]\n\
             record = {{ enabled = {enabled}, on_demand = {on_demand}, notice = \"off\" }}"
        );
        let mut office = Office::planned(|text| {
            plan(text, "record = true").replacen("options = [\"off_hours\"]", &option, 1)
        });
        dial(&mut office, TRUNK);
        office.run(secs(1));
        let text = "room main of acme is not recorded as a room";
        let told = office.notices.iter().filter(|notice| notice.contains(text)).count();
        assert_eq!(
            (tapes(&office), told),
            (usize::from(!enabled), usize::from(enabled)),
            "{:?}",
            office.explained
        );
        assert_eq!(office.explained("room main is recorded with this member"), !enabled);
        end(office);
    }
}
