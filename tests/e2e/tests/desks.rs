//! What people at desk phones do all day, with three clients that no one here wrote: each of them
//! holds, transfers, parks, picks up, brings calls together and calls over the intercom; its peers
//! say who is heard, sipp watches the lamps, tshark the wire. One table says what became of each.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use koukan_e2e::audio::Sound;
use koukan_e2e::capture::{Capture, Wire};
use koukan_e2e::client::{Client, PhoneSpec, TONE_DBFS};
use koukan_e2e::desk::Desk;
use koukan_e2e::lamp::{Lamp, Shows};
use koukan_e2e::matrix::{Kind, Line, Matrix, Outcome, Seen, hears, link, must};
use koukan_e2e::office::phone_spec;
use koukan_e2e::pjsua::Pjsua;
use koukan_e2e::server::Server;
use koukan_e2e::trace;
use koukan_e2e::wait::wait_for;
use koukan_e2e::wire::Sounds;

/// Everything is done in a second or two; a busy machine takes longer.
const LIMIT: Duration = Duration::from_secs(20);
/// How long each side listens at a time.
const LISTEN: Duration = Duration::from_millis(1500);
/// What the client under test and its colleagues speak: no harmonics of one another.
const OWN_HZ: f64 = 440.0;
const B_HZ: f64 = 1040.0;
const C_HZ: f64 = 1640.0;
/// As loud as this somebody hears music.
const MUSIC_DBFS: f64 = -40.0;
/// How long a parked call waits before it comes back.
const RETURNS_S: u64 = 12;
/// A phone that answers by itself does so within this.
const ANSWERS: Duration = Duration::from_secs(6);

const PLAN: &str = r#"
[park]
slots = { first = "8101", count = 10 }
return_after = "12s"
[group.desk]
dial = "650"
members = ["A", "C"]
pickup = true
[feature_codes]
three_way = "*3"
pickup = "**"
intercom = "*80"
"#;

/// The deeds, in their order.
const DEEDS: [&str; 11] = [
    "hold, resume",
    "blind transfer",
    "attended transfer",
    "park, retrieve",
    "park, comes back",
    "directed pickup",
    "group pickup",
    "three-way",
    "intercom, calls",
    "intercom, is called",
    "its lamp",
];

/// A client under test at the desk of A, with its colleagues and what watches them.
struct Row {
    kind: Kind,
    client: Box<dyn Desk>,
    b: Pjsua,
    c: Pjsua,
    lamp: Lamp,
    slot: Lamp,
    /// When B waited with music, for whoever reads the wire.
    waits: Vec<Waits>,
}

/// B waits and hears music, from and to so many seconds since 1970.
struct Waits {
    during: (f64, f64),
    /// The client holds meanwhile, and is to hear nothing.
    held: bool,
}

fn start(kind: Kind) -> Seen<(Server, Row, Capture)> {
    let name = format!("desks-{}", kind.name());
    let server = Server::start(&name).map_err(|error| error.to_string())?;
    let file = server.directory.join("conf/tenants/acme/office.toml");
    let plan = fs::read_to_string(&file).map_err(|error| error.to_string())?;
    fs::write(&file, plan + PLAN).map_err(|error| error.to_string())?;
    // The sample's expectations speak of the sample.
    let expectations = server.directory.join("conf/tenants/acme/expect.toml");
    fs::write(expectations, "schema = 1\n").map_err(|error| error.to_string())?;
    link(server.ctl(&["reload"]))?;
    let capture = Capture::start(&server.directory, server.sip.port(), server.media_ports());
    let capture = capture.map_err(|error| format!("tshark: {error}"))?;
    let spec = |device, tone| PhoneSpec { tone, ..phone_spec(&server, device) };
    let colleague = |device, tone| {
        let directory = server.directory.join(format!("colleague-{device}"));
        let mut phone = link(Pjsua::start(&directory, &spec(device, tone)))?;
        must(phone.registered(LIMIT), || format!("{device} does not register"))?;
        Ok::<_, String>(phone)
    };
    let (b, c) = (colleague('B', B_HZ)?, colleague('C', C_HZ)?);
    let mut client = kind.start(&server, "client", &spec('A', OWN_HZ))?;
    must(client.registered(LIMIT), || "the client does not register".to_owned())?;
    let watch = |target| Lamp::watch(&server, "acme-805", target).map_err(|e| e.to_string());
    let (lamp, slot) = (watch("801")?, watch("8101")?);
    Ok((server, Row { kind, client, b, c, lamp, slot, waits: Vec::new() }, capture))
}

/// Both listen at once.
fn listen(one: &mut dyn Client, other: &mut dyn Client) -> Seen<(Sound, Sound)> {
    std::thread::scope(|scope| {
        let other = scope.spawn(move || other.listen(LISTEN));
        let one = link(one.listen(LISTEN))?;
        let other = other.join().map_err(|_| "an ear panicked".to_owned())?;
        Ok((one, link(other)?))
    })
}

/// Tries again for a while: jitter buffers and recorders take a moment, and a busy machine starves
/// a client's sound card.
fn until_seen<T>(mut look: impl FnMut() -> Seen<T>) -> Seen<T> {
    let end = Instant::now() + LIMIT;
    loop {
        match look() {
            Err(_) if Instant::now() < end => sleep(Duration::from_millis(300)),
            outcome => return outcome,
        }
    }
}

/// Two hear each other, and nobody itself.
fn talk(one: (&mut dyn Client, f64), other: (&mut dyn Client, f64)) -> Seen<String> {
    until_seen(|| {
        let (first, second) = listen(one.0, other.0)?;
        let first = hears("the first", &first, other.1, one.1)?;
        let second = hears("the second", &second, one.1, other.1)?;
        Ok(format!("{first} and {second} dBFS"))
    })
}

/// Somebody hears music and none of the tones.
fn music(ear: &mut dyn Client) -> Seen<String> {
    until_seen(|| {
        let heard = link(ear.listen(LISTEN))?;
        let level = heard.rms_dbfs();
        let tones = [OWN_HZ, B_HZ, C_HZ].map(|tone| heard.steady_dbfs(tone));
        must(level > MUSIC_DBFS, || format!("who waits hears no music: {level:.1} dBFS"))?;
        must(tones.iter().all(|tone| *tone < TONE_DBFS - 15.0), || {
            format!("who waits hears somebody: {tones:.1?} dBFS")
        })?;
        Ok(format!("music at {level:.0} dBFS"))
    })
}

impl Row {
    /// B waits with music; the moment of it is noted.
    fn b_waits(&mut self, held: bool) -> Seen<String> {
        let heard = music(&mut self.b)?;
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = since.map_err(|error| error.to_string())?.as_secs_f64();
        // A recorder is behind by less than the margins.
        let during = (now - LISTEN.as_secs_f64(), now - 0.5);
        self.waits.push(Waits { during, held });
        Ok(heard)
    }

    /// The client calls B, who answers.
    fn call_b(&mut self) -> Seen<()> {
        link(self.client.dial("802"))?;
        must(self.b.rings(LIMIT), || "B does not ring".to_owned())?;
        link(self.b.answer())?;
        must(self.client.connects(LIMIT), || "the client is not connected".to_owned())?;
        must(self.b.connects(LIMIT), || "B is not connected".to_owned())
    }

    /// The client holds B and calls C, who answers.
    fn call_c_beside_it(&mut self) -> Seen<()> {
        sleep(Duration::from_millis(500));
        link(self.client.hold(true))?;
        sleep(Duration::from_millis(1_000));
        link(self.client.dial("803"))?;
        must(self.c.rings(LIMIT), || "C does not ring".to_owned())?;
        link(self.c.answer())?;
        must(self.client.connects(LIMIT), || "the client is not connected to C".to_owned())?;
        must(self.c.connects(LIMIT), || "C is not connected".to_owned())
    }

    fn talk_to_b(&mut self) -> Seen<String> {
        talk((&mut *self.client, OWN_HZ), (&mut self.b, B_HZ))
    }

    fn b_talks_to_c(&mut self) -> Seen<String> {
        talk((&mut self.b, B_HZ), (&mut self.c, C_HZ))
    }

    fn client_leaves_b(&mut self) -> Seen<()> {
        link(self.client.hang_up())?;
        must(self.b.clears(LIMIT), || "B is not cleared".to_owned())?;
        must(self.client.clears(LIMIT), || "the client is not cleared".to_owned())
    }

    fn b_leaves_c(&mut self) -> Seen<()> {
        link(self.b.hang_up())?;
        must(self.c.clears(LIMIT), || "C is not cleared".to_owned())
    }

    fn hold(&mut self) -> Seen<String> {
        self.call_b()?;
        let before = self.talk_to_b()?;
        link(self.client.hold(true))?;
        let held = self.b_waits(true)?;
        link(self.client.hold(false))?;
        let again = if link(self.client.send_back(true))? {
            // Its recorder does not outlive a hold: what it hears comes back to B.
            let back = until_seen(|| {
                let level = link(self.b.listen(LISTEN))?.steady_dbfs(B_HZ);
                must(level > TONE_DBFS - 6.0, || format!("the client hears {level:.1} dBFS"))?;
                Ok(format!("{B_HZ} Hz, sent back at {level:.1}"))
            });
            link(self.client.send_back(false))?;
            let voice = until_seen(|| {
                let heard = link(self.b.listen(LISTEN))?;
                hears("B", &heard, OWN_HZ, B_HZ)
            })?;
            format!("{} and {voice} dBFS", back?)
        } else {
            self.talk_to_b()?
        };
        self.client_leaves_b()?;
        Ok(format!("{before}; held: {held}; after it {again}"))
    }

    fn blind(&mut self) -> Seen<String> {
        self.call_b()?;
        sleep(Duration::from_millis(500));
        link(self.client.transfer("803"))?;
        must(self.c.rings(LIMIT), || "C does not ring".to_owned())?;
        let meanwhile = self.b_waits(false)?;
        link(self.c.answer())?;
        must(self.client.clears(LIMIT), || "the client is not released".to_owned())?;
        let heard = self.b_talks_to_c()?;
        self.b_leaves_c()?;
        Ok(format!("meanwhile {meanwhile}; then B and C: {heard}"))
    }

    fn attended(&mut self) -> Seen<String> {
        self.call_b()?;
        self.call_c_beside_it()?;
        let held = self.b_waits(false)?;
        let asked = talk((&mut *self.client, OWN_HZ), (&mut self.c, C_HZ))?;
        link(self.client.put_through())?;
        for _ in 0..2 {
            must(self.client.clears(LIMIT), || "the client keeps a call".to_owned())?;
        }
        let heard = self.b_talks_to_c()?;
        self.b_leaves_c()?;
        Ok(format!("held: {held}; asked: {asked}; then B and C: {heard}"))
    }

    /// What only a client that has the key can show.
    fn attended_or_cannot(&mut self) -> Seen<Outcome> {
        match self.client.cannot_put_through() {
            Some(words) => Ok(Outcome::Cannot(words)),
            None => self.attended().map(Outcome::Pass),
        }
    }

    fn park(&mut self) -> Seen<String> {
        self.call_b()?;
        sleep(Duration::from_millis(500));
        link(self.client.transfer("8101"))?;
        must(self.client.clears(LIMIT), || "the client is not released".to_owned())?;
        must(self.slot.comes_to(Shows::Lit, LIMIT), || "the slot's lamp is not lit".to_owned())?;
        let (_, told) = self.slot.shows();
        must(told.contains("acme-802"), || format!("the lamp does not show B: {told}"))?;
        let meanwhile = self.b_waits(false)?;
        link(self.client.dial("8101"))?;
        must(self.client.connects(LIMIT), || "the client does not get the call".to_owned())?;
        must(self.slot.comes_to(Shows::Dark, LIMIT), || "the slot's lamp stays lit".to_owned())?;
        let heard = self.talk_to_b()?;
        self.client_leaves_b()?;
        Ok(format!("lamp lit with B, {meanwhile}; taken, lamp dark, {heard}"))
    }

    fn comes_back(&mut self) -> Seen<String> {
        self.call_b()?;
        sleep(Duration::from_millis(500));
        link(self.client.transfer("8102"))?;
        must(self.client.clears(LIMIT), || "the client is not released".to_owned())?;
        self.client.forget();
        let parked = Instant::now();
        let comes = LIMIT + Duration::from_secs(RETURNS_S);
        must(self.client.rings(comes), || "the call does not come back".to_owned())?;
        let after = parked.elapsed().as_secs_f64();
        let log = self.client.trace();
        let shown = trace::invites(&log).any(|i| i.contains("8102") && i.contains("acme-801"));
        must(shown, || "the slot is not shown".to_owned())?;
        link(self.client.answer())?;
        must(self.client.connects(LIMIT), || "the client is not connected".to_owned())?;
        let heard = self.talk_to_b()?;
        self.client_leaves_b()?;
        Ok(format!("rings after {after:.1} s with 8102 shown; {heard}"))
    }

    /// C rings for B, and the client takes the call.
    fn pickup(&mut self, code: &str) -> Seen<String> {
        link(self.b.dial("803"))?;
        must(self.c.rings(LIMIT), || "C does not ring".to_owned())?;
        link(self.client.dial(code))?;
        must(self.client.connects(LIMIT), || "the client does not get the call".to_owned())?;
        must(self.b.connects(LIMIT), || "B is not connected".to_owned())?;
        must(self.c.clears(LIMIT), || "C still rings".to_owned())?;
        let log = self.client.trace();
        let shown = trace::responses(&log)
            .filter(|response| response.starts_with("SIP/2.0 200"))
            .filter_map(|response| trace::header(response, "P-Asserted-Identity"))
            .any(|who| who.contains("acme-802"));
        must(shown, || "the caller is not shown".to_owned())?;
        let heard = self.talk_to_b()?;
        self.client_leaves_b()?;
        Ok(format!("{code}: the caller is shown, C rings no more; {heard}"))
    }

    fn three_way(&mut self) -> Seen<String> {
        self.call_b()?;
        self.call_c_beside_it()?;
        sleep(Duration::from_millis(500));
        link(self.client.hold(true))?;
        sleep(Duration::from_millis(1_000));
        link(self.client.dial("*3"))?;
        must(self.client.connects(LIMIT), || "the code is not answered".to_owned())?;
        let levels = until_seen(|| {
            let (own, b) = listen(&mut *self.client, &mut self.b)?;
            let c = link(self.c.listen(LISTEN))?;
            let ears = [("the client", own, OWN_HZ), ("B", b, B_HZ), ("C", c, C_HZ)];
            let mut levels = Vec::new();
            for (who, heard, tone) in &ears {
                for other in [OWN_HZ, B_HZ, C_HZ].into_iter().filter(|other| other != tone) {
                    levels.push(hears(who, heard, other, *tone)?);
                }
            }
            Ok(levels.join(", "))
        })?;
        link(self.client.hang_up())?;
        let others = self.b_talks_to_c()?;
        self.b_leaves_c()?;
        Ok(format!("all hear both others: {levels} dBFS; when it leaves, {others}"))
    }

    fn calls_over_the_intercom(&mut self) -> Seen<String> {
        link(self.client.dial("*80802"))?;
        must(self.b.connects(LIMIT), || "B does not answer by itself".to_owned())?;
        must(self.client.connects(LIMIT), || "the client is not connected".to_owned())?;
        let heard = self.talk_to_b()?;
        self.client_leaves_b()?;
        Ok(heard)
    }

    fn is_called_over_the_intercom(&mut self) -> Seen<Outcome> {
        link(self.b.dial("*80801"))?;
        if self.client.connects(ANSWERS) {
            let heard = self.talk_to_b()?;
            link(self.b.hang_up())?;
            must(self.client.clears(LIMIT), || "the client is not cleared".to_owned())?;
            return Ok(Outcome::Pass(format!("answers by itself; {heard}")));
        }
        let log = self.client.trace();
        let asked = trace::invites(&log)
            .filter(|invite| invite.contains("acme-801"))
            .filter_map(|i| {
                Some((trace::header(i, "Answer-Mode")?, trace::header(i, "Call-Info")?))
            })
            .last();
        must(self.client.rings(LIMIT), || "the client does not even ring".to_owned())?;
        let (mode, info) = asked.ok_or("the client was not asked to answer by itself")?;
        let seconds = ANSWERS.as_secs();
        Ok(Outcome::Cannot(format!(
            "its log has Answer-Mode: {mode} and Call-Info: {info}, and it rings for {seconds} s"
        )))
    }

    fn lamp(&mut self) -> Seen<String> {
        let dark = self.lamp.comes_to(Shows::Dark, LIMIT);
        must(dark, || format!("before the call it shows {:?}", self.lamp.shows()))?;
        link(self.b.dial("801"))?;
        must(self.client.rings(LIMIT), || "the client does not ring".to_owned())?;
        must(self.lamp.comes_to(Shows::Blinks, LIMIT), || "it does not blink".to_owned())?;
        link(self.client.answer())?;
        must(self.client.connects(LIMIT), || "the client is not connected".to_owned())?;
        must(self.lamp.comes_to(Shows::Lit, LIMIT), || "it is not lit".to_owned())?;
        let (_, told) = self.lamp.shows();
        must(told.contains("acme-802"), || format!("it does not show B: {told}"))?;
        link(self.client.hang_up())?;
        must(self.lamp.comes_to(Shows::Dark, LIMIT), || "it stays lit".to_owned())?;
        Ok("blinks while it rings, lit with B shown, dark at the end".to_owned())
    }

    fn does(&mut self, deed: &str) -> Seen<Outcome> {
        let outcome = match deed {
            "hold, resume" => self.hold(),
            "blind transfer" => self.blind(),
            "attended transfer" => return self.attended_or_cannot(),
            "park, retrieve" => self.park(),
            "park, comes back" => self.comes_back(),
            "directed pickup" => self.pickup("**803"),
            "group pickup" => self.pickup("**"),
            "three-way" => self.three_way(),
            "intercom, calls" => self.calls_over_the_intercom(),
            "intercom, is called" => return self.is_called_over_the_intercom(),
            _ => self.lamp(),
        };
        outcome.map(Outcome::Pass)
    }
}

/// Whatever a deed left behind ends before the next one.
fn clear(server: &Server, row: &mut Row) {
    let calls = || server.ctl(&["calls"]).ok().and_then(|calls| calls.as_array().cloned());
    for call in calls().unwrap_or_default() {
        if let Some(id) = call.get("call").and_then(|id| id.as_str()) {
            let _ = server.ctl(&["kill", id]);
        }
    }
    let _ = wait_for(LIMIT, || calls().filter(Vec::is_empty));
    sleep(Duration::from_millis(700));
    row.client.forget();
    row.b.forget();
    row.c.forget();
}

/// What tshark makes of the signalling.
fn signalling(wire: &Wire) -> Seen<String> {
    let all = link(wire.packets("sip", &["sip.Method"]))?;
    let damaged = link(wire.packets("sip && _ws.malformed", &["frame.number"]))?;
    must(damaged.is_empty(), || format!("tshark calls packets malformed: {damaged:?}"))?;
    let count = |filter: &str| link(wire.packets(filter, &["frame.number"])).map(|p| p.len());
    let refers = count("sip.Method == \"REFER\"")?;
    let taken = count("sip.Status-Code == 202 && sip.CSeq.method == \"REFER\"")?;
    let done = count("sip.Method == \"NOTIFY\" && sipfrag contains \"200 OK\"")?;
    must(refers > 0 && taken > 0 && done > 0, || {
        format!("{refers} REFERs, {taken} times 202, {done} NOTIFYs of a 200")
    })?;
    let asked = count("sip.Method == \"INVITE\" && sip contains \"answer-after=0\"")?;
    must(asked > 0, || "no INVITE asks a phone to answer by itself".to_owned())?;
    Ok(format!(
        "{} messages, none malformed: {refers} REFERs, {taken} times 202, {done} NOTIFYs of a 200, \
         {asked} INVITEs with answer-after=0",
        all.len()
    ))
}

/// What tshark makes of the sound: every stream of the server is one stream, and whoever waits is
/// sent music, whoever holds nothing.
fn sound(wire: &Wire, server: &Server, waits: &[Waits]) -> Seen<String> {
    let sounds = link(Sounds::read(wire, server.media_ports()))?;
    let summary = sounds.are_whole()?;
    must(summary.streams > 20, || format!("only {summary:?}"))?;
    must(waits.iter().any(|waits| waits.held), || "nobody held".to_owned())?;
    for Waits { during, held } in waits {
        let to_b = link(sounds.sent_to(wire, "acme-802", *during))?;
        let level = to_b.rms_dbfs();
        must(to_b.seconds() > 0.5 && level > MUSIC_DBFS, || {
            format!("B is sent {:.2} s at {level:.1} dBFS in {during:?}", to_b.seconds())
        })?;
        let tones = [OWN_HZ, B_HZ, C_HZ].map(|tone| to_b.steady_dbfs(tone));
        must(tones.iter().all(|tone| *tone < TONE_DBFS - 15.0), || {
            format!("B waits and is sent somebody: {tones:.1?} dBFS")
        })?;
        if *held {
            let back = link(sounds.sent_to(wire, "acme-801", *during))?;
            let level = back.rms_dbfs();
            must(level < -60.0, || format!("who holds is sent {level:.1} dBFS"))?;
        }
    }
    Ok(format!(
        "{} streams of {} packets, each of one SSRC, every number, no timestamp ahead or back; \
         music to B in {} waits, nothing to who holds",
        summary.streams,
        summary.packets,
        waits.len()
    ))
}

fn line(kind: Kind, deed: &'static str, outcome: Outcome) -> Line {
    Line { client: kind.name(), transport: "UDP", deed, outcome }
}

fn row(kind: Kind) -> Vec<Line> {
    let (mut server, mut row, capture) = match start(kind) {
        Ok(started) => started,
        Err(words) => return vec![line(kind, "start", Outcome::Fail(words))],
    };
    let mut lines = Vec::new();
    for deed in DEEDS {
        let outcome = row.does(deed).unwrap_or_else(Outcome::Fail);
        if matches!(outcome, Outcome::Fail(_)) {
            // What the client saw of it, for whoever reads the failure.
            let _ = fs::write(server.directory.join(format!("failed-{deed}")), row.client.trace());
        }
        lines.push(line(kind, deed, outcome));
        clear(&server, &mut row);
    }
    let seen = |seen: Seen<String>| seen.map_or_else(Outcome::Fail, Outcome::Pass);
    let wire = link(capture.end());
    let messages = wire.as_ref().map_err(String::clone).and_then(signalling);
    lines.push(line(row.kind, "on the wire, SIP", seen(messages)));
    let packets = wire.and_then(|wire| sound(&wire, &server, &row.waits));
    lines.push(line(row.kind, "on the wire, RTP", seen(packets)));
    drop(row);
    // The lamps' subscriptions go on; no call, stream or place may.
    let left = wait_for(Duration::from_secs(45), || {
        let status = server.ctl(&["status"]).ok()?;
        let tables = status.get("tables")?.as_object()?;
        let calls = ["calls", "streams", "rooms", "queued", "parked", "channels", "instances"];
        calls.iter().all(|name| tables.get(*name).is_some_and(|count| *count == 0)).then_some(())
    });
    let outcome = match left {
        Some(()) => Outcome::Pass("no call, stream, room, slot or channel is left".to_owned()),
        None => Outcome::Fail(format!("{:?}", server.ctl(&["status"]))),
    };
    lines.push(line(kind, "leaves nothing", outcome));
    server.keeps = lines.iter().any(|line| matches!(line.outcome, Outcome::Fail(_)));
    lines
}

#[test]
fn three_clients_do_all_that_an_office_does_with_its_phones() {
    let begin = Instant::now();
    let lines = std::thread::scope(|scope| {
        let rows = Kind::ALL.map(|kind| scope.spawn(move || row(kind)));
        rows.map(|row| row.join().expect("a row ends")).concat()
    });
    let matrix = Matrix(lines);
    println!("{matrix}{:.0} s", begin.elapsed().as_secs_f64());
    assert_eq!(matrix.failures(), 0, "cells failed:\n{matrix}");
}
