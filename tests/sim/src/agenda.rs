//! What is to happen when.

use std::collections::BTreeMap;

use koukan_base::Time;

/// Things by their time; what has the same time happens in the order in which it was planned.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    entries: BTreeMap<(Time, u64), T>,
    count: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), count: 0 }
    }
}

impl<T> Agenda<T> {
    pub(crate) fn add(&mut self, at: Time, thing: T) {
        self.count = self.count.wrapping_add(1);
        self.entries.insert((at, self.count), thing);
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.entries.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next thing whose time has come.
    pub(crate) fn due(&mut self, now: Time) -> Option<T> {
        let entry = self.entries.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.entries.retain(|_, thing| keep(thing));
    }

    pub(crate) fn has(&self, fits: impl Fn(&T) -> bool) -> bool {
        self.entries.values().any(fits)
    }
}
