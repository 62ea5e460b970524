//! Voicemail from outside (S-45 to S-47): when the box answers, what is kept of a message, the mail
//! that brings it, a kill in the middle of one, and its end after seven days by the server's date.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use koukan_e2e::audio::{RATE, Sound};
use koukan_e2e::baresip::Baresip;
use koukan_e2e::office::{carrier, phone, phone_spec};
use koukan_e2e::server::{Server, source_root};
use koukan_e2e::smtp::MailSink;
use koukan_e2e::wait::wait_for;

const LIMIT: Duration = Duration::from_secs(8);
/// The greeting and the tone behind it, with what a phone needs to connect.
const GREETING: Duration = Duration::from_secs(20);

/// The office whose third number has a box that answers after five seconds.
fn office(name: &str) -> Server {
    let server = Server::start(name).expect("the server starts");
    let file = server.directory.join("conf/tenants/acme/office.toml");
    let text = fs::read_to_string(&file).expect("the sample");
    let number = "ring = { devices = [\"D\", \"E\"], strategy = \"all\", timeout = \"30s\" }";
    assert!(text.contains(number), "the sample has no {number}");
    let with_box = "ring = { devices = [\"D\", \"E\"], strategy = \"all\" }\n\
                    options = [\"voicemail\"]\nvoicemail = { box = \"main\", after = \"5s\" }";
    let mailbox = "[voicemail_box.main]\nmax_message = \"8s\"\nnotify = [\"office@example.jp\"]\n\
                   [extension.messages]\ndial = \"*97\"\ndo = \"voicemail_menu\"\n";
    let text = format!("{}\n{mailbox}", text.replace(number, with_box));
    fs::write(&file, text).expect("it is written");
    let report = server.ctl(&["reload", "acme"]).expect("it is in order");
    println!("reload: {report}");
    server
}

pub(super) fn messages(server: &Server) -> Vec<PathBuf> {
    let directory = server.directory.join("data/objects/voicemail/acme");
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}

/// Calls and waits until the box has answered and said its greeting.
fn reaches_the_box(caller: &mut Baresip) {
    caller.dial("0312340003").expect("the control link stands");
    let begun = Instant::now();
    caller.wait("CALL_ESTABLISHED", LIMIT).unwrap_or_else(|| panic!("{}", caller.log()));
    let after = begun.elapsed().as_secs_f64();
    assert!((4.5..7.5).contains(&after), "the box answers after {after:.1} s");
}

fn prompt(name: &str) -> Sound {
    let file = source_root().join("conf/prompts/ja").join(format!("{name}.wav"));
    Sound::read_wav(Path::new(&file)).expect("the prompt is in the tree")
}

#[test]
fn a_message_is_left_kept_mailed_and_deleted_after_seven_days() {
    let server = office("voicemail");
    server.ctl(&["clock", "2026-07-01T10:00:00+09:00"]).expect("the test clock can be set");
    let mut d = phone(&server, "d", &phone_spec(&server, 'D')).expect("D registers");
    let mut caller = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    reaches_the_box(&mut caller);
    d.wait("CALL_CLOSED", LIMIT).expect("D stops ringing");
    // The caller's tone goes on; the box ends the message at eight seconds, thanks and hangs up.
    caller
        .wait("CALL_CLOSED", GREETING + Duration::from_secs(25))
        .unwrap_or_else(|| panic!("the box does not hang up:\n{}", caller.log()));
    let heard = caller.heard().expect("a recording");
    for name in ["vm/greeting", "vm/taken"] {
        let prompt = prompt(name);
        let (likeness, at) = heard.likeness(&prompt.part(0.2, 2.7));
        println!("{name} heard {at:.2} s into the call, likeness {likeness:.3}");
        assert!(likeness >= 0.9, "{name}: likeness {likeness:.3}");
    }
    let files = messages(&server);
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let message = Sound::read_wav(file).expect("a WAV file");
    let level = message.part(1.0, 7.0).tone_dbfs(1000.0);
    println!("the message: {:.2} s, the tone at {level:.2} dBFS", message.seconds());
    assert!((message.seconds() - 8.0).abs() < 0.1, "{:.2} s", message.seconds());
    assert!((level + 15.0).abs() <= 1.0, "the caller is recorded at {level:.2} dBFS");

    // Nobody has taken the mail yet; it is tried again.
    let sink = MailSink::start(server.smtp_port).expect("the port is free");
    let mail = wait_for(Duration::from_secs(120), || sink.mails().pop()).expect("a mail comes");
    for part in ["To: office@example.jp", "audio/wav", "message-0701-1000.wav"] {
        assert!(mail.contains(part), "no {part} in {:.600}", mail);
    }
    server.ctl(&["clock", "2026-07-08T09:59:00+09:00"]).expect("the test clock can be set");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(messages(&server).len(), 1, "seven days are not over");
    server.ctl(&["clock", "2026-07-08T10:01:00+09:00"]).expect("the test clock can be set");
    let gone = wait_for(LIMIT, || messages(&server).is_empty().then_some(()));
    assert!(gone.is_some(), "{:?}", messages(&server));
    assert_eq!(sink.mails().len(), 1, "one mail a message");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

#[test]
fn a_kill_in_the_middle_of_a_message_loses_neither_it_nor_those_before() {
    let mut server = office("voicemail-kill");
    let mut caller = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    // Nobody is registered: the box answers at once.
    for number in 1..=2 {
        caller.dial("0312340003").expect("the control link stands");
        caller.wait("CALL_ESTABLISHED", LIMIT).unwrap_or_else(|| panic!("{}", caller.log()));
        let part = |file: &PathBuf| {
            let bytes = fs::metadata(file).map_or(0, |metadata| metadata.len());
            file.extension().is_some_and(|e| e == "part") && bytes > 16_000 * 3
        };
        wait_for(GREETING + LIMIT, || messages(&server).iter().any(part).then_some(()))
            .unwrap_or_else(|| panic!("message {number} does not begin: {:?}", messages(&server)));
        if number == 1 {
            caller.hang_up().expect("the control link stands");
            let whole = |file: &PathBuf| file.extension().is_some_and(|e| e == "wav");
            wait_for(LIMIT, || messages(&server).iter().any(whole).then_some(()))
                .expect("the first message is whole");
        }
    }
    server.kill().expect("it ran");
    server.run().expect("it starts again");
    let files = messages(&server);
    assert_eq!(files.len(), 2, "{files:?}");
    for file in files {
        let message = Sound::read_wav(&file).expect("a WAV file");
        let level = message.part(0.5, 2.5).tone_dbfs(1000.0);
        println!("{}: {:.2} s at {level:.2} dBFS", file.display(), message.seconds());
        assert!(message.seconds() >= 3.0 && (level + 15.0).abs() <= 1.0);
    }
    // Both are known as messages: their time comes like any other's.
    server.ctl(&["clock", "2036-07-08T10:00:00+09:00"]).expect("the test clock can be set");
    let gone = wait_for(LIMIT, || messages(&server).is_empty().then_some(()));
    assert!(gone.is_some(), "{:?}", messages(&server));
}

#[test]
fn a_message_is_heard_by_phone_and_deleted_by_a_key() {
    let server = office("voicemail-menu");
    let mut caller = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    // Nobody is registered: the box answers at once, and the caller speaks until it ends.
    caller.dial("0312340003").expect("the control link stands");
    caller
        .wait("CALL_CLOSED", GREETING + Duration::from_secs(25))
        .unwrap_or_else(|| panic!("the box does not hang up:\n{}", caller.log()));
    assert_eq!(messages(&server).len(), 1);

    let mut d = phone(&server, "d", &phone_spec(&server, 'D')).expect("D registers");
    d.dial("*97").expect("the control link stands");
    d.wait("CALL_ESTABLISHED", LIMIT).unwrap_or_else(|| panic!("{}", d.log()));
    // How many, which, when and from whom are said; then the message of eight seconds.
    std::thread::sleep(Duration::from_secs(35));
    d.press('7').expect("the control link stands");
    let gone = wait_for(LIMIT, || messages(&server).is_empty().then_some(()));
    assert!(gone.is_some(), "{:?}", messages(&server));
    d.wait("CALL_CLOSED", GREETING).expect("the menu says goodbye and hangs up");
    let heard = d.heard().expect("what D heard");
    let rate = usize::try_from(RATE).expect("a rate");
    let levels = heard.0.chunks(rate).map(|second| Sound(second.to_vec()).tone_dbfs(1000.0));
    let loud = levels.filter(|level| (level + 15.0).abs() <= 1.0).count();
    println!("the caller's tone fills {loud} seconds of {:.1}", heard.seconds());
    assert!((6..=8).contains(&loud), "the message is heard for {loud} s");
}

#[test]
fn a_message_goes_on_while_its_module_is_replaced_and_the_old_build_leaves_the_process() {
    let server = office("voicemail-replaced");
    let mut caller = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    caller.dial("0312340003").expect("the control link stands");
    caller.wait("CALL_ESTABLISHED", LIMIT).unwrap_or_else(|| panic!("{}", caller.log()));
    let is_part = |file: &PathBuf| file.extension().is_some_and(|e| e == "part");
    wait_for(GREETING + LIMIT, || messages(&server).iter().any(is_part).then_some(()))
        .unwrap_or_else(|| panic!("the message does not begin: {:?}", messages(&server)));
    let changed = server.ctl(&["module", "replace", "voicemail"]).expect("it is replaced");
    assert_eq!(
        (changed["module"].as_str(), changed["calls"].as_u64()),
        (Some("voicemail"), Some(1))
    );
    let states = || -> Vec<String> {
        let listed = server.ctl(&["module", "list"]).expect("the server answers");
        let own = listed.as_array().into_iter().flatten().filter(|m| m["name"] == "voicemail");
        own.map(|build| build["state"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let mapped = || {
        let pid = server.pid().expect("it runs");
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("it runs");
        let own = maps.lines().filter_map(|line| line.split("/modules/voicemail-").nth(1));
        own.collect::<std::collections::BTreeSet<_>>().len()
    };
    assert_eq!((states(), mapped()), (vec!["draining".to_owned(), "active".to_owned()], 2));
    caller
        .wait("CALL_CLOSED", GREETING + Duration::from_secs(25))
        .unwrap_or_else(|| panic!("the box does not hang up:\n{}", caller.log()));
    let files = messages(&server);
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let message = Sound::read_wav(file).expect("a WAV file");
    println!("the message: {:.2} s over the replacement", message.seconds());
    assert!((message.seconds() - 8.0).abs() < 0.1, "{:.2} s", message.seconds());
    let closed = || (states() == ["closed", "active"]).then_some(());
    wait_for(LIMIT, closed).unwrap_or_else(|| panic!("{:?}", states()));
    assert_eq!(mapped(), 1, "the old build is in the process still");
}
