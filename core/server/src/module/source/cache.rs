//! Answers that hold for a while, by the module's own word.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use koukan_base::Time;
use koukan_switch::{CallerQuestion, Found};

use crate::limits;

/// Which build was asked what: its answers go with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    build: usize,
    tenant: Arc<str>,
    number: Arc<str>,
    called: Arc<str>,
}

impl Key {
    pub(crate) fn new(build: usize, lookup: &CallerQuestion) -> Self {
        let CallerQuestion { tenant, number, called, .. } = lookup;
        Self { build, tenant: tenant.clone(), number: number.clone(), called: called.clone() }
    }
}

/// Answers, and until when each holds.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    known: HashMap<Key, (Option<Found>, Time)>,
}

impl Cache {
    pub(crate) fn get(&self, now: Time, key: &Key) -> Option<Option<Found>> {
        let (found, until) = self.known.get(key)?;
        (now < *until).then(|| found.clone())
    }

    pub(crate) fn put(&mut self, now: Time, key: Key, found: Option<Found>, keep: Duration) {
        let keep = keep.min(LONGEST);
        if keep.is_zero() {
            return;
        }
        if self.known.len() >= limits::ANSWERS_KEPT && !self.known.contains_key(&key) {
            self.known.retain(|_, (_, until)| now < *until);
            if self.known.len() >= limits::ANSWERS_KEPT {
                self.known.clear();
            }
        }
        self.known.insert(key, (found, now + keep));
    }

    /// A build is gone, and what it knew.
    pub(crate) fn forget(&mut self, build: usize) {
        self.known.retain(|key, _| key.build != build);
    }
}

/// Whatever a module says: its data are of this day.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

#[cfg(test)]
mod tests {
    use super::*;

    fn key(build: usize, number: usize) -> Key {
        let number: Arc<str> = number.to_string().into();
        Key { build, tenant: "acme".into(), number, called: "".into() }
    }

    #[test]
    fn an_answer_holds_for_its_time_and_goes_with_its_build() {
        let (mut cache, now) = (Cache::default(), Time::from_millis(1_000));
        let second = Duration::from_secs(1);
        let found = Some(Found { name: Some("a".into()), refuse: None });
        cache.put(now, key(1, 1), found.clone(), second);
        cache.put(now, key(2, 1), None, second);
        cache.put(now, key(1, 2), None, Duration::ZERO);
        assert_eq!(cache.get(now, &key(1, 1)), Some(found));
        assert_eq!(cache.get(now, &key(2, 1)), Some(None), "that nothing is known is known");
        assert_eq!(cache.get(now, &key(1, 2)), None);
        assert_eq!(cache.get(now + second, &key(1, 1)), None);
        cache.forget(2);
        assert_eq!(cache.get(now, &key(2, 1)), None);
    }

    #[test]
    fn callers_without_end_take_no_memory_without_end() {
        let (mut cache, now) = (Cache::default(), Time::from_millis(1_000));
        for number in 0..3 * limits::ANSWERS_KEPT {
            cache.put(now, key(1, number), None, LONGEST);
            assert!(cache.known.len() <= limits::ANSWERS_KEPT);
        }
    }
}
