//! The SIP Call-IDs of the calls of late, so that a call that is over is found in the ring of the
//! messages. They lie in a block of their own that is there from the start: small pieces that a
//! burst leaves all over the heap would hold its memory for as long as they are remembered.

use koukan_base::{CallId, ShardId};
use koukan_switch::Cdr;

use super::ring::Ring;

/// Calls that are remembered. A ring of the usual size holds the messages of fewer.
const CALLS: usize = 4_096;

/// Bytes of their Call-IDs: two of 32 signs each for every call, and some.
const BYTES: usize = CALLS * 96;

/// What stands between two Call-IDs; none has a line end in it (RFC 3261, 25.1: `callid`).
const BETWEEN: u8 = b'\n';

#[derive(Debug)]
pub(super) struct CallIds {
    ended: Ring<CallId>,
    /// The Call-IDs of one call.
    text: Vec<u8>,
}

impl CallIds {
    pub(super) fn new() -> Self {
        Self { ended: Ring::new(BYTES, CALLS, CallId::new(ShardId(0), 0)), text: Vec::new() }
    }

    /// What the record of a call says that is over; the switch knows those that are not.
    pub(super) fn note(&mut self, cdr: &Cdr) {
        let (Some(call), Some(_)) = (CallId::parse(&cdr.call), cdr.ended) else { return };
        self.text.clear();
        for id in cdr.legs.iter().map(|leg| leg.call_id.as_bytes()).filter(|id| !id.is_empty()) {
            if !self.text.is_empty() {
                self.text.push(BETWEEN);
            }
            self.text.extend_from_slice(id);
        }
        self.ended.push(call, &self.text);
        self.text.shrink_to(BYTES / CALLS);
    }

    /// Those of a call; of several records the last counts.
    pub(super) fn of(&self, call: CallId) -> Option<Vec<String>> {
        let (_, text) = self.ended.iter().filter(|(known, _)| **known == call).last()?;
        let ids = text.split(|byte| *byte == BETWEEN).filter(|id| !id.is_empty());
        Some(ids.map(|id| String::from_utf8_lossy(id).into_owned()).collect())
    }
}
