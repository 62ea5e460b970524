//! The list of a backup's files: what it is whole by.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Component, Path};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BackupError, about, tree};
use crate::limits;

/// `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of the directory: 1.
    pub format: u32,
    /// The version of the server that made it.
    pub version: String,
    /// When it was begun.
    pub made: Timestamp,
    /// Every file but this one.
    pub files: Vec<Entry>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Below the backup's directory.
    pub path: String,
    /// How long it is.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

const NAME: &str = "manifest.json";
const FORMAT: u32 = 1;

impl Manifest {
    /// A list without files.
    #[must_use]
    pub fn new(made: Timestamp) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self { format: FORMAT, version, made, files: Vec::new() }
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|entry| entry.bytes).sum()
    }

    /// Writes the list, which makes a backup of the directory.
    pub(super) fn write(&self, directory: &Path) -> Result<(), BackupError> {
        let path = directory.join(NAME);
        let text = serde_json::to_vec_pretty(self).unwrap_or_default();
        let written = File::create_new(&path)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
            .and_then(|()| File::open(directory)?.sync_all());
        written.map_err(about(&path, "written"))
    }

    /// Reads the list of a backup and holds every file against it.
    ///
    /// # Errors
    /// There is none, or a file is missing or another than it says.
    pub fn checked(directory: &Path) -> Result<Self, BackupError> {
        let broken = |why: String| BackupError::Broken { path: directory.to_owned(), why };
        let path = directory.join(NAME);
        if !path.is_file() {
            return Err(broken(format!("it has no {NAME}; was its making cut off?")));
        }
        let mut text = String::new();
        File::open(&path)
            .and_then(|file| file.take(limits::MANIFEST_BYTES).read_to_string(&mut text))
            .map_err(about(&path, "read"))?;
        let manifest: Self = serde_json::from_str(&text)
            .map_err(|error| broken(format!("{NAME} cannot be understood: {error}")))?;
        if manifest.format != FORMAT {
            let (found, version) = (manifest.format, &manifest.version);
            let why = format!("it has form {found} of koukan {version}; this one reads {FORMAT}");
            return Err(broken(why));
        }
        for entry in &manifest.files {
            if !is_inside(&entry.path) {
                return Err(broken(format!("it names a file outside itself: {}", entry.path)));
            }
            let path = directory.join(&entry.path);
            let length = fs::metadata(&path).map_err(about(&path, "read"))?.len();
            if length != entry.bytes {
                let why = format!("{} has {length} bytes, not {}", entry.path, entry.bytes);
                return Err(broken(why));
            }
            if tree::digest(&path).map_err(about(&path, "read"))? != entry.sha256 {
                return Err(broken(format!("{} is not what was backed up", entry.path)));
            }
        }
        Ok(manifest)
    }

    /// The files below one of the backup's directories, by their paths below it.
    pub(super) fn below<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m str> {
        let inside = move |entry: &'m Entry| entry.path.strip_prefix(name)?.strip_prefix('/');
        self.files.iter().filter_map(inside)
    }
}

/// Whether a path names something below where it is read, whoever wrote it.
fn is_inside(path: &str) -> bool {
    let plain = |component: Component<'_>| matches!(component, Component::Normal(_));
    !path.is_empty() && Path::new(path).components().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_out_of_the_backup_is_none() {
        for good in ["conf/koukan.toml", "database.sqlite", "objects/a/..b"] {
            assert!(is_inside(good), "{good}");
        }
        for bad in ["", "/etc/passwd", "conf/../../x", "..", "./x"] {
            assert!(!is_inside(bad), "{bad}");
        }
    }
}
