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

/// Arguments whose reading panics.
struct Reads;

impl<'de> Deserialize<'de> for Reads {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> std::result::Result<Self, D::Error> {
        panic!("the arguments");
    }
}

async fn arguments(_call: Call, _: Reads) -> Result<()> {
    Ok(())
}

/// Arguments whose error panics when it is told.
struct Refuses;

struct Words;

impl std::fmt::Display for Words {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("the message");
    }
}

impl<'de> Deserialize<'de> for Refuses {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> std::result::Result<Self, D::Error> {
        Err(serde::de::Error::custom(Words))
    }
}

async fn message(_call: Call, _: Refuses) -> Result<()> {
    Ok(())
}

async fn on_digit(call: Call, _: Nothing) -> Result<()> {
    call.next_digit().await?;
    panic!("a digit");
}

async fn on_hang_up(call: Call, _: Nothing) -> Result<()> {
    let _ = call.next_digit().await;
    panic!("a hang-up");
}

async fn on_drain(call: Call, _: Nothing) -> Result<()> {
    call.drained().await;
    panic!("a drain");
}

/// Asks for its thread, for which the standard library makes a pthread key.
async fn current(call: Call, _: Nothing) -> Result<()> {
    call.log(Level::Info, &format!("on {:?}", thread::current().id()));
    call.answer().await
}

thread_local! {
    static LOCAL: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Leaves a thread-local with a destructor behind.
async fn local(call: Call, _: Nothing) -> Result<()> {
    LOCAL.with_borrow_mut(|local| local.push(1));
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
        "arguments": arguments,
        "message": message,
        "on_digit": on_digit,
        "on_hang_up": on_hang_up,
        "on_drain": on_drain,
        "current": current,
        "local": local,
        "good": good,
        "woken": woken,
    }
}
