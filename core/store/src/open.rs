//! A start: what the database and the journal behind it say together, and calls that the last run
//! left open are closed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use koukan_switch::{
    CallCause, Cdr, CdrLeg, Contact, Note, PastCharge, Record, SettingRecord, Watch,
};

use crate::database::{CdrReader, Database, DatabaseError, Stored};
use crate::follower::Follower;
use crate::journal::Journal;
use crate::limits;
use crate::outbox::{Outbox, Outgoing};
use crate::progress::Progress;
use crate::reader::{self, Damage};
use crate::segment::{self, Position};

/// Where the state is.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The data directory; the journal's segments are in it. Nobody else may use it meanwhile.
    pub data: PathBuf,
    /// The SQLite file.
    pub database: PathBuf,
    /// Receivers want the records from the first one on; without them nothing is kept for any.
    pub outbox: bool,
}

/// Why the state cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The journal's files.
    #[error("the journal in {} cannot be used: {error}", directory.display())]
    Journal {
        /// The data directory.
        directory: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The system gave no thread or runtime.
    #[error("the store's thread cannot be started: {0}")]
    Thread(io::Error),
}

/// The open state.
#[derive(Debug)]
pub struct Opened {
    /// Its writing end.
    pub journal: Journal,
    /// Where records of calls are read.
    pub cdrs: CdrReader,
    /// Where receivers of records find theirs.
    pub outbox: Outbox,
    /// Contacts that are still bound.
    pub contacts: Vec<Contact>,
    /// Subscriptions that have not ended.
    pub watches: Vec<Watch>,
    /// Live settings.
    pub settings: Vec<SettingRecord>,
    /// What modules wrote down.
    pub notes: Vec<Note>,
    /// Legs that cost something and ended lately, those of `closed_calls` too.
    pub charges: Vec<PastCharge>,
    /// Calls that the last run left open; they have been closed with
    /// [`CallCause::ServerStopped`] at the moment when they were last seen.
    pub closed_calls: Vec<Cdr>,
    /// Bytes of the journal that were no records.
    pub damage: Vec<Damage>,
}

/// Opens the state, makes it where it is missing, and starts the follower.
///
/// # Errors
/// A file cannot be read or written, or a later version wrote it; nothing was changed then.
pub fn open(config: &StoreConfig, now: Timestamp) -> Result<Opened, OpenError> {
    let journal_error = |error| OpenError::Journal { directory: config.data.clone(), error };
    fs::create_dir_all(&config.data).map_err(journal_error)?;
    if let Some(parent) = config.database.parent() {
        fs::create_dir_all(parent).map_err(journal_error)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(OpenError::Thread)?;
    let (database, stored) = runtime.block_on(async {
        let mut database = Database::open(&config.database).await?;
        let stored = database
            .stored(now)
            .await
            .map_err(|error| DatabaseError::Failed { path: config.database.clone(), error })?;
        Ok::<_, DatabaseError>((database, stored))
    })?;
    let (applied, counts) = (stored.applied, stored.outbox);
    let replay = Replay::new(stored).run(&config.data).map_err(journal_error)?;

    let progress = Arc::new(Progress::default());
    progress.owed(replay.bytes);
    let mut journal = Journal::new(&config.data, replay.next_segment, Arc::clone(&progress))
        .map_err(journal_error)?;
    let contacts = replay.contacts.into_values().filter(|contact| contact.expires > now).collect();
    let watches = replay.watches.into_values().filter(|watch| watch.expires > now).collect();
    let settings = replay.settings.into_values().filter(|setting| setting.value.is_some());
    let settings = settings.collect();
    let notes = replay.notes.into_values().collect();
    let closed_calls: Vec<Cdr> = replay.calls.into_values().map(close).collect();
    let mut charges = replay.charges;
    charges.extend(closed_calls.iter().map(|cdr| (cdr.call.clone(), charges_of(cdr))));
    let charges = charges.into_values().flatten().collect();
    if !journal.append(closed_calls.iter().cloned().map(Record::Call)) {
        return Err(journal_error(io::Error::other("nothing can be written to it")));
    }
    let outgoing = Arc::new(Outgoing::new(config.outbox, counts));
    let follower = Follower::start(
        config.data.clone(),
        runtime,
        database,
        replay.first,
        (Arc::clone(&progress), Arc::clone(&outgoing)),
    );
    journal.follow(follower.map_err(OpenError::Thread)?);
    tracing::debug!(?applied, replayed = replay.bytes, "the state is open");
    Ok(Opened {
        journal,
        outbox: Outbox::new(&config.database, Arc::clone(&progress), outgoing),
        cdrs: CdrReader::new(&config.database, progress),
        contacts,
        watches,
        settings,
        notes,
        charges,
        closed_calls,
        damage: replay.damage,
    })
}

/// User, URI and flow of a contact: what tells it from others.
type ContactKey = (String, String, Option<u32>);

fn key(contact: &Contact) -> ContactKey {
    (contact.user.clone(), contact.uri.clone(), contact.reg_id)
}

fn setting_key(setting: &SettingRecord) -> (String, String) {
    (setting.tenant.clone(), setting.key.clone())
}

/// Module, tenant and key of a note.
type NoteKey = (String, String, String);

fn note_key(note: &Note) -> NoteKey {
    (note.module.clone(), note.tenant.clone(), note.key.clone())
}

/// The journal behind the database, in memory.
#[derive(Debug)]
struct Replay {
    applied: Position,
    /// Where the follower begins.
    first: Position,
    next_segment: u64,
    contacts: BTreeMap<ContactKey, Contact>,
    watches: BTreeMap<String, Watch>,
    settings: BTreeMap<(String, String), SettingRecord>,
    calls: BTreeMap<String, Cdr>,
    notes: BTreeMap<NoteKey, Note>,
    /// Legs that cost something and are over, by call.
    charges: BTreeMap<String, Vec<PastCharge>>,
    bytes: u64,
    damage: Vec<Damage>,
}

impl Replay {
    fn new(stored: Stored) -> Self {
        let mut charges: BTreeMap<String, Vec<PastCharge>> = BTreeMap::new();
        for (call, charge) in stored.charges {
            charges.entry(call).or_default().push(charge);
        }
        Self {
            applied: stored.applied,
            first: stored.applied,
            next_segment: stored.applied.segment + 1,
            contacts: stored.contacts.into_iter().map(|c| (key(&c), c)).collect(),
            watches: stored.watches.into_iter().map(|w| (w.key.clone(), w)).collect(),
            settings: stored.settings.into_iter().map(|s| (setting_key(&s), s)).collect(),
            calls: stored.open_calls.into_iter().map(|c| (c.call.clone(), c)).collect(),
            notes: stored.notes.into_iter().map(|n| (note_key(&n), n)).collect(),
            charges,
            bytes: 0,
            damage: Vec::new(),
        }
    }

    fn run(mut self, directory: &Path) -> io::Result<Self> {
        let applied = self.applied;
        let segments = segment::list(directory)?;
        let mut unapplied = segments.into_iter().filter(|segment| *segment >= applied.segment);
        let Some(first) = unapplied.next() else {
            self.first = Position { segment: self.next_segment, offset: 0 };
            return Ok(self);
        };
        if first != applied.segment {
            self.first = Position { segment: first, offset: 0 };
        }
        for segment in std::iter::once(first).chain(unapplied) {
            let offset = if segment == applied.segment { applied.offset } else { 0 };
            self.replay(directory, Position { segment, offset })?;
            self.next_segment = self.next_segment.max(segment + 1);
        }
        Ok(self)
    }

    fn replay(&mut self, directory: &Path, mut at: Position) -> io::Result<()> {
        let end = fs::metadata(segment::path(directory, at.segment))?.len();
        while at.offset < end {
            let batch = reader::read(directory, at, end, limits::BATCH_BYTES)?;
            batch.records.into_iter().for_each(|record| self.take(record));
            self.damage.extend(batch.damage);
            self.bytes += batch.bytes;
            at = batch.end;
        }
        Ok(())
    }

    fn take(&mut self, record: Record) {
        match record {
            Record::Registered(contact) => {
                self.contacts.insert(key(&contact), contact);
            }
            Record::Unregistered { user, uri, reg_id } => {
                self.contacts.remove(&(user, uri, reg_id));
            }
            Record::Watching(watch) => {
                self.watches.insert(watch.key.clone(), *watch);
            }
            Record::Unwatched { key } => {
                self.watches.remove(&key);
            }
            Record::Setting(setting) => {
                self.settings.insert(setting_key(&setting), setting);
            }
            Record::Note(note) if note.value.is_none() => {
                self.notes.remove(&note_key(&note));
            }
            Record::Note(note) => {
                self.notes.insert(note_key(&note), note);
            }
            Record::Call(cdr) if cdr.ended.is_some() => {
                self.calls.remove(&cdr.call);
                let charges = charges_of(&cdr);
                self.charges.insert(cdr.call, charges);
            }
            Record::Call(cdr) => {
                self.calls.insert(cdr.call.clone(), cdr);
            }
        }
    }
}

/// What the legs of a call cost that are over.
fn charges_of(cdr: &Cdr) -> Vec<PastCharge> {
    let past = |leg: &CdrLeg| {
        let (answered, ended) = (leg.answered?, leg.ended?);
        Some(PastCharge { charge: leg.charge.clone()?, answered, ended })
    };
    cdr.legs.iter().filter_map(past).collect()
}

/// A call that was up when the last run ended.
fn close(mut cdr: Cdr) -> Cdr {
    cdr.ended = Some(cdr.last_seen);
    cdr.cause = Some(CallCause::ServerStopped);
    for leg in &mut cdr.legs {
        leg.ended.get_or_insert(cdr.last_seen);
    }
    cdr
}
