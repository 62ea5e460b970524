//! `koukan fmt`: one way to write the files of a configuration. Comments and order are kept.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Failed, table};

#[derive(Debug, Args)]
pub(super) struct FormatArguments {
    /// Files, or directories whose *.toml files are taken
    #[arg(default_value = "conf")]
    paths: Vec<PathBuf>,
    /// Change nothing; end with 1 when a file is written otherwise
    #[arg(long)]
    check: bool,
}

pub(super) fn fmt(arguments: &FormatArguments) -> Result<(), Failed> {
    let mut files = Vec::new();
    for path in &arguments.paths {
        collect(path, &mut files)
            .map_err(|error| Failed(format!("{}: {error}", path.display())))?;
    }
    let (mut changed, mut wrong) = (0_usize, 0_usize);
    for file in &files {
        match one(file, arguments.check) {
            Ok(false) => {}
            Ok(true) => {
                changed = changed.saturating_add(1);
                table::print(&format!("{}\n", file.display()));
            }
            Err(words) => {
                wrong = wrong.saturating_add(1);
                table::complain(&format!("{}: {words}", file.display()));
            }
        }
    }
    let counted = format!("{} files, {changed} written otherwise", files.len());
    if wrong > 0 || (arguments.check && changed > 0) {
        return Err(Failed(counted));
    }
    table::print(&format!("{counted}\n"));
    Ok(())
}

/// The *.toml files below a path, links left alone, in the order of their names.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_dir() {
            collect(&path, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    Ok(())
}

/// Formats a file; whether it was written otherwise. A file is replaced as a whole or not at all.
fn one(path: &Path, only_check: bool) -> Result<bool, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let formatted = koukan_dialplan::format(&text).map_err(|error| error.to_string())?;
    if formatted == text {
        return Ok(false);
    }
    if !only_check {
        let beside = path.with_extension("toml.new");
        let replaced = fs::write(&beside, &formatted)
            .and_then(|()| fs::metadata(path))
            .and_then(|old| fs::set_permissions(&beside, old.permissions()))
            .and_then(|()| fs::rename(&beside, path));
        replaced.map_err(|error| error.to_string())?;
    }
    Ok(true)
}
