//! Registrations: kept, refreshed, given up, tried with a wrong password (RFC 3261, section 10).

use std::time::Duration;

use koukan_base::Time;
use koukan_sip::{ClientTx, Credentials, Header, Identity, Message, Method};

use super::{Mood, Role, Station, Task};
use crate::dice::Dice;
use crate::offices::{EXCHANGE, PASSWORD};

/// What a phone remembers of its registration.
#[derive(Debug, Default)]
pub(crate) struct Registration {
    call_id: Vec<u8>,
    tag: Vec<u8>,
    cseq: u32,
    /// The REGISTER under way.
    tx: Option<ClientTx>,
    /// So many tries are made with a wrong password.
    wrong: u32,
    /// What it asks for; the exchange may want more.
    expires: Option<u32>,
    /// It asks for its end.
    ending: bool,
}

impl Registration {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let mut number = || dice.below(u32::MAX);
        Self {
            call_id: format!("{:08x}{:08x}@phone", number(), number()).into_bytes(),
            tag: format!("{:08x}", number()).into_bytes(),
            ..Self::default()
        }
    }
}

impl Station {
    /// REGISTER, or a refresh; when one is under way it is enough.
    pub(super) fn register(&mut self, now: Time) {
        let ends = self.registration.ending || self.mood == Mood::Leaving;
        let life = self.registration.expires.unwrap_or(self.habits.expires);
        self.send_register(now, &self.line.contact(), if ends { 0 } else { life });
    }

    pub(super) fn register_soon(&mut self, now: Time) {
        self.agenda.retain(|task| !matches!(task, Task::Register));
        self.agenda.add(now + Duration::from_millis(20), Task::Register);
    }

    pub(super) fn register_wrongly(&mut self, now: Time) {
        self.registration.wrong = self.dice.below(6).saturating_add(1);
        self.register_soon(now);
    }

    /// Gives the registration up, and comes back some time later unless it goes for good.
    pub(super) fn unregister(&mut self, now: Time, back: bool) {
        if !self.line.is_phone() {
            return;
        }
        self.agenda.retain(|task| !matches!(task, Task::Register));
        self.registration.wrong = 0;
        self.registration.ending = true;
        let all = self.dice.chance(300);
        let contact = if all { "*".to_owned() } else { self.line.contact() };
        // What is under way would bring it back.
        self.registration.tx = None;
        self.send_register(now, &contact, 0);
        self.tally.count("unregistered");
        if back {
            self.registration.ending = false;
            let later = now + self.dice.ms(5_000, 300_000);
            self.agenda.add(later, Task::Register);
        }
    }

    fn send_register(&mut self, now: Time, contact: &str, expires: u32) {
        let Role::Phone { user } = &self.line.role else { return };
        if self.registration.tx.is_some() {
            return;
        }
        let wrong = self.registration.wrong > 0;
        let password = if wrong { "forgotten" } else { PASSWORD };
        let credentials =
            Some(Credentials { username: user.clone(), password: password.to_owned() });
        let aor = format!("sip:{user}@{EXCHANGE}");
        let mut request = self.request(Method::Register, &aor, format!("<{aor}>").into_bytes());
        request.request_uri = format!("sip:{EXCHANGE}").into_bytes();
        request.credentials = credentials;
        request.headers = vec![
            ("Contact", contact.as_bytes().to_vec()),
            ("Expires", expires.to_string().into_bytes()),
        ];
        // With the answer to a challenge one more number is used.
        self.registration.cseq = self.registration.cseq.saturating_add(2);
        let identity = Identity {
            call_id: self.registration.call_id.clone(),
            local_tag: self.registration.tag.clone(),
            cseq: self.registration.cseq,
        };
        let tx = self.ua.request_as(now, request, identity);
        self.registration.tx = Some(tx);
    }

    /// The outcome of a REGISTER; false when this was none.
    pub(super) fn registered(
        &mut self,
        now: Time,
        tx: ClientTx,
        status: u16,
        message: Option<&Message>,
    ) -> bool {
        if self.registration.tx.take_if(|known| *known == tx).is_none() {
            return false;
        }
        if self.registration.ending {
            // Nobody has heard it: once more.
            if !(200..300).contains(&status) {
                let soon = now + self.dice.ms(1_000, 3_000);
                self.agenda.add(soon, Task::Register);
            }
            return true;
        }
        self.registration.wrong = self.registration.wrong.saturating_sub(1);
        let next = match status {
            200..=299 => {
                self.tally.count("registered");
                let life = self.registration.expires.unwrap_or(self.habits.expires).max(60);
                Duration::from_secs(u64::from(life / 2))
            }
            423 => {
                let least = message.and_then(|message| message.number(Header::MinExpires));
                self.registration.expires = Some(least.unwrap_or(3600));
                Duration::from_millis(100)
            }
            _ => {
                self.tally.count("not registered");
                self.dice.ms(2_000, 30_000)
            }
        };
        if !self.agenda_has_register() {
            self.agenda.add(now + next, Task::Register);
        }
        true
    }

    fn agenda_has_register(&self) -> bool {
        self.agenda.has(|task| matches!(task, Task::Register))
    }
}
