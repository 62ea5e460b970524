//! The package in clean roots: Debian's smallest, in namespaces of their own, so that its ports are
//! nobody else's and whatever is mounted is gone with it. `trial.sh` is what is done there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::deps;
use crate::steps::{execute, target};

/// What is done with the package, but for the service manager: that part is what the unit declares.
const SCRIPT: &str = include_str!("trial.sh");

/// The same under a service manager, in a root that is booted.
const BOOTED: [(&str, &str); 2] = [
    ("booted.sh", include_str!("booted.sh")),
    ("etc/systemd/system/booted.service", include_str!("booted.service")),
];

/// The phones of the trial, as sipp plays them.
const PHONES: [(&str, &str); 3] = [
    ("register.xml", include_str!("phones/register.xml")),
    ("caller.xml", include_str!("phones/caller.xml")),
    ("callee.xml", include_str!("phones/callee.xml")),
];

/// Where everything lies.
struct Places {
    /// What debootstrap made, and what the package depends on; nothing is installed in it.
    base: PathBuf,
    first: PathBuf,
    second: PathBuf,
    booted: PathBuf,
    phones: PathBuf,
}

/// Installs the package in new roots, uses it, and takes all of it away but the bare root.
pub(super) fn run(package: &Path) -> Result<(), String> {
    deps::install(deps::CLEAN_ROOT)?;
    let below = |name: &str| target().join("deb").join(name);
    let (base, first, second) = (below("base"), below("first"), below("second"));
    let (booted, phones) = (below("booted"), below("phones"));
    let places = Places { base, first, second, booted, phones };
    places.clear()?;
    let outcome = places.make(package).and_then(|()| places.try_it());
    let outcome = outcome.and_then(|()| places.boot());
    outcome.and(places.clear())
}

impl Places {
    fn clear(&self) -> Result<(), String> {
        for place in [&self.base, &self.first, &self.second, &self.booted, &self.phones] {
            if place.exists() {
                fs::remove_dir_all(place).map_err(told(place))?;
            }
        }
        Ok(())
    }

    fn make(&self, package: &Path) -> Result<(), String> {
        let Self { base, first, second, booted, phones } = self;
        let mut bootstrap = Command::new("unshare");
        let what = ["--variant=minbase", "--include=systemd,systemd-sysv,iproute2", "bookworm"];
        bootstrap.args(["--mount", "debootstrap"]).args(what).arg(base);
        execute("a clean root", &mut bootstrap)?;
        fs::copy(package, base.join("koukan.deb")).map_err(told(base))?;
        if Path::new("/etc/resolv.conf").exists() {
            fs::copy("/etc/resolv.conf", base.join("etc/resolv.conf")).map_err(told(base))?;
        }
        // What it depends on comes from the network, which the trial itself has none of.
        let line = "apt-get update -qq && \
                    apt-get install -yqq --download-only --no-install-recommends /koukan.deb";
        let mut fetch = Command::new("unshare");
        fetch.args(["--mount", "chroot"]).arg(base).args(["sh", "-c", line]);
        execute("what it depends on", &mut fetch)?;
        for place in [first, second, booted] {
            let mut copy = Command::new("cp");
            copy.args(["--archive", "--reflink=auto"]).arg(base).arg(place);
            execute("a copy of it", &mut copy)?;
        }
        fs::create_dir_all(phones).map_err(told(phones))?;
        for (name, text) in PHONES {
            fs::write(phones.join(name), text).map_err(told(phones))?;
        }
        fs::write(phones.join("trial.sh"), SCRIPT).map_err(told(phones))
    }

    fn try_it(&self) -> Result<(), String> {
        let inside = "ip link set lo up && exec sh \"$0\" \"$@\"";
        let mut trial = Command::new("unshare");
        trial.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", inside]);
        trial.arg(self.phones.join("trial.sh"));
        execute("the package", trial.args([&self.first, &self.second, &self.phones]))
    }
}

impl Places {
    /// Boots a root whose service manager starts the package. Where no root can be booted (in a
    /// container without cgroups of its own) that is said, and nothing more.
    fn boot(&self) -> Result<(), String> {
        let Self { booted, .. } = self;
        for (name, text) in BOOTED {
            fs::write(booted.join(name), text).map_err(told(booted))?;
        }
        let unit = "systemd.unit=booted.service";
        let mut nspawn = Command::new("systemd-nspawn");
        nspawn.args(["--quiet", "--register=no", "--keep-unit", "--private-network"]);
        nspawn.args(["--console=pipe", "--boot", "--directory"]).arg(booted).arg(unit);
        let outcome = execute("the package under systemd", &mut nspawn);
        match fs::read_to_string(booted.join("booted.log")) {
            Ok(text) => {
                println!("{text}");
                outcome
            }
            Err(_) => {
                println!("no root can be booted here: the unit was not started by systemd");
                Ok(())
            }
        }
    }
}

fn told(place: &Path) -> impl FnOnce(std::io::Error) -> String {
    let place = place.display().to_string();
    move |error| format!("{place}: {error}")
}
