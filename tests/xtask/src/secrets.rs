//! The sample's secrets: every `secret = "file:PATH"` of the offices below `conf/tenants` gets a
//! random password of its own where the file is missing, readable by its owner alone.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// Letters and digits that are not taken for one another when they are typed into a phone.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789A";

/// 24 of 32 characters: 120 bits.
const LENGTH: usize = 24;

/// Makes what is missing and says how many files that were.
pub(crate) fn generate(tenants: &Path) -> Result<usize, String> {
    let told = |error: io::Error| format!("{}: {error}", tenants.display());
    let mut made = 0;
    for tenant in fs::read_dir(tenants).map_err(told)? {
        let tenant = tenant.map_err(told)?.path();
        if !tenant.is_dir() {
            continue;
        }
        for path in wanted(&tenant).map_err(told)? {
            if !path.exists() {
                write(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                made += 1;
            }
        }
    }
    Ok(made)
}

/// The files that a tenant's TOML names and that lie below its directory.
fn wanted(tenant: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(tenant)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        paths.extend(named(&fs::read_to_string(&path)?).into_iter().map(|name| tenant.join(name)));
    }
    Ok(paths)
}

fn named(text: &str) -> Vec<PathBuf> {
    let value = |line: &str| {
        let (key, value) = line.split_once('=')?;
        let value = value.trim().strip_prefix("\"file:")?;
        let path = PathBuf::from(value.split_once('"')?.0);
        let below = path.components().all(|part| matches!(part, Component::Normal(_)));
        (key.trim() == "secret" && below).then_some(path)
    };
    text.lines().filter_map(value).collect()
}

fn write(path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let mut random = [0; LENGTH];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let secret: String = random
        .iter()
        .filter_map(|byte| ALPHABET.get(usize::from(byte % 32)))
        .map(|letter| char::from(*letter))
        .collect();
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{secret}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_files_below_the_tenant_are_taken() {
        let text = "secret = \"file:secrets/A\"\n# secret = \"file:x\"\nsecret=\"file:../B\"\n\
                    secret = \"env:C\"\nother = \"file:D\"\n";
        assert_eq!(named(text), [PathBuf::from("secrets/A")]);
    }

    #[test]
    fn a_missing_secret_is_made_for_its_owner_alone_and_never_replaced() {
        let tenants = std::env::temp_dir().join(format!("koukan-secrets-{}", std::process::id()));
        let tenant = tenants.join("acme");
        fs::create_dir_all(&tenant).unwrap();
        fs::write(tenant.join("office.toml"), "secret = \"file:secrets/A\"\n").unwrap();
        assert_eq!(generate(&tenants), Ok(1));
        let path = tenant.join("secrets/A");
        let secret = fs::read_to_string(&path).unwrap();
        assert_eq!(secret.trim().len(), LENGTH);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(generate(&tenants), Ok(0));
        assert_eq!(fs::read_to_string(&path).unwrap(), secret);
        fs::remove_dir_all(&tenants).unwrap();
    }
}
