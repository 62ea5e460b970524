//! Restoring a backup: the configuration where none is, the state where the configuration says.

use std::fs;
use std::path::Path;

use super::manifest::Manifest;
use super::{BackupError, CONF, DATA, DATABASE, JOURNAL, OBJECTS, Places, about, tree};
use crate::config;
use crate::os::{DataLock, LOCK};

/// What was restored.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The backup.
    pub manifest: Manifest,
    /// Whether the configuration was the backup's; else the one that stood there was used.
    pub with_conf: bool,
    /// Where the state went.
    pub places: Places,
}

/// Restores a backup for the configuration directory `conf`. Where that is not there, it is the
/// backup's; where it is, it stays as it is, and says where the state goes, which is empty.
///
/// # Errors
/// The backup is not whole, or a place is not empty or cannot be written; what a configuration
/// that was restored says wrong.
pub fn restore(from: &Path, conf: &Path) -> Result<Restored, BackupError> {
    let manifest = Manifest::checked(from)?;
    let with_conf = tree::is_empty(conf, &[]).map_err(about(conf, "read"))?;
    if with_conf {
        put(&manifest, from, CONF, conf)?;
    }
    let config = config::load(conf)?;
    let places = Places::of(&config);
    let hint = "move it away, or set another place in koukan.toml, and restore again";
    let occupied = |path: &Path| BackupError::Occupied { path: path.to_owned(), hint };
    let mut ignores = vec![LOCK, "koukan.sock"];
    let inside = |path: &Path| path.parent() == Some(places.data.as_path());
    let objects = places.objects.file_name().and_then(std::ffi::OsStr::to_str);
    // Looked at by itself.
    ignores.extend(objects.filter(|_| inside(&places.objects)));
    if !tree::is_empty(&places.data, &ignores).map_err(about(&places.data, "read"))? {
        return Err(occupied(&places.data));
    }
    if !tree::is_empty(&places.objects, &[]).map_err(about(&places.objects, "read"))? {
        return Err(occupied(&places.objects));
    }
    if places.database.exists() {
        return Err(occupied(&places.database));
    }
    // A package has made the directory for the user that the server runs as.
    let there = owner(&from.join(DATA))?;
    let here = if places.data.exists() { owner(&places.data)? } else { there };
    let _lock = DataLock::take(&places.data)?;
    if let Some(parent) = places.database.parent() {
        tree::make(parent, None).map_err(about(parent, "written"))?;
    }
    put(&manifest, from, OBJECTS, &places.objects)?;
    put(&manifest, from, DATA, &places.data)?;
    put(&manifest, from, JOURNAL, &places.data)?;
    // Last: a state that was restored in part has no database, and begins from nothing again.
    let database = from.join(DATABASE);
    tree::copy(&database, &places.database).map_err(about(&places.database, "written"))?;
    // The state is the server's; of the configuration it is what was, under its number here.
    for path in [&places.data, &places.objects, &places.database] {
        tree::give(path, &|_| here).map_err(about(path, "given to the server's user"))?;
    }
    if with_conf {
        let user = |id: u32| if id == there.0 { here.0 } else { id };
        let group = |id: u32| if id == there.1 { here.1 } else { id };
        let whose = |(id, of)| (user(id), group(of));
        tree::give(conf, &whose).map_err(about(conf, "given to the server's user"))?;
    }
    Ok(Restored { manifest, with_conf, places })
}

fn owner(path: &Path) -> Result<tree::Owner, BackupError> {
    fs::metadata(path).map(|metadata| tree::owner(&metadata)).map_err(about(path, "read"))
}

/// Copies one of the backup's directories.
fn put(manifest: &Manifest, from: &Path, name: &str, to: &Path) -> Result<(), BackupError> {
    let root = from.join(name);
    tree::make(to, Some(&root)).map_err(about(to, "written"))?;
    for path in manifest.below(name) {
        let (source, target) = (root.join(path), to.join(path));
        if let (Some(parent), Some(like)) = (target.parent(), source.parent()) {
            tree::make(parent, Some(like)).map_err(about(parent, "written"))?;
        }
        let copied = tree::copy(&source, &target).map_err(about(&target, "written"))?;
        if copied.is_none() {
            let why = format!("{name}/{path} has gone while it was restored");
            return Err(BackupError::Broken { path: from.to_owned(), why });
        }
    }
    fs::File::open(to).and_then(|directory| directory.sync_all()).map_err(about(to, "written"))
}
