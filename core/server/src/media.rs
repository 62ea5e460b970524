//! The media workers as the control loop sees them.

use std::collections::VecDeque;
use std::sync::Arc;

use koukan_base::WorkerId;
use koukan_media::{Command, Event, OpenError, PlayEnd, StreamStats};
use mio::Waker;

use crate::config::Config;
use crate::metrics::MediaSnapshot;

/// The media workers cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {}

/// The media workers.
#[derive(Debug)]
pub struct Media {
    answers: VecDeque<Event>,
}

impl Media {
    /// Starts the workers.
    ///
    /// # Errors
    /// A thread or a prompt directory is missing.
    pub fn start(_config: &Config, _waker: Arc<Waker>) -> Result<Self, MediaError> {
        Ok(Self { answers: VecDeque::new() })
    }

    /// How many there are.
    #[must_use]
    pub fn workers(&self) -> u16 {
        1
    }

    /// Gives a worker an order.
    pub fn send(&mut self, _worker: WorkerId, command: Command) {
        match command {
            Command::Open { stream, .. } => {
                let error = OpenError::Full;
                self.answers.push_back(Event::OpenFailed { stream, error });
            }
            Command::Play { stream, op, .. } => {
                self.answers.push_back(Event::Played { stream, op, end: PlayEnd::Failed });
            }
            Command::Close { stream } => {
                let stats = StreamStats::default();
                self.answers.push_back(Event::Closed { stream, stats });
            }
            Command::Configure { .. } | Command::Feed { .. } | Command::StopPlay { .. } => {}
        }
    }

    /// The next report.
    pub fn try_recv(&mut self) -> Option<Event> {
        self.answers.pop_front()
    }

    /// What the workers have counted.
    #[must_use]
    pub fn measure(&self) -> MediaSnapshot {
        MediaSnapshot::default()
    }
}
