//! The store as the control loop uses it: one append a turn, before anything leaves; what a full
//! disk refuses waits, bounded, and is tried again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use koukan_store::{CdrReader, Opened, Outbox, StoreConfig};
use koukan_switch::{Contact, Note, PastCharge, Record, SettingRecord, Watch};

use crate::clock::Clock;
use crate::config::Config;
use crate::metrics::Snapshot;

/// What a start finds from before.
#[derive(Debug, Default)]
pub struct Restored {
    /// Contacts that are still bound.
    pub contacts: Vec<Contact>,
    /// Subscriptions that have not ended.
    pub watches: Vec<Watch>,
    /// Live settings of all offices.
    pub settings: Vec<SettingRecord>,
    /// What modules wrote down.
    pub notes: Vec<Note>,
    /// What legs cost that ended lately.
    pub charges: Vec<PastCharge>,
}

/// The journal of a shard.
#[derive(Debug)]
pub struct Journal {
    store: koukan_store::Journal,
    cdrs: Arc<CdrReader>,
    outbox: Outbox,
    slowest: Duration,
    /// Whether the log has been told that the disk refuses.
    told: bool,
}

/// The journal where several threads write: each appends by itself, in one write, and waits only
/// for those that write at that moment.
#[derive(Clone, Debug)]
pub struct SharedJournal(Arc<Mutex<Journal>>);

impl SharedJournal {
    /// A journal for any thread.
    #[must_use]
    pub fn new(journal: Journal) -> Self {
        Self(Arc::new(Mutex::new(journal)))
    }

    /// The journal, for this thread alone while it is held.
    pub fn lock(&self) -> MutexGuard<'_, Journal> {
        // A panic leaves no append half done that the next one would go on with.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last write, of whoever is the last to have it; the others have nothing to wait for.
    pub fn close(&self) {
        if Arc::strong_count(&self.0) == 1 {
            self.lock().close();
        }
    }
}

/// What waits for modules that the configuration has no more waits for nobody.
fn forget_receivers(outbox: &Outbox, config: &Config) {
    let receivers = config.modules.iter().filter(|module| module.is_granted("records"));
    let names: Vec<String> = receivers.map(|module| module.name.clone()).collect();
    match outbox.keep_only(&names) {
        Ok(0) => {}
        Ok(gone) => tracing::warn!(gone, "modules are gone that records waited for"),
        Err(error) => tracing::error!(%error, "records wait for modules that may be gone"),
    }
}

impl Journal {
    /// Opens the journal and the database, and says in the log what the last run left behind.
    ///
    /// # Errors
    /// They cannot be opened.
    pub fn open(
        config: &Config,
        clock: &Clock,
    ) -> Result<(Self, Restored), koukan_store::OpenError> {
        let place = StoreConfig {
            data: config.data.clone(),
            database: config.database.clone(),
            outbox: config.modules.iter().any(|module| module.is_granted("records")),
        };
        let opened = koukan_store::open(&place, clock.date())?;
        let Opened { journal, cdrs, outbox, contacts, watches, settings, notes, charges, .. } =
            opened;
        let (closed_calls, damage) = (opened.closed_calls, opened.damage);
        forget_receivers(&outbox, config);
        for damage in damage {
            tracing::warn!(
                segment = damage.at.segment,
                offset = damage.at.offset,
                bytes = damage.bytes,
                "the journal of the last run has bytes that are no records"
            );
        }
        for call in closed_calls {
            let last_seen = call.last_seen;
            tracing::warn!(call = call.call, %last_seen, "the last run ended during this call");
        }
        let (phones, lamps) = (contacts.len(), watches.len());
        let flipped = settings.len();
        tracing::info!(phones, lamps, flipped, "registrations, subscriptions, settings taken over");
        let cdrs = Arc::new(cdrs);
        let journal = Self { store: journal, cdrs, outbox, slowest: Duration::ZERO, told: false };
        Ok((journal, Restored { contacts, watches, settings, notes, charges }))
    }

    /// Where finished calls are read from.
    #[must_use]
    pub fn cdrs(&self) -> Arc<CdrReader> {
        Arc::clone(&self.cdrs)
    }

    /// Where modules find the records that they carry out.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        self.outbox.clone()
    }

    /// Appends records; whether they are safe.
    pub fn append(&mut self, records: Vec<Record>) -> bool {
        let begin = Instant::now();
        let safe = self.store.append(records);
        self.slowest = self.slowest.max(begin.elapsed());
        self.tell(safe);
        safe
    }

    /// Tries again what waits.
    pub fn handle_housekeeping(&mut self) {
        if self.store.counts().waiting > 0 {
            let safe = self.store.retry();
            self.tell(safe);
        }
    }

    /// Records that wait for a disk that takes them.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.store.counts().waiting
    }

    /// The last write; waits for the database.
    pub fn close(&mut self) {
        self.store.close();
    }

    /// Puts what was measured into a snapshot.
    pub fn measure(&self, snapshot: &mut Snapshot) {
        let counts = self.store.counts();
        snapshot.journal_records = counts.written;
        snapshot.journal_failures = counts.failures;
        snapshot.journal_waiting = counts.waiting;
        snapshot.journal_lost = counts.lost;
        snapshot.journal_behind_bytes = counts.behind_bytes;
        snapshot.database_failures = counts.database_failures;
        snapshot.journal_slowest_s = self.slowest.as_secs_f64();
        snapshot.outbox = self.outbox.counts();
    }

    /// One line when the disk begins to refuse, and one when it takes records again.
    fn tell(&mut self, safe: bool) {
        if safe == self.told {
            self.told = !safe;
            if safe {
                tracing::info!("the data directory takes records again; nothing is lost");
            } else {
                tracing::error!(
                    "nothing can be written to the data directory: calls go on and their records \
                     wait, registrations are refused; is the disk full?"
                );
            }
        }
    }
}
