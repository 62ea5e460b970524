//! What changes within a call: hold in every spelling, codecs, addresses, late offers, crossings,
//! early media of several phones, digits.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_media::{Codec, Direction, Source};
use koukan_sip::{Body, Method, sdp};
use koukan_switch::CallCause;
use office::{Does, Office, TRUNK, ending, only};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A talks to D.
fn talking() -> Office {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(500);
    office.call('A', "804");
    office.run(secs(2));
    office
}

fn direction(office: &mut Office, name: char) -> Direction {
    let media = office.phone(name).media;
    office.media.of(media).unwrap().1.config.clone().unwrap().direction
}

fn heard(office: &mut Office, name: char) -> Source {
    let media = office.phone(name).media;
    office.media.of(media).unwrap().1.source
}

fn joined(office: &mut Office, a: char, b: char) -> bool {
    let (a, b) = (office.phone(a).media, office.phone(b).media);
    office.media.joined(a, b)
}

#[test]
fn hold_is_taken_in_every_spelling_from_either_side_and_ends_by_a_new_offer() {
    let spellings = [
        (sdp::Direction::SendOnly, "a=ptime", "a=ptime", Direction::RecvOnly),
        (sdp::Direction::Inactive, "a=ptime", "a=ptime", Direction::Inactive),
        (sdp::Direction::SendRecv, "c=IN IP4", "c=IN IP4 0.0.0.0\r\na=x:", Direction::RecvOnly),
        (sdp::Direction::SendOnly, "c=IN IP4", "c=IN IP4 0.0.0.0\r\na=x:", Direction::RecvOnly),
    ];
    for (holder, held) in [('A', 'D'), ('D', 'A')] {
        for (wish, from, to, expected) in spellings {
            let mut office = talking();
            let now = office.now;
            office.phone(holder).offer_changed(now, wish, from, to);
            office.run(secs(1));
            let answer = office.phone(holder).descriptions.last().cloned().unwrap();
            assert_ne!(answer.audio().unwrap().1.direction, sdp::Direction::SendRecv);
            assert_eq!(heard(&mut office, held), Source::Silence, "{to}");
            if !to.contains("0.0.0.0") {
                assert_eq!(direction(&mut office, holder), expected);
            }
            assert!(!office.phone(held).log.iter().any(|line| line.starts_with("request")));
            let now = office.now;
            office.phone(holder).offer_again(now, sdp::Direction::SendRecv);
            office.run(secs(1));
            assert!(joined(&mut office, 'A', 'D'), "{holder} {to}");
            office.hang_up(holder);
            only(office.finish());
        }
    }
}

#[test]
fn both_may_hold_and_the_call_speaks_again_when_both_resume() {
    let mut office = talking();
    for (name, wish) in [
        ('A', sdp::Direction::SendOnly),
        ('D', sdp::Direction::SendOnly),
        ('A', sdp::Direction::SendOnly),
        ('A', sdp::Direction::SendRecv),
    ] {
        let now = office.now;
        office.phone(name).offer_again(now, wish);
        office.run(secs(1));
        assert!(!joined(&mut office, 'A', 'D'), "{name} {wish:?}");
    }
    let now = office.now;
    office.phone('D').offer_again(now, sdp::Direction::SendRecv);
    office.run(secs(1));
    assert!(joined(&mut office, 'A', 'D'));
    office.run(secs(30));
    assert_eq!(office.switch.calls()[0].stage, "bridged");
    office.hang_up('A');
    only(office.finish());
}

#[test]
fn another_codec_on_one_leg_leaves_the_other_leg_alone() {
    for changes in ['A', 'D'] {
        let mut office = talking();
        let other = if changes == 'A' { 'D' } else { 'A' };
        let now = office.now;
        let wish = sdp::Direction::SendRecv;
        office.phone(changes).offer_changed(now, wish, "RTP/AVP 0 8 101", "RTP/AVP 8 101");
        office.run(secs(1));
        let codec = |office: &mut Office, name| {
            let media = office.phone(name).media;
            office.media.of(media).unwrap().1.config.clone().unwrap().codec.codec
        };
        assert_eq!(codec(&mut office, changes), Codec::Pcma);
        assert_eq!(codec(&mut office, other), Codec::Pcmu);
        assert!(joined(&mut office, 'A', 'D'), "the worker converts between the two");
        assert!(!office.phone(other).log.iter().any(|line| line.starts_with("request")));
        office.hang_up('A');
        only(office.finish());
    }
}

#[test]
fn an_offer_that_cannot_be_taken_is_488_and_the_call_goes_on_as_it_was() {
    let mut office = talking();
    let now = office.now;
    let wish = sdp::Direction::SendRecv;
    office.phone('D').offer_changed(now, wish, "RTP/AVP 0 8 101", "RTP/AVP 18");
    office.run(secs(1));
    assert!(office.phone('D').heard("failed 488"), "{:?}", office.phone('D').log);
    assert!(joined(&mut office, 'A', 'D'));
    office.hang_up('D');
    only(office.finish());
}

#[test]
fn a_codec_of_the_configuration_is_taken_and_another_is_not() {
    for (codecs, taken) in [(&[Codec::Pcmu, Codec::G722][..], true), (&[Codec::Pcmu], false)] {
        let mut office = Office::speaking(codecs);
        office.phone('D').does = Does::Answers(500);
        office.call('A', "804");
        office.run(secs(2));
        let now = office.now;
        let wish = sdp::Direction::SendRecv;
        office.phone('D').offer_changed(now, wish, "RTP/AVP 0 8 101", "RTP/AVP 9 101");
        office.run(secs(1));
        assert_eq!(office.phone('D').heard("failed 488"), !taken);
        let media = office.phone('D').media;
        let params = office.media.of(media).unwrap().1.config.clone().unwrap().codec;
        let wanted = if taken { (Codec::G722, 9, 9) } else { (Codec::Pcmu, 0, 0) };
        assert_eq!((params.codec, params.payload_type, params.receive_type), wanted);
        assert!(joined(&mut office, 'A', 'D'), "whatever the two speak");
        office.hang_up('A');
        only(office.finish());
    }
}

#[test]
fn a_new_address_is_followed() {
    let mut office = talking();
    let now = office.now;
    office.phone('D').media.set_port(9_000);
    office.phone('D').offer_again(now, sdp::Direction::SendRecv);
    office.run(secs(1));
    assert!(joined(&mut office, 'A', 'D'));
    office.hang_up('D');
    only(office.finish());
}

#[test]
fn a_new_invite_without_an_offer_gets_ours_from_either_side() {
    for name in ['A', 'D'] {
        let mut office = talking();
        let now = office.now;
        office.phone(name).ask_for_offer(now, true);
        office.run(secs(1));
        let offer = office.phone(name).descriptions.last().cloned().unwrap();
        assert_eq!(offer.audio().unwrap().1.audio_formats().count(), 3, "all that we have");
        assert!(joined(&mut office, 'A', 'D'));
        office.run(secs(40));
        assert_eq!(office.switch.calls()[0].stage, "bridged");
        office.hang_up(name);
        only(office.finish());
    }
}

#[test]
fn an_ack_that_forgets_its_answer_leaves_what_was_agreed() {
    let mut office = talking();
    let now = office.now;
    office.phone('D').ask_for_offer(now, false);
    office.run(secs(3));
    assert!(joined(&mut office, 'A', 'D'), "{:?}", office.explained);
    office.hang_up('D');
    only(office.finish());
}

#[test]
fn a_caller_without_an_offer_meets_a_carrier_that_speaks_early() {
    let mut office = Office::open();
    office.phone('A').late_offer = true;
    office.phone(TRUNK).does = Does::EarlyThenAnswers(1_000);
    office.call('A', "0455550001");
    office.run(secs(3));
    assert!(joined(&mut office, 'A', TRUNK), "{:?}", office.explained);
    office.hang_up(TRUNK);
    only(office.finish());
}

#[test]
fn a_hang_up_that_crosses_an_offer_ends_the_call_once() {
    for (ends, offers) in [('A', 'D'), ('D', 'A'), ('A', 'A')] {
        let mut office = talking();
        let now = office.now;
        office.phone(offers).offer_again(now, sdp::Direction::SendOnly);
        office.hang_up(ends);
        office.run(secs(1));
        assert_eq!(office.switch.calls().len(), 0);
        only(office.finish());
    }
}

#[test]
fn a_refresh_without_a_description_touches_no_media() {
    let mut office = talking();
    let media = office.phone('A').media;
    let before = office.media.of(media).map(|(id, stream)| (id, stream.config.clone()));
    let now = office.now;
    office.phone('A').in_dialog(now, Method::Update, None);
    office.run(secs(1));
    assert!(office.phone('A').heard("response 200"));
    assert_eq!(office.media.of(media).map(|(id, s)| (id, s.config.clone())), before);
    office.hang_up('A');
    only(office.finish());
}

#[test]
fn the_first_phone_that_speaks_early_is_heard_until_another_one_answers() {
    let mut office = Office::open();
    office.phone('A').does = Does::EarlyThenAnswers(60_000);
    office.phone('B').does = Does::EarlyThenAnswers(2_000);
    office.call(TRUNK, "0312340002");
    office.run(secs(1));
    let trunk = office.phone(TRUNK).media;
    let stream_of = |office: &mut Office, name: char| {
        let media = office::early(office.phone(name).media);
        office.media.of(media).map(|(id, _)| id)
    };
    let first = stream_of(&mut office, 'A').expect("A has spoken first");
    assert_eq!(office.media.of(trunk).unwrap().1.source, Source::Stream(first));
    office.run(secs(3));
    assert!(office.phone(TRUNK).heard("answered"));
    assert!(joined(&mut office, TRUNK, 'B'), "{:?}", office.explained);
    let log = office.phone('A').log.clone();
    assert!(log.iter().any(|line| line.starts_with("cancelled")), "{log:?}");
    office.hang_up(TRUNK);
    only(office.finish());
}

#[test]
fn a_digit_reaches_a_phone_without_telephone_events_by_info() {
    let info = |office: &mut Office, name: char| -> Vec<String> {
        let requests = office.phone(name).requests.clone();
        let infos = requests.iter().filter(|m| m.method() == Some(Method::Info));
        infos.map(|m| String::from_utf8(m.body().to_vec()).unwrap()).collect()
    };
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(500);
    office.phone('D').telephone_event = None;
    office.call('A', "804");
    office.run(secs(2));
    let (now, a, d) = (office.now, office.phone('A').media, office.phone('D').media);
    office.media.press(now, a, b'7');
    office.run(secs(1));
    assert_eq!(info(&mut office, 'D'), ["Signal=7\r\nDuration=100\r\n"]);
    // The other way the digit is in the media already.
    office.media.press(now, d, b'8');
    office.run(secs(1));
    assert!(info(&mut office, 'A').is_empty());
    // An INFO goes on as INFO, in the one spelling of ours, and where there are telephone-events as
    // those.
    for (kind, text) in [
        ("application/dtmf-relay", "Signal= 11\r\nDuration=9\r\n"),
        ("application/dtmf", "*"),
        ("application/x", "3"),
    ] {
        let body = Body { content_type: kind, bytes: text.as_bytes().to_vec() };
        let now = office.now;
        office.phone('D').in_dialog(now, Method::Info, Some(body.clone()));
        office.phone('A').in_dialog(now, Method::Info, Some(body));
    }
    office.run(secs(1));
    let expected = ["Signal=#\r\nDuration=40\r\n", "Signal=*\r\nDuration=160\r\n"];
    assert_eq!(info(&mut office, 'D')[1..], expected);
    assert!(info(&mut office, 'A').is_empty());
    assert_eq!(office.media.pressed, [(a, "#".to_owned()), (a, "*".to_owned())]);
    office.hang_up('A');
    assert_eq!(ending(&only(office.finish())), (CallCause::CallerHungUp, 200));
}

#[test]
fn odd_packet_times_and_plain_keys_of_a_phone_are_taken() {
    for ptime in
        ["a=ptime:40", "a=ptime:60", "a=ptime:20\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x"]
    {
        let mut office = talking();
        let now = office.now;
        office.phone('A').offer_changed(now, sdp::Direction::SendRecv, "a=ptime:20", ptime);
        office.run(secs(1));
        let media = office.phone('A').media;
        let config = office.media.of(media).unwrap().1.config.clone().unwrap();
        let expected = if ptime.contains("40") {
            40
        } else if ptime.contains("60") {
            60
        } else {
            20
        };
        assert_eq!(config.codec.ptime_ms, expected);
        assert!(joined(&mut office, 'A', 'D'));
        office.hang_up('A');
        only(office.finish());
    }
}
