//! Debian packages that a command needs: looked for by the program they bring, installed by apt-get
//! when one is missing. What is there is left alone.

use std::env;
use std::fs;
use std::path::Path;

use crate::failure::Failure;
use crate::step::Step;

/// A program and the Debian package that brings it.
pub(crate) type Need = (&'static str, &'static str);

/// What building the server needs: the C compiler for SQLite, which is built in.
pub(crate) const RUN: &[Need] = &[("cc", "build-essential")];

/// What the tests need beside that: two SIP clients, and the C++ compiler for libFuzzer.
pub(crate) const TEST: &[Need] = &[
    ("cc", "build-essential"),
    ("c++", "build-essential"),
    ("baresip", "baresip-core"),
    ("sipp", "sip-tester"),
];

/// Installs what is missing.
pub(crate) fn install(needs: &[Need]) -> Result<(), Failure> {
    let missing: Vec<Need> = needs.iter().copied().filter(|need| !is_there(need.0)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().map(|need| need.1).collect();
    packages.dedup();
    let unable = || Failure::Packages {
        missing: missing.iter().map(|need| need.0).collect::<Vec<_>>().join(", "),
        packages: packages.join(" "),
    };
    let prefix: &[&str] = match (is_there("apt-get"), is_root(), is_there("sudo")) {
        (true, true, _) => &["env"],
        (true, false, true) => &["sudo", "env"],
        (true, false, false) | (false, _, _) => return Err(unable()),
    };
    apt_get(prefix, "package lists", &["update", "-q"])?;
    let options = ["install", "-q", "-y", "--no-install-recommends"];
    apt_get(prefix, "packages", &[&options, packages.as_slice()].concat())?;
    if needs.iter().all(|need| is_there(need.0)) { Ok(()) } else { Err(unable()) }
}

fn apt_get(prefix: &[&str], name: &str, arguments: &[&str]) -> Result<(), Failure> {
    let (program, behind) = prefix.split_first().unwrap_or((&"env", &[]));
    Step::new(name, program, behind)
        .arguments(&["DEBIAN_FRONTEND=noninteractive", "apt-get"])
        .arguments(arguments)
        .run()
}

fn is_there(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|directory| directory.join(program).is_file())
}

/// Whether our effective user is root (`proc_pid_status(5)`: real, effective, saved, file system).
fn is_root() -> bool {
    let status = fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    users.and_then(|users| users.split_whitespace().nth(1)) == Some("0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_installed_again() {
        assert!(install(&[("sh", "dash"), ("env", "coreutils")]).is_ok());
        assert!(!is_there("no-program-has-this-name"));
    }
}
