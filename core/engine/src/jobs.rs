//! The job thread of prompts: it reads what plays need, and plays and their ends take their way
//! through it, so that their order is kept.

use std::sync::Arc;

use crossbeam_channel::Receiver;
use crossbeam_queue::ArrayQueue;
use koukan_base::{BridgeId, OpId, StreamId};
use koukan_media::{Event, PlayEnd, Prompt};
use mio::Waker;

use crate::control::Events;
use crate::order::Order;
use crate::prompts::Library;
use crate::stream::Play;

/// What takes its way through the job thread.
pub(crate) struct Job {
    pub(crate) worker: usize,
    pub(crate) target: Target,
    pub(crate) op: OpId,
    pub(crate) what: Task,
}

/// Where it plays.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    Stream(StreamId),
    Room(BridgeId),
}

impl Target {
    /// The report of a play that cannot be.
    pub(crate) const fn failed(self, op: OpId) -> Event {
        let end = PlayEnd::Failed;
        match self {
            Self::Stream(stream) => Event::Played { stream, op, end },
            Self::Room(room) => Event::Announced { room, op, end },
        }
    }

    pub(crate) const fn stop(self, op: OpId) -> Order {
        match self {
            Self::Stream(stream) => Order::StopPlay(stream, op),
            Self::Room(room) => Order::StopAnnounce(room, op),
        }
    }
}

pub(crate) enum Task {
    /// A play whose prompts are to be read.
    Play { prompts: Arc<[Prompt]>, times: u32 },
    /// The end of one that may still be read.
    Stop,
}

/// The job thread: reads prompts and hands the plays on.
pub(crate) fn read_prompts(
    mut library: Library,
    jobs: &Receiver<Job>,
    targets: &[(Arc<ArrayQueue<Order>>, Arc<Waker>)],
    events: &Events,
) {
    while let Ok(job) = jobs.recv() {
        let Job { worker, target, op, what } = job;
        let Task::Play { prompts, times } = what else {
            if let Some((orders, waker)) = targets.get(worker) {
                // A full queue means that the worker has stopped, and its plays with it.
                let _ = orders.push(target.stop(op));
                let _ = waker.wake();
            }
            continue;
        };
        let clips = library.get(&prompts).filter(|clips| !clips.is_empty());
        let (Some(clips), Some((orders, waker))) = (clips, targets.get(worker)) else {
            events.push(target.failed(op));
            continue;
        };
        let rounds = (times > 0).then_some(times);
        let play = Play { op, clips, clip: 0, at: 0, rounds };
        let order = match target {
            Target::Stream(stream) => Order::Play(stream, play),
            Target::Room(room) => Order::Announce(room, play),
        };
        if orders.push(order).is_err() {
            events.push(target.failed(op));
        }
        let _ = waker.wake();
    }
}
