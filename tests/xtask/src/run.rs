//! `cargo xtask run`: from a fresh checkout to a running server on `conf/`.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::deps;
use crate::failure::Failure;
use crate::secrets;
use crate::step::{Step, announce, root, target_directory};

/// Packages, secrets, build, and the server in our place: Ctrl-C reaches it alone, and it says
/// itself where it listens, which accounts there are and how a phone registers.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Failure> {
    deps::install(deps::RUN)?;
    for path in secrets::make(&root().join("conf/tenants"))? {
        println!("made a password: {}", path.display());
    }
    let packages = ["-p", "koukan", "-p", "koukan-announcements"];
    Step::cargo("build", &["build", "--release", "--locked"]).arguments(&packages).run()?;
    let server = target_directory().join("release/koukan");
    let command = format!("{} run {}", server.display(), arguments.join(" "));
    announce(command.trim_end());
    // `exec` returns only when it failed.
    let error = Command::new(&server).current_dir(root()).arg("run").args(arguments).exec();
    Err(Failure::Start { step: "server".to_owned(), command, error })
}
