//! Work that may block, done on a thread of the host's while its application waits.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use koukan_abi::status;

use crate::border::{Panicked, guarded};
use crate::session::Session;
use crate::{Error, Result};

/// What the host's thread calls, once.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// What the application and the thread share.
struct Meeting<T> {
    /// What came of it; an `Err` is a panic.
    done: Option<std::result::Result<T, Panicked>>,
    /// Who waits.
    waker: Option<Waker>,
}

/// Work on another thread: it begins when this is first polled, and is done whether this is dropped
/// meanwhile or not. Polled once more after its result it stays pending.
#[must_use = "the work begins when it is awaited"]
pub struct Blocking<T> {
    session: Rc<Session>,
    /// Until the work begins.
    job: Option<Box<dyn FnOnce() -> T + Send>>,
    meeting: Arc<Mutex<Meeting<T>>>,
}

fn meet<T>(meeting: &Mutex<Meeting<T>>) -> MutexGuard<'_, Meeting<T>> {
    // Nothing is left half done by a panic.
    meeting.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Send + 'static> Blocking<T> {
    pub(crate) fn new(session: Rc<Session>, job: impl FnOnce() -> T + Send + 'static) -> Self {
        let meeting = Arc::new(Mutex::new(Meeting { done: None, waker: None }));
        Self { session, job: Some(Box::new(job)), meeting }
    }

    fn begin(&self, job: Box<dyn FnOnce() -> T + Send>) -> Result<()> {
        let meeting = Arc::clone(&self.meeting);
        let job = move || {
            let done = guarded(job);
            let waker = {
                let mut meeting = meet(&meeting);
                meeting.done = Some(done);
                meeting.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        };
        self.session.host().run(Box::new(job)).map_err(|status| match status {
            status::UNSUPPORTED => Error::Unsupported("do work that blocks"),
            status => Error::Refused { what: "do work that blocks", status },
        })
    }
}

impl<T: Send + 'static> Future for Blocking<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(job) = this.job.take() {
            meet(&this.meeting).waker = Some(context.waker().clone());
            if let Err(error) = this.begin(job) {
                return Poll::Ready(Err(error));
            }
        }
        let mut meeting = meet(&this.meeting);
        match meeting.done.take() {
            Some(Ok(done)) => Poll::Ready(Ok(done)),
            Some(Err(Panicked)) => {
                Poll::Ready(Err(Error::Failed("work on another thread panicked".to_owned())))
            }
            None => {
                if !meeting.waker.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
                    meeting.waker = Some(context.waker().clone());
                }
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Blocking<T> {
    fn drop(&mut self) {
        // A waker that the thread holds on to would keep the build for as long as the work lasts;
        // the work itself does that anyway, but nobody is left to be woken.
        meet(&self.meeting).waker = None;
    }
}

impl<T> fmt::Debug for Blocking<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocking").field("has_begun", &self.job.is_none()).finish_non_exhaustive()
    }
}
