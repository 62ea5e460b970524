//! Phases of a measurement on a machine that is not ours alone: each knows whether the threads that
//! are measured had their cores, by the kernel's own account of how long they waited for them and
//! what the host took away. Figures are medians over the phases in which they had.

use std::io;
use std::time::{Duration, Instant};

use crate::load::quantile;
use crate::proc;

/// A thread may wait so long for its core in a second before that counts as a disturbance: a tenth
/// of what is a late tick, many times over.
const DISTURBED: Duration = Duration::from_millis(4);

/// How long each is.
const PHASE: Duration = Duration::from_secs(1);

/// One phase, by a clock that began with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phase {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    /// The threads had their cores.
    pub(crate) calm: bool,
    /// CPU time of the first of the threads.
    pub(crate) cpu: Duration,
}

/// Threads with the cores that they are pinned to.
pub(crate) struct Watched {
    threads: Vec<(u32, u32)>,
}

/// What was taken from threads until a moment.
struct Account {
    waited: Vec<u64>,
    stolen: Vec<u64>,
}

impl Watched {
    /// Threads of this process by their numbers, with their cores.
    pub(crate) fn new(threads: &[(u32, u32)]) -> Self {
        Self { threads: threads.to_vec() }
    }

    fn account(&self) -> io::Result<Account> {
        let waited = self.threads.iter().map(|(thread, _)| proc::waited_ns(*thread));
        let stolen = self.threads.iter().map(|(_, core)| proc::stolen_ticks(*core));
        Ok(Account {
            waited: waited.collect::<Result<_, _>>()?,
            stolen: stolen.collect::<Result<_, _>>()?,
        })
    }

    /// Whether nothing has been taken from them between two moments.
    fn calm(before: &Account, after: &Account) -> bool {
        let most = u64::try_from(DISTURBED.as_nanos()).unwrap_or(u64::MAX);
        let waits = before.waited.iter().zip(&after.waited);
        waits.into_iter().all(|(before, after)| after.saturating_sub(*before) <= most)
            && before.stolen == after.stolen
    }

    /// Looks at so many calm phases, or at most twice as many; `begun` is where their clock began.
    pub(crate) fn phases(&self, begun: Instant, wanted: usize) -> io::Result<Vec<Phase>> {
        let mut phases: Vec<Phase> = Vec::new();
        let first = self.threads.first().map_or(0, |(thread, _)| *thread);
        while phases.iter().filter(|phase| phase.calm).count() < wanted && phases.len() < wanted * 2
        {
            let (from, account, cpu) = (begun.elapsed(), self.account()?, proc::cpu_ns(first)?);
            std::thread::sleep(PHASE);
            let cpu = Duration::from_nanos(proc::cpu_ns(first)?.saturating_sub(cpu));
            let calm = Self::calm(&account, &self.account()?);
            phases.push(Phase { from, to: begun.elapsed(), calm, cpu });
        }
        Ok(phases)
    }
}

/// The median over the calm phases, or over all when none was calm, of a quantile of what was noted
/// in each, in ms. What was noted is a moment and a time.
pub(crate) fn median(phases: &[Phase], noted: &[(Duration, Duration)], thousandths: usize) -> f64 {
    let mut values: Vec<f64> = chosen(phases)
        .filter_map(|phase| {
            let within = noted.iter().filter(|(at, _)| *at >= phase.from && *at < phase.to);
            let mut times: Vec<Duration> = within.map(|(_, time)| *time).collect();
            times.sort_unstable();
            (!times.is_empty()).then(|| quantile(&times, thousandths))
        })
        .collect();
    middle(&mut values)
}

/// The median share of a core that the first thread had.
pub(crate) fn share(phases: &[Phase]) -> f64 {
    let of = |phase: &Phase| phase.cpu.as_secs_f64() / (phase.to - phase.from).as_secs_f64();
    let mut values: Vec<f64> = chosen(phases).map(of).collect();
    middle(&mut values)
}

/// How many were calm, of how many.
pub(crate) fn calm(phases: &[Phase]) -> (usize, usize) {
    (phases.iter().filter(|phase| phase.calm).count(), phases.len())
}

fn chosen(phases: &[Phase]) -> impl Iterator<Item = &Phase> {
    let none = phases.iter().all(|phase| !phase.calm);
    phases.iter().filter(move |phase| phase.calm || none)
}

fn middle(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
