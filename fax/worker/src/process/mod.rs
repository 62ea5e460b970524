//! The process: one thread, one mio poll. Orders and sockets come over the standard input, which is
//! a Unix socket; each session has its ticks of 20 ms. A second thread waits for the disk. When the
//! server is gone, the sessions are ended, so that their files are whole, and so is the process.

mod carrier;
mod link;
mod rendering;
mod sync;
pub mod walls;

use std::io;
use std::path::Path;

use thiserror::Error;

use carrier::Carrier;
use koukan_fax::protocol::FrameError;
pub use rendering::render;
pub use sync::store;
use walls::WallError;

/// Why the process ends other than by the server's will.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The system refuses something basic: resource.
    #[error("the operating system refused {what}: {error}")]
    System {
        /// What was asked.
        what: &'static str,
        /// Its words.
        error: io::Error,
    },
    /// The walls cannot be raised: resource.
    #[error(transparent)]
    Walls(#[from] WallError),
    /// The server says what cannot be understood: two builds are mixed.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> ProcessError {
    move |error| ProcessError::System { what, error }
}

/// Behind the server's threads where they share a core: what a modem says or hears may wait for
/// some milliseconds, a packet of a voice may not.
const BEHIND_VOICE: i32 = 10;
/// Behind everything: nobody hears a document being drawn.
const BEHIND_ALL: i32 = 19;

/// Runs until the server says so or is gone. Files lie below `directory`.
///
/// # Errors
/// Why it cannot go on.
pub fn run(directory: &Path) -> Result<(), ProcessError> {
    rustix::process::nice(BEHIND_VOICE).map_err(|error| system("its rank")(error.into()))?;
    let directory = directory.canonicalize().map_err(system("the directory"))?;
    let mut carrier = Carrier::new(directory.clone())?;
    let walls = walls::raise(&directory)?;
    carrier.run(walls)
}
