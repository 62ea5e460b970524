//! Debian packages, a Python module and Rust components that the commands need. Nothing is asked of
//! the network when nothing is missing.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::steps::target;

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

/// Header lines of faxes are drawn with it; IPA Font License 1.0.
const FONT: Package = Package {
    name: "fonts-ipafont-gothic",
    shown_by: "/usr/share/fonts/opentype/ipafont-gothic/ipag.ttf",
};

/// What a build and a start need: SQLite is compiled from its source.
pub(crate) const RUN: &[Package] = &[COMPILER, PKG_CONFIG, OPUS, FONT];

/// What makes the Debian package.
pub(crate) const PACKAGE: &[Package] =
    &[COMPILER, PKG_CONFIG, OPUS, Package { name: "dpkg-dev", shown_by: "dpkg-shlibdeps" }];

/// What tries it.
pub(crate) const CLEAN_ROOT: &[Package] = &[
    Package { name: "debootstrap", shown_by: "debootstrap" },
    Package { name: "iproute2", shown_by: "ip" },
    Package { name: "util-linux", shown_by: "unshare" },
    Package { name: "sip-tester", shown_by: "sipp" },
    Package { name: "systemd-container", shown_by: "systemd-nspawn" },
];

/// What the tests need: phones, a carrier and readers of pages that others wrote.
const TEST: &[Package] = &[
    COMPILER,
    PKG_CONFIG,
    OPUS,
    FUZZER,
    Package { name: "baresip-core", shown_by: "baresip" },
    Package { name: "sip-tester", shown_by: "sipp" },
    Package { name: "linphone-cli", shown_by: "linphonec" },
    Package { name: "tshark", shown_by: "tshark" },
    Package { name: "kamailio", shown_by: "kamailio" },
    Package { name: "iproute2", shown_by: "ip" },
    Package { name: "iptables", shown_by: "iptables" },
    Package { name: "procps", shown_by: "sysctl" },
    Package { name: "poppler-utils", shown_by: "pdftoppm" },
    Package {
        name: "poppler-data",
        shown_by: "/usr/share/poppler/cMap/Adobe-Japan1/UniJIS-UTF16-H",
    },
    Package { name: "qpdf", shown_by: "qpdf" },
    Package { name: "libtiff-tools", shown_by: "tiffcp" },
    FONT,
    Package { name: "libtiff-dev", shown_by: "/usr/include/x86_64-linux-gnu/tiffio.h" },
    Package { name: "libjpeg-dev", shown_by: "/usr/include/jpeglib.h" },
    Package { name: "libclang-dev", shown_by: "/usr/lib/llvm-14/include/clang-c/Index.h" },
    Package { name: "libspandsp-dev", shown_by: "/usr/include/spandsp/t38_core.h" },
];

/// What stands beside our server in the benches, and the speech that they listen to. Where systemd
/// runs, Debian starts Kamailio as a service on port 5060 and rtpengine beside it:
/// `systemctl disable --now kamailio rtpengine-daemon` ends that, the benches start their own.
const BENCH: &[Package] = &[
    Package { name: "kamailio", shown_by: "kamailio" },
    Package { name: "rtpengine-daemon", shown_by: "rtpengine" },
    Package {
        name: "asterisk-core-sounds-en-wav",
        shown_by: "/usr/share/asterisk/sounds/en_US_f_Allison/demo-instruct.wav",
    },
    Package {
        name: "asterisk-core-sounds-en-g722",
        shown_by: "/usr/share/asterisk/sounds/en_US_f_Allison/demo-instruct.g722",
    },
    // PESQ comes as a C source.
    Package { name: "python3-dev", shown_by: "/usr/include/python3.11/Python.h" },
];

/// What comes from PyPI in an environment of its own below the target directory, at the versions
/// that we were written against; a later one may need the earlier to be built.
struct Environment {
    directory: &'static str,
    /// As Python imports them.
    modules: &'static str,
    packages: &'static [&'static str],
}

/// The Python phone of the end-to-end tests, and the scanner that strangers look for users with.
const PHONE: Environment = Environment {
    directory: "pjsua2",
    modules: "pjsua2, sipvicious",
    packages: &["pjsua2-python==2.15.1.post1", "sipvicious==0.3.4"],
};

/// The judge of voices in the benches.
const JUDGE: Environment =
    Environment { directory: "pesq", modules: "pesq", packages: &["numpy==2.4.6", "pesq==0.0.4"] };

/// The system's own Python: the one that Debian's python3-venv belongs to.
const PYTHON: &str = "/usr/bin/python3";

/// What `test` needs: the packages, and the phone with the scanner.
pub(crate) fn install_for_tests() -> Result<(), String> {
    install(TEST)?;
    PHONE.make()
}

/// What `bench` needs beyond it.
pub(crate) fn install_for_benches() -> Result<(), String> {
    install(BENCH)?;
    JUDGE.make()
}

impl Environment {
    /// Makes it where it is not there.
    fn make(&self) -> Result<(), String> {
        let Self { directory, modules, packages } = self;
        let home = target().join(directory);
        let python = home.join("bin/python");
        if imports(&python, modules) {
            return Ok(());
        }
        println!("==> installing {} into {}", packages.join(", "), home.display());
        if !imports(Path::new(PYTHON), "ensurepip") {
            install_named(&["python3-venv"])?;
        }
        let run = |program: &Path, arguments: &[&str]| {
            let status = Command::new(program).args(arguments).status();
            let worked = status.is_ok_and(|status| status.success());
            if worked { Ok(()) } else { Err(format!("{} {arguments:?} failed", program.display())) }
        };
        run(Path::new(PYTHON), &["-m", "venv", "--clear", &home.to_string_lossy()])?;
        for package in *packages {
            run(&python, &["-m", "pip", "install", "--quiet", "--no-input", package])?;
        }
        if imports(&python, modules) { Ok(()) } else { Err(format!("{modules} do not load")) }
    }
}

fn imports(python: &Path, modules: &str) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", &format!("import {modules}")]).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Installs those of `packages` that are missing, through apt-get.
pub(crate) fn install(packages: &[Package]) -> Result<(), String> {
    let mut missing: Vec<&str> = packages
        .iter()
        .filter(|package| !in_path(package.shown_by) && !Path::new(package.shown_by).is_file())
        .map(|package| package.name)
        .collect();
    missing.dedup();
    if missing.is_empty() { Ok(()) } else { install_named(&missing) }
}

fn install_named(missing: &[&str]) -> Result<(), String> {
    println!("==> installing {}", missing.join(", "));
    let by_hand = format!("install by hand: apt-get install {}", missing.join(" "));
    if !in_path("apt-get") {
        return Err(format!("this is no Debian system; {by_hand}"));
    }
    apt_get(&["update"], &by_hand)?;
    let install = ["install", "--yes", "--no-install-recommends"];
    apt_get(&[install.as_slice(), missing].concat(), &by_hand)
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
