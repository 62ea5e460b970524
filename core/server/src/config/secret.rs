//! Secrets: `file:PATH` or `env:NAME`, never in the configuration itself. A file that others than
//! its owner may read is refused, with the command that repairs it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::limits;

/// Where a secret stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A file; relative paths are relative to the tenant's directory.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
}

/// Why a secret cannot be read: configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Neither `file:` nor `env:`.
    #[error("a secret is written as \"file:PATH\" or \"env:NAME\", never as itself")]
    Form,
    /// The file is missing or unreadable.
    #[error("the secret file {} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// Others may read it.
    #[error(
        "the secret file {} may be read by others (mode {mode:04o}): chmod 600 {}",
        path.display(), path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The variable is not set, or no text.
    #[error("the environment variable {0} is not set: export it before `koukan run`")]
    Variable(String),
    /// Nothing in it, or far too much.
    #[error(
        "the secret file {} is empty or longer than {} bytes",
        .0.display(), limits::SECRET_BYTES
    )]
    Length(PathBuf),
}

impl SecretSource {
    /// Reads what stands in the configuration of a tenant whose files are in `directory`.
    ///
    /// # Errors
    /// It is neither of the two forms.
    pub fn parse(text: &str, directory: &Path) -> Result<Self, SecretError> {
        if let Some(path) = text.strip_prefix("file:").filter(|path| !path.is_empty()) {
            return Ok(Self::File(directory.join(path)));
        }
        match text.strip_prefix("env:").filter(|name| !name.is_empty()) {
            Some(name) => Ok(Self::Environment(name.to_owned())),
            None => Err(SecretError::Form),
        }
    }

    /// The secret, without the line end that editors leave.
    ///
    /// # Errors
    /// It is missing, empty, or readable by others.
    pub fn read(&self) -> Result<Vec<u8>, SecretError> {
        match self {
            Self::Environment(name) => std::env::var(name)
                .map(String::into_bytes)
                .map_err(|_| SecretError::Variable(name.clone())),
            Self::File(path) => read_file(path),
        }
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, SecretError> {
    let unreadable = |error| SecretError::Unreadable { path: path.to_owned(), error };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(SecretError::Exposed { path: path.to_owned(), mode });
    }
    let mut secret = Vec::new();
    file.take(limits::SECRET_BYTES + 1).read_to_end(&mut secret).map_err(unreadable)?;
    while secret.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
        secret.pop();
    }
    if secret.is_empty() || secret.len() as u64 > limits::SECRET_BYTES {
        return Err(SecretError::Length(path.to_owned()));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_others_may_read_is_refused_with_its_repair() {
        let path = std::env::temp_dir().join(format!("koukan-secret-{}", std::process::id()));
        fs::write(&path, "open sesame\n").unwrap();
        let source =
            SecretSource::parse(&format!("file:{}", path.display()), Path::new("/")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = source.read().unwrap_err().to_string();
        assert!(error.contains("mode 0644") && error.contains("chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(source.read().unwrap(), b"open sesame");
        fs::write(&path, "\n").unwrap();
        assert!(matches!(source.read(), Err(SecretError::Length(_))));
        fs::remove_file(&path).unwrap();
        assert!(matches!(source.read(), Err(SecretError::Unreadable { .. })));
    }

    #[test]
    fn a_plain_secret_is_no_secret_and_is_not_repeated() {
        for text in ["hunter2", "file:", "env:", "File:hunter2"] {
            let error = SecretSource::parse(text, Path::new("/")).unwrap_err();
            assert!(matches!(error, SecretError::Form));
            // It would be read in logs and on screens.
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
