//! A module with options, applications that work on another thread, and a task that may panic.

use std::thread;
use std::time::Duration;

use koukan_sdk::{Background, Call, Either, Error, Result, export_module, race};
use serde::Deserialize;

#[derive(Deserialize)]
struct Options {
    /// What goes wrong, if anything.
    #[serde(default)]
    wrong: String,
}

#[derive(Deserialize)]
struct Nothing {}

/// Says its options.
async fn tells(call: Call, _: Nothing) -> Result<()> {
    let options = call.options::<Options>()?;
    Err(Error::Failed(format!("wrong = {}", options.wrong)))
}

/// Waits on another thread.
async fn works(call: Call, _: Nothing) -> Result<()> {
    let began = thread::current().id();
    let other = call.blocking(move || {
        thread::sleep(Duration::from_millis(300));
        thread::current().id() != began
    });
    Err(Error::Failed(format!("another thread: {}", other.await?)))
}

/// Panics on another thread.
async fn breaks(call: Call, _: Nothing) -> Result<()> {
    call.blocking(|| panic!("a job")).await
}

/// Goes on without its work.
async fn leaves(call: Call, _: Nothing) -> Result<()> {
    let slow = call.blocking(|| thread::sleep(Duration::from_millis(1_500)));
    match race(call.answer(), slow).await {
        Either::Left(answered) => answered,
        Either::Right(worked) => worked,
    }
}

async fn background(host: Background) -> Result<()> {
    match &*host.options::<Options>()?.wrong {
        "task" => panic!("the task"),
        "task later" => {
            host.sleep(Duration::from_secs(1)).await?;
            panic!("the task, later")
        }
        _ => std::future::pending().await,
    }
}

export_module! {
    name: "services",
    version: "0.0.1",
    task: background,
    schema: "[\"kk.config/1\"]\nwrong = { type = \"text\" }\n\
             [tells]\n[works]\n[breaks]\n[leaves]\n",
    apps: { "tells": tells, "works": works, "breaks": breaks, "leaves": leaves }
}
