//! `cargo xtask`: the two commands of the README, `run` and `test`, and the parts they are made of.
#![forbid(unsafe_code)]

mod deps;
mod failure;
mod fuzz;
mod run;
mod secrets;
mod step;
mod test;
mod tidy;

use std::process::ExitCode;

use failure::Failure;
use step::{Step, root};

const USAGE: &str = "\
cargo xtask run [ARGUMENT...]          build the server and start it on conf/
cargo xtask test                       formatting, tidy, lints, unit, fuzz and end-to-end tests
cargo xtask tidy                       the house rules that a machine can check
cargo xtask e2e [FILTER...]            the end-to-end tests only
cargo xtask fuzz [TARGET] [SECONDS]    every fuzz target, or one; 60 seconds each
cargo xtask bench [NAME]               the benches
cargo xtask deps [run|test]            installs the Debian packages that are missing";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["run", rest @ ..] => run::run(rest),
        ["test"] => test::test(),
        ["tidy"] => tidy::check(&root()),
        ["e2e", filter @ ..] => test::end_to_end(filter),
        ["fuzz", rest @ ..] => fuzz::command(rest),
        ["bench", name @ ..] => Step::cargo("bench", &["bench", "--workspace", "--locked"])
            .arguments(&["--bench", "*", "--"])
            .arguments(name)
            .run(),
        ["deps"] | ["deps", "test"] => deps::install(deps::TEST),
        ["deps", "run"] => deps::install(deps::RUN),
        _ => Err(Failure::Usage(USAGE)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nFAILED: {failure}");
            ExitCode::FAILURE
        }
    }
}
