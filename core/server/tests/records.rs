//! Records of calls through a whole server into the exporter's file: each once, over ends of the
//! server, replacements of the module and a disk that refuses.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

#[expect(dead_code, reason = "the other tests of modules use the rest")]
mod house;
#[expect(dead_code, reason = "the tests of the whole server use the rest")]
mod office;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use house::built;
use koukan::server::RunningServer;
use koukan_sip::{Header, Transport};
use office::{Office, Phone, ask, json, sip_address};
use serde_json::Value;

/// An office whose records go to a file.
fn office(options: &str) -> Office {
    let office = Office::new("records");
    let module = built(&["-p", "koukan-cdr"], "libcdr.so");
    office.configure(&format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\nmin_expires = \"1s\"\n[media]\nworkers = 1\n\
         [module.cdr]\npath = \"{}\"\ngrants = [\"records\"]\noptions = {{ {options} }}\n",
        module.display()
    ));
    office
}

/// Calls a phone that is not there, so many times.
fn place_calls(server: &RunningServer, count: usize) {
    let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                 m=audio 40000 RTP/AVP 0\r\n";
    let address = sip_address(server, Transport::Udp);
    // Each phone has a port of its own, and with it a Call-ID of its own.
    let phones: Vec<Phone> = (0..count).map(|_| Phone::new(address, "acme-801")).collect();
    for mut phone in phones {
        let answer = phone.request("INVITE", "802", "Content-Type: application/sdp\r\n", offer);
        assert!(answer.status().unwrap() >= 400, "{:?}", answer.status());
        let call = String::from_utf8(answer.header(Header::CallId).unwrap().to_vec()).unwrap();
        phone.acknowledge(&answer, "802", &call, phone.cseq());
    }
}

fn known_calls(server: &RunningServer) -> Vec<String> {
    let cdrs = json(server.socket(), "/v1/cdrs?limit=1000");
    let ended = cdrs.as_array().unwrap().iter().filter(|cdr| !cdr["ended"].is_null());
    ended.map(|cdr| cdr["call"].as_str().unwrap().to_owned()).collect()
}

/// How often each call stands in the file.
fn exported(file: &Path) -> BTreeMap<String, usize> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let mut calls = BTreeMap::new();
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert_eq!(value["kind"], "call");
        let call = value["record"]["call"].as_str().unwrap().to_owned();
        *calls.entry(call).or_insert(0) += 1;
    }
    calls
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(15);
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn every_call_is_a_line_once_over_ends_of_the_server_and_replacements_of_the_module() {
    let office = office("file = \"out/cdr.jsonl\"");
    let file = office.directory.join("out/cdr.jsonl");
    let mut calls = Vec::new();
    for run in 0..2 {
        let server = office.start();
        for _ in 0..3 {
            place_calls(&server, 4);
            let (status, words) = ask(server.socket(), "POST", "/v1/modules/cdr/replace", "");
            assert_eq!(status, 200, "{words}");
        }
        wait_for("the server knows its calls", || known_calls(&server).len() == (run + 1) * 12);
        calls = known_calls(&server);
        if run == 1 {
            wait_for("every call is exported", || exported(&file).len() == calls.len());
            let listed = json(server.socket(), "/v1/modules");
            let states: Vec<_> = listed.as_array().unwrap().iter().map(|m| &m["state"]).collect();
            assert_eq!(states.iter().filter(|state| **state == "active").count(), 1, "{listed}");
        }
        // The first run ends whether its last records were taken or not.
        server.stop();
    }
    let exported = exported(&file);
    calls.sort();
    assert_eq!(exported.keys().cloned().collect::<Vec<_>>(), calls);
    assert!(exported.values().all(|times| *times == 1), "{exported:?}");
}

#[test]
fn records_wait_for_a_module_that_cannot_take_them() {
    let office = office("file = \"/dev/full\"");
    let server = office.start();
    place_calls(&server, 3);
    wait_for("the server knows its calls", || known_calls(&server).len() == 3);
    let records = || json(server.socket(), "/v1/modules")[0]["records"].clone();
    assert_eq!(records(), 0, "the disk refuses");
    server.stop();
    // The admin names another file: everything is there.
    let text = fs::read_to_string(office.conf().join("koukan.toml")).unwrap();
    let file = office.directory.join("cdr.jsonl");
    office.configure(&text.replace("/dev/full", &file.display().to_string()));
    let server = office.start();
    wait_for("every call is exported", || exported(&file).len() == 3);
    // With what else has happened to those calls.
    let counted = || json(server.socket(), "/v1/modules")[0]["records"].as_u64().unwrap() >= 3;
    wait_for("they are counted", counted);
    server.stop();
}

#[test]
fn a_sink_wants_its_grant() {
    let office = office("file = \"x\"");
    let text = fs::read_to_string(office.conf().join("koukan.toml")).unwrap();
    office.configure(&text.replace("[\"records\"]", "[]"));
    let Err(error) = koukan::server::Server::start(koukan::config::load(&office.conf()).unwrap())
    else {
        panic!("it was loaded")
    };
    let words = error.to_string();
    assert!(words.contains("needs kk.sink/1: add \"records\" to its `grants`"), "{words}");
}

#[test]
fn nothing_waits_for_a_module_that_is_not_configured_any_more() {
    let office = office("file = \"cdr.jsonl\"");
    let own = fs::read_to_string(office.conf().join("koukan.toml")).unwrap();
    let (file, other) = (office.directory.join("cdr.jsonl"), office.directory.join("other.jsonl"));
    let module = own.split("[module.cdr]").nth(1).unwrap().to_owned();
    let with = |path: &Path| {
        let module = module.replace("cdr.jsonl", &path.display().to_string());
        format!("{own}[module.other]{module}")
    };
    // Another module cannot take its records, and is given up.
    office.configure(&with(Path::new("/dev/full")));
    let server = office.start();
    place_calls(&server, 3);
    wait_for("every call is exported", || exported(&file).len() == 3);
    server.stop();
    office.configure(&own);
    let server = office.start();
    place_calls(&server, 1);
    wait_for("every call is exported", || exported(&file).len() == 4);
    server.stop();
    // Whoever has its name later gets what happens from then on.
    office.configure(&with(&other));
    let server = office.start();
    place_calls(&server, 1);
    wait_for("the last call is exported", || !exported(&other).is_empty());
    wait_for("every call is exported", || exported(&file).len() == 5);
    assert_eq!(exported(&other).len(), 1, "{:?}", exported(&other));
    server.stop();
}
