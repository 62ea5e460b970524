//! A module with options, applications that work on another thread, that put their caller through,
//! count and make prompts, and a task that may panic.

use std::thread;
use std::time::Duration;

use koukan_sdk::{
    Background, BridgeLimits, Call, Either, Error, Result, Sound, export_module, race,
};
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

/// Has its caller talk to another extension, and says what came of it.
async fn talks(call: Call, _: Nothing) -> Result<()> {
    call.counter("talks", "Callers who were put through.").increment();
    call.gauge("lowest", "A number below nothing.").set(-3);
    call.counter("no-name", "Not counted.").increment();
    let limits = BridgeLimits { keys: "*".to_owned(), ..BridgeLimits::default() };
    let bridged = call.bridge("802", &limits).await?;
    Err(Error::Failed(format!("{bridged:?}")))
}

/// Makes a prompt of the bytes of a file.
async fn makes(call: Call, sound: Vec<u8>) -> Result<()> {
    let made = call.make_prompt(Sound::Bytes(sound), "wav", "made").await?;
    Err(Error::Failed(format!("made {} ms", made.as_millis())))
}

/// Does not wait for its prompt.
async fn gives_up(call: Call, sound: Vec<u8>) -> Result<()> {
    let making = call.make_prompt(Sound::Bytes(sound), "wav", "given-up");
    match race(making, call.answer()).await {
        Either::Left(made) => made.map(drop),
        Either::Right(answered) => answered,
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
             [tells]\n[works]\n[breaks]\n[leaves]\n[talks]\n[makes]\n[gives_up]\n",
    apps: {
        "tells": tells, "works": works, "breaks": breaks, "leaves": leaves,
        "talks": talks, "makes": makes, "gives_up": gives_up,
    }
}
