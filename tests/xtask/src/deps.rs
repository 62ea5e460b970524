//! Debian packages and Rust components that the commands need. Nothing is asked of the network when
//! nothing is missing.

use std::path::Path;
use std::process::Command;

/// A package and what shows that it is installed: a command, or a file by its whole path.
pub(crate) struct Package {
    name: &'static str,
    shown_by: &'static str,
}

const COMPILER: Package = Package { name: "build-essential", shown_by: "cc" };

/// How the build finds libopus.
const PKG_CONFIG: Package = Package { name: "pkg-config", shown_by: "pkg-config" };

/// Opus: the library and its headers.
const OPUS: Package = Package { name: "libopus-dev", shown_by: "/usr/include/opus/opus.h" };

/// libFuzzer is C++.
const FUZZER: Package = Package { name: "build-essential", shown_by: "c++" };

/// What a build and a start need: SQLite is compiled from its source.
pub(crate) const RUN: &[Package] = &[COMPILER, PKG_CONFIG, OPUS];

/// What the tests need: phones and a carrier that others wrote.
pub(crate) const TEST: &[Package] = &[
    COMPILER,
    PKG_CONFIG,
    OPUS,
    FUZZER,
    Package { name: "baresip-core", shown_by: "baresip" },
    Package { name: "sip-tester", shown_by: "sipp" },
];

/// Installs those of `packages` that are missing, through apt-get.
pub(crate) fn install(packages: &[Package]) -> Result<(), String> {
    let mut missing: Vec<&str> = packages
        .iter()
        .filter(|package| !in_path(package.shown_by) && !Path::new(package.shown_by).is_file())
        .map(|package| package.name)
        .collect();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    println!("==> installing {}", missing.join(", "));
    let by_hand = format!("install by hand: apt-get install {}", missing.join(" "));
    if !in_path("apt-get") {
        return Err(format!("this is no Debian system; {by_hand}"));
    }
    apt_get(&["update"], &by_hand)?;
    let install = ["install", "--yes", "--no-install-recommends"];
    apt_get(&[install.as_slice(), missing.as_slice()].concat(), &by_hand)
}

/// Adds rustfmt and clippy where rustup manages the toolchain and they are not there.
pub(crate) fn components() -> Result<(), String> {
    for (tool, component) in [("cargo-fmt", "rustfmt"), ("cargo-clippy", "clippy")] {
        let works = Command::new(tool).arg("--version").output();
        if works.is_ok_and(|output| output.status.success()) {
            continue;
        }
        println!("==> adding {component}");
        let added = Command::new("rustup").args(["component", "add", component]).status();
        if !added.is_ok_and(|status| status.success()) {
            return Err(format!("{component} is missing: rustup component add {component}"));
        }
    }
    Ok(())
}

fn apt_get(arguments: &[&str], by_hand: &str) -> Result<(), String> {
    let mut command = if is_root() || !in_path("sudo") {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["--preserve-env=DEBIAN_FRONTEND", "apt-get"]);
        sudo
    };
    let status = command
        .args(["--quiet", "--quiet"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .map_err(|error| format!("apt-get cannot be started: {error}; {by_hand}"))?;
    if status.success() { Ok(()) } else { Err(format!("apt-get failed; {by_hand}")) }
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    uid.and_then(|line| line.split_whitespace().nth(1)) == Some("0")
}

fn in_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/sbin"].map(|directory| Path::new(directory).join(name));
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .chain(more)
        .any(|p| p.exists())
}
