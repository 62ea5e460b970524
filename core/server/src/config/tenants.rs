//! The texts of the dialplan: `tenants/NAME/**` (`*.toml`, and `*.ics` calendars), `trunks.toml`,
//! `plans/*.toml` and `countries/*.toml`, read with bounds. Links
//! that lead out of a tenant's directory are refused: an office must not read another's files.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use koukan_dialplan::ModuleSource;

use super::Finding;
use crate::{limits, module};

/// What the dialplan is made from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// One entry a tenant, sorted by name.
    pub tenants: Vec<TenantFiles>,
    /// `trunks.toml`: path and text.
    pub trunks: Option<(String, String)>,
    /// `plans/*.toml`: what the offices have subscribed to.
    pub plans: Vec<(String, String)>,
    /// `countries/*.toml`: numbering plans beside the one that is built in.
    pub countries: Vec<(String, String)>,
    /// The modules of `koukan.toml`; not known while that file is wrong.
    pub modules: Option<Vec<ModuleSource>>,
    /// Files that cannot be read.
    pub findings: Vec<Finding>,
}

/// One tenant's directory.
#[derive(Clone, Debug)]
pub struct TenantFiles {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub directory: PathBuf,
    /// Path as the admin knows it, and text, sorted by path.
    pub files: Vec<(String, String)>,
}

/// Reads every tenant of a configuration directory, and the trunks of the whole server.
#[must_use]
pub fn read_sources(conf: &Path) -> Sources {
    let mut sources = read_beside_tenants(conf);
    let root = conf.join("tenants");
    let entries = match fs::read_dir(&root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return sources,
        Err(error) => {
            sources.findings.push(unreadable(&root, &error));
            return sources;
        }
    };
    let offices = entries.flatten().filter(|entry| !is_hidden(entry));
    let mut directories: Vec<PathBuf> =
        offices.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    directories.sort();
    let mut budget = limits::FILES;
    for directory in directories {
        read_tenant(directory, &mut sources, &mut budget);
    }
    sources
}

/// The same for one tenant alone; none when there is no such directory.
#[must_use]
pub fn read_office(conf: &Path, name: &str) -> Sources {
    let mut sources = read_beside_tenants(conf);
    let is_name = !name.is_empty() && !name.contains(['/', '\\', '\0']) && !name.starts_with('.');
    let directory = conf.join("tenants").join(name);
    if is_name && directory.is_dir() {
        let mut budget = limits::FILES;
        read_tenant(directory, &mut sources, &mut budget);
    }
    sources
}

/// What belongs to no tenant.
fn read_beside_tenants(conf: &Path) -> Sources {
    let mut sources = Sources::default();
    let trunks = conf.join("trunks.toml");
    if trunks.exists() {
        match read_text(&trunks) {
            Ok(text) => sources.trunks = Some((shown(&trunks), text)),
            Err(error) => sources.findings.push(unreadable(&trunks, &error)),
        }
    }
    sources.modules = super::load(conf).ok().map(|config| {
        let source = |module: &super::ModuleConfig| ModuleSource {
            name: module.name.clone(),
            schema: module::schema(&module.path).unwrap_or_default(),
        };
        config.modules.iter().map(source).collect()
    });
    sources.plans = read_beside(conf, "plans", &mut sources.findings);
    sources.countries = read_beside(conf, "countries", &mut sources.findings);
    sources
}

fn read_tenant(directory: PathBuf, sources: &mut Sources, budget: &mut usize) {
    let name = directory.file_name();
    let name = name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut tenant = TenantFiles { name, directory: directory.clone(), files: Vec::new() };
    let before = sources.findings.len();
    match directory.canonicalize() {
        Ok(home) => walk(&directory, &home, &mut tenant, &mut sources.findings, budget),
        Err(error) => sources.findings.push(unreadable(&directory, &error)),
    }
    if !tenant.files.iter().any(|(path, _)| path.ends_with(".toml")) {
        // There is no file in which anything could be missing.
        if sources.findings.len() == before {
            sources.findings.push(Finding::about_file(
                shown(&directory),
                "is the directory of an office without a *.toml file".to_owned(),
                "remove it, or write schema = 1 and [tenant] into a file in it".to_owned(),
            ));
        }
        return;
    }
    tenant.files.sort();
    sources.tenants.push(tenant);
}

/// The files of a directory beside `tenants`, when there is one.
fn read_beside(conf: &Path, name: &str, findings: &mut Vec<Finding>) -> Vec<(String, String)> {
    let Ok(entries) = fs::read_dir(conf.join(name)) else { return Vec::new() };
    let toml = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "toml");
    let mut paths: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(toml).collect();
    paths.sort();
    let mut texts = Vec::new();
    for path in paths.into_iter().take(limits::FILES) {
        match read_text(&path) {
            Ok(text) => texts.push((shown(&path), text)),
            Err(error) => findings.push(unreadable(&path, &error)),
        }
    }
    texts
}

fn walk(
    directory: &Path,
    home: &Path,
    tenant: &mut TenantFiles,
    findings: &mut Vec<Finding>,
    budget: &mut usize,
) {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => return findings.push(unreadable(directory, &error)),
    };
    for entry in entries.flatten().filter(|entry| !is_hidden(entry)) {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            walk(&path, home, tenant, findings, budget);
            continue;
        }
        // Calendar files bring closing days.
        if path.extension().is_none_or(|extension| extension != "toml" && extension != "ics") {
            continue;
        }
        if kind.is_symlink() && !path.canonicalize().is_ok_and(|real| real.starts_with(home)) {
            findings.push(Finding::about_file(
                shown(&path),
                "is a link that leads out of the tenant's directory".to_owned(),
                "copy the file, or link within the directory".to_owned(),
            ));
            continue;
        }
        if *budget == 0 {
            let message = format!("is one file too many: at most {} are read", limits::FILES);
            return findings.push(Finding::about_file(shown(&path), message, String::new()));
        }
        *budget -= 1;
        match read_text(&path) {
            Ok(text) => tenant.files.push((shown(&path), text)),
            Err(error) => findings.push(unreadable(&path, &error)),
        }
    }
}

/// What a version control or an editor keeps beside the files is none of an office.
fn is_hidden(entry: &fs::DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

/// The text of a configuration file.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limits::FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limits::FILE_BYTES {
        let message = format!("the file is longer than {} bytes", limits::FILE_BYTES);
        return Err(io::Error::other(message));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error
            .as_bytes()
            .get(..valid)
            .map_or(0, |good| good.iter().filter(|byte| **byte == b'\n').count());
        io::Error::other(format!("line {} is not UTF-8", line + 1))
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Finding {
    Finding::about_file(shown(path), format!("cannot be read: {error}"), String::new())
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_hidden_is_no_office_and_a_directory_without_a_file_is_named() {
        let conf = std::env::temp_dir().join(format!("koukan-tenants-{}", std::process::id()));
        let tenants = conf.join("tenants");
        for directory in [".git", "good/.git", "bare"] {
            fs::create_dir_all(tenants.join(directory)).unwrap();
        }
        for file in [".git/x.toml", "good/.git/x.toml", "good/office.toml", "bare/days.ics"] {
            fs::write(tenants.join(file), "").unwrap();
        }
        // As an editor locks a file.
        symlink("me@host.1", tenants.join("good/.#office.toml")).unwrap();
        let sources = read_sources(&conf);
        let [office] = sources.tenants.as_slice() else { panic!("{:?}", sources.tenants) };
        assert_eq!((office.name.as_str(), office.files.len()), ("good", 1));
        let found: Vec<String> = sources.findings.iter().map(Finding::to_string).collect();
        let words = "tenants/bare  is the directory of an office without a *.toml file\n    remove";
        assert!(matches!(found.as_slice(), [only] if only.contains(words)), "{found:?}");
        assert_eq!(read_office(&conf, "bare").findings.len(), 1);
        fs::remove_dir_all(&conf).unwrap();
    }
}
