//! What every pure crate shares: monotonic time, identifiers, seeded randomness, named limits.
//!
//! Nothing here reads a clock or the operating system's random source; both are handed in.
#![forbid(unsafe_code)]

mod id;
mod limit;
mod rng;
mod shards;
mod time;

pub use id::{BridgeId, CallId, LegId, OpId, ShardId, StreamId, WorkerId};
pub use limit::{Limit, LimitError};
pub use rng::Rng;
pub use shards::{COMMON_SHARD, Shards};
pub use time::Time;
