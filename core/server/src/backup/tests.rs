//! A backup of a small state, changed and restored.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;

use koukan_store::{StoreConfig, open};
use koukan_switch::{Record, SettingRecord};

use super::*;

struct Room(PathBuf);

impl Room {
    fn new(name: &str) -> Self {
        let own = format!("koukan-backup-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(own);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(directory.join("conf/tenants/acme/secrets")).unwrap();
        fs::write(directory.join("conf/koukan.toml"), "[server]\ndata = \"data\"\n").unwrap();
        let secret = directory.join("conf/tenants/acme/secrets/A");
        fs::write(&secret, "secret\n").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        fs::create_dir_all(directory.join("data/objects/voicemail/acme")).unwrap();
        fs::write(directory.join("data/objects/voicemail/acme/1.wav"), [7; 3000]).unwrap();
        fs::create_dir_all(directory.join("data/modules")).unwrap();
        fs::write(directory.join("data/modules/x.so"), "code").unwrap();
        Self(directory)
    }

    fn places(&self) -> Places {
        Places::of(&crate::config::load(&self.0.join("conf")).unwrap())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn setting(key: &str) -> SettingRecord {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let (tenant, key) = ("acme".to_owned(), key.to_owned());
    let value = Some("off".to_owned());
    SettingRecord { tenant, key, value, by: "test".to_owned(), at: now }
}

fn store(places: &Places) -> StoreConfig {
    let (data, database) = (places.data.clone(), places.database.clone());
    StoreConfig { data, database, outbox: false }
}

#[test]
fn what_was_written_before_a_backup_is_there_after_its_restoration_and_nothing_else() {
    let room = Room::new("round");
    let places = room.places();
    let now = jiff::Timestamp::now();
    let mut opened = open(&store(&places), now).unwrap();
    for number in 0..200 {
        assert!(opened.journal.append([Record::Setting(setting(&format!("before.{number}")))]));
    }
    let to = room.0.join("data/backup");
    let manifest = take(&places, &to, now).unwrap();
    opened.journal.append([Record::Setting(setting("behind"))]);
    let names: Vec<&str> = manifest.files.iter().map(|entry| entry.path.as_str()).collect();
    assert!(names.contains(&"objects/voicemail/acme/1.wav"), "{names:?}");
    assert!(names.contains(&"conf/tenants/acme/secrets/A"), "{names:?}");
    let left_out = ["modules", "koukan.lock", "koukan.db", "backup"];
    assert!(!names.iter().any(|name| left_out.iter().any(|out| name.contains(out))), "{names:?}");
    assert!(take(&places, &to, now).unwrap_err().to_string().contains("is not empty"));

    let other = room.0.join("elsewhere/conf");
    let restored = restore(&to, &other).unwrap();
    assert!(restored.with_conf);
    assert_eq!(restored.places.data, room.0.join("elsewhere/data"));
    let secret = fs::metadata(other.join("tenants/acme/secrets/A")).unwrap();
    assert_eq!(secret.permissions().mode() & 0o777, 0o600);
    let wav = fs::read(restored.places.objects.join("voicemail/acme/1.wav")).unwrap();
    assert_eq!(wav, [7; 3000]);
    let again = open(&store(&restored.places), now).unwrap();
    assert_eq!(again.settings.len(), 200);
    drop((again, opened));
    let refused = restore(&to, &other).unwrap_err().to_string();
    assert!(refused.contains("elsewhere/data is not empty"), "{refused}");
}

#[test]
fn a_backup_that_was_cut_off_or_changed_restores_nothing() {
    let room = Room::new("broken");
    let places = room.places();
    let opened = open(&store(&places), jiff::Timestamp::now()).unwrap();
    let to = room.0.join("backup");
    take(&places, &to, jiff::Timestamp::now()).unwrap();
    drop(opened);
    let refusal = |what: &str| {
        let conf = room.0.join("elsewhere/conf");
        let words = restore(&to, &conf).unwrap_err().to_string();
        assert!(words.contains(what), "{words}");
        assert!(!conf.exists(), "nothing is written");
    };
    let wav = to.join("objects/voicemail/acme/1.wav");
    fs::write(&wav, [8; 3000]).unwrap();
    refusal("1.wav is not what was backed up");
    fs::write(&wav, [7; 2999]).unwrap();
    refusal("has 2999 bytes, not 3000");
    fs::remove_file(&wav).unwrap();
    refusal("cannot be read");
    fs::remove_file(to.join("manifest.json")).unwrap();
    refusal("it has no manifest.json");
}

#[test]
fn what_is_restored_belongs_to_the_servers_user_here_whatever_its_number_was() {
    if !rustix::process::geteuid().is_root() {
        println!("only root gives files away: nothing to see here");
        return;
    }
    let (there, here) = (4_711, 4_712);
    let room = Room::new("owners");
    let places = room.places();
    drop(open(&store(&places), jiff::Timestamp::now()).unwrap());
    let secret = "tenants/acme/secrets/A";
    for path in [places.data.clone(), places.conf.join(secret)] {
        tree::give(&path, &|_| (there, there)).unwrap();
    }
    let to = room.0.join("backup");
    take(&places, &to, jiff::Timestamp::now()).unwrap();
    // As a package makes it.
    let data = room.0.join("elsewhere/data");
    fs::create_dir_all(&data).unwrap();
    chown(&data, Some(here), Some(here)).unwrap();
    let restored = restore(&to, &room.0.join("elsewhere/conf")).unwrap();
    let Places { conf, data, database, objects } = restored.places;
    let of_server = [
        data.clone(),
        data.join("koukan.lock"),
        database,
        objects.join("voicemail/acme/1.wav"),
        conf.join(secret),
    ];
    for path in of_server {
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (here, here), "{}", path.display());
    }
    assert_eq!(fs::metadata(conf.join("koukan.toml")).unwrap().uid(), 0, "root's stays root's");
}
