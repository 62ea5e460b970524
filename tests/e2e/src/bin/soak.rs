//! `cargo xtask soak [MINUTES]`: the mixed traffic against the server that was built beside this
//! program, with its account on standard output.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Duration;

use koukan_e2e::soak;

fn main() -> ExitCode {
    let minutes = std::env::args().nth(1).unwrap_or_else(|| "30".to_owned());
    let Some(length) = minutes.parse().ok().filter(|m: &f64| *m > 0.0 && *m < 100_000.0) else {
        eprintln!("usage: soak [MINUTES]");
        return ExitCode::FAILURE;
    };
    match soak::run(Duration::from_secs_f64(length * 60.0)) {
        Ok(report) => {
            println!("{}", report.text);
            for fault in &report.faults {
                println!("FAULT: {fault}");
            }
            if report.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("the soak cannot run: {error}");
            ExitCode::FAILURE
        }
    }
}
