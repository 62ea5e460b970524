//! Making a backup beside the running server: its files are read, nothing of it waits.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use koukan_store::StoreConfig;

use super::manifest::{Entry, Manifest};
use super::{BackupError, CONF, DATA, DATABASE, JOURNAL, OBJECTS, Places, about, tree};

/// Makes a backup in the directory `to`, which is empty or not there.
///
/// # Errors
/// What cannot be read or written, and where. Without its list of files the directory is no backup.
pub fn take(places: &Places, to: &Path, made: Timestamp) -> Result<Manifest, BackupError> {
    if !tree::is_empty(to, &[]).map_err(about(to, "read"))? {
        let hint = "a backup goes into a new directory";
        return Err(BackupError::Occupied { path: to.to_owned(), hint });
    }
    tree::make(to, None).map_err(about(to, "written"))?;
    // A backup that lies in what it copies must not copy itself.
    let own = to.canonicalize().map_err(about(to, "read"))?;
    let is_own = |path: &Path| path.canonicalize().is_ok_and(|path| path == own);
    let mut taking = Taking { to, manifest: Manifest::new(made) };
    taking.tree(CONF, &places.conf, &is_own)?;
    taking.state(places)?;
    taking.tree(OBJECTS, &places.objects, &is_own)?;
    let objects = places.objects.canonicalize().ok();
    let left_out = |path: &Path| {
        is_own(path)
            || is_made_anew(&places.data, path)
            || is_database(&places.database, path)
            || (objects.is_some() && path.canonicalize().ok() == objects)
    };
    taking.tree(DATA, &places.data, &left_out)?;
    taking.manifest.write(to)?;
    Ok(taking.manifest)
}

struct Taking<'t> {
    to: &'t Path,
    manifest: Manifest,
}

impl Taking<'_> {
    fn tree(
        &mut self,
        name: &str,
        from: &Path,
        skips: &dyn Fn(&Path) -> bool,
    ) -> Result<(), BackupError> {
        let root = self.to.join(name);
        tree::make(&root, Some(from)).map_err(about(&root, "written"))?;
        for path in tree::files(from, skips).map_err(about(from, "read"))? {
            let (source, target) = (from.join(&path), root.join(&path));
            if let (Some(parent), Some(like)) = (target.parent(), source.parent()) {
                tree::make(parent, Some(like)).map_err(about(parent, "written"))?;
            }
            let copied = tree::copy(&source, &target).map_err(about(&source, "copied"))?;
            let Some(copied) = copied else { continue };
            self.note(Path::new(name).join(&path), copied)?;
        }
        Ok(())
    }

    /// The database and the journal behind it.
    fn state(&mut self, places: &Places) -> Result<(), BackupError> {
        let (database, journal) = (self.to.join(DATABASE), self.to.join(JOURNAL));
        tree::make(&journal, None).map_err(about(&journal, "written"))?;
        let of = StoreConfig {
            data: places.data.clone(),
            database: places.database.clone(),
            outbox: false,
        };
        koukan_store::snapshot(&of, &database, &journal)?;
        let mut written = vec![PathBuf::from(DATABASE)];
        let segments = koukan_store::segments(&journal).map_err(about(&journal, "read"))?;
        let below = |path: PathBuf| Some(Path::new(JOURNAL).join(path.file_name()?));
        written.extend(segments.into_iter().filter_map(below));
        for path in written {
            let whole = self.to.join(&path);
            let bytes = std::fs::metadata(&whole).map_err(about(&whole, "read"))?.len();
            let sha256 = tree::digest(&whole).map_err(about(&whole, "read"))?;
            self.note(path, tree::Copied { bytes, sha256 })?;
        }
        Ok(())
    }

    fn note(&mut self, path: PathBuf, copied: tree::Copied) -> Result<(), BackupError> {
        let Some(text) = path.to_str() else {
            let error = std::io::Error::other("its name is no UTF-8");
            return Err(BackupError::File { path, what: "listed", error });
        };
        let tree::Copied { bytes, sha256 } = copied;
        self.manifest.files.push(Entry { path: text.to_owned(), bytes, sha256 });
        Ok(())
    }
}

/// What a start makes again, or the state's copy has: the lock, the journal, copies of modules,
/// converted announcements.
fn is_made_anew(data: &Path, path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(OsStr::to_str) else { return false };
    let is_journal = name.starts_with("journal-") && name.ends_with(".kkj");
    let is_own = is_journal || ["koukan.lock", "modules", "sounds"].contains(&name);
    is_own && path.parent() == Some(data)
}

/// The database itself and the files that SQLite keeps beside it.
fn is_database(database: &Path, path: &Path) -> bool {
    let Some(name) = database.file_name() else { return false };
    let beside = ["", "-wal", "-shm", "-journal"].map(|end| {
        let mut name = name.to_owned();
        name.push(end);
        database.with_file_name(name)
    });
    beside.iter().any(|file| file == path)
}
