//! The module that fills the role `voicemail` (S-45 to S-50): `voicemail` takes a caller's message,
//! `voicemail_menu` plays messages to the phones whose boxes they are in, and a task of its own
//! deletes what is too old and keeps the lamps true. What may be left, how long it is and how long
//! it is kept comes from the plan with each call.

#![forbid(unsafe_code)]

mod leave;
mod mail;
mod mailbox;
mod menu;
mod pin;
mod retention;
mod words;

pub use leave::{Leave, leave};
pub use mailbox::{Mailbox, Message, State};
pub use menu::{BoxOfPhone, Menu, menu};
pub use retention::retention;

use koukan_sdk::export_module;

export_module! {
    name: "voicemail",
    version: env!("CARGO_PKG_VERSION"),
    requires: ["kk.store/1", "kk.lamp/1"],
    task: retention,
    apps: { "voicemail": leave, "voicemail_menu": menu }
}
