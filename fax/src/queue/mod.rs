//! The queue's rules for one document (S-36): when it is tried again after which end, from which
//! page on, and with what made easier. Only what the other machine confirmed counts as sent
//! (T.30: MCF), so an attempt begins at the first page that was not.
//!
//! Pure: the time is handed in, the calls are made elsewhere, each through the outbound gate.

mod easier;
mod table;

use std::time::Duration;

use koukan_base::Time;
use serde::{Deserialize, Serialize};

pub use easier::{Easier, Rate};
pub use table::RetryTable;

use crate::cause::{Cause, Class};

/// Where a document stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pages: u32,
    confirmed: u32,
    /// Attempts after the first that are left (S-36).
    retries_left: u32,
    table: RetryTable,
    /// Attempts of each class since the last page went through.
    tried: Vec<(Class, usize)>,
    easier: Easier,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// The next attempt is due then.
    Waiting {
        due: Time,
    },
    /// A call is made or runs.
    Running,
    Over {
        cause: Cause,
    },
}

/// What of a document's state outlives the process that sends it; a table of delays and the time of
/// the next attempt are kept beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    pages: u32,
    confirmed: u32,
    retries_left: u32,
    tried: Vec<(Class, usize)>,
    easier: Easier,
}

impl Saved {
    /// Pages that were confirmed before the attempt that ran, if one did.
    #[must_use]
    pub const fn confirmed(&self) -> u32 {
        self.confirmed
    }
}

/// What an attempt is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The first page to send, counted from 1.
    pub first_page: u32,
    /// How.
    pub easier: Easier,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Why.
    pub cause: Cause,
    /// Pages that were confirmed in this attempt.
    pub confirmed: u32,
    /// The attempt went by T.38, not by audio.
    pub by_t38: bool,
}

/// What follows from an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// All pages are there.
    Done,
    /// Again, then.
    Again {
        /// When.
        due: Time,
    },
    /// No more attempts; some pages may be there.
    Failed {
        /// Why the last one failed.
        cause: Cause,
    },
}

impl Job {
    /// A document of so many pages, due at once.
    #[must_use]
    pub fn new(now: Time, pages: u32, retries: u32, table: RetryTable) -> Self {
        let state = State::Waiting { due: now };
        let easier = Easier::default();
        let tried = Vec::new();
        Self { pages, confirmed: 0, retries_left: retries, table, tried, easier, state }
    }

    /// What is to be kept of it.
    #[must_use]
    pub fn save(&self) -> Saved {
        let Self { pages, confirmed, retries_left, easier, .. } = *self;
        Saved { pages, confirmed, retries_left, tried: self.tried.clone(), easier }
    }

    /// A document that another process has left, with its next attempt due then.
    #[must_use]
    pub fn restore(saved: Saved, table: RetryTable, due: Time) -> Self {
        let Saved { pages, confirmed, retries_left, tried, easier } = saved;
        // What stands in the store was written by us, and is not believed all the same.
        let confirmed = confirmed.min(pages);
        let state = State::Waiting { due };
        Self { pages, confirmed, retries_left, table, tried, easier, state }
    }

    /// When the next attempt is due; none while one runs or when it is over.
    #[must_use]
    pub fn due(&self) -> Option<Time> {
        match self.state {
            State::Waiting { due } => Some(due),
            State::Running | State::Over { .. } => None,
        }
    }

    /// Begins the attempt that is due; `None` when none is.
    pub fn begin(&mut self, now: Time) -> Option<Attempt> {
        match self.state {
            State::Waiting { due } if due <= now => {
                self.state = State::Running;
                Some(Attempt { first_page: self.confirmed + 1, easier: self.easier })
            }
            State::Waiting { .. } | State::Running | State::Over { .. } => None,
        }
    }

    /// The attempt that ran has ended. Pages beyond those that there are count as those.
    pub fn ended(&mut self, now: Time, ended: Ended) -> Next {
        if let State::Over { cause } = self.state {
            return Self::finished(cause);
        }
        let left = self.pages - self.confirmed;
        let confirmed = ended.confirmed.min(left);
        self.confirmed += confirmed;
        if self.confirmed == self.pages || ended.cause == Cause::Done {
            // T.30 may end badly after the last page was confirmed: the document is there.
            self.confirmed = self.pages;
            return self.over(Cause::Done);
        }
        let class = ended.cause.class();
        if confirmed > 0 {
            self.tried.clear();
        }
        let tried = self.count(class);
        let Some(delay) = self.table.delay(class, tried).filter(|_| self.retries_left > 0) else {
            return self.over(ended.cause);
        };
        self.retries_left -= 1;
        if class == Class::Transmission && confirmed == 0 {
            self.easier = self.easier.next(ended.cause, ended.by_t38);
        }
        let due = now + delay;
        self.state = State::Waiting { due };
        Next::Again { due }
    }

    /// Somebody does not want it sent any more; what runs is to be hung up.
    pub fn cancel(&mut self) -> Next {
        match self.state {
            State::Over { cause } => Self::finished(cause),
            State::Waiting { .. } | State::Running => self.over(Cause::Cancelled),
        }
    }

    /// Pages of the document, and those of them that were confirmed.
    #[must_use]
    pub const fn pages(&self) -> (u32, u32) {
        (self.pages, self.confirmed)
    }

    fn over(&mut self, cause: Cause) -> Next {
        self.state = State::Over { cause };
        Self::finished(cause)
    }

    fn finished(cause: Cause) -> Next {
        if cause == Cause::Done { Next::Done } else { Next::Failed { cause } }
    }

    /// Counts an attempt of a class; says how many there were before.
    fn count(&mut self, class: Class) -> usize {
        if let Some((_, count)) = self.tried.iter_mut().find(|(known, _)| *known == class) {
            *count += 1;
            return *count - 1;
        }
        self.tried.push((class, 1));
        0
    }
}

/// The longest time that a document waits for its next attempt.
pub const LONGEST_DELAY: Duration = Duration::from_secs(24 * 3_600);

#[cfg(test)]
mod tests;
