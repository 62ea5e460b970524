//! Records for those who must not miss one: what modules carry out of the house (billing, above
//! all). The follower puts them into a table in the transaction that applies them, so that each is
//! there once, whatever is killed when; they stay until every receiver has acknowledged them.
//!
//! A receiver that never acknowledges must not fill the disk: each kind has a bound of its own
//! ([`limits::OUTBOX_CALLS`], [`limits::OUTBOX_EVENTS`]), beyond which the oldest of that kind go.
//! Phones that refresh their registrations therefore never push records of calls out. What went is
//! counted over all runs, and the log says so.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use koukan_switch::{NOTICES, Note, Record};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions, Row};
use tokio::runtime::Runtime;

use crate::database::{DatabaseError, options};
use crate::limits;
use crate::progress::Progress;

/// The tables, made where they are missing. The counts follow the rows by themselves, whoever adds
/// or removes them.
pub(crate) const CREATE: &str = "CREATE TABLE IF NOT EXISTS outbox ( \
     sequence INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, record TEXT NOT NULL ); \
     CREATE INDEX IF NOT EXISTS outbox_by_kind ON outbox (kind); \
     CREATE TABLE IF NOT EXISTS receivers ( name TEXT PRIMARY KEY, \
     acknowledged INTEGER NOT NULL ) WITHOUT ROWID; \
     CREATE TABLE IF NOT EXISTS outbox_kinds ( kind INTEGER PRIMARY KEY, \
     waiting INTEGER NOT NULL, lost INTEGER NOT NULL ); \
     INSERT OR IGNORE INTO outbox_kinds SELECT column1, \
     (SELECT count(*) FROM outbox WHERE kind = column1), 0 FROM (VALUES (1), (2)); \
     CREATE TRIGGER IF NOT EXISTS outbox_in AFTER INSERT ON outbox BEGIN \
     UPDATE outbox_kinds SET waiting = waiting + 1 WHERE kind = NEW.kind; END; \
     CREATE TRIGGER IF NOT EXISTS outbox_out AFTER DELETE ON outbox BEGIN \
     UPDATE outbox_kinds SET waiting = waiting - 1 WHERE kind = OLD.kind; END";

const INSERT: &str = "INSERT INTO outbox (kind, record) \
     SELECT value->>0, value->>1 FROM json_each(?) ORDER BY key";

const TRIM: &str = "DELETE FROM outbox WHERE sequence <= \
     (SELECT coalesce(min(acknowledged), 0) FROM receivers)";

const CROP: &str = "DELETE FROM outbox WHERE sequence IN \
     (SELECT sequence FROM outbox WHERE kind = ? ORDER BY sequence LIMIT ?)";

const LOST: &str = "UPDATE outbox_kinds SET lost = lost + ? WHERE kind = ?";

/// What a record is to a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The final record of a call.
    Call,
    /// Anything else that happened: a call as it stands, a registration, a setting.
    Event,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Call, Self::Event];

    /// So many may wait.
    const fn bound(self) -> u64 {
        match self {
            Self::Call => limits::OUTBOX_CALLS,
            Self::Event => limits::OUTBOX_EVENTS,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Call => "records of calls",
            Self::Event => "records of events",
        }
    }

    /// Its number in the table and at the module border.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Call => 1,
            Self::Event => 2,
        }
    }
}

/// A record that waits for a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Grows from record to record, with gaps.
    pub sequence: u64,
    /// One of [`Kind::number`].
    pub kind: u32,
    /// One JSON object.
    pub record: String,
}

/// What waits of a kind, and what went before anybody took it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindCount {
    /// Records that a receiver has not acknowledged.
    pub waiting: u64,
    /// Records that went because too many waited, over all runs.
    pub lost: u64,
}

/// The records that wait for receivers, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxCounts {
    /// Final records of calls.
    pub calls: KindCount,
    /// Anything else.
    pub events: KindCount,
}

impl OutboxCounts {
    const fn of(&mut self, kind: Kind) -> &mut KindCount {
        match kind {
            Kind::Call => &mut self.calls,
            Kind::Event => &mut self.events,
        }
    }
}

/// What the follower and the receivers share.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// Receivers want the records.
    wanted: AtomicBool,
    /// Waiting and lost, of calls and of events.
    counts: [AtomicU64; 4],
}

impl Outgoing {
    pub(crate) fn new(wanted: bool, counts: OutboxCounts) -> Self {
        let own = Self { wanted: AtomicBool::new(wanted), counts: Default::default() };
        own.set(counts);
        own
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Relaxed: each is a figure for people.
    pub(crate) fn set(&self, counts: OutboxCounts) {
        let OutboxCounts { calls, events } = counts;
        let numbers = [calls.waiting, calls.lost, events.waiting, events.lost];
        for (place, number) in self.counts.iter().zip(numbers) {
            place.store(number, Ordering::Relaxed);
        }
    }

    fn counts(&self) -> OutboxCounts {
        let [calls, calls_lost, events, events_lost] =
            self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        OutboxCounts {
            calls: KindCount { waiting: calls, lost: calls_lost },
            events: KindCount { waiting: events, lost: events_lost },
        }
    }
}

/// What the table says.
pub(crate) async fn counts(connection: &mut SqliteConnection) -> sqlx::Result<OutboxCounts> {
    let rows = sqlx::query("SELECT kind, waiting, lost FROM outbox_kinds");
    let mut counts = OutboxCounts::default();
    for row in rows.fetch_all(connection).await? {
        let number: i64 = row.try_get(0)?;
        let kind = Kind::ALL.into_iter().find(|kind| i64::from(kind.number()) == number);
        if let Some(kind) = kind {
            let (waiting, lost) = (unsigned(row.try_get(1)?), unsigned(row.try_get(2)?));
            *counts.of(kind) = KindCount { waiting, lost };
        }
    }
    Ok(counts)
}

/// Records of a batch as rows, in their order; what is nobody else's business is left out. Of each
/// kind no more stay than its bound.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    records: &[Record],
) -> sqlx::Result<OutboxCounts> {
    insert_within(connection, records, Kind::bound).await
}

async fn insert_within(
    connection: &mut SqliteConnection,
    records: &[Record],
    bound: impl Fn(Kind) -> u64,
) -> sqlx::Result<OutboxCounts> {
    let rows: Vec<Value> = records.iter().filter_map(row).collect();
    if !rows.is_empty() {
        let rows = Value::from(rows).to_string();
        sqlx::query(INSERT).bind(rows).execute(&mut *connection).await?;
    }
    let mut counted = counts(connection).await?;
    for kind in Kind::ALL {
        let count = counted.of(kind);
        let excess = count.waiting.saturating_sub(bound(kind));
        if excess == 0 {
            continue;
        }
        let crop = sqlx::query(CROP).bind(kind.number()).bind(signed(excess));
        let gone = crop.execute(&mut *connection).await?.rows_affected();
        sqlx::query(LOST).bind(signed(gone)).bind(kind.number()).execute(&mut *connection).await?;
        let before = count.lost;
        count.waiting = count.waiting.saturating_sub(gone);
        count.lost = count.lost.saturating_add(gone);
        // Batches come ten times a second: doublings are told.
        if before.checked_ilog2() != count.lost.checked_ilog2() {
            let (kind, lost) = (kind.words(), count.lost);
            tracing::error!(kind, lost, "records went that no module has taken: too many wait");
        }
    }
    Ok(counted)
}

fn row(record: &Record) -> Option<Value> {
    let (kind, value) = match record {
        Record::Call(cdr) if cdr.ended.is_some() => (Kind::Call, serde_json::to_value(cdr).ok()?),
        Record::Call(_)
        | Record::Registered(_)
        | Record::Unregistered { .. }
        | Record::Setting(_) => (Kind::Event, serde_json::to_value(record).ok()?),
        Record::Note(note) if note.module == NOTICES => (Kind::Event, notice(note)?),
        // A module's own, and what phones watch.
        Record::Watching(_) | Record::Unwatched { .. } | Record::Note(_) => return None,
    };
    Some(json!([kind.number(), value.to_string()]))
}

/// A notice for apps as an event: what they hear, and whose. One that has given way is no event.
fn notice(note: &Note) -> Option<Value> {
    let Value::Object(mut notice) = serde_json::from_str(note.value.as_ref()?).ok()? else {
        return None;
    };
    notice.insert("kind".to_owned(), "notice".into());
    notice.insert("tenant".to_owned(), note.tenant.clone().into());
    Some(notice.into())
}

/// The way to the records that wait, for any number of receivers.
#[derive(Clone, Debug)]
pub struct Outbox {
    path: PathBuf,
    progress: Arc<Progress>,
    outgoing: Arc<Outgoing>,
}

impl Outbox {
    pub(crate) fn new(path: &Path, progress: Arc<Progress>, outgoing: Arc<Outgoing>) -> Self {
        Self { path: path.to_owned(), progress, outgoing }
    }

    /// What waits, and what went because too much did.
    #[must_use]
    pub fn counts(&self) -> OutboxCounts {
        self.outgoing.counts()
    }

    /// Opens a receiver's end, on a connection and runtime of its own: it blocks. A receiver that
    /// is new gets what waits for others, and everything from now on.
    ///
    /// # Errors
    /// The database refuses, or the system gives no runtime.
    pub fn open(&self, name: &str) -> Result<Receiver, DatabaseError> {
        self.outgoing.wanted.store(true, Ordering::Release);
        let failed = |error| DatabaseError::Failed { path: self.path.clone(), error };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| failed(sqlx::Error::Io(error)))?;
        let opened = runtime.block_on(async {
            let mut connection = options(&self.path).connect().await?;
            sqlx::query(
                "INSERT OR IGNORE INTO receivers (name, acknowledged) SELECT ?, \
                 coalesce((SELECT min(sequence) FROM outbox), \
                 (SELECT seq + 1 FROM sqlite_sequence WHERE name = 'outbox'), 1) - 1",
            )
            .bind(name)
            .execute(&mut connection)
            .await?;
            let row = sqlx::query("SELECT acknowledged FROM receivers WHERE name = ?")
                .bind(name)
                .fetch_one(&mut connection)
                .await?;
            Ok((connection, unsigned(row.try_get(0)?)))
        });
        let (connection, acknowledged) = opened.map_err(failed)?;
        let (outbox, name) = (self.clone(), name.to_owned());
        Ok(Receiver { outbox, runtime, connection, name, acknowledged })
    }

    /// Forgets the receivers that are not among these: nothing waits for them any longer.
    ///
    /// # Errors
    /// The database refuses.
    pub fn keep_only(&self, names: &[String]) -> Result<u64, DatabaseError> {
        let failed = |error| DatabaseError::Failed { path: self.path.clone(), error };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| failed(sqlx::Error::Io(error)))?;
        let names = Value::from(names).to_string();
        let done = runtime.block_on(async {
            let mut connection = options(&self.path).connect().await?;
            let gone = "DELETE FROM receivers WHERE name NOT IN (SELECT value FROM json_each(?))";
            sqlx::query(gone).bind(names).execute(&mut connection).await
        });
        done.map(|done| done.rows_affected()).map_err(failed)
    }
}

/// A receiver's end.
#[derive(Debug)]
pub struct Receiver {
    outbox: Outbox,
    runtime: Runtime,
    connection: SqliteConnection,
    name: String,
    acknowledged: u64,
}

impl Receiver {
    /// The last record that it has acknowledged, over all runs.
    #[must_use]
    pub const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// The next records of some kinds behind those acknowledged, at most `most`; asks the follower
    /// to bring what the journal knows.
    ///
    /// # Errors
    /// The database refuses.
    pub fn next(&mut self, kinds: &[Kind], most: u32) -> Result<Vec<Kept>, DatabaseError> {
        self.outbox.progress.ask();
        let kinds: Vec<u32> = kinds.iter().map(|kind| kind.number()).collect();
        let query = "SELECT sequence, kind, record FROM outbox WHERE sequence > ? \
                     AND sequence <= ? AND kind IN (SELECT value FROM json_each(?)) \
                     ORDER BY sequence LIMIT ?";
        let rows = self.runtime.block_on(async {
            let newest = "SELECT coalesce(max(sequence), 0) FROM outbox";
            let newest = sqlx::query(newest).fetch_one(&mut self.connection).await?;
            let newest: i64 = newest.try_get(0)?;
            let rows = sqlx::query(query)
                .bind(signed(self.acknowledged))
                .bind(newest)
                .bind(Value::from(kinds).to_string())
                .bind(i64::from(most))
                .fetch_all(&mut self.connection)
                .await?;
            Ok((newest, rows))
        });
        let (newest, rows) = rows.map_err(|error| self.failed(error))?;
        if rows.is_empty() {
            // What is of other kinds is nothing that it waits for.
            self.acknowledge(unsigned(newest))?;
        }
        let kept = {
            let kept = |row: &sqlx::sqlite::SqliteRow| {
                let kind: i64 = row.try_get(1)?;
                Ok(Kept {
                    sequence: unsigned(row.try_get(0)?),
                    kind: u32::try_from(kind).unwrap_or(0),
                    record: row.try_get(2)?,
                })
            };
            rows.iter().map(kept).collect::<sqlx::Result<_>>()
        };
        kept.map_err(|error| self.failed(error))
    }

    /// Everything up to `sequence` is safe with the receiver: it goes once all have it.
    ///
    /// # Errors
    /// The database refuses; the records come again.
    pub fn acknowledge(&mut self, sequence: u64) -> Result<(), DatabaseError> {
        if sequence <= self.acknowledged {
            return Ok(());
        }
        let done = self.runtime.block_on(async {
            sqlx::query("UPDATE receivers SET acknowledged = ? WHERE name = ?")
                .bind(signed(sequence))
                .bind(&self.name)
                .execute(&mut self.connection)
                .await?;
            sqlx::query(TRIM).execute(&mut self.connection).await?;
            counts(&mut self.connection).await
        });
        self.outbox.outgoing.set(done.map_err(|error| self.failed(error))?);
        self.acknowledged = sequence;
        Ok(())
    }

    fn failed(&self, error: sqlx::Error) -> DatabaseError {
        DatabaseError::Failed { path: self.outbox.path.clone(), error }
    }
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use koukan_switch::{CallCause, Cdr};
    use sqlx::sqlite::SqliteConnectOptions;

    use super::*;

    fn call(number: u32) -> Record {
        let at = Timestamp::UNIX_EPOCH;
        Record::Call(Cdr {
            call: number.to_string(),
            tenant: "acme".to_owned(),
            generation: 1,
            direction: "inbound".to_owned(),
            caller: "0455550001".to_owned(),
            called: "0312340001".to_owned(),
            number: None,
            started: at,
            answered: None,
            ended: Some(at),
            last_seen: at,
            cause: Some(CallCause::CallerHungUp),
            status: 200,
            price: None,
            legs: Vec::new(),
        })
    }

    fn event(number: u32) -> Record {
        Record::Unregistered { user: number.to_string(), uri: String::new(), reg_id: None }
    }

    /// What waits, as kind and whose.
    async fn waits(connection: &mut SqliteConnection) -> Vec<(i64, String)> {
        let query = "SELECT kind, coalesce(record->>'call', record->>'user') FROM outbox \
                     ORDER BY sequence";
        let rows = sqlx::query(query).fetch_all(connection).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    #[test]
    fn events_push_out_events_and_never_a_call_and_what_went_is_counted() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let memory = SqliteConnectOptions::new().in_memory(true);
            let mut connection = memory.connect().await.unwrap();
            let connection = &mut connection;
            sqlx::raw_sql(CREATE).execute(&mut *connection).await.unwrap();
            let bound = |kind| if kind == Kind::Call { 3 } else { 2 };
            let batch = [call(1), event(1), call(2)];
            let counted = insert_within(connection, &batch, bound).await.unwrap();
            assert_eq!(counted.calls, KindCount { waiting: 2, lost: 0 });
            // A night of phones that refresh, without a receiver.
            let mut lost = 0;
            for night in 0..50 {
                let batch: Vec<Record> = (0..20).map(|n| event(100 * night + n)).collect();
                let counted = insert_within(connection, &batch, bound).await.unwrap();
                assert_eq!(counted.calls, KindCount { waiting: 2, lost: 0 });
                assert_eq!(counted.events.waiting, 2);
                lost = counted.events.lost;
            }
            assert_eq!(lost, 1 + 50 * 20 - 2);
            let waiting = [(1, "1"), (1, "2"), (2, "4918"), (2, "4919")];
            assert_eq!(waits(connection).await, waiting.map(|(k, t)| (k, t.to_owned())));
            // Calls are bounded by calls alone, and those that went are counted, too.
            let batch: Vec<Record> = (3..8).map(call).collect();
            let counted = insert_within(connection, &batch, bound).await.unwrap();
            assert_eq!(counted.calls, KindCount { waiting: 3, lost: 4 });
            let waiting = [(2, "4918"), (2, "4919"), (1, "5"), (1, "6"), (1, "7")];
            assert_eq!(waits(connection).await, waiting.map(|(k, t)| (k, t.to_owned())));
            // The counts outlive the process, and a table that is older gets them.
            sqlx::raw_sql(CREATE).execute(&mut *connection).await.unwrap();
            assert_eq!(counts(connection).await.unwrap(), counted);
            let old = "DROP TRIGGER outbox_in; DROP TRIGGER outbox_out; DROP TABLE outbox_kinds";
            sqlx::raw_sql(old).execute(&mut *connection).await.unwrap();
            sqlx::raw_sql(CREATE).execute(&mut *connection).await.unwrap();
            let again = counts(connection).await.unwrap();
            assert_eq!((again.calls.waiting, again.events.waiting), (3, 2));
        });
    }
}
