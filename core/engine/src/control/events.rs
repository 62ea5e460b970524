//! What workers and job threads tell the control loop, and streams on their way between workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;
use koukan_media::{Event, OpenError};

use crate::stream::Stream;

/// Streams that are between two workers at once: the control side empties the queue at every turn.
const MOVING: usize = 1024;

/// Events on their way to the control loop.
pub(crate) struct Events {
    pub(super) queue: ArrayQueue<Event>,
    /// Streams between two workers.
    pub(super) moving: ArrayQueue<(usize, Box<Stream>)>,
    pub(super) lost: AtomicU64,
    notify: Arc<dyn Fn() + Send + Sync>,
}

impl Events {
    /// With room for so many; `notify` is called for each.
    pub(super) fn new(room: usize, notify: Arc<dyn Fn() + Send + Sync>) -> Self {
        let (queue, moving) = (ArrayQueue::new(room), ArrayQueue::new(MOVING));
        Self { queue, moving, lost: AtomicU64::new(0), notify }
    }

    /// Those of no engine: whoever holds them takes them.
    pub(crate) fn alone() -> Self {
        let (queue, moving) = (ArrayQueue::new(1), ArrayQueue::new(1));
        Self { queue, moving, lost: AtomicU64::new(0), notify: Arc::new(|| {}) }
    }

    /// The next one.
    pub(crate) fn take(&self) -> Option<Event> {
        self.queue.pop()
    }

    /// Gives an event to the control loop. The queue holds one for every stream and more, so it is
    /// full only when the control loop has stopped; then the event is counted as lost.
    pub(crate) fn push(&self, event: Event) {
        if self.queue.push(event).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        (self.notify)();
    }

    /// Gives the control side a stream that it brings to another worker.
    pub(crate) fn hand_over(&self, to: usize, stream: Box<Stream>) {
        let id = stream.id;
        if self.moving.push((to, stream)).is_err() {
            self.push(Event::OpenFailed { stream: id, error: OpenError::Full });
            return;
        }
        (self.notify)();
    }
}
