//! One fax, pure: datagrams of its sockets and ticks of 20 ms in, datagrams and events out. The
//! clock is handed in, so that an hour of fax runs in seconds in tests, and with loss of a seed
//! (T.30 over G.711, T.38 terminal, T.38 gateway).

mod engine;
mod relay;
mod rtp;
mod udptl;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use koukan_base::Time;
use koukan_fax::protocol::{End, Event, Media, Page, Task};

pub use engine::SessionError;
pub use rtp::RtpLine;
pub use udptl::UdptlLine;

use crate::spandsp::{Machine, Seen, Totals, words};
use engine::Engine;

/// Samples of a tick.
pub const TICK_SAMPLES: usize = 160;

/// The time of a tick.
pub const TICK: Duration = Duration::from_millis(20);

/// A far end that is not heard for so long has vanished. T.30's own timers (T1 is 35 s, T5 60 s)
/// end a fax sooner while packets come.
pub const SILENCE: Duration = Duration::from_secs(70);

/// How long the confirmation of the last page that is taken has to get out: a preamble of a second
/// and a frame of three octets at 300 bit/s, through a jitter buffer.
pub const PAGE_LIMIT_GRACE: Duration = Duration::from_millis(2_500);

/// spandsp's code for a call that was cut.
const CALL_DROPPED: i32 = 49;

/// Which of a session's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Line {
    /// The one of RTP.
    Audio,
    /// The one of UDPTL.
    T38,
    /// The other one of UDPTL, where both sides speak that.
    Far,
}

/// One fax.
#[derive(Debug)]
pub struct Session {
    engine: Engine,
    max_pages: u32,
    pages: u32,
    /// When the call is cut because no more pages are taken.
    cut_at: Option<Time>,
    heard: Time,
    rate: (u32, bool),
    ident: Option<String>,
    events: Vec<Event>,
    storing: Storing,
    over: bool,
}

/// A page that came goes to the disk before it is confirmed.
#[derive(Debug, Default)]
struct Storing {
    /// The page that waits, since when.
    since: Option<Time>,
    /// Nobody was told of it yet.
    untold: bool,
    /// Pages of the file that are safe.
    pages: u32,
    /// How long the newest took, in microseconds.
    took_us: u32,
    /// The disk did not take one.
    failed: bool,
}

impl Session {
    /// A fax that is about to begin; `directory` is the one that its file must lie in.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn new(
        now: Time,
        task: &Task,
        media: Media,
        directory: &Path,
    ) -> Result<Self, SessionError> {
        let max_pages = match task {
            Task::Receive { max_pages, .. } => *max_pages,
            Task::Send { .. } | Task::Gateway { .. } => u32::MAX,
        };
        Ok(Self {
            engine: Engine::new(task, media, directory)?,
            max_pages,
            pages: 0,
            cut_at: None,
            heard: now,
            rate: (0, false),
            ident: None,
            events: Vec::new(),
            storing: Storing::default(),
            over: false,
        })
    }

    /// A datagram came at one of its sockets.
    pub fn receive(&mut self, now: Time, line: Line, from: SocketAddr, datagram: &[u8]) {
        if self.engine.receive(now, line, from, datagram) {
            self.heard = now;
        }
    }

    /// 20 ms have passed. What is to be sent is given to `send`.
    pub fn tick(&mut self, now: Time, mut send: impl FnMut(Line, SocketAddr, &[u8])) {
        if self.over {
            return;
        }
        let (mut sent, relays) = (false, self.engine.relays());
        self.engine.tick(now, &mut |line, to, datagram: &[u8]| {
            // What a relay sends is what has come.
            sent |= line == Line::T38 && !relays;
            send(line, to, datagram);
        });
        if sent {
            // While a T.38 terminal sends a page the other one is silent, however long it takes.
            self.heard = now;
        }
        self.observe(now);
        let vanished = now.since(self.heard) >= SILENCE;
        let confirmed = self.storing.since.is_none();
        if self.cut_at.is_some_and(|at| at <= now && confirmed) || vanished {
            self.stop(now);
        }
    }

    /// The call is over: what came is kept, and the end is the last event.
    pub fn stop(&mut self, now: Time) {
        if self.over {
            return;
        }
        match self.engine.machine() {
            Some(machine) => machine.terminate(),
            // A gateway has no end of its own; the two machines know theirs.
            None => self.end(0, self.engine.totals()),
        }
        self.observe(now);
        if !self.over {
            self.end(CALL_DROPPED, self.engine.totals());
        }
    }

    /// A page has come whose file is to be synced now, told once: how many pages the file must have
    /// then. [`Self::stored`] is to be called when that is done, and the page is confirmed then.
    pub fn take_store(&mut self) -> Option<u32> {
        std::mem::take(&mut self.storing.untold).then(|| self.engine.totals().pages)
    }

    /// The page that waits is on the disk, or cannot be: then it is confirmed to nobody, and the
    /// fax ends.
    pub fn stored(&mut self, now: Time, safe: bool) {
        let Some(since) = self.storing.since.take() else { return };
        if !safe {
            self.storing.failed = true;
            return self.stop(now);
        }
        let took_us = u32::try_from(now.since(since).as_micros()).unwrap_or(u32::MAX);
        (self.storing.pages, self.storing.took_us) = (self.engine.totals().pages, took_us);
        if let Some(machine) = self.engine.machine() {
            machine.release();
        }
        // The last page that is taken is confirmed from now on.
        self.cut_at = self.cut_at.map(|_| now + PAGE_LIMIT_GRACE);
        self.observe(now);
    }

    /// What has happened since the last time.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Pages that were confirmed so far.
    #[must_use]
    pub const fn confirmed(&self) -> u32 {
        self.pages
    }

    /// Whether the end has been reported.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// Turns what the engine saw and counts into events.
    fn observe(&mut self, now: Time) {
        let totals = self.engine.totals();
        let mut ended = None;
        for seen in self.engine.take_seen() {
            match seen {
                Seen::Negotiated => self.negotiated(totals),
                Seen::Retrain => self.events.push(Event::Retrain),
                Seen::Refused(kind) => self.events.push(Event::RefusedFrame { kind }),
                Seen::ConfirmedWithMore => {
                    if totals.pages >= self.max_pages {
                        self.cut_at.get_or_insert(now + PAGE_LIMIT_GRACE);
                    }
                }
                Seen::Over(code) => ended = Some(code),
            }
        }
        let held = self.engine.machine().is_some_and(|machine| machine.is_held());
        if held && self.storing.since.is_none() && !self.storing.failed && !self.over {
            self.storing.since = Some(now);
            // One that was confirmed without a page in the file would be lost.
            self.storing.untold = totals.pages > self.storing.pages;
            if !self.storing.untold {
                return self.stored(now, false);
            }
        }
        if held {
            if let Some(code) = ended {
                self.end(code, totals);
            }
            return;
        }
        self.storing.pages = totals.pages;
        if self.pages < totals.pages {
            // A gateway is not told what was agreed on; by the first page it has heard it.
            self.negotiated(totals);
        }
        while self.pages < totals.pages.min(self.max_pages) {
            self.pages += 1;
            self.events.push(Event::Page(Page {
                number: self.pages,
                width: totals.width,
                length: totals.length,
                bytes: totals.bytes,
                bad_rows: totals.bad_rows,
                stored_us: self.storing.took_us,
            }));
        }
        if let Some(code) = ended {
            self.end(code, totals);
        }
    }

    fn negotiated(&mut self, totals: Totals) {
        let ident = self.engine.machine().and_then(|machine| Machine::remote_ident(machine));
        if let Some(ident) = ident.filter(|ident| Some(ident) != self.ident.as_ref()) {
            self.ident = Some(ident.clone());
            self.events.push(Event::Remote { ident });
        }
        let rate = (totals.bit_rate, totals.ecm);
        if rate.0 != 0 && rate != self.rate {
            self.rate = rate;
            self.events.push(Event::Rate { bit_rate: rate.0, ecm: rate.1 });
        }
    }

    fn end(&mut self, code: i32, totals: Totals) {
        if self.over {
            return;
        }
        self.over = true;
        self.events.push(Event::End(End {
            code: u16::try_from(code).unwrap_or(u16::MAX),
            words: words(code),
            confirmed: self.pages,
            bit_rate: totals.bit_rate,
            ecm: totals.ecm,
            ecm_retries: totals.ecm_retries,
            page_limit: self.cut_at.is_some(),
            unstored: self.storing.failed,
        }));
    }
}
