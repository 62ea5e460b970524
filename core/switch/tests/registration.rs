//! REGISTER against the switch: digest, contacts, bounds, and whose address of record it is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_sip::{Header, Message};
use koukan_switch::{Contact, Record};
use office::{Did, Does, Office, PASSWORD, TRUNK};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn last(office: &mut Office, name: char) -> Message {
    office.phone(name).responses.last().cloned().unwrap()
}

fn contacts(message: &Message) -> Vec<String> {
    message.list(Header::Contact).map(|c| String::from_utf8(c.to_vec()).unwrap()).collect()
}

#[test]
fn a_registration_is_in_the_journal_before_its_answer_leaves() {
    let mut office = Office::new();
    office.register('A', &[("Expires", "600")]);
    office.run(secs(1));
    let response = last(&mut office, 'A');
    assert_eq!(contacts(&response), ["<sip:acme-801@192.0.2.11:5060>;expires=600"]);
    let date = String::from_utf8(response.header_named("Date").unwrap().to_vec()).unwrap();
    assert_eq!(date, "Wed, 01 Jul 2026 01:00:00 GMT");
    let record =
        |did: &Did| matches!(did, Did::Record(Record::Registered(c)) if c.user == "acme-801");
    let answer = |did: &Did| matches!(did, Did::Sent(line, _) if line.starts_with("SIP/2.0 200"));
    let at = (office.did.iter().position(record), office.did.iter().position(answer));
    assert!(at.0.unwrap() < at.1.unwrap(), "{at:?}");
    assert_eq!(office.switch.registrations(office.now()).len(), 1);
    office.run(secs(601));
    assert_eq!(office.switch.registrations(office.now()).len(), 0);
    let gone = |did: &&Did| matches!(did, Did::Record(Record::Unregistered { .. }));
    assert_eq!(office.did.iter().filter(gone).count(), 1);
    office.finish();
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_refused_alike() {
    let mut office = Office::new();
    let now = office.now;
    office.phone('A').register_as(now, "acme-801", "wrong", "acme-801", &[]);
    office.phone('B').register_as(now, "acme-999", PASSWORD, "acme-999", &[]);
    office.run(secs(1));
    for name in ['A', 'B'] {
        assert!(office.phone(name).heard("response 403"), "{:?}", office.phone(name).log);
    }
    assert!(office.switch.registrations(office.now()).is_empty());
    office.finish();
}

#[test]
fn a_device_that_a_reload_takes_away_loses_its_contacts_and_lamps_and_none_of_its_calls() {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(200);
    let now = office.now;
    office.phone('D').subscribe(now, "801", "dialog", 600);
    office.phone('B').subscribe(now, "804", "dialog", 600);
    office.run(secs(1));
    office.call('A', "804");
    office.run(secs(2));
    assert_eq!(office.switch.subscriptions(), 2);
    let did = office.did.len();
    office.install(Office::without('D'));
    office.run(secs(1));
    let users: Vec<String> =
        office.switch.registrations(office.now()).into_iter().map(|view| view.user).collect();
    assert!(users.len() == 5 && !users.contains(&"acme-804".to_owned()), "{users:?}");
    let unbound = |did: &Did| {
        matches!(did, Did::Record(Record::Unregistered { user, .. })
        if user == "acme-804")
    };
    assert_eq!(office.did[did..].iter().filter(|did| unbound(did)).count(), 1);
    assert_eq!(office.switch.subscriptions(), 0, "it watches nothing and is not watched");
    let (a, d) = (office.phone('A').media, office.phone('D').media);
    assert!(office.media.joined(a, d), "the call goes on");
    office.call('B', "804");
    // An announcement says so first.
    office.run(secs(8));
    assert!(office.phone('B').log.iter().any(|line| line.starts_with("failed 4")));
    office.hang_up('D');
    let cdrs = office.finish();
    assert_eq!(cdrs.len(), 2);
}

#[test]
fn a_device_that_a_reload_has_taken_away_is_refused_and_not_left_waiting() {
    let mut office = Office::new();
    let known = office.switch.directory();
    let (secrets, trunks) = (known.secrets.clone(), known.trunks.clone());
    let directory = koukan_switch::Directory { secrets, trunks, ..Default::default() };
    office.install(directory);
    office.register('A', &[]);
    office.call('B', "804");
    office.run(secs(1));
    assert!(office.phone('A').heard("response 403"), "{:?}", office.phone('A').log);
    assert!(office.phone('B').heard("failed 403"), "{:?}", office.phone('B').log);
    office.finish();
}

#[test]
fn nobody_registers_for_another_user() {
    let mut office = Office::new();
    let now = office.now;
    office.phone('A').register_as(now, "acme-801", PASSWORD, "acme-802", &[]);
    office.phone('B').register_as(now, "acme-802", PASSWORD, "nobody", &[]);
    office.run(secs(1));
    for name in ['A', 'B'] {
        assert!(office.phone(name).heard("response 403"), "{:?}", office.phone(name).log);
    }
    assert!(office.switch.registrations(office.now()).is_empty());
    office.finish();
}

#[test]
fn a_nonce_that_is_too_old_is_said_to_be_stale() {
    let mut office = Office::new();
    let register = |auth: &str, cseq: u32| {
        format!(
            "REGISTER sip:192.0.2.1:5060 SIP/2.0\n\
             Via: SIP/2.0/UDP 192.0.2.50:5060;branch=z9hG4bK{cseq}\n\
             From: <sip:acme-801@192.0.2.1>;tag=x\nTo: <sip:acme-801@192.0.2.1>\nCall-ID: raw\n\
             CSeq: {cseq} REGISTER\nContact: <sip:acme-801@192.0.2.50>\n{auth}Content-Length: 0\n\n"
        )
    };
    let credentials =
        koukan_sip::Credentials { username: "acme-801".to_owned(), password: PASSWORD.to_owned() };
    office.raw("192.0.2.50:5060", &register("", 1));
    office.run(secs(1));
    let challenge = office.strays.pop().unwrap().1;
    assert_eq!(challenge.status(), Some(401));
    let given: Vec<&[u8]> = challenge.headers(Header::WwwAuthenticate).collect();
    assert!(String::from_utf8_lossy(given[0]).contains("MD5"), "MD5 is offered first");
    assert!(String::from_utf8_lossy(given[1]).contains("SHA-256"));
    let answer = koukan_sip::digest::answer(
        given[1],
        &credentials,
        b"REGISTER",
        b"sip:192.0.2.1:5060",
        b"cnonce",
    );
    let answer = String::from_utf8(answer.unwrap()).unwrap();
    let header = format!("Authorization: {answer}\n");
    office.raw("192.0.2.50:5060", &register(&header, 2));
    office.run(secs(1));
    assert_eq!(office.strays.pop().unwrap().1.status(), Some(200));
    // The same answer again is a replay, and after the nonce's life it is stale.
    for (seconds, cseq) in [(1, 3), (1_000, 4)] {
        office.run(secs(seconds));
        office.raw("192.0.2.50:5060", &register(&header, cseq));
        office.run(secs(1));
        let again = office.strays.pop().unwrap().1;
        assert_eq!(again.status(), Some(401));
        let value =
            String::from_utf8_lossy(again.header(Header::WwwAuthenticate).unwrap()).into_owned();
        assert!(value.contains("stale=true"), "{value}");
    }
    office.finish();
}

#[test]
fn one_contact_a_device_and_the_newest_counts() {
    let mut office = Office::new();
    let own = office.phone('A').contact();
    office.register('A', &[("Contact", "<sip:old@192.0.2.11:5060>")]);
    office.run(secs(1));
    office.register('A', &[("Contact", &own)]);
    office.run(secs(1));
    let known = office.switch.registrations(office.now());
    assert_eq!((known.len(), known[0].contact.as_str()), (1, "sip:acme-801@192.0.2.11:5060"));
    let gone = |did: &&Did| {
        matches!(did,
        Did::Record(Record::Unregistered { uri, .. }) if uri.contains("old"))
    };
    assert_eq!(office.did.iter().filter(gone).count(), 1);
    office.finish();
}

#[test]
fn a_device_with_several_contacts_rings_on_each_by_its_own_uri() {
    let mut office = Office::changed("ext = \"804\"", "ext = \"804\"\ncontacts = 3");
    // Two lines of one phone: the same address, told apart by the URI alone.
    for contact in ["<sip:line2@192.0.2.14:5060>", "<sip:line3@192.0.2.14:5060>"] {
        office.register('D', &[("Contact", contact)]);
        office.run(secs(1));
    }
    assert_eq!(office.switch.registrations(office.now()).len(), 8, "{:?}", office.phone('D').log);
    office.call('A', "804");
    office.run(secs(1));
    for line in ["acme-804", "line2", "line3"] {
        let wanted = format!("INVITE sip:{line}@192.0.2.14:5060 SIP/2.0");
        assert_eq!(office.sent(&wanted), 1, "{wanted}");
    }
    office.give_up('A');
    assert_eq!(office.finish()[0].legs.len(), 4);
}

#[test]
fn a_star_removes_every_contact_and_only_with_expires_0() {
    let mut office = Office::open();
    office.register('A', &[("Contact", "*")]);
    office.run(secs(1));
    assert!(office.phone('A').heard("response 400"), "{:?}", office.phone('A').log);
    assert_eq!(office.switch.registrations(office.now()).len(), 6);
    office.register('A', &[("Contact", "*"), ("Expires", "0")]);
    office.run(secs(1));
    assert_eq!(office.switch.registrations(office.now()).len(), 5);
    assert!(contacts(&last(&mut office, 'A')).is_empty());
    office.finish();
}

#[test]
fn a_wish_below_the_bound_is_refused_with_it_and_one_above_is_cut() {
    let mut office = Office::new();
    office.register('A', &[("Expires", "10")]);
    office.run(secs(1));
    let refused = last(&mut office, 'A');
    assert_eq!(refused.status(), Some(423));
    assert_eq!(refused.header_named("Min-Expires"), Some(b"60".as_slice()));
    office.register('A', &[("Expires", "100000")]);
    office.run(secs(1));
    assert_eq!(contacts(&last(&mut office, 'A')), ["<sip:acme-801@192.0.2.11:5060>;expires=3600"]);
    office.finish();
}

#[test]
fn a_phone_that_unregisters_is_not_rung() {
    let mut office = Office::open();
    let own = office.phone('D').contact();
    office.register('D', &[("Contact", &own), ("Expires", "0")]);
    office.run(secs(1));
    office.call(TRUNK, "0312340003");
    office.run(secs(2));
    assert!(office.phone('E').heard("invite") && !office.phone('D').heard("invite"));
    assert!(office.explained("device D is not registered"));
    office.give_up(TRUNK);
    office.finish();
}

#[test]
fn a_contact_is_rung_by_its_own_uri_and_path() {
    let mut office = Office::new();
    let path = "<sip:192.0.2.14;lr>";
    office.register('D', &[("Contact", "<sip:own@192.0.2.14:5060;line=2>"), ("Path", path)]);
    office.run(secs(1));
    office.phone(TRUNK).does = Does::Rings;
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    let invite = office.phone('D').invite.clone().unwrap();
    assert_eq!(invite.request_uri(), b"sip:own@192.0.2.14:5060;line=2");
    assert_eq!(invite.header_named("Route"), Some(path.as_bytes()));
    office.give_up(TRUNK);
    office.finish();
}

#[test]
fn contacts_come_back_after_a_restart_and_are_rung() {
    let office = Office::open();
    let record = |did: &Did| match did {
        Did::Record(Record::Registered(contact)) => Some(contact.clone()),
        _ => None,
    };
    let contacts: Vec<_> = office.did.iter().filter_map(record).collect();
    let mut office = Office::new();
    for contact in &contacts {
        let now = office.now();
        office.switch.restore_contact(now, contact);
    }
    assert_eq!(office.switch.registrations(office.now()).len(), 6);
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    assert!(office.phone('D').heard("invite"));
    office.give_up(TRUNK);
    office.finish();
}

#[test]
fn a_device_that_left_the_plan_while_the_server_was_down_is_not_bound_by_a_restart() {
    let office = Office::open();
    let contacts: Vec<_> = office
        .did
        .iter()
        .filter_map(|did| match did {
            Did::Record(Record::Registered(contact)) => Some(contact.clone()),
            _ => None,
        })
        .collect();
    let stranger = Contact { user: "left".to_owned(), ..contacts.first().unwrap().clone() };
    let mut office = Office::new();
    let now = office.now();
    for contact in contacts.iter().chain([&stranger]) {
        office.switch.restore_contact(now, contact);
    }
    office.switch.dismiss_unknown(now);
    office.run(secs(1));
    let views = office.switch.registrations(office.now());
    assert_eq!(views.len(), 6);
    assert!(views.iter().all(|view| view.user != "left"), "{views:?}");
    let forgotten = office
        .did
        .iter()
        .any(|did| matches!(did, Did::Record(Record::Unregistered { user, .. }) if user == "left"));
    assert!(forgotten, "the store is told");
    office.finish();
}
