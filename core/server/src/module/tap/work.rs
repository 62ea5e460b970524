//! The thread of a build's tap: it looks for sound ten times a second, gives the module batches of
//! at most half a second, and makes the report when a recording is over.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, unbounded};
use koukan_abi::{Status, status};
use koukan_media::RecordEnd;

use super::border::{Opening, Tap, TapTable};
use super::reel::Reel;
use super::{Reels, SERVED};

/// How often it looks for sound.
const LOOK: Duration = Duration::from_millis(100);
/// Samples of silence that a tap is given in one go, of all channels.
const SILENCE: usize = 4_000;
/// A tap that has one batch for so long is named.
const LOST: Duration = Duration::from_secs(2);

/// What it is to do: go on; go on with what runs until another build takes it; end.
const GO_ON: u8 = 0;
const DRAIN: u8 = 1;
const END: u8 = 2;

/// What a tap has done.
#[derive(Debug, Default)]
struct Counts {
    /// Recordings that it was given.
    taken: AtomicU64,
    /// Samples that it was too slow to take.
    dropped: AtomicU64,
    failures: AtomicU64,
    /// Since when, in ms after the origin, it is in the module; 0: it is not.
    busy: AtomicU64,
}

/// A tap at work.
#[derive(Debug)]
pub(crate) struct Worker {
    reels: Arc<Reels>,
    build: usize,
    wish: Arc<AtomicU8>,
    thread: JoinHandle<()>,
    counts: Arc<Counts>,
    origin: Instant,
    /// It has been named for the stay that began then.
    named: AtomicU64,
}

impl Worker {
    /// Starts the thread of a build's tap, which takes new recordings when it `records`.
    pub(in crate::module) fn start(
        (reels, records): (&Arc<Reels>, bool),
        (build, module): (usize, &str),
        (options, base): (&str, PathBuf),
        table: TapTable,
    ) -> std::io::Result<Self> {
        let (post, queue) = unbounded();
        let (wish, counts) = (Arc::new(AtomicU8::new(GO_ON)), Arc::new(Counts::default()));
        let origin = Instant::now();
        let work = Work {
            reels: Arc::clone(reels),
            build,
            module: module.to_owned(),
            options: options.to_owned(),
            base,
            table,
            queue,
            wish: Arc::clone(&wish),
            counts: Arc::clone(&counts),
            origin,
        };
        let name = format!("tap {module}");
        let thread = thread::Builder::new().name(name).spawn(move || work.run())?;
        if records {
            reels.employ(build, post);
        }
        let (reels, named) = (Arc::clone(reels), AtomicU64::new(0));
        Ok(Self { reels, build, wish, thread, counts, origin, named })
    }

    /// It takes nothing new; what it has goes on until the next build takes it.
    pub(in crate::module) fn drain(&self) {
        self.reels.dismiss(self.build);
        let _ = self.wish.compare_exchange(GO_ON, DRAIN, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Asks it to end; it does when its module returns.
    pub(in crate::module) fn stop(&self) {
        self.reels.dismiss(self.build);
        self.wish.store(END, Ordering::Release);
    }

    /// Whether its thread is in the process still.
    pub(in crate::module) fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Recordings that it was given, and how many run.
    pub(crate) fn counts(&self) -> (u64, usize) {
        (self.counts.taken.load(Ordering::Relaxed), self.reels.running(self.build))
    }

    /// Samples of each channel that it was too slow to take.
    pub(crate) fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    /// What it failed in.
    pub(crate) fn failures(&self) -> u64 {
        self.counts.failures.load(Ordering::Relaxed)
    }

    /// Names a tap that does not come back, once a stay.
    pub(crate) fn name_the_lost(&self, module: &str) {
        let busy = self.counts.busy.load(Ordering::Acquire);
        let stay = millis(self.origin.elapsed()).saturating_sub(busy);
        let lost = busy > 0 && stay >= millis(LOST);
        if lost && self.named.swap(busy, Ordering::Relaxed) != busy {
            tracing::error!(module, ms = stay, "a tap does not come back: recordings lose sound");
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The thread's own.
struct Work {
    reels: Arc<Reels>,
    build: usize,
    module: String,
    options: String,
    base: PathBuf,
    table: TapTable,
    queue: Receiver<Arc<Reel>>,
    wish: Arc<AtomicU8>,
    counts: Arc<Counts>,
    origin: Instant,
}

/// A recording that the tap has.
struct Running {
    reel: Arc<Reel>,
    /// None when the module failed in it: its end is waited for.
    tap: Option<Tap>,
}

impl Work {
    fn run(self) {
        SERVED.set(self.build);
        let mut running = Vec::new();
        loop {
            match self.queue.recv_timeout(LOOK) {
                Ok(reel) => running.push(self.begin(reel)),
                Err(RecvTimeoutError::Timeout) => {}
                // Nobody gives it anything any more; what it has goes on.
                Err(RecvTimeoutError::Disconnected) => thread::sleep(LOOK),
            }
            while let Ok(reel) = self.queue.try_recv() {
                running.push(self.begin(reel));
            }
            running.retain_mut(|of| self.turn(of));
            let wish = self.wish.load(Ordering::Acquire);
            let is_relieved = wish == DRAIN && (running.is_empty() || self.reels.has_post());
            if wish == END || is_relieved {
                break;
            }
        }
        while let Ok(reel) = self.queue.try_recv() {
            self.reels.pass_on(&reel);
        }
        for Running { reel, tap } in running {
            match tap {
                Some(tap) => self.within(|| tap.close(status::CANCELLED)),
                // Its end is near, and nobody else is to begin it again.
                None => reel.fail(),
            }
            self.reels.pass_on(&reel);
        }
    }

    /// Runs a call into the module, whose length others watch.
    fn within<T>(&self, call: impl FnOnce() -> T) -> T {
        self.counts.busy.store(millis(self.origin.elapsed()).max(1), Ordering::Release);
        let outcome = call();
        self.counts.busy.store(0, Ordering::Release);
        outcome
    }

    fn begin(&self, reel: Arc<Reel>) -> Running {
        self.counts.taken.fetch_add(1, Ordering::Relaxed);
        let base = self.base.to_string_lossy();
        let opening = Opening {
            options: &self.options,
            base: &base,
            tape: reel.number,
            call: &reel.call,
            sample_rate: reel.sample_rate,
            channels: reel.channels,
            first: reel.place().0,
        };
        let tap = self.within(|| self.table.open(&opening));
        let tap = tap.map_err(|status| self.failed(&reel, "does not begin", status)).ok();
        Running { reel, tap }
    }

    /// Says that the module failed, and ends that recording.
    fn failed(&self, reel: &Reel, what: &str, status: Status) {
        reel.fail();
        self.counts.failures.fetch_add(1, Ordering::Relaxed);
        let (module, call, words) = (&*self.module, &*reel.call.call, status::words(status));
        tracing::error!(module, call, "a recording {what}: {words}");
    }

    /// Gives what is there; whether the recording goes on.
    fn turn(&self, of: &mut Running) -> bool {
        // What was given before the end was set is seen behind it. Without a report to make it is
        // over: it stayed too long in the module.
        let Ok(end) = of.reel.end() else {
            self.close(of, status::FAILED);
            return false;
        };
        while let Some(stretch) = of.reel.take() {
            self.note_dropped(&of.reel, stretch.gap());
            if let Err(status) = self.give_all(of, &stretch) {
                self.failed(&of.reel, "ends", status);
                self.close(of, status);
            }
            of.reel.give_back(stretch);
        }
        let Some(end) = end else { return true };
        let why = if end == RecordEnd::DiskError { status::FAILED } else { status::OK };
        self.close(of, why);
        self.reels.settle(&of.reel, end);
        false
    }

    /// The one end of a tap.
    fn close(&self, of: &mut Running, why: Status) {
        if let Some(tap) = of.tap.take() {
            self.within(|| tap.close(why));
        }
    }

    fn note_dropped(&self, reel: &Reel, gap: u64) {
        if gap == 0 {
            return;
        }
        let before = self.counts.dropped.fetch_add(gap, Ordering::Relaxed);
        let all = before.saturating_add(gap);
        // Each doubling is told, so that a slow module does not fill the log.
        if before == 0 || all.ilog2() > before.ilog2() {
            let (module, call) = (&*self.module, &*reel.call.call);
            tracing::warn!(module, call, samples = all, "a tap is too slow: silence is recorded");
        }
    }

    /// Silence in the place of what was dropped, and the sound behind it.
    fn give_all(&self, of: &mut Running, stretch: &koukan_engine::Stretch) -> Result<(), Status> {
        let channels = u64::from(of.reel.channels.max(1));
        let mut gap = stretch.gap().saturating_mul(channels);
        let silence = [0; SILENCE];
        while gap > 0 {
            let count = usize::try_from(gap).unwrap_or(SILENCE).min(SILENCE);
            self.give(of, silence.get(..count).unwrap_or_default(), true)?;
            gap = gap.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        }
        self.give(of, stretch.samples(), false)
    }

    fn give(&self, of: &mut Running, samples: &[i16], dropped: bool) -> Result<(), Status> {
        let channels = of.reel.channels.max(1);
        let Some(tap) = of.tap.as_mut().filter(|_| !samples.is_empty()) else { return Ok(()) };
        let count = u64::try_from(samples.len() / usize::from(channels)).unwrap_or(0);
        let place = of.reel.advance(count, dropped);
        self.within(|| tap.batch(samples, channels, place))
    }
}
