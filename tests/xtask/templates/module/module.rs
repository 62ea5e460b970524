//! `@name@`: answers, plays a prompt until a key is pressed, and hangs up. Change it into what you
//! want; `core/sdk/TUTORIAL.md` goes through its parts.

#![forbid(unsafe_code)]

use std::time::Duration;

use koukan_sdk::{Call, Either, Error, Level, Prompt, Result, export_module, race};
use serde::Deserialize;

/// What the host passes with each call.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The prompt, such as `{ "language": "ja", "name": "closed" }`.
    pub prompt: Prompt,
    /// How often it is played.
    #[serde(default = "once")]
    pub times: u32,
}

const fn once() -> u32 {
    1
}

/// How long a key is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The application.
///
/// # Errors
/// The prompt is missing, or the call has ended.
pub async fn @name@(call: Call, arguments: Arguments) -> Result<()> {
    call.answer().await?;
    // Whichever comes first: the other one is dropped, which cancels it.
    let played = call.play(&[arguments.prompt], arguments.times);
    match race(played, call.collect_digits(1, 1, PATIENCE)).await {
        Either::Left(played) => played?,
        Either::Right(Ok(key)) => call.log(Level::Info, &format!("the key {key}")),
        Either::Right(Err(Error::TimedOut)) => {}
        Either::Right(Err(error)) => return Err(error),
    }
    call.hangup(480).await
}

export_module! {
    name: "@name@",
    version: env!("CARGO_PKG_VERSION"),
    // What may stand beside `module = "@name@"` in an action of the dialplan.
    schema: "[@name@]\n\
             prompt = { type = \"prompt\", required = true }\n\
             times = { type = \"whole\", min = 0, max = 100 }\n",
    apps: { "@name@": @name@ }
}
