//! A step: one program, announced before it runs, with its time behind it.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::failure::Failure;

/// The root of the source tree.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_owned()
}

/// Where cargo puts what it builds.
pub(crate) fn target_directory() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(path) => root().join(path),
        None => root().join("target"),
    }
}

/// A program that is about to run in the root of the source tree.
pub(crate) struct Step {
    name: String,
    command: Command,
}

impl Step {
    pub(crate) fn new(name: &str, program: impl AsRef<OsStr>, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.current_dir(root()).args(arguments);
        Self { name: name.to_owned(), command }
    }

    /// The cargo that runs us.
    pub(crate) fn cargo(name: &str, arguments: &[&str]) -> Self {
        Self::new(name, env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), arguments)
    }

    pub(crate) fn arguments<S: AsRef<OsStr>>(mut self, arguments: &[S]) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        let words: Vec<_> = std::iter::once(self.command.get_program())
            .chain(self.command.get_args())
            .map(OsStr::to_string_lossy)
            .collect();
        let command = words.join(" ").replace(&format!("{}/", root().display()), "");
        announce(&format!("{}: {command}", self.name));
        let start = Instant::now();
        let step = self.name.clone();
        match self.command.status() {
            Ok(status) if status.success() => {
                println!("── {step}: done in {:.1} s", start.elapsed().as_secs_f64());
                Ok(())
            }
            Ok(status) => Err(Failure::Step { step, command, status }),
            Err(error) => Err(Failure::Start { step, command, error }),
        }
    }
}

/// A line that stands out of a step's own output.
pub(crate) fn announce(words: &str) {
    println!("\n── {words}");
}
