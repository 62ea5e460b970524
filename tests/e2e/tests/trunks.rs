//! Carriers that we register at: Debian's Kamailio, and servers of our own as carriers that fail.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use koukan_e2e::baresip::Baresip;
use koukan_e2e::client::PhoneSpec;
use koukan_e2e::kamailio::{ACCOUNT, ACCOUNT_PASSWORD, DOMAIN, Kamailio, MIN_EXPIRES};
use koukan_e2e::office::{phone, phone_spec};
use koukan_e2e::ports::free_port;
use koukan_e2e::server::{PASSWORD, Server};
use koukan_e2e::wait::wait_for;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(10);

fn write_secret(server: &Server, secret: &str) {
    let file = server.directory.join("conf/tenants/acme/secrets/carrier");
    fs::write(&file, secret).expect("it is written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it is ours");
}

/// Gives the sample's trunk another address, further keys, and a secret.
fn trunk_is(server: &Server, address: SocketAddr, keys: &str, secret: &str) {
    let tenant = server.directory.join("conf/tenants/acme");
    let file = tenant.join("office.toml");
    let text = fs::read_to_string(&file).expect("the sample");
    let own = format!("address = \"127.0.0.1:{}\"", server.trunk_port);
    assert!(text.contains(&own), "the sample has no {own}");
    let text = text.replace(&own, &format!("address = \"{address}\"\n{keys}"));
    fs::write(&file, text).expect("it is written");
    write_secret(server, secret);
    let report = server.ctl(&["reload", "acme"]).expect("it is in order");
    println!("reload: {report}");
}

fn trunk(server: &Server) -> Value {
    let all = server.ctl(&["trunks"]).expect("the server answers");
    all.get(0).cloned().unwrap_or_default()
}

fn waits(server: &Server, limit: Duration, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let found = wait_for(limit, || Some(trunk(server)).filter(|trunk| holds(trunk)));
    found.unwrap_or_else(|| panic!("not {what}: {}\n{}", trunk(server), server.log_tail()))
}

/// A phone beyond the carrier, which is spoken to without registering.
fn outsider(server: &Server, carrier: SocketAddr, number: &str, port: u16) -> Baresip {
    let spec = PhoneSpec {
        user: number.to_owned(),
        server: carrier,
        registers: false,
        tone: 1000.0,
        sip_port: Some(port),
        ..phone_spec(server, 'A')
    };
    phone(server, "outsider", &spec).expect("it starts")
}

#[test]
fn kamailio_registers_us_and_brings_calls_both_ways() {
    let server = Server::start("kamailio").expect("the server starts");
    server.ctl(&["clock", "2026-07-01T10:00:00+09:00"]).expect("the test clock can be set");
    let port = free_port();
    let outside = SocketAddr::from(([127, 0, 0, 1], port));
    let mut carrier = Kamailio::start(&server, "carrier", outside).expect("Kamailio starts");
    let register = format!(
        "register = {{ user = \"{ACCOUNT}\", secret = \"file:secrets/carrier\", \
         domain = \"{DOMAIN}\", expires = \"60s\" }}\nprobe = \"5s\""
    );
    trunk_is(&server, carrier.sip, &register, "wrong\n");
    let refused = waits(&server, LIMIT, "refused", |t| t["registration"] == "failed 401");
    println!("with a wrong password: {refused}");
    write_secret(&server, ACCOUNT_PASSWORD);
    server.ctl(&["reload", "acme"]).expect("it is in order");
    let stands = waits(&server, LIMIT, "registered", |t| t["registration"] == "registered");
    println!("registered: {stands}");
    let until = stands["registered_until"].as_str().expect("a date");
    assert!(until > "2026-07-01T01:01:30Z", "{MIN_EXPIRES} s were wanted by 423: {until}");

    let mut far = outsider(&server, carrier.sip, "0455550001", port);
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    a.dial("0455550001").expect("the control link stands");
    far.wait("CALL_INCOMING", LIMIT).unwrap_or_else(|| panic!("{}\n{}", a.log(), carrier.log()));
    far.answer().expect("the control link stands");
    a.wait("CALL_ESTABLISHED", LIMIT).expect("the call is up");
    assert!(far.log().contains("0312340001"), "the caller is not told");
    std::thread::sleep(Duration::from_secs(2));
    a.hang_up().expect("the control link stands");
    a.wait("CALL_CLOSED", LIMIT).expect("A is cleared");
    far.wait("CALL_CLOSED", LIMIT).expect("the other side is cleared");

    far.dial("0312340002").expect("the control link stands");
    a.wait("CALL_INCOMING", LIMIT).unwrap_or_else(|| panic!("{}\n{}", far.log(), carrier.log()));
    a.answer().expect("the control link stands");
    far.wait("CALL_ESTABLISHED", LIMIT).expect("the caller is connected");
    std::thread::sleep(Duration::from_secs(2));
    far.hang_up().expect("the control link stands");
    a.wait("CALL_CLOSED", LIMIT).expect("A is cleared");
    for (name, party) in [("A", &a), ("the caller", &far)] {
        let heard = party.heard().expect("a recording");
        let tone = if name == "A" { 1000.0 } else { 440.0 };
        let level = heard.part(heard.seconds() - 1.5, heard.seconds() - 0.5).tone_dbfs(tone);
        println!("{name} hears the other at {level:.2} dBFS");
        assert!((level + 15.0).abs() <= 1.0, "{name} hears {level:.2} dBFS");
    }

    // The carrier goes and comes back.
    carrier.stop();
    let begun = Instant::now();
    waits(&server, Duration::from_secs(30), "down", |t| t["state"] == "down");
    println!("found dead after {:.1} s", begun.elapsed().as_secs_f64());
    a.dial("0455550001").expect("the control link stands");
    let reason = a.wait("CALL_CLOSED", Duration::from_secs(30)).expect("it is refused");
    assert!(reason.contains("503"), "{reason}");
    carrier.run().expect("Kamailio starts again");
    let begun = Instant::now();
    waits(&server, Duration::from_secs(30), "back", |t| t["state"] == "ready");
    println!("found alive after {:.1} s", begun.elapsed().as_secs_f64());
}

#[test]
fn a_carrier_of_two_servers_of_ours_loses_one() {
    let server = Server::start("trunk-office").expect("the server starts");
    let mut first = Server::start("trunk-first").expect("the first carrier starts");
    let second = Server::start("trunk-second").expect("the second carrier starts");
    let keys = format!(
        "hosts = [{{ address = \"{}\", priority = 2 }}]\nprobe = \"5s\"\ncalls_per_second = 1\n\
         register = {{ user = \"acme-801\", secret = \"file:secrets/carrier\", expires = \"60s\" }}",
        second.sip
    );
    trunk_is(&server, first.sip, &keys, PASSWORD);
    let at = |sip: SocketAddr| move |t: &Value| t["registered_at"] == sip.to_string().as_str();
    waits(&server, LIMIT, "registered at the first", at(first.sip));
    let bound = first.ctl(&["registrations"]).expect("the carrier answers");
    assert_eq!(bound[0]["user"], "acme-801", "{bound}");
    let mut beyond: Vec<Baresip> = [&first, &second]
        .map(|carrier| outsider(carrier, carrier.sip, "0455550001", carrier.trunk_port))
        .into();
    let mut b = phone(&server, "b", &phone_spec(&server, 'B')).expect("B registers");
    for (round, far) in beyond.iter_mut().enumerate() {
        b.dial("0455550001").expect("the control link stands");
        far.wait("CALL_INCOMING", LIMIT).unwrap_or_else(|| panic!("{round}: {}", b.log()));
        far.answer().expect("the control link stands");
        b.wait("CALL_ESTABLISHED", LIMIT).expect("the call is up");
        b.hang_up().expect("the control link stands");
        b.wait("CALL_CLOSED", LIMIT).expect("B is cleared");
        far.wait("CALL_CLOSED", LIMIT).expect("the other side is cleared");
        if round == 0 {
            first.kill().expect("it runs");
            let begun = Instant::now();
            waits(&server, Duration::from_secs(40), "registered at the second", at(second.sip));
            println!("moved after {:.1} s", begun.elapsed().as_secs_f64());
        }
    }
    first.run().expect("the first carrier comes back");
    let alive = |t: &Value| t["hosts"][0]["health"] == "alive";
    waits(&server, Duration::from_secs(30), "alive again", alive);

    let out = server.ctl(&["maintenance", "acme/carrier", "on", "--by", "Hanako"]).expect("known");
    assert_eq!(
        (&out[0]["state"], &out[0]["maintenance_by"]),
        (&"maintenance".into(), &"Hanako".into())
    );
    b.dial("0455550001").expect("the control link stands");
    let reason = b.wait("CALL_CLOSED", Duration::from_secs(30)).expect("it is refused");
    assert!(reason.contains("503"), "{reason}");
    assert!(server.ctl(&["maintenance", "nobody", "on"]).is_err());
    server.ctl(&["maintenance", "acme/carrier", "off"]).expect("known");
    assert_eq!(trunk(&server)["state"], "ready");
}
