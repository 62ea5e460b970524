//! The bounds of this crate.

use std::time::Duration;

use koukan_base::Limit;

/// A limit in seconds as a time.
pub(crate) const fn seconds(limit: Limit) -> Duration {
    Duration::from_secs(limit.default)
}

/// How often a call may be passed on, here and before it came here, before it counts as one that
/// goes in a circle.
pub(crate) const DIVERSIONS: usize = 10;

/// Menus that one call may be through, before it counts as one that goes in a circle.
pub(crate) const MENUS: u32 = 50;

/// Queues that lead a caller on to each other without taking it, before it counts as one that goes
/// in a circle.
pub(crate) const QUEUES: u32 = 10;

/// How often a parked call that comes back to who parked it waits again before it is released.
pub(crate) const PARK_ROUNDS: u32 = 5;

/// How often a caller may press a wrong PIN at the door of a room.
pub(crate) const PIN_TRIES: u32 = 3;

/// So many wrong PINs of one room, over all the calls of one caller within [`PIN_REST_S`], and its
/// next ones are looked at later and later, one behind the other.
pub(crate) const PIN_GUESSES: u32 = 3;

/// The same of all callers who show no number.
pub(crate) const PIN_GUESSES_HIDDEN: u32 = 6;

/// The same of all callers from outside together, who may show any number.
pub(crate) const PIN_GUESSES_OUTSIDE: u32 = 30;

/// Seconds that a caller's PIN waits at most for what it has guessed itself.
pub(crate) const PIN_WAIT_S: u64 = 60;

/// Seconds that it waits at most for what others have guessed: nobody is shut out by strangers.
pub(crate) const PIN_WAIT_SHARED_S: u64 = 20;

/// Seconds behind the last wrong PIN after which it is forgotten.
pub(crate) const PIN_REST_S: u64 = 900;

/// Callers whose wrong PINs are counted at once; the ones that guessed longest ago are forgotten.
pub(crate) const PIN_CALLERS: usize = 4_096;

/// Calls of a phone that become one by the code.
pub(crate) const AD_HOC_CALLS: usize = 8;

/// Members of a room that a phone has made of its calls, with those whom it calls in.
pub(crate) const AD_HOC_MEMBERS: usize = 16;

/// Words that wait to be said to everybody in a room; with more of them nobody could talk.
pub(crate) const ROOM_WORDS: usize = 4;

/// Legs that a call keeps from its time in a queue, of agents who did not answer.
pub(crate) const QUEUE_LEGS: usize = 40;

/// Early dialogs of one INVITE that are followed; more forks than these answer all the same.
pub(crate) const FORKS: usize = 8;

/// Bytes of a display name or of another identity that is passed on; longer ones are left out.
pub(crate) const IDENTITY_BYTES: usize = 256;

/// Calls at once on one shard.
pub const CALLS: Limit = Limit {
    name: "calls",
    default: 10_000,
    min: 1,
    max: 1_000_000,
    why: "beyond what the machine carries a new call would hurt those that are up",
};

/// Seconds that a caller may wait unanswered, whatever it hears meanwhile.
pub const UNANSWERED_S: Limit = Limit {
    name: "unanswered_s",
    default: 900,
    min: 60,
    max: 7_200,
    why: "a caller who vanished without CANCEL before the answer is noticed by nothing else",
};

/// Seconds that a trunk may take to a final response (timer C of RFC 3261, section 16.6).
pub const TRUNK_S: Limit = Limit {
    name: "trunk_s",
    default: 185,
    min: 30,
    max: 600,
    why: "a carrier that answers 100 and then nothing would keep the caller for ever",
};

/// Seconds that a media worker may take to open or close a stream.
pub const STREAM_S: Limit = Limit {
    name: "stream_s",
    default: 10,
    min: 1,
    max: 60,
    why: "a worker that has stopped must not keep the calls and records of its streams",
};

/// Operations that a module has under way on one call.
pub const OPERATIONS: Limit = Limit {
    name: "module_operations",
    default: 32,
    min: 1,
    max: 1_000,
    why: "an application in a loop would otherwise take memory without end",
};

/// Phones that one call rings at once.
pub const RING_LEGS: Limit = Limit {
    name: "ring_legs",
    default: 100,
    min: 1,
    max: 1_000,
    why: "each ringing phone takes a pair of media ports",
};
