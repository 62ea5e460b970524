//! `sim [HOURS [SEED [OFFICES]]]`: a long run, and what it came to.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use koukan_sim::{Settings, run};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual: f64| match arguments.next() {
        Some(text) => text.parse().ok(),
        None => Some(usual),
    };
    let (Some(hours), Some(seed), Some(offices)) = (number(24.0), number(1.0), number(6.0)) else {
        eprintln!("usage: sim [HOURS [SEED [OFFICES]]]");
        return ExitCode::FAILURE;
    };
    let length = Duration::from_secs_f64(hours.max(0.0) * 3600.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let settings = Settings { offices: offices as u8, ..Settings::new(seed as u64, length) };
    let begin = Instant::now();
    match run(settings) {
        Ok(report) => {
            let took = begin.elapsed().as_secs_f64();
            let virtual_hours = report.length.as_secs_f64() / 3600.0;
            print!("{}", report.text());
            println!("  {took:.1} s, {:.2} virtual hours a second", virtual_hours / took);
            ExitCode::SUCCESS
        }
        Err(violation) => {
            eprint!("{}", violation.trace);
            eprintln!("{violation}\nagain by: cargo xtask sim {hours} {seed} {offices}");
            ExitCode::FAILURE
        }
    }
}
