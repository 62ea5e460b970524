//! Two user agents over a seeded link on a virtual clock (RFC 3261, sections 12–17): calls end and
//! tables are empty, whatever is lost, doubled or late.

mod calls;
mod glare;
mod prack;
mod session;
mod update;

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::{Header, Method, Transport};

/// Two agents and the datagrams between them.
struct Rig {
    now: Time,
    agents: [UserAgent; 2],
    events: [Vec<Event>; 2],
    wire: BTreeMap<(Time, u64), (usize, Vec<u8>)>,
    sent: u64,
    dice: Rng,
    loss_percent: u32,
    transport: Transport,
    /// What was sent, by whom and when.
    log: Vec<(Time, usize, Message)>,
    /// What never arrives: asked with the sender.
    lose: fn(usize, &Message) -> bool,
}

/// A description that one side sends.
fn sdp(version: u32) -> Body {
    Body::sdp(format!("v=0\r\no=- 1 {version} IN IP4 192.0.2.9\r\n").into_bytes())
}

fn address(index: usize) -> std::net::SocketAddr {
    ([192, 0, 2, if index == 0 { 1 } else { 2 }], 5060).into()
}

impl Rig {
    fn new(seed: u64, loss_percent: u32, transport: Transport) -> Self {
        let agent = |index: usize| {
            let listener = Listener { id: ListenerId(0), transport, advertised: address(index) };
            let config = UaConfig {
                listeners: vec![listener],
                server_name: "test".to_owned(),
                max_transactions: 1000,
                max_dialogs: 1000,
                ..UaConfig::default()
            };
            UserAgent::new(config, Rng::from_number(seed * 2 + index as u64))
        };
        Self {
            now: Time::from_millis(1),
            agents: [agent(0), agent(1)],
            events: [Vec::new(), Vec::new()],
            wire: BTreeMap::new(),
            sent: 0,
            dice: Rng::from_number(seed),
            loss_percent,
            transport,
            log: Vec::new(),
            lose: |_, _| false,
        }
    }

    /// How many messages of `from` are a request of this method, or a response of this status.
    fn count(&self, from: usize, what: &str) -> usize {
        let fits = |message: &Message| match message.status() {
            Some(status) => what == status.to_string(),
            None => what.as_bytes() == message.method_name(),
        };
        self.log.iter().filter(|(_, sender, message)| *sender == from && fits(message)).count()
    }

    /// The last such message.
    fn last(&self, from: usize, what: &str) -> &Message {
        let fits = |message: &Message| match message.status() {
            Some(status) => what == status.to_string(),
            None => what.as_bytes() == message.method_name(),
        };
        let found = self.log.iter().rev().find(|(_, sender, told)| *sender == from && fits(told));
        &found.unwrap_or_else(|| panic!("no {what} of {from}")).2
    }

    /// Lets time go on until `until`.
    fn run_until(&mut self, until: Time) {
        self.drain();
        while self.next().is_some_and(|next| next <= until) {
            self.step();
        }
        self.now = self.now.max(until);
    }

    fn run_for(&mut self, duration: Duration) {
        let until = self.now + duration;
        self.run_until(until);
    }

    /// When the next thing happens.
    fn next(&self) -> Option<Time> {
        let arrival = self.wire.keys().next().map(|(at, _)| *at);
        let timer = self.agents.iter().filter_map(UserAgent::poll_timeout).min();
        arrival.into_iter().chain(timer).min()
    }

    /// Whether an event of agent `index` fits, which is not taken.
    fn has(&self, index: usize, fits: impl Fn(&Event) -> bool) -> bool {
        self.events[index].iter().any(fits)
    }

    fn flow(&self, to: usize) -> Flow {
        let connection = u64::from(self.transport.is_reliable());
        Flow { transport: self.transport, listener: ListenerId(0), remote: address(to), connection }
    }

    fn drain(&mut self) {
        for index in 0..2 {
            while let Some(action) = self.agents[index].poll_action() {
                match action {
                    UaAction::Event(event) => self.events[index].push(event),
                    UaAction::Send { bytes, .. } => {
                        let message = Message::from_datagram(&mut Scanner::new(), &bytes).unwrap();
                        let lost = (self.lose)(index, &message);
                        self.log.push((self.now, index, message));
                        if lost {
                            continue;
                        }
                        let copies = if self.dice.next_u32() % 100 < self.loss_percent {
                            self.dice.next_u32() % 2 * 2
                        } else {
                            1
                        };
                        for _ in 0..copies {
                            self.sent += 1;
                            let spread = if self.loss_percent == 0 { 1 } else { 40 };
                            let late = u64::from(self.dice.next_u32() % spread) + 1;
                            let at = self.now + Duration::from_millis(late);
                            self.wire.insert((at, self.sent), (1 - index, bytes.clone()));
                        }
                    }
                }
            }
        }
    }

    /// One step to whatever comes next; false when nothing is left.
    fn step(&mut self) -> bool {
        self.drain();
        let arrival = self.wire.keys().next().map(|(at, _)| *at);
        let timer = self.agents.iter().filter_map(UserAgent::poll_timeout).min();
        let Some(next) = arrival.into_iter().chain(timer).min() else { return false };
        self.now = self.now.max(next);
        if arrival == Some(next) {
            let (_, (to, bytes)) = self.wire.pop_first().unwrap();
            let flow = self.flow(1 - to);
            self.agents[to].handle_bytes(self.now, flow, &bytes);
        } else {
            for agent in &mut self.agents {
                agent.handle_timeout(self.now);
            }
        }
        self.drain();
        true
    }

    /// Runs until an event of agent `index` fits.
    fn until<T>(&mut self, index: usize, fits: impl Fn(&Event) -> Option<T>) -> T {
        self.drain();
        loop {
            if let Some(at) = self.events[index].iter().position(|event| fits(event).is_some()) {
                let event = self.events[index].remove(at);
                return fits(&event).unwrap();
            }
            assert!(self.step(), "nothing fits in {:?}", self.events[index]);
        }
    }

    /// Runs until nothing is left and the tables must be empty.
    fn finish(mut self) {
        while self.step() {}
        for agent in &self.agents {
            assert_eq!(agent.counts(), Counts::default());
            assert!(agent.servers_by_key.is_empty() && agent.clients_by_branch.is_empty());
            assert!(agent.initial.is_empty() && agent.dialogs_by_key.is_empty());
            assert!(agent.outgoing.is_empty());
        }
    }

    fn invite(&mut self, credentials: Option<Credentials>) -> ClientTx {
        let request = self.initial(credentials);
        let now = self.now;
        self.agents[0].invite(now, request)
    }

    fn initial(&self, credentials: Option<Credentials>) -> Request {
        Request {
            method: Method::Invite,
            flow: self.flow(1),
            request_uri: b"sip:bob@192.0.2.2".to_vec(),
            from: b"\"A\" <sip:alice@192.0.2.1>".to_vec(),
            to: b"<sip:bob@192.0.2.2>".to_vec(),
            route: Vec::new(),
            max_forwards: 70,
            headers: Vec::new(),
            body: Some(Body::sdp(b"v=0\r\n".to_vec())),
            credentials,
        }
    }

    fn hang_up(mut self, caller: DialogId) {
        let now = self.now;
        self.agents[0].bye(now, caller, None);
        self.until(1, |event| matches!(event, Event::Bye { .. }).then_some(()));
        self.finish();
    }

    fn answer(&mut self, index: usize, tx: ServerTx, response: Response) {
        let now = self.now;
        self.agents[index].respond(now, tx, response);
        self.drain();
    }

    fn incoming(&mut self) -> (ServerTx, DialogId) {
        self.until(1, |event| match event {
            Event::Invite { tx, dialog, .. } => Some((*tx, *dialog)),
            _ => None,
        })
    }

    fn respond(&mut self, index: usize, tx: ServerTx, status: u16) {
        let now = self.now;
        self.agents[index].respond(now, tx, Response::new(status));
    }

    fn established(&mut self) -> (DialogId, DialogId) {
        let call = self.invite(None);
        let (tx, callee) = self.incoming();
        self.respond(1, tx, 180);
        self.respond(1, tx, 200);
        let caller = self.answered(call);
        self.until(1, |event| matches!(event, Event::Acked { .. }).then_some(()));
        (caller, callee)
    }

    fn answered(&mut self, call: ClientTx) -> DialogId {
        let dialog = self.until(0, |event| match event {
            Event::Answered { tx, dialog, .. } if *tx == call => Some(*dialog),
            _ => None,
        });
        let now = self.now;
        self.agents[0].ack(now, dialog, None);
        dialog
    }
}
