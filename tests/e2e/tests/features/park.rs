//! Park slots with real phones (S-13): from the desk to the app and back, by the HOLD key, back to
//! who parked, and empty after a restart.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use koukan_e2e::baresip::{Baresip, TONE_DBFS};
use koukan_e2e::client::Client;
use koukan_e2e::lamp::{Lamp, Shows};
use koukan_e2e::office::carrier;

use super::{LIMIT, assert_tone, no_call_is_left, office, office_of_today, ring, talking, wait};

/// The tone is heard now, and the other one is not.
fn hears(phone: &mut Baresip, tone: f64, other: f64) {
    let mut last = 0.0;
    for _ in 0..4 {
        let heard = phone.listen(Duration::from_millis(1500)).expect("a recording");
        last = heard.steady_dbfs(tone);
        if (last - TONE_DBFS).abs() <= 1.5 && heard.steady_dbfs(other) < -45.0 {
            return;
        }
    }
    panic!("{tone} Hz is heard at {last:.1} dBFS");
}

fn waits_with_music(phone: &mut Baresip, tones: [f64; 2]) {
    let heard = phone.listen(Duration::from_secs(2)).expect("a recording");
    let level = heard.rms_dbfs();
    println!("music at {level:.1} dBFS");
    assert!(level > -40.0, "no music: {level:.1} dBFS");
    for tone in tones {
        let level = heard.steady_dbfs(tone);
        assert!(level < -30.0, "{tone} Hz is heard at {level:.1} dBFS");
    }
}

#[test]
fn s_13_a_call_parked_at_the_desk_is_taken_by_the_app_and_back_as_one_call() {
    let server = office("park", &[]);
    let (mut b, mut c) = (ring(&server, 'B', 880.0), ring(&server, 'C', 1300.0));
    let mut outside = carrier(&server, "0455550001", 440.0).expect("the carrier starts");
    outside.dial("0312340002").expect("the control link stands");
    wait(&mut b, "CALL_INCOMING");
    wait(&mut c, "CALL_INCOMING");
    b.answer().expect("the control link stands");
    wait(&mut outside, "CALL_ESTABLISHED");
    wait(&mut c, "CALL_CLOSED");
    hears(&mut outside, 880.0, 1300.0);
    b.transfer("8101").expect("the control link stands");
    wait(&mut b, "CALL_CLOSED");
    sleep(Duration::from_millis(500));
    waits_with_music(&mut outside, [880.0, 1300.0]);
    c.dial("8101").expect("the control link stands");
    wait(&mut c, "CALL_ESTABLISHED");
    hears(&mut outside, 1300.0, 880.0);
    hears(&mut c, 440.0, 1300.0);
    // And back to the desk, through another slot.
    c.transfer("8102").expect("the control link stands");
    wait(&mut c, "CALL_CLOSED");
    sleep(Duration::from_millis(500));
    waits_with_music(&mut outside, [880.0, 1300.0]);
    b.dial("8102").expect("the control link stands");
    wait(&mut b, "CALL_ESTABLISHED");
    hears(&mut outside, 880.0, 1300.0);
    hears(&mut b, 440.0, 880.0);
    b.hang_up().expect("the control link stands");
    wait(&mut outside, "CALL_CLOSED");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
    let cdrs = server.ctl(&["cdrs"]).expect("the server answers");
    assert_eq!(cdrs.as_array().map(Vec::len), Some(1), "one call, one record: {cdrs}");
    let parties = cdrs[0]["legs"].as_array().cloned().unwrap_or_default();
    let party = |leg: &serde_json::Value| leg["party"].as_str().unwrap_or_default().to_owned();
    let parties: Vec<String> = parties.iter().map(party).collect();
    for expected in ["trunk carrier", "device B", "device C"] {
        assert!(parties.iter().any(|party| party == expected), "{expected}: {parties:?}");
    }
}

#[test]
fn a_parked_call_that_nobody_takes_comes_back_with_its_slot_shown() {
    let server = office("park-back", &[]);
    let (mut a, mut b) = (ring(&server, 'A', 440.0), ring(&server, 'B', 880.0));
    talking(&mut a, &mut b, "802");
    b.transfer("8102").expect("the control link stands");
    wait(&mut b, "CALL_CLOSED");
    b.wait("CALL_INCOMING", Duration::from_secs(15)).expect("the call comes back");
    assert!(b.log().contains("8102"), "the slot is not shown");
    b.answer().expect("the control link stands");
    wait(&mut b, "CALL_ESTABLISHED");
    b.hang_up().expect("the control link stands");
    wait(&mut a, "CALL_CLOSED");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

/// By the HOLD key, where the office wants it so: the desk phone is free, the app takes the call.
#[test]
fn s_13_a_held_call_is_parked_by_itself_and_taken_by_the_app() {
    let server = office("hold-park", &[]);
    let file = server.directory.join("conf/tenants/acme/office.toml");
    let plan = fs::read_to_string(&file).expect("the office has a plan");
    let (from, to) = ("return_after = \"10s\"", "return_after = \"30s\"\nhold_after = \"2s\"");
    assert!(plan.contains(from));
    fs::write(&file, plan.replace(from, to)).expect("the plan can be written");
    server.ctl(&["reload"]).expect("the plan is in order");
    let (mut a, mut b) = (ring(&server, 'A', 440.0), ring(&server, 'B', 880.0));
    let mut c = ring(&server, 'C', 1300.0);
    talking(&mut a, &mut b, "802");
    sleep(Duration::from_secs(1));
    b.hold(true).expect("the control link stands");
    wait(&mut b, "CALL_CLOSED");
    assert!(b.log().contains("Parked 8101"), "the slot is told");
    sleep(Duration::from_secs(2));
    c.dial("8101").expect("the control link stands");
    wait(&mut c, "CALL_ESTABLISHED");
    sleep(Duration::from_secs(3));
    c.hang_up().expect("the control link stands");
    wait(&mut a, "CALL_CLOSED");
    assert_tone(&a, 2.0, 1300.0);
    assert_tone(&c, 2.0, 440.0);
    let cdrs = server.ctl(&["cdrs"]).expect("the server answers");
    assert_eq!(cdrs.as_array().map(Vec::len), Some(1), "one call, one record: {cdrs}");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

#[test]
fn slots_are_empty_after_a_kill_and_their_lamps_say_so() {
    let mut server = office_of_today("park-kill", &[]);
    let (mut a, mut b) = (ring(&server, 'A', 440.0), ring(&server, 'B', 880.0));
    let mut lamp = Lamp::watch(&server, "acme-805", "8101").expect("the lamp is told");
    talking(&mut a, &mut b, "802");
    b.transfer("8101").expect("the control link stands");
    wait(&mut b, "CALL_CLOSED");
    assert!(lamp.comes_to(Shows::Lit, LIMIT), "{:?}", lamp.shows());
    let told = lamp.told();
    server.kill().expect("it ran");
    server.run().expect("it starts again");
    assert!(lamp.comes_to(Shows::Dark, Duration::from_secs(20)), "{:?}", lamp.shows());
    assert!(lamp.told() > told, "it was told again");
    // Who looks for the call hears why it is not there.
    b.dial("8101").expect("the control link stands");
    let reason = b.wait("CALL_CLOSED", Duration::from_secs(20)).expect("it is refused");
    assert!(reason.contains("404") || reason.contains("480"), "{reason}");
    drop(a);
    no_call_is_left(&server);
}

/// The phone that sends a caller on and hangs up is called back when nobody takes the caller.
#[test]
fn a_caller_whom_nobody_takes_comes_back_to_who_sent_it_on() {
    let server = office("ring-back", &[]);
    let (mut a, mut b) = (ring(&server, 'A', 440.0), ring(&server, 'B', 880.0));
    let mut d = ring(&server, 'D', 1300.0);
    talking(&mut a, &mut b, "802");
    sleep(Duration::from_secs(1));
    b.transfer("804").expect("the control link stands");
    wait(&mut d, "CALL_INCOMING");
    b.hang_up().expect("the control link stands");
    wait(&mut b, "CALL_CLOSED");
    d.hang_up().expect("the control link stands");
    wait(&mut b, "CALL_INCOMING");
    let shown = b.log().contains("804)");
    assert!(shown, "for whom the caller was meant is not shown:\n{}", b.log());
    b.answer().expect("the control link stands");
    wait(&mut b, "CALL_ESTABLISHED");
    hears(&mut a, 880.0, 1300.0);
    hears(&mut b, 440.0, 880.0);
    a.hang_up().expect("the control link stands");
    wait(&mut b, "CALL_CLOSED");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}
