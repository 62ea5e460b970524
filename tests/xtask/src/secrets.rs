//! The passwords of the sample's devices: every `secret = "file:…"` below `conf/tenants` whose file
//! does not exist gets one of 24 random characters, in a file that its owner alone may read.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::failure::Failure;

/// 32 characters that nobody confuses when typing them into a phone: 5 bits each, 120 together.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const LENGTH: usize = 24;

/// Makes the missing files and returns them.
pub(crate) fn make(tenants: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut made = Vec::new();
    let mut directories: Vec<PathBuf> = entries(tenants)?;
    directories.retain(|path| path.is_dir());
    for tenant in directories {
        for file in entries(&tenant)? {
            if file.extension().is_some_and(|extension| extension == "toml") {
                for secret in named_in(&file)? {
                    made.extend(make_one(&tenant.join(secret))?);
                }
            }
        }
    }
    Ok(made)
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(Failure::file(directory))? {
        paths.push(entry.map_err(Failure::file(directory))?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The secret files of the `[device.X]` tables of a file.
fn named_in(file: &Path) -> Result<Vec<String>, Failure> {
    let text = fs::read_to_string(file).map_err(Failure::file(file))?;
    let document =
        DeTable::parse(&text).map_err(|error| Failure::Toml { path: file.to_owned(), error })?;
    let devices = document.get_ref().get("device").and_then(|value| value.get_ref().as_table());
    let secrets = devices
        .into_iter()
        .flat_map(|devices| devices.values())
        .filter_map(|device| device.get_ref().as_table()?.get("secret"))
        .filter_map(|secret| DeValue::as_str(secret.get_ref())?.strip_prefix("file:"));
    Ok(secrets.map(str::to_owned).collect())
}

fn make_one(path: &Path) -> Result<Option<PathBuf>, Failure> {
    if let Some(directory) = path.parent() {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(Failure::file(directory))?;
    }
    let mut file = match File::options().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(Failure::File { path: path.to_owned(), error }),
    };
    writeln!(file, "{}", password()?).map_err(Failure::file(path))?;
    Ok(Some(path.to_owned()))
}

fn password() -> Result<String, Failure> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0; LENGTH];
    let read = File::open(source).and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(Failure::file(source))?;
    let characters = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 31)));
    Ok(characters.map(|byte| char::from(*byte)).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_missing_secret_is_made_for_its_owner_alone_and_an_existing_one_is_kept() {
        let tenants = std::env::temp_dir().join(format!("xtask-secrets-{}", std::process::id()));
        let office = tenants.join("acme");
        fs::create_dir_all(&office).unwrap();
        let devices = "[device.A]\nsecret = \"file:secrets/A\"\n[device.B]\nsecret = \"env:B\"\n";
        fs::write(office.join("office.toml"), devices).unwrap();
        let path = office.join("secrets/A");
        assert_eq!(make(&tenants).unwrap(), std::slice::from_ref(&path));
        let first = fs::read_to_string(&path).unwrap();
        assert_eq!(first.trim_end().len(), LENGTH);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(make(&tenants).unwrap(), Vec::<PathBuf>::new());
        assert_eq!(fs::read_to_string(&path).unwrap(), first);
        assert_ne!(password().unwrap(), password().unwrap());
        fs::remove_dir_all(&tenants).unwrap();
    }
}
