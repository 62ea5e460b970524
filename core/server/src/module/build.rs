//! One build of a module in the process, from its loading until it is gone.
//!
//! Active → draining (replaced or unloaded; calls in flight go on) → closing (the reaper has it) →
//! closed, or stuck while something holds it. The control thread owns the state.

use std::time::Duration;

use koukan_base::Time;

use super::host::{Ending, Held, LoadedModule};
use super::watch::Cost;
use crate::api::{ModuleInfo, ModuleMetric};

/// A build as the control thread sees it.
#[derive(Debug)]
pub(crate) struct Build {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) role: Option<String>,
    pub(crate) number: usize,
    pub(crate) state: State,
    pub(crate) cost: Cost,
    /// Applications under way.
    pub(crate) applications: usize,
    /// Its task has been started, or it has none.
    pub(crate) begun: bool,
    since: Time,
}

/// Where a build is in its life.
#[derive(Debug)]
pub(crate) enum State {
    /// New calls go to it.
    Active(LoadedModule),
    /// No new call; those that it has go on until then.
    Draining(LoadedModule, Time),
    /// The reaper ends it.
    Closing,
    /// The reaper cannot close it yet.
    Stuck(Held),
    /// Its end.
    Closed(Ending),
}

impl Build {
    pub(crate) fn new(loaded: LoadedModule, now: Time) -> Self {
        Self {
            name: loaded.name().to_owned(),
            version: loaded.version.clone(),
            role: loaded.config.role.clone(),
            number: loaded.number,
            begun: loaded.task.is_none(),
            state: State::Active(loaded),
            cost: Cost::default(),
            applications: 0,
            since: now,
        }
    }

    /// What new calls go to.
    pub(crate) const fn active(&self) -> Option<&LoadedModule> {
        match &self.state {
            State::Active(loaded) => Some(loaded),
            State::Draining(..) | State::Closing | State::Stuck(_) | State::Closed(_) => None,
        }
    }

    /// Takes it out of service: it drains until its time is over.
    pub(crate) fn drain(&mut self, now: Time) {
        let state = std::mem::replace(&mut self.state, State::Closing);
        self.state = match state {
            State::Active(loaded) => {
                loaded.stop_workers();
                let until = now + loaded.config.drain;
                State::Draining(loaded, until)
            }
            other => other,
        };
    }

    /// When its time to drain is over.
    pub(crate) const fn until(&self) -> Option<Time> {
        match &self.state {
            State::Draining(_, until) => Some(*until),
            State::Active(_) | State::Closing | State::Stuck(_) | State::Closed(_) => None,
        }
    }

    /// The build when nothing of it is under way any more: the reaper's from here on. Wakers keep
    /// it until its time is over; its `deinit` has to end them then.
    pub(crate) fn take_idle(&mut self, now: Time) -> Option<LoadedModule> {
        let State::Draining(loaded, until) = &self.state else { return None };
        if self.applications > 0 || (loaded.wakers() > 0 && now < *until) {
            return None;
        }
        match std::mem::replace(&mut self.state, State::Closing) {
            State::Draining(loaded, _) => Some(loaded),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// Nothing more will become of it.
    pub(crate) const fn is_gone(&self) -> bool {
        matches!(self.state, State::Closed(Ending::Unmapped { .. } | Ending::Kept))
    }

    /// What operators are shown.
    pub(crate) fn info(&self, now: Time) -> ModuleInfo {
        let cost = self.cost;
        let age: Duration = now.since(self.since);
        ModuleInfo {
            name: self.name.clone(),
            version: self.version.clone(),
            role: self.role.clone(),
            build: self.number,
            state: self.words(),
            instances: self.applications,
            starts: cost.starts,
            events: cost.events,
            events_per_s: cost.events_per_s(now),
            failures: cost.failures,
            records: self.taken(),
            questions: self.questions().map(|(asked, _)| asked),
            late: self.questions().map(|(_, late)| late),
            slowest_us: u64::try_from(cost.slowest.as_micros()).unwrap_or(u64::MAX),
            too_long: cost.too_long,
            age_s: age.as_secs(),
            metrics: self.metrics(),
        }
    }

    /// Records that its sink has taken.
    fn taken(&self) -> Option<u64> {
        match &self.state {
            State::Active(loaded) | State::Draining(loaded, _) => loaded.taken(),
            State::Closing | State::Stuck(_) | State::Closed(_) => None,
        }
    }

    /// What it counts itself.
    fn metrics(&self) -> Vec<ModuleMetric> {
        match &self.state {
            State::Active(loaded) | State::Draining(loaded, _) => loaded.metrics(),
            State::Closing | State::Stuck(_) | State::Closed(_) => Vec::new(),
        }
    }

    /// Questions that its source was asked, and how many of them too late.
    fn questions(&self) -> Option<(u64, u64)> {
        match &self.state {
            State::Active(loaded) | State::Draining(loaded, _) => {
                loaded.answerer().map(|source| source.counts())
            }
            State::Closing | State::Stuck(_) | State::Closed(_) => None,
        }
    }

    fn words(&self) -> String {
        match &self.state {
            State::Active(_) => "active".to_owned(),
            State::Draining(..) => "draining".to_owned(),
            State::Closing => "closing".to_owned(),
            State::Stuck(Held::Worker) => "stuck: a thread that serves it does not end".to_owned(),
            State::Stuck(Held::Threads(threads)) => format!("stuck: {threads} threads run still"),
            State::Stuck(Held::Wakers(wakers)) => format!("stuck: {wakers} wakers are held"),
            State::Closed(Ending::Unmapped { .. }) => "closed".to_owned(),
            State::Closed(Ending::Mapped) => "closed, still mapped".to_owned(),
            State::Closed(Ending::Kept) => "closed, kept mapped".to_owned(),
        }
    }
}
