//! The PIN of a box, and the lock when it was wrong too often: counted over all calls, so that
//! nobody tries them one after the other.

use std::time::Duration;

use koukan_sdk::{Call, Error, Result};
use serde::{Deserialize, Serialize};

use crate::words::prompt;

/// Wrong PINs since the last right one.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Tries {
    wrong: u32,
    locked_until_ms: i64,
}

/// So many wrong ones in one call end it.
const A_CALL: u32 = 3;
/// So many in a row lock the box.
const IN_A_ROW: u32 = 5;
/// For so long.
const LOCKED_MS: i64 = 15 * 60 * 1_000;
/// The longest PIN.
const DIGITS: usize = 12;

const PATIENCE: Duration = Duration::from_secs(6);

/// Asks for the PIN of a box; whether the caller knows it.
pub(crate) async fn check(call: &Call, language: &str, name: &str, pin: &str) -> Result<bool> {
    let key = format!("pin/{name}");
    let say = |name| prompt(language, name);
    let mut ask = vec![say("vm/pin")];
    for _ in 0..A_CALL {
        let mut tries = call.store().get::<Tries>(&key)?.unwrap_or_default();
        if tries.locked_until_ms > call.date_ms() {
            call.play(&[say("vm/pin-locked")], 1).await?;
            return Ok(false);
        }
        let given = match call.ask(&ask, 1, DIGITS, PATIENCE).await {
            Err(Error::TimedOut) => String::new(),
            other => other?,
        };
        if is_same(&given, pin) {
            call.store().remove(&key)?;
            return Ok(true);
        }
        call.counter("pin_failures", "Wrong PINs of boxes.").increment();
        tries.wrong = tries.wrong.saturating_add(1);
        if tries.wrong >= IN_A_ROW {
            tries = Tries { wrong: 0, locked_until_ms: call.date_ms().saturating_add(LOCKED_MS) };
        }
        call.store().put(&key, &tries)?;
        ask = vec![say("vm/pin-wrong"), say("vm/pin")];
    }
    call.play(&[say("vm/pin-wrong")], 1).await?;
    Ok(false)
}

/// Compares without telling by its time how much was right.
fn is_same(given: &str, pin: &str) -> bool {
    let differ = given.bytes().zip(pin.bytes()).fold(0, |bits, (a, b)| bits | (a ^ b));
    given.len() == pin.len() && differ == 0
}
