//! The exchange on a virtual clock: the real switch with the sample office's plan, phones and
//! carriers that speak SIP by a user agent of their own, a network that delays, loses, reorders and
//! doubles datagrams, media workers and modules that answer as the real ones do. Hours pass in
//! seconds; what happens follows from a seed, so that a run that fails can be run again.
//!
//! A run that fails is made smaller, fault by fault, as long as it still fails: see [`shrink`].
//!
//! What must hold is looked at while it runs and in rests between: see [`invariants`].
#![forbid(unsafe_code)]

mod agenda;
mod book;
mod dice;
mod fault;
mod fingerprint;
pub mod invariants;
mod ledger;
mod many;
mod media;
mod memory;
mod modules;
mod network;
mod offices;
mod promises;
mod report;
mod restart;
mod run;
mod settings;
mod shrink;
mod station;
mod store;
mod tally;
mod trace;
mod world;

pub use invariants::Violation;
pub use many::{Many, many};
pub use memory::rss_kb;
pub use report::{Report, Sample};
pub use run::run;
pub use settings::{Planted, Settings};
pub use shrink::{Shrunk, shrink, survived};
