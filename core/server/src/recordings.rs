//! Recorded calls as the API shows them (S-71 to S-73): the index out of the modules' shelf, what
//! may be seen at a date, downloads in one ZIP file, deletions with a line for the auditor, and the
//! end of what is too old.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use koukan_codecs::{WavEncoding, wav_head};
use koukan_media::RecordFormat;
use koukan_media::sealed::{self, SealError, SealKey};
use koukan_switch::{CallRecording, RECORDINGS};
use serde::{Deserialize, Serialize};

use crate::limits;
use crate::module::shelf::{Of, Shelf};
use crate::zip;

mod sweep;

pub(crate) use sweep::Sweeper;

/// Whose notes the lines for the auditor are.
const AUDIT: &str = "kk:audit";

/// A recording as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// What it is called in every order about it.
    pub id: String,
    /// What is known of it.
    #[serde(flatten)]
    pub recording: CallRecording,
}

/// Which recordings are meant.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Of this number alone, by its name in the plan.
    pub number: Option<String>,
    /// Begun at or after this.
    pub from: Option<Timestamp>,
    /// Begun before this.
    pub until: Option<Timestamp>,
    /// Whose caller or called number holds these digits.
    pub party: Option<String>,
    /// These alone, by their ids with commas between.
    pub ids: Option<String>,
}

impl Wanted {
    fn fits(&self, listed: &Listed) -> bool {
        let recording = &listed.recording;
        let party = |digits: &String| {
            recording.caller.contains(digits) || recording.called.contains(digits)
        };
        self.number.as_ref().is_none_or(|number| *number == recording.number)
            && self.from.is_none_or(|from| recording.started >= from)
            && self.until.is_none_or(|until| recording.started < until)
            && self.party.as_ref().is_none_or(party)
            && self.ids.as_ref().is_none_or(|ids| ids.split(',').any(|id| id == listed.id))
    }
}

/// A line for the auditor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLine {
    /// When.
    pub at: Timestamp,
    /// Who, by the word of whoever asked.
    pub by: String,
    /// What was done.
    pub what: String,
    /// To which recordings.
    pub ids: Vec<String>,
}

/// Why recordings are not given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingsError {
    /// None that may be seen is meant: the asker's.
    #[error("no recording that may be seen is meant")]
    None,
    /// Too much for one file: the asker's.
    #[error(
        "{bytes} bytes are more than one ZIP file may have here ({}): ask for fewer",
        limits::ZIP_BYTES
    )]
    TooLarge {
        /// How many.
        bytes: u64,
    },
    /// A file cannot be removed, and nothing else was meant: resource.
    #[error("{id} cannot be deleted: {error}")]
    Undeletable {
        /// Which.
        id: String,
        /// The system's words.
        error: io::Error,
    },
    /// A file cannot be opened: its key is not configured, or somebody has changed it.
    #[error("{id} {error}")]
    Sealed {
        /// Which.
        id: String,
        /// What stands against it.
        error: SealError,
    },
    /// A file cannot be read: resource.
    #[error("{id} cannot be read: {error}")]
    Unreadable {
        /// Which.
        id: String,
        /// The system's words.
        error: io::Error,
    },
}

/// The recordings of every office.
#[derive(Clone, Debug)]
pub struct Recordings {
    shelf: Arc<Shelf>,
    /// What sealed recordings are opened with.
    keys: Arc<[SealKey]>,
}

impl Recordings {
    /// Those of a shelf. What the last run left open gets its length.
    pub(crate) fn new(shelf: Arc<Shelf>, keys: Vec<SealKey>) -> Self {
        let own = Self { shelf, keys: keys.into() };
        own.settle();
        own
    }

    fn of(tenant: &str) -> Of<'_> {
        Of { module: RECORDINGS, tenant }
    }

    fn entries(&self) -> Vec<(String, Listed)> {
        let notes = self.shelf.all(RECORDINGS).into_iter();
        notes
            .filter_map(|(tenant, id, value)| {
                let recording = serde_json::from_str(&value).ok()?;
                Some((tenant, Listed { id, recording }))
            })
            .collect()
    }

    fn file(&self, tenant: &str, id: &str) -> Option<PathBuf> {
        self.shelf.recording(tenant, id)
    }

    /// Recordings that a kill cut off are as long as their files; those without one are none.
    fn settle(&self) {
        for (tenant, mut listed) in self.entries() {
            if listed.recording.length_ms.is_some() {
                continue;
            }
            let file = self.file(&tenant, &listed.id);
            let kept = match file.map_or(0, |file| sound(&file)) {
                0 => self.shelf.remove(Self::of(&tenant), &listed.id),
                bytes => {
                    listed.recording.length_ms = Some(bytes / BYTES_A_MS);
                    let value = serde_json::to_string(&listed.recording).unwrap_or_default();
                    self.shelf.put(Self::of(&tenant), &listed.id, &value)
                }
            };
            if let Err(status) = kept {
                tracing::error!(tenant, id = listed.id, status, "a recording cannot be settled");
            }
        }
    }

    /// What may be seen at a date, the newest first.
    #[must_use]
    pub fn list(&self, tenant: &str, wanted: &Wanted, now: Timestamp) -> Vec<Listed> {
        let mut found: Vec<Listed> = self
            .entries()
            .into_iter()
            .filter(|(owner, listed)| owner == tenant && wanted.fits(listed))
            .map(|(_, listed)| listed)
            .filter(|listed| {
                let recording = &listed.recording;
                recording.length_ms.is_some() && recording.visible <= now && recording.expires > now
            })
            .collect();
        found.sort_by(|a, b| b.id.cmp(&a.id));
        found
    }

    /// What is wanted, in one ZIP file.
    ///
    /// # Errors
    /// Nothing is meant, it is too much, or a file cannot be read.
    pub fn zip(
        &self,
        tenant: &str,
        wanted: &Wanted,
        now: Timestamp,
    ) -> Result<Vec<u8>, RecordingsError> {
        let listed = self.list(tenant, wanted, now);
        if listed.is_empty() {
            return Err(RecordingsError::None);
        }
        let files: Vec<(String, PathBuf)> = listed
            .into_iter()
            .filter_map(|listed| Some((listed.id.clone(), self.file(tenant, &listed.id)?)))
            .collect();
        let sizes = files.iter().filter_map(|(_, file)| Some(fs::metadata(file).ok()?.len()));
        let bytes = sizes.fold(0, u64::saturating_add);
        if bytes > limits::ZIP_BYTES {
            return Err(RecordingsError::TooLarge { bytes });
        }
        let mut archive = zip::Archive::default();
        for (id, file) in files {
            let bytes = fs::read(file)
                .map_err(|error| RecordingsError::Unreadable { id: id.clone(), error })?;
            let bytes = match sealed::is_sealed(&bytes) {
                true => self
                    .unsealed(&id, &bytes)
                    .map_err(|error| RecordingsError::Sealed { id: id.clone(), error })?,
                false => bytes,
            };
            archive.add(&format!("{id}.wav"), &bytes);
        }
        Ok(archive.finish())
    }

    /// A sealed recording as the WAV file that it is.
    fn unsealed(&self, id: &str, bytes: &[u8]) -> Result<Vec<u8>, SealError> {
        let opened = sealed::open(&self.keys, bytes)?;
        if !opened.is_whole {
            tracing::warn!(id, "the end of a sealed recording is missing");
        }
        let (encoding, rate) = match opened.format {
            RecordFormat::Linear8k => (WavEncoding::Linear16, 8_000),
            RecordFormat::Linear16k => (WavEncoding::Linear16, 16_000),
            RecordFormat::Alaw => (WavEncoding::Alaw, 8_000),
            RecordFormat::Ulaw => (WavEncoding::Ulaw, 8_000),
        };
        let length = u64::try_from(opened.sound.len()).unwrap_or(u64::MAX);
        let head = wav_head(encoding, u16::from(opened.channels), rate, length);
        let mut file = [head.as_slice(), &opened.sound].concat();
        // RIFF pads its chunks to an even length.
        file.resize(file.len().next_multiple_of(2), 0);
        Ok(file)
    }

    /// Deletes what is wanted; the ids of what is gone. What the disk does not let go is kept, said
    /// in the log, and stands in no line for the auditor.
    ///
    /// # Errors
    /// Nothing that may be seen is meant, or none of it can be deleted.
    pub fn delete(
        &self,
        tenant: &str,
        wanted: &Wanted,
        by: &str,
        now: Timestamp,
    ) -> Result<Vec<String>, RecordingsError> {
        let listed = self.list(tenant, wanted, now);
        if listed.is_empty() {
            return Err(RecordingsError::None);
        }
        let (mut ids, mut failed) = (Vec::new(), None);
        for Listed { id, .. } in listed {
            match self.remove(tenant, &id) {
                Ok(()) => ids.push(id),
                Err(error) => failed = Some(RecordingsError::Undeletable { id, error }),
            }
        }
        if let Some(error) = failed.take_if(|_| ids.is_empty()) {
            return Err(error);
        }
        let count = ids.len();
        tracing::info!(tenant, by, count, ids = ids.join(","), "audit: recordings are deleted");
        // A line of many ids is told in parts: a note has its bounds.
        for ids in ids.chunks(IDS_A_LINE) {
            let line = AuditLine {
                at: now,
                by: by.chars().take(100).collect(),
                what: "deleted".to_owned(),
                ids: ids.to_vec(),
            };
            // Nothing is deleted twice: two lines of one moment have keys of their own.
            let first = ids.first().map_or("", String::as_str);
            let key = format!("{:013}-{first}", now.as_millisecond());
            let value = serde_json::to_string(&line).unwrap_or_default();
            if let Err(status) = self.shelf.put(Of { module: AUDIT, tenant }, &key, &value) {
                tracing::error!(tenant, status, "a line for the auditor cannot be kept");
            }
        }
        Ok(ids)
    }

    /// The lines for the auditor, the oldest first.
    #[must_use]
    pub fn audit(&self, tenant: &str) -> Vec<AuditLine> {
        let notes = self.shelf.all(AUDIT).into_iter();
        notes
            .filter(|(owner, ..)| owner == tenant)
            .filter_map(|(.., value)| serde_json::from_str(&value).ok())
            .collect()
    }

    /// Deletes what is too old; how many that were.
    pub(crate) fn sweep(&self, now: Timestamp) -> usize {
        let mut deleted = 0_usize;
        let mut after = (String::new(), String::new());
        loop {
            // A piece at a time: whoever wants the shelf meanwhile does not wait for thousands.
            let notes = self.shelf.some(RECORDINGS, &after, SWEPT_AT_ONCE);
            let Some((tenant, key, _)) = notes.last() else { return deleted };
            after = (tenant.clone(), key.clone());
            for (tenant, id, value) in notes {
                let Ok(recording) = serde_json::from_str::<CallRecording>(&value) else { continue };
                let is_old = recording.expires <= now && recording.length_ms.is_some();
                if is_old && self.remove(&tenant, &id).is_ok() {
                    deleted = deleted.saturating_add(1);
                }
            }
        }
    }

    /// Removes a file and then its entry, so that no file is left that nobody knows of.
    fn remove(&self, tenant: &str, id: &str) -> io::Result<()> {
        match self.file(tenant, id).map_or(Ok(()), fs::remove_file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::error!(tenant, id, %error, "a recording cannot be deleted");
                Err(error)
            }
            _ => {
                let _ = self.shelf.remove(Self::of(tenant), id);
                Ok(())
            }
        }
    }
}

/// Bytes of sound in the file of a recording.
fn sound(file: &Path) -> u64 {
    let bytes = fs::metadata(file).map_or(0, |file| file.len());
    match file.extension().is_some_and(|kind| kind == "sealed") {
        true => sealed::sound_len(bytes),
        false => bytes.saturating_sub(HEAD),
    }
}

/// The head of a recording, and its bytes a millisecond: two channels of G.711.
const HEAD: u64 = 58;
const BYTES_A_MS: u64 = 16;
/// Entries that are looked at before others have their turn with the shelf.
const SWEPT_AT_ONCE: usize = 256;
/// Ids of one line for the auditor.
const IDS_A_LINE: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use koukan_switch::Note;

    fn date(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn note(id: &str, number: &str, started: &str, length_ms: Option<u64>) -> Note {
        let recording = CallRecording {
            call: "0000000000000001".to_owned(),
            number: number.to_owned(),
            direction: "inbound".to_owned(),
            caller: "0455550001".to_owned(),
            called: "0312340001".to_owned(),
            started: date(started),
            length_ms,
            visible: date("2026-07-02T03:00:00+09:00"),
            expires: date("2026-07-31T10:00:00+09:00"),
        };
        Note {
            module: RECORDINGS.to_owned(),
            tenant: "acme".to_owned(),
            key: id.to_owned(),
            value: Some(serde_json::to_string(&recording).unwrap()),
        }
    }

    struct Room(PathBuf);

    impl Room {
        fn new(name: &str, notes: Vec<Note>) -> (Self, Recordings) {
            let own = format!("koukan-recordings-{name}-{}", std::process::id());
            let directory = std::env::temp_dir().join(own);
            fs::create_dir_all(directory.join("recording/acme")).unwrap();
            for note in &notes {
                let file = directory.join(format!("recording/acme/{}.wav", note.key));
                fs::write(file, vec![1; 58 + 16 * 5_000]).unwrap();
            }
            let shelf = Arc::new(Shelf::new(directory.clone(), notes, None));
            (Self(directory), Recordings::new(shelf, vec![key()]))
        }
    }

    impl Drop for Room {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn key() -> SealKey {
        SealKey::parse(&"c3".repeat(32)).unwrap()
    }

    const MORNING: &str = "2026-07-01T10:00:00+09:00";

    #[test]
    fn a_recording_is_seen_from_three_the_next_morning_for_thirty_days() {
        let (_room, recordings) = Room::new("seen", vec![note("a", "number1", MORNING, Some(9))]);
        let at = |text: &str| recordings.list("acme", &Wanted::default(), date(text)).len();
        assert_eq!(at("2026-07-02T02:59:59+09:00"), 0);
        assert_eq!(at("2026-07-02T03:00:00+09:00"), 1);
        assert_eq!(at("2026-07-31T09:59:59+09:00"), 1);
        assert_eq!(at("2026-07-31T10:00:00+09:00"), 0);
        let later = date("2026-07-03T00:00:00+09:00");
        assert!(recordings.list("other", &Wanted::default(), later).is_empty());
        assert_eq!(recordings.sweep(date("2026-07-31T09:59:59+09:00")), 0);
        assert_eq!(recordings.sweep(date("2026-07-31T10:00:00+09:00")), 1);
        assert!(!_room.0.join("recording/acme/a.wav").exists());
    }

    #[test]
    fn what_is_wanted_is_found_downloaded_and_deleted_with_a_line_for_the_auditor() {
        let notes = vec![
            note("a", "number1", MORNING, Some(9)),
            note("b", "number2", "2026-07-01T11:00:00+09:00", Some(9)),
            note("c", "number1", "2026-07-01T12:00:00+09:00", Some(9)),
        ];
        let (room, recordings) = Room::new("wanted", notes);
        let now = date("2026-07-03T00:00:00+09:00");
        let ids = |wanted: Wanted| {
            let found = recordings.list("acme", &wanted, now);
            found.into_iter().map(|listed| listed.id).collect::<Vec<_>>().join("")
        };
        let wanted = Wanted::default;
        assert_eq!(ids(wanted()), "cba");
        assert_eq!(ids(Wanted { number: Some("number1".into()), ..wanted() }), "ca");
        let from = Some(date("2026-07-01T11:00:00+09:00"));
        assert_eq!(ids(Wanted { from, ..wanted() }), "cb");
        assert_eq!(ids(Wanted { until: from, ..wanted() }), "a");
        assert_eq!(ids(Wanted { party: Some("5555".into()), ..wanted() }), "cba");
        assert_eq!(ids(Wanted { party: Some("777".into()), ..wanted() }), "");
        let two = || Wanted { ids: Some("a,c".into()), ..wanted() };
        let zip = recordings.zip("acme", &two(), now).unwrap();
        assert!(zip.len() > 2 * (58 + 16 * 5_000) && zip.starts_with(b"PK\x03\x04"));
        let early = date("2026-07-01T13:00:00+09:00");
        assert!(recordings.delete("acme", &two(), "x", early).is_err(), "it may not be seen yet");
        assert_eq!(recordings.delete("acme", &two(), "office", now).unwrap(), ["c", "a"]);
        assert_eq!(ids(wanted()), "b");
        assert!(!room.0.join("recording/acme/a.wav").exists());
        let line = &recordings.audit("acme")[0];
        assert_eq!((&*line.by, &*line.what, line.ids.len()), ("office", "deleted", 2));
    }

    #[test]
    fn a_sealed_recording_is_downloaded_as_the_wav_file_that_it_is() {
        let (room, recordings) = Room::new("sealed", vec![note("a", "number1", MORNING, Some(9))]);
        let directory = room.0.join("recording/acme");
        let now = date("2026-07-03T00:00:00+09:00");
        let plain = recordings.zip("acme", &Wanted::default(), now).unwrap();
        let file = fs::read(directory.join("a.wav")).unwrap();
        fs::remove_file(directory.join("a.wav")).unwrap();
        let mut sealer = sealed::Sealer::new(&key(), &[3; 32], RecordFormat::Ulaw, 2);
        let mut sealed_file = sealer.head().to_vec();
        let sound = vec![0x55; file.len() - 58];
        sealer.push(&sound, &mut sealed_file).unwrap();
        sealer.finish(&mut sealed_file).unwrap();
        fs::write(directory.join("a.sealed"), &sealed_file).unwrap();
        let zip = recordings.zip("acme", &Wanted::default(), now).unwrap();
        assert_eq!(zip.len(), plain.len());
        let head = wav_head(WavEncoding::Ulaw, 2, 8_000, sound.len() as u64);
        let wav = [head.as_slice(), &sound].concat();
        assert!(zip.windows(wav.len()).any(|window| window == wav));
        sealed_file[500] ^= 1;
        fs::write(directory.join("a.sealed"), &sealed_file).unwrap();
        let error = recordings.zip("acme", &Wanted::default(), now).unwrap_err();
        assert_eq!(error.to_string(), "a is damaged");
        let other = Recordings::new(Arc::clone(&recordings.shelf), Vec::new());
        let error = other.zip("acme", &Wanted::default(), now).unwrap_err();
        assert_eq!(error.to_string(), "a was sealed under a key that is not configured");
        assert_eq!(recordings.delete("acme", &Wanted::default(), "x", now).unwrap(), ["a"]);
        assert!(!directory.join("a.sealed").exists());
    }

    #[test]
    fn what_the_disk_does_not_let_go_is_kept_and_no_auditor_is_told_that_it_is_gone() {
        let notes = vec![note("a", "n", MORNING, Some(9)), note("b", "n", MORNING, Some(9))];
        let (room, recordings) = Room::new("kept", notes);
        // A directory is nothing that can be removed as a file.
        let place = room.0.join("recording/acme/b.wav");
        fs::remove_file(&place).unwrap();
        fs::create_dir(&place).unwrap();
        let now = date("2026-07-03T00:00:00+09:00");
        let only = Wanted { ids: Some("b".into()), ..Wanted::default() };
        let refused = recordings.delete("acme", &only, "office", now);
        assert!(matches!(refused, Err(RecordingsError::Undeletable { id, .. }) if id == "b"));
        assert!(recordings.audit("acme").is_empty());
        assert_eq!(recordings.delete("acme", &Wanted::default(), "office", now).unwrap(), ["a"]);
        assert_eq!(recordings.audit("acme")[0].ids, ["a"]);
        assert_eq!(recordings.list("acme", &Wanted::default(), now)[0].id, "b");
        assert_eq!(recordings.sweep(date("2026-08-31T00:00:00+09:00")), 0);
    }

    #[test]
    fn deletions_of_one_moment_have_a_line_each() {
        let notes = vec![note("a", "n", MORNING, Some(9)), note("b", "n", MORNING, Some(9))];
        let (_room, recordings) = Room::new("moment", notes);
        let now = date("2026-07-03T00:00:00+09:00");
        for id in ["a", "b"] {
            let wanted = Wanted { ids: Some(id.into()), ..Wanted::default() };
            recordings.delete("acme", &wanted, "office", now).unwrap();
        }
        assert_eq!(recordings.audit("acme").len(), 2);
    }

    #[test]
    fn what_a_kill_cut_off_is_as_long_as_its_file() {
        let notes = vec![note("a", "number1", MORNING, None)];
        let (_room, recordings) = Room::new("cut", notes);
        let now = date("2026-07-03T00:00:00+09:00");
        let found = recordings.list("acme", &Wanted::default(), now);
        assert_eq!(found[0].recording.length_ms, Some(5_000));
    }
}
