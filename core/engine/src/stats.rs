//! Counters of the workers, read by anybody, written by their worker alone.

use std::sync::atomic::{AtomicU64, Ordering};

use koukan_media::quality::Cause;

/// The counters of one worker.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) send_errors: AtomicU64,
    pub(crate) late_ticks: AtomicU64,
    pub(crate) late_taken: AtomicU64,
    pub(crate) taken_us: AtomicU64,
    pub(crate) spans: AtomicU64,
    pub(crate) poor_spans: AtomicU64,
    faults: [AtomicU64; FAULTS],
    pub(crate) streams: AtomicU64,
    pub(crate) crossed_commands: AtomicU64,
    pub(crate) cpu_ns: AtomicU64,
    /// What the worker has given up, as [`koukan_media::Shed::number`].
    pub(crate) shed: AtomicU64,
    pub(crate) sheds: AtomicU64,
    pub(crate) unheard: AtomicU64,
    pub(crate) rests: AtomicU64,
    /// 1 where its loop is io_uring's.
    pub(crate) ring: AtomicU64,
}

/// Kinds of faults.
const FAULTS: usize = 6;

/// Their words, in the order of [`WorkerStats::faults`].
pub const FAULT_WORDS: [&str; FAULTS] = ["loss", "late", "delay", "one-way", "no-media", "silence"];

impl Counters {
    /// The counter of a fault.
    pub(crate) fn fault(&self, cause: Cause) -> &AtomicU64 {
        let [loss, late, delay, one_way, no_media, silence] = &self.faults;
        match cause {
            Cause::Loss(_) => loss,
            Cause::Late(_) => late,
            Cause::Delay(_) => delay,
            Cause::OneWay => one_way,
            Cause::NoMedia => no_media,
            Cause::Silence => silence,
        }
    }

    pub(crate) fn read(&self) -> WorkerStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WorkerStats {
            received: get(&self.received),
            sent: get(&self.sent),
            dropped: get(&self.dropped),
            send_errors: get(&self.send_errors),
            late_ticks: get(&self.late_ticks),
            late_taken: get(&self.late_taken),
            taken_us: get(&self.taken_us),
            spans: get(&self.spans),
            poor_spans: get(&self.poor_spans),
            faults: self.faults.each_ref().map(get),
            streams: get(&self.streams),
            crossed_commands: get(&self.crossed_commands),
            cpu_ns: get(&self.cpu_ns),
            shed: get(&self.shed),
            sheds: get(&self.sheds),
            unheard: get(&self.unheard),
            rests: get(&self.rests),
            ring: get(&self.ring) != 0,
        }
    }
}

/// What one worker has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerStats {
    /// RTP packets accepted.
    pub received: u64,
    /// RTP packets sent.
    pub sent: u64,
    /// Datagrams dropped: no RTP, of a stranger, of an unknown payload type.
    pub dropped: u64,
    /// Packets that the system would not send.
    pub send_errors: u64,
    /// Ticks that came more than 5 ms late.
    pub late_ticks: u64,
    /// Those among them that would have been in time had the worker had its core throughout.
    pub late_taken: u64,
    /// Microseconds in which the worker had something to do and not its core: the host or the
    /// system gave it to others. Gaps of less than 0.3 ms are not seen.
    pub taken_us: u64,
    /// Spans of five seconds that streams were judged over.
    pub spans: u64,
    /// Those below R 70.
    pub poor_spans: u64,
    /// Faults that began, as [`FAULT_WORDS`] names them.
    pub faults: [u64; FAULTS],
    /// Streams at this moment.
    pub streams: u64,
    /// Commands for streams that were gone.
    pub crossed_commands: u64,
    /// CPU time of the worker's thread.
    pub cpu_ns: u64,
    /// What it has given up because it fell behind, as [`koukan_media::Shed::number`].
    pub shed: u64,
    /// How often it gave something up or took it back.
    pub sheds: u64,
    /// Packets whose sound was not listened to for that reason.
    pub unheard: u64,
    /// How often a stream was left unread for a while because it brought more than a peer does.
    pub rests: u64,
    /// It waits and sends by io_uring.
    pub ring: bool,
}

/// What the engine has done so far, worker by worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Each worker's counters.
    pub workers: Vec<WorkerStats>,
    /// Events that found the queue full; zero unless the control loop has stopped.
    pub lost_events: u64,
    /// Streams refused because their worker was full or behind, or the rest of it for others.
    pub refused: u64,
}

/// Counters have one writer, so a load and a store do; a locked instruction would cost ten times.
pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
}

/// The same downwards.
pub(crate) fn sub(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_sub(count), Ordering::Relaxed);
}
