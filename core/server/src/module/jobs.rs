//! Work of modules that may block, on a few threads of the host's own. Each job is called once,
//! whatever becomes of the call that waits for it.

use std::fmt;
use std::sync::OnceLock;
use std::thread;

use crossbeam_channel::{Sender, bounded};
use koukan_abi::{Status, status};

use crate::limits;

/// What is to be done.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// The way to the threads, which are made with the first job.
#[derive(Default)]
pub(crate) struct Jobs {
    /// None inside: the system gave no thread.
    queue: OnceLock<Option<Sender<Job>>>,
}

/// One slow job leaves room for another.
const THREADS: usize = 4;

impl Jobs {
    /// Orders a job.
    ///
    /// # Errors
    /// `LIMIT`: too many wait; `FAILED`: there is no thread for it.
    pub(crate) fn order(&self, job: Job) -> Result<(), Status> {
        let queue = self.queue.get_or_init(start).as_ref().ok_or(status::FAILED)?;
        queue.try_send(job).map_err(|_| status::LIMIT)
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").finish_non_exhaustive()
    }
}

fn start() -> Option<Sender<Job>> {
    let (orders, queue) = bounded::<Job>(limits::MODULE_JOBS);
    let mut threads = 0;
    for number in 0..THREADS {
        let queue = queue.clone();
        let body = move || queue.into_iter().for_each(|job| job());
        match thread::Builder::new().name(format!("module-job-{number}")).spawn(body) {
            Ok(_) => threads += 1,
            Err(error) => tracing::error!(%error, "no thread for jobs of modules"),
        }
    }
    (threads > 0).then_some(orders)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn jobs_run_beside_each_other_and_too_many_are_refused() {
        let jobs = Jobs::default();
        let (hold, held) = channel::<()>();
        let held = std::sync::Arc::new(std::sync::Mutex::new(held));
        let (done, ends) = channel();
        let mut taken = 0;
        loop {
            let (held, done) = (held.clone(), done.clone());
            let job = move || {
                // Until the test lets go of its end.
                let _ = held.lock().map(|held| held.recv());
                let _ = done.send(());
            };
            match jobs.order(Box::new(job)) {
                Ok(()) => taken += 1,
                Err(refused) => {
                    assert_eq!(refused, status::LIMIT);
                    break;
                }
            }
        }
        assert!((limits::MODULE_JOBS..=limits::MODULE_JOBS + THREADS).contains(&taken), "{taken}");
        drop((hold, done));
        assert_eq!(ends.iter().count(), taken, "each is done once");
    }
}
