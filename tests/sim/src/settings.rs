//! What a run is made of.

use std::time::Duration;

/// The size and length of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

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
        }
    }
}
