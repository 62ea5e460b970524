//! Scan, typed headers, a 180 and a whole OPTIONS transaction (RFC 3261): time by criterion;
//! allocations, and the memory of dialogs, contacts and subscriptions, by a counting allocator, the
//! one place of this crate's tests that needs `unsafe`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use koukan_base::{Rng, Time};
use koukan_sip::registrar::{RegisterRequest, Registrar, RegistrarConfig};
use koukan_sip::subscription::{Notifier, NotifierConfig, Subscribe, Target};
use koukan_sip::{
    Event, Flow, Header, Listener, ListenerId, Message, Response, Scanner, ServerTx, Transport,
    UaAction, UaConfig, UserAgent,
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<i64> = const { Cell::new(0) };
}

fn count(grown: usize, freed: usize) {
    let bytes = i64::try_from(grown).unwrap_or(0) - i64::try_from(freed).unwrap_or(0);
    BYTES.with(|live| live.set(live.get() + bytes));
    ALLOCATIONS.with(|count| count.set(count.get() + u64::from(grown > 0)));
}

// SAFETY: every call goes unchanged to the system's allocator, which upholds the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller upholds `alloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: `pointer` came from `System` through this allocator with the same layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: as for `dealloc`; the caller upholds the contract of the size.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

/// The bytes that `work` leaves on the heap for each of `number` things.
fn kept<T>(number: i64, work: impl FnOnce() -> T) -> i64 {
    let before = BYTES.with(Cell::get);
    let held = work();
    let bytes = BYTES.with(Cell::get) - before;
    drop(held);
    bytes / number
}

/// An INVITE as desk phones send it, 900 bytes with its SDP.
fn invite() -> Vec<u8> {
    let sdp = "v=0\r\no=- 20518 0 IN IP4 203.0.113.1\r\ns=-\r\nc=IN IP4 203.0.113.1\r\nt=0 0\r\n\
        m=audio 54400 RTP/AVP 0 8 9 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
        a=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
        a=ptime:20\r\na=sendrecv\r\n";
    let head = format!(
        "INVITE sip:0312340002@sip.example.jp SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.30:5060;branch=z9hG4bK776asdhds3;rport\r\n\
         Max-Forwards: 70\r\n\
         From: \"Reception\" <sip:0312340001@sip.example.jp>;tag=1928301774\r\n\
         To: <sip:0312340002@sip.example.jp>\r\n\
         Call-ID: a84b4c76e66710@192.0.2.30\r\n\
         CSeq: 314159 INVITE\r\n\
         Contact: <sip:0312340001@192.0.2.30:5060;transport=udp>\r\n\
         Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REFER, NOTIFY\r\n\
         Supported: replaces, timer\r\nUser-Agent: Desk phone 2604 1.0.7.71\r\n\
         P-Preferred-Identity: <sip:0312340001@sip.example.jp>\r\nPrivacy: none\r\n\
         Accept: application/sdp\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n",
        sdp.len()
    );
    [head, sdp.to_owned()].concat().into_bytes()
}

fn agent() -> UserAgent {
    UserAgent::new(config(), Rng::from_number(1))
}

fn config() -> UaConfig {
    let advertised = ([192, 0, 2, 1], 5060).into();
    let listener = Listener { id: ListenerId(0), transport: Transport::Udp, advertised };
    UaConfig {
        listeners: vec![listener],
        server_name: "koukan".to_owned(),
        max_transactions: 1000,
        max_dialogs: 1000,
        ..UaConfig::default()
    }
}

fn flow() -> Flow {
    let remote = ([192, 0, 2, 30], 5060).into();
    Flow { transport: Transport::Udp, listener: ListenerId(0), remote, connection: 0 }
}

fn typed(message: &Message) -> usize {
    let contact = message.list(Header::Contact).next();
    let contact = contact.and_then(koukan_sip::header::NameAddr::parse);
    let via = message.via().and_then(|via| via.branch()).unwrap_or_default();
    let tags = message.from_tag().into_iter().chain(message.to_tag());
    let number = message.cseq().map_or(0, |cseq| cseq.number as usize);
    via.len()
        + tags.map(<[u8]>::len).sum::<usize>()
        + message.call_id().len()
        + contact.map_or(0, |contact| contact.uri_text.len())
        + number
}

/// Receives an OPTIONS, answers it and lets timer J end the transaction.
fn options(agent: &mut UserAgent, now: &mut Time, bytes: &[u8]) {
    agent.handle_bytes(*now, flow(), bytes);
    while let Some(action) = agent.poll_action() {
        if let UaAction::Event(Event::Request { tx, .. }) = action {
            agent.respond(*now, tx, Response::new(200));
        }
    }
    *now = *now + Duration::from_secs(33);
    agent.handle_timeout(*now);
}

/// An agent with a call that waits for its answer.
fn ringing(bytes: &[u8]) -> (UserAgent, ServerTx) {
    let mut agent = agent();
    agent.handle_bytes(Time::ZERO, flow(), bytes);
    let mut call = None;
    while let Some(action) = agent.poll_action() {
        if let UaAction::Event(Event::Invite { tx, .. }) = action {
            call = Some(tx);
        }
    }
    (agent, call.expect("the INVITE was accepted"))
}

/// So many answered calls of phones, long after their transactions.
fn calls(invite: &[u8], number: u32) -> UserAgent {
    let mut agent =
        UserAgent::new(UaConfig { max_transactions: 100_000, ..config() }, Rng::from_number(1));
    let (mut now, text) = (Time::ZERO, String::from_utf8_lossy(invite).into_owned());
    for call in 0..number {
        let text = text
            .replace("bK776asdhds3", &format!("bKi{call}"))
            .replace("a84b4c76e66710", &format!("a84b4c76e{call}"));
        agent.handle_bytes(now, flow(), text.as_bytes());
        let (mut tx, mut tag) = (None, None);
        while let Some(action) = agent.poll_action() {
            if let UaAction::Event(Event::Invite { tx: invite, dialog, .. }) = action {
                (tx, tag) = (Some(invite), agent.local_tag(dialog).map(<[u8]>::to_vec));
            }
        }
        let body = Some(koukan_sip::Body::sdp(vec![b'x'; 300]));
        let tx = tx.expect("the INVITE was accepted");
        agent.respond(now, tx, Response { body, ..Response::new(200) });
        let tag = String::from_utf8(tag.expect("a dialog")).expect("text");
        let ack = text
            .replace("INVITE sip", "ACK sip")
            .replace("314159 INVITE", "314159 ACK")
            .replace(&format!("bKi{call}"), &format!("bKa{call}"))
            .replace(
                "To: <sip:0312340002@sip.example.jp>",
                &format!("To: <sip:0312340002@sip.example.jp>;tag={tag}"),
            );
        agent.handle_bytes(now, flow(), ack.as_bytes());
        while agent.poll_action().is_some() {}
    }
    now = now + Duration::from_secs(40);
    agent.handle_timeout(now);
    while agent.poll_action().is_some() {}
    assert_eq!(agent.counts().server_transactions, 0);
    assert_eq!(agent.counts().dialogs, number as usize);
    agent
}

/// So many phones, each bound by one contact.
fn contacts(invite: &Message, number: u32) -> Registrar {
    let mut registrar = Registrar::new(RegistrarConfig::default());
    let request = RegisterRequest::from_message(invite).expect("contacts");
    for user in 0..number {
        let bound = registrar.register(Time::ZERO, &format!("acme-{user}"), &request, flow(), 4);
        assert_eq!(bound.map(|changes| changes.len()), Ok(1));
    }
    registrar
}

/// So many lamps of one phone's worth each.
fn lamps(invite: &[u8], number: u32) -> Notifier {
    let config = NotifierConfig { max_per_user: 100_000, ..NotifierConfig::default() };
    let mut notifier = Notifier::new(config);
    let text = String::from_utf8_lossy(invite).replace("INVITE", "SUBSCRIBE");
    for lamp in 0..number {
        let text = text
            .replace("a84b4c76e66710", &format!("a84b4c76e{lamp}"))
            .replace("Accept: application/sdp", "Event: dialog");
        let message = Message::from_datagram(&mut Scanner::new(), text.as_bytes()).expect("SIP");
        let resource = format!("acme-{}", lamp % 200).into();
        let target = Target::One { resource, entity: b"sip:801@sip.example.jp".to_vec() };
        let (flow, local_tag, user) = (flow(), b"0123456789abcdef".as_slice(), "acme-801");
        let subscribe = Subscribe { message: &message, flow, local_tag, user, target };
        assert_eq!(notifier.subscribe(Time::ZERO, subscribe).status, 200);
        while notifier.poll_action().is_some() {}
    }
    notifier
}

fn memory(invite: &[u8]) {
    let message = Message::from_datagram(&mut Scanner::new(), invite).expect("a message");
    println!(
        "bytes kept: dialog {}, contact {}, subscription {}",
        kept(1000, || calls(invite, 1000)),
        kept(1000, || contacts(&message, 1000)),
        kept(1000, || lamps(invite, 1000)),
    );
}

fn benches(criterion: &mut Criterion) {
    let invite = invite();
    memory(&invite);
    let text = String::from_utf8_lossy(&invite).replace("INVITE sip", "OPTIONS sip");
    let options_bytes = text.replace("314159 INVITE", "314159 OPTIONS").into_bytes();
    let mut scanner = Scanner::new();
    let (mut agent, mut now) = (agent(), Time::ZERO);
    let (mut callee, call) = ringing(&invite);
    let mut ring = || {
        callee.respond(Time::ZERO, call, Response::new(180));
        callee.poll_action()
    };
    let message = Message::from_datagram(&mut scanner, &invite).expect("a message");
    options(&mut agent, &mut now, &options_bytes);
    println!(
        "message of {} bytes; allocations: scan {}, owned message {}, typed {}, 180 {}, OPTIONS {}",
        invite.len(),
        allocations(|| {
            let _ = black_box(scanner.scan(&invite).map(|scan| scan.body_start));
        }),
        allocations(|| drop(black_box(Message::from_datagram(&mut Scanner::default(), &invite)))),
        allocations(|| {
            black_box(typed(&message));
        }),
        allocations(|| drop(black_box(ring()))),
        allocations(|| options(&mut agent, &mut now, &options_bytes)),
    );
    criterion.bench_function("scan", |bench| {
        bench.iter(|| scanner.scan(black_box(&invite)).map(|scan| scan.body_start));
    });
    criterion.bench_function("owned message with typed headers", |bench| {
        bench.iter(|| {
            Message::from_datagram(&mut scanner, black_box(&invite)).map(|read| typed(&read))
        });
    });
    criterion.bench_function("respond with 180", |bench| bench.iter(&mut ring));
    criterion.bench_function("OPTIONS server transaction", |bench| {
        bench.iter(|| options(&mut agent, &mut now, black_box(&options_bytes)));
    });
}

criterion_group!(all, benches);
criterion_main!(all);
