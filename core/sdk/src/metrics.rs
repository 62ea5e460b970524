//! A module's own counters and gauges, in the server's `/metrics` and with its builds.

use std::fmt;

use crate::session::Session;
use crate::{Background, Call};

/// A counter: it only grows. One of a host that counts nothing counts nothing.
#[derive(Clone, Copy)]
pub struct Counter<'c> {
    session: &'c Session,
    number: Option<u32>,
}

impl Counter<'_> {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more; neither allocates nor locks.
    pub fn add(&self, by: u32) {
        if let Some(number) = self.number {
            self.session.host().add_metric(number, by);
        }
    }
}

/// A gauge: it says how many there are.
#[derive(Clone, Copy)]
pub struct Gauge<'c> {
    session: &'c Session,
    number: Option<u32>,
}

impl Gauge<'_> {
    /// Sets it.
    pub fn set(&self, value: i64) {
        if let Some(number) = self.number {
            self.session.host().set_metric(number, value);
        }
    }
}

macro_rules! metrics {
    ($of:ty) => {
        impl $of {
            /// The module's counter of this name: 1 to 48 of a-z, 0-9 and `_`, at most 64 of
            /// them and gauges together. A name that is none counts nothing and is told in the log.
            #[must_use]
            pub fn counter(&self, name: &str, help: &str) -> Counter<'_> {
                let number = self.session.metric(true, name, help);
                Counter { session: &self.session, number }
            }

            /// The module's gauge of this name.
            #[must_use]
            pub fn gauge(&self, name: &str, help: &str) -> Gauge<'_> {
                let number = self.session.metric(false, name, help);
                Gauge { session: &self.session, number }
            }
        }
    };
}

metrics!(Call);
metrics!(Background);

impl fmt::Debug for Counter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counter").field("number", &self.number).finish_non_exhaustive()
    }
}

impl fmt::Debug for Gauge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gauge").field("number", &self.number).finish_non_exhaustive()
    }
}
