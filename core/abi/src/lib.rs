//! The module border as Rust sees it: the types of `include/koukan.h`, which holds the contract of
//! every field and function. `tests/header.rs` compiles the header against these layouts.
//!
//! Plain declarations: what is done with the pointers stands in the SDK's and the host's `border`.

#![forbid(unsafe_code)]

mod audio;
mod bridge;
mod host;
mod metrics;
mod module;
mod sink;
mod source;
pub mod status;

use std::ffi::c_void;

pub use audio::{Audio1, Sound};
pub use bridge::{Bridge, Call1Minor5};
pub use host::{
    Call1, Call1Minor1, Config1, Host, Job, Lamp1, Log1, Mail1, Message, Plain, Prompt, Recording,
    Store1, Wake1, Worker1,
};
pub use metrics::Metrics1;
pub use module::{App1, Entry, Event, EventMinor1, Start, StartMinor1};
pub use sink::{Open, Record, Sink1};
pub use source::{Answer, CALLER, Question, Source1};
pub use status::Status;

/// The first bytes of [`Entry`]: "KOUKAN", SUB, LF; a transfer in text mode damages it.
pub const MAGIC: [u8; 8] = *b"KOUKAN\x1a\n";
/// The version that both sides must share.
pub const ABI_MAJOR: u16 = 1;
/// What this host offers beyond the major version's first.
pub const ABI_MINOR: u16 = 5;
/// The one symbol of a module.
pub const ENTRY_SYMBOL: &str = "kk_module_entry";
/// The text of what a module's applications take; a module may have it.
pub const SCHEMA_SYMBOL: &str = "kk_module_schema";
/// How much of [`Entry`] the host reads from the file before it loads it.
pub const PREFLIGHT_LEN: usize = 16;

/// Identifiers of factories and extensions.
pub mod id {
    /// Factory of the module, its applications: [`App1`](crate::App1).
    pub const APP_1: &str = "kk.app/1";
    /// Factory of the module, run without a call: [`App1`](crate::App1).
    pub const TASK_1: &str = "kk.task/1";
    /// Extension of the host, sounds made fit to be played: [`Audio1`](crate::Audio1).
    pub const AUDIO_1: &str = "kk.audio/1";
    /// Extension of the host, operations on calls: [`Call1`](crate::Call1).
    pub const CALL_1: &str = "kk.call/1";
    /// A draft: factory of a module that codes sound. This version refuses a module that has it.
    pub const CODEC_1_DRAFT: &str = "kk.codec/1-draft";
    /// Extension of the host, the module's own options: [`Config1`](crate::Config1).
    pub const CONFIG_1: &str = "kk.config/1";
    /// Extension of the host, messages that wait: [`Lamp1`](crate::Lamp1).
    pub const LAMP_1: &str = "kk.lamp/1";
    /// Extension of the host, mails: [`Mail1`](crate::Mail1).
    pub const MAIL_1: &str = "kk.mail/1";
    /// Extension of the host, counters and gauges: [`Metrics1`](crate::Metrics1).
    pub const METRICS_1: &str = "kk.metrics/1";
    /// A draft: factory of a module that serves pages. This version refuses a module that has it.
    pub const PAGE_1_DRAFT: &str = "kk.page/1-draft";
    /// Factory of a module that carries records out: [`Sink1`](crate::Sink1).
    pub const SINK_1: &str = "kk.sink/1";
    /// Factory of a module that answers questions: [`Source1`](crate::Source1).
    pub const SOURCE_1: &str = "kk.source/1";
    /// Extension of the host, records and objects: [`Store1`](crate::Store1).
    pub const STORE_1: &str = "kk.store/1";
    /// Extension of the host, its log: [`Log1`](crate::Log1).
    pub const LOG_1: &str = "kk.log/1";
    /// Extension of the host, waking a call from any thread: [`Wake1`](crate::Wake1).
    pub const WAKE_1: &str = "kk.wake/1";
    /// Extension of the host, jobs that may block: [`Worker1`](crate::Worker1).
    pub const WORKER_1: &str = "kk.worker/1";
}

/// The language of a prompt that is an object of the module's store.
pub const OBJECTS: &str = "kk:objects";
/// The application that [`id::TASK_1`] starts.
pub const TASK: &str = "task";

/// The types of an [`Event`].
pub mod event {
    /// The one result of an operation: `op`, `status`, `text`.
    pub const OP_DONE: u32 = 1;
    /// The caller pressed a key that no operation consumed: `digit`.
    pub const DIGIT: u32 = 2;
    /// The caller is gone; every operation has had its event.
    pub const HANG_UP: u32 = 3;
    /// The build is being replaced; finish early if the task allows it.
    pub const DRAIN: u32 = 4;
    /// Somebody called [`Wake1::wake`](crate::Wake1::wake).
    pub const WAKE: u32 = 5;
}

/// The kinds of a [`Record`], and as bits of [`Sink1::kinds`].
pub mod record {
    /// The final record of a call.
    pub const CALL: u32 = 1;
    /// Anything else that happened.
    pub const EVENT: u32 = 2;
}

/// Levels of [`Log1::write`].
pub mod log {
    /// Somebody must act.
    pub const ERROR: u32 = 1;
    /// Somebody should look.
    pub const WARN: u32 = 2;
    /// What happened.
    pub const INFO: u32 = 3;
    /// For whoever hunts a fault.
    pub const DEBUG: u32 = 4;
}

/// UTF-8 text with a length, borrowed for the duration of the call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Str {
    /// Its first byte; of no meaning when `len` is 0.
    pub ptr: *const u8,
    /// Its bytes.
    pub len: usize,
}

impl Str {
    /// Borrows `text`; whoever passes it on keeps `text` alive for the call.
    #[must_use]
    pub const fn borrow(text: &str) -> Self {
        Self { ptr: text.as_ptr(), len: text.len() }
    }
}

/// A call as one application sees it.
pub type CallNumber = u64;
/// An operation under way; never 0.
pub type OpNumber = u64;
/// An application's state, the module's own.
pub type Instance = *mut c_void;

#[cfg(target_pointer_width = "64")]
const _: () = {
    use std::mem::{offset_of, size_of};
    assert!(size_of::<Str>() == 16);
    // What the host reads from the file lies where it looks.
    assert!(offset_of!(Entry, magic) == 0);
    assert!(offset_of!(Entry, size) == 8);
    assert!(offset_of!(Entry, abi_major) == 12);
    assert!(offset_of!(Entry, abi_minor) == 14);
    assert!(offset_of!(Entry, flags) == PREFLIGHT_LEN);
    // Version 1 never changes: a struct may only grow, which is an edit of exactly one line here.
    assert!(size_of::<Entry>() == 112);
    assert!(size_of::<Host>() == 32);
    assert!(size_of::<Log1>() == 16);
    assert!(size_of::<Wake1>() == 32);
    assert!(size_of::<Prompt>() == 40);
    assert!(size_of::<Call1>() == 72);
    assert!(size_of::<Event>() == 56);
    assert!(size_of::<Start>() == 56);
    assert!(size_of::<App1>() == 32);
    // What minor version 1 added.
    assert!(size_of::<Call1Minor1>() == 88);
    assert!(size_of::<EventMinor1>() == 64);
    assert!(size_of::<StartMinor1>() == 80);
    assert!(size_of::<Recording>() == 48);
    assert!(size_of::<Lamp1>() == 16);
    assert!(size_of::<Mail1>() == 16);
    assert!(size_of::<Message>() == 120);
    assert!(size_of::<Store1>() == 64);
    // What minor version 2 added.
    assert!(size_of::<Open>() == 48);
    assert!(size_of::<Record>() == 40);
    assert!(size_of::<Sink1>() == 40);
    // What minor version 3 added.
    assert!(size_of::<Question>() == 80);
    assert!(size_of::<Answer>() == 40);
    assert!(size_of::<Source1>() == 32);
    // What minor version 4 added.
    assert!(size_of::<Config1>() == 16);
    assert!(size_of::<Worker1>() == 16);
    // What minor version 5 added.
    assert!(size_of::<Bridge>() == 48);
    assert!(size_of::<Call1Minor5>() == 96);
    assert!(size_of::<Metrics1>() == 40);
    assert!(size_of::<Sound>() == 96);
    assert!(size_of::<Audio1>() == 16);
};
