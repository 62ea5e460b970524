//! Clients that no one here wrote, over every transport: they register, talk, hold, resume and
//! refresh, and one table says what became of each.

use std::time::{Duration, Instant};

use koukan_e2e::audio::Sound;
use koukan_e2e::client::{PhoneSpec, TONE_DBFS};
use koukan_e2e::desk::Desk;
use koukan_e2e::matrix::{Kind, Line, Matrix, Outcome, SILENT_DBFS, Seen, hears, link, must};
use koukan_e2e::office::phone_spec;
use koukan_e2e::server::Server;
use koukan_e2e::trace;
use koukan_e2e::wait::wait_for;

/// Everything is done in a second or two; a busy machine takes longer.
const LIMIT: Duration = Duration::from_secs(20);
/// How long each side listens at a time.
const LISTEN: Duration = Duration::from_millis(1500);
/// What the client under test speaks, and its peer: no harmonics of one another.
const OWN_HZ: f64 = 440.0;
const PEER_HZ: f64 = 1040.0;
/// How much of its level a tone may lose on its way back through a starved client.
const SENT_BACK_DB: f64 = 6.0;
/// How long the clients want to be registered, so that the refresh falls into the test.
const EXPIRES_S: u32 = 10;

/// How a client reaches the server.
const OVER: [&str; 4] = ["UDP", "TCP", "TLS", "IPv6"];

/// The session interval that clients ask for, the least that RFC 4028 allows; who refreshes does so
/// at half of it.
const SESSION_S: u32 = 90;
const REFRESH: Duration = Duration::from_secs(60);

/// The deeds of a cell, in their order.
const DEEDS: [&str; 5] =
    ["register", "call", "hold and resume", "is called", "registration refresh"];

struct Cell {
    client: Box<dyn Desk>,
    peer: Box<dyn Desk>,
    born: Instant,
}

/// Both listen at once.
fn listen(cell: &mut Cell) -> Seen<(Sound, Sound)> {
    let (client, peer) = (&mut cell.client, &mut cell.peer);
    std::thread::scope(|scope| {
        let peer = scope.spawn(move || peer.listen(LISTEN));
        let own = link(client.listen(LISTEN))?;
        let peer = peer.join().map_err(|_| "the peer's ear panicked".to_owned())?;
        Ok((own, link(peer)?))
    })
}

/// Both hear each other, if need be after some tries: jitter buffers and recorders take a moment,
/// and a busy machine starves a client's sound card.
fn talk(cell: &mut Cell) -> Seen<String> {
    let end = Instant::now() + LIMIT;
    loop {
        std::thread::sleep(Duration::from_millis(300));
        let (own, peer) = listen(cell)?;
        let outcome = hears("the client", &own, PEER_HZ, OWN_HZ)
            .and_then(|own| Ok((own, hears("the peer", &peer, OWN_HZ, PEER_HZ)?)));
        match outcome {
            Ok((own, peer)) => return Ok(format!("client hears {own} dBFS, peer {peer} dBFS")),
            Err(words) if Instant::now() > end => return Err(words),
            Err(_) => {}
        }
    }
}

fn register(cell: &mut Cell) -> Seen<String> {
    must(cell.client.registered(LIMIT), || {
        format!("no 200 to REGISTER: {}", tail(&cell.client.trace()))
    })?;
    must(cell.peer.registered(LIMIT), || "the peer does not register".to_owned())?;
    Ok("200 to REGISTER after a challenge".to_owned())
}

fn call(cell: &mut Cell) -> Seen<String> {
    link(cell.client.dial("802"))?;
    must(cell.peer.rings(LIMIT), || format!("no ring: {}", tail(&cell.client.trace())))?;
    link(cell.peer.answer())?;
    must(cell.client.connects(LIMIT), || "the client is not connected".to_owned())?;
    must(cell.peer.connects(LIMIT), || "the peer is not connected".to_owned())?;
    talk(cell)
}

fn hold(cell: &mut Cell) -> Seen<String> {
    link(cell.client.hold(true))?;
    let gone = wait_for(LIMIT, || {
        let heard = cell.peer.listen(LISTEN).ok()?;
        (heard.steady_dbfs(OWN_HZ) < SILENT_DBFS).then_some(heard)
    });
    let heard = gone.ok_or_else(|| "on hold the peer still hears the client".to_owned())?;
    let held = match heard.rms_dbfs() {
        level if level < -50.0 => "silence".to_owned(),
        level => format!("music at {level:.0} dBFS"),
    };
    link(cell.client.hold(false))?;
    let again = talk_again(cell)?;
    link(cell.client.hang_up())?;
    must(cell.peer.clears(LIMIT), || "the peer is not cleared".to_owned())?;
    must(cell.client.clears(LIMIT), || "the client is not cleared".to_owned())?;
    Ok(format!("{held} on hold; after it {again}"))
}

/// After a hold: like [`talk`], or through the peer's ear for a client that sends back. What is
/// sent back has crossed two more sound cards of the client, so its level may slip.
fn talk_again(cell: &mut Cell) -> Seen<String> {
    let end = Instant::now() + LIMIT;
    let mut voice = Err(String::new());
    while voice.is_err() && Instant::now() < end {
        let heard = link(cell.peer.listen(LISTEN))?;
        voice = hears("the peer", &heard, OWN_HZ, PEER_HZ);
    }
    if !link(cell.client.send_back(true))? {
        return talk(cell);
    }
    let end = Instant::now() + LIMIT;
    let mut ear = SILENT_DBFS;
    while ear < TONE_DBFS - SENT_BACK_DB && Instant::now() < end {
        ear = link(cell.peer.listen(LISTEN))?.steady_dbfs(PEER_HZ);
    }
    link(cell.client.send_back(false))?;
    must(ear >= TONE_DBFS - SENT_BACK_DB, || {
        format!("after the hold the client hears {PEER_HZ} Hz at {ear:.1} dBFS")
    })?;
    let voice = voice?;
    Ok(format!("peer hears {voice} dBFS, and its own tone, sent back by the client, at {ear:.1}"))
}

fn is_called(cell: &mut Cell) -> Seen<String> {
    link(cell.peer.dial("801"))?;
    must(cell.client.rings(LIMIT), || "the client does not ring".to_owned())?;
    link(cell.client.answer())?;
    must(cell.peer.connects(LIMIT), || "the peer is not connected".to_owned())?;
    must(cell.client.connects(LIMIT), || "the client is not connected".to_owned())?;
    let heard = talk(cell)?;
    link(cell.peer.hang_up())?;
    must(cell.client.clears(LIMIT), || "the client is not cleared".to_owned())?;
    Ok(heard)
}

fn refresh(cell: &mut Cell) -> Seen<String> {
    let wait = Duration::from_secs(u64::from(EXPIRES_S) + 5);
    let count = wait_for(wait, || Some(cell.client.registrations()).filter(|&count| count >= 2));
    let age = cell.born.elapsed().as_secs();
    let count = count.ok_or_else(|| format!("no second 200 to REGISTER in {age} s"))?;
    Ok(format!("{count} times 200 to REGISTER in {age} s, expires={EXPIRES_S}"))
}

/// What the client does on this transport, and the server for a last look at its tables.
fn cell(kind: Kind, over: &'static str) -> (Vec<Line>, Option<Server>) {
    let mut lines = Vec::new();
    let mut outcome = open(kind, over);
    for deed in DEEDS {
        let seen =
            outcome.as_mut().map_err(|words| words.clone()).and_then(|(_, cell)| match deed {
                "register" => register(cell),
                "call" => call(cell),
                "hold and resume" => hold(cell),
                "is called" => is_called(cell),
                _ => refresh(cell),
            });
        let outcome = match seen {
            Ok(proof) => Outcome::Pass(proof),
            Err(words) => outcome.as_mut().map_or(Outcome::Fail(words.clone()), |(_, cell)| {
                let cannot = no_media_on_ipv6(&mut cell.client);
                // The call that it could not answer ends before the next one.
                let _ = cell.peer.hang_up();
                cannot.map_or(Outcome::Fail(words), Outcome::Cannot)
            }),
        };
        lines.push(Line { client: kind.name(), transport: over, deed, outcome });
    }
    if let (Ok((_, cell)), Kind::Baresip) = (&mut outcome, kind) {
        lines.extend(baresip_cannot(over, cell));
    }
    (lines, outcome.ok().map(|(server, _)| server))
}

/// The servers' tables after the longest timer of a transaction: the cells share the wait.
fn leaves_nothing(rows: Vec<(Kind, &'static str, Server)>) -> Vec<Line> {
    let check = |(kind, over, server): (Kind, &'static str, Server)| {
        let outcome = match server.wait_empty(Duration::from_secs(45)) {
            Ok(()) => Outcome::Pass("every table is empty".to_owned()),
            Err(error) => Outcome::Fail(error.to_string()),
        };
        Line { client: kind.name(), transport: over, deed: "leaves nothing", outcome }
    };
    rows.into_iter().map(check).collect()
}

/// Calls to the echo without an offer, and calls whose session is refreshed: one server for all
/// transports of a client.
fn sessions(kind: Kind) -> Vec<Line> {
    let name = format!("matrix-{}-sessions", kind.name());
    let mut server = match Server::start(&name) {
        Ok(server) => server,
        Err(error) => return vec![line(kind, "UDP", "session refresh", Err(error.to_string()))],
    };
    let mut lines = Vec::new();
    let mut kept = Vec::new();
    for (over, device) in OVER.into_iter().zip('A'..) {
        let mut late = start_session(&server, kind, over, device, true);
        let seen = late.as_mut().map_err(|words| words.clone()).and_then(late_offer);
        let cannot = match (&seen, &mut late) {
            (Err(_), Ok(client)) => no_media_on_ipv6(client),
            _ => None,
        };
        lines.push(match cannot {
            Some(words) => {
                let outcome = Outcome::Cannot(words);
                Line { client: kind.name(), transport: over, deed: "late offer", outcome }
            }
            None => line(kind, over, "late offer", seen),
        });
        drop(late);
        let mut client = start_session(&server, kind, over, device, false);
        let dialled = client.as_mut().map_err(|words| words.clone()).and_then(|client| {
            link(client.dial("600"))?;
            must(client.connects(LIMIT), || "the echo does not answer".to_owned())
        });
        kept.push((over, dialled.and(client)));
    }
    for (over, client) in kept {
        lines.push(line(kind, over, "session refresh", client.and_then(refreshed)));
    }
    server.keeps = lines.iter().any(|line| matches!(line.outcome, Outcome::Fail(_)));
    lines
}

fn start_session(
    server: &Server,
    kind: Kind,
    over: &'static str,
    device: char,
    late_offer: bool,
) -> Seen<Box<dyn Desk>> {
    let (transport, address) = reach(server, over)?;
    let spec = PhoneSpec {
        tone: OWN_HZ,
        transport,
        server: address,
        session: Some(SESSION_S),
        late_offer,
        ..phone_spec(server, device)
    };
    let mut client = kind.start(server, &format!("{device}-{late_offer}"), &spec)?;
    must(client.registered(LIMIT), || "the client does not register".to_owned())?;
    Ok(client)
}

fn late_offer(client: &mut Box<dyn Desk>) -> Seen<String> {
    link(client.dial("600"))?;
    must(client.connects(LIMIT), || "the echo does not answer".to_owned())?;
    let heard = wait_for(LIMIT, || {
        let heard = client.listen(LISTEN).ok()?;
        hears("the client", &heard, OWN_HZ, PEER_HZ).ok()
    });
    let heard = heard.ok_or("the client does not hear its own tone come back")?;
    let log = client.trace();
    let offers = trace::invites(&log).filter(|invite| invite.contains("application/sdp")).count();
    must(offers == 0, || format!("{offers} INVITEs carry an offer"))?;
    link(client.hang_up())?;
    must(client.clears(LIMIT), || "the client is not cleared".to_owned())?;
    Ok(format!("INVITE without SDP; the echo comes back: {heard} dBFS"))
}

fn refreshed(mut client: Box<dyn Desk>) -> Seen<String> {
    let log = wait_for(REFRESH, || {
        let log = client.trace();
        (trace::sessions(&log).len() >= 2).then_some(log)
    });
    let log = log.ok_or_else(|| {
        format!("no refresh within {} s; {:?}", REFRESH.as_secs(), trace::sessions(&client.trace()))
    })?;
    link(client.hang_up())?;
    must(client.clears(LIMIT), || "the client is not cleared".to_owned())?;
    Ok(format!("200 with Session-Expires to {}", trace::sessions(&log).join(", then ")))
}

/// What baresip has no word for, shown by what it sends.
fn baresip_cannot(over: &'static str, cell: &mut Cell) -> Vec<Line> {
    let log = cell.client.trace();
    let supported = trace::invites(&log).find_map(|invite| trace::header(invite, "Supported"));
    let invites = trace::invites(&log).count();
    let offers = trace::invites(&log).filter(|invite| invite.contains("application/sdp")).count();
    let late = if invites > 0 && offers == invites {
        Outcome::Cannot(format!("{offers} of its {invites} INVITEs offer; it has no word for less"))
    } else {
        Outcome::Fail(format!("{offers} of its {invites} INVITEs offer: it can, so measure it"))
    };
    let session = match supported {
        Some(tags) if tags.contains("timer") => {
            Outcome::Fail(format!("Supported: {tags}: it can, so measure it"))
        }
        tags => Outcome::Cannot(format!("no `timer` in its INVITE's Supported: {tags:?}")),
    };
    [("late offer", late), ("session refresh", session)]
        .map(|(deed, outcome)| Line { client: "baresip", transport: over, deed, outcome })
        .to_vec()
}

fn line(kind: Kind, over: &'static str, deed: &'static str, seen: Seen<String>) -> Line {
    let outcome = seen.map_or_else(Outcome::Fail, Outcome::Pass);
    Line { client: kind.name(), transport: over, deed, outcome }
}

/// The transport's name for the client, and where the server is reached by it.
fn reach(server: &Server, over: &str) -> Seen<(&'static str, std::net::SocketAddr)> {
    Ok(match over {
        "IPv6" => ("udp", server.sip6.ok_or("this machine has no ::1")?),
        "TCP" => ("tcp", server.sip),
        "TLS" => ("tls", server.tls),
        _ => ("udp", server.sip),
    })
}

fn open(kind: Kind, over: &'static str) -> Seen<(Server, Cell)> {
    let name = format!("matrix-{}-{over}", kind.name());
    let server = Server::start(&name).map_err(|error| error.to_string())?;
    let (transport, address) = reach(&server, over)?;
    let spec = PhoneSpec {
        tone: OWN_HZ,
        transport,
        server: address,
        expires: EXPIRES_S,
        ..phone_spec(&server, 'A')
    };
    let peer_spec = PhoneSpec { tone: PEER_HZ, ..phone_spec(&server, 'B') };
    // baresip's recorder stops when a stream changes its direction; a peer is never held itself.
    let peer_kind = if kind == Kind::Baresip { Kind::Pjsua } else { Kind::Baresip };
    let peer = peer_kind.start(&server, "peer", &peer_spec)?;
    let client = kind.start(&server, "client", &spec)?;
    Ok((server, Cell { client, peer, born: Instant::now() }))
}

/// The client's own words for what it was not built for.
fn no_media_on_ipv6(client: &mut Box<dyn Desk>) -> Option<String> {
    let trace = client.trace();
    let line = trace.lines().find(|line| line.contains("PJ_EAFNOTSUP"))?;
    Some(format!("built without IPv6 for media: {}", line.trim()))
}

/// The last lines of a trace, for a failure's words.
fn tail(trace: &str) -> String {
    let lines: Vec<&str> = trace.lines().rev().take(12).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

#[test]
fn foreign_clients_do_all_they_can_over_every_transport() {
    let begin = Instant::now();
    let clients = Kind::ALL;
    let (rows, mut lines) = std::thread::scope(|scope| {
        let kept = [Kind::Linphone, Kind::Pjsua].map(|kind| scope.spawn(move || sessions(kind)));
        let rows = clients
            .map(|kind| scope.spawn(move || OVER.map(|over| (kind, over, cell(kind, over)))));
        let rows = rows.map(|row| row.join().expect("a row ends"));
        (rows, kept.map(|row| row.join().expect("a row ends")).concat())
    });
    let mut servers = Vec::new();
    for (kind, over, (cell, server)) in rows.into_iter().flatten() {
        lines.extend(cell);
        servers.extend(server.map(|server| (kind, over, server)));
    }
    let failed = lines.iter().any(|line| matches!(line.outcome, Outcome::Fail(_)));
    servers.iter_mut().for_each(|(_, _, server): &mut (Kind, &str, Server)| server.keeps = failed);
    lines.extend(leaves_nothing(servers));
    lines.sort_by_key(|line| (line.client, OVER.iter().position(|over| *over == line.transport)));
    let matrix = Matrix(lines);
    println!("{matrix}{:.0} s", begin.elapsed().as_secs_f64());
    assert_eq!(matrix.failures(), 0, "cells failed:\n{matrix}");
}
