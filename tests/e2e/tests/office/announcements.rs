//! Announcements from outside: the busy prompt (S-08), the grid of half hours in every kind of day
//! (S-20), the three templates (S-24), files of the office's own (S-25), before voicemail (S-26),
//! and not before the office is verified (S-27, S-65).

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use koukan_e2e::audio::Sound;
use koukan_e2e::baresip::Baresip;
use koukan_e2e::office::{carrier, phone, phone_spec};
use koukan_e2e::wait::wait_for;

use super::inbound::prompt;
use super::settings::{clock, comes_to, hang_up, incoming, set};
use super::voicemail::messages;
use super::{changed_office, check, write_plan};

const LIMIT: Duration = Duration::from_secs(8);

/// Where a prompt is heard, in seconds; it must be there.
fn heard_at(heard: &Sound, name: &str) -> f64 {
    let whole = prompt(name);
    let pattern = whole.part(0.2, 2.7_f64.min(whole.seconds() - 0.1));
    let (likeness, at) = heard.likeness(&pattern);
    println!("{name} heard {at:.2} s into the call, likeness {likeness:.3}");
    assert!(likeness >= 0.9, "{name}: likeness {likeness:.3}");
    at
}

fn wait(phone: &mut Baresip, event: &str) -> String {
    phone.wait(event, LIMIT).unwrap_or_else(|| panic!("no {event}:\n{}", phone.log()))
}

#[test]
fn a_full_office_plays_the_busy_prompt_and_rings_nobody() {
    let mut server = changed_office("busy", &[("channels = \"per-id\"", "channels = 1")], "");
    // A call that its phone holds sends nothing meanwhile.
    let file = server.directory.join("conf/koukan.toml");
    let text = fs::read_to_string(&file).expect("the configuration");
    fs::write(&file, text.replace("rtp_timeout = \"6s\"", "rtp_timeout = \"60s\""))
        .expect("it is written");
    server.kill().expect("it runs");
    server.run().expect("it starts again");
    clock(&server, "2026-07-01T10:00:00");
    let mut b = phone(&server, "b", &phone_spec(&server, 'B')).expect("B registers");
    let mut d = phone(&server, "d", &phone_spec(&server, 'D')).expect("D registers");
    let mut outside = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    outside.dial("0312340003").expect("the control link stands");
    wait(&mut d, "CALL_INCOMING");
    d.answer().expect("the control link stands");
    wait(&mut outside, "CALL_ESTABLISHED");
    // Every channel is taken.
    outside.dial("0312340002").expect("the control link stands");
    let ended = outside.wait("CALL_CLOSED", Duration::from_secs(30)).expect("it is released");
    assert!(ended.contains("486"), "{ended}");
    heard_at(&outside.heard().expect("a recording"), "lines-busy");
    assert_eq!(incoming(&mut b), 0, "a phone has rung");
    assert!(d.wait("CALL_CLOSED", Duration::from_millis(100)).is_none(), "the first call is up");
    // A channel is free the moment its call ends.
    d.hang_up().expect("the control link stands");
    wait(&mut outside, "CALL_CLOSED");
    outside.dial("0312340002").expect("the control link stands");
    wait(&mut b, "CALL_INCOMING");
    outside.hang_up().expect("the control link stands");
    wait(&mut b, "CALL_CLOSED");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

#[test]
fn half_hours_begin_on_the_second_in_every_kind_of_day() {
    let server = changed_office("grid", &[], "");
    for day in ["sunday", "holiday"] {
        set(&server, &format!("office.{day}.10:00-10:30"), "ring");
    }
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    let mut b = phone(&server, "b", &phone_spec(&server, 'B')).expect("B registers");
    let mut outside = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    let walk = [
        ("a weekday", "2026-07-01T08:59:58", "2026-07-01T09:00:00"),
        ("a Saturday", "2026-07-04T09:59:58", "2026-07-04T10:00:00"),
        ("a Sunday", "2026-07-05T09:59:58", "2026-07-05T10:00:00"),
        ("a holiday that is a Monday", "2026-07-20T09:59:58", "2026-07-20T10:00:00"),
    ];
    for (day, before, at) in walk {
        for (moment, expected) in [(before, "announces"), (at, "rings")] {
            clock(&server, moment);
            assert_eq!(comes_to(&mut b, &mut a, &mut outside), expected, "{day}, {moment}");
            hang_up(&mut b);
        }
        println!("{day}: announced at {before}, rings at {at}");
    }
    for day in ["2026-07-05T10:29:58", "2026-07-20T10:29:58"] {
        clock(&server, day);
        assert_eq!(comes_to(&mut b, &mut a, &mut outside), "rings", "{day}");
        hang_up(&mut b);
    }
    for day in ["2026-07-05T10:30:00", "2026-07-20T10:30:00"] {
        clock(&server, day);
        assert_eq!(comes_to(&mut b, &mut a, &mut outside), "announces", "{day}");
        hang_up(&mut b);
    }
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

const VOICES: &str = "[announcement.second]\ntemplate = 2\n[announcement.third]\ntemplate = 3\n";

#[test]
fn each_of_the_three_templates_is_chosen_and_heard() {
    let server = changed_office("templates", &[], VOICES);
    clock(&server, "2026-07-01T22:00:00");
    let mut outside = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    let mut before = 0.0;
    for (name, file) in [("closed", "closed"), ("second", "closed-2"), ("third", "closed-3")] {
        set(&server, "office.weekday.22:00-22:30", &format!("announce:{name}"));
        outside.dial("0312340001").expect("the control link stands");
        wait(&mut outside, "CALL_ESTABLISHED");
        sleep(Duration::from_secs(5));
        hang_up(&mut outside);
        let heard = outside.heard().expect("a recording");
        heard_at(&heard.part(before, f64::MAX), file);
        before = heard.seconds();
    }
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

/// A file of the office's own in the plan of the night.
const OWN: &str = "[announcement.own]\nfile = \"sounds/own.mp3\"\n";

#[test]
fn an_own_file_is_heard_and_the_eleventh_is_refused() {
    let server = changed_office("own-files", &[], "");
    let sounds = server.directory.join("conf/tenants/acme/sounds");
    fs::create_dir_all(&sounds).expect("a directory");
    let tone = koukan_e2e::server::source_root().join("core/server/tests/data/tone.mp3");
    fs::copy(tone, sounds.join("own.mp3")).expect("it is copied");
    write_plan(
        &server,
        &[("closed = { template = 1 }", "closed = { file = \"sounds/own.mp3\" }")],
        "",
    );
    println!("reload: {}", server.ctl(&["reload", "acme"]).expect("it is in order"));
    clock(&server, "2026-07-01T22:00:00");
    let mut outside = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    outside.dial("0312340001").expect("the control link stands");
    outside.wait("CALL_CLOSED", Duration::from_secs(20)).expect("the announcement ends");
    let heard = outside.heard().expect("a recording");
    let loudest = (0..40).map(|n| f64::from(n) * 0.1);
    let loudest = loudest.map(|at| heard.part(at, at + 0.4).rms_dbfs()).fold(f64::MIN, f64::max);
    println!("the own file is heard at {loudest:.1} dBFS (-23 LUFS is asked for)");
    assert!((-27.0..-17.0).contains(&loudest), "{loudest:.1} dBFS");

    // Ten are taken, the eleventh is not, and what is no sound is named.
    let files = |count: u32| {
        let one = |n: u32| OWN.replace("[announcement.own]", &format!("[announcement.own{n}]"));
        (2..=count).map(one).collect::<String>()
    };
    write_plan(&server, &[], &files(10));
    let (good, words) = check(&server);
    assert!(good, "{words}");
    fs::write(sounds.join("own.mp3"), "a letter").expect("it is written");
    let (good, words) = check(&server);
    assert!(!good && words.contains("is no sound that can be read"), "{words}");
    write_plan(&server, &[], &OWN.replace("own]", "own11]"));
    let (good, words) = check(&server);
    let refused = words.lines().find(|line| line.contains("one file too many"));
    println!("{refused:?}");
    assert!(!good && refused.is_some_and(|line| line.contains("office.toml:")), "{words}");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

/// Where the beep begins behind a moment: a tone looks alike wherever its period fits, so that its
/// level is looked for.
fn beep_at(heard: &Sound, from: f64) -> f64 {
    let beep = prompt("beep").part(0.1, 0.4);
    let level = |hertz: &f64| beep.tone_dbfs(*hertz);
    let tones = (30..150).map(|tens| f64::from(tens) * 10.0);
    let hertz = tones.max_by(|a, b| level(a).total_cmp(&level(b))).expect("there are tones");
    let mut windows = (0..60).map(|n| from + f64::from(n) * 0.05);
    let is_beep = |at: &f64| heard.part(*at, at + 0.1).tone_dbfs(hertz) > level(&hertz) - 3.0;
    windows.find(is_beep).expect("no beep is heard")
}

#[test]
fn off_hours_the_announcement_comes_first_then_greeting_and_beep() {
    let number = (
        "options = [\"off_hours\"]",
        "options = [\"off_hours\", \"voicemail\"]\n\
                   voicemail = { box = \"main\", after = \"5s\" }",
    );
    let server = changed_office("before-voicemail", &[number], "[voicemail_box.main]\n");
    clock(&server, "2026-07-01T22:00:00");
    let mut outside = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    outside.dial("0312340001").expect("the control link stands");
    let records = || messages(&server).iter().any(|file| file.to_string_lossy().ends_with(".part"));
    wait_for(Duration::from_secs(45), || records().then_some(()))
        .unwrap_or_else(|| panic!("no message begins:\n{}", outside.log()));
    sleep(Duration::from_secs(1));
    hang_up(&mut outside);
    let heard = outside.heard().expect("a recording");
    let (closed, greeting) = (heard_at(&heard, "closed"), heard_at(&heard, "vm/greeting"));
    let beep = beep_at(&heard, greeting + prompt("vm/greeting").seconds() - 0.5);
    println!("the beep is heard {beep:.2} s into the call");
    assert!(closed < greeting && greeting < beep, "{closed} {greeting} {beep}");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

#[test]
fn neither_off_hours_nor_forwarding_before_the_office_is_verified() {
    let server = changed_office("unverified", &[], "");
    let verified = ("verified = true", "verified = false");
    write_plan(&server, &[verified], "");
    let (good, words) = check(&server);
    println!("{words}");
    assert!(!good && words.contains("office.toml:") && words.contains("verified"), "{words}");
    // Without what waits for it the office is in order, and neither can be switched on.
    let plain = ("mode = \"schedule\"\nschedule = \"office\"", "mode = \"ring\"");
    let forward = ("options = [\"off_hours\"]", "options = [\"off_hours\", \"forwarding\"]");
    write_plan(&server, &[plain, forward], "");
    let (good, words) = check(&server);
    assert!(good, "{words}");
    server.ctl(&["reload", "acme"]).expect("it is in order");
    for (key, value) in [
        ("number1.off_hours", "on"),
        ("number1.forwarding", "on"),
        ("number1.forward_to", "0455550001"),
    ] {
        let refused = server.ctl(&["set", "acme", key, value]).expect_err(key).to_string();
        println!("{key} = {value}: {}", refused.trim());
    }
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}
