//! Ends that this server makes: of one fax that is not wanted any more, and of all.

use std::time::{Duration, Instant};

use koukan_fax::Cause;
use koukan_fax::protocol::{End, Order, SessionId};
use koukan_switch::{FaxId, FaxNews};

use super::Driver;

/// How long the processes have to end sessions.
const ENDING: Duration = Duration::from_secs(2);

impl Driver {
    /// A call is not wanted any more, nor whoever speaks in it: that ends first, so that nothing is
    /// said behind the BYE.
    pub(super) fn hang_up(&mut self, fax: FaxId, why: &str) {
        let session = SessionId(fax.0);
        match self.running.get_mut(&session) {
            Some(running) => {
                running.unwanted = Some((why.to_owned(), self.clock.time() + ENDING));
                let place = running.place;
                self.order(place, Order::Stop { session }, Vec::new());
            }
            None => self.tell(session, FaxNews::Over(why.to_owned())),
        }
    }

    /// Hangs up calls whose sessions have not ended in time: their process hangs.
    pub(super) fn hang_up_unheard(&mut self) {
        let now = self.clock.time();
        let mut late = Vec::new();
        for (session, running) in &mut self.running {
            if running.unwanted.as_ref().is_some_and(|(_, until)| *until <= now) {
                running.stopped = true;
                late.extend(running.unwanted.take().map(|(why, _)| (*session, why)));
            }
        }
        for (session, why) in late {
            self.tell(session, FaxNews::Over(why));
        }
    }

    /// The server ends: sessions are ended, so that their files are whole, and their pages kept.
    pub(super) fn end(&mut self) {
        for place in 0..self.places.len() {
            self.order(place, Order::Shutdown, Vec::new());
        }
        let until = Instant::now() + ENDING;
        for place in 0..self.places.len() {
            while let Some(process) =
                self.places.get_mut(place).and_then(|own| own.process.as_mut())
            {
                if process.has_ended() || Instant::now() >= until {
                    self.read(place);
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let left: Vec<SessionId> = self.running.keys().copied().collect();
        for session in left {
            let words = "the server has ended".to_owned();
            let end = End { code: u16::MAX, words, ..End::default() };
            self.over(session, Cause::Worker, &end);
        }
    }
}
