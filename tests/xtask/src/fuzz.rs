//! Fuzzing on the stable compiler: `tests/fuzz` is built with LLVM's coverage counters, which
//! libFuzzer reads, and without a sanitizer (the workspace's parsers have no `unsafe`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::steps::{execute, target};
use crate::{deps, root};

/// What `cargo fuzz` hands to the compiler, without its sanitizer.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

/// `cargo xtask fuzz [TARGET] [SECONDS]`.
pub(crate) fn command(arguments: &[String]) -> Result<(), String> {
    let seconds = arguments.iter().find_map(|word| word.parse().ok()).unwrap_or(60);
    let time = Duration::from_secs(seconds);
    deps::install_for_tests()?;
    let Some(name) = arguments.iter().find(|word| word.parse::<u64>().is_err()) else {
        return all(time);
    };
    let known = targets()?;
    if !known.contains(name) {
        return Err(format!("no fuzz target {name}; there are {}", known.join(", ")));
    }
    build()?;
    fuzz(name, Run::For(time))
}

/// How far a run goes.
#[derive(Clone, Copy)]
enum Run {
    /// For so long, from what earlier runs found worth keeping.
    For(Duration),
    /// The same inputs every time: a test that fails on one machine fails on all.
    Same { inputs: u32 },
}

/// Every target, each on the same inputs every time.
pub(crate) fn test() -> Result<(), String> {
    build()?;
    targets()?.iter().try_for_each(|target| fuzz(target, Run::Same { inputs: 20_000 }))
}

/// Every target, each for `time`.
fn all(time: Duration) -> Result<(), String> {
    build()?;
    targets()?.iter().try_for_each(|target| fuzz(target, Run::For(time)))
}

fn directory() -> PathBuf {
    root().join("tests/fuzz")
}

/// The targets are the files of `fuzz_targets`.
fn targets() -> Result<Vec<String>, String> {
    let path = directory().join("fuzz_targets");
    let told = |error| format!("{}: {error}", path.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(&path).map_err(told)? {
        let file = entry.map_err(told)?.path();
        names.extend(file.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// Named to cargo, so that build scripts and macros are built without the counters.
fn triple() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

fn build() -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--release", "--locked", "--manifest-path", "tests/fuzz/Cargo.toml"])
        .args(["--target", &triple(), "--target-dir"])
        .arg(target().join("fuzz"))
        .env("RUSTFLAGS", COVERAGE)
        .current_dir(root());
    execute("building the fuzz targets", &mut command)
}

/// Runs one target on its seeds; says how many inputs it took, and everything when it fails.
fn fuzz(name: &str, run: Run) -> Result<(), String> {
    let (corpus, bound) = match run {
        Run::For(time) => ("corpus", vec![format!("-max_total_time={}", time.as_secs())]),
        Run::Same { inputs } => {
            ("artifacts/fresh", vec![format!("-runs={inputs}"), "-seed=1".to_owned()])
        }
    };
    let corpus = directory().join(corpus).join(name);
    let findings = directory().join("artifacts").join(name);
    if matches!(run, Run::Same { .. }) && corpus.exists() {
        fs::remove_dir_all(&corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
    }
    for path in [&corpus, &findings] {
        fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let program = target().join("fuzz").join(triple()).join("release").join(name);
    let mut command = Command::new(program);
    command
        .args(["-timeout=10", "-rss_limit_mb=1500", "-verbosity=0", "-print_final_stats=1"])
        .args(bound)
        .arg(format!("-artifact_prefix={}/", findings.display()))
        .arg(corpus)
        .args(seeds(name).filter(|path| path.is_dir()))
        .current_dir(root());
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let words = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{words}fuzz {name} failed; its input is in {}", findings.display()));
    }
    let inputs = words
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .unwrap_or("an unknown number of");
    println!("    fuzz {name}: {} inputs", inputs.trim());
    Ok(())
}

/// Where a target's inputs come from: its own directory, and the torture messages for SIP.
fn seeds(name: &str) -> impl Iterator<Item = PathBuf> {
    let messages = matches!(name, "message" | "framer").then(|| "core/sip/tests/data".into());
    let own = Path::new("tests/fuzz/seeds").join(name);
    messages.into_iter().chain([own]).map(|path: PathBuf| root().join(path))
}
