//! `sim [HOURS [SEED [OFFICES]]]`: a long run, and what it came to. `sim seeds FIRST-LAST`: many
//! brief ones, the failing made smaller. `sim again RECIPE`: one of those as it was printed.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use koukan_sim::{Settings, many, shrink, survived};

const USAGE: &str = "usage: sim [HOURS [SEED [OFFICES]]] | sim seeds FIRST-LAST | sim again RECIPE";

/// Runs that are spent on making a failing one smaller.
const BUDGET: u32 = 300;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((first, rest)) if first == "seeds" => seeds(rest),
        Some((first, rest)) if first == "again" => again(&rest.join(" ")),
        _ => long(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) => {
            eprintln!("{words}");
            ExitCode::FAILURE
        }
    }
}

fn long(arguments: &[String]) -> Result<(), String> {
    let mut arguments = arguments.iter();
    let mut number = |usual: f64| match arguments.next() {
        Some(text) => text.parse().map_err(|_| USAGE.to_owned()),
        None => Ok(usual),
    };
    let (hours, seed, offices) = (number(24.0)?, number(1.0)?, number(6.0)?);
    let length = Duration::from_secs_f64(hours.max(0.0) * 3600.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let settings = Settings { offices: offices as u8, ..Settings::new(seed as u64, length) };
    let begin = Instant::now();
    match survived(&settings) {
        Ok(report) => {
            let took = begin.elapsed().as_secs_f64();
            let virtual_hours = report.length.as_secs_f64() / 3600.0;
            print!("{}", report.text());
            println!("  {took:.1} s, {:.2} virtual hours a second", virtual_hours / took);
            Ok(())
        }
        Err(violation) => Err(format!(
            "{}{violation}\nagain by: cargo xtask sim {hours} {seed} {offices}",
            violation.trace
        )),
    }
}

fn seeds(arguments: &[String]) -> Result<(), String> {
    let range = arguments.first().and_then(|range| range.split_once('-'));
    let numbers = range.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    let (first, last) = numbers.ok_or_else(|| USAGE.to_owned())?;
    let outcome = many(first..=last);
    println!("{}", outcome.text());
    let Some(settings) = outcome.failed.first() else { return Ok(()) };
    let Some(shrunk) = shrink(settings, BUDGET) else {
        return Err(format!("{settings} failed once and does not again: it is not all its seed's"));
    };
    Err(format!(
        "{}{}\nmade smaller in {} runs; again by: cargo xtask sim again {}",
        shrunk.violation.trace, shrunk.violation, shrunk.runs, shrunk.settings
    ))
}

fn again(recipe: &str) -> Result<(), String> {
    let settings: Settings = recipe.parse()?;
    match survived(&settings) {
        Ok(report) => {
            print!("{}", report.text());
            Ok(())
        }
        Err(violation) => Err(format!("{}{violation}", violation.trace)),
    }
}
