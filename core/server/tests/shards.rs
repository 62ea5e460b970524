//! A server of several shards in this process: offices at home on different ones, seen from outside
//! as one server.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

mod office;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use koukan_base::Shards;
use koukan_sip::{Header, Message, Method, Transport};
use office::{Office, Phone, ask, json, sip_address, until};
use serde_json::json;

/// The offices beside `acme`; with two and with four shards they are at home on several.
const OFFICES: [&str; 5] = ["two", "three", "four", "five", "six"];

const LISTEN: &str = "[sip]\nlisten = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\n\
    min_expires = \"1s\"\n[media]\nworkers = 2\n[test]\nclock = true\n";

fn configure(office: &Office, shards: u16) {
    office.configure(&format!("[server]\nshards = {shards}\n{LISTEN}"));
}

/// A house of six offices.
fn house(name: &str, shards: u16) -> Office {
    let office = Office::new(name);
    let first = office.conf().join("tenants/acme");
    let plan = fs::read_to_string(first.join("office.toml")).unwrap();
    for (number, id) in OFFICES.iter().enumerate() {
        let directory = office.conf().join("tenants").join(id);
        fs::create_dir_all(directory.join("secrets")).unwrap();
        for device in ["A", "B"] {
            let from = first.join("secrets").join(device);
            fs::copy(from, directory.join("secrets").join(device)).unwrap();
        }
        let own = plan.replace("\"acme\"", &format!("\"{id}\""));
        let own = own.replace("0312340001", &format!("03123400{}", number + 10));
        fs::write(directory.join("office.toml"), own).unwrap();
    }
    configure(&office, shards);
    office
}

fn users() -> [&'static str; 6] {
    ["acme-801", "two-801", "three-801", "four-801", "five-801", "six-801"]
}

fn homes(shards: u16) -> usize {
    let shards = Shards::new(shards).unwrap();
    let mut homes: Vec<_> = OFFICES.iter().map(|id| shards.home(id)).collect();
    homes.push(shards.home("acme"));
    homes.sort();
    homes.dedup();
    homes.len()
}

fn register(phone: &mut Phone, user: &str) {
    let answer = phone.request("REGISTER", user, "Expires: 600\r\n", "");
    assert_eq!(answer.status(), Some(200), "{user}");
}

fn offer(port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    )
}

/// Calls, and the answer when it is one.
fn call(phone: &mut Phone, to: &str) -> Message {
    phone.request("INVITE", to, "Content-Type: application/sdp\r\n", &offer(40_000))
}

/// Ends a call that `call` began.
fn hang_up(phone: &mut Phone, answer: &Message, to: &str) {
    let own = phone.socket.local_addr().unwrap().port();
    let id = format!("INVITE-{own}");
    phone.acknowledge(answer, to, &id, phone.cseq());
    let tagged = String::from_utf8_lossy(answer.header(Header::To).unwrap()).into_owned();
    let bye = phone.text("BYE", to, &id, "", "");
    let line = bye.lines().find(|line| line.starts_with("To:")).unwrap().to_owned();
    let bye = bye.replace(&line, &format!("To: {tagged}"));
    phone.send(&bye.replace("CSeq: ", "CSeq: 9"));
    let ended = phone.finally();
    assert_eq!(ended.status(), Some(200));
}

fn registered(socket: &Path) -> Vec<String> {
    let list = json(socket, "/v1/registrations");
    let users = list.as_array().unwrap().iter();
    users.map(|one| one["user"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn offices_on_several_shards_register_call_and_are_listed_as_one_server() {
    for shards in [2, 4] {
        assert!(homes(shards) >= 2);
        let house = house("shards", shards);
        let server = house.start();
        let (socket, sip) = (server.socket().to_owned(), sip_address(&server, Transport::Udp));
        let mut phones: Vec<Phone> =
            users().into_iter().map(|user| Phone::new(sip, user)).collect();
        for (phone, user) in phones.iter_mut().zip(users()) {
            register(phone, user);
        }
        let mut known = users().map(str::to_owned);
        known.sort();
        assert_eq!(registered(&socket), known);
        // A call of each office at once, on whatever shard it is.
        let answers: Vec<Message> = phones.iter_mut().map(|phone| call(phone, "600")).collect();
        assert!(answers.iter().all(|answer| answer.status() == Some(200)));
        let calls = json(&socket, "/v1/calls");
        assert_eq!(calls.as_array().unwrap().len(), 6, "{calls}");
        let ids: Vec<&str> =
            calls.as_array().unwrap().iter().map(|call| call["call"].as_str().unwrap()).collect();
        for id in &ids {
            let why = json(&socket, &format!("/v1/why/{id}"));
            assert!(!why["lines"].as_array().unwrap().is_empty(), "{why}");
            let (status, trace) = ask(&socket, "GET", &format!("/v1/trace/{id}?form=ladder"), "");
            assert!(status == 200 && trace.contains("INVITE"), "{trace}");
        }
        assert_eq!(ask(&socket, "DELETE", &format!("/v1/calls/{}", ids[0]), "").0, 204);
        let killed = calls[0]["tenant"].as_str().unwrap();
        for ((phone, answer), user) in phones.iter_mut().zip(&answers).zip(users()) {
            if !user.starts_with(killed) {
                hang_up(phone, answer, "600");
            }
        }
        until("no calls", || {
            json(&socket, "/v1/calls").as_array().unwrap().is_empty().then_some(())
        });
        let metrics = ask(&socket, "GET", "/metrics", "").1;
        let counts = |name: &str, value: usize| metrics.contains(&format!("{name} {value}\n"));
        assert!(counts("koukan_calls_total", 6) && counts("koukan_registrations", 6), "{metrics}");
        assert!(counts("koukan_panics_total", 0));
        drop(server);
    }
}

#[test]
fn a_restart_with_another_number_of_shards_finds_everything_at_its_new_home() {
    let house = house("reshard", 2);
    let server = house.start();
    let socket = server.socket().to_owned();
    let sip = sip_address(&server, Transport::Udp);
    for user in users() {
        register(&mut Phone::new(sip, user), user);
    }
    for tenant in OFFICES.iter().chain(&["acme"]) {
        let body = json!({ "value": "on", "by": *tenant }).to_string();
        let path = format!("/v1/tenants/{tenant}/settings/main.closed");
        assert_eq!(ask(&socket, "PUT", &path, &body).0, 200);
    }
    let before = registered(&socket);
    drop(server);
    for shards in [4, 1, 3] {
        configure(&house, shards);
        let server = house.start();
        assert_eq!(registered(&socket), before, "{shards}");
        for tenant in OFFICES.iter().chain(&["acme"]) {
            let path = format!("/v1/tenants/{tenant}/settings/main.closed");
            let kept = json(&socket, &path);
            assert_eq!((&kept["value"], &kept["by"]), (&json!("on"), &json!(*tenant)), "{shards}");
        }
        drop(server);
    }
}

#[test]
fn a_reload_reaches_every_shard_and_a_new_office_its_home() {
    let house = house("reload", 4);
    let server = house.start();
    let (socket, sip) = (server.socket().to_owned(), sip_address(&server, Transport::Udp));
    let mut phone = Phone::new(sip, "seven-801");
    assert_eq!(phone.request("REGISTER", "seven-801", "", "").status(), Some(403));
    let (from, to) = (house.conf().join("tenants/six"), house.conf().join("tenants/seven"));
    fs::create_dir_all(to.join("secrets")).unwrap();
    for file in ["secrets/A", "secrets/B"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
    let plan = fs::read_to_string(from.join("office.toml")).unwrap();
    let plan = plan.replace("\"six\"", "\"seven\"").replace("0312340014", "0312340099");
    fs::write(to.join("office.toml"), plan).unwrap();
    assert_eq!(ask(&socket, "POST", "/v1/reload", "").0, 200);
    register(&mut Phone::new(sip, "seven-801"), "seven-801");
    fs::remove_dir_all(&to).unwrap();
    assert_eq!(ask(&socket, "POST", "/v1/reload/seven", "").0, 200);
    until("an office that is gone", || registered(&socket).is_empty().then_some(()));
}

#[test]
fn a_storm_on_one_shard_leaves_calls_of_another_alone() {
    let house = house("storm", 4);
    let server = house.start();
    let sip = sip_address(&server, Transport::Udp);
    let shards = Shards::new(4).unwrap();
    let struck = shards.home("acme");
    let other = OFFICES.iter().find(|id| shards.home(id) != struck).unwrap();
    let user = users().into_iter().find(|user| user.starts_with(other)).unwrap();
    let mut phone = Phone::new(sip, user);
    register(&mut phone, user);
    let set_up = |phone: &mut Phone| {
        let begun = Instant::now();
        let answer = call(phone, "600");
        let took = begun.elapsed();
        assert_eq!(answer.status(), Some(200));
        hang_up(phone, &answer, "600");
        took
    };
    let (over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let storm = {
        let (over, asked) = (Arc::clone(&over), Arc::clone(&asked));
        std::thread::spawn(move || {
            let stranger = Phone::new(sip, "acme-801");
            let invite = stranger.text("INVITE", "600", "storm", "", &offer(40_002));
            while !over.load(Ordering::Relaxed) {
                let number = asked.fetch_add(1, Ordering::Relaxed);
                // Each is a call of its own.
                stranger.send(
                    &invite
                        .replace("storm", &format!("storm{number}"))
                        .replace("branch=z9hG4bKINVITE", &format!("branch=z9hG4bKs{number}-")),
                );
                if number % 20 == 0 {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        })
    };
    std::thread::sleep(Duration::from_millis(300));
    let slowest = (0..20).map(|_| set_up(&mut phone)).max().unwrap();
    over.store(true, Ordering::Relaxed);
    storm.join().unwrap();
    let asked = asked.load(Ordering::Relaxed);
    println!("{asked} calls of strangers on one shard; the slowest of 20 on another: {slowest:?}");
    assert!(asked > 500, "{asked}");
    assert!(slowest < Duration::from_millis(1_000), "{slowest:?}");
}

#[test]
fn draining_ends_all_shards_when_the_last_call_is_over() {
    let house = house("drained", 4);
    let server = house.start();
    let (socket, sip) = (server.socket().to_owned(), sip_address(&server, Transport::Udp));
    let mut phone = Phone::new(sip, "acme-801");
    register(&mut phone, "acme-801");
    let answer = call(&mut phone, "600");
    assert_eq!(answer.status(), Some(200));
    let order = json!({ "within_s": 600, "by": "tester" }).to_string();
    let (status, said) = ask(&socket, "POST", "/v1/drain", &order);
    assert!(status == 200 && said.contains("\"draining\":true"), "{said}");
    for user in users().into_iter().skip(1) {
        let mut other = Phone::new(sip, user);
        register(&mut other, user);
        assert_eq!(call(&mut other, "600").status(), Some(503), "{user}");
    }
    assert!(server.wait(Duration::from_millis(1_500)).is_none(), "a call is up");
    hang_up(&mut phone, &answer, "600");
    assert!(server.wait(Duration::from_secs(8)).is_some());
}

/// Answers the call that rings and waits until it has ended; the Request-URI and From of it.
fn answer_and_wait(phone: &Phone) -> (Message, Message) {
    let invite = loop {
        let message = phone.receive();
        if message.method() == Some(Method::Invite) {
            break message;
        }
        // A phone that is asked whether it is there says so.
        phone.send(&response(&message, "200 OK", ""));
    };
    phone.send(&response(&invite, "200 OK", &offer(40_004)));
    loop {
        let message = phone.receive();
        if message.method() == Some(Method::Bye) {
            phone.send(&response(&message, "200 OK", ""));
            return (invite, message);
        }
    }
}

fn response(request: &Message, status: &str, body: &str) -> String {
    let value = |header| String::from_utf8_lossy(request.header(header).unwrap()).into_owned();
    let vias = request.headers(Header::Via).map(String::from_utf8_lossy);
    let vias: String = vias.map(|via| format!("Via: {via}\r\n")).collect();
    let to = value(Header::To);
    let tag = if to.contains(";tag=") { "" } else { ";tag=callee" };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "SIP/2.0 {status}\r\n{vias}From: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <sip:callee@127.0.0.1:9>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        value(Header::From),
        value(Header::CallId),
        value(Header::CSeq),
        body.len(),
    )
}

#[test]
fn an_office_calls_one_on_another_shard_by_its_number_as_one_on_its_own() {
    let house = house("neighbours", 4);
    let server = house.start();
    let (socket, sip) = (server.socket().to_owned(), sip_address(&server, Transport::Udp));
    let shards = Shards::new(4).unwrap();
    let mut caller = Phone::new(sip, "acme-801");
    register(&mut caller, "acme-801");
    let mut elsewhere = 0;
    for (number, id) in OFFICES.iter().enumerate() {
        let user = users().into_iter().find(|user| user.starts_with(id)).unwrap();
        let mut callee = Phone::new(sip, user);
        register(&mut callee, user);
        let called = format!("03123400{}", number + 10);
        let rings = std::thread::spawn(move || answer_and_wait(&callee));
        let answer = call(&mut caller, &called);
        assert_eq!(answer.status(), Some(200), "{id}");
        let up = json(&socket, "/v1/calls");
        let up = up.as_array().unwrap();
        let away = shards.home(id) != shards.home("acme");
        elsewhere += usize::from(away);
        assert_eq!(up.len(), if away { 2 } else { 1 }, "{id}: {up:?}");
        hang_up(&mut caller, &answer, &called);
        let (invite, _) = rings.join().unwrap();
        // It shows the number of the office that calls.
        let from = String::from_utf8_lossy(invite.header(Header::From).unwrap()).into_owned();
        assert!(from.contains("0312340001"), "{id}: {from}");
        until("no calls", || {
            json(&socket, "/v1/calls").as_array().unwrap().is_empty().then_some(())
        });
    }
    assert!(elsewhere >= 2, "{elsewhere}");
    assert_eq!(json(&socket, "/v1/trunks"), json!([]), "the way between shards is no trunk");
}
