//! A stream that its media worker refuses is opened on another one: a worker that is full or has
//! fallen behind, or whose rest is for other offices, costs no call while others have time.

use koukan_base::WorkerId;

use super::LegStream;
use crate::call::{Call, Stage};
use crate::switch::Switch;

impl Switch {
    /// Opens a leg's stream on the next worker, when this one has refused it. The streams of a call
    /// are of one worker, so that of its other party comes along: while phones ring, and nothing is
    /// played or recorded that it would interrupt. False when all workers have refused, or it must
    /// not.
    pub(super) fn open_elsewhere(&mut self, call: &mut Call, index: u16) -> bool {
        let workers = self.config.workers.max(1);
        if call.refusals.saturating_add(1) >= workers {
            return false;
        }
        let (mut alone, mut free) = (true, call.tape.is_none());
        for leg in call.legs.iter().filter(|leg| leg.stream != LegStream::None) {
            alone = false;
            free &= matches!(leg.stream, LegStream::Open(..)) && leg.music.is_none();
        }
        let rings = matches!(call.stage, Stage::Ringing(_) | Stage::Trunk(_));
        let may = alone || (free && rings);
        if !may {
            return false;
        }
        call.refusals = call.refusals.saturating_add(1);
        let from = call.worker;
        let to = WorkerId(from.0.saturating_add(1).checked_rem(workers).unwrap_or(0));
        call.worker = to;
        for leg in &mut call.legs {
            if let LegStream::Open(stream, address) = leg.stream {
                leg.stream = LegStream::Moving(stream, address);
                self.move_stream(from, stream, to);
            }
        }
        self.explain(call.id, "its media goes to another worker");
        self.open_stream(call, index)
    }
}
