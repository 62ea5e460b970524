//! The thread that takes the journal over into the database and syncs it to the disk. It may be
//! slow, and the database may refuse: the control thread never waits for it.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::database::Database;
use crate::limits;
use crate::outbox::Outgoing;
use crate::progress::{News, Progress};
use crate::reader;
use crate::segment::{self, Position};

/// A power loss costs at most this much.
const SYNC: Duration = Duration::from_secs(1);

/// Records that come within this time go into the database together, and of what happened to one
/// call or contact meanwhile only the last. Whoever reads the database ends the wait.
const GATHER: Duration = Duration::from_secs(1);

/// The first and the longest pause after the database refused.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// At an end, how often a database that refuses is asked again. What it does not take stays in the
/// journal for the next start.
const LAST_TRIES: u32 = 10;

/// The running thread.
#[derive(Debug)]
pub(crate) struct Follower {
    thread: JoinHandle<()>,
    progress: Arc<Progress>,
}

impl Follower {
    pub(crate) fn start(
        directory: PathBuf,
        runtime: Runtime,
        database: Database,
        applied: Position,
        (progress, outgoing): (Arc<Progress>, Arc<Outgoing>),
    ) -> io::Result<Self> {
        let work = Work {
            directory,
            database,
            outgoing,
            at: applied,
            progress: Arc::clone(&progress),
            unsynced: None,
            synced: Position::default(),
        };
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || runtime.block_on(work.run()))?;
        Ok(Self { thread, progress })
    }

    /// Waits until everything is applied, or the database has refused for long enough.
    pub(crate) fn finish(self) {
        self.progress.finish();
        if self.thread.join().is_err() {
            tracing::error!("the store's thread ended by a panic; the journal keeps everything");
        }
    }
}

struct Work {
    directory: PathBuf,
    database: Database,
    /// What receivers want.
    outgoing: Arc<Outgoing>,
    /// How far the database is.
    at: Position,
    progress: Arc<Progress>,
    /// Since when bytes were written that no sync has covered.
    unsynced: Option<Instant>,
    synced: Position,
}

impl Work {
    // The waits block this runtime's only thread: nothing else runs on it but the database's
    // answers, and none is awaited meanwhile.
    async fn run(mut self) {
        let mut seen = Position::default();
        let mut pause = PAUSE;
        let mut tries = 0;
        loop {
            let limit = self.unsynced.map_or(SYNC, |since| SYNC.saturating_sub(since.elapsed()));
            let news = self.progress.wait(seen, limit);
            let news = match news {
                News::Written(_) => self.progress.gather(GATHER),
                News::Last(_) => news,
            };
            let (written, last) = match news {
                News::Written(written) => (written, false),
                News::Last(written) => (written, true),
            };
            if written != self.synced && self.unsynced.is_none() {
                self.unsynced = Some(Instant::now());
            }
            match self.catch_up(written).await {
                Ok(()) => (pause, seen, tries) = (PAUSE, written, 0),
                Err(error) => {
                    self.progress.failed();
                    tracing::error!(%error, "the database refuses; the journal keeps its records");
                    tries += 1;
                    self.progress.pause(pause);
                    if last {
                        thread::sleep(PAUSE);
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            self.sync(written, last);
            if last && (self.at >= written || tries >= LAST_TRIES) {
                break;
            }
        }
        if let Err(error) = self.database.close().await {
            tracing::warn!(%error, "the database was not closed in order");
        }
    }

    /// Applies everything up to `written`.
    async fn catch_up(&mut self, written: Position) -> Result<(), sqlx::Error> {
        while self.at < written {
            let end = if self.at.segment == written.segment {
                written.offset
            } else {
                let path = segment::path(&self.directory, self.at.segment);
                fs::metadata(path).map_or(0, |metadata| metadata.len())
            };
            if self.at.offset >= end {
                self.next_segment();
                continue;
            }
            let batch = reader::read(&self.directory, self.at, end, limits::BATCH_BYTES)?;
            for damage in &batch.damage {
                tracing::warn!(
                    segment = damage.at.segment,
                    offset = damage.at.offset,
                    bytes = damage.bytes,
                    torn = damage.torn,
                    "bytes of the journal are no records and were passed over"
                );
            }
            self.database.apply(&batch.records, batch.end, &self.outgoing).await?;
            self.at = batch.end;
            self.progress.applied(batch.bytes);
        }
        Ok(())
    }

    /// The segment is applied, and the database knows it: the file is not needed any more.
    fn next_segment(&mut self) {
        let done = segment::path(&self.directory, self.at.segment);
        if let Err(error) = fs::remove_file(&done)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %done.display(), %error, "a finished segment cannot be removed");
        }
        self.at = Position { segment: self.at.segment + 1, offset: 0 };
    }

    fn sync(&mut self, written: Position, last: bool) {
        let due = self.unsynced.is_some_and(|since| last || since.elapsed() >= SYNC);
        if !due {
            return;
        }
        let path = segment::path(&self.directory, written.segment);
        match File::open(path).and_then(|file| file.sync_data()) {
            Ok(()) => self.synced = written,
            Err(error) => tracing::error!(%error, "the journal cannot be synced to the disk"),
        }
        self.unsynced = None;
    }
}
