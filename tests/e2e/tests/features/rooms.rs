//! Conference rooms with real phones: everybody hears the others and nobody itself; the PIN; what
//! a moderator's keys and an operator do; a guest who is called into the room.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use koukan_e2e::audio::Sound;
use koukan_e2e::baresip::{Baresip, TONE_DBFS};
use koukan_e2e::office::carrier;
use koukan_e2e::server::{Server, binary, source_root};

use super::{LIMIT, heard_last, office, ring, wait};

const ROOMS: &str = r#"
[room.open]
[room.taped]
record = true
[extension.taped]
dial = "672"
do = { conference = "taped" }
[room.closed]
pin = "file:secrets/room"
moderator_pin = "file:secrets/lead"
announce = true
[extension.open]
dial = "670"
do = { conference = "open" }
[extension.closed]
dial = "671"
do = { conference = "closed" }
"#;

fn with_rooms(name: &str) -> Server {
    let server = office(name, &[]);
    let tenant = server.directory.join("conf/tenants/acme");
    for (name, pin) in [("room", "4711"), ("lead", "08150")] {
        let file = tenant.join("secrets").join(name);
        fs::write(&file, pin).expect("the PIN can be written");
        let own = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&file, own).expect("it is the office's own");
    }
    fs::write(tenant.join("rooms.toml"), ROOMS).expect("the plan can be written");
    server.ctl(&["reload"]).expect("the plan is in order");
    server
}

fn enter(phone: &mut Baresip, number: &str) {
    phone.dial(number).expect("the control link stands");
    wait(phone, "CALL_ESTABLISHED");
}

fn press(phone: &mut Baresip, keys: &str) {
    for key in keys.chars() {
        phone.press(key).expect("the control link stands");
        sleep(Duration::from_millis(300));
    }
}

fn leave(phone: &mut Baresip) {
    phone.hang_up().expect("the control link stands");
    wait(phone, "CALL_CLOSED");
}

/// How loud each tone was in the last seconds before a phone left.
fn levels(phone: &Baresip, seconds: f64, tones: [f64; 3]) -> [f64; 3] {
    let heard = heard_last(phone, seconds);
    tones.map(|hertz| heard.steady_dbfs(hertz))
}

const TONES: [f64; 3] = [440.0, 880.0, 1300.0];

#[test]
fn three_phones_hear_each_other_and_nobody_hears_itself() {
    let server = with_rooms("rooms");
    let mut phones: Vec<Baresip> = ['A', 'B', 'C']
        .into_iter()
        .zip(TONES)
        .map(|(name, tone)| ring(&server, name, tone))
        .collect();
    for phone in &mut phones {
        enter(phone, "670");
    }
    sleep(Duration::from_secs(4));
    let members = server.ctl(&["rooms"]).expect("the server answers");
    assert_eq!(members[0]["members"].as_array().map(Vec::len), Some(3), "{members}");
    leave(&mut phones[2]);
    sleep(Duration::from_secs(3));
    let [a, b, c] = &mut phones[..] else { panic!("three phones") };
    leave(a);
    leave(b);
    let told = levels(c, 2.5, TONES);
    println!("the third of three hears {told:.1?} dBFS");
    assert!((told[0] - TONE_DBFS).abs() < 1.5 && (told[1] - TONE_DBFS).abs() < 1.5, "{told:?}");
    assert!(told[2] < -45.0, "it hears itself: {told:?}");
    // When C has left the other two go on.
    let told = levels(a, 2.5, TONES);
    println!("the first hears {told:.1?} dBFS behind it");
    assert!((told[1] - TONE_DBFS).abs() < 1.5, "{told:?}");
    assert!(told[0] < -45.0 && told[2] < -45.0, "{told:?}");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

#[test]
fn a_pin_lets_in_keys_mute_and_a_guest_from_outside_is_called_in() {
    let server = with_rooms("room-keys");
    let (mut a, mut b) = (ring(&server, 'A', TONES[0]), ring(&server, 'B', TONES[1]));
    let mut outside = carrier(&server, "0455550001", TONES[2]).expect("the carrier starts");
    enter(&mut a, "671");
    press(&mut a, "08150#");
    enter(&mut b, "671");
    press(&mut b, "9999#");
    sleep(Duration::from_secs(1));
    press(&mut b, "4711#");
    sleep(Duration::from_secs(1));
    press(&mut a, "*90455550001#");
    wait(&mut outside, "CALL_INCOMING");
    outside.answer().expect("the control link stands");
    wait(&mut outside, "CALL_ESTABLISHED");
    sleep(Duration::from_secs(3));
    let members = server.ctl(&["rooms"]).expect("the server answers");
    let members = members[0]["members"].as_array().expect("members").clone();
    let leads: Vec<bool> =
        members.iter().filter_map(|member| member["moderator"].as_bool()).collect();
    assert_eq!(leads, [true, false, false], "{members:?}");
    // The operator mutes B; A, who left last, hears the guest alone.
    let call = members[1]["call"].as_str().expect("an id").to_owned();
    server.ctl(&["room", "acme", "closed", "mute", &call]).expect("the order is taken");
    sleep(Duration::from_secs(4));
    leave(&mut a);
    let told = levels(&a, 2.5, TONES);
    println!("the moderator hears {told:.1?} dBFS");
    assert!((told[2] - TONE_DBFS).abs() < 1.5 && told[1] < -45.0, "{told:?}");
    server.ctl(&["room", "acme", "closed", "put-out", &call]).expect("the order is taken");
    b.wait("CALL_CLOSED", LIMIT).expect("B is put out");
    outside.hang_up().expect("the control link stands");
    wait(&mut outside, "CALL_CLOSED");
    drop(outside);
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

#[test]
fn a_phone_brings_the_calls_that_it_holds_together() {
    let server = office("three-way", &[]);
    let mut phones: Vec<Baresip> = ['A', 'B', 'C']
        .into_iter()
        .zip(TONES)
        .map(|(name, tone)| ring(&server, name, tone))
        .collect();
    let [a, b, c] = &mut phones[..] else { panic!("three phones") };
    for (colleague, number) in [(&mut *b, "802"), (&mut *c, "803")] {
        a.dial(number).expect("the control link stands");
        wait(colleague, "CALL_INCOMING");
        colleague.answer().expect("the control link stands");
        wait(a, "CALL_ESTABLISHED");
        sleep(Duration::from_millis(500));
        a.hold(true).expect("the control link stands");
        sleep(Duration::from_millis(500));
    }
    a.dial("*3").expect("the control link stands");
    wait(a, "CALL_ESTABLISHED");
    sleep(Duration::from_secs(4));
    let rooms = server.ctl(&["rooms"]).expect("the server answers");
    assert_eq!(rooms[0]["members"].as_array().map(Vec::len), Some(3), "{rooms}");
    leave(b);
    leave(c);
    wait(a, "CALL_CLOSED");
    let told = levels(b, 2.5, TONES);
    println!("the second of three hears {told:.1?} dBFS");
    assert!((told[0] - TONE_DBFS).abs() < 1.5 && (told[2] - TONE_DBFS).abs() < 1.5, "{told:?}");
    assert!(told[1] < -45.0, "it hears itself: {told:?}");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

#[test]
fn what_is_said_in_a_room_is_recorded_and_who_comes_in_is_told() {
    taped(&with_rooms("room-taped"), "wav");
}

/// The same with a key: what lies on the disk says nothing to whoever has not got it.
#[test]
fn a_room_is_encrypted_where_it_lies_and_downloaded_as_it_was() {
    let mut server = with_rooms("room-sealed");
    let key = server.directory.join("conf/recordings.key");
    fs::write(&key, "9e".repeat(32)).expect("it is written");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("it is its owner's");
    let file = server.directory.join("conf/koukan.toml");
    let text = fs::read_to_string(&file).expect("the configuration");
    let table = "\n[recordings]\nkey = \"file:recordings.key\"\n";
    fs::write(&file, text + table).expect("it is written");
    server.kill().expect("it is ended");
    server.run().expect("it starts again");
    server.ctl(&["clock", "2026-07-01T10:00:00+09:00"]).expect("the test clock can be set");
    taped(&server, "sealed");
}

/// Two talk in the room that is recorded; its file is of this kind.
#[expect(clippy::indexing_slicing, reason = "what is missing is a failed test")]
fn taped(server: &Server, kind: &str) {
    let (mut a, mut b) = (ring(server, 'A', TONES[0]), ring(server, 'B', TONES[1]));
    enter(&mut a, "672");
    enter(&mut b, "672");
    sleep(Duration::from_secs(9));
    leave(&mut b);
    leave(&mut a);
    let heard = b.heard().expect("B's recording");
    let file = source_root().join("conf/prompts/ja/recording-notice.wav");
    let notice = Sound::read_wav(&file).expect("the prompt is in the tree");
    let (likeness, _) = heard.likeness(&notice.part(0.2, 2.7));
    assert!(likeness >= 0.9, "the notice is heard: likeness {likeness:.3}");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
    server.ctl(&["clock", "2026-07-03T03:00:00+09:00"]).expect("the test clock can be set");
    let list = server.ctl(&["recordings", "acme"]).expect("they can be listed");
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!(
        (&list[0]["direction"], &list[0]["called"]),
        (&"conference".into(), &"taped".into())
    );
    let id = list[0]["id"].as_str().expect("an id");
    let lies = server.directory.join(format!("data/objects/recording/acme/{id}.{kind}"));
    let lies = fs::read(lies).expect("it can be read");
    assert_eq!(lies.starts_with(b"RIFF"), kind == "wav", "{kind}");
    let both = Sound::read_wav(&downloaded(server, id)).expect("a WAV file").0;
    let side = |which: usize| Sound(both.iter().skip(which).step_by(2).copied().collect());
    let end = side(0).seconds();
    // Behind the notices both talk; a machine that is starved leaves gaps in what was heard.
    let levels = [(0, TONES[0]), (1, TONES[1])]
        .map(|(which, tone)| side(which).part(end - 4.0, end - 1.0).steady_dbfs(tone));
    println!("{end:.2} s; the member {:.1}, the room {:.1} dBFS", levels[0], levels[1]);
    assert!(levels.iter().all(|level| (level - TONE_DBFS).abs() < 4.0), "{levels:?}");
}

/// The recording as an office gets it: out of the ZIP file of the command line.
fn downloaded(server: &Server, id: &str) -> PathBuf {
    let zip = server.directory.join("rooms.zip");
    let zip_text = zip.to_string_lossy().into_owned();
    let fetched = Command::new(binary("koukan").expect("it is built"))
        .args(["ctl", "--socket"])
        .arg(server.directory.join("data/koukan.sock"))
        .args(["recordings", "acme", "--zip", &zip_text])
        .status()
        .expect("it runs");
    assert!(fetched.success());
    let out = server.directory.join("unpacked");
    let unpacked = Command::new("python3")
        .args(["-m", "zipfile", "-e", &zip_text])
        .arg(&out)
        .status()
        .expect("python3 is installed");
    assert!(unpacked.success(), "another program reads the ZIP file");
    out.join(format!("{id}.wav"))
}
