//! A phone that subscribes and a server that notifies (RFC 6665), each behind its user agent, over
//! a link that loses and doubles: the tables are empty at the end.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use koukan_base::{Rng, Time};
use koukan_sip::subscription::{
    MessageCount, MessageSummary, Notifier, NotifierAction, NotifierConfig, Package, State,
    Subscribe, SubscriptionId, Target,
};
use koukan_sip::{
    ClientTx, Counts, Event, Flow, Header, Identity, Listener, ListenerId, Message, Method,
    Request, Response, Transport, UaAction, UaConfig, UserAgent,
};

fn agent(index: u8, seed: u64) -> UserAgent {
    let advertised = ([192, 0, 2, index], 5060).into();
    let listener = Listener { id: ListenerId(0), transport: Transport::Udp, advertised };
    let config = UaConfig { listeners: vec![listener], ..UaConfig::default() };
    UserAgent::new(config, Rng::from_number(seed * 2 + u64::from(index)))
}

fn flow(to: u8) -> Flow {
    let remote = ([192, 0, 2, to], 5060).into();
    Flow { transport: Transport::Udp, listener: ListenerId(0), remote, connection: 0 }
}

struct Rig {
    now: Time,
    server: UserAgent,
    notifier: Notifier,
    notifies: HashMap<ClientTx, SubscriptionId>,
    phone: UserAgent,
    /// What the phone heard: state and body of each NOTIFY, in order of CSeq.
    heard: Vec<(u32, String, String)>,
    /// The phone's final responses.
    answers: Vec<Message>,
    wire: BTreeMap<(Time, u64), (bool, Vec<u8>)>,
    sent: u64,
    dice: Rng,
    loss_percent: u32,
}

impl Rig {
    fn new(seed: u64, loss_percent: u32) -> Self {
        Self {
            now: Time::from_millis(1),
            server: agent(1, seed),
            notifier: Notifier::new(NotifierConfig::default()),
            notifies: HashMap::new(),
            phone: agent(2, seed),
            heard: Vec::new(),
            answers: Vec::new(),
            wire: BTreeMap::new(),
            sent: 0,
            dice: Rng::from_number(seed),
            loss_percent,
        }
    }

    fn transmit(&mut self, to_phone: bool, bytes: &[u8]) {
        let lost = self.dice.next_u32() % 100 < self.loss_percent;
        let copies = if lost { self.dice.next_u32() % 2 * 2 } else { 1 };
        for _ in 0..copies {
            self.sent += 1;
            let at = self.now + Duration::from_millis(u64::from(self.dice.next_u32() % 40) + 1);
            self.wire.insert((at, self.sent), (to_phone, bytes.to_vec()));
        }
    }

    fn drain(&mut self) {
        loop {
            if let Some(action) = self.server.poll_action() {
                self.server_action(action);
            } else if let Some(action) = self.notifier.poll_action() {
                self.notifier_action(action);
            } else if let Some(action) = self.phone.poll_action() {
                self.phone_action(action);
            } else {
                return;
            }
        }
    }

    fn server_action(&mut self, action: UaAction) {
        match action {
            UaAction::Send { bytes, .. } => self.transmit(true, &bytes),
            UaAction::Event(Event::Request { tx, flow, message }) => {
                assert_eq!(message.method(), Some(Method::Subscribe));
                let tag = self.server.response_tag(tx).expect("a transaction").to_vec();
                let response = if message.to_tag().is_some() {
                    self.notifier.refresh(self.now, flow, &message)
                } else {
                    let target =
                        Target::One { resource: "box".into(), entity: b"sip:box@a".to_vec() };
                    let subscribe =
                        Subscribe { message: &message, flow, local_tag: &tag, user: "802", target };
                    self.notifier.subscribe(self.now, subscribe)
                };
                self.server.respond(self.now, tx, response);
            }
            UaAction::Event(Event::Response { tx, status, message, .. }) => {
                let subscription = self.notifies.remove(&tx).expect("a NOTIFY of ours");
                let after = message.and_then(|message| message.number(Header::RetryAfter));
                self.notifier.handle_outcome(self.now, subscription, status, after);
            }
            UaAction::Event(other) => panic!("{other:?}"),
        }
    }

    fn notifier_action(&mut self, action: NotifierAction) {
        match action {
            NotifierAction::Notify { subscription, request, identity } => {
                let tx = self.server.request_as(self.now, *request, identity);
                self.notifies.insert(tx, subscription);
            }
            NotifierAction::StateWanted { package, .. } => {
                assert_eq!(package, Package::MessageSummary);
                self.notifier.set_state(self.now, "box", messages(0));
            }
            NotifierAction::Store { .. } | NotifierAction::Forget { .. } => {}
        }
    }

    fn phone_action(&mut self, action: UaAction) {
        match action {
            UaAction::Send { bytes, .. } => self.transmit(false, &bytes),
            UaAction::Event(Event::Request { tx, message, .. }) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let state = text(message.header(Header::SubscriptionState).expect("a state"));
                let cseq = message.cseq().expect("a CSeq").number;
                self.heard.push((cseq, state, text(message.body())));
                self.phone.respond(self.now, tx, Response::new(200));
            }
            UaAction::Event(Event::Response { message, .. }) => self.answers.extend(message),
            UaAction::Event(other) => panic!("{other:?}"),
        }
    }

    /// When the next message arrives, and when the next thing is due.
    fn next(&self) -> (Option<Time>, Option<Time>) {
        let arrival = self.wire.keys().next().map(|(at, _)| *at);
        let timers =
            [self.server.poll_timeout(), self.notifier.poll_timeout(), self.phone.poll_timeout()];
        (arrival, timers.into_iter().chain([arrival]).flatten().min())
    }

    fn step(&mut self) -> bool {
        self.drain();
        let (arrival, Some(next)) = self.next() else { return false };
        self.now = self.now.max(next);
        if arrival == Some(next) {
            let (_, (to_phone, bytes)) = self.wire.pop_first().expect("an arrival");
            if to_phone {
                self.phone.handle_bytes(self.now, flow(1), &bytes);
            } else {
                self.server.handle_bytes(self.now, flow(2), &bytes);
            }
        } else {
            self.server.handle_timeout(self.now);
            self.notifier.handle_timeout(self.now);
            self.phone.handle_timeout(self.now);
        }
        self.drain();
        true
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        self.drain();
        while self.next().1.is_some_and(|next| next <= until) {
            self.step();
        }
        self.now = until;
    }

    fn subscribe(&mut self, identity: Option<Identity>, to: &[u8], expires: u32) {
        let request = Request {
            method: Method::Subscribe,
            flow: flow(1),
            request_uri: b"sip:box@192.0.2.1".to_vec(),
            from: b"<sip:802@192.0.2.1>".to_vec(),
            to: to.to_vec(),
            route: Vec::new(),
            max_forwards: 70,
            headers: vec![
                ("Event", b"message-summary".to_vec()),
                ("Expires", expires.to_string().into_bytes()),
            ],
            body: None,
            credentials: None,
        };
        match identity {
            None => drop(self.phone.request(self.now, request)),
            Some(identity) => drop(self.phone.request_as(self.now, request, identity)),
        }
    }
}

fn messages(new: u32) -> State {
    let voice = MessageCount { new, ..MessageCount::default() };
    State::Messages(MessageSummary { voice, ..MessageSummary::default() })
}

#[test]
fn a_subscription_lives_over_a_bad_link_and_leaves_nothing() {
    for seed in 0..100 {
        let mut rig = Rig::new(seed, 20);
        rig.subscribe(None, b"<sip:box@192.0.2.1>", 600);
        rig.run(Duration::from_secs(40));
        let answer = rig.answers.pop().expect("an answer");
        assert_eq!((answer.status(), answer.number(Header::Expires)), (Some(200), Some(600)));
        for new in 1..=20 {
            rig.notifier.set_state(rig.now, "box", messages(new));
            rig.run(Duration::from_millis(70));
        }
        rig.run(Duration::from_secs(40));
        let (_, _, newest) = rig.heard.iter().max().expect("a NOTIFY");
        assert!(newest.contains("Voice-Message: 20/0"), "{newest}");
        let identity = Identity {
            call_id: answer.call_id().to_vec(),
            local_tag: answer.from_tag().expect("a tag").to_vec(),
            cseq: 2,
        };
        let to = answer.header(Header::To).expect("To").to_vec();
        rig.subscribe(Some(identity), &to, 0);
        while rig.step() {}
        let (_, state, _) = rig.heard.iter().max().expect("a NOTIFY");
        assert_eq!(state, "terminated;reason=timeout");
        let numbers: Vec<u32> = rig.heard.iter().map(|(cseq, ..)| *cseq).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "one at a time: {numbers:?}");
        assert!(rig.notifier.is_empty() && rig.notifies.is_empty());
        assert_eq!((rig.server.counts(), rig.phone.counts()), Default::default());
        assert_eq!(rig.server.counts(), Counts::default());
    }
}

#[test]
fn a_phone_that_vanished_costs_one_notify_and_ends() {
    let mut rig = Rig::new(1, 0);
    rig.subscribe(None, b"<sip:box@192.0.2.1>", 3600);
    rig.run(Duration::from_secs(40));
    rig.loss_percent = 100;
    rig.dice = Rng::from_number(5);
    let before = rig.now;
    rig.notifier.set_state(rig.now, "box", messages(1));
    rig.drain();
    rig.wire.clear();
    while !rig.notifier.is_empty() {
        assert!(rig.step());
        rig.wire.clear();
    }
    assert_eq!(rig.now.since(before), Duration::from_secs(32));
    while rig.step() {}
    assert_eq!((rig.server.counts(), rig.phone.counts()), Default::default());
}

#[test]
fn a_refresh_of_what_is_not_there_is_481() {
    let mut rig = Rig::new(2, 0);
    let identity = Identity { call_id: b"x".to_vec(), local_tag: b"y".to_vec(), cseq: 4 };
    rig.subscribe(Some(identity), b"<sip:box@192.0.2.1>;tag=z", 600);
    while rig.step() {}
    assert_eq!(rig.answers.first().and_then(Message::status), Some(481));
    assert!(rig.notifier.is_empty());
}
