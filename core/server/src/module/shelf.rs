//! What modules keep (`kk.store/1`): small records in memory, each change of which goes to the
//! journal with the turn's other records, and objects as files below the objects' directory.

use std::collections::BTreeMap;
#[cfg(test)]
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use koukan_abi::{Status, status};
use koukan_switch::Note;

use super::call::Mail;
use crate::clock::Clock;
use crate::limits;
use crate::mail::{self, Letter, Post};

/// Whose mails those of the switch are.
const SWITCH: &str = "kk.switch";

/// The records and objects of every module.
#[derive(Debug)]
pub struct Shelf {
    objects: PathBuf,
    records: Mutex<Records>,
    /// Where letters go and what dates them, when the configuration has a mail server.
    post: Option<(Post, Clock)>,
    /// Notes wait for the journal.
    has_fresh: AtomicBool,
}

#[derive(Debug, Default)]
struct Records {
    by_owner: BTreeMap<Owner, BTreeMap<String, String>>,
    fresh: Vec<Note>,
}

/// Module and tenant.
type Owner = (String, String);

/// Whose records are meant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Of<'a> {
    pub(crate) module: &'a str,
    pub(crate) tenant: &'a str,
}

impl Of<'_> {
    fn owner(self) -> Owner {
        (self.module.to_owned(), self.tenant.to_owned())
    }
}

impl Shelf {
    /// The shelf as the last run left it; objects are below `objects`.
    #[must_use]
    pub fn new(objects: PathBuf, notes: Vec<Note>, post: Option<(Post, Clock)>) -> Self {
        let cut = super::repair::repair(&objects);
        if cut > 0 {
            tracing::warn!(recordings = cut, "the last run ended during recordings; they are kept");
        }
        let mut records = Records::default();
        for Note { module, tenant, key, value } in notes {
            if let Some(value) = value {
                records.by_owner.entry((module, tenant)).or_default().insert(key, value);
            }
        }
        let has_fresh = AtomicBool::new(false);
        let shelf = Self { objects, records: Mutex::new(records), post, has_fresh };
        shelf.resume_mails();
        shelf
    }

    /// Letters that the last run did not send.
    fn resume_mails(&self) {
        let Some((post, _)) = &self.post else { return };
        for (tenant, key, value) in self.all(mail::OWNER) {
            match serde_json::from_str::<Letter>(&value) {
                Ok(letter) => post.send((tenant, key), letter),
                Err(error) => tracing::error!(tenant, key, %error, "a mail cannot be read"),
            }
        }
    }

    /// Queues a mail of a module; the same one twice, while it waits, is one.
    pub(crate) fn queue_mail(&self, module: &str, mail: &Mail) -> Result<(), Status> {
        let object = |name: &str| self.object(Of { module, tenant: &mail.tenant }, name);
        let file = Some(&mail.object).filter(|name| !name.is_empty()).map(|name| object(name));
        let file = file.transpose()?;
        let letter = Letter {
            to: mail.to.clone(),
            subject: mail.subject.clone(),
            text: mail.text.clone(),
            attachment: file.map(|file| (file, mail.file_name.clone())),
            ordered_ms: 0,
        };
        self.queue_letter((&mail.tenant, &format!("{module}/{}", mail.id)), letter)
    }

    /// Queues a mail of the switch's own; without a mail server the log has what it said.
    pub(crate) fn queue_own_mail(&self, mail: koukan_switch::Mail) {
        let koukan_switch::Mail { tenant, id, to, subject, text } = mail;
        let (object, file_name) = (String::new(), String::new());
        let mail = Mail { tenant, id, to, subject, text, object, file_name };
        if self.queue_mail(SWITCH, &mail).is_err() {
            let Mail { tenant, subject, .. } = mail;
            tracing::warn!(tenant, subject, "nobody can be told by mail");
        }
    }

    /// Queues a letter under its key, dated now, with a second name of the file that it attaches;
    /// the same key twice, while it waits, is one letter.
    pub(crate) fn queue_letter(
        &self,
        (tenant, key): (&str, &str),
        mut letter: Letter,
    ) -> Result<(), Status> {
        let Some((post, clock)) = &self.post else { return Err(status::UNSUPPORTED) };
        let of = Of { module: mail::OWNER, tenant };
        if self.get(of, key).is_ok() {
            return Ok(());
        }
        if let Some((file, _)) = &mut letter.attachment {
            let directory = self.objects.join("mail");
            fs::create_dir_all(&directory).map_err(|error| told(&error))?;
            let kind = file.extension().and_then(|kind| kind.to_str()).unwrap_or("bin");
            let own = directory.join(format!("{tenant}-{}.{kind}", key.replace('/', "-")));
            second_name(file, &own).map_err(|error| told(&error))?;
            *file = own;
        }
        letter.ordered_ms = clock.date().as_millisecond();
        let value = serde_json::to_string(&letter).map_err(|_| status::FAILED)?;
        self.put(of, key, &value)?;
        post.send((tenant.to_owned(), key.to_owned()), letter);
        Ok(())
    }

    /// Forgets the letters that were sent or given up.
    pub(crate) fn settle_mails(&self) {
        let Some((post, _)) = &self.post else { return };
        for (tenant, key) in post.take_done() {
            let of = Of { module: mail::OWNER, tenant: &tenant };
            let letter = self.get(of, &key).ok();
            let letter = letter.and_then(|value| serde_json::from_str::<Letter>(&value).ok());
            if let Some((path, _)) = letter.and_then(|letter| letter.attachment) {
                // A file that is gone already is what is wanted.
                let _ = fs::remove_file(path);
            }
            let _ = self.remove(of, &key);
        }
    }

    fn open(&self) -> MutexGuard<'_, Records> {
        // Nothing in here is left half done by a panic.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a record.
    pub(crate) fn put(&self, of: Of<'_>, key: &str, value: &str) -> Result<(), Status> {
        check_key(of, key)?;
        if value.len() > limits::MODULE_VALUE_BYTES {
            return Err(status::LIMIT);
        }
        let mut records = self.open();
        let own = records.by_owner.entry(of.owner()).or_default();
        if own.get(key).is_some_and(|known| known == value) {
            return Ok(());
        }
        if own.len() >= limits::MODULE_RECORDS && !own.contains_key(key) {
            return Err(status::LIMIT);
        }
        own.insert(key.to_owned(), value.to_owned());
        records.fresh.push(note(of, key, Some(value.to_owned())));
        self.has_fresh.store(true, Ordering::Release);
        Ok(())
    }

    /// Reads one.
    pub(crate) fn get(&self, of: Of<'_>, key: &str) -> Result<String, Status> {
        check_key(of, key)?;
        let records = self.open();
        let found = records.by_owner.get(&of.owner()).and_then(|own| own.get(key));
        found.cloned().ok_or(status::NOT_FOUND)
    }

    /// Removes one; also when there is none.
    pub(crate) fn remove(&self, of: Of<'_>, key: &str) -> Result<(), Status> {
        check_key(of, key)?;
        let mut records = self.open();
        let Some(own) = records.by_owner.get_mut(&of.owner()) else { return Ok(()) };
        if own.remove(key).is_none() {
            return Ok(());
        }
        if own.is_empty() {
            records.by_owner.remove(&of.owner());
        }
        records.fresh.push(note(of, key, None));
        self.has_fresh.store(true, Ordering::Release);
        Ok(())
    }

    /// The first key behind `after` that begins with `prefix`.
    pub(crate) fn next(&self, of: Of<'_>, prefix: &str, after: &str) -> Result<String, Status> {
        let records = self.open();
        let own = records.by_owner.get(&of.owner()).ok_or(status::NOT_FOUND)?;
        let from = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
        let mut keys = own.range::<str, _>((from, Bound::Unbounded)).map(|(key, _)| key);
        keys.next().filter(|key| key.starts_with(prefix)).cloned().ok_or(status::NOT_FOUND)
    }

    /// The first tenant behind `after` that the module keeps anything for.
    pub(crate) fn next_tenant(&self, module: &str, after: &str) -> Result<String, Status> {
        let records = self.open();
        let from = Bound::Excluded((module.to_owned(), after.to_owned()));
        let mut owners = records.by_owner.range((from, Bound::Unbounded)).map(|(owner, _)| owner);
        let found = owners.next().filter(|(owner, _)| owner == module);
        found.map(|(_, tenant)| tenant.clone()).ok_or(status::NOT_FOUND)
    }

    /// Every record that is kept of one owner.
    pub(crate) fn own(&self, of: Of<'_>) -> Vec<(String, String)> {
        let records = self.open();
        let own = records.by_owner.get(&of.owner()).into_iter().flatten();
        own.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Every record of a module of the server's own.
    pub(crate) fn all(&self, module: &str) -> Vec<(String, String, String)> {
        let records = self.open();
        let of = records.by_owner.iter().filter(|((owner, _), _)| owner == module);
        of.flat_map(|((_, tenant), own)| {
            own.iter().map(|(key, value)| (tenant.clone(), key.clone(), value.clone()))
        })
        .collect()
    }

    /// At most so many records of a module of the server's own behind one of a tenant, by tenant
    /// and key.
    pub(crate) fn some(
        &self,
        module: &str,
        (tenant, after): &(String, String),
        most: usize,
    ) -> Vec<(String, String, String)> {
        let records = self.open();
        let first = (module.to_owned(), tenant.clone());
        let owners = records.by_owner.range(first..).take_while(|((owner, _), _)| owner == module);
        let found = owners.flat_map(|((_, owner), own)| {
            let from = match owner == tenant {
                true => Bound::Excluded(after.as_str()),
                false => Bound::Unbounded,
            };
            let own = own.range::<str, _>((from, Bound::Unbounded));
            own.map(|(key, value)| (owner.clone(), key.clone(), value.clone()))
        });
        found.take(most).collect()
    }

    /// The file of an object.
    pub(crate) fn object(&self, of: Of<'_>, name: &str) -> Result<PathBuf, Status> {
        if !is_plain(name) || !is_directory(of.tenant) || !is_directory(of.module) {
            return Err(status::ARGUMENT);
        }
        Ok(self.objects.join(of.module).join(of.tenant).join(format!("{name}.wav")))
    }

    /// The file of a recorded call, sealed or not.
    pub(crate) fn recording(&self, tenant: &str, id: &str) -> Option<PathBuf> {
        if !is_directory(id) || !is_directory(tenant) {
            return None;
        }
        let directory = self.objects.join("recording").join(tenant);
        let sealed = directory.join(format!("{id}.sealed"));
        Some(if sealed.exists() { sealed } else { directory.join(format!("{id}.wav")) })
    }

    /// Takes in what the switch has written down; the journal has it from there.
    pub(crate) fn absorb(&self, note: &Note) {
        let mut records = self.open();
        let owner = (note.module.clone(), note.tenant.clone());
        let own = records.by_owner.entry(owner).or_default();
        match &note.value {
            Some(value) => drop(own.insert(note.key.clone(), value.clone())),
            None => drop(own.remove(&note.key)),
        }
    }

    /// Bytes of an object.
    pub(crate) fn object_size(&self, of: Of<'_>, name: &str) -> Result<u64, Status> {
        let found = fs::metadata(self.object(of, name)?);
        found.map(|metadata| metadata.len()).map_err(|error| told(&error))
    }

    /// Removes an object; also when there is none.
    pub(crate) fn object_remove(&self, of: Of<'_>, name: &str) -> Result<(), Status> {
        match fs::remove_file(self.object(of, name)?).map_err(|error| told(&error)) {
            Err(status::NOT_FOUND) | Ok(()) => Ok(()),
            Err(status) => Err(status),
        }
    }

    /// Whether notes wait for the journal.
    pub(crate) fn has_fresh(&self) -> bool {
        self.has_fresh.load(Ordering::Acquire)
    }

    /// What was written since the last time.
    pub(crate) fn take_fresh(&self) -> Vec<Note> {
        if !self.has_fresh.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut self.open().fresh)
    }

    /// The tenants, modules and names of the objects that are there.
    #[cfg(test)]
    pub(crate) fn objects(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        let mut left = vec![self.objects.clone()];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    left.push(entry.path());
                } else {
                    found.insert(entry.path());
                }
            }
        }
        found
    }
}

fn note(of: Of<'_>, key: &str, value: Option<String>) -> Note {
    Note { module: of.module.to_owned(), tenant: of.tenant.to_owned(), key: key.to_owned(), value }
}

fn told(error: &io::Error) -> Status {
    match error.kind() {
        io::ErrorKind::NotFound => status::NOT_FOUND,
        _ => status::FAILED,
    }
}

fn check_key(of: Of<'_>, key: &str) -> Result<(), Status> {
    match key.len() {
        0 => Err(status::ARGUMENT),
        1..=limits::MODULE_KEY_BYTES if of.tenant.is_empty() => Err(status::ARGUMENT),
        1..=limits::MODULE_KEY_BYTES => Ok(()),
        _ => Err(status::LIMIT),
    }
}

/// Whether a text may be the name of an object or a mail.
pub(crate) fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=limits::MODULE_NAME_BYTES).contains(&name.len()) && name.bytes().all(plain)
}

/// Whether a module's or tenant's name may be that of a directory.
pub(crate) fn is_directory(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.bytes().all(plain)
}

/// Gives a file a second name, or a copy where the other name lies on another disk. A name that is
/// taken is of the same letter.
fn second_name(file: &Path, name: &Path) -> io::Result<()> {
    match fs::hard_link(file, name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            fs::copy(file, name).map(|_| ())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACME: Of<'_> = Of { module: "voicemail", tenant: "acme" };

    fn shelf() -> Shelf {
        Shelf::new("/nowhere".into(), Vec::new(), None)
    }

    #[test]
    fn a_file_gets_its_second_name_also_on_another_disk() {
        let own = std::env::temp_dir().join(format!("koukan-shelf-{}", std::process::id()));
        let other = Path::new("/dev/shm").join(format!("koukan-shelf-{}", std::process::id()));
        fs::write(&other, "a picture").unwrap();
        second_name(&other, &own).unwrap();
        assert_eq!(fs::read(&own).unwrap(), b"a picture");
        second_name(&other, &own).unwrap();
        for file in [own, other] {
            fs::remove_file(file).unwrap();
        }
    }

    #[test]
    fn a_record_is_read_back_and_goes_to_the_journal_once() {
        let shelf = shelf();
        shelf.put(ACME, "a", "1").unwrap();
        shelf.put(ACME, "a", "1").unwrap();
        shelf.put(ACME, "b", "2").unwrap();
        shelf.remove(ACME, "b").unwrap();
        shelf.remove(ACME, "b").unwrap();
        assert_eq!((shelf.get(ACME, "a"), shelf.get(ACME, "b")), (Ok("1".into()), Err(-5)));
        let fresh: Vec<_> = shelf.take_fresh().into_iter().map(|n| (n.key, n.value)).collect();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(fresh, [("a".into(), some("1")), ("b".into(), some("2")), ("b".into(), None)]);
        assert!(!shelf.has_fresh());
    }

    #[test]
    fn keys_are_walked_in_order_within_their_prefix_and_owner() {
        let shelf = shelf();
        for key in ["m/2", "m/1", "n/1", "m", "l"] {
            shelf.put(ACME, key, "x").unwrap();
        }
        shelf.put(Of { tenant: "other", ..ACME }, "m/3", "x").unwrap();
        shelf.put(Of { module: "zebra", ..ACME }, "m/4", "x").unwrap();
        assert_eq!(shelf.next(ACME, "m/", ""), Ok("m/1".into()));
        assert_eq!(shelf.next(ACME, "m/", "m/1"), Ok("m/2".into()));
        assert_eq!(shelf.next(ACME, "m/", "m/2"), Err(status::NOT_FOUND));
        assert_eq!(shelf.next_tenant("voicemail", ""), Ok("acme".into()));
        assert_eq!(shelf.next_tenant("voicemail", "acme"), Ok("other".into()));
        assert_eq!(shelf.next_tenant("voicemail", "other"), Err(status::NOT_FOUND));
    }

    #[test]
    fn what_is_too_much_or_leads_elsewhere_is_refused() {
        let shelf = shelf();
        assert_eq!(shelf.put(ACME, "", "x"), Err(status::ARGUMENT));
        assert_eq!(shelf.put(Of { tenant: "", ..ACME }, "k", "x"), Err(status::ARGUMENT));
        assert_eq!(shelf.put(ACME, &"k".repeat(201), "x"), Err(status::LIMIT));
        assert_eq!(shelf.put(ACME, "k", &"x".repeat(8_193)), Err(status::LIMIT));
        for name in ["", "../x", "a/b", "A", "a.wav", &"a".repeat(65)] {
            assert_eq!(shelf.object(ACME, name), Err(status::ARGUMENT), "{name}");
        }
        assert_eq!(shelf.object(Of { tenant: "..", ..ACME }, "a"), Err(status::ARGUMENT));
        let path = shelf.object(ACME, "a-1").unwrap();
        assert_eq!(path, PathBuf::from("/nowhere/voicemail/acme/a-1.wav"));
    }

    #[test]
    fn objects_are_measured_and_removed() {
        let directory = std::env::temp_dir().join(format!("koukan-shelf-{}", std::process::id()));
        let shelf = Shelf::new(directory.clone(), Vec::new(), None);
        assert_eq!(shelf.object_size(ACME, "m"), Err(status::NOT_FOUND));
        let path = shelf.object(ACME, "m").unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, b"12345").unwrap();
        assert_eq!((shelf.object_size(ACME, "m"), shelf.objects().len()), (Ok(5), 1));
        assert_eq!(shelf.object_remove(ACME, "m"), Ok(()));
        assert_eq!(shelf.object_remove(ACME, "m"), Ok(()));
        assert!(shelf.objects().is_empty());
        fs::remove_dir_all(directory).unwrap();
    }
}
