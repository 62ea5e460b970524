//! Many brief runs, on every core: what they came to together.

use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::settings::Settings;
use crate::shrink::survived;

/// The account of many runs.
#[derive(Debug, Default)]
pub struct Many {
    /// Runs that held.
    pub passed: u64,
    /// Those that did not, by their settings.
    pub failed: Vec<Settings>,
    /// What did not hold in each of them.
    pub words: Vec<String>,
    /// Calls of all runs.
    pub calls: u64,
    /// Steps of their clocks, each with every invariant behind it.
    pub steps: u64,
    /// Virtual time.
    pub length: Duration,
    /// What happened how often, of what goes wrong by itself.
    pub faults: Vec<(&'static str, u64)>,
    /// Wall time.
    pub took: Duration,
}

impl Many {
    /// The account for people.
    #[must_use]
    pub fn text(&self) -> String {
        let hours = self.length.as_secs_f64() / 3600.0;
        let took = self.took.as_secs_f64();
        let faults = self.faults.iter().map(|(what, count)| format!("{what} {count}"));
        let mut text = format!(
            "{} seeds held, {} did not; {hours:.0} virtual hours in {took:.1} s \
             ({:.1} a second), {} calls, {} steps with every invariant behind each\n  {}",
            self.passed,
            self.failed.len(),
            hours / took,
            self.calls,
            self.steps,
            faults.collect::<Vec<String>>().join(", ")
        );
        for (settings, words) in self.failed.iter().zip(&self.words) {
            text.push_str(&format!("\n  {settings}: {words}"));
        }
        text
    }
}

/// What goes wrong by itself, of the counts of a run.
const FAULTS: [&str; 8] = [
    "restarts",
    "store failures",
    "module panics",
    "phones vanished",
    "carriers vanished",
    "storms",
    "calls killed",
    "plans loaded",
];

/// Failing runs of which words are kept.
const WORDS: usize = 20;

/// Runs every seed of the range.
#[must_use]
pub fn many(seeds: RangeInclusive<u64>) -> Many {
    let begin = Instant::now();
    let next = AtomicU64::new(*seeds.start());
    let outcome = Mutex::new(Many::default());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if !seeds.contains(&seed) {
                        break;
                    }
                    let settings = Settings::of_many(seed);
                    let run = survived(&settings);
                    // Nothing panics while it is held.
                    let Ok(mut outcome) = outcome.lock() else { break };
                    outcome.add(settings, run);
                }
            });
        }
    });
    let mut outcome = outcome.into_inner().unwrap_or_default();
    outcome.failed.sort_by_key(|settings| settings.seed);
    outcome.took = begin.elapsed();
    outcome
}

impl Many {
    fn add(&mut self, settings: Settings, run: Result<crate::Report, Box<crate::Violation>>) {
        match run {
            Ok(report) => {
                self.passed += 1;
                self.calls += report.calls;
                self.steps += report.steps;
                self.length += report.length;
                for what in FAULTS {
                    let count = report.count(what);
                    match self.faults.iter_mut().find(|(known, _)| *known == what) {
                        Some((_, sum)) => *sum += count,
                        None => self.faults.push((what, count)),
                    }
                }
            }
            Err(violation) => {
                if self.words.len() < WORDS {
                    self.words.push(violation.to_string());
                }
                self.failed.push(settings);
            }
        }
    }
}
