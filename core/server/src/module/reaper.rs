//! The thread that closes builds which nobody uses, and names a module that does not give the
//! control thread back. No frame of a module is on its stack when it closes one, and it never ends
//! before the process, since it has run modules' code.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use mio::Waker;

use super::host::{Ending, Held, LoadedModule};
use super::watch::Presence;

/// The way to the thread.
#[derive(Debug)]
pub(crate) struct Reaper {
    /// None once it is told to end.
    builds: Option<Sender<LoadedModule>>,
    reports: Receiver<(usize, Report)>,
    done: Receiver<()>,
}

/// How it stands with a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// Something holds it; it is looked after again.
    Held(Held),
    /// It was closed.
    Ended(Ending),
}

/// What is held or still mapped is looked after so often, and so often the control thread.
const ROUND: Duration = Duration::from_secs(1);
/// A module whose `deinit` hangs must not hang the server's end.
const PATIENCE: Duration = Duration::from_secs(2);

impl Reaper {
    /// Starts the thread; `waker` wakes the loop that takes the reports.
    pub(crate) fn start(waker: Arc<Waker>, presence: Arc<Presence>) -> Self {
        let (builds, queue) = unbounded();
        let (told, reports) = unbounded();
        let (finished, done) = unbounded();
        let body = move || {
            Round { queue, told, waker, presence, held: Vec::new(), mapped: Vec::new() }.run();
            // Nobody waits when the server's end has lost its patience.
            let _ = finished.send(());
        };
        if let Err(error) = thread::Builder::new().name("reaper".to_owned()).spawn(body) {
            tracing::error!(%error, "no thread for the ends of modules: old builds stay mapped");
        }
        Self { builds: Some(builds), reports, done }
    }

    /// Ends a build of which nothing is under way.
    pub(crate) fn end(&self, build: LoadedModule) {
        let Some(builds) = &self.builds else { return };
        // Without the thread it stays mapped: it must not be closed from anywhere else.
        if let Err(refused) = builds.send(build) {
            std::mem::forget(refused);
        }
    }

    /// The next report, by the build's number.
    pub(crate) fn poll_report(&self) -> Option<(usize, Report)> {
        self.reports.try_recv().ok()
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.builds = None;
        let _ = self.done.recv_timeout(PATIENCE);
    }
}

/// The thread's own.
struct Round {
    queue: Receiver<LoadedModule>,
    told: Sender<(usize, Report)>,
    waker: Arc<Waker>,
    presence: Arc<Presence>,
    /// Builds whose `deinit` has run and that something holds, or held a round ago.
    held: Vec<(LoadedModule, Option<Held>)>,
    /// Builds that were closed and are mapped still.
    mapped: Vec<LoadedModule>,
}

impl Round {
    fn run(mut self) {
        loop {
            match self.queue.recv_timeout(ROUND) {
                Ok(build) => self.end(build),
                Err(RecvTimeoutError::Timeout) => self.look_again(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.presence.name_the_slow();
        }
    }

    fn end(&mut self, mut build: LoadedModule) {
        let number = build.number;
        if build.workers_run() {
            tracing::warn!(
                module = build.name(),
                number,
                "a thread that serves a build does not end"
            );
            self.tell(number, Report::Held(Held::Worker));
            self.held.push((build, Some(Held::Worker)));
            return;
        }
        build.retire();
        match build.held() {
            None => self.close(build),
            Some(held) => {
                let module = build.name();
                tracing::warn!(module, number, ?held, "a build cannot be closed yet");
                self.tell(number, Report::Held(held));
                self.held.push((build, Some(held)));
            }
        }
    }

    fn look_again(&mut self) {
        for (mut build, before) in std::mem::take(&mut self.held) {
            let now = if before == Some(Held::Worker) && build.workers_run() {
                Some(Held::Worker)
            } else {
                build.retire();
                build.held()
            };
            match (before, now) {
                // Nothing held it a round ago: a thread that was ending has ended.
                (None, None) => self.close(build),
                (_, now) => {
                    if let Some(held) = now.filter(|_| now != before) {
                        self.tell(build.number, Report::Held(held));
                    }
                    self.held.push((build, now));
                }
            }
        }
        let (mapped, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.mapped).into_iter().partition(LoadedModule::is_mapped);
        self.mapped = mapped;
        for build in gone {
            let number = build.number;
            drop(build);
            self.tell(number, Report::Ended(Ending::Unmapped { keys: 0 }));
        }
    }

    fn close(&mut self, mut build: LoadedModule) {
        let (number, ending) = (build.number, build.close());
        let module = build.name();
        match ending {
            Ending::Unmapped { keys } => {
                tracing::info!(module, number, keys, "build unloaded");
                // Its copy is gone before anybody hears that it is closed.
                drop(build);
            }
            Ending::Kept => {
                tracing::info!(module, number, "build closed, its library is kept");
                drop(build);
            }
            Ending::Mapped => {
                tracing::warn!(module, number, "build closed, its library is mapped still");
                self.mapped.push(build);
            }
        }
        self.tell(number, Report::Ended(ending));
    }

    fn tell(&self, number: usize, report: Report) {
        // Whoever asked may be gone, and the loop with it.
        let _ = self.told.send((number, report));
        let _ = self.waker.wake();
    }
}
