//! A tap (`kk.tap/1`): what is said on calls, taken down by a module while it is said, on a thread
//! that the host makes for it. No call ever waits for it.
//!
//! ```standalone_crate
//! use koukan_sdk::{Batch, Encoding, Result, Tap, TapEnd, Tape, Tapped, export_module};
//!
//! #[derive(serde::Deserialize)]
//! struct Options {}
//!
//! struct Plain(Tape);
//!
//! impl Tap for Plain {
//!     type Options = Options;
//!
//!     fn open(_: Options, _: &Tapped<'_>, tape: Tape) -> Result<Self> {
//!         tape.begin(Encoding::Linear16)?;
//!         Ok(Self(tape))
//!     }
//!
//!     fn batch(&mut self, batch: &Batch<'_>) -> Result<()> {
//!         let bytes: Vec<u8> = batch.samples.iter().flat_map(|s| s.to_le_bytes()).collect();
//!         self.0.write(&bytes)
//!     }
//!
//!     fn close(self, _: TapEnd) {}
//! }
//!
//! export_module! { name: "plain", version: "1.0.0", tap: Plain, }
//! # fn main() {}
//! ```

use std::rc::Rc;

use koukan_abi::{Status, sound, status};
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// What is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tapped<'a> {
    /// The directory that relative paths of the options begin at.
    pub base: &'a str,
    /// The call, as it is printed everywhere.
    pub call: &'a str,
    /// Whose call it is.
    pub tenant: &'a str,
    /// The number of the plan whose option it is, by its name; empty for a room.
    pub number: &'a str,
    /// `inbound`, `outbound` or `conference`.
    pub direction: &'a str,
    /// Who called.
    pub caller: &'a str,
    /// Who was called; the name of a room.
    pub called: &'a str,
    /// When it began, in ms since 1970.
    pub began_ms: i64,
    /// Samples a second, of each channel.
    pub sample_rate: u32,
    /// Channels: what the first party says, and what it hears.
    pub channels: u32,
    /// The sample of each channel that comes first: above 0 where another build has taken down what
    /// was before.
    pub first: u64,
}

/// Sound without a gap; where nothing came there is silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    /// The first sample of each channel, counted from the beginning of the recording.
    pub first: u64,
    /// The samples, those of the channels beside each other.
    pub samples: &'a [i16],
    /// How many samples of each channel have been dropped until here, with silence in their place:
    /// the module was too slow to take them.
    pub dropped: u64,
}

/// Why a tap is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TapEnd {
    /// What is recorded has ended.
    Over,
    /// Another build goes on with it.
    PassedOn,
    /// It could not be recorded to its end.
    Failed(Status),
}

impl TapEnd {
    pub(crate) const fn of(why: Status) -> Self {
        match why {
            status::OK => Self::Over,
            status::CANCELLED => Self::PassedOn,
            other => Self::Failed(other),
        }
    }
}

/// How the sound of a tape is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 16 bits, the low byte first; at 8 and 16 kHz.
    Linear16,
    /// G.711 A-law; at 8 kHz.
    Alaw,
    /// G.711 µ-law; at 8 kHz.
    Ulaw,
}

impl Encoding {
    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::Linear16 => sound::LINEAR16,
            Self::Alaw => sound::ALAW,
            Self::Ulaw => sound::ULAW,
        }
    }
}

/// The host's side of a tape.
pub(crate) trait Deck {
    fn begin(&self, encoding: Encoding) -> std::result::Result<(), Status>;
    fn write(&self, sound: &[u8]) -> std::result::Result<(), Status>;
}

/// The file of a recording: its name, head, key and end are the host's, which seals it when it has
/// a key and repairs it when the process was killed. Usable until the tap is closed.
pub struct Tape(pub(crate) Rc<dyn Deck>);

impl std::fmt::Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tape").finish_non_exhaustive()
    }
}

impl Tape {
    /// Begins the file, with the channels and the rate of what is recorded. Begun so before, also
    /// by another build, it goes on.
    ///
    /// # Errors
    /// The encoding is not one for this rate, it was begun in another, or the disk refuses.
    pub fn begin(&self, encoding: Encoding) -> Result<()> {
        self.0.begin(encoding).map_err(refused("begin the file"))
    }

    /// Puts whole samples behind it, coded so, those of the channels beside each other.
    ///
    /// # Errors
    /// It is not begun, these are no whole samples, or the disk takes no more: what it took is
    /// kept.
    pub fn write(&self, sound: &[u8]) -> Result<()> {
        self.0.write(sound).map_err(refused("write sound"))
    }
}

fn refused(what: &'static str) -> impl Fn(Status) -> Error {
    move |status| match status {
        status::UNSUPPORTED => Error::Unsupported(what),
        status => Error::Refused { what, status },
    }
}

/// What takes down one recording. It may block: the thread is its module's own, for all of its
/// recordings.
pub trait Tap: Sized + 'static {
    /// What `[module.NAME.options]` is read into.
    type Options: DeserializeOwned;

    /// A recording begins.
    ///
    /// # Errors
    /// It cannot be recorded; the call goes on.
    fn open(options: Self::Options, tapped: &Tapped<'_>, tape: Tape) -> Result<Self>;

    /// Takes what was said.
    ///
    /// # Errors
    /// The recording ends; what its tape has is kept.
    fn batch(&mut self, batch: &Batch<'_>) -> Result<()>;

    /// Nothing follows.
    fn close(self, end: TapEnd);
}

/// A tap behind the border.
pub(crate) trait RunningTap {
    fn batch(&mut self, batch: &Batch<'_>) -> Result<()>;
    fn close(self: Box<Self>, end: TapEnd);
}

impl<T: Tap> RunningTap for T {
    fn batch(&mut self, batch: &Batch<'_>) -> Result<()> {
        Tap::batch(self, batch)
    }

    fn close(self: Box<Self>, end: TapEnd) {
        Tap::close(*self, end);
    }
}

type Open = fn(&str, &Tapped<'_>, Tape) -> Result<Box<dyn RunningTap>>;

/// How a module's tap is opened.
#[derive(Clone, Copy)]
pub struct TapEntry {
    pub(crate) open: Open,
}

impl std::fmt::Debug for TapEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TapEntry").finish_non_exhaustive()
    }
}

/// The tap of a module.
#[must_use]
pub const fn tap<T: Tap>() -> TapEntry {
    TapEntry {
        open: |options, tapped, tape| {
            let options = serde_json::from_str(options).map_err(Error::Arguments)?;
            Ok(Box::new(T::open(options, tapped, tape)?))
        },
    }
}
