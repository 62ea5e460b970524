//! The steps of each command, announced one by one with the time that they took.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use crate::{deps, fuzz, root, secrets, tidy};

/// End-to-end tests mostly wait for timers of the protocol; so many wait side by side.
const E2E_THREADS: &str = "4";

/// The server, its process for faxes, and the modules that fill the roles of the sample.
fn packages() -> Vec<&'static str> {
    const MODULES: [&str; 5] = [
        "koukan-announcements",
        "koukan-callers",
        "koukan-cdr",
        "koukan-recording",
        "koukan-voicemail",
    ];
    ["koukan", "koukan-faxworker"]
        .into_iter()
        .chain(MODULES)
        .flat_map(|package| ["--package", package])
        .collect()
}

/// Builds the server and becomes it, so that Ctrl-C and signals reach it alone.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    deps::install(deps::RUN)?;
    let made = secrets::generate(&root().join("conf/tenants"))?;
    if made > 0 {
        println!("==> made {made} passwords for the sample's phones");
    }
    let packages = packages();
    let build = [["build", "--release", "--locked"].as_slice(), packages.as_slice()].concat();
    cargo("building", &build)?;
    let server = target().join("release/koukan");
    let mut command = Command::new(&server);
    command.arg("run").args(arguments).current_dir(root());
    // Only a failure comes back.
    let error = command.exec();
    Err(format!("{} cannot be started: {error}", server.display()))
}

/// Everything that a change must pass.
pub(crate) fn test() -> Result<(), String> {
    unit()?;
    fuzz::test()?;
    e2e(&[])
}

/// All but what needs other people's phones and a build of its own.
pub(crate) fn unit() -> Result<(), String> {
    deps::install_for_tests()?;
    deps::components()?;
    cargo("formatting", &["fmt", "--all", "--check"])?;
    tidy()?;
    let lints = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    cargo("lints", &lints)?;
    documentation()?;
    cargo("building", &["build", "--workspace", "--all-targets", "--locked"])?;
    let tests = ["test", "--workspace", "--locked", "--exclude", "koukan-e2e"];
    cargo("unit tests", &[tests.as_slice(), &["--no-fail-fast"]].concat())
}

pub(crate) fn e2e(filter: &[String]) -> Result<(), String> {
    deps::install_for_tests()?;
    cargo("building", &["build", "--workspace", "--locked"])?;
    let tests = ["test", "--locked", "--package", "koukan-e2e", "--no-fail-fast", "--"];
    let filter: Vec<&str> = filter.iter().map(String::as_str).collect();
    // What was measured is worth reading when all is well too: the table of clients above all.
    let threads = ["--test-threads", E2E_THREADS, "--show-output"];
    let all = [tests.as_slice(), filter.as_slice(), threads.as_slice()].concat();
    cargo("end-to-end tests", &all)
}

pub(crate) fn soak(arguments: &[String]) -> Result<(), String> {
    deps::install_for_tests()?;
    let packages = packages();
    let build = ["build", "--release", "--locked", "--package", "koukan-e2e"];
    cargo("building", &[build.as_slice(), &packages].concat())?;
    let soak = target().join("release/soak");
    execute("soak", Command::new(soak).args(arguments).current_dir(root()))
}

pub(crate) fn sim(arguments: &[String]) -> Result<(), String> {
    cargo("building", &["build", "--release", "--locked", "--package", "koukan-sim"])?;
    let sim = target().join("release/sim");
    execute("simulation", Command::new(sim).args(arguments).current_dir(root()))
}

pub(crate) fn features(seeds: &[String]) -> Result<(), String> {
    let seeds = seeds.first().map_or("1-100", String::as_str);
    // A seed takes a second as the tests are built anyway: no other build is worth its time.
    let test = ["test", "--locked", "--package", "koukan-switch"];
    let which = ["--test", "features", "--", "--nocapture", "leave_every_leg"];
    let mut command = Command::new("cargo");
    command.args(test).args(which).env("KOUKAN_SEEDS", seeds).current_dir(root());
    execute("features", &mut command)
}

pub(crate) fn faxloss(runs: &[String]) -> Result<(), String> {
    deps::install_for_tests()?;
    let runs = runs.first().map_or("20", String::as_str);
    let test = ["test", "--release", "--locked", "--package", "koukan-faxworker"];
    let which = ["--test", "loss", "--", "--nocapture"];
    let mut command = Command::new("cargo");
    command.args(test).args(which).env("KOUKAN_RUNS", runs).current_dir(root());
    execute("faxes that lose", &mut command)
}

pub(crate) fn tidy() -> Result<(), String> {
    step("tidy", || {
        let findings = tidy::check(&root())?;
        if findings.is_empty() { Ok(()) } else { Err(findings.join("\n")) }
    })
}

pub(crate) fn bench(names: &[String]) -> Result<(), String> {
    deps::install_for_tests()?;
    deps::install_for_benches()?;
    cargo("building", &["build", "--release", "--workspace", "--locked"])?;
    let bench = target().join("release/koukan-bench");
    execute("bench", Command::new(bench).args(names).current_dir(root()))
}

fn documentation() -> Result<(), String> {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["doc", "--workspace", "--no-deps", "--locked", "--quiet"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .current_dir(root());
    execute("documentation", &mut command)
}

pub(crate) fn cargo(name: &str, arguments: &[&str]) -> Result<(), String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    execute(name, Command::new(cargo).args(arguments).current_dir(root()))
}

pub(crate) fn execute(name: &str, command: &mut Command) -> Result<(), String> {
    step(name, || {
        let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("{name} failed ({status})")) }
    })
}

fn step(name: &str, body: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    println!("==> {name}");
    let begin = Instant::now();
    let outcome = body();
    println!("    {name}: {:.1} s", begin.elapsed().as_secs_f64());
    outcome
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    let set = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    set.map_or_else(|| root().join("target"), |directory| root().join(directory))
}
