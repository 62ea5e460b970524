//! What happens in a call that is up: hold, digits, new descriptions, transfers, its end.

use std::time::Duration;

use koukan_base::Time;
use koukan_sip::sdp::Direction;
use koukan_sip::{Body, ClientTx, DialogId, Message, Method, Response, ServerTx};

use super::sdp::Voice;
use super::{Output, Station, Task};
use crate::offices::EXCHANGE;

/// A call that is up.
#[derive(Debug)]
pub(crate) struct Talk {
    voice: Voice,
    /// A re-INVITE of ours, and whether it asked for the peer's offer.
    offering: Option<(ClientTx, bool)>,
}

/// One thing that is done in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    HangUp,
    Hold,
    Resume,
    Digit,
    InfoDigit,
    Update,
    AskOffer,
    BlindTransfer,
    Consult,
    /// The call is put through to this one.
    PutThrough(DialogId),
}

const MOVES: [(u32, Move); 8] = [
    (250, Move::HangUp),
    (180, Move::Hold),
    (90, Move::Digit),
    (50, Move::InfoDigit),
    (60, Move::Update),
    (40, Move::AskOffer),
    (90, Move::BlindTransfer),
    (240, Move::Consult),
];

impl Station {
    pub(super) fn begin_talk(
        &mut self,
        now: Time,
        dialog: DialogId,
        voice: Voice,
        for_call: Option<DialogId>,
    ) {
        self.talks.insert(dialog, Talk { voice, offering: None });
        let mean = match self.dice.below(100) {
            // Long enough for every kind of session refresh.
            0..=3 => Duration::from_secs(3600),
            4..=11 => Duration::from_secs(400),
            _ => Duration::from_secs(60),
        };
        let end = self.dice.about(mean);
        self.agenda.add(now + end, Task::Talk(dialog, Move::HangUp));
        if let Some(first) = for_call {
            let soon = now + self.dice.ms(500, 8_000);
            self.agenda.add(soon, Task::Talk(first, Move::PutThrough(dialog)));
            return;
        }
        for _ in 0..self.dice.below(3) {
            let step = self.dice.weighted(&MOVES).unwrap_or(Move::HangUp);
            let at = now + self.dice.about(mean / 2);
            // Transfers are the business of phones.
            let phones = matches!(step, Move::BlindTransfer | Move::Consult);
            if !phones || self.line.is_phone() || self.dice.chance(50) {
                self.agenda.add(at, Task::Talk(dialog, step));
            }
        }
    }

    /// The call is over, here or at the other end.
    pub(super) fn talk_over(&mut self, dialog: DialogId) {
        let gone = self.talks.remove(&dialog);
        self.output.extend(gone.map(|talk| Output::Silence(talk.voice.address)));
    }

    pub(super) fn hang_up(&mut self, now: Time, dialog: DialogId) {
        self.talk_over(dialog);
        self.ua.bye(now, dialog, None);
    }

    pub(super) fn talk_step(&mut self, now: Time, dialog: DialogId, step: Move) {
        if !self.talks.contains_key(&dialog) {
            return;
        }
        match step {
            Move::HangUp => self.hang_up(now, dialog),
            Move::Hold => {
                self.tally.count("held");
                let inactive = self.dice.chance(200);
                let direction = if inactive { Direction::Inactive } else { Direction::SendOnly };
                self.offer(now, dialog, direction);
                let back = now + self.dice.ms(1_000, 90_000);
                self.agenda.add(back, Task::Talk(dialog, Move::Resume));
            }
            Move::Resume => self.offer(now, dialog, Direction::SendRecv),
            Move::Digit => {
                let address = self.talks.get(&dialog).map(|talk| talk.voice.address);
                let digit = self.dice.pick(b"0123456789*#").copied().unwrap_or(b'5');
                self.output.extend(address.map(|address| Output::Press(address, digit)));
            }
            Move::InfoDigit => {
                let bytes = b"Signal=5\r\nDuration=160\r\n".to_vec();
                let body = Body { content_type: "application/dtmf-relay", bytes };
                self.ua.request_in_dialog(now, dialog, Method::Info, Vec::new(), Some(body));
            }
            Move::Update => self.update(now, dialog),
            Move::AskOffer => {
                if self.ua.may_offer(dialog) {
                    let tx =
                        self.ua.request_in_dialog(now, dialog, Method::Invite, Vec::new(), None);
                    self.note_offer(dialog, tx, true);
                }
            }
            Move::BlindTransfer => {
                let number = self.book.dialled(self.line.office, &mut self.dice);
                self.refer(now, dialog, &format!("<sip:{number}@{EXCHANGE}>"), "blind transfers");
            }
            Move::Consult => {
                let number = self.book.dialled(self.line.office, &mut self.dice);
                self.call(now, &number, Some(dialog), Vec::new());
                if self.dice.chance(200) {
                    let soon = now + self.dice.ms(500, 6_000);
                    self.agenda.add(soon, Task::Talk(dialog, Move::PutThrough(dialog)));
                }
            }
            Move::PutThrough(into) => self.put_through(now, dialog, into),
        }
    }

    /// To the consultation call, or, when that still rings, to its early dialog.
    fn put_through(&mut self, now: Time, dialog: DialogId, into: DialogId) {
        let early = self.dialing.values().find(|dialing| dialing.for_call == Some(dialog));
        let target =
            if into == dialog { early.and_then(|dialing| dialing.early) } else { Some(into) };
        let Some((call_id, own, theirs)) = target.and_then(|target| self.ua.identity(target))
        else {
            return;
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let value =
            format!("{}%3Bto-tag%3D{}%3Bfrom-tag%3D{}", text(call_id), text(theirs), text(own));
        let target = format!("<sip:801@{EXCHANGE}?Replaces={value}>");
        self.refer(now, dialog, &target, "attended transfers");
    }

    fn refer(&mut self, now: Time, dialog: DialogId, target: &str, what: &'static str) {
        self.tally.count(what);
        let mut headers = vec![("Refer-To", target.as_bytes().to_vec())];
        if self.dice.chance(200) {
            headers.push(("Refer-Sub", b"false".to_vec()));
        }
        self.ua.request_in_dialog(now, dialog, Method::Refer, headers, None);
    }

    fn update(&mut self, now: Time, dialog: DialogId) {
        let with_offer = self.dice.chance(500) && self.ua.may_offer(dialog);
        let Some(talk) = self.talks.get_mut(&dialog) else { return };
        let body = with_offer.then(|| talk.voice.offer());
        self.ua.request_in_dialog(now, dialog, Method::Update, Vec::new(), body);
    }

    fn offer(&mut self, now: Time, dialog: DialogId, direction: Direction) {
        if !self.ua.may_offer(dialog) {
            return;
        }
        let Some(talk) = self.talks.get_mut(&dialog) else { return };
        talk.voice.direction = direction;
        let body = Some(talk.voice.offer());
        let tx = self.ua.request_in_dialog(now, dialog, Method::Invite, Vec::new(), body);
        self.note_offer(dialog, tx, false);
    }

    fn note_offer(&mut self, dialog: DialogId, tx: Option<ClientTx>, asked: bool) {
        if let Some(talk) = self.talks.get_mut(&dialog) {
            talk.offering = tx.map(|tx| (tx, asked));
        }
    }

    /// The last description once more: a refresh of the session, or after glare.
    pub(super) fn repeat_description(&mut self, now: Time, dialog: DialogId) {
        let Some(talk) = self.talks.get_mut(&dialog) else { return };
        self.tally.count("refreshed by re-INVITE");
        let body = Some(talk.voice.repeat());
        let tx = self.ua.request_in_dialog(now, dialog, Method::Invite, Vec::new(), body);
        self.note_offer(dialog, tx, false);
    }

    /// 2xx to a re-INVITE, or of a fork that nobody waits for.
    pub(super) fn answered_again(
        &mut self,
        now: Time,
        tx: ClientTx,
        dialog: DialogId,
        message: &Message,
    ) {
        let Some(talk) = self.talks.get_mut(&dialog) else {
            self.ua.ack(now, dialog, None);
            self.ua.bye(now, dialog, None);
            return;
        };
        let asked =
            talk.offering.take_if(|(known, _)| *known == tx).is_some_and(|(_, asked)| asked);
        let body = if asked { talk.voice.describe(message) } else { None };
        self.ua.ack(now, dialog, body);
    }

    pub(super) fn offer_failed(&mut self, now: Time, tx: ClientTx, status: u16) {
        let found = self.talks.iter_mut().find_map(|(dialog, talk)| {
            talk.offering.take_if(|(known, _)| *known == tx).map(|_| *dialog)
        });
        // RFC 3261, 12.2.1.2: the peer does not know the call any more.
        if let Some(dialog) = found.filter(|_| matches!(status, 408 | 481)) {
            self.tally.count("calls found missing");
            self.hang_up(now, dialog);
        }
    }

    pub(super) fn in_dialog(
        &mut self,
        now: Time,
        tx: ServerTx,
        dialog: DialogId,
        message: &Message,
    ) {
        match message.method() {
            Some(Method::Invite | Method::Update) => {
                self.new_description(now, tx, dialog, message);
            }
            _ => self.ua.respond(now, tx, Response::new(200)),
        }
    }

    /// An offer of the exchange, or a question for ours.
    pub(super) fn new_description(
        &mut self,
        now: Time,
        tx: ServerTx,
        dialog: DialogId,
        message: &Message,
    ) {
        let invite = message.method() == Some(Method::Invite);
        if invite && self.dice.chance(30) {
            self.ua.respond(now, tx, Response::new(491));
            return;
        }
        let Some(talk) = self.talks.get_mut(&dialog) else {
            // Early: no more than a new target or a refreshed session.
            self.ua.respond(now, tx, Response::new(if invite { 481 } else { 200 }));
            return;
        };
        let wanted = invite || message.sdp().is_some();
        let body = if wanted { talk.voice.describe(message) } else { None };
        let status = if wanted && body.is_none() { 488 } else { 200 };
        self.ua.respond(now, tx, Response { body, ..Response::new(status) });
    }
}
