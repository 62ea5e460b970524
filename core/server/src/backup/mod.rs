//! Backup of a server that runs, and its restoration elsewhere.
//!
//! A backup is a directory: `conf/` as it lies in the configuration, `database.sqlite` and
//! `journal/` as of one moment ([`koukan_store::snapshot`]), `objects/` (messages, recordings,
//! faxes) and `data/` (explain lines, faxes on their way) as they lay after that moment, so that
//! whatever a record speaks of is among them. `manifest.json` is written last and names every file
//! with its digest: a directory without it is no backup.

mod manifest;
mod restore;
mod take;
mod tree;

use std::io;
use std::path::{Path, PathBuf};

pub use manifest::{Entry, Manifest};
pub use restore::{Restored, restore};
pub use take::take;

use crate::config::Config;

/// Where a server keeps what a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Places {
    /// The configuration directory.
    pub conf: PathBuf,
    /// `[server] data`.
    pub data: PathBuf,
    /// `[store] database`: the SQLite file.
    pub database: PathBuf,
    /// `[store] objects`.
    pub objects: PathBuf,
}

impl Places {
    /// Those of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            conf: config.directory.clone(),
            data: config.data.clone(),
            database: config.database.clone(),
            objects: config.objects.clone(),
        }
    }
}

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// A file or directory cannot be read or written: resource.
    #[error("{} cannot be {what}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Read or written.
        what: &'static str,
        /// The system's words.
        error: io::Error,
    },
    /// Something is where the backup or the restored state would come: the asker's fault.
    #[error("{} is not empty: {hint}", path.display())]
    Occupied {
        /// Where.
        path: PathBuf,
        /// What to do.
        hint: &'static str,
    },
    /// The state of the running server cannot be copied.
    #[error(transparent)]
    Snapshot(#[from] koukan_store::SnapshotError),
    /// The directory is no whole backup.
    #[error("{} is no backup: {why}", path.display())]
    Broken {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The configuration that says where the state belongs.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The data directory is another server's.
    #[error(transparent)]
    Lock(#[from] crate::os::LockError),
}

/// An error about this path.
fn about(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |error| BackupError::File { path, what, error }
}

const CONF: &str = "conf";
const DATA: &str = "data";
const OBJECTS: &str = "objects";
const JOURNAL: &str = "journal";
const DATABASE: &str = "database.sqlite";

#[cfg(test)]
mod tests;
