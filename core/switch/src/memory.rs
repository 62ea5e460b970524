//! Memory that a burst of calls leaves behind in the tables.

use serde::Serialize;

use crate::switch::Switch;

/// What the tables hold and what they have room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Room {
    /// Entries.
    pub entries: usize,
    /// Entries that fit without growing.
    pub capacity: usize,
}

impl Room {
    fn and(self, entries: usize, capacity: usize) -> Self {
        Self {
            entries: self.entries.saturating_add(entries),
            capacity: self.capacity.saturating_add(capacity),
        }
    }
}

impl Switch {
    /// The tables that grow with calls and their messages; registrations and subscriptions are
    /// among them by the entries that they have in the lamps and the journal's keys.
    #[must_use]
    pub fn room(&self) -> Room {
        let (entries, capacity) = self.ua.room();
        Room { entries, capacity }
            .and(self.calls.len(), self.calls.capacity())
            .and(self.closing.len(), self.closing.capacity())
            .and(self.by_server.len(), self.by_server.capacity())
            .and(self.by_client.len(), self.by_client.capacity())
            .and(self.by_dialog.len(), self.by_dialog.capacity())
            .and(self.by_stream.len(), self.by_stream.capacity())
            .and(self.by_instance.len(), self.by_instance.capacity())
            .and(self.by_notify.len(), self.by_notify.capacity())
            .and(self.asked.len(), self.asked.capacity())
            .and(self.watches.len(), self.watches.capacity())
            .and(self.messages.len(), self.messages.capacity())
            .and(self.actions.len(), self.actions.capacity())
    }

    /// The requests of ours that have no outcome yet, one line each.
    #[must_use]
    pub fn under_way(&self) -> Vec<String> {
        self.ua.under_way()
    }

    /// Requests of ours outside calls that wait for their outcome, and refusals that are held
    /// back; none when nothing is under way.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.by_notify
            .len()
            .saturating_add(self.asked.len())
            .saturating_add(self.trunks.waiting())
            .saturating_add(self.throttle.waiting())
    }

    /// Gives back the room that the tables have taken and do not use any more, and lays what stays
    /// for long side by side; for quiet times behind a burst.
    pub fn shrink(&mut self) {
        self.ua.shrink();
        self.registrar.shrink();
        self.calls.shrink_to_fit();
        self.closing.shrink_to_fit();
        self.by_server.shrink_to_fit();
        self.by_client.shrink_to_fit();
        self.by_dialog.shrink_to_fit();
        self.by_stream.shrink_to_fit();
        self.by_instance.shrink_to_fit();
        self.by_notify.shrink_to_fit();
        self.asked.shrink_to_fit();
        self.actions.shrink_to_fit();
    }
}
