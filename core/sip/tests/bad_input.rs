//! Input that no standard foresees (RFC 3261, 7, 16.3, 18; RFC 5393): names in old character sets,
//! floods of headers and Vias, lengths that lie, NUL bytes, port 0, requests that come back.

#[path = "support/peer.rs"]
mod peer;

use std::time::{Duration, Instant};

use koukan_base::Time;
use koukan_sip::{
    Counts, DialogId, Event, Flow, Header, Message, Method, Request, Response, Scanner, ServerTx,
    Transport, UaAction, UserAgent,
};

const NOW: Time = Time::from_millis(1);

/// A request with these lines between Via and the empty line.
fn text(method: &str, via: &str, lines: &[u8]) -> Vec<u8> {
    let head =
        format!("{method} sip:b@192.0.2.1 SIP/2.0\r\n{via}Call-ID: c\r\nCSeq: 1 {method}\r\n");
    [head.as_bytes(), lines, b"\r\n"].concat()
}

const VIA: &str = "Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK1\r\n";
const PARTIES: &[u8] = b"From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nContact: <sip:a@192.0.2.2>\r\n";

fn read(bytes: &[u8]) -> Message {
    Message::from_datagram(&mut Scanner::new(), bytes).expect("SIP")
}

/// A call, with its dialog, or another request.
type Opened = Option<(ServerTx, Option<DialogId>)>;

/// Everything that is sent, and the transaction and dialog that a call or request got.
fn drain(agent: &mut UserAgent) -> (Vec<(Flow, Vec<u8>)>, Opened) {
    let (mut sent, mut opened) = (Vec::new(), None);
    while let Some(action) = agent.poll_action() {
        match action {
            UaAction::Send { flow, bytes } => sent.push((flow, bytes)),
            UaAction::Event(Event::Invite { tx, dialog, .. }) => opened = Some((tx, Some(dialog))),
            UaAction::Event(Event::Request { tx, .. }) => opened = Some((tx, None)),
            UaAction::Event(_) => {}
        }
    }
    (sent, opened)
}

fn finish(mut agent: UserAgent) {
    while let Some(next) = agent.poll_timeout() {
        agent.handle_timeout(next);
        let _ = drain(&mut agent);
    }
    assert_eq!(agent.counts(), Counts::default());
}

/// What becomes of `bytes`: the status of the answer, when there is one.
fn status(bytes: &[u8]) -> Option<u16> {
    let mut agent = peer::agent(Transport::Udp);
    agent.handle_bytes(NOW, peer::flow(Transport::Udp), bytes);
    let (mut sent, opened) = drain(&mut agent);
    if let Some((tx, _)) = opened {
        agent.respond(NOW, tx, Response::new(480));
        sent.extend(drain(&mut agent).0);
    }
    finish(agent);
    sent.first().and_then(|(_, bytes)| read(bytes).status())
}

#[test]
fn names_in_any_character_set_come_back_byte_for_byte() {
    let names: [&[u8]; 5] = [
        // Shift_JIS: the second one ends with a byte that is a backslash.
        b"\"\x8a\xbf\x8e\x9a\"",
        b"\"\x95\x5c\"",
        // Latin-1 and EUC-JP.
        b"\"M\xfcller \xdf\"",
        b"\xb4\xc1\xbb\xfa",
        b"\"\xe2\x80\xae\\\"<x>\"",
    ];
    for name in names {
        let from = [b"From: ", name, b" <sip:a@x>;tag=1\r\n"].concat();
        let to = [b"To: ", name, b" <sip:b@x>\r\n"].concat();
        let lines = [from.as_slice(), &to, b"Contact: <sip:a@192.0.2.2>\r\n"].concat();
        let bytes = text("INVITE", VIA, &lines);
        let (from_value, to_value) = (&from[6..from.len() - 2], &to[4..to.len() - 2]);
        assert_eq!(read(&bytes).from().expect("From").display, name);
        let mut agent = peer::agent(Transport::Udp);
        agent.handle_bytes(NOW, peer::flow(Transport::Udp), &bytes);
        let (_, opened) = drain(&mut agent);
        let (tx, dialog) = opened.expect("a call");
        agent.respond(NOW, tx, Response::new(200));
        let answer = read(&drain(&mut agent).0[0].1);
        assert_eq!(answer.header(Header::From), Some(from_value));
        assert!(answer.header(Header::To).expect("To").starts_with(to_value));
        // The BYE that we send says both names again.
        let tag = answer.to_tag().expect("a tag").to_vec();
        let to_line = [b"To: ".as_slice(), to_value, b";tag=", &tag, b"\r\n"].concat();
        let bytes = text("ACK", &VIA.replace("bK1", "bK2"), &[from.as_slice(), &to_line].concat());
        agent.handle_bytes(NOW, peer::flow(Transport::Udp), &bytes);
        agent.bye(NOW, dialog.expect("a dialog"), None);
        let bye = read(&drain(&mut agent).0[0].1);
        assert_eq!(bye.method(), Some(Method::Bye));
        assert_eq!(bye.header(Header::To), Some(from_value));
        assert!(bye.header(Header::From).expect("From").starts_with(to_value));
        finish(agent);
    }
}

#[test]
fn three_thousand_headers_are_refused_and_ten_thousand_vias_dropped() {
    let lines = [PARTIES, &b"X: y\r\n".repeat(3_000)].concat();
    assert_eq!(status(&text("OPTIONS", VIA, &lines)), Some(400));
    let lines = [PARTIES, b"X: ", &b"y".repeat(40_000), b"\r\n"].concat();
    assert_eq!(status(&text("OPTIONS", VIA, &lines)), Some(513));
    let lines = [PARTIES, &b"X: y\r\n".repeat(30_000)].concat();
    assert_eq!(status(&text("OPTIONS", VIA, &lines)), Some(513));
    let lines = [PARTIES, b"Content-Length: 70000\r\n\r\n", &b"y".repeat(70_000)].concat();
    assert_eq!(status(&text("OPTIONS", VIA, &lines)), Some(513));
    for count in [72, 2_000, 10_000] {
        let vias = format!("{VIA}Via: {}\r\n", "SIP/2.0/UDP a,".repeat(count));
        assert_eq!(status(&text("OPTIONS", &vias, PARTIES)), None, "{count}");
        let vias = VIA.repeat(count);
        let begun = Instant::now();
        let answer = status(&text("OPTIONS", &vias, PARTIES));
        assert!(answer.is_none_or(|status| status == 400 || status == 513), "{answer:?}");
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
    let vias = format!("{VIA}Via: {}\r\n", ["SIP/2.0/UDP a"; 70].join(","));
    assert_eq!(status(&text("OPTIONS", &vias, PARTIES)), Some(480));
}

#[test]
fn a_length_that_lies_is_refused_and_one_that_repeats_is_not() {
    let length = |lines: &str| {
        let lines = [PARTIES, lines.as_bytes()].concat();
        status(&text("OPTIONS", VIA, &lines))
    };
    assert_eq!(length("Content-Length: 0\r\nl: 0\r\n"), Some(480));
    for lines in [
        "Content-Length: -1\r\n",
        "Content-Length: 0\r\nContent-Length: 5\r\n",
        "Content-Length: 0, 0\r\n",
        "Content-Length: +0\r\n",
        "Content-Length: 0x0\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length:\r\n",
        "Content-Length: 7\r\n",
    ] {
        assert_eq!(length(lines), Some(400), "{lines}");
    }
}

#[test]
fn nul_bytes_and_line_ends_of_others_never_reach_the_wire() {
    for (at, byte) in text("OPTIONS", VIA, PARTIES).iter().enumerate() {
        let mut bytes = text("OPTIONS", VIA, PARTIES);
        assert_eq!(bytes.get(at), Some(byte));
        bytes.insert(at, 0);
        let mut agent = peer::agent(Transport::Udp);
        agent.handle_bytes(NOW, peer::flow(Transport::Udp), &bytes);
        let (mut sent, opened) = drain(&mut agent);
        if let Some((tx, _)) = opened {
            agent.respond(NOW, tx, Response::new(200));
            sent.extend(drain(&mut agent).0);
        }
        assert!(sent.iter().all(|(_, bytes)| !bytes.contains(&0)), "at {at}");
        finish(agent);
    }
    let mut agent = peer::agent(Transport::Udp);
    let mut request = options(peer::flow(Transport::Udp));
    request.headers = vec![("Subject", b"a\r\nX-Smuggled: 1\0\n\r".to_vec())];
    agent.request(NOW, request);
    let sent = read(&drain(&mut agent).0[0].1);
    assert_eq!(sent.header_named("X-Smuggled"), None);
    finish(agent);
}

fn options(flow: Flow) -> Request {
    Request {
        method: Method::Options,
        flow,
        request_uri: b"sip:b@192.0.2.2".to_vec(),
        from: b"<sip:a@192.0.2.1>".to_vec(),
        to: b"<sip:b@192.0.2.2>".to_vec(),
        route: Vec::new(),
        max_forwards: 70,
        headers: Vec::new(),
        body: None,
        credentials: None,
    }
}

#[test]
fn port_0_is_no_address_for_an_answer() {
    let mut agent = peer::agent(Transport::Udp);
    let mut flow = peer::flow(Transport::Udp);
    flow.remote.set_port(40_000);
    for (port, expected) in [(":0", 40_000), ("", 5060), (":5070", 5070), (":0;rport", 40_000)] {
        let via = format!("Via: SIP/2.0/UDP 192.0.2.2{port};branch=z9hG4bK{expected}{port}\r\n");
        let via = via.replace("branch=z9hG4bK40000:0;rport", "branch=z9hG4bKrport");
        agent.handle_bytes(NOW, flow, &text("CANCEL", &via, PARTIES));
        let (sent, _) = drain(&mut agent);
        assert_eq!(sent[0].0.remote.port(), expected, "{port}");
    }
    finish(agent);
}

#[test]
fn a_request_of_ours_that_comes_back_unchanged_is_482_and_a_spiral_is_not() {
    let mut agent = peer::agent(Transport::Udp);
    let flow = peer::flow(Transport::Udp);
    let mut request = options(flow);
    request.method = Method::Invite;
    let call = agent.invite(NOW, request);
    let (sent, _) = drain(&mut agent);
    let ours = String::from_utf8(sent[0].1.clone()).expect("text");
    // A proxy put itself on top and sent it to us.
    let back = |uri: &str, branch: &str| {
        let via = format!("\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK{branch}\r\nVia: ");
        let text = ours.replacen("\r\nVia: ", &via, 1);
        text.replacen("sip:b@192.0.2.2 SIP", &format!("{uri} SIP"), 1)
    };
    agent.handle_bytes(NOW, flow, back("sip:b@192.0.2.2", "p1").as_bytes());
    let (sent, opened) = drain(&mut agent);
    assert!(opened.is_none());
    assert_eq!(read(&sent[0].1).status(), Some(482));
    let spiral = back("sip:other@192.0.2.1", "p2").replace("CSeq: 1", "CSeq: 2");
    agent.handle_bytes(NOW, flow, spiral.as_bytes());
    let (_, opened) = drain(&mut agent);
    let (tx, _) = opened.expect("a call");
    agent.respond(NOW, tx, Response::new(486));
    let used_up = back("sip:x@192.0.2.1", "p3").replace("CSeq: 1", "CSeq: 3");
    let used_up = used_up.replace("Max-Forwards: 70", "Max-Forwards: 0");
    let _ = drain(&mut agent);
    agent.handle_bytes(NOW, flow, used_up.as_bytes());
    let (sent, _) = drain(&mut agent);
    assert_eq!(read(&sent[0].1).status(), Some(483));
    agent.cancel(NOW, call, None);
    finish(agent);
}
