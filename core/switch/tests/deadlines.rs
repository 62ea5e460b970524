//! Nothing stays for ever: every stage of a call has a deadline or a loss that is noticed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_switch::{CallCause, Tables};
use office::{Does, Office, TRUNK, ending, only};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Desk phones first, the apps only when no desk phone can be reached.
fn apps_as_reserve() -> Office {
    Office::changed("step = \"0s\"", "step = \"never\"")
}

#[test]
fn apps_in_reserve_stay_silent_while_a_desk_phone_rings() {
    let mut office = apps_as_reserve();
    office.call(TRUNK, "0312340001");
    office.run(secs(20));
    for (name, rings) in [('A', true), ('B', true), ('E', true), ('C', false), ('D', false)] {
        assert_eq!(office.phone(name).heard("invite"), rings, "{name}");
    }
    office.give_up(TRUNK);
    office.finish();
}

#[test]
fn apps_in_reserve_ring_when_no_desk_phone_shows_life_for_three_seconds() {
    let mut office = apps_as_reserve();
    for name in ['A', 'B', 'E'] {
        office.vanish(name);
    }
    office.call(TRUNK, "0312340001");
    office.run(Duration::from_millis(2_900));
    assert!(!office.phone('C').heard("invite"));
    office.run(Duration::from_millis(300));
    assert!(office.phone('C').heard("invite") && office.phone('D').heard("invite"));
    office.give_up(TRUNK);
    office.finish();
}

#[test]
fn a_dead_desk_phone_beside_one_that_rings_neither_wakes_the_apps_nor_spins_a_timer() {
    let mut office = apps_as_reserve();
    office.vanish('A');
    office.call(TRUNK, "0312340001");
    office.run(secs(20));
    assert!(!office.phone('C').heard("invite"));
    office.give_up(TRUNK);
    office.finish();
}

#[test]
fn apps_in_reserve_ring_when_every_desk_phone_refuses() {
    let mut office = apps_as_reserve();
    for name in ['A', 'B', 'E'] {
        office.phone(name).does = Does::RefusesAfter(500, 486);
    }
    office.phone('C').does = Does::Answers(500);
    office.call(TRUNK, "0312340001");
    office.run(secs(3));
    assert!(office.phone(TRUNK).heard("answered"));
    office.hang_up('C');
    office.finish();
}

#[test]
fn tiers_begin_one_after_the_other() {
    let mut office = Office::changed("step = \"0s\"", "step = \"5s\"");
    office.call(TRUNK, "0312340001");
    office.run(Duration::from_millis(4_900));
    assert!(office.phone('A').heard("invite") && !office.phone('C').heard("invite"));
    office.run(Duration::from_millis(300));
    assert!(office.phone('C').heard("invite"));
    office.give_up(TRUNK);
    office.finish();
}

#[test]
fn a_long_ringing_is_said_again_every_minute() {
    let mut office = Office::changed("timeout = \"30s\"", "timeout = \"300s\"");
    office.call(TRUNK, "0312340003");
    office.run(secs(200));
    let told = office.phone(TRUNK).log.iter().filter(|line| *line == "progress 180").count();
    assert_eq!(told, 4, "at once and after each of three minutes");
    office.give_up(TRUNK);
    office.finish();
}

#[test]
fn a_carrier_that_answers_100_and_then_nothing_is_given_up() {
    let mut office = Office::open();
    office.phone(TRUNK).does = Does::Nothing;
    office.call('A', "0455550001");
    office.run(secs(180));
    assert_eq!(office.switch.calls()[0].stage, "trunk");
    office.run(secs(20));
    assert!(
        office.phone('A').log.iter().any(|line| line == "failed 503"),
        "{:?}",
        office.phone('A').log
    );
    assert_eq!(ending(&only(office.finish())).1, 503);
}

#[test]
fn a_worker_without_ports_refuses_the_caller_or_the_one_phone() {
    let mut office = Office::open();
    office.media.refuse = 1;
    office.call('A', "804");
    office.run(secs(1));
    assert!(office.phone('A').heard("failed 503"));
    assert_eq!(ending(&only(office.finish())), (CallCause::Internal, 503));

    let mut office = Office::open();
    office.phone('B').does = Does::Answers(500);
    office.call(TRUNK, "0312340002");
    // The caller's stream is ordered with the INVITE, the phones' after it is open.
    office.run(Duration::from_millis(5));
    office.media.refuse = 1;
    office.run(secs(2));
    assert!(office.phone(TRUNK).heard("answered"), "one phone less, and the call goes on");
    office.hang_up('B');
    assert_eq!(only(office.finish()).legs[1].status, 503);
}

#[test]
fn a_media_worker_that_has_stopped_keeps_no_call_and_no_record() {
    let mut office = Office::open();
    office.media.dead = true;
    office.call('A', "804");
    office.run(secs(15));
    assert!(office.phone('A').heard("failed 503"), "{:?}", office.phone('A').log);
    assert_eq!(ending(&only(office.finish())), (CallCause::Internal, 503));

    let mut office = Office::open();
    office.phone('D').does = Does::Answers(500);
    office.call('A', "804");
    office.run(secs(2));
    office.media.dead = true;
    office.hang_up('A');
    let cdr = only(office.finish());
    assert_eq!((ending(&cdr), cdr.legs[0].rtp_received), ((CallCause::CallerHungUp, 200), 0));
}

#[test]
fn a_call_of_hours_lives_on_its_rtp_and_is_recorded_every_minute() {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(500);
    office.call('A', "804");
    office.run(secs(4 * 3600));
    let interim = office.cdrs();
    assert!((238..=243).contains(&interim.len()), "{}", interim.len());
    assert!(interim.windows(2).all(|pair| pair[0].last_seen <= pair[1].last_seen));
    office.hang_up('A');
    only(office.finish());
}

#[test]
fn channels_are_free_again_after_every_ending() {
    let mut office = Office::changed("channels = \"per-id\"", "channels = 1");
    for _ in 0..3 {
        office.phone('D').does = Does::Answers(500);
        office.call(TRUNK, "0312340003");
        office.run(secs(2));
        office.call(TRUNK, "0312340003");
        office.run(secs(2));
        assert!(office.phone(TRUNK).heard("failed 486"), "{:?}", office.phone(TRUNK).log);
        office.phone(TRUNK).log.clear();
        office.hang_up(TRUNK);
        office.run(secs(70));
        assert_eq!(office.switch.tables(), Tables::default());
    }
    assert_eq!(office.finish().len(), 6);
}

#[test]
fn a_phone_whose_answer_was_lost_until_it_hung_up_is_over_and_the_caller_is_told() {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(500);
    office.call('A', "804");
    office.run(Duration::from_millis(300));
    // Nothing of the phone arrives any more, until it has given its answer up.
    office.deafen(Some('D'));
    office.run(secs(33));
    office.deafen(None);
    office.run(secs(10));
    let log = office.phone('A').log.clone();
    assert!(log.iter().any(|line| line.starts_with("failed ")), "{log:?}");
    let cdr = only(office.finish());
    assert_eq!((ending(&cdr).0, cdr.legs[1].status), (CallCause::NotAnswered, 408));
}
