//! Limits of voicemail from outside: the seconds until the box answers (S-45), thirty seconds a
//! message (S-46), a full box (S-47), a greeting that nobody changes (S-48), the lamp, calling
//! back from the menu and PINs (S-49).

use std::thread::sleep;
use std::time::{Duration, Instant};

use koukan_e2e::audio::Sound;
use koukan_e2e::baresip::Baresip;
use koukan_e2e::office::{carrier, phone, phone_spec};
use koukan_e2e::server::{Server, write_secret};
use koukan_e2e::wait::wait_for;

use super::inbound::prompt;
use super::settings::{clock, hang_up};
use super::voicemail::messages;
use super::{changed_office, check, write_plan};

const LIMIT: Duration = Duration::from_secs(8);

const NUMBER: &str = "ring = { devices = [\"D\", \"E\"], strategy = \"all\", timeout = \"30s\" }";
const MENU: &str = "[voicemail_box.main]\n[extension.messages]\ndial = \"*97\"\n\
                    do = \"voicemail_menu\"\n";

fn with_box(after: &str) -> String {
    format!(
        "ring = {{ devices = [\"D\", \"E\"], strategy = \"all\" }}\noptions = [\"voicemail\"]\n\
         voicemail = {{ box = \"main\", after = \"{after}\" }}"
    )
}

fn office(name: &str, after: &str, more: &str) -> Server {
    let server = changed_office(name, &[(NUMBER, &with_box(after))], more);
    clock(&server, "2026-07-01T10:00:00");
    server
}

fn begins(server: &Server, count: usize) {
    wait_for(Duration::from_secs(30), || (messages(server).len() >= count).then_some(()))
        .unwrap_or_else(|| panic!("message {count} does not begin: {:?}", messages(server)));
}

#[test]
fn the_box_answers_after_its_seconds_and_other_seconds_are_refused() {
    let server = office("box-seconds", "10s", MENU);
    let mut d = phone(&server, "d", &phone_spec(&server, 'D')).expect("D registers");
    let mut outside = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    outside.dial("0312340003").expect("the control link stands");
    d.wait("CALL_INCOMING", LIMIT).expect("D rings first");
    let began = Instant::now();
    outside.wait("CALL_ESTABLISHED", LIMIT + LIMIT).expect("the box answers");
    let after = began.elapsed().as_secs_f64();
    println!("the box answers {after:.2} s after D began to ring, of 10 s");
    assert!((9.5..11.5).contains(&after), "{after:.2} s");
    hang_up(&mut outside);
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
    for (after, is_good) in
        [("5s", true), ("30s", true), ("0s", false), ("7s", false), ("35s", false)]
    {
        write_plan(&server, &[("after = \"10s\"", &format!("after = \"{after}\""))], "");
        let (good, words) = check(&server);
        assert_eq!(good, is_good, "{after}: {words}");
        assert!(good || words.contains("office.toml:"), "{words}");
        write_plan(&server, &[(&format!("after = \"{after}\""), "after = \"10s\"")], "");
    }
}

#[test]
fn thirty_one_seconds_of_a_tone_are_a_message_of_thirty() {
    let server = office("thirty", "5s", MENU);
    let mut outside = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    // Nobody is registered: the box answers at once.
    outside.dial("0312340003").expect("the control link stands");
    begins(&server, 1);
    let spoken = Instant::now();
    outside.wait("CALL_CLOSED", Duration::from_secs(60)).expect("the box ends it");
    assert!(spoken.elapsed() > Duration::from_secs(31), "{:?}", spoken.elapsed());
    let files = messages(&server);
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let message = Sound::read_wav(file).expect("a WAV file");
    let level = message.part(1.0, 29.0).steady_dbfs(1000.0);
    println!("the message: {:.2} s at {level:.2} dBFS", message.seconds());
    assert!((message.seconds() - 30.0).abs() < 0.1, "{:.2} s", message.seconds());
    assert!((level + 15.0).abs() <= 1.0, "{level:.2} dBFS");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

#[test]
fn a_full_box_says_so_and_keeps_what_it_has_and_its_greeting_is_nobodys() {
    let two = MENU.replace("[voicemail_box.main]\n", "[voicemail_box.main]\nmax_messages = 2\n");
    let server = office("full-box", "5s", &two);
    let mut outside = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    for count in 1..=2 {
        outside.dial("0312340003").expect("the control link stands");
        begins(&server, count);
        sleep(Duration::from_secs(2));
        hang_up(&mut outside);
    }
    let kept = || {
        let whole = |file: &std::path::PathBuf| file.extension().is_some_and(|e| e == "wav");
        let files: Vec<_> = messages(&server).into_iter().filter(whole).collect();
        (files.len() == 2).then_some(files)
    };
    let before = wait_for(LIMIT, kept).expect("two messages are kept");
    let from = outside.heard().expect("a recording").seconds();
    outside.dial("0312340003").expect("the control link stands");
    outside.wait("CALL_CLOSED", Duration::from_secs(30)).expect("the box hangs up");
    let heard = outside.heard().expect("a recording").part(from, f64::MAX);
    let (likeness, at) = heard.likeness(&prompt("vm/full").part(0.2, 2.7));
    println!("the full box is heard {at:.2} s into the call, likeness {likeness:.3}");
    assert!(likeness >= 0.9, "{likeness:.3}");
    assert_eq!(kept(), Some(before), "what was there is there");
    // S-48: the plan has no word for a greeting, and no call changes one.
    let refused = server.ctl(&["set", "acme", "main.greeting", "x"]).expect_err("no setting");
    println!("a greeting: {}", refused.to_string().trim());
    let greeting = "[voicemail_box.main]\ngreeting = \"x.wav\"\n";
    write_plan(&server, &[("[voicemail_box.main]\n", greeting)], "");
    let (good, words) = check(&server);
    assert!(!good && words.contains("unknown key `greeting`"), "{words}");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

fn heard_tone(phone: &Baresip, hertz: f64, from: f64) -> f64 {
    let heard = phone.heard().expect("a recording");
    heard.part(from, f64::MAX).steady_dbfs(hertz)
}

#[test]
fn a_message_lights_the_lamp_and_its_caller_is_called_back_through_the_gate() {
    let lamp = ("[device.D]\n", "[device.D]\nmwi = \"unsolicited\"\n");
    let number = with_box("5s");
    let server = changed_office("lamp", &[(NUMBER, &number), lamp], MENU);
    clock(&server, "2026-07-01T10:00:00");
    let mut outside = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    outside.dial("0312340003").expect("the control link stands");
    begins(&server, 1);
    sleep(Duration::from_secs(2));
    hang_up(&mut outside);

    let mut d = phone(&server, "d", &phone_spec(&server, 'D')).expect("D registers");
    let lit = |phone: &Baresip, word: &str| phone.log().contains(&format!("Voice-Message: {word}"));
    wait_for(LIMIT, || lit(&d, "1/0").then_some(())).unwrap_or_else(|| panic!("{}", d.log()));
    d.dial("*97").expect("the control link stands");
    d.wait("CALL_ESTABLISHED", LIMIT).unwrap_or_else(|| panic!("{}", d.log()));
    // How many are there, which, when and from whom are said; the message is heard to its end.
    let heard = || lit(&d, "0/1").then_some(());
    wait_for(Duration::from_secs(50), heard).unwrap_or_else(|| panic!("{}", d.log()));
    println!("the lamp: 1 new, then 0 new and 1 old");
    let before = d.heard().expect("a recording").seconds();
    d.press('8').expect("the control link stands");
    outside.wait("CALL_INCOMING", LIMIT).expect("the caller is called back");
    assert!(outside.log().contains("INVITE sip:0455550001@"), "{}", outside.log());
    outside.answer().expect("the control link stands");
    outside.wait("CALL_ESTABLISHED", LIMIT).expect("it is answered");
    sleep(Duration::from_secs(4));
    let level = heard_tone(&d, 1000.0, before + 2.0);
    println!("D hears who left the message at {level:.1} dBFS");
    assert!(level > -22.0, "{level:.1} dBFS");
    hang_up(&mut d);
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

/// Calls the menu, presses these keys one after the other and listens until it hangs up: the
/// likeness of what is heard to a prompt, and how long the call was.
fn tries(d: &mut Baresip, keys: &str, name: &str) -> (f64, f64) {
    let from = d.heard().map_or(0.0, |heard| heard.seconds());
    d.dial("*97").expect("the control link stands");
    d.wait("CALL_ESTABLISHED", LIMIT).unwrap_or_else(|| panic!("{}", d.log()));
    let began = Instant::now();
    sleep(Duration::from_secs(1));
    for key in keys.chars() {
        d.press(key).expect("the control link stands");
        sleep(Duration::from_millis(300));
    }
    d.wait("CALL_CLOSED", Duration::from_secs(40)).unwrap_or_else(|| panic!("{}", d.log()));
    let heard = d.heard().expect("a recording").part(from, f64::MAX);
    let said = prompt(name);
    let (likeness, _) = heard.likeness(&said.part(0.2, said.seconds().min(2.7)));
    (likeness, began.elapsed().as_secs_f64())
}

#[test]
fn wrong_pins_over_calls_lock_the_box_for_a_quarter_of_an_hour_and_the_caller_is_told() {
    let with_pin = MENU
        .replace("[voicemail_box.main]\n", "[voicemail_box.main]\npin = \"file:secrets/box\"\n");
    let server = Server::start("pin").expect("the server starts");
    let secret = server.directory.join("conf/tenants/acme/secrets/box");
    write_secret(&secret, "2468").expect("it is written");
    write_plan(&server, &[(NUMBER, &with_box("5s"))], &with_pin);
    server.ctl(&["reload", "acme"]).expect("it is in order");
    clock(&server, "2026-07-01T10:00:00");
    let mut d = phone(&server, "d", &phone_spec(&server, 'D')).expect("D registers");
    for (keys, name, what) in [
        ("1111#2222#3333#", "vm/pin-wrong", "three wrong ones end the call"),
        ("1111#2222#", "vm/pin-locked", "the fifth in a row, in another call, locks the box"),
        ("", "vm/pin-locked", "nobody is asked any more"),
        ("2468#", "vm/pin-locked", "the right one does not help either"),
    ] {
        let (likeness, seconds) = tries(&mut d, keys, name);
        println!("{what}: {name} with likeness {likeness:.3}, {seconds:.1} s");
        assert!(likeness >= 0.9, "{what}: {likeness:.3}");
    }
    clock(&server, "2026-07-01T10:16:00");
    let (likeness, _) = tries(&mut d, "2468#", "vm/none");
    println!("after 15 minutes the right one opens it: vm/none with likeness {likeness:.3}");
    assert!(likeness >= 0.9, "{likeness:.3}");
    let counted = (1..=8).find_map(|build| {
        let labels = format!("{{module=\"voicemail\",build=\"{build}\"}}");
        server.metric(&format!("koukan_module_pin_failures{labels}")).ok()
    });
    assert_eq!(counted, Some(5.0), "what the module counts is on the page");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}
