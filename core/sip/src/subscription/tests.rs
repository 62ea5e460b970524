//! Subscriptions from SUBSCRIBE to the last NOTIFY (RFC 6665, 4.2), storms, bounds, restarts.

use std::time::Duration;

use koukan_base::Time;

use super::*;
use crate::header::{SubscriptionState, SubscriptionStatus};
use crate::{Flow, Identity, ListenerId, Message, Request, Response, Scanner, Transport};

const START: Time = Time::from_millis(10_000);

fn flow() -> Flow {
    let remote = ([192, 0, 2, 30], 5060).into();
    Flow { transport: Transport::Udp, listener: ListenerId(0), remote, connection: 0 }
}

/// A SUBSCRIBE of the phone `name`, with further header lines.
fn message(name: &str, to_tag: &str, cseq: u32, lines: &str) -> Message {
    let to_tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
    let text = format!(
        "SUBSCRIBE sip:801@sip.example.jp SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.30;branch=z9hG4bK1\r\n\
         From: \"\u{30b7}\" <sip:802@sip.example.jp>;tag=f{name}\r\n\
         To: <sip:801@sip.example.jp>{to_tag}\r\nCall-ID: {name}\r\nCSeq: {cseq} SUBSCRIBE\r\n\
         Contact: <sip:802@192.0.2.30>\r\nRecord-Route: <sip:p1;lr>, <sip:p2;lr>\r\n{lines}\r\n"
    );
    Message::from_datagram(&mut Scanner::new(), text.as_bytes()).unwrap()
}

fn lamp() -> Target {
    Target::One { resource: "801".into(), entity: b"sip:801@sip.example.jp".to_vec() }
}

fn lamps(count: u16) -> Target {
    let member = |number: u16| Member {
        resource: (801 + number).to_string().into(),
        uri: format!("sip:{}@a", 801 + number).into_bytes(),
        name: Vec::new(),
    };
    Target::List { entity: b"sip:lamps@a".to_vec(), members: (0..count).map(member).collect() }
}

fn busy(number: usize) -> State {
    let dialog = DialogInfo {
        id: number.to_string().into_bytes(),
        call_id: None,
        local_tag: None,
        remote_tag: None,
        direction: DialogDirection::Recipient,
        state: DialogState::Early,
        local: Participant::default(),
        remote: Participant::default(),
    };
    State::Dialogs(vec![dialog; number])
}

/// A notifier, its clock, and what it wanted.
struct Rig {
    now: Time,
    notifier: Notifier,
    sent: Vec<(SubscriptionId, Request, Identity)>,
    stored: std::collections::BTreeMap<SubscriptionId, SubscriptionRecord>,
    wanted: Vec<Box<str>>,
    /// States are told as soon as they are wanted.
    knows: bool,
}

impl Rig {
    fn new() -> Self {
        let config = NotifierConfig { max_per_user: 3, ..NotifierConfig::default() };
        Self {
            now: START,
            notifier: Notifier::new(config),
            sent: Vec::new(),
            stored: std::collections::BTreeMap::new(),
            wanted: Vec::new(),
            knows: true,
        }
    }

    fn drain(&mut self) {
        while let Some(action) = self.notifier.poll_action() {
            match action {
                NotifierAction::Notify { subscription, request, identity } => {
                    self.sent.push((subscription, *request, identity));
                }
                NotifierAction::StateWanted { package: Package::Dialog, resource } => {
                    if self.knows {
                        self.notifier.set_state(self.now, &resource, busy(0));
                    }
                    self.wanted.push(resource);
                }
                NotifierAction::StateWanted { .. } => {}
                NotifierAction::Store { subscription, record } => {
                    self.stored.insert(subscription, *record);
                }
                NotifierAction::Forget { subscription } => {
                    assert!(self.stored.remove(&subscription).is_some());
                }
            }
        }
    }

    fn subscribe(&mut self, name: &str, target: Target, lines: &str) -> Response {
        let message = message(name, "", 1, lines);
        let local_tag = format!("t{name}");
        let subscribe = Subscribe {
            message: &message,
            flow: flow(),
            local_tag: local_tag.as_bytes(),
            user: "802",
            target,
        };
        let response = self.notifier.subscribe(self.now, subscribe);
        self.drain();
        self.run(Duration::ZERO);
        response
    }

    fn refresh(&mut self, name: &str, cseq: u32, lines: &str) -> Response {
        let message = message(name, &format!("t{name}"), cseq, lines);
        let response = self.notifier.refresh(self.now, flow(), &message);
        self.drain();
        self.run(Duration::ZERO);
        response
    }

    fn run(&mut self, duration: Duration) {
        let until = self.now + duration;
        let mut steps = 0;
        while let Some(next) = self.notifier.poll_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.notifier.handle_timeout(self.now);
            self.drain();
            steps += 1;
            assert!(steps < 10_000, "a timer comes again and again");
        }
        self.now = until;
    }

    fn set(&mut self, resource: &str, state: State) {
        self.notifier.set_state(self.now, resource, state);
        self.drain();
    }

    /// The only NOTIFY since the last look: its state, body, CSeq; answered with `status`.
    fn answer(&mut self, status: u16) -> (String, String, u32) {
        assert_eq!(self.sent.len(), 1, "{:?}", self.sent);
        let (subscription, request, identity) = self.sent.remove(0);
        self.notifier.handle_outcome(self.now, subscription, status, None);
        self.drain();
        let body = request.body.map(|body| String::from_utf8(body.bytes).unwrap());
        let state = request.headers.iter().find(|(name, _)| *name == "Subscription-State");
        let state = String::from_utf8(state.unwrap().1.clone()).unwrap();
        (state, body.unwrap_or_default(), identity.cseq)
    }

    fn finish(mut self) {
        self.run(Duration::from_secs(8000));
        while !self.sent.is_empty() {
            for (subscription, _, _) in std::mem::take(&mut self.sent) {
                self.notifier.handle_outcome(self.now, subscription, 200, None);
            }
            self.drain();
            self.run(Duration::from_secs(8000));
        }
        assert!(self.notifier.is_empty(), "{:?}", self.notifier);
        assert!(self.stored.is_empty());
    }
}

fn header(response: &Response, name: &str) -> String {
    let found = response.headers.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| String::from_utf8(value.clone()).unwrap()).unwrap_or_default()
}

const DIALOG: &str = "Event: dialog\r\nExpires: 600\r\n";

#[test]
fn a_subscription_is_granted_told_at_once_and_at_each_change_until_it_ends() {
    let mut rig = Rig::new();
    let response = rig.subscribe("a", lamp(), "Event: dialog;id=7\r\nExpires: 600\r\n");
    assert_eq!((response.status, header(&response, "Expires").as_str()), (200, "600"));
    let (_, notify, identity) = rig.sent[0].clone();
    assert_eq!(notify.request_uri, b"sip:802@192.0.2.30");
    assert_eq!(notify.route, [b"<sip:p1;lr>".to_vec(), b"<sip:p2;lr>".to_vec()]);
    assert_eq!(notify.to, "\"\u{30b7}\" <sip:802@sip.example.jp>;tag=fa".as_bytes());
    assert_eq!(notify.from, b"<sip:801@sip.example.jp>");
    assert_eq!(
        (identity.local_tag.as_slice(), identity.call_id.as_slice()),
        (&b"ta"[..], &b"a"[..])
    );
    assert!(notify.headers.contains(&("Event", b"dialog;id=7".to_vec())));
    let (state, body, cseq) = rig.answer(200);
    assert_eq!((state.as_str(), cseq), ("active;expires=600", 1));
    assert!(body.contains("version=\"0\" state=\"full\" entity=\"sip:801@sip.example.jp\""));
    rig.run(Duration::from_secs(100));
    rig.set("801", busy(1));
    let (state, body, cseq) = rig.answer(200);
    assert_eq!((state.as_str(), cseq), ("active;expires=500", 2));
    assert!(body.contains("version=\"1\"") && body.contains("<state>early</state>"));
    rig.set("801", busy(1));
    assert!(rig.sent.is_empty(), "the same state is no change");
    rig.run(Duration::from_secs(499));
    assert!(rig.sent.is_empty());
    rig.run(Duration::from_secs(1));
    let (state, body, cseq) = rig.answer(200);
    assert_eq!((state.as_str(), cseq), ("terminated;reason=timeout", 3));
    assert!(body.contains("version=\"2\""));
    assert!(rig.notifier.is_empty());
    rig.finish();
}

#[test]
fn a_storm_costs_one_notify_in_flight_and_one_more() {
    let mut rig = Rig::new();
    rig.subscribe("a", lamp(), DIALOG);
    for number in 1..1000 {
        rig.set("801", busy(number % 7));
    }
    assert_eq!(rig.sent.len(), 1);
    rig.answer(200);
    let (_, body, cseq) = rig.answer(200);
    assert_eq!((body.matches("<dialog ").count(), cseq), (999 % 7, 2));
    assert!(rig.sent.is_empty());
    rig.finish();
}

#[test]
fn a_refresh_prolongs_and_tells_everything_and_zero_ends() {
    let mut rig = Rig::new();
    rig.subscribe("a", lamp(), DIALOG);
    rig.answer(200);
    rig.run(Duration::from_secs(500));
    let response = rig.refresh("a", 2, DIALOG);
    assert_eq!((response.status, header(&response, "Expires").as_str()), (200, "600"));
    assert_eq!(rig.answer(200).0, "active;expires=600");
    rig.run(Duration::from_secs(400));
    assert_eq!(rig.refresh("a", 2, DIALOG).status, 500);
    assert_eq!(rig.refresh("a", 3, "Event: dialog;id=2\r\n").status, 481);
    assert_eq!(rig.refresh("b", 3, DIALOG).status, 481);
    let response = rig.refresh("a", 4, "Event: dialog\r\nExpires: 0\r\n");
    assert_eq!((response.status, header(&response, "Expires").as_str()), (200, "0"));
    assert_eq!(rig.answer(200).0, "terminated;reason=timeout");
    assert_eq!(rig.refresh("a", 5, DIALOG).status, 481);
    rig.finish();
}

#[test]
fn a_fetch_is_one_notify_with_the_state() {
    let mut rig = Rig::new();
    let response = rig.subscribe("a", lamp(), "Event: dialog\r\nExpires: 0\r\n");
    assert_eq!(header(&response, "Expires"), "0");
    let (state, body, _) = rig.answer(200);
    assert_eq!(state, "terminated;reason=timeout");
    assert!(body.contains("dialog-info"));
    assert!(rig.notifier.is_empty());
    rig.knows = false;
    rig.subscribe("b", lamp(), "Event: dialog\r\nExpires: 0\r\n");
    assert!(rig.sent.is_empty());
    rig.run(Duration::from_secs(5));
    assert_eq!(rig.answer(200).1, "");
    rig.finish();
}

#[test]
fn what_cannot_be_granted_is_refused_and_leaves_nothing() {
    let mut rig = Rig::new();
    for (lines, status, name, value) in [
        ("Event: presence\r\n", 489, "Allow-Events", Package::ALLOW_EVENTS),
        ("", 489, "Allow-Events", Package::ALLOW_EVENTS),
        ("Event: dialog\r\nExpires: 59\r\n", 423, "Min-Expires", "60"),
        ("Event: dialog\r\nExpires: -1\r\n", 400, "", ""),
        ("Event: dialog\r\nAccept: application/pidf+xml\r\n", 406, "", ""),
    ] {
        let response = rig.subscribe("a", lamp(), lines);
        assert_eq!((response.status, header(&response, name).as_str()), (status, value));
    }
    let response = rig.subscribe("a", lamps(2), DIALOG);
    assert_eq!((response.status, header(&response, "Require").as_str()), (421, "eventlist"));
    let response = rig.subscribe("a", lamps(300), "Event: dialog\r\nSupported: eventlist\r\n");
    assert_eq!(response.status, 503);
    assert!(rig.notifier.is_empty());
    let granted = |lines: &str| header(&Rig::new().subscribe("a", lamp(), lines), "Expires");
    assert_eq!(granted("Event: dialog\r\n"), "3600");
    assert_eq!(granted("Event: reg\r\n"), "3761");
    assert_eq!(granted("Event: dialog\r\nExpires: 99999999999\r\nAccept: */*\r\n"), "3761");
    rig.finish();
}

#[test]
fn a_user_and_everybody_have_bounds() {
    let mut rig = Rig::new();
    for name in ["a", "b", "c"] {
        assert_eq!(rig.subscribe(name, lamp(), DIALOG).status, 200);
    }
    let response = rig.subscribe("d", lamp(), DIALOG);
    assert_eq!((response.status, header(&response, "Retry-After").as_str()), (503, "60"));
    rig.notifier = Notifier::new(NotifierConfig { max_subscriptions: 1, ..Default::default() });
    rig.sent.clear();
    rig.stored.clear();
    assert_eq!(rig.subscribe("a", lamp(), DIALOG).status, 200);
    assert_eq!(rig.subscribe("b", lamp(), DIALOG).status, 503);
    rig.finish();
}

#[test]
fn a_subscriber_that_is_gone_or_refuses_ends_its_subscription_and_retry_after_does_not() {
    for status in [481, 408, 603, 401] {
        let mut rig = Rig::new();
        rig.subscribe("a", lamp(), DIALOG);
        rig.answer(status);
        assert!(rig.notifier.is_empty(), "{status}");
        assert!(!rig.notifier.is_watched(Package::Dialog, "801"));
        rig.finish();
    }
    let mut rig = Rig::new();
    rig.subscribe("a", lamp(), DIALOG);
    let (subscription, _, _) = rig.sent.remove(0);
    rig.notifier.handle_outcome(rig.now, subscription, 503, Some(30));
    rig.set("801", busy(1));
    rig.run(Duration::from_secs(29));
    assert!(rig.sent.is_empty());
    rig.run(Duration::from_secs(1));
    assert!(rig.answer(200).1.contains("early"));
    rig.finish();
}

#[test]
fn removal_rejection_and_a_stop_say_why() {
    let mut rig = Rig::new();
    rig.subscribe("a", lamp(), DIALOG);
    rig.answer(200);
    rig.notifier.remove_resource(rig.now, Package::Dialog, "801");
    rig.drain();
    assert_eq!(rig.answer(200), ("terminated;reason=noresource".to_owned(), String::new(), 2));
    rig.subscribe("b", lamp(), DIALOG);
    rig.notifier.reject_user(rig.now, "802");
    rig.drain();
    rig.answer(200);
    assert_eq!(rig.answer(200).0, "terminated;reason=rejected");
    rig.subscribe("c", lamp(), DIALOG);
    rig.answer(200);
    rig.notifier.stop(rig.now);
    rig.drain();
    let state = rig.answer(200).0;
    let state = SubscriptionState::parse(state.as_bytes()).unwrap();
    assert_eq!(state.status, SubscriptionStatus::Terminated);
    assert_eq!(state.reason, Some(b"deactivated".as_slice()));
    rig.finish();
}

#[test]
fn a_list_tells_all_at_first_and_then_what_changed_gathered() {
    let mut rig = Rig::new();
    let response = rig.subscribe("a", lamps(3), "Event: dialog\r\nSupported: eventlist\r\n");
    assert_eq!(header(&response, "Require"), "eventlist");
    assert!(rig.sent[0].1.headers.contains(&("Require", b"eventlist".to_vec())));
    let (_, body, _) = rig.answer(200);
    assert!(body.contains("version=\"0\" fullState=\"true\""));
    assert_eq!(body.matches("<dialog-info").count(), 3);
    rig.set("802", busy(1));
    rig.set("803", busy(2));
    rig.set("802", busy(3));
    assert!(rig.sent.is_empty());
    rig.run(Duration::from_millis(250));
    let (_, body, cseq) = rig.answer(200);
    assert_eq!(cseq, 2);
    assert!(body.contains("version=\"1\" fullState=\"false\""));
    assert!(!body.contains("sip:801@a") && body.contains("sip:802@a"));
    assert_eq!(body.matches("<dialog ").count(), 5);
    rig.notifier.remove_resource(rig.now, Package::Dialog, "801");
    assert_eq!(rig.notifier.len(), 1, "a list outlives a member");
    rig.finish();
}

#[test]
fn a_restart_goes_on_with_greater_numbers_and_fresh_state() {
    let mut rig = Rig::new();
    rig.subscribe("a", lamp(), DIALOG);
    let mut last = rig.answer(200).2;
    for number in 1..200 {
        rig.set("801", busy(number));
        last = rig.answer(200).2;
    }
    let records: Vec<SubscriptionRecord> = rig.stored.values().cloned().collect();
    assert_eq!(records.len(), 1);
    let mut again = Rig::new();
    again.now = rig.now;
    for record in records {
        let id = again.notifier.restore(again.now, record.clone());
        again.stored.insert(id, record);
    }
    again.drain();
    assert_eq!(again.wanted, [Box::from("801")]);
    again.run(Duration::from_secs(5));
    let (state, body, cseq) = again.answer(200);
    assert!(cseq > last && cseq <= last + 65, "{last} {cseq}");
    assert!(body.contains(&format!("version=\"{}\"", cseq - 1)));
    assert!(state.starts_with("active;expires=600"));
    assert_eq!(again.refresh("a", 2, DIALOG).status, 200);
    assert_eq!(again.answer(200).2, cseq + 1);
    again.finish();
}

#[test]
fn a_new_connection_of_the_phone_is_used_from_then_on() {
    let mut rig = Rig::new();
    rig.subscribe("a", lamp(), DIALOG);
    rig.answer(200);
    let new = Flow { connection: 9, transport: Transport::Tcp, ..flow() };
    rig.notifier.rebind("802", flow(), new);
    rig.set("801", busy(1));
    assert_eq!(rig.sent[0].1.flow, new);
    rig.answer(200);
    rig.finish();
}

#[test]
fn hundreds_of_watchers_get_one_notify_each_and_a_watcher_stays_small() {
    let config = NotifierConfig { max_per_user: 500, ..NotifierConfig::default() };
    let mut rig = Rig { notifier: Notifier::new(config), ..Rig::new() };
    for number in 0..300 {
        rig.subscribe(&format!("w{number}"), lamp(), DIALOG);
    }
    assert_eq!(rig.wanted.len(), 1, "the state is asked for once");
    for (subscription, _, _) in std::mem::take(&mut rig.sent) {
        rig.notifier.handle_outcome(rig.now, subscription, 200, None);
    }
    rig.set("801", busy(1));
    assert_eq!(rig.sent.len(), 300);
    let size = size_of::<table::Subscription>() + size_of::<SubscriptionRecord>();
    assert!(size < 600, "{size}");
    rig.finish();
}

#[test]
fn messages_that_wait_are_told_with_and_without_a_subscription() {
    let mut rig = Rig::new();
    let target = Target::One { resource: "box".into(), entity: b"sip:box@a".to_vec() };
    rig.subscribe("a", target, "Event: message-summary\r\n");
    let voice = MessageCount { new: 1, ..MessageCount::default() };
    let summary = MessageSummary { voice, ..MessageSummary::default() };
    rig.set("box", State::Messages(summary.clone()));
    assert!(rig.answer(200).1.starts_with("Messages-Waiting: yes\r\n"));
    let request = unsolicited(flow(), b"sip:802@192.0.2.30", &[], b"<sip:802@a>", &summary);
    assert!(request.headers.contains(&("Event", b"message-summary".to_vec())));
    assert_eq!(
        request.body.unwrap().bytes,
        b"Messages-Waiting: yes\r\nVoice-Message: 1/0 (0/0)\r\n"
    );
    rig.finish();
}

#[test]
fn allow_events_are_read_back_as_packages() {
    let known = crate::header::split_list(Package::ALLOW_EVENTS.as_bytes());
    let packages: Vec<_> = known.map(Package::from_name).collect();
    let all = [Package::MessageSummary, Package::Dialog, Package::Reg].map(Some);
    assert_eq!(packages[..3], all);
}
