//! The media workers as the control loop sees them: orders out, reports in, one waker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use koukan_base::{StreamId, WorkerId};
use koukan_engine::{
    Engine, EngineConfig, EngineError, FAULT_WORDS, Lent, OpusSettings, default_max_streams,
};
use koukan_media::{Command, Event};
use mio::Waker;

use crate::config::Config;
use crate::metrics::MediaSnapshot;
use crate::os;

/// The media workers cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// The system refuses a thread or a poll: resource.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The system's random source cannot be read: resource.
    #[error("the media engine has no randomness: {0}")]
    Randomness(#[from] std::io::Error),
}

/// The media workers.
pub struct Media {
    engine: Engine,
    workers: u16,
    /// The control loop was woken and has not looked yet.
    told: Arc<AtomicBool>,
}

impl std::fmt::Debug for Media {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Media").field("workers", &self.workers).finish_non_exhaustive()
    }
}

impl Media {
    /// Starts the workers.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start(config: &Config, waker: Arc<Waker>) -> Result<Self, MediaError> {
        let workers = config.media.workers.unwrap_or_else(os::cores);
        let (first, last) = config.media.ports;
        let told = Arc::new(AtomicBool::new(false));
        let telling = Arc::clone(&told);
        let engine = Engine::start(EngineConfig {
            workers,
            ports: first..=last,
            prompts: config.media.prompts.clone(),
            // A set number may be meant for a machine that is shared.
            pin: config.media.workers.is_none(),
            real_time: config.media.real_time,
            io: config.media.io,
            max_streams: default_max_streams(),
            opus: OpusSettings::default(),
            seed: os::random_seed()?,
            seal: config.seal_key.clone(),
            notify: Arc::new(move || {
                if !telling.swap(true, Ordering::AcqRel) {
                    // A waker fails only when its poll is gone, and the control loop with it.
                    let _ = waker.wake();
                }
            }),
        })?;
        if let Some(error) = engine.usual_rank() {
            tracing::warn!(
                %error,
                "media workers have the rank of any other thread: sound may wait for other \
                 programs where this machine is busy; give the service CAP_SYS_NICE or \
                 LimitRTPRIO=1, or set media.real_time = false"
            );
        }
        Ok(Self { engine, workers, told })
    }

    /// How many there are.
    #[must_use]
    pub const fn workers(&self) -> u16 {
        self.workers
    }

    /// So many offices there are, whom the workers' streams are shared between.
    pub const fn set_tenants(&mut self, tenants: usize) {
        self.engine.set_tenants(tenants);
    }

    /// Gives a worker an order; it hears of it by [`Self::flush`].
    pub fn queue(&mut self, worker: WorkerId, command: Command) {
        self.engine.queue(worker, command);
    }

    /// Wakes the workers that have orders.
    pub fn flush(&mut self) {
        self.engine.flush();
    }

    /// From now on a report wakes the control loop again; called before reports are taken.
    pub fn listen(&self) {
        // Reads what the workers wrote, so that reports from before this are seen after it.
        self.told.swap(false, Ordering::AcqRel);
    }

    /// Whether reports wait that no waker tells of.
    #[must_use]
    pub fn has_events(&self) -> bool {
        self.engine.has_events()
    }

    /// The next answer to an order that opens a stream.
    pub fn try_opened(&mut self) -> Option<Event> {
        self.engine.try_opened()
    }

    /// The next report.
    pub fn try_recv(&mut self) -> Option<Event> {
        self.engine.try_recv()
    }

    /// The socket of a stream that is lent, and how it stands.
    #[must_use]
    pub fn lend(&self, stream: StreamId) -> Option<Lent> {
        match self.engine.lend(stream)? {
            Ok(lent) => Some(lent),
            Err(error) => {
                tracing::error!(%error, "a socket cannot be lent");
                None
            }
        }
    }

    /// What the workers have counted.
    #[must_use]
    pub fn measure(&self) -> MediaSnapshot {
        let faults = FAULT_WORDS.map(|word| (word, 0)).into();
        let mut sum = MediaSnapshot { faults, ..MediaSnapshot::default() };
        let stats = self.engine.stats();
        sum.refused = stats.refused;
        for worker in stats.workers {
            sum.shed = sum.shed.max(worker.shed);
            sum.sheds = sum.sheds.saturating_add(worker.sheds);
            sum.unheard = sum.unheard.saturating_add(worker.unheard);
            sum.rests = sum.rests.saturating_add(worker.rests);
            sum.received = sum.received.saturating_add(worker.received);
            sum.sent = sum.sent.saturating_add(worker.sent);
            sum.dropped = sum.dropped.saturating_add(worker.dropped);
            sum.late_ticks = sum.late_ticks.saturating_add(worker.late_ticks);
            sum.late_taken = sum.late_taken.saturating_add(worker.late_taken);
            sum.taken_s += worker.taken_us as f64 / 1e6;
            sum.quality_spans = sum.quality_spans.saturating_add(worker.spans);
            sum.quality_poor_spans = sum.quality_poor_spans.saturating_add(worker.poor_spans);
            for ((_, all), count) in sum.faults.iter_mut().zip(worker.faults) {
                *all = all.saturating_add(count);
            }
            sum.send_errors = sum.send_errors.saturating_add(worker.send_errors);
            sum.cpu_s += worker.cpu_ns as f64 / 1e9;
        }
        sum
    }
}
