//! The border to spandsp: the few of its functions that a fax needs, behind types that own what
//! they point to. Nothing else in the workspace links it.
//!
//! What its callbacks report is gathered in a log and read after the call into C has returned, so
//! that no code of ours runs inside of it but the few lines of `context`. Frames that would make it
//! read outside of its tables are made harmless there, before it looks at them.

mod audio;
mod constants;
mod context;
mod gateway;
mod machine;
mod terminal;

use std::ffi::NulError;

use thiserror::Error;

pub use audio::AudioFax;
pub use context::Seen;
pub use gateway::Gateway;
pub use machine::{Duty, Machine, Totals, words};
pub use terminal::{Agreed, Packet, Terminal};

/// Samples of G.711 a second.
pub const SAMPLE_RATE: u32 = 8_000;

/// Why a session cannot begin.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The library gave nothing: memory.
    #[error("the fax engine could not be made")]
    Memory,
    /// A file name with a zero in it: the server's fault.
    #[error("a file name with a zero in it")]
    FileName(#[from] NulError),
}
