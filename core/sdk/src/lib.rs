//! The SDK of Koukan's modules: an application on a call is an `async fn`.
//!
//! ```
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
//! [`fake`] tests an application with a script of events and virtual time.

#![deny(unsafe_code)]

#[cfg(panic = "abort")]
compile_error!("a module must unwind, so that the border can catch its panics: panic = \"unwind\"");

mod app;
#[expect(unsafe_code, reason = "the C border: what the host calls")]
mod border;
mod call;
mod error;
pub mod fake;
mod op;
mod race;
#[expect(unsafe_code, reason = "the host's tables; the other file of what is unsafe in the SDK")]
mod real;
pub mod say;
mod services;
mod session;
mod task;
mod wake;
mod world;

pub use app::{App, Module, Running, app, task};
pub use border::{StaticEntry, entry};
pub use call::{Call, Prompt, Recorded};
pub use error::{Error, Result};
pub use koukan_abi::{Status, Str, status};
pub use op::{Op, Operation};
pub use race::{Either, race};
pub use services::{Background, Mail, Store};
pub use session::Level;

/// Exports the module: its one symbol `kk_module_entry`, with the applications by name. The second
/// argument of an application is what its JSON arguments are read into. `requires` names extensions
/// beyond those of calls and the log without which the module does not start, `task` an
/// `async fn(Background) -> Result<()>` that runs without a call.
#[macro_export]
macro_rules! export_module {
    (@task) => { None };
    (@task $task:path) => { Some(|host| $crate::task($task, host)) };
    (
        name: $name:expr,
        version: $version:expr,
        $(requires: [$($required:literal),+ $(,)?],)?
        $(task: $task:path,)?
        apps: { $($app:literal: $function:path),+ $(,)? } $(,)?
    ) => {
        const _: () = {
            struct Exported;

            impl $crate::Module for Exported {
                const NAME: &'static str = $name;
                const VERSION: &'static str = $version;
                const APPS: &'static [$crate::App] = &[
                    $($crate::App {
                        name: $app,
                        begin: |call, arguments| $crate::app($function, call, arguments),
                    }),+
                ];
                const TASK: Option<fn($crate::Background) -> $crate::Running> =
                    $crate::export_module!(@task $($task)?);
                const REQUIRED: &'static [$crate::Str] = &[
                    $crate::Str::borrow("kk.call/1"),
                    $crate::Str::borrow("kk.log/1"),
                    $crate::Str::borrow("kk.wake/1"),
                    $($($crate::Str::borrow($required)),+)?
                ];
            }

            #[unsafe(export_name = "kk_module_entry")]
            static ENTRY: $crate::StaticEntry = $crate::entry::<Exported>();
        };
    };
}
