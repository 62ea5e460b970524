//! The SIP Call-IDs of the calls of late, so that a call that is over is found in the ring.

use std::collections::{HashMap, VecDeque};

use koukan_base::CallId;
use koukan_switch::Cdr;

/// Calls that are remembered. A ring of the usual size holds the messages of fewer.
const CALLS: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct CallIds {
    known: HashMap<CallId, Vec<String>>,
    /// The oldest first.
    order: VecDeque<CallId>,
}

impl CallIds {
    /// What a record says; a later one of the same call takes the place of the earlier.
    pub(super) fn note(&mut self, cdr: &Cdr) {
        let Some(call) = CallId::parse(&cdr.call) else { return };
        let ids = cdr.legs.iter().map(|leg| leg.call_id.clone()).filter(|id| !id.is_empty());
        if self.known.insert(call, ids.collect()).is_none() {
            self.order.push_back(call);
        }
        while self.order.len() > CALLS {
            let oldest = self.order.pop_front();
            drop(oldest.and_then(|oldest| self.known.remove(&oldest)));
        }
    }

    pub(super) fn of(&self, call: CallId) -> Option<Vec<String>> {
        self.known.get(&call).cloned()
    }
}
