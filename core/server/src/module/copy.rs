//! The private copy of a module. The loader knows libraries by name: a file that was replaced would
//! be taken for the old one, and one overwritten in place would crash whoever runs it.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// No path is used twice in a process's life.
static COPIES: AtomicU64 = AtomicU64::new(0);

/// The directory of the copies, which belongs to this user alone.
#[derive(Debug)]
pub(crate) struct Copies {
    directory: PathBuf,
}

impl Copies {
    /// Takes `modules` in the data directory, and removes what a killed server left there. The lock
    /// on the data directory says that nobody else uses it.
    pub(crate) fn open(data: &Path) -> io::Result<Self> {
        let directory = data.join("modules");
        match DirBuilder::new().mode(0o700).create(&directory) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        fs::set_permissions(&directory, Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "so") {
                fs::remove_file(path)?;
            }
        }
        Ok(Self { directory })
    }

    /// Writes a copy.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<PrivateCopy> {
        let number = COPIES.fetch_add(1, Ordering::Relaxed);
        // A name in the configuration may hold any character; a file's may not.
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        let name: String = name.chars().take(64).map(plain).collect();
        let path = self.directory.join(format!("{name}-{}-{number}.so", std::process::id()));
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        let copy = PrivateCopy { path };
        file.write_all(bytes)?;
        Ok(copy)
    }
}

/// A copy; the file is removed when this is dropped, what is mapped of it stays.
#[derive(Debug)]
pub(crate) struct PrivateCopy {
    path: PathBuf,
}

impl PrivateCopy {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateCopy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a module's copy stays behind");
        }
    }
}
