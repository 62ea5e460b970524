//! Ways through NATs and too narrow paths (RFC 3261, 18; RFC 3581): requests too long for a
//! datagram, responses to where requests really came from, and what ALGs do to messages.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

use koukan_base::{Rng, Time};
use koukan_sip::registrar::LongWay;
use koukan_sip::{
    Body, Event, FailureCause, Flow, Listener, ListenerId, Message, Method, Request, Response,
    ScanError, Scanner, Transport, UaAction, UaConfig, UserAgent,
};

const NOW: Time = Time::from_millis(1_000);
const PHONE: &str = "198.51.100.7:5060";

fn agent() -> UserAgent {
    let listener = |id, transport| Listener {
        id: ListenerId(id),
        transport,
        advertised: ([192, 0, 2, 1], 5060).into(),
    };
    let listeners = vec![
        listener(0, Transport::Udp),
        listener(1, Transport::Tcp),
        Listener {
            advertised: "[2001:db8::1]:5060".parse().unwrap(),
            ..listener(2, Transport::Tcp)
        },
    ];
    UserAgent::new(UaConfig { listeners, ..UaConfig::default() }, Rng::from_number(1))
}

fn udp(remote: &str) -> Flow {
    let remote = remote.parse().unwrap();
    Flow { transport: Transport::Udp, listener: ListenerId(0), remote, connection: 0 }
}

fn invite(body: usize) -> Request {
    Request {
        method: Method::Invite,
        flow: udp(PHONE),
        request_uri: b"sip:a@198.51.100.7".to_vec(),
        from: b"<sip:b@x>".to_vec(),
        to: b"<sip:a@x>".to_vec(),
        route: Vec::new(),
        max_forwards: 70,
        headers: Vec::new(),
        body: Some(Body::sdp(vec![b'x'; body])),
        credentials: None,
    }
}

fn sent(agent: &mut UserAgent) -> Vec<(Flow, Message)> {
    let mut sent = Vec::new();
    while let Some(action) = agent.poll_action() {
        if let UaAction::Send { flow, bytes } = action {
            let mut scanner = Scanner::new();
            sent.push((flow, Message::from_datagram(&mut scanner, &bytes).unwrap()));
        }
    }
    sent
}

fn via(message: &Message) -> &str {
    std::str::from_utf8(message.via().unwrap().transport).unwrap()
}

#[test]
fn a_long_request_takes_the_stream_that_leads_to_the_phone_and_a_short_one_does_not() {
    let mut agent = agent();
    let opens = LongWay::Opens(PHONE.parse().unwrap());
    agent.know_long_way(NOW, udp(PHONE), opens);
    agent.invite(NOW, invite(200));
    let first = sent(&mut agent).remove(0);
    assert_eq!((first.0, via(&first.1)), (udp(PHONE), "UDP"));
    agent.invite(NOW, invite(1_300));
    let (flow, message) = sent(&mut agent).remove(0);
    let own = Flow { transport: Transport::Tcp, listener: ListenerId(1), ..udp(PHONE) };
    assert_eq!((flow, via(&message)), (own, "TCP"));
    let contact = message.header(koukan_sip::Header::Contact).unwrap();
    assert!(contact.ends_with(b";transport=tcp>"), "the phone answers by the stream");
    // By a connection that the phone itself holds.
    let standing = Flow { connection: 9, ..own };
    agent.know_long_way(NOW, udp(PHONE), LongWay::Stands(standing));
    agent.invite(NOW, invite(1_300));
    assert_eq!(sent(&mut agent).remove(0).0, standing);
    // Nothing leads to a phone behind a NAT but its datagrams.
    agent.know_long_way(NOW, udp(PHONE), LongWay::None);
    agent.invite(NOW, invite(1_300));
    assert_eq!(sent(&mut agent).remove(0).0, udp(PHONE));
}

#[test]
fn a_refused_stream_falls_back_to_datagrams_at_once_and_is_not_tried_again_for_a_while() {
    let mut agent = agent();
    let opens = LongWay::Opens(PHONE.parse().unwrap());
    agent.know_long_way(NOW, udp(PHONE), opens);
    let tx = agent.invite(NOW, invite(1_300));
    let (stream, first) = sent(&mut agent).remove(0);
    agent.handle_flow_failed(NOW, stream);
    let (flow, second) = sent(&mut agent).remove(0);
    assert_eq!((flow, via(&second)), (udp(PHONE), "UDP"));
    assert_eq!(first.call_id(), second.call_id());
    assert_ne!(first.via().unwrap().branch(), second.via().unwrap().branch());
    // The next call, a minute later, does not wait for a refusal again.
    let later = Time::from_millis(61_000);
    agent.know_long_way(later, udp(PHONE), opens);
    agent.invite(later, invite(1_300));
    assert_eq!(sent(&mut agent).remove(0).0, udp(PHONE));
    let much_later = Time::from_millis(700_000);
    agent.know_long_way(much_later, udp(PHONE), opens);
    agent.invite(much_later, invite(1_300));
    assert_eq!(sent(&mut agent).remove(0).0, stream);
    // Datagrams that fail as well are the end of it.
    agent.handle_flow_failed(NOW, udp(PHONE));
    let failed = std::iter::from_fn(|| agent.poll_action()).any(|action| {
        matches!(action, UaAction::Event(Event::Failed { tx: failed, cause, .. })
            if failed == tx && cause == FailureCause::Transport)
    });
    assert!(failed);
}

#[test]
fn a_stream_that_fails_behind_an_answer_or_a_cancel_is_not_followed_by_a_datagram() {
    let mut agent = agent();
    agent.know_long_way(NOW, udp(PHONE), LongWay::Opens(PHONE.parse().unwrap()));
    let tx = agent.invite(NOW, invite(1_300));
    let (stream, _) = sent(&mut agent).remove(0);
    agent.cancel(NOW, tx, None);
    agent.handle_flow_failed(NOW, stream);
    assert!(sent(&mut agent).is_empty());
}

fn options(via: &str, extra: &str, length: usize, body: &str) -> Vec<u8> {
    format!(
        "OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP {via}\r\nFrom: <sip:a@x>;tag=1\r\n\
         To: <sip:x>\r\nCall-ID: {via}\r\nCSeq: 1 OPTIONS\r\n{extra}\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Where the answer to a datagram goes.
fn answered_at(request: &[u8], source: &str) -> Flow {
    let mut agent = agent();
    agent.handle_bytes(NOW, udp(source), request);
    while let Some(action) = agent.poll_action() {
        match action {
            UaAction::Event(Event::Request { tx, .. }) => {
                agent.respond(NOW, tx, Response::new(200));
            }
            UaAction::Send { flow, .. } => return flow,
            UaAction::Event(_) => {}
        }
    }
    panic!("no answer");
}

#[test]
fn answers_go_where_the_request_came_from_when_a_nat_stands_between() {
    let at = |via: &str| answered_at(&options(via, "", 0, ""), "198.51.100.7:40001");
    // Without a NAT the port of sent-by counts, as RFC 3261 has it.
    assert_eq!(at("198.51.100.7:5070;branch=z9hG4bK1"), udp("198.51.100.7:5070"));
    assert_eq!(at("198.51.100.7;branch=z9hG4bK1"), udp("198.51.100.7:5060"));
    // A private address in sent-by shows the NAT, also where nobody asked for rport.
    assert_eq!(at("192.168.1.20:5060;branch=z9hG4bK1"), udp("198.51.100.7:40001"));
    assert_eq!(at("192.168.1.20:5060;rport;branch=z9hG4bK1"), udp("198.51.100.7:40001"));
    // An ALG that rewrote the host of Via and not the port: rport still tells.
    assert_eq!(at("198.51.100.7:5060;rport;branch=z9hG4bK1"), udp("198.51.100.7:40001"));
}

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 203.0.113.77\r\ns=-\r\nc=IN IP4 203.0.113.77\r\nt=0 0\r\n\
     m=audio 4000 RTP/AVP 0\r\n";

fn body_of(length: usize, body: &str) -> Result<Vec<u8>, ScanError> {
    let kind = "Content-Type: application/sdp\r\n";
    let bytes = options("192.0.2.9;branch=z9hG4bK1", kind, length, body);
    let message = Message::from_datagram(&mut Scanner::new(), &bytes)?;
    Ok(message.body().to_vec())
}

#[test]
fn a_description_that_an_alg_rewrote_without_its_length_is_taken_whole() {
    // "10.0.0.5" became "203.0.113.77", twice: eight bytes more than promised.
    assert_eq!(body_of(SDP.len() - 8, SDP).unwrap(), SDP.as_bytes());
    // And the other way round.
    assert_eq!(body_of(SDP.len() + 8, SDP).unwrap(), SDP.as_bytes());
}

#[test]
fn what_is_truncated_or_says_nonsense_of_its_length_is_refused_or_cut() {
    let cut = &SDP[..SDP.len() - 5];
    assert!(matches!(body_of(SDP.len(), cut), Err(ScanError::BodyCutShort { .. })));
    assert!(matches!(body_of(9_999, SDP), Err(ScanError::BodyCutShort { .. })));
    // Another message behind this one's end is discarded (RFC 4475, 3.1.1.11).
    let two = format!("{SDP}INVITE sip:x SIP/2.0\r\n\r\n");
    assert_eq!(body_of(SDP.len(), &two).unwrap(), SDP.as_bytes());
    assert_eq!(body_of(2, "abcdef\r\n").unwrap(), b"ab");
    // A datagram that lost its end is answered, so that the phone need not guess.
    let kind = "Content-Type: application/sdp\r\n";
    let bytes = options("192.168.1.20:5060;branch=z9hG4bK1", kind, SDP.len(), cut);
    let mut agent = agent();
    agent.handle_bytes(NOW, udp("198.51.100.7:40001"), &bytes);
    let (flow, answer) = sent(&mut agent).remove(0);
    assert_eq!((flow, answer.status()), (udp("198.51.100.7:40001"), Some(400)));
    let via = answer.via().unwrap();
    assert_eq!(via.params.value(b"received"), Some(b"198.51.100.7".as_slice()));
}

#[test]
fn a_dialog_follows_its_peer_to_another_port() {
    let mut agent = agent();
    let tx = agent.invite(NOW, invite(10));
    let request = sent(&mut agent).remove(0).1;
    let header = |header| String::from_utf8(request.header(header).unwrap().to_vec()).unwrap();
    let (via, from) = (header(koukan_sip::Header::Via), header(koukan_sip::Header::From));
    let call_id = header(koukan_sip::Header::CallId);
    let answer = format!(
        "SIP/2.0 200 OK\r\nVia: {via}\r\nFrom: {from}\r\nTo: <sip:a@x>;tag=peer\r\n\
         Call-ID: {call_id}\r\nCSeq: 1 INVITE\r\nContact: <sip:a@192.168.1.20>\r\n\
         Content-Length: 0\r\n\r\n"
    );
    agent.handle_bytes(NOW, udp(PHONE), answer.as_bytes());
    let dialog = std::iter::from_fn(|| agent.poll_action()).find_map(|action| match action {
        UaAction::Event(Event::Answered { tx: answered, dialog, .. }) if answered == tx => {
            Some(dialog)
        }
        _ => None,
    });
    let dialog = dialog.unwrap();
    agent.ack(NOW, dialog, None);
    sent(&mut agent);
    let elsewhere = "198.51.100.7:61000";
    let update = format!(
        "UPDATE sip:koukan@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.1.20;branch=z9hG4bKu\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@x>;tag=peer\r\nTo: {from}\r\nCall-ID: {call_id}\r\n\
         CSeq: 7 UPDATE\r\nContact: <sip:a@192.168.1.20>\r\nContent-Length: 0\r\n\r\n"
    );
    agent.handle_bytes(NOW, udp(elsewhere), update.as_bytes());
    sent(&mut agent);
    assert_eq!(agent.flow(dialog), Some(udp(elsewhere)));
    // And where its registration moves to.
    let new = Flow { transport: Transport::Tcp, connection: 4, ..udp(elsewhere) };
    agent.move_flow(udp(elsewhere), new);
    agent.bye(NOW, dialog, None);
    assert_eq!(sent(&mut agent).remove(0).0, new);
}
