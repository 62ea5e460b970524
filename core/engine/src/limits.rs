//! The bounds of the engine.

use koukan_base::Limit;

/// Streams that one worker owns at once.
pub const STREAMS: Limit = Limit {
    name: "streams_per_worker",
    default: 4_096,
    min: 16,
    max: 65_536,
    why: "tables are allocated once, so that setting up a call never stops the others' audio; \
          beyond the default a core has no time left for more packets",
};

/// Datagrams that one socket may bring in one turn of the loop.
pub const BURST: usize = 16;

/// Other streams that one stream may feed: a two-party call has one, early media another.
pub const LISTENERS: usize = 4;

/// Rooms on one worker.
pub const ROOMS: usize = 64;

/// Members of one room.
pub const ROOM_MEMBERS: usize = 2_000;

/// Workers that one room is spread over.
pub const ROOM_PARTS: usize = 16;

/// Recordings that run at once in the whole engine.
pub const RECORDINGS: Limit = Limit {
    name: "recordings",
    default: 500,
    min: 1,
    max: 10_000,
    why: "each holds up to a quarter of a megabyte on its way to the disk, and one thread writes \
          them all",
};

/// Bytes of the largest prompt file.
pub const PROMPT_BYTES: u64 = 16_000_000;

/// The default bound of streams a worker.
#[must_use]
pub fn default_max_streams() -> usize {
    usize::try_from(STREAMS.default).unwrap_or(usize::MAX)
}
