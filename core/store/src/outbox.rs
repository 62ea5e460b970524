//! Records for those who must not miss one: what modules carry out of the house (billing, above
//! all). The follower puts them into a table in the transaction that applies them, so that each is
//! there once, whatever is killed when; they stay until every receiver has acknowledged them.
//!
//! A receiver that never acknowledges must not fill the disk: beyond [`limits::OUTBOX_ROWS`] the
//! oldest rows go, and the log says so.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use koukan_switch::Record;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions, Row};
use tokio::runtime::Runtime;

use crate::database::{DatabaseError, options};
use crate::limits;
use crate::progress::Progress;

/// The tables; made where they are missing.
pub(crate) const CREATE: &str = "CREATE TABLE IF NOT EXISTS outbox ( \
     sequence INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, record TEXT NOT NULL ); \
     CREATE TABLE IF NOT EXISTS receivers ( name TEXT PRIMARY KEY, \
     acknowledged INTEGER NOT NULL ) WITHOUT ROWID";

const INSERT: &str = "INSERT INTO outbox (kind, record) \
     SELECT value->>0, value->>1 FROM json_each(?) ORDER BY key";

const TRIM: &str = "DELETE FROM outbox WHERE sequence <= \
     (SELECT coalesce(min(acknowledged), 0) FROM receivers)";

const CROP: &str = "DELETE FROM outbox WHERE sequence <= \
     (SELECT coalesce(max(sequence), 0) FROM outbox) - ?";

/// What a record is to a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The final record of a call.
    Call,
    /// Anything else that happened: a call as it stands, a registration, a setting.
    Event,
}

impl Kind {
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

/// Records of a batch as rows, in their order; what is nobody else's business is left out.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    records: &[Record],
) -> sqlx::Result<()> {
    let rows: Vec<Value> = records.iter().filter_map(row).collect();
    if !rows.is_empty() {
        let rows = Value::from(rows).to_string();
        sqlx::query(INSERT).bind(rows).execute(&mut *connection).await?;
        let most = i64::try_from(limits::OUTBOX_ROWS).unwrap_or(i64::MAX);
        let lost = sqlx::query(CROP).bind(most).execute(connection).await?.rows_affected();
        if lost > 0 {
            tracing::error!(lost, "records go that no receiver has taken: too many wait");
        }
    }
    Ok(())
}

fn row(record: &Record) -> Option<Value> {
    let (kind, value) = match record {
        Record::Call(cdr) if cdr.ended.is_some() => (Kind::Call, serde_json::to_value(cdr).ok()?),
        Record::Call(_)
        | Record::Registered(_)
        | Record::Unregistered { .. }
        | Record::Setting(_) => (Kind::Event, serde_json::to_value(record).ok()?),
        // A module's own, and what phones watch.
        Record::Watching(_) | Record::Unwatched { .. } | Record::Note(_) => return None,
    };
    Some(json!([kind.number(), value.to_string()]))
}

/// The way to the records that wait, for any number of receivers.
#[derive(Clone, Debug)]
pub struct Outbox {
    path: PathBuf,
    progress: Arc<Progress>,
    wanted: Arc<AtomicBool>,
}

impl Outbox {
    pub(crate) fn new(path: &Path, progress: Arc<Progress>, wanted: Arc<AtomicBool>) -> Self {
        Self { path: path.to_owned(), progress, wanted }
    }

    /// Opens a receiver's end, on a connection and runtime of its own: it blocks. A receiver that
    /// is new gets what waits for others, and everything from now on.
    ///
    /// # Errors
    /// The database refuses, or the system gives no runtime.
    pub fn open(&self, name: &str) -> Result<Receiver, DatabaseError> {
        self.wanted.store(true, Ordering::Release);
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
            sqlx::query(TRIM).execute(&mut self.connection).await
        });
        done.map_err(|error| self.failed(error))?;
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
