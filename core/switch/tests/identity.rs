//! Who is shown to whom: callers of trunks and phones, names in any characters, privacy, who was
//! passed on by whom, who answered.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_sip::{Header, Message};
use office::{Does, Office, SERVER, TRUNK, only};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Changes the sample's trunk.
fn trunk(keys: &str) -> Office {
    Office::changed("profile = \"jp-ngn\"", &format!("profile = \"jp-ngn\"\n{keys}"))
}

fn value(message: &Message, header: Header) -> String {
    String::from_utf8_lossy(message.header(header).unwrap_or_default()).into_owned()
}

/// The INVITE that rings D when the trunk calls with these headers and this From.
fn shown(mut office: Office, from: &[u8], headers: &[(&'static str, &[u8])]) -> Message {
    let headers = headers.iter().map(|(name, value)| (*name, value.to_vec()));
    office.phone(TRUNK).headers = headers.collect();
    office.phone(TRUNK).from = Some(from.to_vec());
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    let invite = office.phone('D').invite.clone().unwrap();
    office.give_up(TRUNK);
    only(office.finish());
    invite
}

const FROM: &[u8] = b"\"Own Name\" <sip:0999990001@carrier>";

#[test]
fn a_trusted_trunk_asserts_its_caller_and_any_other_only_says_so() {
    let asserted: (&str, &[u8]) =
        ("P-Asserted-Identity", b"\"Tanaka\" <sip:+81455550001@carrier>, <tel:+81455550001>");
    let remote: (&str, &[u8]) =
        ("Remote-Party-ID", b"\"Sato\" <sip:0455550002@x>;party=calling;screen=yes");
    for (keys, header, number, name) in [
        ("", asserted, "0455550001", "Tanaka"),
        ("", remote, "0455550002", "Sato"),
        ("trusted = false", asserted, "0999990001", "Own Name"),
        ("trusted = false", remote, "0999990001", "Own Name"),
    ] {
        let invite = shown(trunk(keys), FROM, &[header]);
        assert_eq!(invite.from_user().unwrap(), number.as_bytes(), "{keys} {header:?}");
        let from = value(&invite, Header::From);
        assert!(from.starts_with(&format!("\"{name} (\u{30b5}")), "{from}");
        assert_eq!(invite.header(Header::PAssertedIdentity), None);
    }
}

#[test]
fn names_pass_in_any_characters_byte_for_byte() {
    // "Tokyo" in Shift_JIS, "M\u{fc}ller" in Latin-1, a name in UTF-8 with quotes in it.
    // And a name in Shift_JIS whose last byte is a backslash, "\x95\x5c" (a board).
    let names: [&[u8]; 5] = [
        b"\"\x93\x8c\x8b\x9e\"",
        b"\"\x8f\x95\x5c\"",
        b"\"M\xfcller\"",
        "\"\u{7530}\u{4e2d} \\\"T\\\"\"".as_bytes(),
        b"Taro Yamada",
    ];
    for name in names {
        let mut office = Office::open();
        let from = format!(" <sip:acme-801@{SERVER}>");
        office.phone('A').from = Some([name, from.as_bytes()].concat());
        office.call('A', "804");
        office.run(secs(1));
        let invite = office.phone('D').invite.clone().unwrap();
        assert!(invite.header(Header::From).unwrap().starts_with(name), "{name:?}");
        office.give_up('A');
        office.finish();
    }
    let invite = shown(Office::open(), b"\"M\xfcller\" <sip:0455550001@c>", &[]);
    assert!(invite.header(Header::From).unwrap().starts_with(b"\"M\xfcller\" <"));
}

#[test]
fn a_name_that_ends_with_a_backslash_passes_with_its_number_and_hides_nothing() {
    let name = b"\"\x95\x5c\"".as_slice();
    let from = [name, b" <sip:0999990001@carrier>"].concat();
    let asserted = [name, b" <sip:+81455550001@carrier>, ", name, b" <tel:+81455550001>"].concat();
    for (headers, number) in [
        (Vec::new(), "0999990001"),
        (vec![("P-Asserted-Identity", asserted.as_slice())], "0455550001"),
    ] {
        let invite = shown(Office::open(), &from, &headers);
        let got = invite.from().unwrap();
        assert_eq!((got.display, got.tag().is_some()), (name, true));
        assert_eq!(invite.from_user().unwrap(), number.as_bytes());
    }
    // In plain letters it would escape the quote at whoever reads it next: it is left out.
    let invite = shown(Office::open(), b"\"Taro\\\" <sip:0455550001@c>", &[]);
    assert_eq!(invite.from_user().unwrap(), b"0455550001");
    assert!(!String::from_utf8_lossy(invite.bytes()).contains("Taro"));
}

#[test]
fn a_phone_is_shown_as_the_number_that_it_prefers_when_it_may() {
    let allowed = |preferred: &str, more: &str| {
        let plan = format!("caller_id = \"number1\"\nallow_caller_id = [{more}]");
        let mut office = Office::changed("caller_id = \"number1\"", &plan);
        let value = format!("\"Sales\" <sip:{preferred}@{SERVER}>").into_bytes();
        office.phone('A').headers = vec![("P-Preferred-Identity", value)];
        office.call('A', "0455550001");
        office.run(secs(1));
        let invite = office.phone(TRUNK).invite.clone().unwrap();
        assert_eq!(invite.header(Header::PPreferredIdentity), None, "it ends at us");
        office.give_up('A');
        only(office.finish());
        value_of_user(&invite, Header::PAssertedIdentity)
    };
    let more = "\"number3\"";
    assert_eq!(allowed("0312340003", more), "0312340003");
    assert_eq!(allowed("+81312340003", more), "0312340003");
    // Its own, one that it may not show, one of nobody, nonsense: the plan's stands.
    for other in ["0312340001", "0312340002", "0455550009", "anonymous"] {
        assert_eq!(allowed(other, more), "0312340001", "{other}");
    }
}

#[test]
fn a_code_before_a_number_shows_another_number_for_this_call_alone() {
    let mut office = Office::planned(|plan| {
        let chosen = "caller_id = \"number1\"\nallow_caller_id = [\"number2\", \"number3\"]";
        plan.replacen("caller_id = \"number1\"", chosen, 1).replacen(
            "[extension.echo]",
            "[feature_codes]\nshow_number = \"*67\"\n[extension.echo]",
            1,
        )
    });
    // The second of those that the phone may show, its own again, the first.
    for (dialled, shown) in [
        ("*6720455550001", "0312340003"),
        ("0455550001", "0312340001"),
        ("*6710455550001", "0312340002"),
    ] {
        office.call('A', dialled);
        office.run(secs(1));
        let invite = office.phone(TRUNK).invite.take().unwrap();
        assert_eq!(value_of_user(&invite, Header::PAssertedIdentity), shown, "{dialled}");
        office.give_up('A');
        office.run(secs(1));
    }
    // A place that is none, and a phone without a choice: said and refused, nobody is called.
    for (name, dialled) in [('A', "*6730455550001"), ('B', "*6710455550001")] {
        office.call(name, dialled);
        office.run(secs(5));
        assert!(office.phone(name).heard("failed 403"), "{dialled}: {:?}", office.phone(name).log);
        assert!(office.phone(TRUNK).invite.is_none(), "{dialled}");
    }
    office.finish();
}

fn value_of_user(message: &Message, header: Header) -> String {
    let address = koukan_sip::header::NameAddr::parse(message.header(header).unwrap()).unwrap();
    String::from_utf8(address.uri().unwrap().user_unescaped().unwrap()).unwrap()
}

#[test]
fn a_phone_without_update_is_told_by_a_re_invite_that_changes_nothing() {
    let mut office = Office::open();
    office.phone('D').take_no_update();
    office.register('D', &[]);
    office.phone('D').does = Does::Answers(200);
    office.call('A', "804");
    office.run(secs(2));
    let before = office.media.of(office.phones[&'D'].media).unwrap().1.config.clone();
    let replaces = office.phone('A').replaced();
    office.phone('D').requests.clear();
    office.phone('B').headers = vec![("Replaces", replaces.into_bytes())];
    office.call('B', "804");
    office.run(secs(2));
    let told = office.phone('D').requests.last().cloned().unwrap();
    assert_eq!(told.method(), Some(koukan_sip::Method::Invite));
    assert_eq!(value_of_user(&told, Header::PAssertedIdentity), "acme-802");
    let after = office.media.of(office.phones[&'D'].media).unwrap().1.config.clone();
    assert_eq!(before, after, "its media is as it was");
    let (b, d) = (office.phone('B').media, office.phone('D').media);
    assert!(office.media.joined(b, d), "{:?}", office.explained);
    office.hang_up('B');
    only(office.finish());
}

#[test]
fn a_hidden_caller_is_hidden_however_it_asks() {
    type Headers = &'static [(&'static str, &'static [u8])];
    let cases: [(&[u8], Headers); 4] = [
        (FROM, &[("Privacy", b"id"), ("P-Asserted-Identity", b"<sip:0455550001@c>")]),
        (FROM, &[("Privacy", b"header;user")]),
        (b"\"Anonymous\" <sip:anonymous@anonymous.invalid>", &[]),
        (FROM, &[("Remote-Party-ID", b"<sip:0455550001@c>;privacy=full")]),
    ];
    for (from, headers) in cases {
        let invite = shown(Office::open(), from, headers);
        assert_eq!(invite.from_user().unwrap(), b"anonymous", "{headers:?}");
        let text = String::from_utf8_lossy(invite.bytes()).into_owned();
        assert!(!text.contains("045555") && !text.contains("099999"), "{text}");
    }
    let seen = shown(Office::open(), FROM, &[("Privacy", b"none")]);
    assert_eq!(seen.from_user().unwrap(), b"0999990001");
}

#[test]
fn why_a_caller_has_no_number_is_shown() {
    let from = b"\"Coin line/payphone\" <sip:anonymous@anonymous.invalid>";
    let invite = shown(Office::open(), from, &[]);
    assert!(value(&invite, Header::From).starts_with("\"Coin line/payphone ("));
}

#[test]
fn our_number_is_told_in_the_header_that_the_trunk_reads() {
    for (keys, header, expected) in [
        ("", Header::PAssertedIdentity, "<sip:0312340002@"),
        ("identity = \"preferred\"", Header::PPreferredIdentity, "<sip:0312340002@"),
        ("identity = \"remote-party-id\"", Header::RemotePartyId, "<sip:0312340002@"),
        ("identity = \"from\"", Header::From, "<sip:0312340002@"),
    ] {
        let mut office = trunk(keys);
        office.call('C', "0455550001");
        office.run(secs(1));
        let invite = office.phone(TRUNK).invite.clone().unwrap();
        assert!(value(&invite, header).starts_with(expected), "{keys}");
        let told = [Header::PAssertedIdentity, Header::PPreferredIdentity, Header::RemotePartyId];
        let told = told.into_iter().filter(|header| invite.header(*header).is_some()).count();
        assert_eq!(told, usize::from(header != Header::From), "one header alone");
        office.give_up('C');
        office.finish();
    }
}

#[test]
fn a_phone_that_hides_by_its_header_is_hidden_outside() {
    for (headers, number, hidden) in [
        (vec![("Privacy", b"id".to_vec())], "0455550001", true),
        (vec![("Privacy", b"id".to_vec())], "1860455550001", false),
        (Vec::new(), "1840455550001", true),
        (vec![("P-Preferred-Identity", b"<sip:0312340001@x>".to_vec())], "0455550001", false),
    ] {
        let mut office = Office::open();
        office.phone('C').headers = headers;
        office.call('C', number);
        office.run(secs(1));
        let invite = office.phone(TRUNK).invite.clone().unwrap();
        assert_eq!(invite.from_user().unwrap() == b"anonymous", hidden, "{number}");
        assert_eq!(value(&invite, Header::Privacy) == "id", hidden);
        // What a phone prefers counts for nothing; the plan names its number.
        assert!(value(&invite, Header::PAssertedIdentity).contains("0312340002"));
        office.give_up('C');
        office.finish();
    }
}

#[test]
fn phones_are_shown_who_answers() {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(500);
    office.call('A', "804");
    office.run(secs(2));
    let told = office.phone('A').connected.clone();
    let expected = format!("<sip:acme-804@{SERVER}>");
    assert_eq!(told, [expected.clone(), expected], "in the 180 and in the 200");
    office.hang_up('A');
    office.finish();

    let mut office = Office::open();
    office.phone(TRUNK).does = Does::Answers(500);
    office.phone(TRUNK).answer_headers =
        vec![("P-Asserted-Identity", b"\"Osaka\" <sip:0666660001@carrier>".to_vec())];
    office.call('A', "0455550001");
    office.run(secs(2));
    let told = office.phone('A').connected.last().cloned().unwrap();
    assert_eq!(told, format!("\"Osaka\" <sip:0666660001@{SERVER}>"));
    office.hang_up('A');
    office.finish();
}

#[test]
fn a_carrier_is_not_told_who_sits_where() {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(500);
    office.call(TRUNK, "0312340003");
    office.run(secs(2));
    assert!(office.phone(TRUNK).heard("answered") && office.phone(TRUNK).connected.is_empty());
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn after_a_transfer_both_phones_are_shown_each_other() {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(500);
    office.phone('B').does = Does::Answers(500);
    office.phone('A').headers = vec![("Allow", b"INVITE, ACK, BYE, CANCEL, UPDATE".to_vec())];
    office.call('A', "804");
    office.run(secs(2));
    let now = office.now;
    office.phone('D').refer(now, &format!("<sip:802@{SERVER}>"), &[]);
    office.run(secs(2));
    let update = office.phone('A').requests.last().cloned().unwrap();
    assert_eq!(value(&update, Header::PAssertedIdentity), format!("<sip:acme-802@{SERVER}>"));
    assert!(update.body().is_empty(), "media is not touched");
    assert_eq!(office.phone('B').invite.clone().unwrap().from_user().unwrap(), b"acme-801");
    office.hang_up('A');
    office.finish();
}

fn redirecting(does: Does) -> Office {
    let mut office = Office::changed("ext = \"804\"", "ext = \"804\"\nredirect = true");
    office.phone('D').does = does;
    office
}

#[test]
fn a_phone_may_send_its_call_to_a_colleague_when_the_plan_lets_it() {
    let mut office = redirecting(Does::Redirects("802"));
    office.phone('B').does = Does::Answers(500);
    office.call('A', "804");
    office.run(secs(2));
    assert!(office.phone('A').heard("answered"), "{:?}", office.explained);
    let invite = office.phone('B').invite.clone().unwrap();
    assert_eq!(invite.from_user().unwrap(), b"acme-801");
    assert!(value(&invite, Header::Diversion).starts_with("<sip:804@"));
    office.hang_up('B');
    let cdr = only(office.finish());
    assert_eq!(cdr.legs[1].status, 302);

    let mut office = Office::open();
    office.phone('D').does = Does::Redirects("802");
    office.call('A', "804");
    office.run(secs(2));
    assert!(office.phone('A').heard("failed 480") && !office.phone('B').heard("invite"));
    office.finish();
}

#[test]
fn a_redirection_to_outside_goes_through_the_gate_as_the_phones_own_call() {
    for (keys, target, heard) in [
        ("diversion = \"diversion\"", "0455550001", true),
        ("diversion = \"history-info\"", "0455550001", true),
        ("diversion = \"none\"", "119", false),
    ] {
        let plan = |text: &str| {
            text.replace("ext = \"804\"", "ext = \"804\"\nredirect = true")
                .replace("profile = \"jp-ngn\"", &format!("profile = \"jp-ngn\"\n{keys}"))
        };
        let mut office = Office::planned(plan);
        office.phone('D').does = Does::Redirects(target);
        office.phone(TRUNK).does = Does::Answers(500);
        office.call('A', "804");
        office.run(secs(3));
        assert_eq!(office.phone('A').heard("answered"), heard, "{:?}", office.explained);
        assert_eq!(office.phone(TRUNK).heard("invite"), heard);
        if heard {
            let invite = office.phone(TRUNK).invite.clone().unwrap();
            assert_eq!(invite.from_user().unwrap(), b"0312340003");
            let diversion = value(&invite, Header::Diversion);
            let history: Vec<String> = invite
                .list(Header::HistoryInfo)
                .map(|entry| String::from_utf8_lossy(entry).into_owned())
                .collect();
            if keys.contains("history") {
                assert_eq!(history.len(), 2, "{history:?}");
                assert!(history[1].contains("cause=480") && history[1].ends_with("index=1.1;mp=1"));
            } else {
                assert!(diversion.starts_with("<sip:0312340003@"), "{diversion}");
                assert!(diversion.ends_with(";reason=deflection") && history.is_empty());
            }
        }
        office.hang_up('A');
        office.finish();
    }
}

#[test]
fn two_phones_that_send_a_call_to_each_other_give_up() {
    let plan = |text: &str| {
        text.replace("ext = \"804\"", "ext = \"804\"\nredirect = true")
            .replace("ext = \"802\"", "ext = \"802\"\nredirect = true")
    };
    let mut office = Office::planned(plan);
    office.phone('D').does = Does::Redirects("802");
    office.phone('B').does = Does::Redirects("804");
    office.call('A', "804");
    office.run(secs(5));
    assert!(office.phone('A').heard("failed 480"), "{:?}", office.explained);
    assert!(office.explained("too often"));
    assert!(only(office.finish()).legs.len() <= 13);
}

#[test]
fn a_redirection_beside_phones_that_ring_rings_with_them() {
    let mut office = redirecting(Does::Redirects("803"));
    office.phone('C').does = Does::Answers(1_000);
    office.call(TRUNK, "0312340003");
    office.run(secs(3));
    assert!(office.phone('E').heard("invite"));
    assert!(office.phone(TRUNK).heard("answered"), "{:?}", office.explained);
    office.hang_up('C');
    office.finish();
}

#[test]
fn a_call_that_was_passed_on_too_often_goes_in_a_circle() {
    let many = vec![("Diversion", b"<sip:0455550009@x>;reason=unconditional;counter=11".to_vec())];
    let few = vec![("Diversion", b"<sip:0455550009@x>;reason=unconditional;counter=3".to_vec())];
    let mut office = Office::open();
    office.phone(TRUNK).headers = many;
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    assert!(office.phone(TRUNK).heard("failed 482"), "{:?}", office.phone(TRUNK).log);
    office.phone(TRUNK).headers = few;
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    let invite = office.phone('D').invite.clone().unwrap();
    assert!(value(&invite, Header::Diversion).contains("0455550009"));
    office.give_up(TRUNK);
    only(office.finish());
}
