//! `cargo xtask soak [MINUTES]`: the mixed traffic against the server that was built beside this
//! program, with its account on standard output. `soak kill [MINUTES [SEED]]`: with `kill -9` once
//! a minute on average, and what was acknowledged held against what is there.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Duration;

use koukan_e2e::{killing, soak};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let kills = arguments.first().is_some_and(|word| word == "kill");
    let mut numbers = arguments.iter().skip(usize::from(kills)).map(|word| word.parse::<f64>());
    let mut number = |usual| numbers.next().unwrap_or(Ok(usual)).ok();
    let fits = |minutes: &f64| *minutes > 0.0 && *minutes < 100_000.0;
    let (Some(minutes), Some(seed)) = (number(30.0).filter(fits), number(1.0)) else {
        eprintln!("usage: soak [MINUTES] | soak kill [MINUTES [SEED]]");
        return ExitCode::FAILURE;
    };
    let length = Duration::from_secs_f64(minutes * 60.0);
    let outcome = if kills {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let report = killing::run(length, Duration::from_secs(60), seed as u64);
        report.map(|report| (report.text, report.faults))
    } else {
        soak::run(length).map(|report| (report.text, report.faults))
    };
    match outcome {
        Ok((text, faults)) => {
            println!("{text}");
            faults.iter().for_each(|fault| println!("FAULT: {fault}"));
            if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("the soak cannot run: {error}");
            ExitCode::FAILURE
        }
    }
}
