//! The bounds of this crate.

use koukan_base::Limit;

/// Calls at once on one shard.
pub const CALLS: Limit = Limit {
    name: "calls",
    default: 10_000,
    min: 1,
    max: 1_000_000,
    why: "beyond what the machine carries a new call would hurt those that are up",
};

/// Phones that one call rings at once.
pub const RING_LEGS: Limit = Limit {
    name: "ring_legs",
    default: 100,
    min: 1,
    max: 1_000,
    why: "each ringing phone takes a pair of media ports",
};
