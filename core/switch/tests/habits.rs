//! What clients of the field do against the standards, and what a wrong password costs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_sip::{Credentials, Header, Message, Method, digest};
use office::{Does, Office, PASSWORD, SERVER, TRUNK};

const PHONE: &str = "192.0.2.77:5060";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A REGISTER of a phone that is no user agent of the rig, and what answers it.
fn register(office: &mut Office, number: u32, headers: &str) -> Option<Message> {
    office.raw(
        PHONE,
        &format!(
            "REGISTER sip:{SERVER} SIP/2.0\nVia: SIP/2.0/UDP {PHONE};branch=z9hG4bK{number}\n\
             From: <sip:acme-801@{SERVER}>;tag=a\nTo: <sip:acme-801@{SERVER}>\nCall-ID: boot\n\
             CSeq: {number} REGISTER\n{headers}Content-Length: 0\n\n"
        ),
    );
    office.run(Duration::from_millis(100));
    office.strays.pop().map(|(_, message)| message)
}

fn challenge(message: &Message) -> String {
    String::from_utf8(message.header(Header::WwwAuthenticate).unwrap().to_vec()).unwrap()
}

fn authorization(challenge: &str, password: &str) -> String {
    let (username, password) = ("acme-801".to_owned(), password.to_owned());
    let credentials = Credentials { username, password };
    let uri = format!("sip:{SERVER}");
    let value =
        digest::answer(challenge.as_bytes(), &credentials, b"REGISTER", uri.as_bytes(), b"c");
    format!("Authorization: {}\n", String::from_utf8(value.unwrap()).unwrap())
}

const CONTACT: &str = "Contact: <sip:acme-801@192.0.2.77:5060>\nExpires: 600\n";

#[test]
fn a_phone_that_reads_the_first_challenge_alone_finds_md5_there() {
    let mut office = Office::new();
    let refused = register(&mut office, 1, CONTACT).unwrap();
    assert_eq!(refused.status(), Some(401));
    let challenges: Vec<_> = refused.headers(Header::WwwAuthenticate).collect();
    assert!(challenges.len() == 2 && challenges[0].windows(13).any(|w| w == b"algorithm=MD5"));
    let own = authorization(&challenge(&refused), PASSWORD);
    let taken = register(&mut office, 2, &format!("{own}{CONTACT}")).unwrap();
    assert_eq!(taken.status(), Some(200));
}

#[test]
fn a_phone_that_counts_from_1_again_after_a_reboot_gets_a_new_nonce_and_no_refusal() {
    let mut office = Office::new();
    let refused = register(&mut office, 1, CONTACT).unwrap();
    let own = authorization(&challenge(&refused), PASSWORD);
    let taken = register(&mut office, 2, &format!("{own}{CONTACT}")).unwrap();
    assert_eq!(taken.status(), Some(200));
    let again = register(&mut office, 3, &format!("{own}{CONTACT}")).unwrap();
    assert_eq!(again.status(), Some(401));
    let fresh = challenge(&again);
    assert!(fresh.contains("stale=true"), "{fresh}");
    let own = authorization(&fresh, PASSWORD);
    let taken = register(&mut office, 4, &format!("{own}{CONTACT}")).unwrap();
    assert_eq!(taken.status(), Some(200));
}

#[test]
fn a_phone_that_begins_with_a_star_and_has_no_contact_yet_is_content() {
    let mut office = Office::new();
    let star = "Contact: *\nExpires: 0\n";
    let refused = register(&mut office, 1, star).unwrap();
    let own = authorization(&challenge(&refused), PASSWORD);
    assert_eq!(register(&mut office, 2, &format!("{own}{star}")).unwrap().status(), Some(200));
    let refused = register(&mut office, 3, CONTACT).unwrap();
    let own = authorization(&challenge(&refused), PASSWORD);
    assert_eq!(register(&mut office, 4, &format!("{own}{CONTACT}")).unwrap().status(), Some(200));
    assert_eq!(office.switch.registrations(office.now()).len(), 1);
}

#[test]
fn a_wrong_password_in_a_loop_is_answered_ever_later_and_a_right_one_at_once() {
    let mut office = Office::new();
    let (mut number, mut answered) = (0, 0);
    let begin = office.now;
    // The phone asks again as soon as it is answered, for ten minutes.
    while office.now.since(begin) < secs(600) {
        number += 1;
        let Some(refused) = register(&mut office, number, CONTACT) else { break };
        number += 1;
        let own = authorization(&challenge(&refused), "wrong");
        let mut answer = register(&mut office, number, &format!("{own}{CONTACT}"));
        while answer.is_none() && office.now.since(begin) < secs(700) {
            office.run(Duration::from_millis(100));
            answer = office.strays.pop().map(|(_, message)| message);
        }
        assert_eq!(answer.unwrap().status(), Some(403));
        answered += 1;
    }
    assert!((10..=30).contains(&answered), "{answered} refusals in ten minutes");
    let refused = register(&mut office, number + 1, CONTACT).unwrap();
    let own = authorization(&challenge(&refused), PASSWORD);
    let taken = register(&mut office, number + 2, &format!("{own}{CONTACT}"));
    assert_eq!(taken.and_then(|m| m.status()), Some(200), "at once");
    // Another phone with the same address, as behind a shared address, is not slowed.
    let now = office.now;
    office.phone('B').register_as(now, "acme-802", "wrong", "acme-802", &[]);
    office.run(Duration::from_millis(200));
    assert!(office.phone('B').heard("response 403"));
    office.run(secs(60));
    assert_eq!(office.switch.tables(), koukan_switch::Tables::default());
}

#[test]
fn retransmissions_of_a_slowed_request_get_one_answer() {
    let mut office = Office::new();
    for number in (1..20).step_by(2) {
        let Some(refused) = register(&mut office, number, CONTACT) else { break };
        let own = authorization(&challenge(&refused), "wrong");
        let headers = format!("{own}{CONTACT}");
        let first = register(&mut office, number + 1, &headers);
        for _ in 0..8 {
            let again = register(&mut office, number + 1, &headers);
            assert!(again.is_none() || first.is_some(), "an answer that was not due");
        }
        office.run(secs(40));
        office.strays.clear();
    }
}

fn late_caller(does: Does) -> Office {
    let mut office = Office::open();
    office.phone('A').late_offer = true;
    office.phone(TRUNK).does = does;
    office.call('A', "0455550001");
    office
}

#[test]
fn a_caller_without_an_offer_hears_early_media_when_it_acknowledges_our_offer() {
    let mut office = late_caller(Does::EarlyThenAnswers(3_000));
    office.run(secs(2));
    assert!(office.phone('A').heard("progress 183"), "{:?}", office.phone('A').log);
    let media = office.phone('A').media;
    let heard = office.media.of(media).expect("the PRACK has answered").1.source;
    assert!(matches!(heard, koukan_media::Source::Stream(_)), "{heard:?}");
    office.run(secs(3));
    let trunk = office.phone(TRUNK).media;
    assert!(office.phone('A').heard("answered") && office.media.joined(media, trunk));
    office.hang_up('A');
    office.finish();
}

#[test]
fn ringing_is_acknowledged_where_the_caller_requires_it() {
    for required in [true, false] {
        let mut office = Office::open();
        if required {
            office.phone('A').headers = vec![("Require", b"100rel".to_vec())];
        }
        office.phone('D').does = Does::Answers(1_000);
        office.call('A', "804");
        office.run(secs(2));
        assert!(office.phone('A').heard("progress 180") && office.phone('A').heard("answered"));
        assert_eq!(office.phone('A').reliable, usize::from(required));
        office.hang_up('A');
        office.finish();
    }
}

#[test]
fn a_trunk_is_asked_for_the_interval_that_its_plan_names() {
    let keys = "profile = \"jp-ngn\"\nsession_expires = \"300s\"";
    let mut office = Office::changed("profile = \"jp-ngn\"", keys);
    office.phone(TRUNK).does = Does::Answers(500);
    office.call('C', "0455550001");
    office.run(secs(2));
    let invite = office.phone(TRUNK).invite.clone().unwrap();
    let wishes: Vec<_> = invite.headers(Header::SessionExpires).collect();
    assert_eq!(wishes, [b"300".as_slice()]);
    office.run(secs(1_000));
    let updates = office.phone(TRUNK).requests.iter();
    let updates = updates.filter(|m| m.method() == Some(Method::Update)).count();
    assert!((5..=8).contains(&updates), "{updates} refreshes in 1,000 s");
    office.hang_up('C');
    office.finish();
}

/// A REGISTER of somebody at this address and what stands in its Authorization.
fn wrong_register(user: &str, address: &str, number: u32, nonce: &str) -> String {
    let uri = format!("sip:{SERVER}");
    format!(
        "REGISTER {uri} SIP/2.0\nVia: SIP/2.0/UDP {address};branch=z9hG4bKg{number}\n\
         Max-Forwards: 70\nFrom: <sip:{user}@192.0.2.1>;tag=g\nTo: <sip:{user}@192.0.2.1>\n\
         Call-ID: g{number}\nCSeq: 1 REGISTER\nContact: <sip:{user}@{address}>\n\
         Authorization: Digest username=\"{user}\", realm=\"koukan\", nonce=\"{nonce}\", \
         uri=\"{uri}\", response=\"{number:032x}\"\nContent-Length: 0\n\n"
    )
}

/// A nonce that is given to this address.
fn nonce_at(office: &mut Office, address: &str) -> String {
    office.strays.clear();
    let number = office.dice(1_000_000);
    let text = wrong_register("nobody", address, number, "x");
    let (head, tail) = text.split_once("Authorization").unwrap();
    let rest = tail.split_once('\n').unwrap().1;
    office.raw(address, &format!("{head}{rest}").replace("Call-ID: g", "Call-ID: n"));
    office.run(Duration::from_millis(16));
    let challenge = challenge(&office.strays.pop().expect("a challenge").1);
    challenge.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[test]
fn guesses_of_many_users_ban_their_address_and_the_good_ones_behind_it_get_through() {
    let mut office = Office::open();
    let address = office.phone('A').address;
    let beside = format!("{}:5099", address.ip());
    let nonce = nonce_at(&mut office, &beside);
    let guess = |office: &mut Office, user: &str, number: u32| {
        office.raw(&beside, &wrong_register(user, &beside, number, &nonce));
        office.run(Duration::from_millis(16));
    };
    let before = office.sent("SIP/2.0 403");
    for number in 0..60 {
        // Users that are there and users that are not are told apart by nothing.
        guess(&mut office, &format!("acme-{}", 794 + number % 12), number);
    }
    assert_eq!(office.sent("SIP/2.0 403") - before, 8);
    let bans = office.switch.bans(office.now());
    assert_eq!(bans.len(), 1);
    assert!(bans[0].why.starts_with("8 wrong passwords"), "{}", bans[0].why);
    assert_eq!(bans[0].dropped, 52);
    // A phone that is registered from there renews, a new one registers, at the first try.
    let now = office.now;
    office.phone('A').register_as(now, "acme-801", PASSWORD, "acme-801", &[]);
    office.phone('A').register_as(now, "acme-806", PASSWORD, "acme-806", &[]);
    let taken = office.sent("SIP/2.0 200 OK");
    office.run(secs(1));
    assert_eq!(office.sent("SIP/2.0 200 OK") - taken, 2);
    // Who was guessed there ten times is not believed any more, were it the right password.
    for number in 100..110 {
        guess(&mut office, "acme-804", number);
    }
    let now = office.now;
    office.phone('A').register_as(now, "acme-804", PASSWORD, "acme-804", &[]);
    let taken = office.sent("SIP/2.0 200 OK");
    office.run(secs(5));
    assert_eq!(office.sent("SIP/2.0 200 OK"), taken);
    let now = office.now();
    assert!(office.switch.lift_ban(now, address.ip()));
    assert!(!office.switch.lift_ban(now, address.ip()));
    let now = office.now;
    office.phone('A').register_as(now, "acme-804", PASSWORD, "acme-804", &[]);
    office.run(secs(40));
    assert!(office.sent("SIP/2.0 200 OK") > taken);
}

#[test]
fn forged_answers_ban_nobody_and_make_nobody_suspect() {
    let mut office = Office::open();
    let address = office.phone('A').address;
    let given_elsewhere = nonce_at(&mut office, "203.0.113.9:5060");
    for number in 0..2_000 {
        let nonce = if number % 2 == 0 { "invented" } else { given_elsewhere.as_str() };
        let user = format!("acme-{}", 801 + number % 6);
        let text = wrong_register(&user, &address.to_string(), number, nonce);
        office.raw(&address.to_string(), &text);
        office.run(Duration::from_millis(16));
    }
    assert_eq!(office.switch.bans(office.now()), []);
    assert_eq!(office.sent("SIP/2.0 403"), 0, "nothing is told of any password");
    let taken = office.sent("SIP/2.0 200 OK");
    let now = office.now;
    office.phone('A').register_as(now, "acme-801", PASSWORD, "acme-801", &[]);
    office.phone('A').register_as(now, "acme-806", PASSWORD, "acme-806", &[]);
    office.run(secs(1));
    assert_eq!(office.sent("SIP/2.0 200 OK") - taken, 2);
}

#[test]
fn a_stranger_who_invents_nonces_is_challenged_a_few_times_a_second() {
    let mut office = Office::open();
    let before = office.sent("SIP/2.0 401");
    for number in 0..60 {
        let user = format!("acme-{}", 801 + number % 12);
        let text = wrong_register(&user, "203.0.113.9:5060", number, "invented");
        office.raw("203.0.113.9:5060", &text);
        office.run(Duration::from_millis(15));
    }
    let answered = office.sent("SIP/2.0 401") - before;
    assert!((1..=10).contains(&answered), "{answered}");
    assert_eq!(office.switch.bans(office.now()), []);
}

#[test]
fn a_phone_that_repeats_what_nobody_answers_does_not_keep_its_office_banned() {
    let mut office = Office::open();
    let beside = format!("{}:5099", office.phone('A').address.ip());
    let nonce = nonce_at(&mut office, &beside);
    for number in 0..9 {
        let user = format!("acme-{}", 801 + number);
        office.raw(&beside, &wrong_register(&user, &beside, number, &nonce));
        office.run(Duration::from_millis(16));
    }
    assert_eq!(office.switch.bans(office.now()).len(), 1);
    // One phone has a wrong password; it repeats its request as RFC 3261 says, and tries again.
    for round in 100..103 {
        let nonce = nonce_at(&mut office, &beside);
        let text = wrong_register("acme-899", &beside, round, &nonce);
        for wait_ms in [500, 1_000, 2_000, 4_000, 4_000, 4_000, 4_000, 4_000, 4_000, 4_000, 500] {
            office.raw(&beside, &text);
            office.run(Duration::from_millis(wait_ms));
        }
        office.run(secs(2));
    }
    assert_eq!(office.switch.bans(office.now()), [], "it was for 60 s");
}

#[test]
fn a_banned_source_hears_no_more_of_credentials_that_cannot_be_read() {
    let mut office = Office::open();
    let beside = "203.0.113.9:5060";
    let nonce = nonce_at(&mut office, beside);
    for number in 0..9 {
        office.raw(beside, &wrong_register("acme-801", beside, number, &nonce));
        office.run(Duration::from_millis(16));
    }
    assert_eq!(office.switch.bans(office.now()).len(), 1);
    let before = office.sent("SIP/2.0 400");
    for number in 100..200 {
        let text = wrong_register("acme-801", beside, number, &nonce);
        office.raw(beside, &text.replace("response=", "nonsense="));
    }
    office.run(Duration::from_millis(500));
    assert_eq!(office.sent("SIP/2.0 400") - before, 5);
}

#[test]
fn a_flood_of_forged_questions_does_not_keep_a_registered_phone_from_its_challenge() {
    let mut office = Office::open();
    let address = office.phone('A').address;
    let flood = |office: &mut Office, port: u16, from: u32, count: u32| {
        let source = format!("{}:{port}", address.ip());
        for number in from..from + count {
            let text = wrong_register("acme-801", &source, number, "x");
            let asked: Vec<&str> =
                text.split_inclusive('\n').filter(|line| !line.starts_with("Auth")).collect();
            office.raw(&source, &asked.concat());
        }
        office.run(Duration::from_millis(20));
    };
    flood(&mut office, 5099, 0, 2_100);
    assert_eq!(office.switch.bans(office.now()).len(), 1);
    flood(&mut office, 5099, 10_000, 100);
    let taken = office.sent("SIP/2.0 200 OK");
    office.register('A', &[]);
    office.run(Duration::from_millis(100));
    assert_eq!(office.sent("SIP/2.0 200 OK") - taken, 1, "{:?}", office.phone('A').log);
    // Nor is a phone's address a way to have it flooded.
    let before = office.sent("SIP/2.0 401");
    flood(&mut office, address.port(), 20_000, 500);
    assert!(office.sent("SIP/2.0 401") - before <= 55);
}
