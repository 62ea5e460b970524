//! Recordings of calls that somebody else writes down: what the server gives a module's tap. The
//! worker's side is that of any recording; here stands the other end of its ring.

use std::io;
use std::sync::Arc;

use koukan_base::{OpId, StreamId};
use koukan_media::{Event, RecordEnd, RecordFormat, RecordReport, RecordedCall, Recording};

use super::file::SoundFile;
use super::ring::{Block, Ring};
use super::writer::Session;
use crate::control::Events;

/// Who takes down recordings that are of a call.
pub trait Taps: Send + Sync {
    /// Takes a recording that begins. On the thread that gives the engine its commands: it must not
    /// block.
    ///
    /// # Errors
    /// Nobody is there to take it; the order ends as [`RecordEnd::Unserved`].
    fn take(&self, tapped: Tapped) -> Result<(), Tapped>;
}

/// A recording under way, of which sound comes by its ring and one report is owed. Dropping it
/// without one ends it as [`RecordEnd::Unserved`].
pub struct Tapped {
    session: Session,
    call: Arc<RecordedCall>,
    events: Arc<Events>,
    is_reported: bool,
}

/// Sound of a recording: so much silence, then these samples.
#[derive(Debug)]
pub struct Stretch(Block);

impl Stretch {
    /// So many samples of each channel were dropped before these: they stand as silence.
    #[must_use]
    pub const fn gap(&self) -> u64 {
        self.0.gap
    }

    /// The samples, those of the channels beside each other.
    #[must_use]
    pub fn samples(&self) -> &[i16] {
        self.0.samples.get(..self.0.filled).unwrap_or_default()
    }
}

impl std::fmt::Debug for Tapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tapped").field("call", &self.call).finish_non_exhaustive()
    }
}

impl Tapped {
    pub(crate) const fn new(
        session: Session,
        call: Arc<RecordedCall>,
        events: Arc<Events>,
    ) -> Self {
        Self { session, call, events, is_reported: false }
    }

    /// What is recorded.
    #[must_use]
    pub fn call(&self) -> &Arc<RecordedCall> {
        &self.call
    }

    /// Samples a second, of each channel.
    #[must_use]
    pub const fn sample_rate(&self) -> u32 {
        self.session.format.sample_rate()
    }

    /// How many channels there are.
    #[must_use]
    pub const fn channels(&self) -> u16 {
        self.session.channels
    }

    /// How it ended; asked before [`Self::take`], nothing follows what that gives. It never blocks.
    #[must_use]
    pub fn end(&self) -> Option<RecordEnd> {
        self.session.ring.end()
    }

    /// The next sound that waits, to be [given back](Self::give_back); four seconds wait at most.
    #[must_use]
    pub fn take(&self) -> Option<Stretch> {
        self.session.ring.take().map(Stretch)
    }

    /// Room for more.
    pub fn give_back(&self, stretch: Stretch) {
        self.session.ring.give_back(stretch.0.samples);
    }

    /// Samples of each channel that found no room so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.session.ring.dropped()
    }

    /// Nothing more is taken of it: it ends.
    pub fn fail(&self) {
        self.session.ring.fail();
    }

    /// Begins its file; sealed where the order says so.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn file(&self, format: RecordFormat) -> io::Result<SoundFile> {
        let Session { path, channels, seal, .. } = &self.session;
        SoundFile::create(Arc::clone(path), format, *channels, seal.as_ref())
    }

    /// It has ended, with so many samples of each channel in its file.
    pub fn report(mut self, end: RecordEnd, samples: u64) {
        self.tell(end, samples);
    }

    /// It has not begun: whoever ordered it is told otherwise.
    pub(crate) fn forget(mut self) {
        self.is_reported = true;
    }

    fn tell(&mut self, end: RecordEnd, samples: u64) {
        if std::mem::replace(&mut self.is_reported, true) {
            return;
        }
        let Session { stream, op, .. } = self.session;
        let (dropped, sample_rate) = (self.dropped(), self.sample_rate());
        let report = RecordReport { end, samples, dropped, sample_rate };
        self.events.push(Event::Recorded { stream, op, report });
    }
}

/// A recording without a stream: the worker's side of a [`Tapped`], for whoever tries a tap with
/// sound of its own.
pub struct Feed {
    ring: Arc<Ring>,
    events: Arc<Events>,
    channels: u64,
    gap: u64,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("gap", &self.gap).finish_non_exhaustive()
    }
}

impl Feed {
    /// Begins an order that is of a call, unsealed.
    #[must_use]
    pub fn begin(order: &Recording) -> (Self, Tapped) {
        let (sample_rate, channels) = (order.format.sample_rate(), order.what.channels());
        let ring = Arc::new(Ring::new(sample_rate, channels));
        let events = Arc::new(Events::alone());
        let session = Session {
            stream: StreamId(0),
            op: OpId(0),
            path: Arc::clone(&order.path),
            format: order.format,
            channels,
            seal: None,
            ring: Arc::clone(&ring),
        };
        let call = order.call.clone().unwrap_or_default();
        let tapped = Tapped::new(session, call, Arc::clone(&events));
        (Self { ring, events, channels: u64::from(channels), gap: 0 }, tapped)
    }

    /// At most half a second of sound, the samples of the channels beside each other. Without room
    /// for it, it is dropped and counted, as a worker does it; whether there was.
    pub fn give(&mut self, sound: &[i16]) -> bool {
        let Some(mut samples) = self.ring.room() else {
            let count = u64::try_from(sound.len()).unwrap_or(0) / self.channels.max(1);
            self.gap = self.gap.saturating_add(count);
            self.ring.note_dropped(count);
            return false;
        };
        let filled = sound.len().min(samples.len());
        for (to, from) in samples.iter_mut().zip(sound) {
            *to = *from;
        }
        self.ring.give(Block { samples, filled, gap: std::mem::take(&mut self.gap) });
        true
    }

    /// Whether whoever takes it has ended it.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.ring.has_failed()
    }

    /// Nothing follows.
    pub fn finish(&self, end: RecordEnd) {
        self.ring.finish(end);
    }

    /// What became of it, once.
    #[must_use]
    pub fn report(&self) -> Option<RecordReport> {
        match self.events.take()? {
            Event::Recorded { report, .. } => Some(report),
            _ => None,
        }
    }
}

impl Drop for Tapped {
    fn drop(&mut self) {
        self.fail();
        self.tell(RecordEnd::Unserved, 0);
    }
}
