//! A list of operations on two user agents and the link between them (RFC 3261, 12–15; RFC 3262,
//! 3311, 4028), read from bytes: calls, answers, changes, hang-ups, losses and delays in any order.
//! Each side's messages are read by the other; once both users have ended everything the tables of
//! both are empty. Shared by property test and fuzzer.

use std::collections::BTreeMap;
use std::time::Duration;

use koukan_base::{Rng, Time};
use koukan_sip::{
    Body, ClientTx, Counts, DialogId, Event, Flow, Listener, ListenerId, Method, Request, Response,
    ServerTx, Transport, UaAction, UaConfig, UserAgent,
};

/// One side: its agent and what its user could use.
struct Side {
    agent: UserAgent,
    servers: Vec<ServerTx>,
    clients: Vec<ClientTx>,
    dialogs: Vec<DialogId>,
}

/// Both sides.
pub(crate) struct Pair {
    now: Time,
    sides: [Side; 2],
    wire: BTreeMap<(Time, u64), (usize, Vec<u8>)>,
    sent: u64,
    dice: Rng,
    loss_percent: u32,
}

fn address(index: usize) -> std::net::SocketAddr {
    ([192, 0, 2, if index == 0 { 1 } else { 2 }], 5060).into()
}

fn flow(to: usize) -> Flow {
    let (transport, listener) = (Transport::Udp, ListenerId(0));
    Flow { transport, listener, remote: address(to), connection: 0 }
}

fn description(number: u8) -> Body {
    Body::sdp(format!("v=0\r\no=- 1 {number} IN IP4 192.0.2.1\r\n").into_bytes())
}

impl Pair {
    /// Two idle sides.
    pub(crate) fn new(seed: u8) -> Self {
        let side = |index: usize| {
            let advertised = address(index);
            let listener = Listener { id: ListenerId(0), transport: Transport::Udp, advertised };
            let mut config = UaConfig { listeners: vec![listener], ..UaConfig::default() };
            config.max_transactions = 300;
            config.max_dialogs = 60;
            config.session.expires_s = [Some(120), None, Some(90), Some(1800)]
                .get((usize::from(seed) + index) & 3)
                .copied()
                .flatten();
            config.session.alone = seed & 4 != 0;
            config.reliable = seed & 8 == 0;
            if seed & 16 != 0 {
                config.allow = "INVITE, ACK, CANCEL, BYE, PRACK";
            }
            let agent = UserAgent::new(config, Rng::from_number(index as u64));
            Side { agent, servers: Vec::new(), clients: Vec::new(), dialogs: Vec::new() }
        };
        Self {
            now: Time::from_millis(1),
            sides: [side(0), side(1)],
            wire: BTreeMap::new(),
            sent: 0,
            dice: Rng::from_number(u64::from(seed)),
            loss_percent: u32::from(seed >> 5) * 4,
        }
    }

    /// Performs every operation of `script`, then ends what stands and checks the tables.
    pub(crate) fn run(mut self, script: &[u8]) {
        for operation in script.chunks_exact(3).take(60) {
            if let [what, which, how] = *operation {
                let index = usize::from(what & 1);
                self.operation(index, (what >> 1) % 9, which, how);
                self.drain();
            }
        }
        self.finish();
    }

    fn operation(&mut self, index: usize, what: u8, which: u8, how: u8) {
        let now = self.now;
        let body = (how & 0x80 != 0).then(|| description(which));
        let Some(side) = self.sides.get_mut(index) else { return };
        match what {
            0 => {
                let request = request(1 - index, body);
                side.clients.push(side.agent.invite(now, request));
            }
            1 => {
                const STATUS: [u16; 8] = [180, 183, 183, 200, 200, 200, 486, 488];
                let status = STATUS.get(usize::from(how & 7)).copied().unwrap_or(200);
                let reliable = how & 0x40 != 0;
                if let Some(&tx) = pick(&side.servers, which) {
                    let response = Response { body, reliable, ..Response::new(status) };
                    side.agent.respond(now, tx, response);
                }
            }
            2 => {
                if let Some(&tx) = pick(&side.clients, which) {
                    side.agent.cancel(now, tx, None);
                }
            }
            3 => {
                if let Some(&dialog) = pick(&side.dialogs, which) {
                    side.agent.bye(now, dialog, None);
                }
            }
            4 => {
                let methods = [Method::Invite, Method::Update, Method::Info, Method::Options];
                let method = methods.get(usize::from(how & 3)).copied().unwrap_or(Method::Info);
                if let Some(&dialog) = pick(&side.dialogs, which) {
                    let tx = side.agent.request_in_dialog(now, dialog, method, Vec::new(), body);
                    side.clients.extend(tx);
                }
            }
            5 => {
                if let Some(&dialog) = pick(&side.dialogs, which) {
                    side.agent.ack(now, dialog, body);
                }
            }
            6 => {
                if let Some(&dialog) = pick(&side.dialogs, which) {
                    side.clients.extend(side.agent.prack(now, dialog, body));
                }
            }
            7 => self.advance(Duration::from_millis(u64::from(which) * u64::from(how))),
            _ => self.advance(Duration::from_secs(u64::from(how))),
        }
    }

    fn drain(&mut self) {
        for index in 0..2 {
            let mut sent = Vec::new();
            let Some(side) = self.sides.get_mut(index) else { continue };
            while let Some(action) = side.agent.poll_action() {
                match action {
                    UaAction::Send { bytes, .. } => sent.push(bytes),
                    UaAction::Event(event) => side.event(self.now, &event),
                }
            }
            for bytes in sent {
                let lost = self.dice.next_u32() % 100 < self.loss_percent;
                let copies = if lost { self.dice.next_u32() % 2 * 2 } else { 1 };
                for _ in 0..copies {
                    self.sent += 1;
                    let late = u64::from(self.dice.next_u32() % 30) + 1;
                    let at = self.now + Duration::from_millis(late);
                    self.wire.insert((at, self.sent), (1 - index, bytes.clone()));
                }
            }
        }
    }

    /// One step to whatever comes next, if that is not after `until`.
    fn step(&mut self, until: Time) -> bool {
        self.drain();
        let arrival = self.wire.keys().next().map(|(at, _)| *at);
        let timers = self.sides.iter().filter_map(|side| side.agent.poll_timeout());
        let Some(next) = timers.chain(arrival).min().filter(|next| *next <= until) else {
            return false;
        };
        self.now = self.now.max(next);
        if arrival == Some(next) {
            if let Some((_, (to, bytes))) = self.wire.pop_first()
                && let Some(side) = self.sides.get_mut(to)
            {
                side.agent.handle_bytes(self.now, flow(1 - to), &bytes);
            }
        } else {
            for side in &mut self.sides {
                side.agent.handle_timeout(self.now);
            }
        }
        self.drain();
        true
    }

    fn advance(&mut self, time: Duration) {
        let until = self.now + time;
        let mut steps = 0;
        while self.step(until) {
            steps += 1;
            assert!(steps < 100_000, "something comes again and again");
        }
        self.now = until;
    }

    /// Both users end everything and no longer answer; nothing may stay.
    fn finish(mut self) {
        for _ in 0..4 {
            for side in &mut self.sides {
                for tx in std::mem::take(&mut side.servers) {
                    side.agent.respond(self.now, tx, Response::new(500));
                }
                for tx in std::mem::take(&mut side.clients) {
                    side.agent.cancel(self.now, tx, None);
                }
                for dialog in std::mem::take(&mut side.dialogs) {
                    side.agent.bye(self.now, dialog, None);
                }
            }
            self.advance(Duration::from_secs(100));
        }
        self.advance(Duration::from_secs(200));
        for side in &self.sides {
            assert_eq!(side.agent.counts(), Counts::default());
        }
    }
}

impl Side {
    fn event(&mut self, now: Time, event: &Event) {
        match event {
            Event::Request { tx, .. } => self.servers.push(*tx),
            Event::Invite { tx, dialog, .. } | Event::InDialog { tx, dialog, .. } => {
                self.servers.push(*tx);
                self.dialogs.push(*dialog);
            }
            Event::Pracked { tx, dialog, .. } => {
                self.servers.extend(*tx);
                self.dialogs.push(*dialog);
            }
            Event::Progress { dialog, .. } => self.dialogs.extend(*dialog),
            Event::Answered { dialog, .. } => self.dialogs.push(*dialog),
            Event::SessionExpired { dialog } | Event::AckMissing { dialog } => {
                self.agent.bye(now, *dialog, None);
            }
            Event::RefreshDue { dialog } => {
                let body = Some(description(0));
                let agent = &mut self.agent;
                let tx = agent.request_in_dialog(now, *dialog, Method::Invite, Vec::new(), body);
                self.clients.extend(tx);
            }
            Event::Cancelled { .. }
            | Event::Acked { .. }
            | Event::Bye { .. }
            | Event::PrackMissing { .. }
            | Event::TryAgain { .. }
            | Event::Failed { .. }
            | Event::Response { .. } => {}
        }
    }
}

fn pick<T>(list: &[T], which: u8) -> Option<&T> {
    let back = usize::from(which % 8).checked_rem(list.len())?;
    list.iter().rev().nth(back)
}

fn request(to: usize, body: Option<Body>) -> Request {
    Request {
        method: Method::Invite,
        flow: flow(to),
        request_uri: b"sip:b@192.0.2.2".to_vec(),
        from: b"<sip:a@192.0.2.1>".to_vec(),
        to: b"<sip:b@192.0.2.2>".to_vec(),
        route: Vec::new(),
        max_forwards: 70,
        headers: Vec::new(),
        body,
        credentials: None,
    }
}
