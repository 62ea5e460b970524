//! `kk.tap/1`: a module that takes down what is said, on a thread of its own. The engine's workers
//! put sound into the bounded ring of each recording and never wait; what the module is too slow to
//! take is dropped there, counted, and silence in its place.
//!
//! The file of a recording, its key and its end are the host's ([`reel`]), so that a recording goes
//! on with the next build when one is replaced, and gets its end when a module never comes back.

#[expect(unsafe_code, reason = "the C border of a tap")]
mod border;
mod reel;
mod work;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use crossbeam_channel::Sender;
use koukan_abi::{Status, status};
use koukan_engine::{Tapped, Taps};
use koukan_media::RecordEnd;

pub(super) use self::border::{TAPE, TapTable};
use self::reel::Reel;
pub(crate) use self::work::Worker;

/// The role whose module records the calls.
pub(crate) const RECORDING: &str = "recording";

/// How often recordings are looked for that nobody looks after.
const ROUND: Duration = Duration::from_millis(250);
/// A recording that is over and whose tap does not come back has its end after so long.
const LATE: Duration = Duration::from_secs(5);
/// A recording without a tap waits so long for the next build: its ring holds four seconds.
const ALONE: Duration = Duration::from_secs(3);

thread_local! {
    /// The build whose tap this thread serves; 0 is none.
    static SERVED: Cell<usize> = const { Cell::new(0) };
}

/// The recordings of calls, and who takes them down.
#[derive(Debug, Default)]
pub(crate) struct Reels {
    shared: Mutex<Shared>,
    last: AtomicU64,
}

#[derive(Debug, Default)]
struct Shared {
    /// The build that new recordings go to.
    post: Option<(usize, Sender<Arc<Reel>>)>,
    reels: BTreeMap<u64, Arc<Reel>>,
}

impl Reels {
    /// With the thread that looks after what is left.
    pub(crate) fn start() -> Arc<Self> {
        let reels = Arc::new(Self::default());
        let weak = Arc::downgrade(&reels);
        let watch = thread::Builder::new().name("reels".to_owned()).spawn(move || watch(&weak));
        if let Err(error) = watch {
            tracing::error!(%error, "no thread for recordings that a module leaves");
        }
        reels
    }

    fn open(&self) -> MutexGuard<'_, Shared> {
        // Nothing in here is left half done by a panic.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A build takes new recordings, and those that another one has left.
    fn employ(&self, build: usize, post: Sender<Arc<Reel>>) {
        let mut shared = self.open();
        for reel in shared.reels.values().filter(|reel| reel.is_of(0)) {
            reel.belong_to(build);
            // Its thread is about to begin.
            let _ = post.send(Arc::clone(reel));
        }
        shared.post = Some((build, post));
    }

    /// A build takes no new recording.
    fn dismiss(&self, build: usize) {
        let mut shared = self.open();
        if shared.post.as_ref().is_some_and(|(of, _)| *of == build) {
            shared.post = None;
        }
    }

    /// Whether somebody takes new recordings.
    fn has_post(&self) -> bool {
        self.open().post.is_some()
    }

    /// A build goes on without a recording: the next one gets it, or there is none and it waits.
    fn pass_on(&self, reel: &Arc<Reel>) {
        let shared = self.open();
        match &shared.post {
            Some((build, post)) => {
                reel.belong_to(*build);
                if post.send(Arc::clone(reel)).is_err() {
                    reel.belong_to(0);
                }
            }
            None => reel.belong_to(0),
        }
    }

    /// Makes a recording's report; it is no more.
    fn settle(&self, reel: &Reel, end: RecordEnd) {
        reel.settle(end);
        self.open().reels.remove(&reel.number);
    }

    /// Recordings that a build has.
    fn running(&self, build: usize) -> usize {
        self.open().reels.values().filter(|reel| reel.is_of(build)).count()
    }

    /// The recording that a module means, on its tap's thread.
    fn find(&self, build: usize, tape: u64) -> Result<Arc<Reel>, Status> {
        if SERVED.get() != build {
            return Err(status::THREAD);
        }
        let shared = self.open();
        let reel = shared.reels.get(&tape).filter(|reel| reel.is_of(build));
        reel.cloned().ok_or(status::NOT_FOUND)
    }

    pub(super) fn begin(&self, build: usize, tape: u64, encoding: u32) -> Result<(), Status> {
        self.find(build, tape)?.begin(encoding)
    }

    pub(super) fn write(&self, build: usize, tape: u64, sound: &[u8]) -> Result<(), Status> {
        self.find(build, tape)?.write(sound)
    }

    /// Gives what is left by everybody its end.
    fn look_after(&self) {
        let reels: Vec<_> = self.open().reels.values().cloned().collect();
        for reel in reels {
            if let Some(end) = reel.is_left(LATE, ALONE) {
                let call = &*reel.call.call;
                tracing::error!(call, "nobody takes a recording down any more: it ends");
                self.settle(&reel, end);
            }
        }
    }
}

impl Taps for Reels {
    fn take(&self, tapped: Tapped) -> Result<(), Tapped> {
        let mut shared = self.open();
        let Some((build, post)) = shared.post.clone() else { return Err(tapped) };
        let number = self.last.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let reel = Arc::new(Reel::new(number, tapped));
        reel.belong_to(build);
        shared.reels.insert(number, Arc::clone(&reel));
        if post.send(Arc::clone(&reel)).is_err() {
            // Its thread is gone: whoever comes next has it, or it has its end.
            reel.belong_to(0);
        }
        Ok(())
    }
}

fn watch(reels: &Weak<Reels>) {
    while let Some(reels) = reels.upgrade() {
        reels.look_after();
        drop(reels);
        thread::sleep(ROUND);
    }
}
