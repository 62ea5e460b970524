//! Doing something again whenever a file of a configuration is written. Files are looked at once a
//! second by size and time: that works on every file system, and an editor's save is one change.

use std::collections::BTreeMap;
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

/// What is other than at the look before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// Everything at the first look; else something that all offices share.
    Everything,
    /// Files of these offices alone, by their directories.
    Offices(Vec<String>),
}

/// Does `work` at once and after every change, until the program is ended or the directory is gone.
pub(super) fn each_change(directory: &Path, mut work: impl FnMut(&Changed)) -> Result<(), Failed> {
    let mut seen = None;
    while directory.is_dir() {
        let now = Glance::at(directory);
        if let Some(changed) = now.since(seen.as_ref()) {
            work(&changed);
        }
        seen = Some(now);
        thread::sleep(GLANCE);
    }
    Err(Failed(format!("{} is no directory", directory.display())))
}

/// Names, sizes and times of everything below a directory, kept apart by offices.
#[derive(Debug, PartialEq, Eq)]
struct Glance {
    shared: u64,
    offices: BTreeMap<String, u64>,
}

impl Glance {
    fn at(directory: &Path) -> Self {
        let mut budget = limits::FILES;
        let tenants = directory.join("tenants");
        let mut offices = BTreeMap::new();
        for entry in sorted(&tenants) {
            let mut hasher = DefaultHasher::new();
            walk(&entry.path(), &mut hasher, &mut budget);
            offices.insert(entry.file_name().to_string_lossy().into_owned(), hasher.finish());
        }
        let mut hasher = DefaultHasher::new();
        for entry in sorted(directory).iter().filter(|entry| entry.path() != tenants) {
            one(entry, &mut hasher, &mut budget);
        }
        Self { shared: hasher.finish(), offices }
    }

    fn since(&self, before: Option<&Self>) -> Option<Changed> {
        let Some(before) = before.filter(|before| before.shared == self.shared) else {
            return Some(Changed::Everything);
        };
        let here = self.offices.iter();
        let other = here.filter(|(name, hash)| before.offices.get(*name) != Some(hash));
        let gone = before.offices.keys().filter(|name| !self.offices.contains_key(*name));
        let names: Vec<String> = other.map(|(name, _)| name).chain(gone).cloned().collect();
        (!names.is_empty()).then_some(Changed::Offices(names))
    }
}

fn sorted(directory: &Path) -> Vec<fs::DirEntry> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut entries: Vec<fs::DirEntry> = entries.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    entries
}

fn walk(directory: &Path, hasher: &mut DefaultHasher, budget: &mut usize) {
    for entry in sorted(directory) {
        one(&entry, hasher, budget);
    }
}

fn one(entry: &fs::DirEntry, hasher: &mut DefaultHasher, budget: &mut usize) {
    let Some(left) = budget.checked_sub(1) else { return };
    *budget = left;
    entry.file_name().hash(hasher);
    // A file that is gone between the two looks is one that has changed.
    let Ok(metadata) = entry.metadata() else { return };
    if metadata.is_dir() {
        walk(&entry.path(), hasher, budget);
    } else {
        (metadata.len(), metadata.modified().ok()).hash(hasher);
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
        let empty = Glance::at(&own);
        assert_eq!(empty.since(None), Some(Changed::Everything));
        assert_eq!(Glance::at(&own).since(Some(&empty)), None);
        let acme = Some(Changed::Offices(vec!["acme".to_owned()]));
        let file = office.join("office.toml");
        fs::write(&file, "schema = 1").unwrap();
        let one = Glance::at(&own);
        assert_eq!(one.since(Some(&empty)), acme);
        fs::write(&file, "schema = 12").unwrap();
        assert_eq!(Glance::at(&own).since(Some(&one)), acme);
        fs::create_dir_all(own.join("tenants/beta")).unwrap();
        fs::remove_file(&file).unwrap();
        let both = Changed::Offices(vec!["acme".to_owned(), "beta".to_owned()]);
        let two = Glance::at(&own);
        assert_eq!(two.since(Some(&one)), Some(both));
        assert_eq!(empty.since(Some(&two)), Some(Changed::Offices(vec!["beta".to_owned()])));
        fs::write(own.join("trunks.toml"), "schema = 1").unwrap();
        assert_eq!(Glance::at(&own).since(Some(&two)), Some(Changed::Everything));
        fs::remove_dir_all(&own).unwrap();
        let mut times = 0;
        assert!(each_change(&own, |_| times += 1).is_err());
        assert_eq!(times, 0);
    }
}
