//! Ticks of the worker that came more than 5 ms late, without those that only came late since the
//! host had given its core to another guest. The worker knows for how long it had something to do
//! and did not run; the kernel's account says whether it waited for a thread of this machine
//! meanwhile, and then the tick is held against us.

use std::io;
use std::time::{Duration, Instant};

use koukan_engine::Engine;

use crate::media;
use crate::proc;

/// What came late in a while.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Late {
    /// Ticks that this machine was too slow for.
    pub(crate) ours: u64,
    /// Ticks that were late for the host's reason alone.
    pub(crate) hosts: u64,
    /// How long the worker did not run though it had something to do.
    pub(crate) taken: Duration,
}

/// The accounts are read so often.
const LOOK: Duration = Duration::from_millis(20);

/// So long the worker may wait for another thread between two looks.
const WAITED: Duration = Duration::from_millis(1);

/// Watches the one worker for so long.
pub(crate) fn watch(engine: &Engine, length: Duration) -> io::Result<Late> {
    let thread = proc::thread_named(media::THREAD)?;
    let account = || {
        let workers = engine.stats().workers;
        let sum = |of: fn(&koukan_engine::WorkerStats) -> u64| workers.iter().map(of).sum::<u64>();
        let late = (sum(|worker| worker.late_ticks), sum(|worker| worker.late_taken));
        Ok::<_, io::Error>((late, sum(|worker| worker.taken_us), proc::waited_ns(thread)?))
    };
    let begun = Instant::now();
    let mut sum = Late::default();
    let mut before = account()?;
    while begun.elapsed() < length {
        std::thread::sleep(LOOK);
        let now = account()?;
        let ((late, taken), us, waited) = now;
        let ((late_then, taken_then), us_then, waited_then) = before;
        let (late, taken) = (late.saturating_sub(late_then), taken.saturating_sub(taken_then));
        let waited = Duration::from_nanos(waited.saturating_sub(waited_then));
        let us = us.saturating_sub(us_then);
        if late > 0 {
            println!(
                "late: {late} ticks at {:.1} s, {taken} of them while {us} us were taken; the \
                 worker waited {} us for another thread",
                begun.elapsed().as_secs_f64(),
                waited.as_micros()
            );
        }
        let hosts = if waited > WAITED { 0 } else { taken };
        sum.hosts += hosts;
        sum.ours += late.saturating_sub(hosts);
        sum.taken += Duration::from_micros(us);
        before = now;
    }
    Ok(sum)
}
