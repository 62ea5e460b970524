//! What survives the process: a journal that the control thread appends to by one write before an
//! answer leaves, and an SQLite database that follows it on a thread of its own.
//!
//! The journal is the truth, the database the journal made askable: its position in the journal
//! moves in the transaction that applies the records, so that each of them counts once, whatever
//! is killed when. Another database takes SQLite's place behind `Database` alone.
#![forbid(unsafe_code)]

mod calls;
mod database;
mod follower;
pub mod frame;
mod journal;
pub mod limits;
mod open;
mod outbox;
mod progress;
mod reader;
mod rows;
mod segment;
mod settings;
mod snapshot;

pub use database::{CdrReader, DatabaseError, Wanted};
pub use journal::{Journal, JournalCounts};
pub use open::{OpenError, Opened, StoreConfig, open};
pub use outbox::{Kept, Kind, KindCount, Outbox, OutboxCounts, Receiver};
pub use reader::Damage;
pub use segment::Position;
pub use snapshot::{SnapshotError, segments, snapshot};
