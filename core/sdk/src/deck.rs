//! A fake host for taps: a test gives sound and sees what was written.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::result;

use koukan_abi::{Status, status};

use crate::tap::{Deck, RunningTap};
use crate::{Batch, Encoding, Error, Result, Tap, TapEnd, Tape, Tapped};

#[derive(Default)]
struct Reel {
    encoding: Cell<Option<Encoding>>,
    bytes: RefCell<Vec<u8>>,
    is_full: Cell<bool>,
    sample_rate: u32,
    channels: usize,
}

impl Deck for Reel {
    fn begin(&self, encoding: Encoding) -> result::Result<(), Status> {
        if encoding != Encoding::Linear16 && self.sample_rate != 8_000 {
            return Err(status::UNSUPPORTED);
        }
        if self.encoding.get().is_some_and(|begun| begun != encoding) {
            return Err(status::ARGUMENT);
        }
        if self.is_full.get() {
            return Err(status::FAILED);
        }
        self.encoding.set(Some(encoding));
        Ok(())
    }

    fn write(&self, sound: &[u8]) -> result::Result<(), Status> {
        let encoding = self.encoding.get().ok_or(status::NOT_FOUND)?;
        let width = if encoding == Encoding::Linear16 { 2 } else { 1 };
        if !sound.len().is_multiple_of(width * self.channels.max(1)) {
            return Err(status::ARGUMENT);
        }
        if self.is_full.get() {
            return Err(status::FAILED);
        }
        self.bytes.borrow_mut().extend_from_slice(sound);
        Ok(())
    }
}

/// One recording of a tap, with the host's part played by the test.
pub struct TapRun<T> {
    tap: T,
    reel: Rc<Reel>,
    next: u64,
    dropped: u64,
}

impl<T> fmt::Debug for TapRun<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TapRun").field("next", &self.next).finish_non_exhaustive()
    }
}

impl<T: Tap> TapRun<T> {
    /// A recording begins, with the module's options as JSON.
    ///
    /// # Errors
    /// The options are not what it takes, or it refuses.
    pub fn open(options: &str, tapped: &Tapped<'_>) -> Result<Self> {
        let channels = usize::try_from(tapped.channels).unwrap_or(1);
        let sample_rate = tapped.sample_rate;
        let reel = Rc::new(Reel { sample_rate, channels, ..Reel::default() });
        let options = serde_json::from_str(options).map_err(Error::Arguments)?;
        let tap = T::open(options, tapped, Tape(Rc::clone(&reel) as Rc<dyn Deck>))?;
        Ok(Self { tap, reel, next: tapped.first, dropped: 0 })
    }

    /// Gives it sound of all channels.
    ///
    /// # Errors
    /// It refuses: the recording ends.
    pub fn give(&mut self, samples: &[i16]) -> Result<()> {
        let batch = Batch { first: self.next, samples, dropped: self.dropped };
        RunningTap::batch(&mut self.tap, &batch)?;
        let count = samples.len() / self.reel.channels.max(1);
        self.next = self.next.saturating_add(u64::try_from(count).unwrap_or(0));
        Ok(())
    }

    /// So many samples of each channel are never given to it.
    pub const fn skip(&mut self, count: u64) {
        self.next = self.next.saturating_add(count);
        self.dropped = self.dropped.saturating_add(count);
    }

    /// From now on the disk takes nothing, or again everything.
    pub fn set_full(&self, is_full: bool) {
        self.reel.is_full.set(is_full);
    }

    /// What it has written, without the file's head.
    #[must_use]
    pub fn written(&self) -> Vec<u8> {
        self.reel.bytes.borrow().clone()
    }

    /// How it is coded; none before it is begun.
    #[must_use]
    pub fn encoding(&self) -> Option<Encoding> {
        self.reel.encoding.get()
    }

    /// Its end.
    pub fn close(self, end: TapEnd) {
        self.tap.close(end);
    }
}
