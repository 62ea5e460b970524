//! Phones behind a NAT, and flows of RFC 5626, on the virtual clock: bound to where they really
//! speak from, kept alive, asked for, called there, and found again after a restart.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_sip::{Header, Message};
use koukan_switch::{Contact, Record, RegistrationView};
use office::{Did, Does, Office};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A's phone as a NAT shows it: its contact is of its own network.
const INSIDE: &str = "<sip:acme-801@192.168.1.20:5060>";
const OUTSIDE: &str = "192.0.2.11:5060";

fn behind_nat() -> Office {
    let mut office = Office::new();
    office.register('A', &[("Contact", INSIDE)]);
    office.register('B', &[]);
    office.run(secs(1));
    office
}

/// The phone leaves, so that nobody asks for it any more, and nothing is left.
fn finish(mut office: Office) {
    office.phone('A').gone = false;
    office.register('A', &[("Contact", "*"), ("Expires", "0")]);
    office.run(secs(1));
    office.finish();
}

fn known(office: &Office, user: &str) -> RegistrationView {
    let all = office.switch.registrations(office.now());
    all.into_iter().find(|known| known.user == user).unwrap()
}

fn sent_to(office: &Office, start: &str, address: &str) -> usize {
    let address = address.parse().unwrap();
    let lines = office.did.iter().filter_map(|did| match did {
        Did::Sent(line, to) if *to == address => Some(line),
        _ => None,
    });
    lines.filter(|line| line.starts_with(start)).count()
}

fn header(message: &Message, name: &str) -> String {
    String::from_utf8(message.header_named(name).unwrap_or_default().to_vec()).unwrap()
}

#[test]
fn a_phone_behind_a_nat_is_called_where_it_speaks_from_and_never_at_its_contact() {
    let mut office = behind_nat();
    assert!(known(&office, "acme-801").behind_nat && !known(&office, "acme-802").behind_nat);
    office.phone('A').does = Does::Answers(100);
    office.call('B', "801");
    office.run(secs(2));
    let line = "INVITE sip:acme-801@192.168.1.20:5060 SIP/2.0";
    assert_eq!(sent_to(&office, line, OUTSIDE), 1);
    office.hang_up('B');
    office.run(secs(1));
    // The BYE goes the same way, whatever Contact the answer gave.
    assert_eq!(sent_to(&office, "BYE", OUTSIDE), 1);
    let inside = "192.168.1.20:5060".parse().unwrap();
    assert!(!office.did.iter().any(|did| matches!(did, Did::Sent(_, to) if *to == inside)));
    finish(office);
}

#[test]
fn a_phone_behind_a_nat_is_asked_every_25_s_and_is_away_after_three_misses() {
    let mut office = behind_nat();
    office.run(secs(100));
    let asked = sent_to(&office, "OPTIONS", OUTSIDE);
    assert!((3..=5).contains(&asked), "{asked} in 100 s");
    assert_eq!(sent_to(&office, "OPTIONS", "192.0.2.12:5060"), 0);
    assert_eq!(known(&office, "acme-801").health, "reachable");
    office.vanish('A');
    office.run(secs(25 + 3 * 32));
    assert_eq!(
        known(&office, "acme-801").health,
        "unreachable",
        "{:?}",
        known(&office, "acme-801")
    );
    // It stays bound, and is there again with its first answer.
    office.phone('A').gone = false;
    office.run(secs(60));
    assert_eq!(known(&office, "acme-801").health, "reachable");
    finish(office);
}

#[test]
fn a_phone_that_is_away_counts_as_unreachable_for_the_plan() {
    use koukan_dialplan::State;
    let mut office = behind_nat();
    assert!(office.switch.reachable("acme", "A"));
    office.vanish('A');
    office.run(secs(130));
    assert!(!office.switch.reachable("acme", "A"));
    assert!(office.switch.reachable("acme", "B"));
    finish(office);
}

#[test]
fn after_a_restart_a_phone_by_datagrams_is_called_at_once_and_one_by_stream_when_it_is_back() {
    let office = behind_nat();
    let record = |did: &Did| match did {
        Did::Record(Record::Registered(contact)) if contact.user == "acme-801" => {
            Some(contact.clone())
        }
        _ => None,
    };
    let contact: Contact = office.did.iter().find_map(record).unwrap();
    assert_eq!((contact.source, contact.transport.as_str()), (OUTSIDE.parse().unwrap(), "udp"));
    // Another configuration has put another listener in the place of the old one.
    let mut again = Office::new();
    let now = again.now();
    again.switch.restore_contact(now, &Contact { listener: 7, ..contact.clone() });
    again.register('B', &[]);
    again.run(secs(1));
    again.phone('A').does = Does::Answers(100);
    again.call('B', "801");
    again.run(secs(2));
    assert_eq!(sent_to(&again, "INVITE", OUTSIDE), 1);
    again.hang_up('B');
    again.run(secs(1));
    finish(again);
    // A connection has not survived, and behind a NAT nothing else leads to the phone.
    let mut again = Office::seeded(7);
    let now = again.now();
    let stream = Contact { transport: "tcp".to_owned(), ..contact };
    again.switch.restore_contact(now, &stream);
    again.register('B', &[]);
    again.run(secs(1));
    assert_eq!(known(&again, "acme-801").health, "lost");
    again.call('B', "801");
    again.run(secs(2));
    assert!(again.explained("none of its devices can be reached now"), "{:?}", again.explained);
    assert_eq!(sent_to(&again, "INVITE", OUTSIDE), 0);
    again.register('A', &[("Contact", INSIDE)]);
    again.run(secs(1));
    assert_eq!(known(&again, "acme-801").health, "untested");
    finish(office);
    finish(again);
}

#[test]
fn a_phone_with_flows_of_its_own_hears_that_they_are_kept() {
    let mut office = Office::new();
    let contact = "<sip:acme-801@192.168.1.20:5060>;+sip.instance=\"<urn:uuid:0-1>\";reg-id=1";
    office.register('A', &[("Contact", contact), ("Supported", "path, outbound")]);
    office.run(secs(1));
    let answer = office.phone('A').responses.last().cloned().unwrap();
    assert_eq!(answer.status(), Some(200));
    assert_eq!(header(&answer, "Require"), "outbound");
    assert_eq!(header(&answer, "Flow-Timer"), "120");
    let kept = String::from_utf8(answer.header(Header::Contact).unwrap().to_vec()).unwrap();
    assert!(kept.ends_with(";+sip.instance=\"<urn:uuid:0-1>\";reg-id=1"), "{kept}");
    let flow = known(&office, "acme-801");
    assert_eq!((flow.instance.as_deref(), flow.reg_id), (Some("<urn:uuid:0-1>"), Some(1)));
    // One that does not do outbound hears nothing of it.
    office.register('B', &[]);
    office.run(secs(1));
    let answer = office.phone('B').responses.last().cloned().unwrap();
    assert_eq!((header(&answer, "Require"), header(&answer, "Flow-Timer")), Default::default());
    finish(office);
}

#[test]
fn a_description_shows_the_address_of_its_listener_and_media_is_bound_where_the_machine_is() {
    let mut office = Office::showing("203.0.113.7".parse().unwrap());
    office.phone('A').does = Does::Answers(100);
    office.call('B', "801");
    office.run(secs(2));
    let shown = office.phone('B').descriptions.last().unwrap().audio().unwrap().1.connection;
    assert_eq!(shown, Some("203.0.113.7".parse().unwrap()));
    office.hang_up('B');
    office.finish();
}

/// A's phone with two flows: two contacts of one instance.
fn two_flows(office: &mut Office) {
    for flow in [1, 2] {
        let contact = format!(
            "<sip:flow{flow}@192.168.1.20:5060>;+sip.instance=\"<urn:uuid:0-1>\";reg-id={flow}"
        );
        office.register('A', &[("Contact", &contact), ("Supported", "outbound")]);
        office.run(secs(1));
    }
    office.register('B', &[]);
    office.run(secs(1));
}

#[test]
fn a_phone_whose_flow_is_broken_is_called_over_its_other_one_and_only_once() {
    let mut office = Office::new();
    two_flows(&mut office);
    // The flow bound last comes first; an edge that has lost it says 430.
    office.phone('A').does = Does::Refuses(430);
    office.call('B', "801");
    office.run(secs(2));
    for flow in ["flow1", "flow2"] {
        let line = format!("INVITE sip:{flow}@192.168.1.20:5060 SIP/2.0");
        assert_eq!(office.sent(&line), 1, "{flow}");
    }
    assert!(office.explained("430, its other flow is tried"));
    office.run(secs(60));
    // One that answers rings once.
    office.phone('A').does = Does::Answers(100);
    office.call('B', "801");
    office.run(secs(2));
    assert_eq!(office.sent("INVITE sip:flow1@"), 1);
    assert_eq!(office.sent("INVITE sip:flow2@"), 2);
    office.hang_up('B');
    office.run(secs(1));
    finish(office);
}

#[test]
fn a_phone_that_comes_back_from_elsewhere_during_its_call_is_hung_up_there() {
    let mut office = behind_nat();
    office.phone('A').does = Does::Answers(100);
    office.call('B', "801");
    office.run(secs(2));
    // Its NAT forgot it and gave it another port.
    let elsewhere = "192.0.2.11:40999".parse().unwrap();
    office.phone('A').address = elsewhere;
    office.register('A', &[("Contact", INSIDE)]);
    office.run(secs(1));
    assert_eq!(known(&office, "acme-801").flow, "udp:192.0.2.11:40999");
    office.hang_up('B');
    office.run(secs(1));
    assert_eq!(sent_to(&office, "BYE", "192.0.2.11:40999"), 1);
    office.run(secs(40));
}
