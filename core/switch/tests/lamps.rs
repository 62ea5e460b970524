//! Lamps, waiting messages and registrations as phones watch them: what they see, who may, what a
//! restart leaves, what a storm costs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_sip::{Header, Message};
use koukan_switch::{MessageCount, MessageSummary, Record};
use office::{Did, Does, Office, SERVER, TRUNK};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn watch(office: &mut Office, name: char, target: &str, package: &str) {
    let now = office.now;
    office.phone(name).subscribe(now, target, package, 600);
    office.run(secs(1));
}

fn body(message: &Message) -> String {
    String::from_utf8(message.body().to_vec()).unwrap()
}

fn last(office: &mut Office, name: char) -> String {
    body(office.phone(name).notifies.last().unwrap())
}

/// The state of the only dialog, or `idle`.
fn lamp(office: &mut Office, name: char) -> String {
    let text = last(office, name);
    let state = text.split("<state>").nth(1).and_then(|rest| rest.split('<').next());
    state.unwrap_or("idle").to_owned()
}

#[test]
fn a_lamp_follows_its_line_through_a_call() {
    let mut office = Office::open();
    watch(&mut office, 'A', "804", "dialog");
    assert_eq!(lamp(&mut office, 'A'), "idle");
    office.phone('D').does = Does::Answers(3_000);
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    assert_eq!(lamp(&mut office, 'A'), "early");
    let text = last(&mut office, 'A');
    assert!(text.contains("direction=\"recipient\""), "{text}");
    assert!(text.contains("sip:0455550001@") && text.contains("local-tag=\""), "{text}");
    office.run(secs(3));
    assert_eq!(lamp(&mut office, 'A'), "confirmed");
    office.hang_up(TRUNK);
    office.run(secs(1));
    assert_eq!(lamp(&mut office, 'A'), "idle");
    let versions: Vec<u32> = office
        .phone('A')
        .notifies
        .iter()
        .map(|m| {
            body(m).split("version=\"").nth(2).unwrap().split('"').next().unwrap().parse().unwrap()
        })
        .collect();
    assert!(versions.windows(2).all(|pair| pair[0] < pair[1]), "{versions:?}");
    office.finish();
}

#[test]
fn a_lamp_shows_who_calls_out_and_a_hidden_caller_stays_hidden() {
    let mut office = Office::open();
    watch(&mut office, 'A', "acme-803", "dialog");
    office.call('C', "0455550001");
    office.run(secs(1));
    let text = last(&mut office, 'A');
    assert!(text.contains("direction=\"initiator\"") && text.contains("sip:0455550001@"), "{text}");
    office.give_up('C');
    office.run(secs(1));
    office.phone(TRUNK).headers = vec![("Privacy", b"id".to_vec())];
    office.call(TRUNK, "0312340002");
    office.run(secs(1));
    let text = last(&mut office, 'A');
    assert!(text.contains("anonymous") && !text.contains("0455550001"), "{text}");
    office.give_up(TRUNK);
    office.finish();
}

#[test]
fn a_watched_call_is_picked_up_with_the_tags_of_the_lamp() {
    let mut office = Office::open();
    watch(&mut office, 'A', "804", "dialog");
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    let text = last(&mut office, 'A');
    let value = |name: &str| {
        text.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    let (call_id, local, remote) = (value("call-id"), value("local-tag"), value("remote-tag"));
    let replaces = format!("{call_id};to-tag={local};from-tag={remote};early-only");
    office.phone('A').headers = vec![("Replaces", replaces.into_bytes())];
    office.call('A', "804");
    office.run(secs(1));
    let (a, trunk) = (office.phone('A').media, office.phone(TRUNK).media);
    assert!(office.media.joined(a, trunk), "{:?}", office.phone('A').log);
    office.hang_up('A');
    office.finish();
}

#[test]
fn only_the_own_office_may_be_watched_and_only_by_who_proves_itself() {
    let mut office = Office::with_neighbour();
    for (target, package, status) in [
        ("804", "dialog", 200),
        ("acme-804", "reg", 200),
        ("lamps", "dialog", 200),
        ("beta-801", "dialog", 403),
        ("899", "dialog", 404),
        ("804", "presence", 489),
    ] {
        office.phone('A').responses.clear();
        watch(&mut office, 'A', target, package);
        let got = office.phone('A').responses.last().and_then(Message::status);
        assert_eq!(got, Some(status), "{target} {package}");
    }
    let now = office.now;
    office.phone('A').responses.clear();
    office.phone('A').subscribe(now, "804", "dialog", 5);
    office.run(secs(1));
    let brief = office.phone('A').responses.last().cloned().unwrap();
    assert_eq!((brief.status(), brief.number(Header::MinExpires)), (Some(423), Some(60)));
    let stranger = "203.0.113.9:5060";
    office.raw(
        stranger,
        &format!(
            "SUBSCRIBE sip:804@{SERVER} SIP/2.0\nVia: SIP/2.0/UDP {stranger};branch=z9hG4bKs\n\
             From: <sip:x@y>;tag=1\nTo: <sip:804@{SERVER}>\nCall-ID: s\nCSeq: 1 SUBSCRIBE\n\
             Contact: <sip:x@{stranger}>\nEvent: dialog\nContent-Length: 0\n\n"
        ),
    );
    office.run(secs(1));
    assert_eq!(office.strays.last().unwrap().1.status(), Some(401));
}

#[test]
fn one_subscription_lights_every_lamp_of_the_office() {
    let mut office = Office::open();
    watch(&mut office, 'A', "lamps", "dialog");
    let first = last(&mut office, 'A');
    assert!(first.contains("fullState=\"true\"") && first.matches("<resource ").count() == 6);
    office.call(TRUNK, "0312340003");
    office.run(secs(2));
    let text = last(&mut office, 'A');
    assert!(text.contains("fullState=\"false\""), "{text}");
    assert_eq!(text.matches("<state>early</state>").count(), 2, "D and E ring: {text}");
    office.give_up(TRUNK);
    office.run(secs(2));
    assert!(!last(&mut office, 'A').contains("<state>"));
    office.finish();
}

#[test]
fn a_storm_of_changes_is_gathered() {
    let mut office = Office::open();
    watch(&mut office, 'A', "lamps", "dialog");
    watch(&mut office, 'B', "804", "dialog");
    for phone in ['A', 'B'] {
        office.phone(phone).notifies.clear();
    }
    for _ in 0..200 {
        office.call(TRUNK, "0312340003");
        office.run(Duration::from_millis(1));
        office.give_up(TRUNK);
        office.run(Duration::from_millis(2));
    }
    office.run(secs(3));
    let (list, single) = (office.phone('A').notifies.len(), office.phone('B').notifies.len());
    assert!((1..=8).contains(&list), "{list} for a list in a second");
    assert!((1..=120).contains(&single), "{single}: one at a time");
    assert_eq!(lamp(&mut office, 'B'), "idle");
    office.finish();
}

#[test]
fn waiting_messages_are_told_to_who_asks_and_unasked_to_whose_plan_says_so() {
    let mut office = Office::changed("ext = \"802\"", "ext = \"802\"\nmwi = \"unsolicited\"");
    watch(&mut office, 'A', "acme-801", "message-summary");
    assert!(last(&mut office, 'A').starts_with("Messages-Waiting: no\r\n"));
    let two = MessageCount { new: 2, old: 1, ..MessageCount::default() };
    for user in ["acme-801", "acme-802", "acme-803", "acme-899"] {
        office.set_messages(user, MessageSummary { voice: two, ..MessageSummary::default() });
    }
    office.run(secs(1));
    assert!(last(&mut office, 'A').contains("Voice-Message: 2/1 (0/0)"));
    assert!(last(&mut office, 'B').starts_with("Messages-Waiting: yes"));
    assert!(office.phone('C').notifies.is_empty());
    // After a reboot the phone is told again.
    office.phone('B').notifies.clear();
    office.register('B', &[]);
    office.run(secs(1));
    assert!(last(&mut office, 'B').starts_with("Messages-Waiting: yes"));
    office.finish();
}

#[test]
fn a_registration_is_watched_and_its_end_seen() {
    let mut office = Office::new();
    office.register('A', &[]);
    office.run(secs(1));
    watch(&mut office, 'A', "804", "reg");
    assert!(last(&mut office, 'A').contains("state=\"init\""));
    office.register('D', &[]);
    office.run(secs(1));
    assert!(last(&mut office, 'A').contains("<uri>sip:acme-804@192.0.2.14:5060</uri>"));
    let contact = office.phone('D').contact();
    office.register('D', &[("Contact", &contact), ("Expires", "0")]);
    office.run(secs(1));
    assert!(last(&mut office, 'A').contains("state=\"init\""));
    office.finish();
}

#[test]
fn a_subscription_ends_by_expires_0_by_time_and_by_a_phone_that_forgot_it() {
    let mut office = Office::open();
    watch(&mut office, 'A', "804", "dialog");
    assert_eq!(office.switch.subscriptions(), 1);
    let now = office.now;
    office.phone('A').subscribe_again(now, "dialog", 0);
    office.run(secs(1));
    let notify = office.phone('A').notifies.last().unwrap();
    let state = notify.header(Header::SubscriptionState).unwrap();
    assert!(state.starts_with(b"terminated"), "{state:?}");
    assert_eq!(office.switch.subscriptions(), 0);
    watch(&mut office, 'B', "804", "dialog");
    office.phone('B').notify_status = 481;
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    assert_eq!(office.switch.subscriptions(), 0, "the phone has forgotten");
    office.give_up(TRUNK);
    watch(&mut office, 'C', "804", "dialog");
    office.run(secs(610));
    assert_eq!(office.switch.subscriptions(), 0);
    office.finish();
}

#[test]
fn subscriptions_go_on_after_a_restart_with_their_tags_and_higher_numbers() {
    let mut office = Office::open();
    watch(&mut office, 'A', "804", "dialog");
    watch(&mut office, 'B', "lamps", "dialog");
    let before = office.phone('A').notifies.last().unwrap().clone();
    let kept: Vec<koukan_switch::Watch> = office
        .did
        .iter()
        .filter_map(|did| match did {
            Did::Record(Record::Watching(watch)) => Some((**watch).clone()),
            _ => None,
        })
        .collect();
    let text = serde_json::to_string(&kept).unwrap();
    office.restart();
    for watch in serde_json::from_str::<Vec<koukan_switch::Watch>>(&text).unwrap() {
        office.restore_watch(&watch);
    }
    office.phone('A').notifies.clear();
    office.run(secs(6));
    let after = office.phone('A').notifies.last().unwrap().clone();
    assert_eq!((after.call_id(), after.from_tag()), (before.call_id(), before.from_tag()));
    assert!(after.cseq().unwrap().number > before.cseq().unwrap().number);
    for name in 'A'..='F' {
        office.register(name, &[]);
    }
    office.run(secs(1));
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    assert_eq!(lamp(&mut office, 'A'), "early");
    let now = office.now;
    office.phone('A').subscribe_again(now, "dialog", 600);
    office.run(secs(1));
    assert_eq!(office.phone('A').responses.last().unwrap().status(), Some(200));
    office.give_up(TRUNK);
    office.finish();
}
