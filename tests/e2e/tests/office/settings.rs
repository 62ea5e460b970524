//! What a customer flips, with real phones: schedules on the test clock, one-touch off-hours and
//! forwarding, the caller number of a phone; each over a `kill -9`.

use std::fs;
use std::time::Duration;

use koukan_e2e::baresip::Baresip;
use koukan_e2e::office::{carrier, phone, phone_spec};
use koukan_e2e::server::Server;

const LIMIT: Duration = Duration::from_secs(8);
const NUMBER1: &str = "0312340001";

/// The office with forwarding subscribed, by a reload of this office alone.
fn office(name: &str) -> Server {
    let server = Server::start(name).expect("the server starts");
    let file = server.directory.join("conf/tenants/acme/office.toml");
    let text = fs::read_to_string(&file).expect("the sample");
    let options = "options = [\"off_hours\"]";
    assert!(text.contains(options), "the sample has no {options}");
    let more = "options = [\"off_hours\", \"forwarding\"]\nforward_to = \"0455550001\"";
    fs::write(&file, text.replace(options, more)).expect("it is written");
    let report = server.ctl(&["reload", "acme"]).expect("it is in order");
    println!("reload: {report}");
    server
}

pub(super) fn clock(server: &Server, at: &str) {
    server.ctl(&["clock", &format!("{at}+09:00")]).expect("the test clock can be set");
}

pub(super) fn set(server: &Server, key: &str, value: &str) {
    server.ctl(&["set", "acme", key, value]).unwrap_or_else(|error| panic!("{key}: {error}"));
}

fn mode(server: &Server) -> String {
    let mode = server.ctl(&["get", "acme", "number1.mode"]).expect("it is there");
    word(&mode, "value").expect("a word").to_owned()
}

fn word<'v>(value: &'v serde_json::Value, key: &str) -> Option<&'v str> {
    value.get(key)?.as_str()
}

pub(super) fn incoming(phone: &mut Baresip) -> usize {
    phone.saw("");
    phone.history.iter().filter(|event| word(event, "type") == Some("CALL_INCOMING")).count()
}

/// `from` calls number 1; what it comes to.
pub(super) fn comes_to(
    from: &mut Baresip,
    rung: &mut Baresip,
    outside: &mut Baresip,
) -> &'static str {
    let (before, before_outside) = (incoming(rung), incoming(outside));
    from.dial(NUMBER1).expect("the control link stands");
    let found = if from.wait("CALL_RINGING", LIMIT).is_some() {
        if incoming(rung) > before { "rings" } else { "forwards" }
    } else {
        let established = from.wait("CALL_ESTABLISHED", LIMIT);
        established.unwrap_or_else(|| panic!("{}", from.log()));
        "announces"
    };
    match found {
        "forwards" => assert_eq!(incoming(outside), before_outside + 1, "the carrier is called"),
        _ => assert_eq!(incoming(outside), before_outside, "the carrier is not called"),
    }
    found
}

pub(super) fn hang_up(phone: &mut Baresip) {
    phone.hang_up().expect("the control link stands");
    phone.wait("CALL_CLOSED", LIMIT).expect("it is over");
}

#[test]
fn schedules_and_one_touch_settings_hold_for_the_next_call() {
    let server = office("settings");
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    let mut b = phone(&server, "b", &phone_spec(&server, 'B')).expect("B registers");
    let mut outside = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    // S-20, S-21, S-28: one second before lunch, and at lunch.
    clock(&server, "2026-07-01T11:59:30");
    assert_eq!(comes_to(&mut b, &mut a, &mut outside), "rings");
    hang_up(&mut b);
    clock(&server, "2026-07-01T12:00:00");
    assert_eq!(comes_to(&mut b, &mut a, &mut outside), "announces");
    // S-23: the call that is announced goes on, the next one rings.
    set(&server, "number1.off_hours", "off");
    std::thread::sleep(Duration::from_secs(1));
    assert!(b.wait("CALL_CLOSED", Duration::from_millis(100)).is_none(), "it goes on");
    hang_up(&mut b);
    assert_eq!(comes_to(&mut b, &mut a, &mut outside), "rings");
    hang_up(&mut b);
    // S-60, S-61: one value.
    let walk = [
        ("number1.forwarding", "on", "forward"),
        ("number1.off_hours", "off", "forward"),
        ("number1.off_hours", "on", "schedule"),
        ("number1.forwarding", "off", "schedule"),
        ("number1.forwarding", "on", "forward"),
        ("number1.forwarding", "off", "ring"),
    ];
    for (key, value, expected) in walk {
        set(&server, key, value);
        assert_eq!(mode(&server), expected, "after {key} {value}");
    }
    // S-62: both by time, through a cell.
    set(&server, "number1.off_hours", "on");
    set(&server, "office.weekday.12:00-13:00", "forward");
    assert_eq!(comes_to(&mut b, &mut a, &mut outside), "forwards");
    // S-58: the own number is shown.
    assert!(outside.log().contains("sip:0312340001@"), "{}", outside.log());
    hang_up(&mut b);
    // S-22: Marine Day is a Monday, and this customer opens on it.
    clock(&server, "2026-07-20T10:00:00");
    assert_eq!(comes_to(&mut b, &mut a, &mut outside), "announces");
    hang_up(&mut b);
    set(&server, "office.2026-07-20", "open");
    assert_eq!(comes_to(&mut b, &mut a, &mut outside), "rings");
    hang_up(&mut b);
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

#[test]
fn settings_survive_a_kill_and_a_phone_shows_another_number_without_a_reboot() {
    let mut server = office("caller-number");
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    let mut outside = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    let mut shows = |a: &mut Baresip, number: &str| {
        let before = outside.log().len();
        a.dial("0455550001").expect("the control link stands");
        outside.wait("CALL_INCOMING", LIMIT).expect("the carrier is called");
        hang_up(a);
        outside.wait("CALL_CLOSED", LIMIT).expect("it is over");
        let log = outside.log();
        let invite = log.get(before..).unwrap_or_default();
        assert!(invite.contains(&format!("sip:{number}@")), "{number}:\n{invite}");
    };
    // S-11
    shows(&mut a, "0312340001");
    set(&server, "A.caller_id", "number2");
    shows(&mut a, "0312340002");
    set(&server, "number1.forwarding", "on");
    server.kill().expect("it ran");
    server.run().expect("it starts again");
    assert_eq!(mode(&server), "forward");
    shows(&mut a, "0312340002");
    let history = server.ctl(&["history", "acme"]).expect("it can be read");
    assert_eq!(history.as_array().map(Vec::len), Some(2), "{history}");
    // What is given back is as in the files again.
    server.ctl(&["unset", "acme", "A.caller_id"]).expect("it is given back");
    shows(&mut a, "0312340001");
    let shown = server.ctl(&["get", "acme", "device.A.caller_id"]).expect("it is there");
    assert_eq!(word(&shown, "by"), None, "{shown}");
    assert!(word(&shown, "place").is_some(), "{shown}");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

#[test]
fn reloads_and_the_way_back_touch_no_running_call() {
    let server = Server::start("reloads").expect("the server starts");
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    a.dial("600").expect("the control link stands");
    a.wait("CALL_ESTABLISHED", LIMIT).expect("the echo answers");
    let tenant = server.directory.join("conf/tenants/acme");
    let more = tenant.join("zz.toml");
    fs::write(&more, "schema = 1\n[extension.more\n").expect("it is written");
    for reload in [&["reload"][..], &["reload", "acme"]] {
        let refused = server.ctl(reload).expect_err("the bracket is not closed").to_string();
        assert!(refused.contains("zz.toml:2:"), "{refused}");
    }
    fs::remove_file(&more).expect("it was there");
    let renumber = |file: &str| {
        let file = tenant.join(file);
        let text = fs::read_to_string(&file).expect("the sample");
        fs::write(&file, text.replace("\"600\"", "\"699\"")).expect("it is written");
    };
    renumber("office.toml");
    let refused = server.ctl(&["reload", "acme"]).expect_err("the office expects 600").to_string();
    assert!(refused.contains("expectation") && refused.contains("expect.toml:"), "{refused}");
    renumber("expect.toml");
    let report = server.ctl(&["reload", "acme"]).expect("it is in order");
    let changes = report.get("changes").map(ToString::to_string).unwrap_or_default();
    assert!(changes.contains("600") && changes.contains("699"), "{changes}");
    assert!(a.wait("CALL_CLOSED", Duration::from_secs(1)).is_none(), "the call goes on");
    server.ctl(&["reload", "--rollback"]).expect("there is one before");
    assert!(a.wait("CALL_CLOSED", Duration::from_secs(1)).is_none(), "the call goes on");
    hang_up(&mut a);
    a.dial("600").expect("the control link stands");
    a.wait("CALL_ESTABLISHED", LIMIT).expect("the echo is there again");
    hang_up(&mut a);
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}
