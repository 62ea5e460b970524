//! The SDK of Koukan's modules: an application on a call is an `async fn`.
//!
//! ```standalone_crate
//! use koukan_sdk::{Call, Prompt, Result, export_module};
//!
//! #[derive(serde::Deserialize)]
//! struct Arguments {
//!     greeting: Prompt,
//! }
//!
//! async fn greet(call: Call, arguments: Arguments) -> Result<()> {
//!     call.answer().await?;
//!     call.play(&[arguments.greeting], 1).await?;
//!     call.hangup(480).await
//! }
//!
//! export_module! { name: "greeter", version: "1.0.0", apps: { "greet": greet } }
//! # fn main() {}
//! ```
//!
//! The future is the state of the call, polled when the host has an event for it: no executor, no
//! thread, no timer. Dropping an operation cancels it, so a prompt that a key interrupts is a
//! select of two operations. A panic ends only its application.
//!
//! Modules never use `std::thread::current`, channels or anything else of the standard library that
//! parks a thread: its thread-local destructors would live in the module.
//!
//! `TUTORIAL.md` beside this crate goes through it all; `cargo xtask new-module` begins a module.
//! [`fake`] tests an application with a script of events and virtual time.

#![deny(unsafe_code)]

#[cfg(panic = "abort")]
compile_error!("a module must unwind, so that the border can catch its panics: panic = \"unwind\"");

mod app;
mod audio;
#[expect(unsafe_code, reason = "the C border: what the host calls")]
mod border;
mod bridge;
mod call;
mod error;
pub mod fake;
mod job;
mod metrics;
mod op;
#[expect(unsafe_code, reason = "the C border of a source")]
mod questions;
mod race;
#[expect(unsafe_code, reason = "the host's tables; the other file of what is unsafe in the SDK")]
mod real;
#[expect(unsafe_code, reason = "the C border of a sink")]
mod records;
pub mod say;
mod services;
mod session;
mod sink;
mod source;
mod task;
mod wake;
mod world;

pub use app::{App, Module, Running, app, task};
pub use audio::Sound;
pub use border::{StaticEntry, entry};
pub use bridge::{BridgeEnd, BridgeLimits, Bridged};
pub use call::{Call, Prompt, Recorded};
pub use error::{Error, Result};
pub use job::Blocking;
pub use koukan_abi::{Status, Str, status};
pub use metrics::{Counter, Gauge};
pub use op::{Op, Operation};
pub use race::{Either, race};
pub use services::{Background, Mail, Store};
pub use session::Level;
pub use sink::{Opened, Record, RecordKind, Sink, SinkEntry, sink};
pub use source::{Caller, Kept, Question, Source, SourceEntry, source};

/// The tutorial, whose blocks are run as tests.
#[cfg(doctest)]
#[doc = include_str!("../TUTORIAL.md")]
mod tutorial {}

/// A text as the bytes of a static.
///
/// # Panics
/// `N` is not its length; only the macro calls it.
#[doc(hidden)]
#[must_use]
pub const fn schema_bytes<const N: usize>(text: &str) -> [u8; N] {
    match text.as_bytes().first_chunk::<N>() {
        Some(bytes) => *bytes,
        None => panic!("N is the text's length"),
    }
}

/// Exports the module: its one symbol `kk_module_entry`, with the applications by name. The second
/// argument of an application is what its JSON arguments are read into. `requires` names extensions
/// beyond those of calls and the log without which the module does not start, `task` an
/// `async fn(Background) -> Result<()>` that runs without a call, `sink` the type of a [`Sink`],
/// `source` that of a [`Source`],
/// `schema` what the applications take, as TOML, so that the dialplan's actions are checked
/// (`koukan.h` says how).
#[macro_export]
macro_rules! export_module {
    (@schema) => {};
    (@schema $schema:expr) => {
        const SCHEMA_TEXT: &str = $schema;

        #[unsafe(export_name = "kk_module_schema")]
        static SCHEMA: [u8; SCHEMA_TEXT.len()] = $crate::schema_bytes(SCHEMA_TEXT);
    };
    (@source) => { None };
    (@source $source:ty) => { Some($crate::source::<$source>()) };
    (@sink) => { None };
    (@sink $sink:ty) => { Some($crate::sink::<$sink>()) };
    (@call $($app:literal)+) => { $crate::Str::borrow("kk.call/1") };
    (@task) => { None };
    (@task $task:path) => { Some(|host| $crate::task($task, host)) };
    (
        name: $name:expr,
        version: $version:expr,
        $(requires: [$($required:literal),+ $(,)?],)?
        $(task: $task:path,)?
        $(sink: $sink:ty,)?
        $(source: $source:ty,)?
        $(schema: $schema:expr,)?
        $(apps: { $($app:literal: $function:path),+ $(,)? } $(,)?)?
    ) => {
        const _: () = {
            struct Exported;

            impl $crate::Module for Exported {
                const NAME: &'static str = $name;
                const VERSION: &'static str = $version;
                const APPS: &'static [$crate::App] = &[
                    $($($crate::App {
                        name: $app,
                        begin: |call, arguments| $crate::app($function, call, arguments),
                    }),+)?
                ];
                const TASK: Option<fn($crate::Background) -> $crate::Running> =
                    $crate::export_module!(@task $($task)?);
                const SINK: Option<$crate::SinkEntry> = $crate::export_module!(@sink $($sink)?);
                const SOURCE: Option<$crate::SourceEntry> =
                    $crate::export_module!(@source $($source)?);
                const REQUIRED: &'static [$crate::Str] = &[
                    $crate::Str::borrow("kk.log/1"),
                    $crate::Str::borrow("kk.wake/1"),
                    $($crate::export_module!(@call $($app)+),)?
                    $($($crate::Str::borrow($required)),+)?
                ];
            }

            $crate::export_module!(@schema $($schema)?);

            #[unsafe(export_name = "kk_module_entry")]
            static ENTRY: $crate::StaticEntry = $crate::entry::<Exported>();
        };
    };
}
