//! The border of fax: what the server will link to receive, keep, convert and send pages. Nothing
//! runs yet; a number with `fax` is refused by `koukan check` as not supported by this version.
//!
//! What stands on this side of the border, without C and without `unsafe`:
//!
//! - *the queue's rules*: which document is sent next, by which trunk, how often and when again
//!   after which T.30 outcome (T.30, Annex A names the frames that an outcome is read from);
//! - *pages*: T.6 strips (ITU-T T.6) as they came from the line, wrapped unchanged into PDF
//!   or TIFF; rendered documents turned into such strips;
//! - *the worker protocol*: versioned, length-prefixed frames over a Unix socket, with the
//!   descriptors of the streams beside them.
//!
//! What stands on the other side: the fax worker, an unprivileged child process that owns the fax
//! streams and speaks T.30 over G.711 and over T.38, as terminal and as gateway. A fault in it
//! costs the running faxes, never a voice call. Its protocol engine and that engine's licence stay
//! out of the server's binary for the same reason.
//!
//! The crate will know no socket, thread or clock of the server: the server hands in what the
//! worker said and the time, and carries out the actions that come back.
#![forbid(unsafe_code)]
