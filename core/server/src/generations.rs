//! The generations of the plans: the one in force, and those before it that a rollback brings back.
//! They share what did not change between them. Running calls hold what they were decided by.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use koukan_switch::Directory;

use crate::api::GenerationInfo;
use crate::limits;

/// Plans and secrets as they were taken at one moment.
#[derive(Clone, Debug)]
pub struct Generation {
    number: u64,
    what: String,
    since: Timestamp,
    /// What was in force.
    pub directory: Arc<Directory>,
}

/// All that are kept.
#[derive(Debug)]
pub struct Generations {
    current: Generation,
    /// The latest last.
    before: VecDeque<Generation>,
    /// The highest number that was given.
    last: u64,
}

impl Generations {
    /// The first: what the server started with.
    #[must_use]
    pub fn new(directory: Arc<Directory>, since: Timestamp) -> Self {
        let current = Generation { number: 1, what: "start".to_owned(), since, directory };
        Self { current, before: VecDeque::new(), last: 1 }
    }

    /// What is in force.
    #[must_use]
    pub const fn current(&self) -> &Generation {
        &self.current
    }

    /// A new one is in force; the oldest beyond the bound is forgotten.
    pub fn push(&mut self, directory: Arc<Directory>, what: String, since: Timestamp) {
        self.last = self.last.saturating_add(1);
        let new = Generation { number: self.last, what, since, directory };
        self.before.push_back(std::mem::replace(&mut self.current, new));
        if self.before.len() > limits::GENERATIONS {
            self.before.pop_front();
        }
    }

    /// The one before, when there is one.
    #[must_use]
    pub fn last_before(&self) -> Option<&Generation> {
        self.before.back()
    }

    /// The one before is in force again, and what was in force is gone.
    pub fn step_back(&mut self, since: Timestamp) {
        if let Some(last) = self.before.pop_back() {
            self.current = Generation { since, ..last };
        }
    }

    /// For people: the one in force first.
    #[must_use]
    pub fn list(&self) -> Vec<GenerationInfo> {
        let all = std::iter::once(&self.current).chain(self.before.iter().rev());
        let info = |generation: &Generation| GenerationInfo {
            number: generation.number,
            what: generation.what.clone(),
            since: generation.since,
            tenants: generation.directory.plans.tenants().count(),
        };
        all.map(info).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_back_brings_the_one_before_and_old_ones_are_forgotten() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut kept = Generations::new(Arc::default(), at(0));
        let first = Arc::clone(&kept.current().directory);
        assert!(kept.last_before().is_none());
        kept.push(Arc::default(), "reload".to_owned(), at(1));
        assert!(Arc::ptr_eq(&kept.last_before().unwrap().directory, &first));
        kept.step_back(at(2));
        assert!(Arc::ptr_eq(&kept.current().directory, &first));
        assert_eq!((kept.list()[0].number, kept.list()[0].since), (1, at(2)));
        for second in 3..20 {
            kept.push(Arc::default(), "reload".to_owned(), at(second));
        }
        assert_eq!(kept.list().len(), limits::GENERATIONS + 1);
        assert_eq!(kept.list()[0].number, 19);
    }
}
