//! Faxes of a running server. A thread of its own keeps the processes that speak T.30 (ITU-T T.30),
//! hands them the sockets of calls, and keeps what they receive: as TIFF and PDF below the objects'
//! directory, as an entry in the store, and by mail. It has calls made for documents that are to be
//! sent.
//!
//! - [`Faxes`] is what the control loop holds: orders in, reports and calls to be made out;
//! - `driver` is the thread, `process` one child process and its socket, `running` a fax in it;
//! - [`Inbox`] is what came and is kept, for the thread and for the API;
//! - [`sending`] is what goes.

mod driver;
mod entry;
mod inbox;
mod letter;
mod process;
mod running;
pub mod sending;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use koukan_base::Shards;
use koukan_engine::Lent;
use koukan_switch::{FaxCall, FaxNews, FaxOrder, FaxReport};
use mio::{Poll, Waker};

pub use entry::Fax;
pub use inbox::{Inbox, InboxError, Listed};

use crate::clock::Clock;
use crate::module::shelf::Shelf;
use driver::{Driver, WAKER};
use sending::{Drawer, Entry, Queue, Tray};

/// How faxes are set up: `[fax]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaxConfig {
    /// The program that speaks T.30.
    pub worker: PathBuf,
    /// How many of them run; faxes are spread over them.
    pub workers: usize,
    /// The directory that they work in: files of faxes under way.
    pub spool: PathBuf,
    /// The font of header lines and texts; none: one of those that Debian brings.
    pub font: Option<PathBuf>,
}

/// Orders and reports that wait for the other side.
const QUEUE: usize = 4_096;

/// Something for the thread.
#[derive(Debug)]
pub(super) enum Deed {
    /// What the switch orders, with the streams that it has lent for it.
    Order(FaxOrder, Vec<Lent>),
    /// A document is to be sent: tenant, id, entry.
    Queue(Arc<str>, String, Box<Entry>),
    /// A document, by its id, is not to be sent any more.
    Cancel(String),
    /// No machine is called, since the server is about to end, or they are again.
    Hold(bool),
    /// The server ends.
    End,
}

/// What the thread tells the control loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaxWord {
    /// What happens in a fax.
    Report(FaxReport),
    /// A machine is to be called.
    Call(FaxCall),
}

/// The way to a shard.
#[derive(Debug)]
struct Way {
    words: Sender<FaxWord>,
    control: Arc<Waker>,
}

/// The ways to the control threads.
#[derive(Debug)]
pub(super) struct Ways {
    shards: Vec<Way>,
    notes: Arc<Waker>,
}

impl Ways {
    /// Gives a word to the shard that the fax's number bears; false when it takes none.
    fn give(&self, word: FaxWord) -> bool {
        let fax = match &word {
            FaxWord::Report(report) => report.fax,
            FaxWord::Call(call) => call.fax,
        };
        let shard = usize::from(fax.shard().0);
        let Some(way) = self.shards.get(shard).or(self.shards.first()) else { return false };
        let taken = way.words.try_send(word).is_ok();
        // It fails only when its poll is gone, and the server with it.
        let _ = way.control.wake();
        taken
    }

    /// Something was kept that is to be written down.
    fn kept(&self) {
        let _ = self.notes.wake();
    }
}

/// The faxes as the control loop sees them.
#[derive(Debug)]
pub struct Faxes {
    deeds: Sender<Deed>,
    words: Receiver<FaxWord>,
    /// What could not be ordered, to be reported.
    refused: Vec<FaxReport>,
    waker: Arc<Waker>,
    tray: Tray,
    thread: Option<JoinHandle<()>>,
}

impl Faxes {
    /// Starts the thread; the processes begin with the first fax. `notes` wakes whoever writes
    /// down what is kept, `shards` those who take the reports, in the order of their numbers, one
    /// at least. What each of them holds of it comes back; the first of them ends the thread.
    ///
    /// # Errors
    /// The system refuses a thread, a poll or the directory.
    pub fn start(
        config: FaxConfig,
        (inbox, shelf): (Inbox, Arc<Shelf>),
        clock: Clock,
        (notes, shards): (Arc<Waker>, &[Arc<Waker>]),
    ) -> io::Result<Vec<Self>> {
        std::fs::create_dir_all(&config.spool)?;
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (deeds, orders) = bounded(QUEUE);
        let ways = shards.iter().map(|control| {
            let (out, words) = bounded(QUEUE);
            (Way { words: out, control: Arc::clone(control) }, words)
        });
        let (ways, taken): (Vec<Way>, Vec<Receiver<FaxWord>>) = ways.unzip();
        let drawer = Drawer::new(shelf, config.spool.clone());
        let wakers = [Arc::clone(&waker), Arc::clone(&notes)];
        let tray = Tray::new(&config, drawer.clone(), clock.clone(), deeds.clone(), wakers);
        let homes = u16::try_from(shards.len()).ok().and_then(Shards::new);
        let mut queue = Queue::new(drawer, clock.now());
        queue.set_homes(homes.unwrap_or(Shards::ONE));
        let ways = Ways { shards: ways, notes };
        let driver = Driver::new(config, poll, (orders, ways), (inbox, queue), clock);
        let thread =
            std::thread::Builder::new().name("fax".to_owned()).spawn(move || driver.run())?;
        let mut thread = Some(thread);
        let one = |words| Self {
            deeds: deeds.clone(),
            words,
            refused: Vec::new(),
            waker: Arc::clone(&waker),
            tray: tray.clone(),
            thread: thread.take(),
        };
        Ok(taken.into_iter().map(one).collect())
    }

    /// What takes documents to be sent.
    #[must_use]
    pub fn tray(&self) -> Tray {
        self.tray.clone()
    }

    /// Gives the thread an order of the switch.
    pub fn order(&mut self, order: FaxOrder, lent: Vec<Lent>) {
        let fax = match &order {
            FaxOrder::Receive(reception) => Some(reception.fax),
            FaxOrder::Send { fax, .. } => Some(*fax),
            FaxOrder::Carry(carried) => Some(carried.fax),
            FaxOrder::Switch { .. } | FaxOrder::Stop { .. } | FaxOrder::NotSent { .. } => None,
        };
        let sent = self.deeds.try_send(Deed::Order(order, lent));
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = sent {
            let news = FaxNews::Over("the fax thread takes no more orders".to_owned());
            self.refused.extend(fax.map(|fax| FaxReport { fax, news }));
        }
        // A waker fails only when its poll is gone, and the thread with it.
        let _ = self.waker.wake();
    }

    /// No machine is called while the server is about to end: the documents wait in the store.
    pub fn hold(&self, on: bool) {
        // A queue that is full, or a thread that is gone, calls no machine either.
        let _ = self.deeds.try_send(Deed::Hold(on));
        let _ = self.waker.wake();
    }

    /// The next thing that it tells.
    pub fn try_recv(&mut self) -> Option<FaxWord> {
        self.refused.pop().map(FaxWord::Report).or_else(|| self.words.try_recv().ok())
    }

    /// Whether reports wait that no waker tells of.
    #[must_use]
    pub fn has_reports(&self) -> bool {
        !self.refused.is_empty()
    }
}

impl Drop for Faxes {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        let _ = self.deeds.try_send(Deed::End);
        let _ = self.waker.wake();
        if thread.join().is_err() {
            tracing::error!("the fax thread ended by a panic");
        }
    }
}
