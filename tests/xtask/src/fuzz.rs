//! Fuzzing on the stable compiler: `tests/fuzz` is built with LLVM's coverage counters, which
//! libFuzzer reads, and without a sanitizer (the workspace's parsers have no `unsafe`).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::deps;
use crate::failure::Failure;
use crate::step::{Step, root, target_directory};

/// What `cargo fuzz` hands to the compiler, without its sanitizer.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

/// `cargo xtask fuzz [TARGET] [SECONDS]`.
pub(crate) fn command(arguments: &[&str]) -> Result<(), Failure> {
    let seconds = arguments.iter().find_map(|word| word.parse().ok()).unwrap_or(60);
    let time = Duration::from_secs(seconds);
    deps::install(deps::TEST)?;
    match arguments.iter().find(|word| word.parse::<u64>().is_err()) {
        None => all(time),
        Some(name) => {
            let known = targets()?;
            if !known.iter().any(|target| target == name) {
                let (name, known) = ((*name).to_owned(), known.join(", "));
                return Err(Failure::NoTarget { name, known });
            }
            build()?;
            fuzz(name, time)
        }
    }
}

/// Every target, each for `time`.
pub(crate) fn all(time: Duration) -> Result<(), Failure> {
    build()?;
    targets()?.iter().try_for_each(|target| fuzz(target, time))
}

fn directory() -> PathBuf {
    root().join("tests/fuzz")
}

/// The targets are the files of `fuzz_targets`.
fn targets() -> Result<Vec<String>, Failure> {
    let path = directory().join("fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&path).map_err(Failure::file(&path))? {
        let file = entry.map_err(Failure::file(&path))?.path();
        names.extend(file.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// Named to cargo, so that build scripts and macros are built without the counters.
fn triple() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

fn build() -> Result<(), Failure> {
    Step::cargo("fuzz targets", &["build", "--release", "--locked"])
        .arguments(&["--manifest-path", "tests/fuzz/Cargo.toml", "--target", &triple()])
        .arguments(&[Path::new("--target-dir"), &target_directory().join("fuzz")])
        .variable("RUSTFLAGS", COVERAGE)
        .run()
}

/// Runs one target on its seeds and on what earlier runs found worth keeping.
fn fuzz(target: &str, time: Duration) -> Result<(), Failure> {
    let (corpus, findings) =
        (directory().join("corpus").join(target), directory().join("artifacts").join(target));
    for path in [&corpus, &findings] {
        fs::create_dir_all(path).map_err(Failure::file(path))?;
    }
    let seeds = match target {
        "message" | "framer" => root().join("core/sip/tests/data"),
        _ => directory().join("seeds").join(target),
    };
    let program = target_directory().join("fuzz").join(triple()).join("release").join(target);
    Step::new(&format!("fuzz {target}"), program, &["-timeout=10", "-rss_limit_mb=1500"])
        .arguments(&["-verbosity=0", "-print_final_stats=1"])
        .arguments(&[format!("-max_total_time={}", time.as_secs())])
        .arguments(&[format!("-artifact_prefix={}/", findings.display())])
        .arguments(&[corpus])
        .arguments(if seeds.is_dir() { std::slice::from_ref(&seeds) } else { &[] })
        .run()
}
