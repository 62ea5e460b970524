//! The ring against a list without an end, and what is shown of a call.

use koukan_base::{Rng, ShardId};
use koukan_switch::CdrLeg;

use super::*;

fn flow(port: u16, transport: Transport) -> Flow {
    let remote = SocketAddr::from(([192, 0, 2, 7], port));
    Flow { transport, listener: ListenerId(0), remote, connection: 0 }
}

fn at(ms: i64) -> Timestamp {
    let start: Timestamp = "2026-07-01T03:00:00Z".parse().unwrap();
    start + jiff::SignedDuration::from_millis(ms)
}

#[test]
fn the_ring_keeps_the_last_messages_whole_and_no_more_than_it_has_room_for() {
    for seed in 0..40 {
        let mut rng = Rng::from_number(seed);
        let room = 2_000 + usize::try_from(rng.next_u32() % 6_000).unwrap();
        let mut ring = ring(room);
        let mut all: Vec<Vec<u8>> = Vec::new();
        for number in 0..400_u32 {
            let length = 12 + usize::try_from(rng.next_u32() % 900).unwrap();
            let sign = u8::try_from(number % 251).unwrap();
            let message = vec![sign; length];
            let flow = flow(5060, Transport::Udp);
            let (at, sent) = (at(number.into()), number % 2 == 0);
            ring.push(Head { at, sent, flow, whole: length }, &message);
            all.push(message);
            let kept: Vec<&[u8]> = ring.iter().map(|(_, bytes)| bytes).collect();
            let last: Vec<&[u8]> =
                all[all.len() - kept.len()..].iter().map(Vec::as_slice).collect();
            assert_eq!(kept, last, "seed {seed}, message {number}");
            let bytes: usize = kept.iter().map(|bytes| bytes.len()).sum();
            assert!(bytes <= room);
            // Nothing is given up that there is room for: less than two messages stay free.
            assert!(kept.len() == all.len() || bytes + 2 * 912 >= room || kept.len() * 512 > room);
        }
    }
}

#[test]
fn one_long_message_is_cut_and_drives_out_no_more_than_its_part() {
    let mut trace = Trace::new(64 * 1024, None, vec!["192.0.2.1:5060".parse().unwrap()]);
    trace.note(at(0), false, &flow(1, Transport::Udp), &[b'a'; 200]);
    trace.note(at(1), false, &flow(1, Transport::Tcp), &[b'b'; 60_000]);
    let kept = trace.messages();
    assert_eq!(kept.len(), 2);
    assert_eq!((kept[1].bytes.len(), kept[1].length), (16 * 1024, 60_000));
}

fn message(first: &str, cseq: &str, call_id: &str) -> String {
    format!("{first}\r\nVia: SIP/2.0/UDP x\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n\r\n")
}

fn traced() -> Trace {
    let mut trace = Trace::new(64 * 1024, None, vec!["192.0.2.1:5060".parse().unwrap()]);
    let (a, b) = (flow(5061, Transport::Udp), flow(5062, Transport::Tls));
    let mut note = |ms, sent, flow: &Flow, first: &str, cseq: &str, id: &str| {
        trace.note(at(ms), sent, flow, message(first, cseq, id).as_bytes());
    };
    note(0, false, &a, "INVITE sip:802@koukan SIP/2.0", "1 INVITE", "one");
    note(3, true, &b, "INVITE sip:acme-802@192.0.2.7:5062;ob SIP/2.0", "1 INVITE", "two");
    note(4, false, &b, "REGISTER sip:koukan SIP/2.0", "9 REGISTER", "other");
    note(250, false, &b, "SIP/2.0 180 Ringing", "1 INVITE", "two");
    note(251, true, &a, "SIP/2.0 180 Ringing", "1 INVITE", "one");
    note(1_500, false, &b, "SIP/2.0 200 OK", "1 INVITE", "two");
    trace
}

#[test]
fn a_call_is_found_by_the_call_ids_of_its_record_and_drawn_as_a_ladder() {
    let trace = traced();
    let ids = ["one".to_owned(), "two".to_owned()];
    let call: Vec<Traced> = trace.messages().into_iter().filter(|m| m.is_of(&ids)).collect();
    assert_eq!(call.len(), 5);
    let picture = ladder(&call);
    println!("{picture}");
    let lines: Vec<&str> = picture.lines().collect();
    let places = ["192.0.2.7:5061", "koukan", "192.0.2.7:5062"].map(|title| lines[0].find(title));
    assert!(places[0].is_some() && places.is_sorted(), "{places:?}");
    let wanted = [
        ("03:00:00", "- INVITE 802 -", ">|"),
        ("03:00:00.003", "- INVITE acme-802 -", ">|"),
        ("03:00:00.25", "- 180 Ringing (INVITE) -", "|<"),
        ("03:00:00.251", "- 180 Ringing (INVITE) -", "|<"),
        ("03:00:01.5", "- 200 OK (INVITE) -", "|<"),
    ];
    assert_eq!(lines.len(), wanted.len() + 1);
    for (line, (time, words, arrow)) in lines.iter().skip(1).zip(wanted) {
        assert!(line.starts_with(time), "{line}");
        assert!(line.contains(words) && line.contains(arrow), "{line}");
        assert_eq!(line.matches('|').count(), 3, "a rail for each column: {line}");
    }
}

#[test]
fn a_short_call_id_header_counts_and_a_body_does_not() {
    let traced = |text: &str| Traced {
        at: at(0),
        sent: false,
        transport: Transport::Udp,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: "192.0.2.7:5060".parse().unwrap(),
        bytes: text.as_bytes().to_vec(),
        length: text.len(),
    };
    let ids = ["one".to_owned()];
    assert!(traced("BYE sip:a SIP/2.0\r\ni : one \r\n\r\n").is_of(&ids));
    assert!(!traced("BYE sip:a SIP/2.0\r\nTo: x\r\n\r\nCall-ID: one\r\n").is_of(&ids));
    assert!(!traced("").is_of(&ids));
    let picture = ladder(&[traced("\x1b[2Jevil"), traced("")]);
    assert!(!picture.contains('\x1b'), "{picture}");
    assert_eq!(ladder(&[]), "                koukan\n");
}

#[test]
fn a_capture_has_a_header_and_a_block_a_message_of_whole_words() {
    let file = pcapng(&traced().messages());
    let mut rest = file.as_slice();
    let mut kinds = Vec::new();
    while !rest.is_empty() {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        let length = usize::try_from(word(4)).unwrap();
        assert_eq!(length % 4, 0);
        assert_eq!(word(length - 4), word(4), "both ends say the same");
        kinds.push(word(0));
        rest = &rest[length..];
    }
    assert_eq!(kinds, [0x0A0D_0D0A, 1, 6, 6, 6, 6, 6, 6]);
}

#[test]
fn calls_that_are_over_are_remembered_up_to_a_bound_each_with_its_own_call_ids() {
    let mut calls = CallIds::new();
    let id = |number: u32| CallId::new(ShardId(0), u64::from(number));
    for number in 0..5_000 {
        let legs = (0..number % 4).map(|leg| format!("{number}-{leg}@{}", "x".repeat(24)));
        calls.note(&ended(id(number), legs.collect()));
    }
    assert_eq!(calls.of(id(1)), None, "the oldest have gone");
    for number in 4_000..5_000 {
        let legs = (0..number % 4).map(|leg| format!("{number}-{leg}@{}", "x".repeat(24)));
        assert_eq!(calls.of(id(number)), Some(legs.collect()), "{number}");
    }
    // A record that came again, and one of a call that is not over.
    calls.note(&ended(id(4_999), vec!["later".to_owned()]));
    assert_eq!(calls.of(id(4_999)), Some(vec!["later".to_owned()]));
    calls.note(&Cdr { ended: None, ..ended(id(6_000), vec!["up".to_owned()]) });
    assert_eq!(calls.of(id(6_000)), None);
}

fn ended(call: CallId, call_ids: Vec<String>) -> Cdr {
    let now = Timestamp::UNIX_EPOCH;
    let leg = |call_id: String| CdrLeg {
        party: String::new(),
        call_id,
        started: now,
        answered: None,
        ended: Some(now),
        status: 200,
        rtp_received: 0,
        quality_mean: None,
        quality_worst: None,
        quality_cause: None,
        rtp_sent: 0,
        charge: None,
    };
    Cdr {
        call: call.to_string(),
        tenant: String::new(),
        generation: 1,
        direction: "internal".to_owned(),
        caller: String::new(),
        called: String::new(),
        number: None,
        started: now,
        answered: None,
        ended: Some(now),
        last_seen: now,
        cause: None,
        status: 200,
        price: None,
        legs: call_ids.into_iter().map(leg).collect(),
    }
}
