//! `cargo xtask test`: everything that must hold, cheapest first, up to the first failure. All
//! steps of the workspace share one profile and one target directory.

use std::time::{Duration, Instant};

use crate::deps;
use crate::failure::Failure;
use crate::fuzz;
use crate::step::{Step, announce, root};
use crate::tidy;

/// How long each fuzz target runs here; a nightly run takes `cargo xtask fuzz`.
const FUZZ_TIME: Duration = Duration::from_secs(5);

/// All of it.
pub(crate) fn test() -> Result<(), Failure> {
    let start = Instant::now();
    deps::install(deps::TEST)?;
    Step::cargo("formatting", &["fmt", "--all", "--check"]).run()?;
    announce("tidy: the house rules");
    tidy::check(&root())?;
    Step::cargo("lints", &["clippy", "--workspace", "--all-targets", "--locked"])
        .arguments(&["--", "-D", "warnings"])
        .run()?;
    build()?;
    Step::cargo("unit tests", &["test", "--workspace", "--locked"])
        .arguments(&["--exclude", "koukan-e2e"])
        .run()?;
    fuzz::all(FUZZ_TIME)?;
    end_to_end_tests(&[])?;
    announce(&format!("all tests passed in {:.0} s", start.elapsed().as_secs_f64()));
    Ok(())
}

/// The end-to-end tests alone.
pub(crate) fn end_to_end(filter: &[&str]) -> Result<(), Failure> {
    deps::install(deps::TEST)?;
    build()?;
    end_to_end_tests(filter)
}

/// The server and its modules, which the end-to-end tests look for beside themselves.
fn build() -> Result<(), Failure> {
    Step::cargo("build", &["build", "--workspace", "--locked"]).run()
}

fn end_to_end_tests(filter: &[&str]) -> Result<(), Failure> {
    Step::cargo("end-to-end tests", &["test", "--locked", "-p", "koukan-e2e", "--"])
        .arguments(filter)
        .run()
}
