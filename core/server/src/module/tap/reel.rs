//! One recording under way, between the engine's ring and a module's tap: its sound, its file, and
//! the report that it owes. A build that leaves gives it to the next one as it is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use koukan_abi::{Status, sound, status};
use koukan_engine::{SoundFile, Stretch, Tapped};
use koukan_media::{RecordEnd, RecordFormat, RecordedCall};

/// A recording.
#[derive(Debug)]
pub(super) struct Reel {
    pub(super) number: u64,
    pub(super) call: Arc<RecordedCall>,
    pub(super) sample_rate: u32,
    pub(super) channels: u16,
    /// The build whose tap it is; 0 between two.
    build: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// None once its report is made.
    tapped: Option<Tapped>,
    /// None until the tap begins it.
    file: Option<SoundFile>,
    /// The disk took no more.
    is_full: bool,
    /// Its tap failed: what is in the file is all of it.
    is_broken: bool,
    /// Samples of each channel that the tap was given, and how many of them were dropped ones.
    given: u64,
    dropped: u64,
    /// Since when its end waits for somebody to see it, and since when it is between two builds.
    over_since: Option<Instant>,
    alone_since: Option<Instant>,
}

impl Reel {
    pub(super) fn new(number: u64, tapped: Tapped) -> Self {
        Self {
            number,
            call: Arc::clone(tapped.call()),
            sample_rate: tapped.sample_rate(),
            channels: tapped.channels(),
            build: AtomicUsize::new(0),
            state: Mutex::new(State {
                tapped: Some(tapped),
                file: None,
                is_full: false,
                is_broken: false,
                given: 0,
                dropped: 0,
                over_since: None,
                alone_since: None,
            }),
        }
    }

    fn open(&self) -> MutexGuard<'_, State> {
        // Nothing in here is left half done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A build takes it, or gives it up (0).
    pub(super) fn belong_to(&self, build: usize) {
        self.build.store(build, Ordering::Release);
        self.open().alone_since = (build == 0).then(Instant::now);
    }

    pub(super) fn is_of(&self, build: usize) -> bool {
        self.build.load(Ordering::Acquire) == build
    }

    /// Its end, to be asked before [`Self::take`]; `Err`: its report is made already.
    pub(super) fn end(&self) -> Result<Option<RecordEnd>, ()> {
        self.open().tapped.as_ref().map(Tapped::end).ok_or(())
    }

    /// The next sound that waits.
    pub(super) fn take(&self) -> Option<Stretch> {
        self.open().tapped.as_ref().and_then(Tapped::take)
    }

    pub(super) fn give_back(&self, stretch: Stretch) {
        if let Some(tapped) = &self.open().tapped {
            tapped.give_back(stretch);
        }
    }

    /// The first sample of what comes next, and how many were dropped before it.
    pub(super) fn place(&self) -> (u64, u64) {
        let state = self.open();
        (state.given, state.dropped)
    }

    /// So many samples of each channel are given to the tap next; `dropped` are silence in the
    /// place of lost ones. Where they stand, and how many were dropped with them.
    pub(super) fn advance(&self, count: u64, dropped: bool) -> (u64, u64) {
        let mut state = self.open();
        let first = state.given;
        state.given = state.given.saturating_add(count);
        if dropped {
            state.dropped = state.dropped.saturating_add(count);
        }
        (first, state.dropped)
    }

    /// Its tap has failed: nothing more of it is taken.
    pub(super) fn fail(&self) {
        let mut state = self.open();
        state.is_broken = true;
        if let Some(tapped) = &state.tapped {
            tapped.fail();
        }
    }

    /// Begins its file; the same again is nothing new.
    pub(super) fn begin(&self, encoding: u32) -> Result<(), Status> {
        let format = match (encoding, self.sample_rate) {
            (sound::LINEAR16, 8_000) => RecordFormat::Linear8k,
            (sound::LINEAR16, 16_000) => RecordFormat::Linear16k,
            (sound::ALAW, 8_000) => RecordFormat::Alaw,
            (sound::ULAW, 8_000) => RecordFormat::Ulaw,
            _ => return Err(status::UNSUPPORTED),
        };
        let mut state = self.open();
        if let Some(file) = &state.file {
            return if file.format() == format { Ok(()) } else { Err(status::ARGUMENT) };
        }
        let tapped = state.tapped.as_ref().ok_or(status::NOT_FOUND)?;
        match tapped.file(format) {
            Ok(file) => {
                state.file = Some(file);
                Ok(())
            }
            Err(_) => {
                tapped.fail();
                state.is_full = true;
                Err(status::FAILED)
            }
        }
    }

    /// Puts sound behind its file.
    pub(super) fn write(&self, sound: &[u8]) -> Result<(), Status> {
        let mut state = self.open();
        let file = state.file.as_mut().ok_or(status::NOT_FOUND)?;
        let frame = match file.format() {
            RecordFormat::Linear8k | RecordFormat::Linear16k => 2,
            RecordFormat::Alaw | RecordFormat::Ulaw => 1,
        };
        let frame = usize::from(self.channels.max(1)).saturating_mul(frame);
        if !sound.len().is_multiple_of(frame) {
            return Err(status::ARGUMENT);
        }
        if file.put(sound).is_ok() {
            return Ok(());
        }
        state.is_full = true;
        if let Some(tapped) = &state.tapped {
            tapped.fail();
        }
        Err(status::FAILED)
    }

    /// Makes the report of its end, with everything on the disk; once.
    pub(super) fn settle(&self, end: RecordEnd) {
        let (tapped, file, is_full, is_broken, given) = {
            let mut state = self.open();
            let (tapped, file) = (state.tapped.take(), state.file.take());
            (tapped, file, state.is_full, state.is_broken, state.given)
        };
        let Some(tapped) = tapped else { return };
        let is_begun = file.is_some();
        let finished = file.map(SoundFile::finish);
        let is_whole = finished.is_none_or(|finished| finished.is_whole);
        let end = match end {
            _ if is_full || !is_whole => RecordEnd::DiskError,
            // A tap that was given sound and wrote none has not recorded the call.
            _ if is_broken || (given > 0 && !is_begun) => RecordEnd::Unserved,
            end => end,
        };
        tapped.report(end, finished.map_or(0, |finished| finished.samples));
    }

    /// Whether nobody has looked after it for too long: its end waits for `late`, or it is between
    /// two builds for `alone`. How it ends then.
    pub(super) fn is_left(&self, late: Duration, alone: Duration) -> Option<RecordEnd> {
        // Whoever holds it looks after it.
        let Ok(mut state) = self.state.try_lock() else { return None };
        let end = state.tapped.as_ref()?.end();
        if let Some(since) = state.alone_since {
            // What waits in the ring has nobody to take it.
            return (end.is_some() || since.elapsed() >= alone).then_some(RecordEnd::Unserved);
        }
        let end = end?;
        let since = *state.over_since.get_or_insert_with(Instant::now);
        if since.elapsed() < late {
            return None;
        }
        state.is_broken = true;
        Some(end)
    }
}
