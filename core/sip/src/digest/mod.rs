//! Digest access authentication (RFC 7616, RFC 8760, RFC 3261, section 22), both sides.
//!
//! MD5 is offered first and SHA-256 second, because some phones read only the first challenge.

mod client;
mod fields;
mod hash;
mod server;

pub use client::answer;
pub use fields::username;
pub use hash::Ha1;
pub use server::{DigestServer, Verdict};
