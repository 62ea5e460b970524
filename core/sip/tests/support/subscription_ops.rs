//! A list of operations against one notifier (RFC 6665), read from bytes: SUBSCRIBEs, changes,
//! outcomes, time and restarts in any order. Each subscription has one NOTIFY under way at most and
//! numbers that only grow; at the end nothing is left. Shared by property test and fuzzer.

use std::collections::BTreeMap;
use std::time::Duration;

use koukan_base::Time;
use koukan_sip::subscription::{
    DialogDirection, DialogInfo, DialogState, Member, Notifier, NotifierAction, NotifierConfig,
    Package, Participant, State, Subscribe, SubscriptionId, SubscriptionRecord, Target,
};
use koukan_sip::{Flow, Message, Scanner, Transport};

use super::peer::flow;

/// A notifier with its store.
pub(crate) struct Ops {
    now: Time,
    notifier: Notifier,
    flow: Flow,
    /// NOTIFYs without an outcome, each with the number of its dialog.
    open: Vec<(SubscriptionId, Vec<u8>)>,
    stored: BTreeMap<SubscriptionId, SubscriptionRecord>,
    /// The last CSeq of each dialog, over restarts.
    last: BTreeMap<Vec<u8>, u32>,
    cseq: u32,
}

impl Ops {
    /// Empty tables.
    pub(crate) fn new() -> Self {
        let config = NotifierConfig {
            max_subscriptions: 12,
            max_per_user: 5,
            max_members: 4,
            ..NotifierConfig::default()
        };
        Self {
            now: Time::from_millis(1),
            notifier: Notifier::new(config),
            flow: flow(Transport::Udp),
            open: Vec::new(),
            stored: BTreeMap::new(),
            last: BTreeMap::new(),
            cseq: 0,
        }
    }

    /// Performs every operation of `script`, then lets everything end and checks the tables.
    pub(crate) fn run(mut self, script: &[u8]) {
        for operation in script.chunks_exact(3).take(300) {
            if let [what, which, how] = *operation {
                self.operation(what % 9, which, how);
                self.drain();
            }
        }
        self.finish();
    }

    fn operation(&mut self, what: u8, which: u8, how: u8) {
        let now = self.now;
        let resource = format!("r{}", which & 3);
        match what {
            0 => self.subscribe(which, how),
            1 => self.refresh(which, how),
            2 => self.notifier.set_state(now, &resource, state(how)),
            3 => self.outcome(which, how),
            4 => {
                self.now = now + Duration::from_millis(u64::from(which) * u64::from(how) * 40);
                self.notifier.handle_timeout(self.now);
            }
            5 => self.notifier.remove_resource(now, Package::Dialog, &resource),
            6 => match how & 7 {
                0 => self.notifier.stop(now),
                1 => self.notifier.reject_user(now, &format!("u{}", which & 1)),
                _ => {
                    let new = Flow { connection: u64::from(how), ..self.flow };
                    self.notifier.rebind("u0", self.flow, new);
                }
            },
            7 => self.restart(),
            _ => self.notifier.handle_timeout(now),
        }
    }

    fn message(&mut self, name: u8, to_tag: &str, how: u8) -> Message {
        const EVENTS: [&str; 4] = ["dialog", "dialog;id=1", "reg", "presence"];
        const EXPIRES: [&str; 4] = ["0", "59", "60", "7200"];
        self.cseq += 1;
        let pick = |list: &'static [&'static str; 4], bits: u8| {
            list.get(usize::from(bits & 3)).copied().unwrap_or_default()
        };
        let text = format!(
            "SUBSCRIBE sip:r@a SIP/2.0\r\nVia: SIP/2.0/UDP b;branch=z9hG4bK1\r\n\
             From: <sip:w@a>;tag=f{name}\r\nTo: <sip:r@a>{to_tag}\r\nCall-ID: c{name}\r\n\
             CSeq: {} SUBSCRIBE\r\nContact: <sip:w@b>\r\nEvent: {}\r\nExpires: {}\r\n\
             Supported: {}\r\n\r\n",
            self.cseq,
            pick(&EVENTS, how),
            pick(&EXPIRES, how >> 2),
            if how & 0x20 == 0 { "eventlist" } else { "timer" },
        );
        Message::from_datagram(&mut Scanner::new(), text.as_bytes()).expect("SIP")
    }

    fn subscribe(&mut self, which: u8, how: u8) {
        let message = self.message(which, "", how);
        let entity = b"sip:r@a".to_vec();
        let target = if how & 0x40 == 0 {
            Target::One { resource: format!("r{}", which & 3).into(), entity }
        } else {
            let member = |number: u8| Member {
                resource: format!("r{number}").into(),
                uri: format!("sip:r{number}@a").into_bytes(),
                name: Vec::new(),
            };
            Target::List { entity, members: (0..which & 7).map(member).collect() }
        };
        // Our tag is new each time, as the user agent makes it.
        let tag = format!("t{}", self.cseq);
        let user = format!("u{}", which & 1);
        let subscribe = Subscribe {
            message: &message,
            flow: self.flow,
            local_tag: tag.as_bytes(),
            user: &user,
            target,
        };
        let response = self.notifier.subscribe(self.now, subscribe);
        assert!(matches!(response.status, 200 | 421 | 423 | 489 | 503), "{}", response.status);
    }

    fn refresh(&mut self, which: u8, how: u8) {
        let records: Vec<&SubscriptionRecord> = self.stored.values().collect();
        let record = usize::from(which).checked_rem(records.len()).and_then(|at| records.get(at));
        let tag = record.map_or_else(String::new, |record| {
            format!(";tag={}", String::from_utf8_lossy(&record.local_tag))
        });
        let name = record
            .and_then(|record| std::str::from_utf8(record.call_id.get(1..)?).ok()?.parse().ok());
        let message = self.message(name.unwrap_or(which), &tag, how);
        let response = self.notifier.refresh(self.now, self.flow, &message);
        assert!(matches!(response.status, 200 | 423 | 481 | 489 | 500), "{}", response.status);
    }

    fn outcome(&mut self, which: u8, how: u8) {
        let Some(at) = usize::from(which).checked_rem(self.open.len()) else { return };
        let (subscription, _) = self.open.remove(at);
        let (status, after) = match how & 7 {
            0 => (481, None),
            1 => (503, Some(u32::from(how))),
            2 => (408, None),
            _ => (200, None),
        };
        self.notifier.handle_outcome(self.now, subscription, status, after);
    }

    /// Everything but the store is lost.
    fn restart(&mut self) {
        let config = NotifierConfig::default();
        self.notifier = Notifier::new(config);
        self.open.clear();
        for record in std::mem::take(&mut self.stored).into_values() {
            let id = self.notifier.restore(self.now, record.clone());
            self.stored.insert(id, record);
        }
    }

    fn drain(&mut self) {
        while let Some(action) = self.notifier.poll_action() {
            match action {
                NotifierAction::Notify { subscription, request, identity } => {
                    assert!(
                        self.open.iter().all(|(known, _)| *known != subscription),
                        "two NOTIFYs of one subscription"
                    );
                    let dialog = identity.local_tag.clone();
                    let last = self.last.insert(dialog.clone(), identity.cseq);
                    assert!(last.is_none_or(|last| last < identity.cseq), "a number came back");
                    assert!(request.headers.iter().any(|(name, _)| *name == "Subscription-State"));
                    self.open.push((subscription, dialog));
                }
                NotifierAction::StateWanted { package: Package::Dialog, resource } => {
                    if resource.as_bytes() != b"r3" {
                        self.notifier.set_state(self.now, &resource, state(0));
                    }
                }
                NotifierAction::StateWanted { .. } => {}
                NotifierAction::Store { subscription, record } => {
                    self.stored.insert(subscription, *record);
                }
                NotifierAction::Forget { subscription } => {
                    assert!(self.stored.remove(&subscription).is_some(), "forgotten, not stored");
                }
            }
        }
    }

    fn finish(mut self) {
        let mut steps = 0;
        loop {
            self.drain();
            for (subscription, _) in std::mem::take(&mut self.open) {
                self.notifier.handle_outcome(self.now, subscription, 200, None);
            }
            self.drain();
            match self.notifier.poll_timeout() {
                Some(next) => {
                    self.now = self.now.max(next);
                    self.notifier.handle_timeout(self.now);
                }
                None if self.open.is_empty() => break,
                None => {}
            }
            steps += 1;
            assert!(steps < 10_000, "a timer comes again and again");
        }
        assert!(self.notifier.is_empty());
        assert!(self.stored.is_empty());
    }
}

fn state(how: u8) -> State {
    let dialog = |number: u8| DialogInfo {
        id: vec![number],
        call_id: Some(vec![how; 3]),
        local_tag: None,
        remote_tag: None,
        direction: DialogDirection::Initiator,
        state: DialogState::Confirmed,
        local: Participant::default(),
        remote: Participant { display: vec![how, b'<'], ..Participant::default() },
    };
    State::Dialogs((0..how & 3).map(dialog).collect())
}
