//! Calls that come to a station, and what becomes of them.

use koukan_base::Time;
use koukan_sip::{Body, DialogId, Message, Response, ServerTx};

use super::sdp::Voice;
use super::{Mood, Output, Station, Task};

/// An INVITE that waits for our final response.
#[derive(Debug)]
pub(crate) struct Ringing {
    dialog: DialogId,
    message: Message,
    voice: Voice,
    /// Our description has gone out in a provisional response.
    described: Option<Body>,
    rubbish: bool,
}

/// What is done with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    Answers,
    AnswersAtOnce,
    /// 183 with a description, then an answer.
    Early,
    /// The same, reliably.
    EarlyReliably,
    Refuses(u16),
    RefusesLater(u16),
    NobodyThere,
    Silent,
    Redirects,
    Rubbish,
}

const PHONE: [(u32, Reaction); 14] = [
    (550, Reaction::Answers),
    (40, Reaction::AnswersAtOnce),
    (20, Reaction::Early),
    (30, Reaction::EarlyReliably),
    (80, Reaction::Refuses(486)),
    (10, Reaction::Refuses(500)),
    (10, Reaction::Refuses(488)),
    (30, Reaction::RefusesLater(603)),
    (20, Reaction::RefusesLater(480)),
    (120, Reaction::NobodyThere),
    (30, Reaction::Silent),
    (40, Reaction::Redirects),
    (10, Reaction::Rubbish),
    (10, Reaction::Refuses(404)),
];

const CARRIER: [(u32, Reaction); 11] = [
    (300, Reaction::Early),
    (300, Reaction::EarlyReliably),
    (130, Reaction::Answers),
    (60, Reaction::Refuses(486)),
    (50, Reaction::Refuses(404)),
    (50, Reaction::Refuses(503)),
    (20, Reaction::Refuses(500)),
    (20, Reaction::RefusesLater(480)),
    (40, Reaction::NobodyThere),
    (20, Reaction::Silent),
    (10, Reaction::Rubbish),
];

impl Station {
    pub(super) fn called(&mut self, now: Time, tx: ServerTx, dialog: DialogId, message: Message) {
        self.tally.count("calls taken");
        if self.mood != Mood::Busy {
            self.ua.respond(now, tx, Response::new(480));
            return;
        }
        let table: &[(u32, Reaction)] = if self.line.is_phone() { &PHONE } else { &CARRIER };
        let reaction = self.dice.weighted(table).unwrap_or(Reaction::NobodyThere);
        let voice = self.voice();
        let rubbish = reaction == Reaction::Rubbish;
        self.ringing.insert(tx, Ringing { dialog, message, voice, described: None, rubbish });
        let soon = now + self.dice.ms(200, 15_000);
        match reaction {
            Reaction::Answers => {
                self.ua.respond(now, tx, Response::new(180));
                self.agenda.add(soon, Task::Answer(tx));
            }
            Reaction::AnswersAtOnce | Reaction::Rubbish => self.answer(now, tx),
            Reaction::Early => self.early(now, tx, false),
            Reaction::EarlyReliably => self.early(now, tx, true),
            Reaction::Refuses(status) => self.refuse(now, tx, status),
            Reaction::RefusesLater(status) => {
                self.ua.respond(now, tx, Response::new(180));
                self.agenda.add(soon, Task::Refuse(tx, status));
            }
            Reaction::NobodyThere => self.ua.respond(now, tx, Response::new(180)),
            Reaction::Silent => {}
            Reaction::Redirects => self.redirect(now, tx),
        }
    }

    /// Ringing with a description, and an answer behind it.
    fn early(&mut self, now: Time, tx: ServerTx, reliable: bool) {
        let Some(ringing) = self.ringing.get_mut(&tx) else { return };
        let Some(body) = ringing.voice.describe(&ringing.message) else {
            self.refuse(now, tx, 488);
            return;
        };
        ringing.described = Some(body.clone());
        let response = Response { body: Some(body), reliable, ..Response::new(183) };
        self.ua.respond(now, tx, response);
        let later = now + self.dice.ms(500, 20_000);
        self.agenda.add(later, Task::Answer(tx));
    }

    fn redirect(&mut self, now: Time, tx: ServerTx) {
        let office = self.book.offices.get(self.line.office);
        let user = office.and_then(|office| self.dice.pick(&office.users)).cloned();
        let contact = format!("<sip:{}@{}>", user.unwrap_or_default(), crate::offices::EXCHANGE);
        let headers = vec![("Contact", contact.into_bytes())];
        self.ringing_over(tx);
        self.ua.respond(now, tx, Response { headers, ..Response::new(302) });
    }

    pub(super) fn answer(&mut self, now: Time, tx: ServerTx) {
        let Some(mut ringing) = self.ringing.remove(&tx) else { return };
        let body = match (ringing.described.take(), ringing.rubbish) {
            (_, true) => Some(Body::sdp(b"v=0\r\nm=video 1 RTP/AVP 31\r\n".to_vec())),
            (Some(body), false) => Some(body),
            (None, false) => ringing.voice.describe(&ringing.message),
        };
        if body.is_none() {
            self.output.push(Output::Silence(ringing.voice.address));
            self.ua.respond(now, tx, Response::new(488));
            return;
        }
        self.tally.count("calls picked up");
        self.ua.respond(now, tx, Response { body, ..Response::new(200) });
        self.begin_talk(now, ringing.dialog, ringing.voice, None);
    }

    pub(super) fn refuse(&mut self, now: Time, tx: ServerTx, status: u16) {
        if self.ringing_over(tx) {
            self.ua.respond(now, tx, Response::new(status));
        }
    }

    pub(super) fn caller_gave_up(&mut self, tx: ServerTx) {
        self.ringing_over(tx);
    }

    fn ringing_over(&mut self, tx: ServerTx) -> bool {
        let gone = self.ringing.remove(&tx);
        let known = gone.is_some();
        self.output.extend(gone.map(|ringing| Output::Silence(ringing.voice.address)));
        known
    }
}
