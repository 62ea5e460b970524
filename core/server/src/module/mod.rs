//! The module host: how a shared object becomes a loaded module, and what its applications may ask.
//!
//! A file is read once. `preflight` looks at those bytes without running any of them, `copy` writes
//! them to a private path, `host` loads the copy and holds it against its grants, and `desk` keeps
//! the books of its applications, of which `call` is what `kk.call/1` may do; `shelf` is what
//! modules keep. A module may have several builds in the process: `build` is one of them with its
//! state, `sink` what carries records out, `source` what answers questions, `reaper` the thread
//! that closes those that nobody uses, `interpose` knows what they made of keys and threads, `maps`
//! whether they are gone. Work that may block is done by `jobs`, sounds are made by `audio`, and
//! what a build counts stands in `metrics`. Everything unsafe stands in `border`, `interpose`,
//! `sink`, `source` and, for the younger tables, in `tables`, `services` and `grown`.
//! The control loop meets all of it as [`Modules`](crate::modules::Modules).

mod audio;
#[expect(unsafe_code, reason = "the C border; everything unsafe of the module host is here")]
pub(crate) mod border;
pub(crate) mod build;
pub(crate) mod call;
pub(crate) mod copy;
pub(crate) mod desk;
#[expect(unsafe_code, reason = "what the C border's version 1.5 added")]
mod grown;
pub(crate) mod host;
#[expect(unsafe_code, reason = "functions of the C library in whose place ours stand")]
mod interpose;
pub(crate) mod jobs;
mod maps;
pub(crate) mod metrics;
pub mod preflight;
pub(crate) mod reaper;
mod repair;
#[expect(unsafe_code, reason = "the tables of the C border's version 1.4")]
mod services;
pub mod shelf;
pub(crate) mod sink;
pub(crate) mod source;
#[expect(unsafe_code, reason = "the tables of the C border's version 1.1")]
mod tables;
pub(crate) mod watch;

pub use host::{LoadedModule, Loader, ModuleError, schema};
