//! The sample office on a virtual clock: the switch, phones and a trunk that are real user agents,
//! a network that delays and loses, and virtual media workers and modules. Nothing sleeps.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod media;
pub(crate) mod modules;
mod offices;
mod phone;
pub(crate) mod room;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use koukan_base::{CallId, Rng, Time};
use koukan_sip::{Credentials, DialogId, Flow, ListenerId, Message, Method, Request, Transport};
use koukan_switch::{
    Action, CallCause, Cdr, Directory, FaxId, FaxNews, FaxOrder, FaxReport, Now, Record, Switch,
    Tables,
};

pub(crate) use media::Media;
pub(crate) use modules::Modules;
#[allow(unused_imports, reason = "each test file uses its part")]
pub(crate) use offices::directory_of;
#[allow(unused_imports, reason = "each test file uses its part")]
pub(crate) use phone::{Does, Phone, early};

pub(crate) const PASSWORD: &str = "secret";
pub(crate) const REALM: &str = "koukan";
pub(crate) const SERVER: &str = "192.0.2.1:5060";
/// The trunk of the sample office, by name in [`Office`].
pub(crate) const TRUNK: char = 'T';
/// A call up is given up when no RTP comes for so long.
pub(crate) const RTP_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the record of a running call is written.
pub(crate) const INTERIM: Duration = Duration::from_secs(60);

pub(crate) const OFFICE: &str = include_str!("../../../../conf/tenants/acme/office.toml");

/// What the switch did, in order.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "records are what the list is for")]
pub(crate) enum Did {
    Record(Record),
    /// The first line and CSeq of a message, and where it went.
    Sent(String, SocketAddr),
}

pub(crate) struct Office {
    pub(crate) now: Time,
    pub(crate) date: Timestamp,
    pub(crate) switch: Switch,
    pub(crate) phones: BTreeMap<char, Phone>,
    pub(crate) media: Media,
    pub(crate) modules: Modules,
    /// What was ordered of whoever speaks T.30.
    pub(crate) faxes: Vec<FaxOrder>,
    wire: BTreeMap<(Time, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    packets: u64,
    dice: Rng,
    pub(crate) loss_percent: u32,
    /// From this address nothing arrives.
    unheard: Option<SocketAddr>,
    pub(crate) did: Vec<Did>,
    pub(crate) explained: Vec<(CallId, String)>,
    /// What operators were told.
    pub(crate) notices: Vec<String>,
    /// Mails of the switch's own.
    pub(crate) mails: Vec<koukan_switch::Mail>,
    /// What went to an address where nobody of the office is.
    pub(crate) strays: Vec<(SocketAddr, Message)>,
}

impl Office {
    pub(crate) fn restore_watch(&mut self, watch: &koukan_switch::Watch) {
        self.switch.restore_watch(self.now(), watch);
        self.drain();
    }

    pub(crate) fn set_messages(&mut self, user: &str, summary: koukan_switch::MessageSummary) {
        self.switch.set_messages(self.now(), user, summary);
        self.drain();
    }

    /// A reload.
    pub(crate) fn install(&mut self, directory: Directory) {
        self.switch.set_directory(self.now(), Arc::new(directory));
        self.drain();
    }

    /// A module asks for something that is of no call.
    pub(crate) fn module_asks(&mut self, request: koukan_switch::ModuleRequest) {
        self.switch.handle_module(self.now(), request);
        self.drain();
    }

    /// Whoever speaks T.30 reports.
    pub(crate) fn fax_says(&mut self, fax: FaxId, news: FaxNews) {
        self.switch.handle_fax(self.now(), FaxReport { fax, news });
        self.drain();
    }

    /// A machine calls that offers T.38 and no audio.
    pub(crate) fn call_by_t38(&mut self, name: char, number: &str) {
        self.call_by_own_t38(name, number, str::to_owned);
    }

    /// The same in words of its own.
    pub(crate) fn call_by_own_t38(&mut self, name: char, number: &str, own: fn(&str) -> String) {
        let now = self.now;
        self.phone(name).call_by_t38(now, number, own);
        self.drain();
    }

    /// A document is due.
    pub(crate) fn send_fax(&mut self, call: &koukan_switch::FaxCall) {
        self.switch.send_fax(self.now(), call);
        self.drain();
    }

    pub(crate) fn now(&self) -> Now {
        let date = self.date + self.now.since(Time::from_millis(1));
        Now { time: self.now, date }
    }

    pub(crate) fn phone(&mut self, name: char) -> &mut Phone {
        self.phones.get_mut(&name).unwrap()
    }

    /// Every phone of the office does the same when it is called.
    pub(crate) fn all(&mut self, does: Does) {
        for name in 'A'..='F' {
            self.phone(name).does = does.clone();
        }
    }

    pub(crate) fn register(&mut self, name: char, headers: &[(&'static str, &str)]) {
        let now = self.now;
        self.phone(name).register(now, headers);
        self.drain();
    }

    pub(crate) fn call(&mut self, name: char, number: &str) {
        let now = self.now;
        self.phone(name).call(now, number);
        self.drain();
    }

    /// The caller gives up.
    pub(crate) fn give_up(&mut self, name: char) {
        let now = self.now;
        self.phone(name).give_up(now);
        self.drain();
    }

    /// The caller's CANCEL overtakes everything that is on its way to the switch.
    pub(crate) fn give_up_first(&mut self, name: char) {
        self.drain();
        let waiting = std::mem::take(&mut self.wire);
        self.give_up(name);
        for ((at, number), packet) in waiting {
            self.wire.insert((at + Duration::from_millis(6), number), packet);
        }
    }

    /// A phone that rings is answered.
    pub(crate) fn answer(&mut self, name: char, dialog: DialogId) {
        let now = self.now;
        self.phone(name).pick_up(now, dialog);
        self.drain();
    }

    pub(crate) fn hang_up(&mut self, name: char) {
        let now = self.now;
        self.phone(name).hang_up(now);
        self.drain();
    }

    /// An operator's order in a conference room.
    pub(crate) fn order_in_room(
        &mut self,
        room: &str,
        order: &koukan_switch::RoomOrder,
    ) -> Result<(), koukan_switch::RoomError> {
        let outcome = self.switch.order_in_room(self.now(), "acme", room, order);
        self.drain();
        outcome
    }

    pub(crate) fn kill(&mut self) -> bool {
        let id = self.switch.calls().first().and_then(|call| CallId::parse(&call.call)).unwrap();
        let killed = self.switch.kill(self.now(), id);
        self.drain();
        killed
    }

    pub(crate) fn stop(&mut self) {
        self.switch.stop(self.now());
        self.drain();
    }

    /// A datagram of anybody, now.
    pub(crate) fn raw(&mut self, from: &str, text: &str) {
        self.bytes(from, &text.replace('\n', "\r\n").into_bytes());
    }

    pub(crate) fn bytes(&mut self, from: &str, bytes: &[u8]) {
        let now = self.now();
        self.switch.handle_bytes(now, flow(from.parse().unwrap()), bytes);
        self.drain();
    }

    /// A phone's network is gone: nothing leaves, nothing arrives, no RTP.
    pub(crate) fn vanish(&mut self, name: char) {
        let phone = self.phone(name);
        phone.gone = true;
        let media = phone.media;
        self.media.mute(self.now, media);
    }

    /// Nothing of this phone arrives, until somebody else is named.
    pub(crate) fn deafen(&mut self, name: Option<char>) {
        self.unheard = name.map(|name| self.phone(name).address);
    }

    pub(crate) fn mute(&mut self, name: char) {
        let media = self.phone(name).media;
        self.media.mute(self.now, media);
    }

    /// Runs for so long.
    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        self.drain();
        while let Some(next) = self.next().filter(|next| *next <= until) {
            self.step(next);
        }
        self.now = until;
    }

    fn next(&self) -> Option<Time> {
        let wire = self.wire.keys().next().map(|(at, _)| *at);
        let phones = self.phones.values().filter_map(Phone::next).min();
        [wire, phones, self.switch.poll_timeout(), self.media.next(), self.modules.next()]
            .into_iter()
            .flatten()
            .min()
    }

    fn step(&mut self, next: Time) {
        self.now = self.now.max(next);
        let now = self.now();
        while let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= now.time) {
            let (from, to, bytes) = entry.remove();
            self.arrive(from, to, &bytes);
            self.drain();
        }
        for phone in self.phones.values_mut() {
            phone.handle_timeout(now.time);
        }
        if self.switch.poll_timeout().is_some_and(|at| at <= now.time) {
            self.switch.handle_timeout(now);
            let after = self.switch.poll_timeout();
            assert!(after.is_none_or(|at| at > now.time), "a timer fires without end");
        }
        while let Some(event) = self.media.due(now.time) {
            self.switch.handle_media(now, event);
            self.drain();
        }
        while let Some(request) = self.modules.due(now.time) {
            self.switch.handle_module(now, request);
            self.drain();
        }
        self.drain();
    }

    fn arrive(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let now = self.now();
        if to == address() {
            self.switch.handle_bytes(now, flow(from), bytes);
            return;
        }
        match self.phones.values_mut().find(|phone| phone.address == to) {
            Some(phone) => phone.handle_bytes(now.time, bytes),
            None => self.strays.push((to, parse(bytes))),
        }
    }

    fn drain(&mut self) {
        while let Some(action) = self.switch.poll_action() {
            match action {
                Action::Record(record) => self.did.push(Did::Record(record)),
                Action::Send { flow, bytes } => {
                    self.did.push(Did::Sent(summary(&bytes), flow.remote));
                    self.send(address(), flow.remote, bytes);
                }
                Action::Media { worker, command } => self.media.order(self.now, worker, command),
                Action::Module(order) => self.modules.order(self.now, order),
                Action::Fax(order) => self.faxes.push(order),
                Action::Explain { call, text } => self.explained.push((call, text)),
                Action::Notice { text, .. } => self.notices.push(text),
                Action::Mail(mail) => self.mails.push(mail),
            }
        }
        let mut sent = Vec::new();
        for phone in self.phones.values_mut() {
            phone.drain(self.now, &mut sent);
        }
        for (from, bytes) in sent {
            self.send(from, address(), bytes);
        }
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let lossy = self.loss_percent > 0;
        if lossy && self.dice.next_u32() % 100 < self.loss_percent || self.unheard == Some(from) {
            return;
        }
        let spread = if lossy { self.dice.next_u32() % 40 } else { 0 };
        let at = self.now + Duration::from_millis(5 + u64::from(spread));
        self.packets += 1;
        self.wire.insert((at, self.packets), (from, to, bytes));
    }

    pub(crate) fn dice(&mut self, sides: u32) -> u32 {
        self.dice.next_u32() % sides
    }

    /// The records of calls that are over.
    pub(crate) fn finals(&self) -> Vec<Cdr> {
        self.cdrs().into_iter().filter(|cdr| cdr.cause.is_some()).collect()
    }

    /// Every record of a call.
    pub(crate) fn cdrs(&self) -> Vec<Cdr> {
        let record = |did: &Did| match did {
            Did::Record(Record::Call(cdr)) => Some(cdr.clone()),
            _ => None,
        };
        self.did.iter().filter_map(record).collect()
    }

    /// What was sent, one line a message.
    pub(crate) fn sent(&self, start: &str) -> usize {
        self.did.iter().filter(|did| matches!(did, Did::Sent(s, _) if s.starts_with(start))).count()
    }

    pub(crate) fn explained(&self, part: &str) -> bool {
        self.explained.iter().any(|(_, text)| text.contains(part))
    }

    /// Lets everything end by itself and looks whether nothing is left, here and at the phones; the
    /// records of the calls that were.
    pub(crate) fn finish(mut self) -> Vec<Cdr> {
        self.run(Duration::from_secs(70));
        self.assert_empty();
        let finals = self.finals();
        let mut begun: Vec<String> = self.cdrs().into_iter().map(|cdr| cdr.call).collect();
        begun.sort();
        begun.dedup();
        let mut ended: Vec<String> = finals.iter().map(|cdr| cdr.call.clone()).collect();
        ended.sort();
        assert_eq!(begun, ended, "every call has exactly one final record");
        for cdr in self.cdrs() {
            assert_eq!(cdr.cause.is_some(), cdr.ended.is_some(), "{cdr:?}");
        }
        for cdr in &finals {
            assert!(cdr.legs.iter().all(|leg| leg.ended.is_some()), "{cdr:?}");
            assert!(cdr.started <= cdr.ended.unwrap() && cdr.status >= 200, "{cdr:?}");
            assert!(cdr.answered.is_none_or(|answered| cdr.started <= answered), "{cdr:?}");
            assert_eq!(cdr.answered.is_some(), cdr.status == 200, "{cdr:?}");
        }
        finals
    }

    pub(crate) fn assert_empty(&self) {
        let tables = self.switch.tables();
        let calls = self.switch.calls();
        assert_eq!(tables, Tables::default(), "{calls:#?} {:#?}", self.explained);
        assert_eq!(self.media.streams(), 0, "streams are left in the worker");
        let crossed = &self.media.crossed;
        assert!(crossed.is_empty(), "commands for streams that are gone: {crossed:?}");
        assert_eq!(self.modules.live(), 0, "instances are left in the host");
        for phone in self.phones.values().filter(|phone| !phone.gone) {
            assert!(phone.is_quiet(), "{}: {:?} {:?}", phone.name, phone.counts(), phone.log);
        }
    }
}

/// The one record of the one call.
pub(crate) fn only(mut cdrs: Vec<Cdr>) -> Cdr {
    assert_eq!(cdrs.len(), 1, "{cdrs:#?}");
    cdrs.remove(0)
}

/// How a call ended.
pub(crate) fn ending(cdr: &Cdr) -> (CallCause, u16) {
    (cdr.cause.unwrap(), cdr.status)
}

pub(crate) fn address() -> SocketAddr {
    SERVER.parse().unwrap()
}

/// The way from and to an address.
pub(crate) fn flow(remote: SocketAddr) -> Flow {
    Flow { transport: Transport::Udp, listener: ListenerId(0), remote, connection: 0 }
}

pub(crate) fn parse(bytes: &[u8]) -> Message {
    Message::from_datagram(&mut koukan_sip::Scanner::new(), bytes).unwrap()
}

/// `INVITE sip:... CSeq`, `SIP/2.0 200 OK 1 INVITE`.
fn summary(bytes: &[u8]) -> String {
    let message = parse(bytes);
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap();
    let cseq = message.header(koukan_sip::Header::CSeq).unwrap_or_default();
    format!("{} {}", String::from_utf8_lossy(line), String::from_utf8_lossy(cseq))
}

pub(crate) fn request(method: Method, user: &str, uri: &str, password: &str) -> Request {
    Request {
        method,
        flow: flow(address()),
        request_uri: uri.as_bytes().to_vec(),
        from: format!("<sip:{user}@{SERVER}>").into_bytes(),
        to: format!("<{uri}>").into_bytes(),
        route: Vec::new(),
        max_forwards: 70,
        headers: Vec::new(),
        body: None,
        credentials: Some(Credentials { username: user.to_owned(), password: password.to_owned() }),
    }
}
