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

/// The *.toml files below a path, links left alone, in the order of their names. Of a configuration
/// directory those that `check` reads: what stands beside its prompts is not written by us.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    let is_configuration = path.join("koukan.toml").is_file();
    let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_dir() {
            if is_configuration && path.ends_with(PROMPTS) {
                continue;
            }
            collect(&path, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    Ok(())
}

/// Where the prompts of a configuration directory stand.
const PROMPTS: &str = "prompts";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_configuration_directory_the_prompts_are_left_alone() {
        let own = format!("koukan-fmt-{}", std::process::id());
        let conf = std::env::temp_dir().join(own);
        for name in ["koukan.toml", "prompts/spoken.toml", "tenants/x/x.toml", "tenants/x/a.txt"] {
            let path = conf.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = |below: &str| {
            let mut files = Vec::new();
            collect(&conf.join(below), &mut files).unwrap();
            let short = |path: PathBuf| path.strip_prefix(&conf).unwrap().to_owned();
            files.into_iter().map(short).collect::<Vec<_>>()
        };
        assert_eq!(found(""), [Path::new("koukan.toml"), Path::new("tenants/x/x.toml")]);
        // Who names it means it.
        assert_eq!(found("prompts"), [Path::new("prompts/spoken.toml")]);
        fs::remove_dir_all(&conf).unwrap();
    }

    #[test]
    fn the_shipped_configuration_is_written_so() {
        let mut files = Vec::new();
        let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf");
        collect(&conf, &mut files).unwrap();
        assert!(files.len() >= 5, "{files:?}");
        for file in files {
            assert_eq!(one(&file, true), Ok(false), "{}", file.display());
        }
    }
}
