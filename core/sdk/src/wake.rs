//! The waker of a task: from any thread, and silent while a poll is due anyway.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

/// How a waker reaches the host: `kk.wake/1`, or the fake's flag.
pub(crate) trait Remote: Send + Sync {
    fn wake(&self);
}

/// The waker's state. A task and every clone of its waker share one; while any lives, the host
/// keeps the build loaded.
pub(crate) struct TaskWake {
    /// A poll is due: the host has been asked for it, or it follows from the event at hand.
    due: AtomicBool,
    remote: Box<dyn Remote>,
}

impl TaskWake {
    pub(crate) fn new(remote: Box<dyn Remote>) -> Self {
        Self { due: AtomicBool::new(true), remote }
    }

    /// An event is being taken in; wakes until the poll need no host.
    pub(crate) fn event_begins(&self) {
        self.due.store(true, Ordering::Release);
    }

    /// The poll begins; wakes from here on ask for another one.
    pub(crate) fn poll_begins(&self) {
        // Acquire: what a waker wrote before it woke is seen by the poll.
        self.due.swap(false, Ordering::AcqRel);
    }
}

impl Wake for TaskWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.due.swap(true, Ordering::AcqRel) {
            self.remote.wake();
        }
    }
}
