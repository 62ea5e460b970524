//! Fax on the server's side, without C and without `unsafe`: pages and documents (ITU-T T.4, T.6,
//! RFC 2306), the queue's rules, and what is said to the process that speaks T.30.
//!
//! - [`EncodedPage`] is a page as it came from the line or stands in a file, [`Bitmap`] its picture
//!   elements;
//! - [`tiff`] reads and writes the files that fax programs exchange;
//! - [`pdf`] wraps received pages without touching their code, [`picture`] shows them as JPEG;
//! - [`render`](render()) turns a stranger's document into pages that can be sent;
//! - [`queue`] says when a document is tried again, from which page on and how; [`Cause`] is why an
//!   attempt ended, [`Told`] says it in one sentence;
//! - [`protocol`] is what server and worker say to each other, [`Supervisor`] keeps a worker alive.
//!
//! What stands on the other side: the fax worker, an unprivileged child process that owns the fax
//! streams and speaks T.30 over G.711 and over T.38, as terminal and as gateway. A fault in it
//! costs the running faxes, never a voice call. Its protocol engine and that engine's licence stay
//! out of the server's binary for the same reason.
//!
//! The crate knows no socket, thread or clock: what it works on is handed in.
#![forbid(unsafe_code)]

mod bitmap;
mod cause;
mod coding;
pub mod limits;
pub mod pdf;
pub mod picture;
pub mod protocol;
pub mod queue;
pub mod render;
mod resolution;
mod sentence;
mod stamp;
pub mod supervise;
pub mod tiff;

pub use bitmap::{Bitmap, Gray};
pub use cause::{Cause, Class};
pub use coding::{Coding, CodingError, EncodedPage, Strip};
pub use render::render;
pub use resolution::{DOTS_PER_INCH, Dpi, Paper, Resolution};
pub use sentence::{Language, Told, Way};
pub use stamp::Stamp;
pub use supervise::Supervisor;

#[cfg(test)]
mod tests;
