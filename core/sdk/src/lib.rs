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
#[expect(unsafe_code, reason = "the C border; everything unsafe of the SDK stands in this file")]
mod border;
mod call;
mod error;
pub mod fake;
mod op;
mod session;
mod task;
mod wake;

pub use app::{App, Module, app};
pub use border::{StaticEntry, entry};
pub use call::{Call, Prompt};
pub use error::{Error, Result};
pub use koukan_abi::{Status, status};
pub use op::{Op, Operation};
pub use session::Level;

/// Exports the module: its one symbol `kk_module_entry`, with the applications by name. The second
/// argument of an application is what its JSON arguments are read into.
#[macro_export]
macro_rules! export_module {
    (
        name: $name:expr,
        version: $version:expr,
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
            }

            #[unsafe(export_name = "kk_module_entry")]
            static ENTRY: $crate::StaticEntry = $crate::entry::<Exported>();
        };
    };
}
