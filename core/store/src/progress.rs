//! What the journal and its follower know of each other: how far was written, how far the
//! database is.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};
use std::time::Duration;

use crate::segment::Position;

/// Shared between the control thread and the follower. The control thread's side takes the lock
/// for a few instructions and never waits for the database.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    state: Mutex<State>,
    /// Something was written.
    grown: Condvar,
    /// Somebody wants to read, or the end has come: who gathers is not woken by every write.
    called: Condvar,
    applied_bytes: AtomicU64,
    written_bytes: AtomicU64,
    failures: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    written: Position,
    finishing: bool,
    /// Somebody wants to read the database.
    asked: bool,
}

impl State {
    const fn news(&self) -> News {
        if self.finishing { News::Last(self.written) } else { News::Written(self.written) }
    }
}

/// What the follower is woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// So far was written.
    Written(Position),
    /// The same, and nothing more will come.
    Last(Position),
}

impl Progress {
    pub(crate) fn set_written(&self, position: Position) {
        let mut state = self.state.lock();
        let grown = if position.segment == state.written.segment {
            position.offset.saturating_sub(state.written.offset)
        } else {
            position.offset
        };
        state.written = position;
        self.written_bytes.fetch_add(grown, Ordering::Relaxed);
        self.grown.notify_one();
    }

    pub(crate) fn finish(&self) {
        self.state.lock().finishing = true;
        self.grown.notify_one();
        self.called.notify_one();
    }

    /// Waits until more than `known` was written, the end has come, or `limit` has passed.
    pub(crate) fn wait(&self, known: Position, limit: Duration) -> News {
        let mut state = self.state.lock();
        if state.written == known && !state.finishing {
            self.grown.wait_for(&mut state, limit);
        }
        state.news()
    }

    /// Waits for `limit`, for a reader or for the end; what was written by then.
    pub(crate) fn gather(&self, limit: Duration) -> News {
        let mut state = self.state.lock();
        let goes_on = |state: &mut State| !state.finishing && !state.asked;
        self.called.wait_while_for(&mut state, goes_on, limit);
        state.asked = false;
        state.news()
    }

    /// Waits for `limit` or for the end; whether the end has come.
    pub(crate) fn pause(&self, limit: Duration) -> bool {
        let mut state = self.state.lock();
        self.called.wait_while_for(&mut state, |state| !state.finishing, limit);
        state.finishing
    }

    /// Whatever was written up to now is wanted in the database at once.
    pub(crate) fn ask(&self) {
        self.state.lock().asked = true;
        self.called.notify_one();
    }

    pub(crate) fn applied(&self, bytes: u64) {
        self.applied_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What a start found unapplied counts as written.
    pub(crate) fn owed(&self, bytes: u64) {
        self.written_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn behind_bytes(&self) -> u64 {
        let applied = self.applied_bytes.load(Ordering::Relaxed);
        self.written_bytes.load(Ordering::Relaxed).saturating_sub(applied)
    }

    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_while_the_follower_gathers_counts_at_the_end() {
        let progress = Progress::default();
        let begun = Position { segment: 1, offset: 0 };
        progress.set_written(begun);
        assert_eq!(progress.wait(Position::default(), Duration::ZERO), News::Written(begun));
        let whole = Position { segment: 1, offset: 700 };
        progress.set_written(whole);
        progress.finish();
        assert_eq!(progress.gather(Duration::ZERO), News::Last(whole));
    }
}
