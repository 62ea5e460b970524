//! What several shards have measured, as one server's.

use koukan_switch::CapCount;

use super::{MediaSnapshot, Snapshot};

impl Snapshot {
    /// Adds another shard's. What is the whole server's stands in each of them alike.
    pub fn add(&mut self, other: &Self) {
        self.add_tables(other);
        self.transports.add(&other.transports);
        self.media.add(&other.media);
        add_pairs(&mut self.trunks, &other.trunks, |own, other| *own = own.saturating_add(*other));
        add_pairs(&mut self.caps, &other.caps, |own: &mut CapCount, other| {
            own.reached = own.reached.saturating_add(other.reached);
            own.refused = own.refused.saturating_add(other.refused);
        });
        add_pairs(&mut self.sip_drops, &other.sip_drops, |own, other| {
            *own = own.saturating_add(*other);
        });
        // A source that one has banned is banned by all.
        self.banned = self.banned.max(other.banned);
        self.overloaded |= other.overloaded;
        self.draining |= other.draining;
        self.slowest_turn_s = self.slowest_turn_s.max(other.slowest_turn_s);
    }

    fn add_tables(&mut self, other: &Self) {
        for (own, other) in [
            (&mut self.calls, other.calls),
            (&mut self.legs, other.legs),
            (&mut self.streams, other.streams),
            (&mut self.instances, other.instances),
            (&mut self.dialogs, other.dialogs),
            (&mut self.client_transactions, other.client_transactions),
            (&mut self.server_transactions, other.server_transactions),
            (&mut self.registrations, other.registrations),
            (&mut self.unreachable, other.unreachable),
            (&mut self.lost, other.lost),
            (&mut self.connections, other.connections),
        ] {
            *own = own.saturating_add(other);
        }
        for (own, other) in [
            (&mut self.calls_total, other.calls_total),
            (&mut self.trunk_calls, other.trunk_calls),
            (&mut self.trunk_failures, other.trunk_failures),
            (&mut self.bans, other.bans),
            (&mut self.banned_drops, other.banned_drops),
            (&mut self.blocked, other.blocked),
            (&mut self.panics, other.panics),
            (&mut self.overloads, other.overloads),
            (&mut self.shed, other.shed),
            (&mut self.drained_calls, other.drained_calls),
            (&mut self.trace_lost, other.trace_lost),
        ] {
            *own = own.saturating_add(other);
        }
    }
}

impl MediaSnapshot {
    fn add(&mut self, other: &Self) {
        for (own, other) in [
            (&mut self.received, other.received),
            (&mut self.sent, other.sent),
            (&mut self.dropped, other.dropped),
            (&mut self.late_ticks, other.late_ticks),
            (&mut self.sheds, other.sheds),
            (&mut self.refused, other.refused),
            (&mut self.unheard, other.unheard),
            (&mut self.rests, other.rests),
            (&mut self.quality_spans, other.quality_spans),
            (&mut self.quality_poor_spans, other.quality_poor_spans),
            (&mut self.send_errors, other.send_errors),
        ] {
            *own = own.saturating_add(other);
        }
        self.shed = self.shed.max(other.shed);
        self.cpu_s += other.cpu_s;
        add_pairs(&mut self.faults, &other.faults, |own, other| *own = own.saturating_add(*other));
    }
}

/// Adds what has the same name.
fn add_pairs<T>(
    own: &mut [(&'static str, T)],
    other: &[(&'static str, T)],
    add: impl Fn(&mut T, &T),
) {
    for (name, value) in own {
        for (_, more) in other.iter().filter(|(other, _)| other == name) {
            add(value, more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_added_and_what_is_the_servers_own_is_not() {
        let of = |calls, banned| Snapshot {
            calls,
            banned,
            bans: 1,
            journal_records: 7,
            trunks: vec![("ready", 1), ("down", 0)],
            slowest_turn_s: calls as f64,
            ..Snapshot::default()
        };
        let mut all = of(2, 1);
        all.add(&of(3, 1));
        assert_eq!((all.calls, all.banned, all.bans, all.journal_records), (5, 1, 2, 7));
        assert_eq!(all.trunks, [("ready", 2), ("down", 0)]);
        assert!((all.slowest_turn_s - 3.0).abs() < f64::EPSILON);
    }
}
