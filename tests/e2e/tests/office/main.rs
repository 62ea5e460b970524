//! The sample office with real phones. One program, so that its tests wait for the timers of the
//! protocol side by side.

mod announcements;
mod boxes;
mod callers;
mod calls;
mod faults;
mod forwarding;
mod inbound;
mod limits;
mod lines;
mod recording;
mod restart;
mod settings;
mod voicemail;

use std::fs;
use std::process::{Command, Output};

use koukan_e2e::server::{Server, binary};

/// The sample office with changes and more in its plan; its expectations are those of the sample,
/// so they are put aside.
fn changed_office(name: &str, changes: &[(&str, &str)], more: &str) -> Server {
    let server = Server::start(name).expect("the server starts");
    write_plan(&server, changes, more);
    println!("reload: {}", server.ctl(&["reload", "acme"]).expect("it is in order"));
    server
}

/// Writes that plan.
fn write_plan(server: &Server, changes: &[(&str, &str)], more: &str) {
    let tenant = server.directory.join("conf/tenants/acme");
    let mut plan = fs::read_to_string(tenant.join("office.toml")).expect("the sample");
    for (from, to) in changes {
        assert!(plan.contains(from), "the sample has no {from}");
        plan = plan.replace(from, to);
    }
    fs::write(tenant.join("office.toml"), plan + more).expect("it is written");
    fs::write(tenant.join("expect.toml"), "schema = 1\n").expect("it is written");
}

/// `koukan check` of its configuration.
fn check(server: &Server) -> (bool, String) {
    let conf = server.directory.join("conf");
    let koukan = binary("koukan").expect("it is built");
    let Output { status, stdout, stderr } =
        Command::new(koukan).arg("check").arg(conf).output().expect("it runs");
    let words = [stdout, stderr].concat();
    (status.success(), String::from_utf8_lossy(&words).into_owned())
}

/// A file system of so many kilobytes on a directory: a disk that is soon full.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn on(directory: std::path::PathBuf, kilobytes: u32) -> Self {
        fs::create_dir_all(&directory).expect("a directory");
        let size = format!("size={kilobytes}k");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "koukan-small"]).arg(&directory);
        assert!(mount.status().expect("mount runs").success(), "the tests run as root");
        Self(directory)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whoever has a file in it open keeps it until then.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
