//! The end of recordings that are too old, on a thread of its own: however many there are and
//! however slow their disk is, the control thread gives an order and goes on.

use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Sender, bounded};
use jiff::Timestamp;
use mio::Waker;

use super::Recordings;

/// The way to the thread, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Sweeper {
    orders: Sender<Timestamp>,
}

impl Sweeper {
    /// Starts the thread; `waker` wakes the loop that takes to the journal what has changed.
    pub(crate) fn start(recordings: Recordings, waker: Arc<Waker>) -> Self {
        let (orders, queue) = bounded::<Timestamp>(1);
        let body = move || {
            for date in queue {
                let deleted = recordings.sweep(date);
                if deleted > 0 {
                    tracing::info!(deleted, "recordings have reached their age");
                    // A loop that is gone takes nothing any more.
                    let _ = waker.wake();
                }
            }
        };
        if let Err(error) = thread::Builder::new().name("sweeper".to_owned()).spawn(body) {
            tracing::error!(%error, "no thread for old recordings: they are not deleted");
        }
        Self { orders }
    }

    /// Has what is too old at a date deleted; while that is being done a second order is the same.
    pub(crate) fn order(&self, date: Timestamp) {
        let _ = self.orders.try_send(date);
    }
}
