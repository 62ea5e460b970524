//! A copy of the state while a server runs on it: the database as of one moment, and the journal
//! from there on. Opened elsewhere the two say what any start of a killed server would: everything
//! that was promised before the copy began, and each record once.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use sqlx::{ConnectOptions, Connection, Row};

use crate::database::{DatabaseError, options};
use crate::open::StoreConfig;
use crate::segment::{self, Position};

/// Why the state cannot be copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The database cannot be read, or its copy not be written.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A file of the journal cannot be read, or its copy not be written.
    #[error("the journal in {} cannot be copied: {error}", directory.display())]
    Journal {
        /// The data directory.
        directory: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// The journal's files went faster than they could be copied: resource.
    #[error("the journal moves on faster than it can be copied; try again when less is written")]
    TooFast,
    /// The system gave no runtime: resource.
    #[error("the copy cannot be begun: {0}")]
    Runtime(io::Error),
}

/// How often a copy is begun anew because the journal has moved on.
const TRIES: u32 = 4;

/// The files of the journal in a data directory.
///
/// # Errors
/// The directory cannot be read.
pub fn segments(directory: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(segment::list(directory)?.into_iter().map(|n| segment::path(directory, n)).collect())
}

/// Copies the state that `of` names: the database into the file `database`, which is not there yet,
/// and the journal's files behind it into the directory `journal`, which is empty.
///
/// # Errors
/// What cannot be read or written. What was written of the copy is of no use then.
pub fn snapshot(of: &StoreConfig, database: &Path, journal: &Path) -> Result<(), SnapshotError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(SnapshotError::Runtime)?;
    let journal_error = |error| SnapshotError::Journal { directory: of.data.clone(), error };
    for _ in 0..TRIES {
        // First the journal, which the follower shortens from its beginning as it goes.
        copy_journal(&of.data, journal).map_err(journal_error)?;
        let applied = runtime.block_on(copy_database(&of.database, database))?;
        // Then what has come meanwhile; the end of it is the moment that the copy shows.
        copy_journal(&of.data, journal).map_err(journal_error)?;
        let copied = segment::list(journal).map_err(journal_error)?;
        let (old, needed): (Vec<u64>, Vec<u64>) =
            copied.into_iter().partition(|segment| *segment < applied.segment);
        for segment in old {
            fs::remove_file(segment::path(journal, segment)).map_err(journal_error)?;
        }
        let is_gapless = needed.windows(2).all(|pair| matches!(pair, [a, b] if a + 1 == *b));
        // One that is gone by now may have grown after it was copied.
        let there = segment::list(&of.data).map_err(journal_error)?;
        let is_whole = needed.iter().all(|segment| there.contains(segment));
        // A segment that is applied whole is removed; the next one goes on from its beginning.
        let begins = needed.first().is_none_or(|first| *first <= applied.segment + 1);
        if is_gapless && is_whole && begins {
            return Ok(());
        }
        fs::remove_file(database).map_err(journal_error)?;
    }
    Err(SnapshotError::TooFast)
}

/// Copies every file of the journal that is there, the last one as far as it goes.
fn copy_journal(from: &Path, to: &Path) -> io::Result<()> {
    for number in segment::list(from)? {
        match fs::copy(segment::path(from, number), segment::path(to, number)) {
            Ok(_) => File::open(segment::path(to, number))?.sync_all()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// One transaction's view of the database as a file of its own; how far it has applied the journal.
async fn copy_database(from: &Path, to: &Path) -> Result<Position, DatabaseError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| DatabaseError::Failed { path, error }
    };
    let mut connection = options(from).connect().await.map_err(failed(from))?;
    let target = to.to_string_lossy().into_owned();
    sqlx::query("VACUUM INTO ?")
        .bind(target)
        .execute(&mut connection)
        .await
        .map_err(failed(from))?;
    connection.close().await.map_err(failed(from))?;
    let mut copy = options(to).read_only(true).connect().await.map_err(failed(to))?;
    let row = sqlx::query("SELECT segment, offset FROM applied").fetch_one(&mut copy).await;
    let row = row.map_err(failed(to))?;
    let place = |column| row.try_get(column).map(|n: i64| u64::try_from(n).unwrap_or(0));
    let applied = Position {
        segment: place("segment").map_err(failed(to))?,
        offset: place("offset").map_err(failed(to))?,
    };
    copy.close().await.map_err(failed(to))?;
    let sync = |error| DatabaseError::Failed { path: to.to_owned(), error: sqlx::Error::Io(error) };
    File::open(to).and_then(|file| file.sync_all()).map_err(sync)?;
    Ok(applied)
}
