//! A media worker as the control side holds it: its thread and the queues to and from it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_queue::ArrayQueue;
use mio::{Poll, Waker};

use super::{EngineConfig, Events};
use crate::net::{Net, WAKE};
use crate::order::{Order, Returned};
use crate::stats::Counters;
use crate::worker::Worker;

pub(super) struct Remote {
    pub(super) orders: Arc<ArrayQueue<Order>>,
    pub(super) returned: Arc<ArrayQueue<Returned>>,
    pub(super) waker: Arc<Waker>,
    /// Orders wait that the worker was not woken for.
    pub(super) queued: bool,
    pub(super) counters: Arc<Counters>,
    pub(super) thread: Option<JoinHandle<()>>,
}

/// Starts a worker; beside it, why it has the usual rank where it was to have another.
pub(super) fn start_worker(
    index: usize,
    started: Instant,
    config: &EngineConfig,
    events: &Arc<Events>,
    stop: &Arc<AtomicBool>,
) -> io::Result<(Remote, Option<io::Error>)> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
    let orders = Arc::new(ArrayQueue::new(config.max_streams.saturating_mul(2)));
    let returned = Arc::new(ArrayQueue::new(config.max_streams.saturating_mul(2)));
    let counters = Arc::new(Counters::default());
    let (io, streams) = (config.io, config.max_streams);
    let ends = (orders.clone(), returned.clone(), events.clone(), counters.clone());
    let (pin, real_time, stop) = (config.pin, config.real_time, stop.clone());
    let (told, rank) = crossbeam_channel::bounded(1);
    let thread = std::thread::Builder::new().name(format!("media-{index}")).spawn(move || {
        if pin {
            // Without the right to pin, the scheduler decides; media works all the same.
            let _ = crate::pin::pin_to_core(index);
        }
        let usual = if real_time { crate::pin::take_real_time().err() } else { None };
        if !real_time || usual.is_some() {
            // An older system knows no such wish.
            let _ = crate::pin::take_short_turns();
        }
        // Who starts the worker waits for this word.
        let _ = told.send(usual);
        let net = Net::new(poll, io, streams);
        Worker::new((net, started), ends, streams).run(&stop);
    })?;
    let usual = rank.recv().ok().flatten();
    let thread = Some(thread);
    Ok((Remote { orders, returned, waker, queued: false, counters, thread }, usual))
}
