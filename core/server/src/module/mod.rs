//! The module host: how a shared object becomes a loaded module, and what its applications may ask.
//!
//! A file is read once. `preflight` looks at those bytes without running any of them, `copy` writes
//! them to a private path, `host` loads the copy and holds it against its grants, and `desk` keeps
//! the books of its applications, of which `call` is what `kk.call/1` may do; `shelf` is what
//! modules keep. Everything unsafe stands in `border` and, for the younger tables, in `tables`. The
//! control loop meets all of it as [`Modules`](crate::modules::Modules).

#[expect(unsafe_code, reason = "the C border; everything unsafe of the module host is here")]
pub(crate) mod border;
pub(crate) mod call;
pub(crate) mod copy;
pub(crate) mod desk;
pub(crate) mod host;
pub mod preflight;
mod repair;
pub mod shelf;
#[expect(unsafe_code, reason = "the tables of the C border's version 1.1")]
mod tables;
pub(crate) mod watch;

pub use host::ModuleError;
