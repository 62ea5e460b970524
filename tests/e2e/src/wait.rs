//! Waiting for other processes: poll until a condition holds or a deadline passes.

use std::time::{Duration, Instant};

/// Polls `condition` every 20 ms until it gives a value or `limit` has passed.
pub fn wait_for<T>(limit: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
