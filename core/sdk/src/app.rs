//! A module's applications by name, and the typed reading of their arguments.

use std::pin::Pin;

use serde::de::DeserializeOwned;

use koukan_abi::Str;

use crate::{Background, Call, Error, Result, SinkEntry, SourceEntry, TapEntry};

/// An application at work.
pub type Running = Pin<Box<dyn Future<Output = Result<()>>>>;

/// What [`export_module!`](crate::export_module) makes of its arguments.
pub trait Module: 'static {
    /// Its name.
    const NAME: &'static str;
    /// Its version.
    const VERSION: &'static str;
    /// Its applications.
    const APPS: &'static [App];
    /// What it does without a call, from its loading on.
    const TASK: Option<fn(Background) -> Running>;
    /// The sink of records that it is.
    const SINK: Option<SinkEntry>;
    /// The source of answers that it is.
    const SOURCE: Option<SourceEntry>;
    /// The tap of calls that it is.
    const TAP: Option<TapEntry>;
    /// The extensions of the host without which it does not start.
    const REQUIRED: &'static [Str];
}

/// An application of a module.
#[derive(Clone, Copy, Debug)]
pub struct App {
    /// The name that the host asks for.
    pub name: &'static str,
    /// Makes the future of one call from the JSON of its arguments; see [`app`].
    pub begin: fn(Call, &str) -> Result<Running>,
}

/// Makes the future of a module's task.
pub fn task<F, T>(function: F, host: Background) -> Running
where
    F: Fn(Background) -> T,
    T: Future<Output = Result<()>> + 'static,
{
    Box::pin(function(host))
}

/// Reads the arguments and makes the future, which has not run yet.
///
/// # Errors
/// The arguments are not what the application takes: the dialplan's or the host's fault.
pub fn app<F, A, T>(function: F, call: Call, arguments: &str) -> Result<Running>
where
    F: Fn(Call, A) -> T,
    A: DeserializeOwned,
    T: Future<Output = Result<()>> + 'static,
{
    let arguments = serde_json::from_str(arguments).map_err(Error::Arguments)?;
    Ok(Box::pin(function(call, arguments)))
}
