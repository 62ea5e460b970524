//! An office's own announcements (S-25) through a whole server: made at the start and at reloads,
//! refused with the reason, and gone when nobody names them.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

#[expect(dead_code, reason = "the tests of the whole server use the rest")]
mod office;

use std::fs;
use std::path::PathBuf;

use office::{Office, ask, json};

const LUNCH: &str = "[announcement]\nlunch = { file = \"sounds/lunch.mp3\" }\n\
                     [extension.lunch]\ndial = \"620\"\ndo = { announce = \"lunch\" }\n";

/// An office with an MP3 file of its own.
fn office() -> Office {
    let office = Office::new("announcements");
    let home = office.conf().join("tenants/acme");
    fs::create_dir_all(home.join("sounds")).unwrap();
    fs::write(home.join("sounds/lunch.mp3"), include_bytes!("data/tone.mp3")).unwrap();
    let plan = fs::read_to_string(home.join("office.toml")).unwrap();
    fs::write(home.join("office.toml"), plan + LUNCH).unwrap();
    office
}

fn made(office: &Office) -> Vec<PathBuf> {
    let entries = fs::read_dir(office.directory.join("data/sounds")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_file_of_the_office_is_made_once_and_goes_when_nobody_names_it() {
    let office = office();
    let server = office.start();
    assert_eq!(server.report().errors, 0, "{:?}", server.report().findings);
    let files = made(&office);
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let sound = koukan_codecs::wav::read(&fs::read(file).unwrap()).unwrap();
    assert!((15_000..18_000).contains(&sound.len()), "{} samples", sound.len());
    let at = fs::metadata(file).unwrap().modified().unwrap();
    assert_eq!(ask(server.socket(), "POST", "/v1/reload", "").0, 200);
    assert_eq!(ask(server.socket(), "POST", "/v1/reload/acme", "").0, 200);
    assert_eq!(fs::metadata(file).unwrap().modified().unwrap(), at, "it is not made again");
    server.stop();

    let plan = office.conf().join("tenants/acme/office.toml");
    let text = fs::read_to_string(&plan).unwrap();
    fs::write(&plan, text.replace(LUNCH, "")).unwrap();
    let server = office.start();
    assert_eq!(made(&office), [] as [PathBuf; 0]);
    server.stop();
}

#[test]
fn a_file_that_is_no_sound_is_refused_by_a_reload_and_the_old_one_stays_in_force() {
    let office = office();
    let server = office.start();
    let files = made(&office);
    let lunch = office.conf().join("tenants/acme/sounds/lunch.mp3");
    for (bytes, reason) in [
        (b"a letter and no sound".to_vec(), "is no sound that can be read"),
        (Vec::new(), "is no sound that can be read"),
    ] {
        fs::write(&lunch, bytes).unwrap();
        for path in ["/v1/check", "/v1/reload", "/v1/reload/acme"] {
            let (status, words) = ask(server.socket(), "POST", path, "");
            assert_eq!(status, if path == "/v1/check" { 200 } else { 422 }, "{path}: {words}");
            let named = words.contains("lunch.mp3  announcement.lunch of acme");
            assert!(named && words.contains(reason), "{path}: {words}");
        }
    }
    fs::remove_file(&lunch).unwrap();
    let (_, words) = ask(server.socket(), "POST", "/v1/reload", "");
    assert!(words.contains("cannot be read: No such file"), "{words}");
    assert_eq!(made(&office), files);
    assert_eq!(json(server.socket(), "/v1/generations").as_array().unwrap().len(), 1);
}
