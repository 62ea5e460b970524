//! Draining the server (N-08): since when, until when, what is still up, and its end: as soon as
//! nothing is left, or at the deadline with whatever is.

use std::time::Duration;

use jiff::Timestamp;
use koukan_base::Time;
use koukan_switch::Now;

use super::Control;
use crate::api;

/// An order to drain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainOrder {
    /// What is still up after so long is ended.
    pub within: Duration,
    /// Who says so.
    pub by: String,
}

/// The server takes no new calls.
#[derive(Clone, Debug)]
pub(crate) struct Drain {
    since: Timestamp,
    /// By the date, for people.
    deadline: Timestamp,
    until: Time,
    by: String,
}

impl Drain {
    pub(crate) const fn until(&self) -> Time {
        self.until
    }
}

impl Control {
    /// Takes no new calls from now on; a second order only moves the deadline.
    pub(super) fn begin_drain(&mut self, now: Now, order: DrainOrder) -> api::Drain {
        let DrainOrder { within, by } = order;
        let since = self.drain.as_ref().map_or(now.date, |drain| drain.since);
        let deadline = now.date.saturating_add(within).unwrap_or(Timestamp::MAX);
        tracing::warn!(by, within_s = within.as_secs(), "no new calls are taken: draining");
        self.core.set_draining(true);
        self.drain = Some(Drain { since, deadline, until: now.time + within, by });
        self.drain_report()
    }

    /// Takes calls again.
    pub(super) fn end_drain(&mut self) -> bool {
        let drained = self.drain.take();
        if drained.is_some() {
            tracing::warn!("calls are taken again: the draining is called off");
            self.core.set_draining(false);
        }
        drained.is_some()
    }

    /// Ends the server when nothing is left, or its time is over.
    pub(super) fn look_at_drain(&mut self, now: Now) {
        let Some(drain) = self.drain.as_ref().filter(|_| self.stopping.is_none()) else { return };
        if self.fleet.is_drained(self.core.switch().is_drained()) {
            tracing::warn!(by = drain.by, "drained: nothing is up any more");
        } else if drain.until <= now.time {
            for call in self.core.switch().calls() {
                let (call, stage) = (call.call, call.stage);
                tracing::warn!(call, stage, "the deadline of the draining ends this call");
            }
        } else {
            return;
        }
        self.stop(now);
    }

    pub(super) fn drain_report(&self) -> api::Drain {
        let switch = self.core.switch();
        let tables = switch.tables();
        api::Drain {
            draining: self.drain.is_some() || self.stopping.is_some(),
            since: self.drain.as_ref().map(|drain| drain.since),
            deadline: self.drain.as_ref().map(|drain| drain.deadline),
            by: self.drain.as_ref().map(|drain| drain.by.clone()),
            refused: switch.refused_by_draining(),
            calls: switch.calls(),
            faxes: tables.faxes,
            lookups: tables.lookups,
            unwritten: self.core.unwritten(),
        }
    }
}
