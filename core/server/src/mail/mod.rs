//! Mails that modules order: written to the store before anything tells of them, sent by a thread
//! of its own, and tried again until the mail server takes them or they are too old.
//!
//! A letter is a note of the store under an owner of its own, so that it survives the process like
//! every other note; what it attaches is a second name of the object's file, so that the letter has
//! it whatever becomes of the object.

mod letter;
mod post;

pub(crate) use letter::Letter;
pub use post::{MailConfig, MailError, Post};

/// Whose notes letters are; no module of the configuration is called so.
pub(crate) const OWNER: &str = "kk:mail";
