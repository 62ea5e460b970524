//! Recorded calls from outside (S-70 to S-75): both directions in their channels, seen from three
//! the next morning, downloaded as one ZIP file, deleted with a line for the auditor; calls out,
//! other numbers' calls, thirty days, and a disk that is full.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use koukan_e2e::audio::Sound;
use koukan_e2e::office::{carrier, phone, phone_spec};
use koukan_e2e::server::Server;
use koukan_e2e::wait::wait_for;

use super::inbound::prompt;
use super::settings::hang_up;
use super::{SmallDisk, changed_office};

const LIMIT: Duration = Duration::from_secs(8);

/// The office whose second number is recorded, with its notice on arrival.
fn office(name: &str) -> Server {
    let server = Server::start(name).expect("the server starts");
    let file = server.directory.join("conf/tenants/acme/office.toml");
    let text = fs::read_to_string(&file).expect("the sample");
    let number = "ring = { devices = [\"A\", \"B\", \"C\"], strategy = \"all\" }";
    assert!(text.contains(number), "the sample has no {number}");
    let recorded = format!(
        "{number}\noptions = [\"recording\"]\nrecord = {{ enabled = true, notice = \"arrival\" }}"
    );
    fs::write(&file, text.replace(number, &recorded)).expect("it is written");
    println!("reload: {}", server.ctl(&["reload", "acme"]).expect("it is in order"));
    server
}

fn listed(server: &Server) -> Vec<serde_json::Value> {
    let list = server.ctl(&["recordings", "acme"]).expect("they can be listed");
    list.as_array().cloned().unwrap_or_default()
}

fn clock(server: &Server, at: &str) {
    server.ctl(&["clock", at]).expect("the test clock can be set");
}

#[test]
fn a_call_of_a_recorded_number_is_kept_shown_downloaded_and_deleted() {
    recorded_call(&office("recording"), "wav");
}

/// The same with a key: what lies on the disk says nothing to whoever has not got it.
#[test]
fn a_recording_is_encrypted_where_it_lies_and_downloaded_as_it_was() {
    let mut server = office("sealed");
    let key = server.directory.join("conf/recordings.key");
    fs::write(&key, "9e".repeat(32)).expect("it is written");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("it is its owner's");
    let file = server.directory.join("conf/koukan.toml");
    let text = fs::read_to_string(&file).expect("the configuration");
    let table = "\n[recordings]\nkey = \"file:recordings.key\"\n";
    fs::write(&file, text + table).expect("it is written");
    server.kill().expect("it is ended");
    server.run().expect("it starts again");
    recorded_call(&server, "sealed");
}

#[expect(clippy::indexing_slicing, reason = "what is missing is a failed test")]
fn recorded_call(server: &Server, kind: &str) {
    clock(server, "2026-07-01T10:00:00+09:00");
    let mut b = phone(server, "b", &phone_spec(server, 'B')).expect("B registers");
    let mut caller = carrier(server, "0455550001", 1000.0).expect("the carrier starts");
    caller.dial("0312340002").expect("the control link stands");
    b.wait("CALL_INCOMING", LIMIT + LIMIT).unwrap_or_else(|| panic!("{}", caller.log()));
    std::thread::sleep(Duration::from_secs(3));
    b.answer().expect("the control link stands");
    caller.wait("CALL_ESTABLISHED", LIMIT).expect("the caller is connected");
    std::thread::sleep(Duration::from_secs(4));
    caller.hang_up().expect("the control link stands");
    b.wait("CALL_CLOSED", LIMIT).expect("B is cleared");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");

    let directory = server.directory.join("data/objects/recording/acme");
    let files: Vec<_> =
        fs::read_dir(&directory).expect("it was made").flatten().map(|f| f.path()).collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    assert_eq!(file.extension().and_then(|kind| kind.to_str()), Some(kind));
    let lies = fs::read(file).expect("it can be read");
    assert_eq!(lies.starts_with(b"RIFF"), kind == "wav");
    // A tone is made of few values, and what is encrypted of every one.
    let values: BTreeSet<u8> = lies.iter().skip(58).step_by(2).copied().collect();
    println!("the caller's channel has {} values", values.len());
    assert_eq!(values.len() < 200, kind == "wav", "{}", values.len());

    clock(server, "2026-07-02T02:59:00+09:00");
    assert_eq!(listed(server).len(), 0, "it may not be seen yet");
    clock(server, "2026-07-02T03:00:00+09:00");
    let list = listed(server);
    let [recording] = list.as_slice() else { panic!("{list:?}") };
    println!("{recording}");
    let id = recording["id"].as_str().expect("an id").to_owned();
    assert_eq!(recording["caller"], "0455550001");
    let zip = server.directory.join("calls.zip");
    let zip_text = zip.to_string_lossy().into_owned();
    let output = Command::new(koukan_e2e::server::binary("koukan").expect("it is built"))
        .args(["ctl", "--socket"])
        .arg(server.directory.join("data/koukan.sock"))
        .args(["recordings", "acme", "--zip", &zip_text])
        .status()
        .expect("it runs");
    assert!(output.success());
    let out = server.directory.join("unpacked");
    let unpacked = Command::new("python3")
        .args(["-m", "zipfile", "-e", &zip_text])
        .arg(&out)
        .status()
        .expect("python3 is installed");
    assert!(unpacked.success(), "another program reads the ZIP file");
    let both = Sound::read_wav(&out.join(format!("{id}.wav"))).expect("a WAV file").0;
    let side = |which: usize| Sound(both.iter().skip(which).step_by(2).copied().collect());
    let (caller_side, callee_side) = (side(0), side(1));
    let seconds = caller_side.seconds();
    let levels = [
        caller_side.part(1.0, 3.5).tone_dbfs(1000.0),
        callee_side.part(1.0, 3.5).tone_dbfs(440.0),
        caller_side.part(1.0, 3.5).tone_dbfs(440.0),
    ];
    println!(
        "{seconds:.2} s; caller {:.2}, callee {:.2}, across {:.2} dBFS",
        levels[0], levels[1], levels[2]
    );
    assert!((3.5..5.5).contains(&seconds), "{seconds:.2} s");
    for level in &levels[..2] {
        assert!((level + 15.0).abs() <= 1.0, "recorded at {level:.2} dBFS");
    }
    assert!(levels[2] < -50.0, "the callee is in the caller's channel");

    let heard = caller.heard().expect("what the caller heard");
    let file = koukan_e2e::server::source_root().join("conf/prompts/ja/recording-notice.wav");
    let notice = Sound::read_wav(&file).expect("the prompt is in the tree");
    let (likeness, _) = heard.likeness(&notice.part(0.2, 2.7));
    assert!(likeness >= 0.9, "the notice is heard: likeness {likeness:.3}");

    server.ctl(&["delete-recordings", "acme", &id, "--by", "office"]).expect("it is deleted");
    assert_eq!(listed(server).len(), 0);
    let audit = server.ctl(&["audit", "acme"]).expect("it is told");
    assert_eq!((&audit[0]["by"], &audit[0]["ids"][0]), (&"office".into(), &id.as_str().into()));
    assert_eq!(fs::read_dir(directory).expect("it was made").count(), 0, "the file is gone");
}

/// The same number without a notice.
fn quiet_office(name: &str) -> Server {
    let number = "ring = { devices = [\"A\", \"B\", \"C\"], strategy = \"all\" }";
    let recorded = format!("{number}\noptions = [\"recording\"]\nrecord = {{ enabled = true }}");
    let server = changed_office(name, &[(number, &recorded)], "");
    clock(&server, "2026-07-01T10:00:00+09:00");
    server
}

fn files(server: &Server) -> Vec<std::path::PathBuf> {
    let directory = server.directory.join("data/objects/recording/acme");
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

#[test]
fn calls_in_and_out_of_the_number_are_recorded_for_thirty_days_and_no_others() {
    let server = quiet_office("recording-rows");
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    let mut c = phone(&server, "c", &phone_spec(&server, 'C')).expect("C registers");
    let mut outside = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    // In, without a notice.
    outside.dial("0312340002").expect("the control link stands");
    c.wait("CALL_INCOMING", LIMIT).expect("C rings");
    c.answer().expect("the control link stands");
    outside.wait("CALL_ESTABLISHED", LIMIT).expect("the caller is connected");
    std::thread::sleep(Duration::from_secs(4));
    hang_up(&mut outside);
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
    let heard = outside.heard().expect("what the caller heard");
    let (likeness, _) = heard.likeness(&prompt("recording-notice").part(0.2, 2.7));
    println!("no notice: likeness {likeness:.3}");
    assert!(likeness < 0.5, "{likeness:.3}");
    assert_eq!(files(&server).len(), 1);
    // Out, with the number shown.
    c.dial("0455550001").expect("the control link stands");
    outside.wait("CALL_INCOMING", LIMIT).expect("the carrier is called");
    outside.answer().expect("the control link stands");
    c.wait("CALL_ESTABLISHED", LIMIT).expect("it is answered");
    std::thread::sleep(Duration::from_secs(3));
    hang_up(&mut c);
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
    assert_eq!(files(&server).len(), 2);
    // Another number's call.
    outside.dial("0312340001").expect("the control link stands");
    a.wait("CALL_INCOMING", LIMIT).expect("A rings");
    a.answer().expect("the control link stands");
    std::thread::sleep(Duration::from_secs(2));
    hang_up(&mut outside);
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
    assert_eq!(files(&server).len(), 2);

    clock(&server, "2026-07-02T03:00:00+09:00");
    let list = listed(&server);
    println!("{list:?}");
    assert_eq!(list.len(), 2);
    assert!(list.iter().any(|one| one["called"] == "0455550001"), "{list:?}");
    clock(&server, "2026-07-31T09:55:00+09:00");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(listed(&server).len(), 2, "thirty days are not over");
    clock(&server, "2026-07-31T10:10:00+09:00");
    let gone = wait_for(LIMIT, || files(&server).is_empty().then_some(()));
    assert!(gone.is_some() && listed(&server).is_empty(), "{:?}", files(&server));
}

#[test]
fn a_full_disk_stops_the_recording_says_so_and_the_call_goes_on() {
    let server = quiet_office("recording-full");
    let disk = SmallDisk::on(server.directory.join("data/objects/recording/acme"), 64);
    let mut b = phone(&server, "b", &phone_spec(&server, 'B')).expect("B registers");
    let mut outside = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    outside.dial("0312340002").expect("the control link stands");
    b.wait("CALL_INCOMING", LIMIT).expect("B rings");
    b.answer().expect("the control link stands");
    outside.wait("CALL_ESTABLISHED", LIMIT).expect("the caller is connected");
    let told = || {
        let log = fs::read_to_string(server.directory.join("log.txt")).unwrap_or_default();
        log.contains("ALARM: the disk takes no recording").then_some(())
    };
    wait_for(Duration::from_secs(20), told).expect("it is said in the log");
    std::thread::sleep(Duration::from_secs(4));
    assert!(b.wait("CALL_CLOSED", Duration::from_millis(50)).is_none(), "the call is up");
    hang_up(&mut outside);
    let heard = b.heard().expect("what B heard");
    let last = heard.part(heard.seconds() - 3.0, heard.seconds() - 0.5).tone_dbfs(1000.0);
    println!("behind the alarm B hears the caller at {last:.2} dBFS");
    assert!((last + 15.0).abs() <= 1.0, "{last:.2} dBFS");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
    let kept = files(&server);
    println!("kept: {kept:?}");
    assert_eq!(kept.len(), 1, "what the disk took before is kept");
    drop(disk);
}
