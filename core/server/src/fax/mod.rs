//! Faxes of a running server. A thread of its own keeps the processes that speak T.30 (ITU-T T.30),
//! hands them the sockets of calls, and keeps what they receive: as TIFF and PDF below the objects'
//! directory, as an entry in the store, and by mail.
//!
//! - [`Faxes`] is what the control loop holds: orders in, reports out;
//! - `driver` is the thread, `process` one child process and its socket;
//! - [`Inbox`] is what is kept, for the thread and for the API.

mod driver;
mod entry;
mod inbox;
mod letter;
mod process;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use koukan_engine::Lent;
use koukan_switch::{FaxNews, FaxOrder, FaxReport};
use mio::{Poll, Waker};

pub use entry::Fax;
pub use inbox::{Inbox, InboxError, Listed};

use crate::clock::Clock;
use driver::{Driver, WAKER};

/// How faxes are set up: `[fax]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaxConfig {
    /// The program that speaks T.30.
    pub worker: PathBuf,
    /// How many of them run; faxes are spread over them.
    pub workers: usize,
    /// The directory that they work in: files of faxes under way.
    pub spool: PathBuf,
}

/// Orders and reports that wait for the other side.
const QUEUE: usize = 4_096;

/// Something for the thread.
#[derive(Debug)]
pub(super) enum Deed {
    /// What the switch orders, with the stream that it has lent for it.
    Order(FaxOrder, Option<Box<Lent>>),
    /// The server ends.
    End,
}

/// The faxes as the control loop sees them.
#[derive(Debug)]
pub struct Faxes {
    deeds: Sender<Deed>,
    reports: Receiver<FaxReport>,
    /// What could not be ordered, to be reported.
    refused: Vec<FaxReport>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Faxes {
    /// Starts the thread; the processes begin with the first fax. `control` wakes whoever takes
    /// the reports.
    ///
    /// # Errors
    /// The system refuses a thread, a poll or the directory.
    pub fn start(
        config: FaxConfig,
        inbox: Inbox,
        clock: Clock,
        control: Arc<Waker>,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(&config.spool)?;
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (deeds, orders) = bounded(QUEUE);
        let (out, reports) = bounded(QUEUE);
        let driver = Driver::new(config, poll, (orders, out, control), inbox, clock);
        let thread =
            std::thread::Builder::new().name("fax".to_owned()).spawn(move || driver.run())?;
        Ok(Self { deeds, reports, refused: Vec::new(), waker, thread: Some(thread) })
    }

    /// Gives the thread an order of the switch.
    pub fn order(&mut self, order: FaxOrder, lent: Option<Lent>) {
        let fax = match &order {
            FaxOrder::Receive(reception) => Some(reception.fax),
            FaxOrder::Switch { .. } | FaxOrder::Stop { .. } => None,
        };
        let sent = self.deeds.try_send(Deed::Order(order, lent.map(Box::new)));
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = sent {
            let news = FaxNews::Over("the fax thread takes no more orders".to_owned());
            self.refused.extend(fax.map(|fax| FaxReport { fax, news }));
        }
        // A waker fails only when its poll is gone, and the thread with it.
        let _ = self.waker.wake();
    }

    /// The next report.
    pub fn try_recv(&mut self) -> Option<FaxReport> {
        self.refused.pop().or_else(|| self.reports.try_recv().ok())
    }

    /// Whether reports wait that no waker tells of.
    #[must_use]
    pub fn has_reports(&self) -> bool {
        !self.refused.is_empty()
    }
}

impl Drop for Faxes {
    fn drop(&mut self) {
        let _ = self.deeds.try_send(Deed::End);
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the fax thread ended by a panic");
        }
    }
}
