//! What a run is made of.

use std::collections::BTreeSet;
use std::time::Duration;

/// The size and length of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What everything that happens follows from.
    pub seed: u64,
    /// How much virtual time has traffic; the last rest comes on top.
    pub length: Duration,
    /// Offices of six phones and a carrier each; 1 to 50.
    pub offices: u8,
    /// How long a phone does nothing between two deeds, on average, in office hours.
    pub pause: Duration,
    /// After so much traffic everybody rests and every table must be empty.
    pub rest_every: Duration,
    /// One fault in so long, on average.
    pub fault_every: Duration,
    /// Faults, by their numbers in the run, that do not happen: the rest of it stays as it is.
    pub without: BTreeSet<u32>,
    /// The switch's tables are held against each other after every step.
    pub audits: bool,
    /// A fault of the server's that is put there on purpose, for tests of the simulation itself.
    pub planted: Option<Planted>,
}

/// What a server may do wrong that nobody sees at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// The store says of every third registration that it is safe, and does not keep it.
    Forgets,
}

/// One seed of so many is a long run.
const LONG_EVERY: u64 = 50;

impl Settings {
    /// Six offices as busy as a call centre, with a rest every three hours.
    #[must_use]
    pub const fn new(seed: u64, length: Duration) -> Self {
        Self {
            seed,
            length,
            offices: 6,
            pause: Duration::from_secs(60),
            rest_every: Duration::from_secs(3 * 3600),
            fault_every: Duration::from_secs(45),
            without: BTreeSet::new(),
            audits: false,
            planted: None,
        }
    }

    /// One of many: brief, and of every fiftieth seed as long as three rests and in three offices.
    #[must_use]
    pub fn of_many(seed: u64) -> Self {
        let brief = Self::brief(seed);
        if !seed.is_multiple_of(LONG_EVERY) {
            return brief;
        }
        Self { offices: 3, length: brief.length.saturating_mul(3), ..brief }
    }

    /// Two offices busier than any for some minutes, with a fault in every ten seconds, and
    /// everything held against everything else after every step: one of a thousand.
    #[must_use]
    pub fn brief(seed: u64) -> Self {
        let length = Duration::from_secs(150);
        Self {
            offices: 2,
            pause: Duration::from_secs(8),
            rest_every: length,
            fault_every: Duration::from_secs(10),
            audits: true,
            ..Self::new(seed, length)
        }
    }
}
