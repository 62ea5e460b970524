//! Subscriptions of a phone: lamps of colleagues, its messages, its own registration (RFC 6665).

use std::time::Duration;

use koukan_base::Time;
use koukan_sip::header::{SubscriptionState, SubscriptionStatus};
use koukan_sip::{ClientTx, Credentials, Header, Identity, Message, Method};

use super::{Role, Station, Task};
use crate::offices::{EXCHANGE, PASSWORD};

/// A phone has no more lamps than this.
const MOST: usize = 4;

/// One subscription.
#[derive(Debug)]
pub(crate) struct Watching {
    number: u64,
    target: String,
    package: &'static str,
    expires: u32,
    identity: Identity,
    /// The exchange's side with its tag, once it is known.
    remote: Option<Vec<u8>>,
    tx: Option<ClientTx>,
    ending: bool,
}

/// A ringing call of a colleague, from its dialog document.
#[derive(Clone, Debug)]
pub(crate) struct Pickup {
    pub(crate) target: Vec<u8>,
    /// The value of a Replaces header.
    pub(crate) replaces: Vec<u8>,
}

impl Station {
    pub(super) fn watch_something(&mut self, now: Time) {
        if self.watching.len() >= MOST {
            return;
        }
        let Role::Phone { user } = &self.line.role else { return };
        let own = user.clone();
        let office = self.book.offices.get(self.line.office);
        let colleague = office.and_then(|office| self.dice.pick(&office.users)).cloned();
        let (target, package) = match self.dice.below(10) {
            0 => (own, "message-summary"),
            1 => (own, "reg"),
            2 | 3 => ("lamps".to_owned(), "dialog"),
            4 => (own, "presence"),
            5 => ("nobody".to_owned(), "dialog"),
            _ => (colleague.unwrap_or_default(), "dialog"),
        };
        let expires = self.dice.pick(&[60, 120, 600, 3600]).copied().unwrap_or(600);
        self.count = self.count.wrapping_add(1);
        let mut random = || self.dice.below(u32::MAX);
        let identity = Identity {
            call_id: format!("{:08x}{:08x}@watch", random(), random()).into_bytes(),
            local_tag: format!("{:08x}", random()).into_bytes(),
            cseq: 0,
        };
        let number = self.count;
        self.watching.push(Watching {
            number,
            target,
            package,
            expires,
            identity,
            remote: None,
            tx: None,
            ending: false,
        });
        self.tally.count("watchings begun");
        self.send_subscribe(now, number);
    }

    /// Ends one; a subscription that has no answer yet is left to its answer.
    pub(super) fn stop_watching_one(&mut self, now: Time) {
        let found = self.watching.iter_mut().find(|watching| watching.remote.is_some());
        let Some(watching) = found else { return };
        watching.ending = true;
        let number = watching.number;
        self.send_subscribe(now, number);
    }

    pub(super) fn stop_watching(&mut self, now: Time) {
        let numbers: Vec<u64> = self.watching.iter().map(|watching| watching.number).collect();
        for watching in &mut self.watching {
            watching.ending = true;
        }
        for number in numbers {
            self.send_subscribe(now, number);
        }
    }

    pub(super) fn refresh_watching(&mut self, now: Time, number: u64) {
        self.send_subscribe(now, number);
    }

    fn send_subscribe(&mut self, now: Time, number: u64) {
        let Role::Phone { user } = &self.line.role else { return };
        let user = user.clone();
        let Some(at) = self.watching.iter().position(|known| known.number == number) else {
            return;
        };
        let Some(watching) = self.watching.get_mut(at).filter(|known| known.tx.is_none()) else {
            return;
        };
        watching.identity.cseq = watching.identity.cseq.saturating_add(2);
        let expires = if watching.ending { 0 } else { watching.expires };
        let (identity, remote) = (watching.identity.clone(), watching.remote.clone());
        let headers = vec![
            ("Event", watching.package.as_bytes().to_vec()),
            ("Expires", expires.to_string().into_bytes()),
            ("Contact", self.line.contact().into_bytes()),
            ("Supported", b"eventlist".to_vec()),
        ];
        let uri = format!("sip:{}@{EXCHANGE}", watching.target);
        let from = format!("<sip:{user}@{EXCHANGE}>").into_bytes();
        let mut request = self.request(Method::Subscribe, &uri, from);
        request.to = remote.unwrap_or(request.to);
        request.headers = headers;
        request.credentials = Some(Credentials { username: user, password: PASSWORD.to_owned() });
        let tx = self.ua.request_as(now, request, identity);
        if let Some(watching) = self.watching.get_mut(at) {
            watching.tx = Some(tx);
        }
    }

    pub(super) fn watching_answered(
        &mut self,
        now: Time,
        tx: ClientTx,
        status: u16,
        message: Option<&Message>,
    ) {
        let Some(at) = self.watching.iter().position(|known| known.tx == Some(tx)) else { return };
        let Some(watching) = self.watching.get_mut(at) else { return };
        watching.tx = None;
        if !(200..300).contains(&status) || watching.ending && watching.remote.is_some() {
            self.watching.remove(at);
            self.tally.count("watchings ended");
            return;
        }
        let to = message.and_then(|message| message.header(Header::To));
        watching.remote = to.map(<[u8]>::to_vec).or(watching.remote.take());
        let (number, ending) = (watching.number, watching.ending);
        if ending {
            self.send_subscribe(now, number);
            return;
        }
        let granted = message.and_then(|message| message.number(Header::Expires)).unwrap_or(60);
        let again = now + Duration::from_secs(u64::from(granted)).mul_f64(0.8);
        self.agenda.add(again, Task::Watch(number));
    }

    /// A NOTIFY, in a subscription of ours or unasked; the status that it gets.
    pub(super) fn notified(&mut self, _now: Time, message: &Message) -> u16 {
        self.tally.count("notified");
        let found =
            self.watching.iter().position(|known| known.identity.call_id == message.call_id());
        let Some(at) = found else {
            // Messages that wait are told without a subscription too (RFC 3842).
            return if message.to_tag().is_some() { 481 } else { 200 };
        };
        self.pickup = pickup(message).or(self.pickup.take());
        let state = message.header(Header::SubscriptionState).and_then(SubscriptionState::parse);
        if state.is_some_and(|state| state.status == SubscriptionStatus::Terminated) {
            let under_way = self.watching.get(at).is_some_and(|known| known.tx.is_some());
            if !under_way {
                self.watching.remove(at);
                self.tally.count("watchings ended");
            }
        }
        200
    }
}

/// The first call of a dialog document that rings, as a Replaces header names it.
fn pickup(message: &Message) -> Option<Pickup> {
    let text = std::str::from_utf8(message.body()).ok()?;
    let ringing = text.split("<dialog ").skip(1).find(|dialog| dialog.contains(">early<"))?;
    let value = |name: &str| {
        let (_, rest) = ringing.split_once(&format!("{name}=\""))?;
        rest.split('"').next()
    };
    let (call_id, local, remote) = (value("call-id")?, value("local-tag")?, value("remote-tag")?);
    let replaces = format!("{call_id};to-tag={local};from-tag={remote}");
    Some(Pickup { target: b"sip:pickup@192.0.2.1".to_vec(), replaces: replaces.into_bytes() })
}
