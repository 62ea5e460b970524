//! The torture messages of RFC 4475 and RFC 5118 (`data/`, named by their tags) and what becomes of
//! each of them in the user agent, as a datagram and on a stream; then many mutations of them.

#[path = "support/peer.rs"]
mod peer;

use std::time::Duration;

use koukan_base::{Rng, Time};
use koukan_sip::{
    Counts, Event, Framed, Framer, Message, Response, Scanner, ServerTx, Transport, UaAction,
    UserAgent,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Handed to the user as a new call.
    Call,
    /// Handed to the user as another request.
    Request,
    /// Answered by the user agent.
    Answered(u16),
    /// Dropped and counted.
    Dropped,
}
use Verdict::{Answered, Call, Dropped, Request};

macro_rules! torture {
    ($($tag:literal $verdict:expr,)*) => {
        &[$(($tag, $verdict, include_bytes!(concat!("data/", $tag, ".dat")).as_slice()),)*]
    };
}

/// Whether a Contact, a body or credentials suit is the user's business, and so are REGISTER's.
const MESSAGES: &[(&str, Verdict, &[u8])] = torture! {
    // RFC 4475, 3.1.1: valid. The To tag of the first names a dialog that there is not.
    "wsinv" Answered(481),
    "intmeth" Answered(501),
    "esc01" Call,
    "escnull" Request,
    "esc02" Answered(501),
    "lwsdisp" Request,
    "longreq" Call,
    "dblreq" Request,
    "semiuri" Request,
    "transports" Request,
    "mpart01" Request,
    "unreason" Dropped,
    "noreason" Dropped,
    // 3.1.2: invalid.
    "badinv01" Answered(400),
    "clerr" Answered(400),
    "ncl" Answered(400),
    "scalar02" Answered(400),
    "scalarlg" Dropped,
    "quotbal" Answered(400),
    "ltgtruri" Answered(400),
    "lwsruri" Answered(400),
    "lwsstart" Answered(400),
    "trws" Answered(400),
    "escruri" Answered(400),
    "baddate" Call,
    "regbadct" Request,
    "badaspec" Request,
    "baddn" Request,
    "badvers" Answered(505),
    "mismatch01" Answered(400),
    "mismatch02" Answered(400),
    "bigcode" Dropped,
    // 3.2: transaction layer.
    "badbranch" Request,
    // 3.3: application layer. A request that names nobody cannot be answered to anybody.
    "insuf" Dropped,
    "unkscm" Answered(416),
    "novelsc" Answered(416),
    "unksm2" Request,
    "bext01" Answered(420),
    "invut" Call,
    "regaut01" Request,
    "multi01" Answered(400),
    "mcl01" Answered(400),
    "bcast" Dropped,
    "zeromf" Request,
    "cparam01" Request,
    "cparam02" Request,
    "regescrt" Request,
    "sdp01" Call,
    // 3.4: backward compatibility.
    "inv2543" Call,
    // RFC 5118, section 4.
    "5118-ipv6-good" Request,
    "5118-ipv6-bad" Answered(400),
    "5118-port-ambiguous" Request,
    "5118-port-unambiguous" Request,
    "5118-via-received-param-with-delim" Request,
    "5118-via-received-param-no-delim" Request,
    "5118-ipv6-in-sdp" Call,
    "5118-mult-ip-in-sdp" Call,
    "5118-mult-ip-in-header" Answered(481),
    "5118-ipv4-mapped-ipv6" Call,
};

/// What the agent did with the input before; requests are refused by the user and every timer runs
/// out, so that the tables must be empty.
fn verdict(agent: &mut UserAgent, now: &mut Time) -> Verdict {
    let mut verdict = Dropped;
    let mut open: Vec<ServerTx> = Vec::new();
    while let Some(action) = agent.poll_action() {
        match action {
            UaAction::Event(Event::Invite { tx, .. }) => {
                (verdict, open) = (Call, vec![tx]);
            }
            UaAction::Event(Event::Request { tx, .. } | Event::InDialog { tx, .. }) => {
                (verdict, open) = (Request, vec![tx]);
            }
            UaAction::Event(_) => {}
            UaAction::Send { bytes, .. } => {
                let sent = Message::from_datagram(&mut Scanner::new(), &bytes);
                let status = sent.expect("we send SIP").status().expect("a response");
                if verdict == Dropped && status >= 200 {
                    verdict = Answered(status);
                }
            }
        }
    }
    for tx in open {
        agent.respond(*now, tx, Response::new(480));
    }
    while agent.poll_action().is_some() {}
    while let Some(next) = agent.poll_timeout() {
        *now = (*now).max(next);
        agent.handle_timeout(*now);
        while agent.poll_action().is_some() {}
    }
    assert_eq!(agent.counts(), Counts::default());
    *now = *now + Duration::from_millis(1);
    verdict
}

fn dropped(agent: &UserAgent) -> u64 {
    let dropped = agent.dropped();
    dropped.unreadable + dropped.stray_responses + dropped.stray_acks
}

#[test]
fn every_torture_message_gets_its_verdict_as_a_datagram() {
    let mut agent = peer::agent(Transport::Udp);
    let mut now = Time::ZERO;
    for (tag, expected, bytes) in MESSAGES {
        let before = dropped(&agent);
        agent.handle_bytes(now, peer::flow(Transport::Udp), bytes);
        assert_eq!(verdict(&mut agent, &mut now), *expected, "{tag}");
        assert_eq!(dropped(&agent) - before, u64::from(*expected == Dropped), "{tag}");
    }
}

#[test]
fn a_stream_gives_the_same_verdicts_or_waits_for_what_was_promised() {
    let mut agent = peer::agent(Transport::Tcp);
    let mut now = Time::ZERO;
    for (tag, expected, bytes) in MESSAGES {
        let (mut framer, mut scanner) = (Framer::default(), Scanner::new());
        framer.push(bytes);
        match framer.next(&mut scanner) {
            Ok(Framed::Message(message)) => {
                agent.handle_message(now, peer::flow(Transport::Tcp), message);
            }
            Ok(Framed::Nothing | Framed::Ping) => {
                assert_eq!(*tag, "clerr");
                continue;
            }
            Err(_) => agent.handle_bytes(now, peer::flow(Transport::Tcp), framer.unread()),
        }
        assert_eq!(verdict(&mut agent, &mut now), *expected, "{tag}");
    }
}

#[test]
fn what_torture_messages_say_is_read() {
    let read = |tag: &str| {
        let (.., bytes) = MESSAGES.iter().find(|(known, ..)| *known == tag).expect("a tag");
        Message::from_datagram(&mut Scanner::new(), bytes).expect("a message")
    };
    let wsinv = read("wsinv");
    assert_eq!(wsinv.from_tag(), Some(b"98asjd8".as_slice()));
    assert_eq!(wsinv.to_tag(), Some(b"1918181833n".as_slice()));
    assert_eq!((wsinv.max_forwards(), wsinv.cseq().map(|cseq| cseq.number)), (Some(68), Some(9)));
    assert_eq!(wsinv.list(koukan_sip::Header::Via).count(), 3);
    assert_eq!(read("dblreq").body(), b"");
    assert_eq!(read("esc01").request_user().as_deref(), Some(b"sips:user@example.com".as_slice()));
    assert_eq!(read("escnull").to_user().as_deref(), Some(b"null-\0-null".as_slice()));
    assert_eq!(
        read("semiuri").request_user().as_deref(),
        Some(b"user;par=u@example.net".as_slice())
    );
    assert_eq!(read("noreason").reason_phrase(), b"");
    let mapped = read("5118-ipv4-mapped-ipv6");
    assert_eq!(mapped.via().and_then(|via| via.port), Some(19_823));
    let binary = read("mpart01");
    assert!(binary.body().ends_with(b"--7a9cbec02ceef655--\r\n") && binary.body().contains(&0));
}

#[test]
fn ten_thousand_mutations_leave_the_agent_standing_and_empty() {
    let mut dice = Rng::from_number(4475);
    let mut agent = peer::agent(Transport::Udp);
    let mut now = Time::ZERO;
    for round in 0..10_030 {
        let (.., source) = MESSAGES[round % MESSAGES.len()];
        let mut bytes = source.to_vec();
        for _ in 0..=dice.next_u32() % 4 {
            mutate(&mut bytes, &mut dice);
        }
        if round % 2 == 0 {
            agent.handle_bytes(now, peer::flow(Transport::Udp), &bytes);
        } else {
            let (mut framer, mut scanner) = (Framer::default(), Scanner::new());
            framer.push(&bytes);
            while let Ok(Framed::Message(message)) = framer.next(&mut scanner) {
                agent.handle_message(now, peer::flow(Transport::Tcp), message);
            }
        }
        let _ = verdict(&mut agent, &mut now);
    }
    agent.handle_bytes(now, peer::flow(Transport::Udp), MESSAGES[8].2);
    assert_eq!(verdict(&mut agent, &mut now), Request);
}

/// One random change: a bit, a cut, a piece doubled, a separator put in.
fn mutate(bytes: &mut Vec<u8>, dice: &mut Rng) {
    let len = bytes.len().max(1);
    let at = dice.next_u32() as usize % len;
    let to = (at + dice.next_u32() as usize % 40).min(bytes.len());
    match dice.next_u32() % 5 {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << (dice.next_u32() % 8);
            }
        }
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(at.min(to)..to)),
        3 => {
            let piece = bytes.get(at..to).unwrap_or_default().to_vec();
            bytes.splice(at.min(to)..at.min(to), piece);
        }
        _ => {
            const SEPARATORS: &[u8] = b"\r\n\t ;,:<>\"\\@[]=\0\xff";
            let pick = dice.next_u32() as usize % SEPARATORS.len();
            bytes.insert(at.min(bytes.len()), *SEPARATORS.get(pick).unwrap_or(&b' '));
        }
    }
}
