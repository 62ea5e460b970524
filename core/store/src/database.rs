//! The SQLite database: the journal's records as tables that can be asked.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use koukan_switch::{Cdr, Contact, Note, PastCharge, Record, SettingRecord, Watch};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row};
use tokio::sync::Mutex;

use crate::outbox::{OutboxCounts, Outgoing};
use crate::progress::Progress;
use crate::segment::Position;
use crate::{calls, limits, outbox, rows, settings};

/// The version of [`SCHEMA`], kept in SQLite's `user_version`.
const VERSION: i64 = 4;
const SCHEMA: &str = include_str!("schema.sql");

/// What brings version 1, then 2 and so on, to the next.
const UPGRADES: [&str; 3] =
    [include_str!("upgrade_2.sql"), include_str!("upgrade_3.sql"), include_str!("upgrade_4.sql")];

/// How long a statement waits for another process that looks into the file.
const BUSY: Duration = Duration::from_secs(5);

/// How often and how many times a reader looks whether the database has caught up.
const GLANCE: Duration = Duration::from_millis(5);
const PATIENCE: u32 = 200;

/// Contacts that expired so long ago are deleted.
const LONG_EXPIRED_MS: i64 = 7 * 86_400 * 1000;

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// SQLite or the disk.
    #[error("the database {} cannot be used: {error}", path.display())]
    Failed {
        /// Its file.
        path: PathBuf,
        /// SQLite's words.
        error: sqlx::Error,
    },
    /// A later version of the server wrote it.
    #[error(
        "the database {} has schema {found}, this version knows {VERSION}: \
         run the version that wrote it, or set another `[store] database`",
        path.display()
    )]
    Newer {
        /// Its file.
        path: PathBuf,
        /// Its schema's version.
        found: i64,
    },
}

/// The writing connection; the follower's own.
#[derive(Debug)]
pub(crate) struct Database {
    connection: SqliteConnection,
}

/// What a start finds in the database.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) applied: Position,
    pub(crate) contacts: Vec<Contact>,
    pub(crate) watches: Vec<Watch>,
    pub(crate) settings: Vec<SettingRecord>,
    pub(crate) open_calls: Vec<Cdr>,
    pub(crate) notes: Vec<Note>,
    pub(crate) charges: Vec<(String, PastCharge)>,
    pub(crate) outbox: OutboxCounts,
}

pub(crate) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY)
        .foreign_keys(true)
        .pragma("cache_size", limits::CACHE_PAGES.to_string())
        .disable_statement_logging()
}

impl Database {
    /// Opens the file and brings it to this version's schema.
    pub(crate) async fn open(path: &Path) -> Result<Self, DatabaseError> {
        let failed = |error| DatabaseError::Failed { path: path.to_owned(), error };
        let mut connection = options(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .connect()
            .await
            .map_err(failed)?;
        let row =
            sqlx::query("PRAGMA user_version").fetch_one(&mut connection).await.map_err(failed)?;
        let found: i64 = row.try_get(0).map_err(failed)?;
        match found {
            VERSION => {}
            0 => migrate(&mut connection, &[SCHEMA]).await.map_err(failed)?,
            1..VERSION => {
                let done = usize::try_from(found).unwrap_or(1).saturating_sub(1);
                let steps = UPGRADES.get(done..).unwrap_or_default();
                migrate(&mut connection, steps).await.map_err(failed)?;
            }
            _ => return Err(DatabaseError::Newer { path: path.to_owned(), found }),
        }
        let missing = [rows::CREATE_WATCHES, rows::CREATE_NOTES, settings::CREATE, outbox::CREATE];
        add(&mut connection, &missing).await.map_err(failed)?;
        Ok(Self { connection })
    }

    /// What must be known at a start.
    pub(crate) async fn stored(&mut self, now: Timestamp) -> sqlx::Result<Stored> {
        let connection = &mut self.connection;
        let row = sqlx::query("SELECT segment, offset FROM applied").fetch_one(&mut *connection);
        let row = row.await?;
        let place = |column| row.try_get(column).map(|n: i64| u64::try_from(n).unwrap_or(0));
        let applied = Position { segment: place("segment")?, offset: place("offset")? };
        // What has expired long ago is of no use, however wrong the clock may be today.
        let long_ago = now.as_millisecond().saturating_sub(LONG_EXPIRED_MS);
        for table in [rows::DELETE_OLD_CONTACTS, rows::DELETE_OLD_WATCHES] {
            sqlx::query(table).bind(long_ago).execute(&mut *connection).await?;
        }
        let contacts = sqlx::query("SELECT * FROM contacts WHERE expires > ?")
            .bind(now.as_millisecond())
            .fetch_all(&mut *connection)
            .await?;
        let contacts = contacts.iter().map(rows::contact).collect::<Result<_, _>>()?;
        let watches = sqlx::query("SELECT * FROM subscriptions WHERE expires > ?")
            .bind(now.as_millisecond())
            .fetch_all(&mut *connection)
            .await?;
        // What a later version wrote is passed over: the phone will subscribe again.
        let watches = watches.iter().filter_map(|row| rows::watch(row).ok()).collect();
        let calls = sqlx::query("SELECT * FROM calls WHERE ended IS NULL")
            .fetch_all(&mut *connection)
            .await?;
        let legs = sqlx::query(
            "SELECT legs.* FROM legs JOIN calls USING (call) WHERE calls.ended IS NULL \
             ORDER BY call, position",
        )
        .fetch_all(&mut *connection)
        .await?;
        let open_calls = join(
            calls.iter().map(rows::call).collect::<Result<_, _>>()?,
            legs.iter().map(rows::leg).collect::<Result<_, _>>()?,
        );
        let settings = settings::stored(connection).await?;
        let notes = sqlx::query("SELECT * FROM notes").fetch_all(&mut *connection).await?;
        let notes = notes.iter().map(rows::note).collect::<Result<_, _>>()?;
        let since = now.as_millisecond().saturating_sub(limits::CHARGES_MS);
        let charges = sqlx::query(rows::RECENT_CHARGES).bind(since);
        let charges = charges.fetch_all(&mut *connection).await?;
        let charges = charges.iter().map(rows::past_charge).collect::<Result<_, _>>()?;
        let outbox = outbox::counts(connection).await?;
        Ok(Stored { applied, contacts, watches, settings, open_calls, notes, charges, outbox })
    }

    /// Applies records and the position that they end at, all of them or none.
    /// `outgoing`: what receivers want of them.
    pub(crate) async fn apply(
        &mut self,
        records: &[Record],
        end: Position,
        outgoing: &Outgoing,
    ) -> sqlx::Result<()> {
        let mut transaction = self.connection.begin().await?;
        let batch = Batch::of(records);
        for (statement, rows) in batch.statements() {
            if rows != "[]" {
                sqlx::query(statement).bind(rows).execute(&mut *transaction).await?;
            }
        }
        let calls: Vec<&Cdr> = batch.calls.values().copied().collect();
        calls::replace(&mut transaction, &calls).await?;
        batch.settings.apply(&mut transaction).await?;
        let counts = if outgoing.is_wanted() {
            Some(outbox::insert(&mut transaction, records).await?)
        } else {
            None
        };
        sqlx::query("UPDATE applied SET segment = ?, offset = ?")
            .bind(i64::try_from(end.segment).unwrap_or(i64::MAX))
            .bind(i64::try_from(end.offset).unwrap_or(i64::MAX))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        if let Some(counts) = counts {
            outgoing.set(counts);
        }
        Ok(())
    }

    /// An orderly end: the write-ahead log goes into the file.
    pub(crate) async fn close(self) -> sqlx::Result<()> {
        self.connection.close().await
    }
}

/// Adds the tables that are missing, all of them or none: each page is written once.
async fn add(connection: &mut SqliteConnection, tables: &[&'static str]) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    for table in tables {
        sqlx::raw_sql(*table).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

/// Brings the database to this version, by all of the steps or none.
async fn migrate(connection: &mut SqliteConnection, steps: &[&'static str]) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    for step in steps {
        sqlx::raw_sql(*step).execute(&mut *transaction).await?;
    }
    sqlx::raw_sql("PRAGMA user_version = 4").execute(&mut *transaction).await?;
    transaction.commit().await
}

/// Records by what they are of, each thing as it stands last.
#[derive(Debug, Default)]
struct Batch<'a> {
    /// `None`: removed.
    contacts: BTreeMap<(&'a str, &'a str, u32), Option<&'a Contact>>,
    /// `None`: over.
    watches: BTreeMap<&'a str, Option<&'a Watch>>,
    settings: settings::Changes<'a>,
    calls: BTreeMap<&'a str, &'a Cdr>,
    notes: BTreeMap<(&'a str, &'a str, &'a str), Option<&'a str>>,
}

impl<'a> Batch<'a> {
    fn of(records: &'a [Record]) -> Self {
        let mut batch = Self::default();
        for record in records {
            match record {
                Record::Registered(contact) => {
                    let flow = contact.reg_id.unwrap_or(0);
                    batch.contacts.insert((&contact.user, &contact.uri, flow), Some(contact));
                }
                Record::Unregistered { user, uri, reg_id } => {
                    batch.contacts.insert((user, uri, reg_id.unwrap_or(0)), None);
                }
                Record::Watching(watch) => {
                    batch.watches.insert(&watch.key, Some(watch));
                }
                Record::Unwatched { key } => {
                    batch.watches.insert(key, None);
                }
                Record::Setting(setting) => batch.settings.add(setting),
                Record::Call(cdr) => {
                    batch.calls.insert(&cdr.call, cdr);
                }
                Record::Note(Note { module, tenant, key, value }) => {
                    batch.notes.insert((module, tenant, key), value.as_deref());
                }
            }
        }
        batch
    }

    /// What makes the tables say the same, in order, each with its rows as a JSON array.
    fn statements(&self) -> [(&'static str, String); 6] {
        let gone = self.contacts.iter().filter(|(_, contact)| contact.is_none());
        let gone: Value = gone.map(|((user, uri, flow), _)| json!([user, uri, flow])).collect();
        let bound: Value =
            self.contacts.values().flatten().map(|c| rows::contact_json(c)).collect();
        let over = self.watches.iter().filter(|(_, watch)| watch.is_none());
        let over: Value = over.map(|(key, _)| json!(key)).collect();
        let watches: Value = self.watches.values().flatten().map(|w| rows::watch_json(w)).collect();
        let removed = self.notes.iter().filter(|(_, value)| value.is_none());
        let removed: Value = removed.map(|(key, _)| json!([key.0, key.1, key.2])).collect();
        let notes = self.notes.iter().filter_map(|(key, value)| Some((key, (*value)?)));
        let notes: Value = notes.map(|(key, value)| json!([key.0, key.1, key.2, value])).collect();
        [
            (rows::DELETE_CONTACTS, gone.to_string()),
            (rows::INSERT_CONTACTS, bound.to_string()),
            (rows::DELETE_WATCHES, over.to_string()),
            (rows::INSERT_WATCHES, watches.to_string()),
            (rows::DELETE_NOTES, removed.to_string()),
            (rows::INSERT_NOTES, notes.to_string()),
        ]
    }
}

fn join(mut calls: Vec<Cdr>, legs: Vec<(String, koukan_switch::CdrLeg)>) -> Vec<Cdr> {
    let mut by_call: HashMap<String, Vec<koukan_switch::CdrLeg>> = HashMap::new();
    for (call, leg) in legs {
        by_call.entry(call).or_default().push(leg);
    }
    for call in &mut calls {
        call.legs = by_call.remove(&call.call).unwrap_or_default();
    }
    calls
}

/// Reads records of calls and settings for whoever asks, on a connection of its own that cannot
/// write. It is opened by the first question.
#[derive(Debug)]
pub struct CdrReader {
    path: PathBuf,
    progress: Arc<Progress>,
    connection: Mutex<Option<SqliteConnection>>,
}

impl CdrReader {
    pub(crate) fn new(path: &Path, progress: Arc<Progress>) -> Self {
        Self { path: path.to_owned(), progress, connection: Mutex::new(None) }
    }

    /// The latest `limit` calls, newest first; a running one has no `ended`. What the journal knew
    /// when this was asked is among them, unless the database refuses for longer than a second.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn latest(&self, limit: u32) -> Result<Vec<Cdr>, DatabaseError> {
        self.caught_up().await;
        let mut slot = self.connection.lock().await;
        let outcome = self.read(&mut slot, limit).await;
        if outcome.is_err() {
            // Whatever was wrong with the connection, the next question begins with a new one.
            *slot = None;
        }
        outcome.map_err(|error| DatabaseError::Failed { path: self.path.clone(), error })
    }

    /// The calls that are wanted, the oldest first, at most `limit` of them.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn wanted(&self, wanted: &Wanted, limit: u32) -> Result<Vec<Cdr>, DatabaseError> {
        self.caught_up().await;
        let mut slot = self.connection.lock().await;
        let outcome = match self.connected(&mut slot).await {
            Ok(connection) => wanted.read(connection, limit).await,
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            *slot = None;
        }
        outcome.map_err(|error| DatabaseError::Failed { path: self.path.clone(), error })
    }

    /// The latest `limit` changes of an office's live settings, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn setting_history(
        &self,
        tenant: &str,
        limit: u32,
    ) -> Result<Vec<SettingRecord>, DatabaseError> {
        self.caught_up().await;
        let mut slot = self.connection.lock().await;
        let outcome = match self.connected(&mut slot).await {
            Ok(connection) => settings::history(connection, tenant, limit).await,
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            *slot = None;
        }
        outcome.map_err(|error| DatabaseError::Failed { path: self.path.clone(), error })
    }

    /// Waits until the database knows what the journal knows now, or for about a second; whether it
    /// does.
    pub async fn catch_up(&self) -> bool {
        self.caught_up().await;
        self.progress.behind_bytes() == 0
    }

    async fn caught_up(&self) {
        self.progress.ask();
        for _ in 0..PATIENCE {
            if self.progress.behind_bytes() == 0 {
                break;
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    async fn connected<'s>(
        &self,
        slot: &'s mut Option<SqliteConnection>,
    ) -> sqlx::Result<&'s mut SqliteConnection> {
        Ok(match slot {
            Some(connection) => connection,
            None => slot.insert(options(&self.path).read_only(true).connect().await?),
        })
    }

    async fn read(
        &self,
        slot: &mut Option<SqliteConnection>,
        limit: u32,
    ) -> sqlx::Result<Vec<Cdr>> {
        let connection = self.connected(slot).await?;
        // Both questions see the same state.
        let mut transaction = connection.begin().await?;
        let calls = sqlx::query("SELECT * FROM calls ORDER BY started DESC, call DESC LIMIT ?")
            .bind(i64::from(limit))
            .fetch_all(&mut *transaction)
            .await?;
        let legs = sqlx::query(
            "SELECT legs.* FROM legs JOIN \
             (SELECT call FROM calls ORDER BY started DESC, call DESC LIMIT ?) USING (call) \
             ORDER BY call, position",
        )
        .bind(i64::from(limit))
        .fetch_all(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(join(
            calls.iter().map(rows::call).collect::<Result<_, _>>()?,
            legs.iter().map(rows::leg).collect::<Result<_, _>>()?,
        ))
    }
}

/// Which calls are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Of this office alone.
    pub tenant: Option<String>,
    /// Begun at or after this moment.
    pub from: Option<Timestamp>,
    /// Begun before this one.
    pub until: Option<Timestamp>,
}

impl Wanted {
    async fn read(&self, connection: &mut SqliteConnection, limit: u32) -> sqlx::Result<Vec<Cdr>> {
        const CALLS: &str = "SELECT * FROM calls WHERE started >= ?1 AND started < ?2 \
                             AND (?3 IS NULL OR tenant = ?3) ORDER BY started, call LIMIT ?4";
        const LEGS: &str = "SELECT legs.* FROM legs JOIN (SELECT call FROM calls WHERE \
                            started >= ?1 AND started < ?2 AND (?3 IS NULL OR tenant = ?3) \
                            ORDER BY started, call LIMIT ?4) USING (call) ORDER BY call, position";
        let from = self.from.map_or(i64::MIN, Timestamp::as_millisecond);
        let until = self.until.map_or(i64::MAX, Timestamp::as_millisecond);
        let mut transaction = connection.begin().await?;
        let mut found = Vec::new();
        for question in [CALLS, LEGS] {
            let rows = sqlx::query(question)
                .bind(from)
                .bind(until)
                .bind(self.tenant.as_deref())
                .bind(i64::from(limit))
                .fetch_all(&mut *transaction)
                .await?;
            found.push(rows);
        }
        transaction.commit().await?;
        let (calls, legs) = found.split_at(1);
        Ok(join(
            calls.iter().flatten().map(rows::call).collect::<Result<_, _>>()?,
            legs.iter().flatten().map(rows::leg).collect::<Result<_, _>>()?,
        ))
    }
}
