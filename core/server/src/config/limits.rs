//! `[limits]`: the bounds that an admin may set, by their names. The others keep their defaults.

use std::collections::BTreeMap;

use koukan_base::Limit;

use super::reader::{Table, nearest};
use crate::limits;

/// Every limit that may be set.
const ALL: &[Limit] = &[
    koukan_switch::limits::CALLS,
    limits::OVERLOAD_MS,
    limits::TCP_CONNECTIONS,
    limits::TCP_CONNECTIONS_PER_ADDRESS,
    limits::TCP_MESSAGE_SECONDS,
    limits::TCP_IDLE_SECONDS,
    limits::TCP_WRITE_BYTES,
    limits::TLS_HANDSHAKE_SECONDS,
    limits::TLS_HANDSHAKES,
    limits::EXPLAIN_BYTES,
    limits::EXPLAIN_LINES,
    limits::TRACE_BYTES,
];

/// The limits that the file sets; the others have their defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    set: BTreeMap<&'static str, u64>,
}

impl Limits {
    /// The value of a limit.
    #[must_use]
    pub fn value(&self, limit: Limit) -> u64 {
        self.set.get(limit.name).copied().unwrap_or(limit.default)
    }

    /// The value of a limit that counts things in memory.
    #[must_use]
    pub fn count(&self, limit: Limit) -> usize {
        usize::try_from(self.value(limit)).unwrap_or(usize::MAX)
    }

    pub(super) fn read(table: Table<'_>) -> Self {
        let mut set = BTreeMap::new();
        for (name, item) in table.entries() {
            let Some(limit) = ALL.iter().find(|limit| limit.name == name) else {
                let known: Vec<&str> = ALL.iter().map(|limit| limit.name).collect();
                item.note_key(format!("unknown limit \"{name}\""), nearest(name, &known));
                continue;
            };
            let Some(value) = item.integer(0..=u64::MAX) else { continue };
            match limit.checked(value) {
                Ok(value) => drop(set.insert(limit.name, value)),
                Err(error) => drop(item.note::<()>(error.to_string(), limit.why.to_owned())),
            }
        }
        table.open();
        Self { set }
    }
}
