//! The process that speaks T.30 (ITU-T T.30): over G.711, as T.38 terminal and as T.38 gateway. It
//! is a child of the server, has no rights but to its own directory, and can take nothing down but
//! the faxes that it carries.
//!
//! - [`spandsp`] is the border to the C library that knows modems and T.30;
//! - [`session`] is one fax without a clock and without sockets: datagrams and ticks in, datagrams
//!   and events out;
//! - [`process`] is the process around them: its walls, its socket to the server, its loop.
#![deny(unsafe_code)]

pub mod process;
pub mod session;
#[expect(unsafe_code, reason = "the border to a C library")]
pub mod spandsp;
