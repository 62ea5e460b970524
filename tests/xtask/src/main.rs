//! The project's commands, as `USAGE` names them. They install what they need.
#![forbid(unsafe_code)]

mod deb;
mod deps;
mod fuzz;
mod new_module;
mod secrets;
mod steps;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  run [ARGUMENT…]   install what is missing, make the sample's secrets, build, start on conf/
  test              formatting, tidy, lints, documentation, unit, fuzz and end-to-end tests
  unit              the same without the end-to-end tests
  e2e [FILTER…]     only the end-to-end tests
  soak [MINUTES]    mixed traffic against the release server (30 minutes), memory over time
  soak kill [MINUTES [SEED]]  killed every minute: what it acknowledged must be there
  sim [HOURS [SEED]]        mixed traffic on a virtual clock (24 hours), memory over time
  sim seeds FIRST-LAST      many brief runs with faults; a failing one is made smaller
  features [FIRST-LAST]     a thousand random operations of fifty phones a seed (1-100)
  faxloss [RUNS]    faxes over networks that lose, on a virtual clock (20 of each loss)
  new-module NAME [ROOT]    a module that builds, loads and is tested, in modules/NAME
  tidy              only the rules of the house
  fuzz [TARGET] [SECONDS]   every fuzz target, or one; 60 seconds each
  bench [NAME…]     figures: quality, receivers, dtmf, relay, beside, transcode, rooms, recordings,
                    steady, overload, start, memory, calls, signalling, storm, lamps, faxes
  deb [--debug] [--try]     the Debian package; --try uses it in clean roots
  deps              only install what `test` needs
";

/// The root of the source tree.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_path_buf()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("", Default::default()),
    };
    let outcome = match command {
        "run" => steps::run(rest),
        "test" => steps::test(),
        "unit" => steps::unit(),
        "e2e" => steps::e2e(rest),
        "soak" => steps::soak(rest),
        "sim" => steps::sim(rest),
        "features" => steps::features(rest),
        "faxloss" => steps::faxloss(rest),
        "new-module" => match rest {
            [name] => new_module::create(&root(), name),
            [name, root] => new_module::create(Path::new(root), name),
            _ => Err(USAGE.to_owned()),
        },
        "tidy" => steps::tidy(),
        "fuzz" => fuzz::command(rest),
        "bench" => steps::bench(rest),
        "deb" => deb::command(rest),
        "deps" => deps::install_for_tests(),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) => {
            eprintln!("{words}");
            ExitCode::FAILURE
        }
    }
}
