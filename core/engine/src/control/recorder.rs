//! Recordings as they are ordered: refused or begun, and what seals them.

use std::sync::Arc;

use koukan_base::{OpId, StreamId};
use koukan_media::{Event, RecordEnd, RecordReport, Recording};

use super::Engine;
use crate::limits;
use crate::order::Order;
use crate::record::{Ring, Session, Tap, Tapped};

impl Engine {
    /// Begins a recording: its ring and its file here, its tap on the worker.
    pub(super) fn record(&mut self, index: usize, stream: StreamId, op: OpId, order: &Recording) {
        let sample_rate = order.format.sample_rate();
        let seal = self.seal.clone().filter(|_| order.seal).map(|key| (key, self.salt()));
        let refused = self.recordings >= most_recordings()
            || (order.seal && seal.is_none())
            || !self.routes.record(stream, op, order.what, sample_rate);
        let ring = Arc::new(Ring::new(sample_rate, order.what.channels()));
        let session = Session {
            stream,
            op,
            path: order.path.clone(),
            format: order.format,
            channels: order.what.channels(),
            seal,
            ring: ring.clone(),
        };
        let taken = if refused { Err(RecordEnd::Refused) } else { self.give(session, order) };
        if let Err(end) = taken {
            self.routes.recorded(stream, op);
            let report = RecordReport { end, samples: 0, dropped: 0, sample_rate };
            self.opened.push_back(Event::Recorded { stream, op, report });
            return;
        }
        self.recordings += 1;
        self.order(index, Order::Record(stream, Box::new(Tap::new(op, order, ring))));
        self.retrack(index, stream);
    }

    /// Gives a recording to whoever writes it.
    fn give(&self, session: Session, order: &Recording) -> Result<(), RecordEnd> {
        if let (Some(call), Some(taps)) = (&order.call, &self.taps) {
            let tapped = Tapped::new(session, Arc::clone(call), Arc::clone(&self.events));
            return taps.take(tapped).map_err(|tapped| {
                tapped.forget();
                RecordEnd::Unserved
            });
        }
        let recorder = self.recorder.as_ref().ok_or(RecordEnd::Refused)?;
        recorder.try_send(session).map_err(|_| RecordEnd::Refused)
    }

    /// What no other file has.
    fn salt(&mut self) -> [u8; 32] {
        let mut salt = [0; 32];
        for part in salt.chunks_mut(8) {
            part.copy_from_slice(&self.rng.next_u64().to_be_bytes());
        }
        salt
    }
}

pub(super) fn most_recordings() -> usize {
    usize::try_from(limits::RECORDINGS.default).unwrap_or(usize::MAX)
}
