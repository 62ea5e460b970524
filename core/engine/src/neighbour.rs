//! The way between two parts of a room on two workers: what each says once a frame goes there in
//! boxes that go round, over queues with one writer and one reader, without a lock or an
//! allocation. A part that does not read is told nothing more until it does.

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;
use koukan_media::mixer::{Distant, Mixer, Share};

use crate::voice::WIDE_FRAME;

/// Boxes that go round one way: the frame that is heard, those that wait, the one being filled.
const BOXES: usize = 4;

/// One way.
#[derive(Debug)]
struct Way {
    full: ArrayQueue<Box<Share>>,
    empty: ArrayQueue<Box<Share>>,
}

impl Way {
    fn new() -> Arc<Self> {
        // One more is where it is heard.
        let way = Self { full: ArrayQueue::new(BOXES + 1), empty: ArrayQueue::new(BOXES + 1) };
        for _ in 0..BOXES {
            drop(way.empty.push(silent()));
        }
        Arc::new(way)
    }
}

fn silent() -> Box<Share> {
    Box::new(Share::new(WIDE_FRAME))
}

/// What a part knows of another one.
#[derive(Debug)]
pub(crate) struct Neighbour {
    to: Arc<Way>,
    from: Arc<Way>,
    distant: Distant,
}

impl Neighbour {
    /// The two ends of a way there and back.
    pub(crate) fn pair() -> (Self, Self) {
        let (there, back) = (Way::new(), Way::new());
        let one = Self { to: there.clone(), from: back.clone(), distant: Distant::new(silent()) };
        (one, Self { to: back, from: there, distant: Distant::new(silent()) })
    }
}

/// The neighbours of a part.
#[derive(Debug)]
pub(crate) struct Neighbours {
    ways: Vec<(Arc<Way>, Arc<Way>)>,
    distant: Vec<Distant>,
}

impl Neighbours {
    /// None, with room for so many.
    pub(crate) fn new(most: usize) -> Self {
        Self { ways: Vec::with_capacity(most), distant: Vec::with_capacity(most) }
    }

    /// One more, unless there are as many as there may be.
    pub(crate) fn add(&mut self, neighbour: Neighbour) -> Result<(), Neighbour> {
        if self.ways.len() == self.ways.capacity() {
            return Err(neighbour);
        }
        self.ways.push((neighbour.to, neighbour.from));
        self.distant.push(neighbour.distant);
        Ok(())
    }

    /// What they say.
    pub(crate) fn distant(&self) -> &[Distant] {
        &self.distant
    }

    /// Our frame of this number begins.
    pub(crate) fn hear(&mut self, number: u64) {
        for ((_, from), distant) in self.ways.iter().zip(&mut self.distant) {
            // There is a place for every box that goes round.
            let back = |share| drop(from.empty.push(share));
            distant.turn(number, || from.full.pop(), back);
        }
    }

    /// Tells them what is said in our frame of this number.
    pub(crate) fn tell(&self, number: u64, mixer: &Mixer) {
        for (to, _) in &self.ways {
            if let Some(mut share) = to.empty.pop() {
                mixer.share(number, &mut share);
                drop(to.full.push(share));
            }
        }
    }
}
