//! A run: traffic, rests between, and the end.

use std::time::Duration;

use koukan_base::Time;

use crate::invariants::Violation;
use crate::memory::rss_kb;
use crate::report::{Report, Sample};
use crate::settings::Settings;
use crate::station::Mood;
use crate::tally::Tally;
use crate::world::World;

/// After so long in rest nothing may be left: a caller who vanished before its answer is waited for
/// longest, [`koukan_switch::limits::UNANSWERED_S`].
const REST: Duration = Duration::from_secs(1_200);
/// What a phone has forgotten it can give back no more: a subscription ends by its time.
const LEAVING: Duration = Duration::from_secs(3_700);
/// How often the costly invariants are looked at.
const LOOK: Duration = Duration::from_secs(20);
/// How often what is held is written down.
const SAMPLE: Duration = Duration::from_secs(3_600);

/// Runs the traffic.
///
/// # Errors
/// What did not hold, and when.
pub fn run(settings: Settings) -> Result<Report, Box<Violation>> {
    let failed = |words| Violation { at: Time::ZERO, words, trace: String::new() };
    let world = World::new(settings).map_err(failed)?;
    let mut run = Run { world, samples: Vec::new() };
    match run.all() {
        Ok(()) => Ok(run.report()),
        Err(words) => {
            let (at, trace) = (run.world.time, run.world.trace.text());
            Err(Box::new(Violation { at, words, trace }))
        }
    }
}

struct Run {
    world: World,
    samples: Vec<Sample>,
}

/// Who reads why a panic came wants to know how to have it again.
impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (seed, at) = (self.world.settings.seed, self.world.time);
            let trace = self.world.trace.text();
            eprintln!("{trace}seed {seed} panicked at {} s", at.as_millis() / 1000);
        }
    }
}

impl Run {
    fn all(&mut self) -> Result<(), String> {
        let start = self.world.time;
        let end = start + self.world.settings.length;
        while self.world.time < end {
            let until = (self.world.time + self.world.settings.rest_every).min(end);
            self.traffic(until)?;
            self.rest(until >= end)?;
        }
        Ok(())
    }

    fn traffic(&mut self, until: Time) -> Result<(), String> {
        self.world.restless = true;
        self.world.set_mood(Mood::Busy);
        self.world.drain();
        while self.world.time < until {
            self.world.set_share(share(self.world.date));
            self.until((self.world.time + SAMPLE).min(until))?;
            self.sample(false);
        }
        Ok(())
    }

    /// Everybody ends what there is; at the last rest everybody leaves.
    fn rest(&mut self, last: bool) -> Result<(), String> {
        self.world.restless = false;
        self.world.all_back();
        self.world.set_mood(Mood::Resting);
        self.world.drain();
        self.until(self.world.time + REST)?;
        self.world.check_rest()?;
        // What the driver does in quiet times.
        self.world.switch.shrink();
        self.sample(true);
        if last {
            self.world.set_mood(Mood::Leaving);
            self.world.drain();
            self.until(self.world.time + LEAVING)?;
            self.world.check_rest()?;
            self.world.check_end()?;
        }
        Ok(())
    }

    fn until(&mut self, until: Time) -> Result<(), String> {
        while self.world.time < until {
            let look = (self.world.time + LOOK).min(until);
            while let Some(next) = self.world.next().filter(|next| *next <= look) {
                self.world.step(next)?;
            }
            self.world.set_time(look);
            self.world.check_often()?;
        }
        Ok(())
    }

    fn sample(&mut self, rest: bool) {
        self.samples.push(Sample {
            at: self.world.time.since(Time::ZERO),
            rss_kb: rss_kb(),
            room: self.world.switch.room(),
            calls: self.world.switch.tables().calls,
            rest,
        });
    }

    fn report(&self) -> Report {
        let world = &self.world;
        let mut tally = Tally::default();
        tally.add(&world.tally);
        for station in &world.stations {
            tally.add(&station.tally);
        }
        Report {
            seed: world.settings.seed,
            length: world.time.since(Time::ZERO),
            calls: world.ledger.finals,
            answered: world.ledger.answered,
            legs: world.ledger.legs,
            talked_s: world.ledger.talked,
            most_calls: world.ledger.most,
            most_streams: world.media.most,
            messages: world.network.sent,
            lost: world.network.lost,
            steps: world.steps,
            fingerprint: world.fingerprint.value(),
            samples: self.samples.clone(),
            events: tally.iter().collect(),
        }
    }
}

/// How busy an office is at this hour, in percent.
fn share(date: jiff::Timestamp) -> u32 {
    let hour = date.to_zoned_datetime(jiff::tz::TimeZone::fixed(jiff::tz::offset(9))).hour();
    match hour {
        9..=11 | 13..=17 => 100,
        8 | 12 | 18 => 60,
        19..=22 => 30,
        _ => 10,
    }
}
