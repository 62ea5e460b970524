//! Draining: calls that are up go on, phones stay registered and can fetch what is parked or rings;
//! whatever would be a new call gets 503 with a time to come again (RFC 3261, 21.5.4), and so does
//! OPTIONS, by which dispatchers and carriers ask whether they should send calls here.

use koukan_sip::{Response, ServerTx};

use crate::action::Now;
use crate::switch::Switch;

/// When whoever is refused may come again, in seconds. A new process is up within a minute; those
/// who have another server go there at once.
const RETRY_AFTER: &[u8] = b"60";

/// Whether new calls are taken, and how many were not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Draining {
    on: bool,
    refused: u64,
}

impl Switch {
    /// From now on no new call is taken, or they are again.
    pub const fn set_draining(&mut self, on: bool) {
        self.draining.on = on;
    }

    /// Whether no new call is taken.
    #[must_use]
    pub const fn is_draining(&self) -> bool {
        self.draining.on
    }

    /// Calls that were refused for it.
    #[must_use]
    pub const fn refused_by_draining(&self) -> u64 {
        self.draining.refused
    }

    /// Whether nothing is left that an end of the process would cut off.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        let tables = self.tables();
        tables.calls == 0 && tables.faxes == 0 && tables.lookups == 0
    }

    /// Refuses a call, or says by OPTIONS that it would be.
    pub(crate) fn refuse_by_draining(&mut self, now: Now, tx: ServerTx, is_call: bool) {
        self.draining.refused = self.draining.refused.saturating_add(u64::from(is_call));
        let headers = vec![("Retry-After", RETRY_AFTER.to_vec())];
        self.ua.respond(now.time, tx, Response { headers, ..Response::new(503) });
    }
}
