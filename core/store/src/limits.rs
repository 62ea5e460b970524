//! The bounds of this crate.

/// Bytes of one record. A call with a hundred legs takes about 25 kB.
pub const RECORD_BYTES: usize = 1 << 20;

/// A segment of the journal that has grown beyond this many bytes is followed by a new one.
pub const SEGMENT_BYTES: u64 = 16 << 20;

/// Records that wait in memory for a disk that takes them. The oldest go first beyond it: a disk
/// that stays full must not end the calls, and the count of the lost ones is logged and measured.
pub const WAITING_RECORDS: usize = 50_000;

/// Final records of calls that wait for receivers which do not take them; the oldest go first
/// beyond it. A busy office makes a thousand a day.
pub const OUTBOX_CALLS: u64 = 2_000_000;

/// The same of everything else: 5,000 phones that refresh each minute fill it in 100 minutes, and
/// push nothing out but each other.
pub const OUTBOX_EVENTS: u64 = 500_000;

/// Bytes that the follower applies in one transaction.
pub const BATCH_BYTES: usize = 1 << 20;

/// Pages of 4 kB that SQLite may cache in each of its two connections.
pub const CACHE_PAGES: u32 = 64;

/// Legs that cost something and ended so long ago are of no day that any office still counts
/// (milliseconds).
pub(crate) const CHARGES_MS: i64 = 2 * 86_400 * 1000;
