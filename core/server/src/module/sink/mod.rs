//! `kk.sink/1`: records of calls and events, carried out of the house by a module on a thread of
//! its own. What the module has not acknowledged comes again, after any end of the process; the
//! store keeps it until then.
//!
//! Of one module there is one sink at a time: that of a new build begins when the old one's is
//! closed.

#[expect(unsafe_code, reason = "the C border of a sink")]
mod border;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use koukan_abi::status;
use koukan_store::{Kept, Kind, Outbox, Receiver};

pub(super) use self::border::SinkTable;
use crate::limits;

/// How often a sink that has everything is asked for more.
const IDLE: Duration = Duration::from_millis(500);
/// The first and the longest pause after a sink did not take what it was given.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What sinks of modules need of the server.
#[derive(Debug)]
pub(crate) struct Sinks {
    outbox: Outbox,
    /// What relative paths in a module's options begin at.
    base: PathBuf,
    /// Held by the thread whose module has a sink at work.
    seats: Mutex<HashMap<String, Arc<Mutex<()>>>>,
}

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half done by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A wish to end, and a wait that it cuts short.
#[derive(Debug, Default)]
struct Stop {
    wished: Mutex<bool>,
    told: Condvar,
}

impl Stop {
    fn wish(&self) {
        *open(&self.wished) = true;
        self.told.notify_all();
    }

    /// Waits so long, or until the wish; whether it is there.
    fn wait(&self, limit: Duration) -> bool {
        let wished = open(&self.wished);
        let waited = self.told.wait_timeout_while(wished, limit, |wished| !*wished);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// A sink at work.
#[derive(Debug)]
pub(crate) struct Worker {
    stop: Arc<Stop>,
    thread: JoinHandle<()>,
    taken: Arc<AtomicU64>,
}

impl Worker {
    /// Starts the thread of a build's sink.
    pub(super) fn start(
        sinks: &Arc<Sinks>,
        module: &str,
        options: &str,
        table: SinkTable,
    ) -> std::io::Result<Self> {
        let (stop, taken) = (Arc::new(Stop::default()), Arc::new(AtomicU64::new(0)));
        let work = Work {
            sinks: Arc::clone(sinks),
            module: module.to_owned(),
            options: options.to_owned(),
            table,
            stop: Arc::clone(&stop),
            taken: Arc::clone(&taken),
        };
        let name = format!("sink {module}");
        let thread = thread::Builder::new().name(name).spawn(move || work.run())?;
        Ok(Self { stop, thread, taken })
    }

    /// Asks it to end; it does when its module returns.
    pub(super) fn stop(&self) {
        self.stop.wish();
    }

    /// Whether its thread is in the process still.
    pub(super) fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Records that the module has taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Sinks {
    pub(crate) fn new(outbox: Outbox, base: PathBuf) -> Self {
        Self { outbox, base, seats: Mutex::default() }
    }

    fn seat(&self, module: &str) -> Arc<Mutex<()>> {
        Arc::clone(open(&self.seats).entry(module.to_owned()).or_default())
    }
}

/// The thread's own.
struct Work {
    sinks: Arc<Sinks>,
    module: String,
    options: String,
    table: SinkTable,
    stop: Arc<Stop>,
    taken: Arc<AtomicU64>,
}

impl Work {
    fn run(self) {
        let seat = self.sinks.seat(&self.module);
        // The build before ends first; a poisoned seat is free.
        let _seat = loop {
            match seat.try_lock() {
                Ok(guard) => break guard,
                Err(std::sync::TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
                Err(std::sync::TryLockError::WouldBlock) => {
                    if self.stop.wait(Duration::from_millis(20)) {
                        return;
                    }
                }
            }
        };
        let Some((mut receiver, mut sink)) = self.open() else { return };
        let mut pause = PAUSE;
        let mut refusals = 0_u64;
        while !self.stop.wait(Duration::ZERO) {
            match self.deliver(&mut receiver, &mut sink) {
                Ok(Turn::Nothing) => drop(self.stop.wait(IDLE)),
                Ok(Turn::All) => (pause, refusals) = (PAUSE, 0),
                Err(words) => {
                    refusals = refusals.saturating_add(1);
                    if refusals.is_power_of_two() {
                        let module = &*self.module;
                        tracing::error!(module, refusals, "records wait for the module: {words}");
                    }
                    self.stop.wait(pause);
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Opens both ends, trying again until it is told to end.
    fn open(&self) -> Option<(Receiver, border::Sink)> {
        let mut pause = PAUSE;
        loop {
            let words = match self.sinks.outbox.open(&self.module) {
                Err(error) => error.to_string(),
                Ok(receiver) => {
                    let base = self.sinks.base.to_string_lossy();
                    let acknowledged = receiver.acknowledged();
                    match self.table.open(&self.options, &base, acknowledged) {
                        Ok(sink) => return Some((receiver, sink)),
                        Err(refused) => {
                            format!("its sink does not open: {}", status::words(refused))
                        }
                    }
                }
            };
            tracing::error!(module = &*self.module, "records wait for the module: {words}");
            if self.stop.wait(pause) {
                return None;
            }
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    fn deliver(&self, receiver: &mut Receiver, sink: &mut border::Sink) -> Result<Turn, String> {
        let kinds = self.table.kinds();
        let batch = receiver.next(&kinds, limits::SINK_BATCH).map_err(|error| error.to_string())?;
        let Some(last) = batch.last().map(|kept| kept.sequence) else { return Ok(Turn::Nothing) };
        let (status, acknowledged) = sink.deliver(&batch);
        // More than it was given it cannot have; less than before it cannot take back.
        let acknowledged = acknowledged.min(last);
        let before = receiver.acknowledged();
        if acknowledged > before {
            receiver.acknowledge(acknowledged).map_err(|error| error.to_string())?;
            let is_taken = |kept: &&Kept| kept.sequence <= acknowledged;
            let taken = u64::try_from(batch.iter().filter(is_taken).count()).unwrap_or(0);
            self.taken.fetch_add(taken, Ordering::Relaxed);
        }
        if status < status::OK {
            return Err(status::words(status).to_owned());
        }
        match acknowledged {
            all if all == last => Ok(Turn::All),
            _ if acknowledged > before => Ok(Turn::All),
            _ => Err("it acknowledges none".to_owned()),
        }
    }
}

/// How a delivery went.
enum Turn {
    /// It has everything.
    Nothing,
    /// It took some; there may be more.
    All,
}

/// The kinds that a sink's bits name.
fn kinds(bits: u64) -> Vec<Kind> {
    let named = |kind: &Kind| bits & (1 << kind.number()) != 0;
    [Kind::Call, Kind::Event].into_iter().filter(named).collect()
}
