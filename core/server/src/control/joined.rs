//! What several shards answer to one question, as one server's answer.

use koukan_switch::{BanView, Tables, TrunkView};

use crate::api::{Drain, Status};
use crate::metrics::Snapshot;
use crate::trace::Traced;

/// Answers that make one.
pub trait Joined: Sized {
    /// Takes in what another shard says.
    fn join(&mut self, other: Self);
}

/// Joins all of them; the first is that of the common shard.
pub(super) fn joined<T: Joined>(answers: Vec<T>) -> Option<T> {
    let mut answers = answers.into_iter();
    let mut first = answers.next()?;
    answers.for_each(|other| first.join(other));
    Some(first)
}

impl Joined for Status {
    fn join(&mut self, other: Self) {
        self.registrations = self.registrations.saturating_add(other.registrations);
        self.connections = self.connections.saturating_add(other.connections);
        add(&mut self.tables, &other.tables);
        // The journal is one; who asked last knows best.
        (self.unwritten, self.rss_bytes) = (other.unwritten, other.rss_bytes);
    }
}

impl Joined for Drain {
    fn join(&mut self, other: Self) {
        self.draining |= other.draining;
        self.refused = self.refused.saturating_add(other.refused);
        self.calls.extend(other.calls);
        self.calls.sort_by(|a, b| a.call.cmp(&b.call));
        self.faxes = self.faxes.saturating_add(other.faxes);
        self.lookups = self.lookups.saturating_add(other.lookups);
        self.unwritten = other.unwritten;
    }
}

impl Joined for Box<Snapshot> {
    fn join(&mut self, other: Self) {
        self.add(&other);
    }
}

/// Every message that is kept, by time, and the Call-IDs of the call that is asked for.
impl Joined for Option<(Vec<Traced>, Vec<String>)> {
    fn join(&mut self, other: Self) {
        let Some((messages, ids)) = other else { return };
        let (all, known) = self.get_or_insert_default();
        all.extend(messages);
        all.sort_by_key(|message| message.at);
        known.extend(ids);
    }
}

impl Joined for bool {
    fn join(&mut self, other: Self) {
        *self |= other;
    }
}

/// A trunk of the server is shown as its home has it, with the calls of all.
impl Joined for Vec<TrunkView> {
    fn join(&mut self, other: Self) {
        for view in other {
            let same = |known: &&mut TrunkView| {
                (&known.tenant, &known.trunk) == (&view.tenant, &view.trunk)
            };
            match self.iter_mut().find(same) {
                Some(known) => {
                    known.calls = known.calls.saturating_add(view.calls);
                    known.begun = known.begun.saturating_add(view.begun);
                    known.failed = known.failed.saturating_add(view.failed);
                }
                None => self.push(view),
            }
        }
        self.sort_by(|a, b| (&a.tenant, &a.trunk).cmp(&(&b.tenant, &b.trunk)));
    }
}

/// A source is banned once, whoever has banned it.
impl Joined for Vec<BanView> {
    fn join(&mut self, other: Self) {
        for view in other {
            match self.iter_mut().find(|known| known.source == view.source) {
                Some(known) => {
                    known.dropped = known.dropped.saturating_add(view.dropped);
                    known.until = known.until.max(view.until);
                }
                None => self.push(view),
            }
        }
        self.sort_by(|a, b| a.since.cmp(&b.since).then_with(|| a.source.cmp(&b.source)));
    }
}

fn add(own: &mut Tables, other: &Tables) {
    for (own, other) in [
        (&mut own.calls, other.calls),
        (&mut own.streams, other.streams),
        (&mut own.instances, other.instances),
        (&mut own.faxes, other.faxes),
        (&mut own.dialogs, other.dialogs),
        (&mut own.client_transactions, other.client_transactions),
        (&mut own.server_transactions, other.server_transactions),
        (&mut own.rooms, other.rooms),
        (&mut own.queued, other.queued),
        (&mut own.parked, other.parked),
        (&mut own.channels, other.channels),
        (&mut own.outside, other.outside),
        (&mut own.lookups, other.lookups),
    ] {
        *own = own.saturating_add(other);
    }
}
