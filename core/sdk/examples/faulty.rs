//! A module whose applications have every fault that the border must hold, beside good ones.

use std::thread;
use std::time::Duration;

use koukan_sdk::{Call, Level, Result, export_module};
use serde::Deserialize;

#[derive(Deserialize)]
struct Nothing {}

/// Panics before its first await.
async fn at_once(_call: Call, _: Nothing) -> Result<()> {
    panic!("at once");
}

/// Panics after an operation.
async fn later(call: Call, _: Nothing) -> Result<()> {
    call.answer().await?;
    panic!("later");
}

/// A value whose destructor panics.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("a destructor");
        }
    }
}

/// Its future's destructor panics when it returns.
async fn destructor(call: Call, _: Nothing) -> Result<()> {
    let grenade = Grenade;
    let slept = call.sleep(Duration::from_secs(1)).await;
    drop(grenade);
    slept
}

/// Its future's destructor panics when it is destroyed.
async fn held(_call: Call, _: Nothing) -> Result<()> {
    let _grenade = Grenade;
    std::future::pending().await
}

/// Its panic's payload panics when it is dropped.
async fn payload(_call: Call, _: Nothing) -> Result<()> {
    std::panic::panic_any(Grenade);
}

/// Does what it should.
async fn good(call: Call, _: Nothing) -> Result<()> {
    call.log(Level::Info, "good begins");
    call.answer().await?;
    let digits = call.collect_digits(1, 2, Duration::from_secs(3)).await?;
    call.hangup(if digits == "42" { 486 } else { 480 }).await
}

/// Is woken from a thread of its own.
async fn woken(call: Call, _: Nothing) -> Result<()> {
    let mut asked = None;
    std::future::poll_fn(|context| match &asked {
        None => {
            let waker = context.waker().clone();
            asked = Some(thread::spawn(move || waker.wake()));
            std::task::Poll::Pending
        }
        Some(thread) if thread.is_finished() => std::task::Poll::Ready(()),
        Some(_) => {
            context.waker().wake_by_ref();
            std::task::Poll::Pending
        }
    })
    .await;
    call.answer().await
}

export_module! {
    name: "faulty",
    version: "0.0.1",
    apps: {
        "at_once": at_once,
        "later": later,
        "destructor": destructor,
        "held": held,
        "payload": payload,
        "good": good,
        "woken": woken,
    }
}
