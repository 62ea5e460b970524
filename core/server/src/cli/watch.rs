//! Doing something again whenever a file of a configuration is written. Files are looked at once a
//! second by size and time: that works on every file system, and an editor's save is one change.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::Failed;
use crate::limits;

/// How often files are looked at.
const GLANCE: Duration = Duration::from_secs(1);

/// Does `work` at once and after every change, until the program is ended or the directory is gone.
pub(super) fn each_change(directory: &Path, mut work: impl FnMut()) -> Result<(), Failed> {
    let mut seen = None;
    while directory.is_dir() {
        let now = fingerprint(directory);
        if seen.replace(now) != Some(now) {
            work();
        }
        thread::sleep(GLANCE);
    }
    Err(Failed(format!("{} is no directory", directory.display())))
}

/// Names, sizes and times of everything below a directory.
fn fingerprint(directory: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut budget = limits::FILES;
    walk(directory, &mut hasher, &mut budget);
    hasher.finish()
}

fn walk(directory: &Path, hasher: &mut DefaultHasher, budget: &mut usize) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let mut entries: Vec<fs::DirEntry> = entries.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let Some(left) = budget.checked_sub(1) else { return };
        *budget = left;
        entry.file_name().hash(hasher);
        // A file that is gone between the two looks is one that has changed.
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            walk(&entry.path(), hasher, budget);
        } else {
            (metadata.len(), metadata.modified().ok()).hash(hasher);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_written_made_or_gone_is_a_change_and_nothing_else_is() {
        let own = std::env::temp_dir().join(format!("koukan-watch-{}", std::process::id()));
        let office = own.join("tenants/acme");
        fs::create_dir_all(&office).unwrap();
        let empty = fingerprint(&own);
        assert_eq!(fingerprint(&own), empty);
        let file = office.join("office.toml");
        fs::write(&file, "schema = 1").unwrap();
        let one = fingerprint(&own);
        fs::write(&file, "schema = 12").unwrap();
        let longer = fingerprint(&own);
        fs::remove_file(&file).unwrap();
        assert_eq!(fingerprint(&own), empty);
        assert!(empty != one && one != longer);
        fs::remove_dir_all(&own).unwrap();
        let mut times = 0;
        assert!(each_change(&own, || times += 1).is_err());
        assert_eq!(times, 0);
    }
}
