//! The package in a clean root: Debian's smallest, in namespaces of its own, so that its ports are
//! nobody else's and whatever it mounts is gone with it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::deps;
use crate::steps::{execute, target};

/// As an operator would, but for the service manager: that part is what the unit declares.
const SCRIPT: &str = r#"set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get install --quiet --quiet --yes --no-install-recommends /koukan.deb
echo "--- the packaged sample"
koukan check /etc/koukan
install -d -o koukan -g koukan -m 0750 /run/koukan
cd /var/lib/koukan
setpriv --reuid koukan --regid koukan --init-groups koukan run /etc/koukan >/run/log 2>&1 &
server=$!
for turn in $(seq 100); do
    [ -S /run/koukan/koukan.sock ] && break
    sleep 0.1
done
koukan ctl status || { cat /run/log; exit 1; }
[ "$(stat -c '%a %U %G' /run/koukan/koukan.sock)" = "660 koukan koukan" ]
echo "--- a call with sound"
koukan ctl selftest acme || { cat /run/log; exit 1; }
echo "--- a backup, and the end"
koukan ctl backup /root/backup
koukan ctl drain --deadline 10s
wait "$server"
echo "--- restored, renewed, removed"
rm -rf /var/lib/koukan
install -d -o koukan -g koukan -m 0750 /var/lib/koukan
koukan restore /root/backup /etc/koukan
echo '# an operator was here' >>/etc/koukan/trunks.toml
dpkg --install /koukan.deb
grep -q 'an operator was here' /etc/koukan/trunks.toml
dpkg --purge koukan
[ ! -e /usr/bin/koukan ] && [ ! -e /etc/koukan/koukan.toml ] && [ -e /var/lib/koukan/koukan.db ]
echo "--- done"
"#;

/// Installs the package in a new root, uses it, and takes both away.
pub(super) fn run(package: &Path) -> Result<(), String> {
    deps::install(deps::CLEAN_ROOT)?;
    let place = target().join("deb/root");
    remove(&place)?;
    let outcome = install(package, &place);
    outcome.and(remove(&place))
}

fn remove(place: &Path) -> Result<(), String> {
    let told = |error| format!("{}: {error}", place.display());
    if place.exists() { fs::remove_dir_all(place).map_err(told) } else { Ok(()) }
}

fn install(package: &Path, place: &Path) -> Result<(), String> {
    let mut bootstrap = Command::new("unshare");
    bootstrap.args(["--mount", "debootstrap", "--variant=minbase", "bookworm"]).arg(place);
    execute("a clean root", &mut bootstrap)?;
    let told = |error: std::io::Error| format!("{}: {error}", place.display());
    fs::copy(package, place.join("koukan.deb")).map_err(told)?;
    fs::write(place.join("trial.sh"), SCRIPT).map_err(told)?;
    if Path::new("/etc/resolv.conf").exists() {
        fs::copy("/etc/resolv.conf", place.join("etc/resolv.conf")).map_err(told)?;
    }
    // What it depends on comes from the network, which the trial itself has none of.
    let fetch_line = "apt-get update -qq && \
                      apt-get install -yqq --download-only --no-install-recommends /koukan.deb";
    let mut fetch = Command::new("unshare");
    fetch.args(["--mount", "chroot"]).arg(place).args(["sh", "-c", fetch_line]);
    execute("what it depends on", &mut fetch)?;
    let inside = "mount -t proc proc \"$0/proc\" && ip link set lo up && \
                  exec chroot \"$0\" sh /trial.sh";
    let mut trial = Command::new("unshare");
    trial.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", inside]);
    execute("the package in it", trial.arg(place))
}
