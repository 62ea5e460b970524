//! What people at desk phones do all day, with real phones: forwarding, groups, hold with music,
//! park, pickup, conference rooms, paging, queues,
//! supervisors, and the health check that calls for itself.

mod continuity;
mod health;
mod night;
mod paging;
mod park;
mod queue;
mod rooms;
mod supervise;

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use koukan_e2e::baresip::{Baresip, PhoneSpec, TONE_DBFS};
use koukan_e2e::office::{carrier, phone, phone_spec};
use koukan_e2e::server::Server;
use koukan_e2e::wait::wait_for;

const LIMIT: Duration = Duration::from_secs(8);

const FEATURES: &str = r#"
[park]
slots = { first = "8101", count = 10 }
return_after = "10s"
[group.desk]
dial = "650"
members = ["B", "C"]
pickup = true
[feature_codes]
park = "*5"
three_way = "*3"
pickup = "**"
intercom = "*80"
monitor = "*81"
whisper = "*82"
barge = "*83"
agent = "*45"
night = "*28"
[extension.page]
dial = "690"
do = { page = "desk" }
[extension.front]
dial = "620"
do = { menu = "front" }
[menu.front]
prompt = "lunch"
digits = { 1 = { group = "desk" } }
direct_extensions = ["D"]
[extension.help]
dial = "680"
do = { queue = "help" }
[queue.help]
agents = ["B", "C"]
announce_position = true
"#;

/// The sample office with more in its plan, on a Wednesday at ten.
fn office(name: &str, changes: &[(&str, &str)]) -> Server {
    let server = office_of_today(name, changes);
    server.ctl(&["clock", "2026-07-01T10:00:00+09:00"]).expect("the test clock can be set");
    server
}

/// The same at the time that it is: what another process takes over has not ended meanwhile.
fn office_of_today(name: &str, changes: &[(&str, &str)]) -> Server {
    let server = Server::start(name).expect("the server starts");
    let file = server.directory.join("conf/tenants/acme/office.toml");
    let mut plan = fs::read_to_string(&file).expect("the office has a plan");
    for (from, to) in changes {
        assert!(plan.contains(from), "the sample has no {from}");
        plan = plan.replace(from, to);
    }
    fs::write(&file, plan + FEATURES).expect("the plan can be written");
    // The sample's expectations speak of the sample.
    let expectations = server.directory.join("conf/tenants/acme/expect.toml");
    fs::write(expectations, "schema = 1\n").expect("the file can be written");
    server.ctl(&["reload"]).expect("the plan is in order");
    server
}

fn ring(server: &Server, name: char, tone: f64) -> Baresip {
    let spec = PhoneSpec { tone, ..phone_spec(server, name) };
    phone(server, &format!("phone-{name}"), &spec).expect("it registers")
}

fn wait(phone: &mut Baresip, event: &str) {
    phone.wait(event, LIMIT).unwrap_or_else(|| panic!("no {event}:\n{}", phone.log()));
}

/// A calls B, who answers; both hear each other from here on.
fn talking(a: &mut Baresip, b: &mut Baresip, number: &str) {
    a.dial(number).expect("the control link stands");
    wait(b, "CALL_INCOMING");
    b.answer().expect("the control link stands");
    wait(a, "CALL_ESTABLISHED");
}

/// Subscriptions go on, and with them some transactions; of calls nothing is left.
fn no_call_is_left(server: &Server) {
    let left = wait_for(Duration::from_secs(45), || {
        let status = server.ctl(&["status"]).ok()?;
        let tables = status.get("tables")?.as_object()?;
        let of_calls = ["calls", "streams", "rooms", "queued", "parked", "channels", "instances"];
        of_calls.iter().all(|name| tables.get(*name).is_some_and(|n| *n == 0)).then_some(())
    });
    assert!(left.is_some(), "{:?}", server.ctl(&["status"]));
}

/// What a phone heard in the last seconds before it hung up: a tone at its level, or music.
fn heard_last(phone: &Baresip, seconds: f64) -> koukan_e2e::audio::Sound {
    let heard = phone.heard().expect("a recording");
    heard.part(heard.seconds() - seconds, heard.seconds() - 0.3)
}

fn assert_tone(phone: &Baresip, seconds: f64, hertz: f64) {
    let level = heard_last(phone, seconds).tone_dbfs(hertz);
    assert!((level - TONE_DBFS).abs() <= 1.5, "{hertz} Hz heard at {level:.2} dBFS");
}

/// S-55, S-57, S-58: no phone is on, and the forwarded phone sees the forwarding number.
#[test]
fn a_forwarded_number_reaches_its_target_as_itself_with_every_phone_off() {
    let mode = "ring = { devices = [\"D\", \"E\"], strategy = \"all\", timeout = \"30s\" }\n\
                mode = \"ring\"";
    let forwarded = "ring = { devices = [\"D\", \"E\"], strategy = \"all\" }\n\
                     options = [\"forwarding\"]\nmode = \"forward\"\nforward_to = \"0455550001\"";
    let server = office("forwarded", &[(mode, forwarded)]);
    let mut outside = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    outside.dial("0312340003").expect("the control link stands");
    wait(&mut outside, "CALL_INCOMING");
    let log = outside.log();
    assert!(log.contains("<sip:0312340003@"), "the own number is not shown:\n{log}");
    outside.answer().expect("the control link stands");
    wait(&mut outside, "CALL_ESTABLISHED");
    outside.hang_up().expect("the control link stands");
    wait(&mut outside, "CALL_CLOSED");
    drop(outside);
    server.wait_empty(Duration::from_secs(70)).expect("nothing is left");
}

#[test]
fn a_busy_phone_sends_its_caller_to_a_colleague() {
    let place = "[device.B]\n";
    let server = office("forward-busy", &[(place, "[device.B]\nforward = { busy = \"803\" }\n")]);
    let (mut a, mut b) = (ring(&server, 'A', 440.0), ring(&server, 'B', 880.0));
    let mut c = ring(&server, 'C', 1300.0);
    a.dial("802").expect("the control link stands");
    wait(&mut b, "CALL_INCOMING");
    b.hang_up().expect("the control link stands");
    wait(&mut c, "CALL_INCOMING");
    c.answer().expect("the control link stands");
    wait(&mut a, "CALL_ESTABLISHED");
    sleep(Duration::from_secs(3));
    c.hang_up().expect("the control link stands");
    wait(&mut a, "CALL_CLOSED");
    assert_tone(&a, 2.0, 1300.0);
    assert_tone(&c, 2.0, 440.0);
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

/// S-02 of a group; the picked-up call and who answers in the group's place.
#[test]
fn a_group_rings_and_a_colleague_picks_a_ringing_call_up() {
    let server = office("group", &[]);
    let (mut a, mut b) = (ring(&server, 'A', 440.0), ring(&server, 'B', 880.0));
    let (mut c, mut d) = (ring(&server, 'C', 1300.0), ring(&server, 'D', 1700.0));
    a.dial("650").expect("the control link stands");
    wait(&mut b, "CALL_INCOMING");
    wait(&mut c, "CALL_INCOMING");
    c.answer().expect("the control link stands");
    wait(&mut a, "CALL_ESTABLISHED");
    wait(&mut b, "CALL_CLOSED");
    sleep(Duration::from_secs(1));
    c.hang_up().expect("the control link stands");
    wait(&mut a, "CALL_CLOSED");

    a.dial("802").expect("the control link stands");
    wait(&mut b, "CALL_INCOMING");
    d.dial("**802").expect("the control link stands");
    wait(&mut a, "CALL_ESTABLISHED");
    wait(&mut b, "CALL_CLOSED");
    sleep(Duration::from_secs(3));
    d.hang_up().expect("the control link stands");
    wait(&mut a, "CALL_CLOSED");
    assert_tone(&d, 2.0, 440.0);
    assert!(d.log().contains("acme-801"), "the caller is not shown");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

#[test]
fn a_held_caller_hears_music_and_the_other_again_after_it() {
    let server = office("hold-music", &[]);
    let (mut a, mut b) = (ring(&server, 'A', 440.0), ring(&server, 'B', 880.0));
    talking(&mut a, &mut b, "802");
    sleep(Duration::from_secs(2));
    b.hold(true).expect("the control link stands");
    sleep(Duration::from_secs(4));
    b.hold(false).expect("the control link stands");
    sleep(Duration::from_secs(3));
    b.hang_up().expect("the control link stands");
    wait(&mut a, "CALL_CLOSED");
    let heard = a.heard().expect("A's recording");
    let end = heard.seconds();
    let music = heard.part(end - 6.0, end - 3.8);
    println!("music at {:.1} dBFS", music.rms_dbfs());
    assert!(music.rms_dbfs() > -40.0, "no music: {:.1} dBFS", music.rms_dbfs());
    assert!(music.tone_dbfs(880.0) < -45.0, "the holding phone is heard");
    assert_tone(&a, 2.0, 880.0);
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

#[test]
fn a_key_of_a_menu_rings_a_group_and_an_extension_of_its_list_a_phone() {
    let server = office("menu", &[]);
    let (mut a, mut b) = (ring(&server, 'A', 440.0), ring(&server, 'B', 880.0));
    let mut d = ring(&server, 'D', 1300.0);
    a.dial("620").expect("the control link stands");
    wait(&mut a, "CALL_ESTABLISHED");
    sleep(Duration::from_secs(1));
    a.press('1').expect("the control link stands");
    wait(&mut b, "CALL_INCOMING");
    b.answer().expect("the control link stands");
    wait(&mut b, "CALL_ESTABLISHED");
    sleep(Duration::from_secs(3));
    b.hang_up().expect("the control link stands");
    wait(&mut a, "CALL_CLOSED");
    assert_tone(&a, 2.0, 880.0);

    a.dial("620").expect("the control link stands");
    wait(&mut a, "CALL_ESTABLISHED");
    sleep(Duration::from_secs(1));
    for key in ['8', '0', '4'] {
        a.press(key).expect("the control link stands");
        sleep(Duration::from_millis(300));
    }
    wait(&mut d, "CALL_INCOMING");
    a.hang_up().expect("the control link stands");
    wait(&mut d, "CALL_CLOSED");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}
