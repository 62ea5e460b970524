//! One application on one call: its future, and the session that the future holds on to.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::Result;
use crate::app::Running;
use crate::session::{Event, Host, Moment, Session};
use crate::wake::{Remote, TaskWake};

/// One application on one call.
pub(crate) struct Task {
    session: Rc<Session>,
    wake: Arc<TaskWake>,
    waker: Waker,
    future: Running,
}

impl Task {
    /// Makes the future without polling it.
    pub(crate) fn begin(
        host: Box<dyn Host>,
        remote: Box<dyn Remote>,
        (now, tenant): (Moment, &str),
        begin: impl FnOnce(Rc<Session>) -> Result<Running>,
    ) -> Result<Self> {
        let session = Rc::new(Session::new(host, now, tenant.to_owned()));
        let future = begin(Rc::clone(&session))?;
        let wake = Arc::new(TaskWake::new(remote));
        let waker = Waker::from(Arc::clone(&wake));
        Ok(Self { session, wake, waker, future })
    }

    /// Takes an event in and lets the future go on.
    pub(crate) fn handle(&mut self, now: Moment, event: Event) -> Poll<Result<()>> {
        self.wake.event_begins();
        self.session.handle(now, event);
        self.poll()
    }

    /// Lets the future go on.
    pub(crate) fn poll(&mut self) -> Poll<Result<()>> {
        self.wake.poll_begins();
        self.future.as_mut().poll(&mut Context::from_waker(&self.waker))
    }
}
