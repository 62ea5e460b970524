//! The writing end of the journal, on the control thread: one write a batch and nothing else. A
//! process that is killed loses no byte that was written; against a power loss the follower
//! syncs the file once a second.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use koukan_switch::Record;

use crate::follower::Follower;
use crate::progress::Progress;
use crate::segment::{self, Position};
use crate::{frame, limits};

/// What has happened to the journal since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalCounts {
    /// Records that were written.
    pub written: u64,
    /// Appends that the disk refused.
    pub failures: u64,
    /// Records that wait for the disk.
    pub waiting: usize,
    /// Records that were given up: waiting for too long a time on a full disk, or too large.
    pub lost: u64,
    /// Bytes that the database has not taken over yet.
    pub behind_bytes: u64,
    /// Times that the database refused a batch; it is tried again until it takes it.
    pub database_failures: u64,
}

/// The journal of one shard. On the control thread.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    file: File,
    position: Position,
    progress: Arc<Progress>,
    follower: Option<Follower>,
    waiting: VecDeque<Record>,
    text: Vec<u8>,
    counts: JournalCounts,
    /// A failed write left bytes that could not be taken back: the segment is not used any more.
    spoilt: bool,
}

impl Journal {
    pub(crate) fn new(directory: &Path, first: u64, progress: Arc<Progress>) -> io::Result<Self> {
        let file = segment::create(directory, first)?;
        let position = Position { segment: first, offset: 0 };
        progress.set_written(position);
        Ok(Self {
            directory: directory.to_owned(),
            file,
            position,
            progress,
            follower: None,
            waiting: VecDeque::new(),
            text: Vec::new(),
            counts: JournalCounts::default(),
            spoilt: false,
        })
    }

    pub(crate) fn follow(&mut self, follower: Follower) {
        self.follower = Some(follower);
    }

    /// Appends records with one write. `false`: the disk refused, they wait and are tried again
    /// with the next ones or by [`Self::retry`].
    pub fn append(&mut self, records: impl IntoIterator<Item = Record>) -> bool {
        self.waiting.extend(records);
        self.flush()
    }

    /// Tries again what waits; whether nothing waits any more.
    pub fn retry(&mut self) -> bool {
        self.waiting.is_empty() || self.flush()
    }

    /// What has happened so far.
    #[must_use]
    pub fn counts(&self) -> JournalCounts {
        JournalCounts {
            waiting: self.waiting.len(),
            behind_bytes: self.progress.behind_bytes(),
            database_failures: self.progress.failures(),
            ..self.counts
        }
    }

    /// The last write; then waits until the database has everything.
    pub fn close(&mut self) {
        self.retry();
        if let Some(follower) = self.follower.take() {
            follower.finish();
        }
    }

    fn flush(&mut self) -> bool {
        self.text.clear();
        let mut whole = 0_u64;
        for record in &self.waiting {
            let payload = serde_json::to_vec(record).unwrap_or_default();
            if frame::write(&payload, &mut self.text) {
                whole += 1;
            } else {
                self.counts.lost += 1;
            }
        }
        if self.write().is_err() {
            self.counts.failures += 1;
            while self.waiting.len() > limits::WAITING_RECORDS {
                self.waiting.pop_front();
                self.counts.lost += 1;
            }
            return false;
        }
        self.counts.written += whole;
        self.waiting.clear();
        // A rare large batch does not stay in memory.
        self.text.shrink_to(limits::BATCH_BYTES);
        self.progress.set_written(self.position);
        true
    }

    fn write(&mut self) -> io::Result<()> {
        if self.spoilt || self.position.offset > limits::SEGMENT_BYTES {
            self.begin_segment()?;
        }
        let bytes = u64::try_from(self.text.len()).unwrap_or(u64::MAX);
        if let Err(error) = self.file.write_all(&self.text) {
            // A half frame in the middle would be told as damage by the next reader.
            self.spoilt = self.file.set_len(self.position.offset).is_err();
            return Err(error);
        }
        self.position.offset += bytes;
        Ok(())
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        let next = self.position.segment + 1;
        self.file = segment::create(&self.directory, next)?;
        self.position = Position { segment: next, offset: 0 };
        self.spoilt = false;
        Ok(())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}
