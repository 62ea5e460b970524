//! A build's own counters and gauges (`kk.metrics/1`). A name is looked for under a lock, once; an
//! increment is one atomic addition.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use koukan_abi::{Status, status};

use crate::api::ModuleMetric;
use crate::limits;

/// What a place holds; 0 is nothing yet.
const COUNTER: u8 = 1;
const GAUGE: u8 = 2;

/// The metrics of one build.
pub(crate) struct Metrics {
    names: Mutex<Vec<(String, String)>>,
    places: [Place; limits::MODULE_METRICS],
}

#[derive(Default)]
struct Place {
    kind: AtomicU8,
    value: AtomicI64,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

impl Kind {
    const fn number(self) -> u8 {
        match self {
            Self::Counter => COUNTER,
            Self::Gauge => GAUGE,
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { names: Mutex::default(), places: std::array::from_fn(|_| Place::default()) }
    }
}

impl Metrics {
    /// The number of the metric of this name, which is made when there is none.
    ///
    /// # Errors
    /// `ARGUMENT`: no such name, or one of the other kind; `LIMIT`: there are too many.
    pub(super) fn named(&self, kind: Kind, name: &str, help: &str) -> Result<u32, Status> {
        if !is_name(name) {
            return Err(status::ARGUMENT);
        }
        // Nothing is left half done by a panic.
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let at = names.iter().position(|(known, _)| known == name);
        let index = at.unwrap_or(names.len());
        let place = self.places.get(index).ok_or(status::LIMIT)?;
        if at.is_none() {
            let line: String = help.chars().filter(|c| !c.is_control()).collect();
            names.push((name.to_owned(), line));
            place.kind.store(kind.number(), Ordering::Release);
        } else if place.kind.load(Ordering::Acquire) != kind.number() {
            return Err(status::ARGUMENT);
        }
        u32::try_from(index).map_err(|_| status::LIMIT)
    }

    fn place(&self, metric: u32, kind: Kind) -> Result<&Place, Status> {
        let place = usize::try_from(metric).ok().and_then(|index| self.places.get(index));
        let place = place.filter(|place| place.kind.load(Ordering::Acquire) == kind.number());
        place.ok_or(status::NOT_FOUND)
    }

    /// Adds to a counter.
    pub(super) fn add(&self, metric: u32, by: u32) -> Result<(), Status> {
        self.place(metric, Kind::Counter)?.value.fetch_add(i64::from(by), Ordering::Relaxed);
        Ok(())
    }

    /// Sets a gauge.
    pub(super) fn set(&self, metric: u32, value: i64) -> Result<(), Status> {
        self.place(metric, Kind::Gauge)?.value.store(value, Ordering::Relaxed);
        Ok(())
    }

    /// Every metric as it stands.
    pub(crate) fn list(&self) -> Vec<ModuleMetric> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let metric = |((name, help), place): (&(String, String), &Place)| ModuleMetric {
            name: name.clone(),
            help: help.clone(),
            counts: place.kind.load(Ordering::Acquire) == COUNTER,
            value: place.value.load(Ordering::Relaxed),
        };
        names.iter().zip(&self.places).map(metric).collect()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}

/// What may stand behind `koukan_module_` in the text format of Prometheus.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.bytes().all(plain)
        && name.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && name.len() <= limits::MODULE_METRIC_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_metric_of_one_kind_and_a_number_of_another_kind_is_none() {
        let metrics = Metrics::default();
        let left = metrics.named(Kind::Counter, "messages_left", "Messages.\n").unwrap();
        let boxes = metrics.named(Kind::Gauge, "boxes", "").unwrap();
        assert_eq!(metrics.named(Kind::Counter, "messages_left", "again"), Ok(left));
        assert_eq!(metrics.named(Kind::Gauge, "messages_left", ""), Err(status::ARGUMENT));
        assert_eq!((metrics.add(left, 2), metrics.add(left, 3)), (Ok(()), Ok(())));
        assert_eq!(metrics.set(boxes, -7), Ok(()));
        assert_eq!(metrics.set(left, 1), Err(status::NOT_FOUND));
        assert_eq!(metrics.add(boxes, 1), Err(status::NOT_FOUND));
        for nobody in [2, 63, 64, u32::MAX] {
            assert_eq!(metrics.add(nobody, 1), Err(status::NOT_FOUND));
        }
        let listed = metrics.list();
        let values: Vec<_> = listed.iter().map(|one| (&*one.name, one.counts, one.value)).collect();
        assert_eq!(values, [("messages_left", true, 5), ("boxes", false, -7)]);
        assert_eq!(listed[0].help, "Messages.", "the first one says what it is");
    }

    #[test]
    fn names_that_would_break_the_page_and_more_than_the_places_are_refused() {
        let metrics = Metrics::default();
        let long = "a".repeat(49);
        for name in ["", "1a", "_a", "A", "a-b", "a b", "a\n", "a{b=\"c\"}", "ä", &long] {
            assert_eq!(metrics.named(Kind::Counter, name, ""), Err(status::ARGUMENT), "{name}");
        }
        for number in 0..limits::MODULE_METRICS {
            assert!(metrics.named(Kind::Counter, &format!("c{number}"), "").is_ok());
        }
        assert_eq!(metrics.named(Kind::Counter, "more", ""), Err(status::LIMIT));
        assert_eq!(metrics.named(Kind::Counter, "c0", ""), Ok(0));
        assert_eq!(metrics.list().len(), limits::MODULE_METRICS);
    }

    #[test]
    fn no_increment_of_many_threads_is_lost() {
        let metrics = Metrics::default();
        let metric = metrics.named(Kind::Counter, "all", "").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| metrics.add(metric, 1).unwrap()));
            }
        });
        assert_eq!(metrics.list()[0].value, 40_000);
    }
}
