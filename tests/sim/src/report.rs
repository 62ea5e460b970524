//! What a run came to.

use std::fmt::Write as _;
use std::time::Duration;

use koukan_switch::Room;

/// What was held at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Virtual time.
    pub at: Duration,
    /// Resident memory of the process, in kB.
    pub rss_kb: u64,
    /// Entries of the switch's tables and the room that these take.
    pub room: Room,
    /// Calls that were up or on their way.
    pub calls: usize,
    /// It was taken in a rest.
    pub rest: bool,
}

/// The account of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Virtual time that has passed.
    pub length: Duration,
    /// Calls, each with its one final record.
    pub calls: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Legs of all calls.
    pub legs: u64,
    /// Seconds of all talks.
    pub talked_s: u64,
    /// Calls at once.
    pub most_calls: usize,
    /// Streams at once.
    pub most_streams: usize,
    /// Messages that were sent.
    pub messages: u64,
    /// Those that the network lost.
    pub lost: u64,
    /// Steps of the clock.
    pub steps: u64,
    /// The same for every run of the seed.
    pub fingerprint: u64,
    /// What was held, over time.
    pub samples: Vec<Sample>,
    /// What happened how often.
    pub events: Vec<(&'static str, u64)>,
}

impl Report {
    /// How often something happened.
    #[must_use]
    pub fn count(&self, what: &str) -> u64 {
        self.events.iter().find(|(name, _)| *name == what).map_or(0, |(_, count)| *count)
    }

    /// The account for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let hours = self.length.as_secs_f64() / 3600.0;
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "seed {}: {hours:.2} virtual hours, {} calls ({} answered, {} legs, {} s of talk, at \
             most {} at once, {} streams), {} messages ({} lost), {} steps, fingerprint {:016x}",
            self.seed,
            self.calls,
            self.answered,
            self.legs,
            self.talked_s,
            self.most_calls,
            self.most_streams,
            self.messages,
            self.lost,
            self.steps,
            self.fingerprint,
        );
        for sample in &self.samples {
            let _ = writeln!(
                text,
                "  {:>5.2} h{} RSS {} kB, {} calls, tables: {} entries in room for {}",
                sample.at.as_secs_f64() / 3600.0,
                if sample.rest { " (rest)" } else { "" },
                sample.rss_kb,
                sample.calls,
                sample.room.entries,
                sample.room.capacity,
            );
        }
        let events = self.events.iter().map(|(what, count)| format!("{what} {count}"));
        let _ = writeln!(text, "  {}", events.collect::<Vec<String>>().join(", "));
        text
    }
}
