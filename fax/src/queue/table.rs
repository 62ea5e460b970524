//! How long a document waits after which kind of end (by the habits of fax services: a busy line is
//! free again later than a bad line is good again; a person who answered is not called over and
//! over).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::LONGEST_DELAY;
use crate::cause::Class;

/// Delays by class; the number of entries is the number of further attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryTable {
    /// After a busy line.
    pub busy: Vec<Duration>,
    /// After nobody answered.
    pub no_answer: Vec<Duration>,
    /// After a person or a voice machine answered.
    pub no_fax: Vec<Duration>,
    /// After the network or a trunk failed.
    pub network: Vec<Duration>,
    /// After the transmission failed.
    pub transmission: Vec<Duration>,
    /// After our own process failed.
    pub own: Vec<Duration>,
}

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

impl Default for RetryTable {
    fn default() -> Self {
        Self {
            busy: vec![minutes(5), minutes(5), minutes(15), minutes(40)],
            no_answer: vec![minutes(5), minutes(15), minutes(60)],
            no_fax: vec![minutes(5)],
            network: vec![minutes(1), minutes(5), minutes(15), minutes(30)],
            transmission: vec![minutes(1), minutes(1), minutes(3), minutes(5)],
            own: vec![Duration::from_secs(5), minutes(1), minutes(5)],
        }
    }
}

impl RetryTable {
    /// The delay before the next attempt after the `tried`-th end of a class, counted from 0;
    /// `None` when that is not tried again.
    #[must_use]
    pub fn delay(&self, class: Class, tried: usize) -> Option<Duration> {
        let delays = match class {
            Class::Busy => &self.busy,
            Class::NoAnswer => &self.no_answer,
            Class::NoFax => &self.no_fax,
            Class::Network => &self.network,
            Class::Transmission => &self.transmission,
            Class::Own => &self.own,
            Class::Done | Class::Final => return None,
        };
        delays.get(tried).map(|delay| (*delay).min(LONGEST_DELAY))
    }
}
