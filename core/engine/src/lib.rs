//! The media engine: one pinned worker a core on mio, a pair of sockets a stream, packets passed on
//! by their headers, prompts on a 20 ms tick.
//!
//! Streams are bound and allocated on the control side and handed to their worker; from then on the
//! worker neither allocates nor locks nor logs for them, and gives them back to be freed.
#![deny(unsafe_code)]

mod control;
mod ear;
mod jobs;
mod keys;
mod lent;
pub mod limits;
mod neighbour;
mod net;
mod order;
mod packet;
#[expect(unsafe_code, reason = "pinning and CPU time of a thread, through libc")]
mod pin;
mod ports;
mod prompts;
mod record;
mod room;
mod rooms;
mod routes;
mod rtcp;
mod secure;
mod speak;
mod stats;
mod stream;
mod voice;
mod watch;
mod worker;

pub use koukan_codecs::opus::OpusSettings;

pub use control::{Engine, EngineConfig, EngineError, default_max_streams};
pub use lent::Lent;
pub use net::Io;
pub use pin::{take_real_time, take_short_turns};
pub use stats::{EngineStats, FAULT_WORDS, WorkerStats};
