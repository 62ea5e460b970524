//! Files copied with their digests, modes and, when root does it, owners.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{
    DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, lchown,
};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::limits;

/// What was copied: how long it is, and its SHA-256 in hexadecimal digits.
pub(super) struct Copied {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

const BUFFER: usize = 256 * 1024;

/// Copies a file to where none is; `None` when it has gone meanwhile.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<Option<Copied>> {
    let mut source = match File::open(from) {
        Ok(source) => source,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = source.metadata()?;
    let mut target = File::options().write(true).create_new(true).mode(0o600).open(to)?;
    let copied = pass(&mut source, &mut target)?;
    keep_owner(to, &metadata);
    target.set_permissions(fs::Permissions::from_mode(metadata.mode() & 0o777))?;
    target.sync_all()?;
    Ok(Some(copied))
}

/// The digest of a file.
pub(super) fn digest(path: &Path) -> io::Result<String> {
    Ok(pass(&mut File::open(path)?, &mut io::sink())?.sha256)
}

fn pass(from: &mut File, to: &mut impl Write) -> io::Result<Copied> {
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = from.read(&mut buffer)?;
        let Some(piece) = buffer.get(..length).filter(|piece| !piece.is_empty()) else { break };
        to.write_all(piece)?;
        hash.update(piece);
        bytes += length as u64;
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Copied { bytes, sha256 })
}

/// Only root may give files away; for everybody else they are their own anyhow.
fn keep_owner(path: &Path, of: &Metadata) {
    if rustix::process::geteuid().is_root()
        && let Err(error) = chown(path, Some(of.uid()), Some(of.gid()))
    {
        tracing::warn!(path = %path.display(), %error, "the owner cannot be kept");
    }
}

/// User and group.
pub(super) type Owner = (u32, u32);

/// Who owns it.
pub(super) fn owner(of: &Metadata) -> Owner {
    (of.uid(), of.gid())
}

/// Where root asks, gives what lies at a path, and below it, to whom it belongs by `whose`, which
/// is told who has it.
pub(super) fn give(path: &Path, whose: &dyn Fn(Owner) -> Owner) -> io::Result<()> {
    let root = rustix::process::geteuid().is_root();
    if root { give_below(path, whose, limits::BACKUP_DEPTH + 1) } else { Ok(()) }
}

fn give_below(path: &Path, whose: &dyn Fn(Owner) -> Owner, depth: usize) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let (before, after) = (owner(&metadata), whose(owner(&metadata)));
    if before != after {
        lchown(path, Some(after.0), Some(after.1))?;
    }
    if metadata.is_dir() && depth > 0 {
        for entry in fs::read_dir(path)? {
            give_below(&entry?.path(), whose, depth - 1)?;
        }
    }
    Ok(())
}

/// Makes a directory and those above it, with the mode and owner of `like` when there is one.
pub(super) fn make(directory: &Path, like: Option<&Path>) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    if let Some(metadata) = like.and_then(|like| fs::metadata(like).ok()) {
        fs::set_permissions(directory, fs::Permissions::from_mode(metadata.mode() & 0o777))?;
        keep_owner(directory, &metadata);
    }
    Ok(())
}

/// The files below a directory by their paths below it, those that `skips` says left out. Links
/// are followed; sockets and devices are no files.
pub(super) fn files(root: &Path, skips: &dyn Fn(&Path) -> bool) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if root.is_dir() {
        walk(root, Path::new(""), skips, limits::BACKUP_DEPTH, &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn walk(
    root: &Path,
    below: &Path,
    skips: &dyn Fn(&Path) -> bool,
    depth: usize,
    found: &mut Vec<PathBuf>,
) -> io::Result<()> {
    let entries = match fs::read_dir(root.join(below)) {
        Ok(entries) => entries,
        // Removed since its name was read.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let name = entry?.file_name();
        let path = below.join(&name);
        let whole = root.join(&path);
        let Ok(metadata) = fs::metadata(&whole) else { continue };
        if skips(&whole) {
            continue;
        }
        if metadata.is_dir() {
            if depth == 0 {
                let words = format!("{} lies too deep", whole.display());
                return Err(io::Error::other(words));
            }
            walk(root, &path, skips, depth - 1, found)?;
        } else if metadata.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

/// Whether a directory holds anything but what `ignores` names.
pub(super) fn is_empty(directory: &Path, ignores: &[&str]) -> io::Result<bool> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let name = entry?.file_name();
        if !ignores.iter().any(|ignored| OsStr::new(ignored) == name) {
            return Ok(false);
        }
    }
    Ok(true)
}
