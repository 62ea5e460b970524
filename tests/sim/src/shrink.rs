//! A failing run made smaller: fewer faults, fewer offices, less time, as long as something still
//! fails. What is left is printed as a recipe that runs again, message for message.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::time::Duration;

use koukan_base::Time;

use crate::invariants::Violation;
use crate::report::Report;
use crate::run::run;
use crate::settings::{Planted, Settings};

/// A run that was made smaller.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// What still fails.
    pub settings: Settings,
    /// How.
    pub violation: Violation,
    /// Runs that it took.
    pub runs: u32,
}

/// Runs, with a panic as a violation.
///
/// # Errors
/// What did not hold.
pub fn survived(settings: &Settings) -> Result<Report, Box<Violation>> {
    let outcome = catch_unwind(AssertUnwindSafe(|| run(settings.clone())));
    outcome.unwrap_or_else(|fault| {
        let words = fault.downcast_ref::<String>().cloned();
        let words = words.or_else(|| fault.downcast_ref::<&str>().map(|&text| text.to_owned()));
        let words = format!("a panic: {}", words.unwrap_or_default());
        Err(Box::new(Violation { at: Time::ZERO, words, trace: String::new() }))
    })
}

/// Makes a failing run smaller, in at most `budget` runs; `None` when it does not fail.
#[must_use]
pub fn shrink(settings: &Settings, budget: u32) -> Option<Shrunk> {
    let violation = *survived(settings).err()?;
    let mut shrunk = Shrunk { settings: settings.clone(), violation, runs: 1 };
    loop {
        let before = shrunk.settings.clone();
        shrunk.fewer_offices(budget);
        shrunk.fewer_faults(budget);
        shrunk.less_time(budget);
        if shrunk.settings == before || shrunk.runs >= budget {
            return Some(shrunk);
        }
    }
}

impl Shrunk {
    /// Tries a smaller run; it is taken when it fails as well.
    fn tries(&mut self, settings: Settings, budget: u32) -> bool {
        if self.runs >= budget || settings == self.settings {
            return false;
        }
        self.runs = self.runs.saturating_add(1);
        match survived(&settings) {
            Ok(_) => false,
            Err(violation) => {
                (self.settings, self.violation) = (settings, *violation);
                true
            }
        }
    }

    fn fewer_offices(&mut self, budget: u32) {
        for offices in 1..self.settings.offices {
            if self.tries(Settings { offices, ..self.settings.clone() }, budget) {
                break;
            }
        }
    }

    fn less_time(&mut self, budget: u32) {
        for share in [2_u32, 4, 8] {
            loop {
                let length = self.settings.length;
                let shorter = Duration::from_secs((length - length / share).as_secs().max(1));
                if !self.tries(Settings { length: shorter, ..self.settings.clone() }, budget) {
                    break;
                }
            }
        }
    }

    /// Leaves out ever smaller pieces of the faults (delta debugging).
    fn fewer_faults(&mut self, budget: u32) {
        let most = u32::try_from(self.settings.length.as_millis()).unwrap_or(u32::MAX);
        let each = u32::try_from(self.settings.fault_every.as_millis()).unwrap_or(u32::MAX);
        // Twice as many as there are on average, and some.
        let count = most.checked_div(each.max(1)).unwrap_or(0).saturating_mul(2).saturating_add(8);
        let mut piece = count;
        while piece > 0 {
            let mut first = 0;
            while first < count {
                let last = first.saturating_add(piece).min(count);
                let mut settings = self.settings.clone();
                settings.without.extend(first..last);
                self.tries(settings, budget);
                first = last;
            }
            piece /= 2;
        }
    }
}

/// `seed=7 offices=1 seconds=150 pause=8 fault=10 audits=true without=0,3`.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let without: Vec<String> = self.without.iter().map(ToString::to_string).collect();
        write!(
            f,
            "seed={} offices={} seconds={} pause={} rest={} fault={} audits={} without={}",
            self.seed,
            self.offices,
            self.length.as_secs(),
            self.pause.as_secs(),
            self.rest_every.as_secs(),
            self.fault_every.as_secs(),
            self.audits,
            without.join(",")
        )?;
        match self.planted {
            Some(Planted::Forgets) => write!(f, " planted=forgets"),
            None => Ok(()),
        }
    }
}

impl FromStr for Settings {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut settings = Self::brief(0);
        for part in text.split_whitespace() {
            let wrong = || format!("\"{part}\" is no part of a recipe");
            let (key, value) = part.split_once('=').ok_or_else(wrong)?;
            let number = || value.parse::<u64>().map_err(|_| wrong());
            let seconds = || number().map(Duration::from_secs);
            match key {
                "seed" => settings.seed = number()?,
                "offices" => settings.offices = value.parse().map_err(|_| wrong())?,
                "seconds" => settings.length = seconds()?,
                "pause" => settings.pause = seconds()?,
                "rest" => settings.rest_every = seconds()?,
                "fault" => settings.fault_every = seconds()?,
                "audits" => settings.audits = value.parse().map_err(|_| wrong())?,
                "without" => {
                    let numbers = value.split(',').filter(|number| !number.is_empty());
                    let numbers: Result<_, _> = numbers.map(str::parse).collect();
                    settings.without = numbers.map_err(|_| wrong())?;
                }
                "planted" if value == "forgets" => settings.planted = Some(Planted::Forgets),
                _ => return Err(wrong()),
            }
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_is_read_as_it_was_written() {
        let mut settings = Settings::brief(77);
        settings.without = [1, 5, 9].into();
        settings.offices = 1;
        settings.planted = Some(Planted::Forgets);
        assert_eq!(settings.to_string().parse(), Ok(settings));
        for wrong in ["seed", "seed=x", "colour=red", "without=1,x", "planted=x"] {
            assert!(wrong.parse::<Settings>().is_err(), "{wrong}");
        }
    }
}
