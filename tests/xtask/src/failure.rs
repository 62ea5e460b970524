//! Why a command stopped.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use thiserror::Error;

/// Why a command stopped.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The caller wrote no known command.
    #[error("no such command. There are:\n{0}")]
    Usage(&'static str),
    /// A step's program ended otherwise than well.
    #[error("{step}: `{command}` ended with {status}")]
    Step { step: String, command: String, status: ExitStatus },
    /// A step's program could not be started.
    #[error("{step}: `{command}` cannot be started: {error}")]
    Start { step: String, command: String, error: io::Error },
    /// A file could not be read or made.
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    /// A TOML file is none.
    #[error("{}: {error}", path.display())]
    Toml { path: PathBuf, error: toml::de::Error },
    /// Packages are missing and cannot be installed from here.
    #[error(
        "{missing} missing; as root, run:\n    apt-get update && apt-get install -y {packages}"
    )]
    Packages { missing: String, packages: String },
    /// House rules are broken.
    #[error("tidy: {0} broken house rules, named above")]
    Tidy(usize),
    /// There is no such fuzz target.
    #[error("no fuzz target `{name}`; there are: {known}")]
    NoTarget { name: String, known: String },
}

impl Failure {
    /// For `map_err`: what failed was this file.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::File { path, error }
    }
}
