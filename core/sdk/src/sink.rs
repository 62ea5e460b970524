//! A sink of records (`kk.sink/1`): what happened, carried out of the house by a module on a thread
//! that the host makes for it.
//!
//! ```standalone_crate
//! use koukan_sdk::{Opened, Record, Result, Sink, export_module};
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Options {
//!     prefix: String,
//! }
//!
//! struct Printer(String);
//!
//! impl Sink for Printer {
//!     type Options = Options;
//!
//!     fn open(options: Options, _: &Opened<'_>) -> Result<Self> {
//!         Ok(Self(options.prefix))
//!     }
//!
//!     fn deliver(&mut self, records: &[Record<'_>], safe: &mut u64) -> Result<()> {
//!         for record in records {
//!             println!("{} {}", self.0, record.text);
//!             *safe = record.sequence;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! export_module! { name: "printer", version: "1.0.0", sink: Printer, }
//! # fn main() {}
//! ```

use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// The final record of a call.
    Call,
    /// Anything else that happened.
    Event,
    /// Of a newer host; to be acknowledged and passed over.
    Other(u32),
}

impl RecordKind {
    /// By its number at the border.
    pub(crate) const fn of(number: u32) -> Self {
        match number {
            koukan_abi::record::CALL => Self::Call,
            koukan_abi::record::EVENT => Self::Event,
            other => Self::Other(other),
        }
    }
}

/// A record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Grows from record to record, with gaps; the same record has the same one each time.
    pub sequence: u64,
    /// What it is.
    pub kind: RecordKind,
    /// One JSON object.
    pub text: &'a str,
}

/// What a sink is told when it opens.
#[derive(Clone, Copy, Debug)]
pub struct Opened<'a> {
    /// The directory that relative paths of the options begin at.
    pub base: &'a str,
    /// The last record that the sink has acknowledged, over all runs of the server.
    pub acknowledged: u64,
}

/// A sink of records. It may block: it has a thread of its own.
pub trait Sink: Sized + 'static {
    /// What `[module.NAME.options]` is read into.
    type Options: DeserializeOwned;

    /// Opens it.
    ///
    /// # Errors
    /// It cannot work now; the host tries again.
    fn open(options: Self::Options, opened: &Opened<'_>) -> Result<Self>;

    /// Takes records, in their order. `safe` is the last one that no end of the process can lose
    /// any more; what is behind it comes again, so that each comes at least once.
    ///
    /// # Errors
    /// It cannot take more now; what `safe` says counts all the same.
    fn deliver(&mut self, records: &[Record<'_>], safe: &mut u64) -> Result<()>;
}

/// A sink behind the border.
pub(crate) trait RunningSink {
    fn deliver(&mut self, records: &[Record<'_>], safe: &mut u64) -> Result<()>;
}

impl<S: Sink> RunningSink for S {
    fn deliver(&mut self, records: &[Record<'_>], safe: &mut u64) -> Result<()> {
        Sink::deliver(self, records, safe)
    }
}

/// How a module's sink is opened.
#[derive(Clone, Copy)]
pub struct SinkEntry {
    pub(crate) open: fn(&str, &Opened<'_>) -> Result<Box<dyn RunningSink>>,
}

impl std::fmt::Debug for SinkEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SinkEntry").finish_non_exhaustive()
    }
}

/// The sink of a module.
#[must_use]
pub const fn sink<S: Sink>() -> SinkEntry {
    SinkEntry {
        open: |options, opened| {
            let options = serde_json::from_str(options).map_err(Error::Arguments)?;
            Ok(Box::new(S::open(options, opened)?))
        },
    }
}
