//! The pure half of the media engine: what a stream is told, what it reports, and (in later files)
//! RTP sessions, jitter, mixing and tones. No socket, no clock, no thread.
//!
//! The switch speaks to a media worker in [`Command`]s and hears [`Event`]s; nothing else crosses.
#![forbid(unsafe_code)]

mod codec;
mod command;
mod event;

pub use codec::{Codec, CodecParams};
pub use command::{Command, Direction, Prompt, Source, StreamConfig};
pub use event::{Event, OpenError, PlayEnd, StreamStats};
