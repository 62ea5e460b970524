//! The journal's files: `journal-NNNNNN.kkj` in the data directory, numbered upwards, each begun by
//! one run of the server and never appended to by another.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// A place in the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The segment's number.
    pub segment: u64,
    /// Bytes from its beginning.
    pub offset: u64,
}

/// The path of a segment.
#[must_use]
pub(crate) fn path(directory: &Path, segment: u64) -> PathBuf {
    directory.join(format!("journal-{segment:06}.kkj"))
}

/// The numbers of the segments in a directory, upwards.
///
/// # Errors
/// The directory cannot be read.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<u64>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("journal-")?.strip_suffix(".kkj"))
            .and_then(|digits| digits.parse::<u64>().ok());
        segments.extend(number);
    }
    segments.sort_unstable();
    Ok(segments)
}

/// Makes a new segment; one that stands there is not touched.
///
/// # Errors
/// It cannot be made, or is there already.
pub(crate) fn create(directory: &Path, segment: u64) -> io::Result<File> {
    let file = File::options().append(true).create_new(true).open(path(directory, segment))?;
    // The entry itself must survive a power loss, too.
    File::open(directory)?.sync_all()?;
    Ok(file)
}
