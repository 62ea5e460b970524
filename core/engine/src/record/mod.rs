//! Recordings: what a stream receives and sends is taken down by the clock on its worker, goes
//! through a bounded ring, and is written by a thread of its own. A disk that is too slow costs
//! silence in the file, which is counted, and never a worker's time. Recordings of calls go to whom
//! the server names instead ([`Taps`]).

mod file;
mod ring;
mod tap;
mod tapped;
mod writer;

pub use file::{Finished, SoundFile};
pub(crate) use ring::Ring;
pub(crate) use tap::{Tap, Tracks};
pub use tapped::{Feed, Stretch, Tapped, Taps};
pub(crate) use writer::{Session, write_recordings};
