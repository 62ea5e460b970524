//! Calls that a station makes.

use koukan_base::Time;
use koukan_sip::header::Uri;
use koukan_sip::{ClientTx, Credentials, DialogId, ExtraHeaders, Message, Method, Request};

use super::sdp::Voice;
use super::{Mood, Role, Station, Task};
use crate::offices::{self, PASSWORD};

/// An INVITE that has no final response.
#[derive(Debug)]
pub(crate) struct Dialing {
    voice: Voice,
    /// It had no offer.
    late: bool,
    /// The exchange's offer was answered in a PRACK.
    offered_early: bool,
    /// The call that its answer is for (a consultation before a transfer).
    pub(crate) for_call: Option<DialogId>,
    /// The early dialog.
    pub(crate) early: Option<DialogId>,
}

impl Station {
    /// A phone calls.
    pub(super) fn call(
        &mut self,
        now: Time,
        number: &str,
        for_call: Option<DialogId>,
        headers: ExtraHeaders,
    ) {
        let Role::Phone { user } = &self.line.role else { return };
        let host = offices::EXCHANGE;
        let from = format!("\"{user}\" <sip:{user}@{host}>").into_bytes();
        let wrong = self.dice.chance(10);
        let password = if wrong { "forgotten" } else { PASSWORD };
        let credentials =
            Some(Credentials { username: user.clone(), password: password.to_owned() });
        let mut request = self.request(Method::Invite, &format!("sip:{number}@{host}"), from);
        request.credentials = credentials;
        request.headers = headers;
        if self.dice.chance(50) {
            request.headers.push(("Privacy", b"id".to_vec()));
        }
        self.tally.count("calls made");
        self.invite(now, request, for_call);
    }

    /// A carrier brings a call for one of its office's numbers.
    pub(super) fn call_in(&mut self, now: Time) {
        let numbers = self.book.offices.get(self.line.office).map(|office| office.numbers.clone());
        let own = numbers.as_deref().and_then(|numbers| self.dice.pick(numbers)).cloned();
        let stray = self.dice.chance(20);
        let called = if stray { "0399990000".to_owned() } else { own.unwrap_or_default() };
        let caller = self.book.outside(&mut self.dice);
        let host = self.line.address;
        let anonymous = self.dice.chance(100);
        let from = match anonymous {
            true => b"\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_vec(),
            false => format!("<sip:{caller}@{host}>").into_bytes(),
        };
        let target = format!("sip:{called}@{}", offices::EXCHANGE);
        let mut request = self.request(Method::Invite, &target, from);
        if anonymous {
            request.headers.push(("Privacy", b"id".to_vec()));
        } else {
            let asserted = format!("<sip:{caller}@{host}>").into_bytes();
            request.headers.push(("P-Asserted-Identity", asserted));
        }
        self.tally.count("calls in");
        self.invite(now, request, None);
    }

    fn invite(&mut self, now: Time, mut request: Request, for_call: Option<DialogId>) {
        let mut voice = self.voice();
        let late = self.dice.chance(60);
        if !late {
            request.body = Some(voice.offer());
        }
        let tx = self.ua.invite(now, request);
        let dialing = Dialing { voice, late, offered_early: false, for_call, early: None };
        self.dialing.insert(tx, dialing);
        // Most wait until they are answered or refused.
        let patience = match self.dice.below(10) {
            0 => self.dice.ms(1, 600),
            1 | 2 => self.dice.ms(600, 12_000),
            _ => self.dice.ms(40_000, 200_000),
        };
        self.agenda.add(now + patience, Task::GiveUp(tx));
    }

    pub(super) fn voice(&mut self) -> Voice {
        self.count = self.count.wrapping_add(1);
        let address = self.next_port();
        Voice::new(self.count, address, self.habits)
    }

    pub(super) fn request(&self, method: Method, uri: &str, from: Vec<u8>) -> Request {
        Request {
            method,
            flow: self.line.flow(),
            request_uri: uri.as_bytes().to_vec(),
            to: format!("<{uri}>").into_bytes(),
            from,
            route: Vec::new(),
            max_forwards: 70,
            headers: Vec::new(),
            body: None,
            credentials: None,
        }
    }

    pub(super) fn progress(
        &mut self,
        now: Time,
        tx: ClientTx,
        dialog: Option<DialogId>,
        offer: bool,
        message: &Message,
    ) {
        let Some(dialing) = self.dialing.get_mut(&tx) else { return };
        dialing.early = dialog.or(dialing.early);
        if let Some(dialog) = dialog.filter(|_| offer) {
            let body = dialing.voice.describe(message);
            dialing.offered_early = true;
            self.ua.prack(now, dialog, body);
        }
    }

    /// 2xx to an INVITE of ours, the first or a later one.
    pub(super) fn answered(
        &mut self,
        now: Time,
        tx: ClientTx,
        dialog: DialogId,
        message: &Message,
    ) {
        let Some(mut dialing) = self.dialing.remove(&tx) else {
            self.answered_again(now, tx, dialog, message);
            return;
        };
        let late = dialing.late && !dialing.offered_early;
        let body = if late { dialing.voice.describe(message) } else { None };
        self.ua.ack(now, dialog, body);
        self.tally.count("calls answered");
        let for_call = dialing.for_call.filter(|call| self.talks.contains_key(call));
        self.begin_talk(now, dialog, dialing.voice, for_call);
    }

    pub(super) fn call_failed(&mut self, now: Time, tx: ClientTx, status: u16) {
        if let Some(dialing) = self.dialing.remove(&tx) {
            self.output.push(super::Output::Silence(dialing.voice.address));
            self.tally.count(match status {
                400..=499 => "calls ended 4xx",
                500..=599 => "calls ended 5xx",
                600..=699 => "calls ended 6xx",
                _ => "calls ended otherwise",
            });
            return;
        }
        self.offer_failed(now, tx, status);
    }

    /// Takes over a colleague's call that it has seen ring.
    pub(super) fn pick_up(&mut self, now: Time) {
        let Some(pickup) = self.pickup.take() else { return };
        if self.mood != Mood::Busy || Uri::parse(&pickup.target).is_none() {
            return;
        }
        self.tally.count("pickups tried");
        let extension = "801".to_owned();
        self.call(now, &extension, None, vec![("Replaces", pickup.replaces)]);
    }
}
