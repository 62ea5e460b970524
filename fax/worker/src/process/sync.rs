//! The thread that brings pages to the disk (fdatasync) while the loop goes on: a disk may take
//! tens of milliseconds, and every session has a tick each 20. It stands behind the same walls.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use koukan_fax::protocol::SessionId;
use koukan_fax::tiff;
use mio::Waker;

use super::walls;

/// The thread, as the loop has it. It ends with the process.
#[derive(Debug)]
pub(super) struct Syncer {
    orders: Sender<Order>,
    done: Receiver<Synced>,
}

/// A file with a new page.
#[derive(Debug)]
struct Order {
    session: SessionId,
    file: PathBuf,
    /// So many pages must be in it.
    pages: u32,
    /// Its name is new too.
    first: bool,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Synced {
    pub(super) session: SessionId,
    /// It is on the disk.
    pub(super) safe: bool,
}

impl Syncer {
    /// Starts the thread, and returns when it is behind its walls; `waker` is woken for each file
    /// that is done.
    pub(super) fn start(directory: &Path, waker: Waker) -> io::Result<Self> {
        let (orders, waiting) = mpsc::channel::<Order>();
        let (tell, done) = mpsc::channel();
        let (raised, is_raised) = mpsc::channel();
        let (within, names) = (directory.to_owned(), File::open(directory)?);
        let work = move || {
            let walled = walls::raise(&within).map_err(io::Error::other);
            let goes_on = walled.is_ok();
            if raised.send(walled).is_err() || !goes_on {
                return;
            }
            for Order { session, file, pages, first } in waiting {
                let safe = store(&file, pages, first.then_some(&names)).is_ok();
                // Nobody listens and nobody wakes any more when the process ends.
                let _ = tell.send(Synced { session, safe });
                let _ = waker.wake();
            }
        };
        thread::Builder::new().name("fax-sync".to_owned()).spawn(work)?;
        is_raised.recv().map_err(io::Error::other)??;
        Ok(Self { orders, done })
    }

    /// Has a file synced; false when nobody does that.
    pub(super) fn order(&self, session: SessionId, file: PathBuf, pages: u32, first: bool) -> bool {
        self.orders.send(Order { session, file, pages, first }).is_ok()
    }

    /// A file that is done.
    pub(super) fn poll(&self) -> Option<Synced> {
        self.done.try_recv().ok()
    }
}

/// Brings a received file to the disk, with its name where that is new, and looks whether so many
/// pages are in it: spandsp goes on when the disk takes no more, and would confirm what is lost.
///
/// # Errors
/// The disk refuses it, or has refused a page of it.
pub fn store(file: &Path, pages: u32, names: Option<&File>) -> io::Result<()> {
    File::open(file)?.sync_data()?;
    let there = tiff::salvage(&std::fs::read(file)?).len();
    if u32::try_from(there).is_ok_and(|there| there < pages) {
        return Err(io::Error::other(format!("{there} of {pages} pages are in the file")));
    }
    names.map_or(Ok(()), File::sync_all)
}
