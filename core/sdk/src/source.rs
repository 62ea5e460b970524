//! A source of answers (`kk.source/1`): what a module knows that offices ask for, on a thread that
//! the host makes for it.
//!
//! ```standalone_crate
//! use koukan_sdk::{Caller, Kept, Opened, Question, Result, Source, export_module};
//! use std::time::Duration;
//!
//! #[derive(serde::Deserialize)]
//! struct Options {}
//!
//! struct Ourselves;
//!
//! impl Source for Ourselves {
//!     type Options = Options;
//!
//!     fn open(_: Options, _: &Opened<'_>) -> Result<Self> {
//!         Ok(Self)
//!     }
//!
//!     fn caller(&mut self, question: &Question<'_>) -> Result<Kept<Caller>> {
//!         let ours = question.number.starts_with("+81312340");
//!         let caller = ours.then(|| Caller { name: Some("our own".into()), refuse: None });
//!         Ok(Kept { answer: caller, keep: Duration::from_secs(60) })
//!     }
//! }
//!
//! export_module! {
//!     name: "ourselves",
//!     version: "1.0.0",
//!     source: Ourselves,
//!     schema: "[\"kk.source/1\"]",
//! }
//! # fn main() {}
//! ```

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Error, Opened, Result};

/// What an office asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// The office that asks.
    pub tenant: &'a str,
    /// The caller's number as it is the same in every country (`+81455550001`).
    pub number: &'a str,
    /// The same as it is dialled in the office's country (`0455550001`).
    pub national: &'a str,
    /// The number that was called, as it is the same in every country.
    pub called: &'a str,
    /// So long the call waits; what comes later is kept for the next one.
    pub within: Duration,
}

/// What is known of a caller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// The name that phones show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Why it is refused, for the call's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refuse: Option<String>,
}

/// An answer, and for how long the host need not ask again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<T> {
    /// None: nothing is known.
    pub answer: Option<T>,
    /// Zero: the next call asks again.
    pub keep: Duration,
}

/// A source of answers. It may block: it has a thread of its own, and no call waits for it longer
/// than its office says.
pub trait Source: Sized + 'static {
    /// What `[module.NAME.options]` is read into.
    type Options: DeserializeOwned;

    /// Opens it.
    ///
    /// # Errors
    /// It cannot work now; the host tries again.
    fn open(options: Self::Options, opened: &Opened<'_>) -> Result<Self>;

    /// Who calls.
    ///
    /// # Errors
    /// It cannot be said now; the call goes on.
    fn caller(&mut self, question: &Question<'_>) -> Result<Kept<Caller>>;
}

/// A source behind the border.
pub(crate) trait RunningSource {
    fn caller(&mut self, question: &Question<'_>) -> Result<Kept<Caller>>;
}

impl<S: Source> RunningSource for S {
    fn caller(&mut self, question: &Question<'_>) -> Result<Kept<Caller>> {
        Source::caller(self, question)
    }
}

/// What is known besides the number.
#[derive(Deserialize)]
pub(crate) struct Facts<'a> {
    #[serde(borrow)]
    pub(crate) national: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) called: std::borrow::Cow<'a, str>,
}

/// How a module's source is opened.
#[derive(Clone, Copy)]
pub struct SourceEntry {
    pub(crate) open: fn(&str, &Opened<'_>) -> Result<Box<dyn RunningSource>>,
}

impl std::fmt::Debug for SourceEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceEntry").finish_non_exhaustive()
    }
}

/// The source of a module.
#[must_use]
pub const fn source<S: Source>() -> SourceEntry {
    SourceEntry {
        open: |options, opened| {
            let options = serde_json::from_str(options).map_err(Error::Arguments)?;
            Ok(Box::new(S::open(options, opened)?))
        },
    }
}
