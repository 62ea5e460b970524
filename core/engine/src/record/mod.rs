//! Recordings: what a stream receives and sends is taken down by the clock on its worker, goes
//! through a bounded ring, and is written by a thread of its own. A disk that is too slow costs
//! silence in the file, which is counted, and never a worker's time.

mod ring;
mod tap;
mod writer;

pub(crate) use ring::Ring;
pub(crate) use tap::{Tap, Tracks};
pub(crate) use writer::{Session, write_recordings};
