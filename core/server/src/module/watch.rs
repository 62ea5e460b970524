//! How long modules hold the control thread: every call into one is timed, counted by build, and
//! one that stays too long is named in the log, also while it has not come back. Nothing can take
//! the thread back from it; the name is what an operator needs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use koukan_base::Time;

/// A call into a module that takes longer delays every other call of the shard.
const TOO_LONG: Duration = Duration::from_millis(20);
/// One that has not come back for so long is named before it does.
const LOST: Duration = Duration::from_secs(2);
/// Events are counted over so long.
const WINDOW: Duration = Duration::from_secs(10);

/// What a build has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Applications that it was started with.
    pub(crate) starts: u64,
    /// Events that it was given.
    pub(crate) events: u64,
    /// Those that failed: an error, a panic.
    pub(crate) failures: u64,
    /// Its slowest call.
    pub(crate) slowest: Duration,
    /// Calls that stayed too long.
    pub(crate) too_long: u64,
    /// The window's beginning, the events until then, and those of the window before.
    window: (Time, u64, u64),
}

impl Cost {
    /// Runs a call into the module and notes what it took.
    pub(crate) fn timed<T>(
        &mut self,
        presence: &Presence,
        (build, name): (usize, &str),
        what: &'static str,
        call: impl FnOnce() -> T,
    ) -> T {
        let began = Instant::now();
        presence.enter(build, began);
        let outcome = call();
        presence.leave();
        self.note(name, what, began.elapsed());
        outcome
    }

    /// An event was given.
    pub(crate) fn count_event(&mut self, now: Time) {
        let (began, before, _) = self.window;
        if now.since(began) >= WINDOW {
            let is_next = now.since(began) < WINDOW.saturating_mul(2);
            let last = if is_next { self.events.saturating_sub(before) } else { 0 };
            self.window = (now, self.events, last);
        }
        self.events = self.events.saturating_add(1);
    }

    /// Events a second, over the last 10 to 20 s.
    pub(crate) fn events_per_s(&self, now: Time) -> u64 {
        let (began, before, last) = self.window;
        let since = now.since(began);
        if since >= WINDOW.saturating_mul(2) {
            return 0;
        }
        let counted = self.events.saturating_sub(before).saturating_add(last);
        let over = since.saturating_add(if last > 0 { WINDOW } else { Duration::ZERO });
        counted.checked_div(over.as_secs().max(1)).unwrap_or(counted)
    }

    fn note(&mut self, module: &str, what: &str, took: Duration) {
        self.slowest = self.slowest.max(took);
        if took > TOO_LONG {
            self.too_long = self.too_long.saturating_add(1);
            // A module that is slow each time must not fill the log: powers of two are told.
            if self.too_long.is_power_of_two() {
                let (ms, times) = (took.as_millis(), self.too_long);
                tracing::warn!(module, what, ms, times, "a module holds every call up");
            }
        }
    }
}

/// Which build has the control thread, for a thread that looks on.
#[derive(Debug)]
pub(crate) struct Presence {
    origin: Instant,
    /// 0 is none.
    build: AtomicUsize,
    /// ns since the origin.
    since: AtomicU64,
    names: Mutex<BTreeMap<usize, String>>,
    /// The stay that was named last.
    named: AtomicU64,
}

impl Presence {
    pub(crate) fn new() -> Self {
        Self {
            origin: Instant::now(),
            build: AtomicUsize::new(0),
            since: AtomicU64::new(0),
            names: Mutex::default(),
            named: AtomicU64::new(0),
        }
    }

    /// What a build is called.
    pub(crate) fn name(&self, build: usize, name: &str) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(build, name.to_owned());
    }

    /// The build is gone.
    pub(crate) fn forget(&self, build: usize) {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).remove(&build);
    }

    fn enter(&self, build: usize, began: Instant) {
        self.since.store(self.stamp(began), Ordering::Relaxed);
        self.build.store(build, Ordering::Release);
    }

    fn leave(&self) {
        self.build.store(0, Ordering::Release);
    }

    fn stamp(&self, at: Instant) -> u64 {
        u64::try_from(at.duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Names a module that has had the control thread for too long, once a stay.
    pub(crate) fn name_the_slow(&self) {
        if let Some(module) = self.lost(Instant::now()) {
            tracing::error!(
                module,
                "the module does not give the control thread back: no call is served until it \
                 does; if it never does, only a restart helps"
            );
        }
    }

    fn lost(&self, now: Instant) -> Option<String> {
        let build = self.build.load(Ordering::Acquire);
        let since = self.since.load(Ordering::Relaxed);
        let stay = Duration::from_nanos(self.stamp(now).saturating_sub(since));
        if build == 0 || stay < LOST || self.named.swap(since, Ordering::Relaxed) == since {
            return None;
        }
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        Some(names.get(&build).cloned().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_call_is_kept_and_those_that_stay_too_long_are_counted() {
        let mut cost = Cost::default();
        for ms in [1, 21, 3, 40] {
            cost.note("m", "event", Duration::from_millis(ms));
        }
        assert_eq!((cost.slowest, cost.too_long), (Duration::from_millis(40), 2));
        assert_eq!(cost.timed(&Presence::new(), (1, "m"), "event", || 7), 7);
    }

    #[test]
    fn events_a_second_are_those_of_the_last_seconds() {
        let mut cost = Cost::default();
        let at = Time::from_millis;
        for ms in 0..30_000 {
            cost.count_event(at(1_000_000 + ms * 2));
        }
        assert_eq!(cost.events_per_s(at(1_060_000)), 500);
        assert_eq!(cost.events_per_s(at(1_090_000)), 0);
        assert_eq!(cost.events, 30_000);
    }

    #[test]
    fn a_stay_that_does_not_end_is_named_once() {
        let presence = Presence::new();
        presence.name(3, "voicemail");
        let began = Instant::now();
        let later = began + Duration::from_secs(5);
        assert_eq!(presence.lost(later), None);
        presence.enter(3, began);
        assert_eq!(presence.lost(began + Duration::from_secs(1)), None);
        assert_eq!(presence.lost(later).as_deref(), Some("voicemail"));
        assert_eq!(presence.lost(later), None);
        presence.leave();
        presence.enter(3, later);
        assert_eq!(presence.lost(later + Duration::from_secs(3)).as_deref(), Some("voicemail"));
        presence.leave();
        assert_eq!(presence.lost(later + Duration::from_secs(9)), None);
    }
}
