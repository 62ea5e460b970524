//! What modules have of the host beside calls: their options, work on other threads, tasks, sinks;
//! and what becomes of a panic in each. With the panics of applications (`builds.rs`) and of
//! sources (`lookups.rs`) this is every entry point that a module has.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

#[expect(dead_code, reason = "the other tests of modules use the rest")]
mod house;
#[expect(dead_code, reason = "the tests of the whole server use the rest")]
mod office;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use house::{CALL, Host, NOW, Room, built};
use koukan::server::RunningServer;
use koukan_sip::{Header, Transport};
use koukan_switch::{ModuleRequest, Now, OpStatus, Operation};
use office::{Office, Phone, ask, json, sip_address};

const WORKS: &str = "grants = [\"call\", \"worker\"]";

fn services() -> PathBuf {
    built(&["-p", "koukan-sdk", "--example", "services"], "examples/libservices.so")
}

fn loaded(wrong: &str, grants: &str) -> (Room, Host) {
    let room = Room::new();
    let grants = format!("{grants}\noptions = {{ wrong = \"{wrong}\" }}");
    let host = room.load(&[("services", &services(), &grants)]).unwrap();
    (room, host)
}

/// The end of an application that waits for another thread.
fn ended(host: &mut Host) -> Result<(), String> {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let began = Instant::now();
        let request = host.request();
        assert!(began.elapsed() < Duration::from_millis(100), "the control loop was held up");
        match request {
            Some(ModuleRequest::Ended { result, .. }) => {
                return result.map_err(|why| why.to_string());
            }
            Some(other) => panic!("{other:?}"),
            None => std::thread::yield_now(),
        }
        assert!(Instant::now() < until, "it does not end");
    }
}

#[test]
fn an_application_reads_the_options_of_its_module() {
    let (_room, mut host) = loaded("nothing", CALL);
    assert_eq!(host.words("services", "tells"), "wrong = nothing");
}

#[test]
fn work_that_blocks_holds_nothing_up_and_its_result_comes_back() {
    let (_room, mut host) = loaded("", WORKS);
    let began = Instant::now();
    host.start("services", "works", "{}");
    assert!(began.elapsed() < Duration::from_millis(100), "the control loop was held up");
    assert_eq!(host.words("services", "tells"), "wrong = ", "others are served meanwhile");
    assert_eq!(ended(&mut host), Err("another thread: true".to_owned()));
    assert!(began.elapsed() >= Duration::from_millis(300));
    host.assert_empty_but_the_task();
}

#[test]
fn without_its_grant_there_is_no_work() {
    let (_room, mut host) = loaded("", CALL);
    assert_eq!(host.words("services", "works"), "the host does not do work that blocks");
}

#[test]
fn a_build_is_closed_after_the_work_that_nobody_waits_for() {
    let (_room, mut host) = loaded("", WORKS);
    let instance = host.start("services", "leaves", "{}");
    let (op, operation) = host.operation();
    assert_eq!(operation, Operation::Answer);
    host.done(instance, op, OpStatus::Ok, "");
    assert_eq!(host.ended(), Ok(()));
    host.modules.unload(NOW, "services").unwrap();
    let state = |host: &Host| host.modules.list(NOW.time)[0].state.clone();
    host.modules.handle_housekeeping(NOW);
    assert_eq!(state(&host), "draining", "its work is not done");
    let until = Instant::now() + Duration::from_secs(10);
    while state(&host) != "closed" {
        assert!(Instant::now() < until, "{}", state(&host));
        host.modules.handle_housekeeping(NOW);
        std::thread::yield_now();
    }
}

#[test]
fn a_panic_in_a_task_or_in_work_ends_that_alone() {
    let (_room, mut host) = loaded("task", WORKS);
    assert_eq!(host.request(), None, "a task that panics at once");
    println!("| task, at once | it ends, its module goes on |");
    host.start("services", "breaks", "{}");
    assert_eq!(ended(&mut host), Err("work on another thread panicked".to_owned()));
    println!("| work on another thread | its application hears of it |");
    assert_eq!(host.words("services", "tells"), "wrong = task");
    assert_eq!(host.modules.list(NOW.time)[0].instances, 0);

    let (_room, mut host) = loaded("task later", WORKS);
    assert_eq!(host.request(), None);
    assert_eq!(host.modules.list(NOW.time)[0].instances, 1);
    let later = Now { time: NOW.time + Duration::from_secs(1), ..NOW };
    assert_eq!(host.modules.poll_request(later), None);
    println!("| task, after a wait | it ends, its module goes on |");
    assert_eq!(host.modules.list(NOW.time)[0].instances, 0);
    assert_eq!(host.words("services", "tells"), "wrong = task later");
}

#[test]
fn what_is_built_on_a_draft_is_refused_by_its_name() {
    let room = Room::new();
    for draft in ["kk.codec/1-draft", "kk.page/1-draft"] {
        let file = room.compiled("unruly", &[&format!("-DUNRULY_DRAFT=\"{draft}\"")]);
        let refusal = room.refusal(&file, CALL);
        let words = format!("is built on {draft}: a draft of the module border");
        assert!(refusal.contains(&words), "{refusal}");
    }
    assert_eq!(room.copies(), 0);
}

impl Host {
    fn assert_empty_but_the_task(&mut self) {
        assert_eq!(self.request(), None);
        assert_eq!(self.modules.list(NOW.time)[0].instances, 1);
    }
}

fn ledger_office(file: &std::path::Path, wrong: &str, office: &Office) {
    let module = built(&["-p", "koukan-sdk", "--example", "ledger"], "examples/libledger.so");
    office.configure(&format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\nmin_expires = \"1s\"\n[media]\nworkers = 1\n\
         [module.ledger]\npath = \"{}\"\ngrants = [\"records\"]\n\
         options = {{ wrong = \"{wrong}\", file = \"{}\" }}\n",
        module.display(),
        file.display()
    ));
}

/// Calls a phone that is not there.
fn place_call(server: &RunningServer) {
    let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                 m=audio 40000 RTP/AVP 0\r\n";
    let mut phone = Phone::new(sip_address(server, Transport::Udp), "acme-801");
    let answer = phone.request("INVITE", "802", "Content-Type: application/sdp\r\n", offer);
    assert!(answer.status().unwrap() >= 400, "{:?}", answer.status());
    let call = String::from_utf8(answer.header(Header::CallId).unwrap().to_vec()).unwrap();
    phone.acknowledge(&answer, "802", &call, phone.cseq());
}

/// The final records in a ledger's file.
fn written(file: &std::path::Path) -> usize {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().filter(|line| line.contains("\"cause\":\"") || line.contains("ended\":\"")).count()
}

#[test]
fn a_sink_that_panics_anywhere_loses_no_record_and_holds_up_no_call() {
    for wrong in ["open", "refuse", "deliver", "payload", "fail", "close"] {
        let office = Office::new("ledger");
        let file = office.directory.join("ledger.jsonl");
        ledger_office(&file, wrong, &office);
        let server = office.start();
        for _ in 0..3 {
            place_call(&server);
        }
        let until = Instant::now() + Duration::from_millis(1_500);
        while Instant::now() < until {
            std::thread::yield_now();
        }
        let before = written(&file);
        assert_eq!(before > 0, wrong == "close", "{wrong}: {before}");
        place_call(&server);
        let status = json(server.socket(), "/v1/status");
        let waiting = status["records_waiting"].as_u64().unwrap();
        assert!(waiting > 0 || wrong == "close", "{status}");
        // The build that goes wrong can be taken out, and a good one gets everything.
        ledger_office(&file, "", &office);
        let (status, words) = ask(server.socket(), "POST", "/v1/modules/ledger/replace", "");
        assert_eq!(status, 200, "{words}");
        let until = Instant::now() + Duration::from_secs(20);
        while written(&file) < 4 {
            assert!(Instant::now() < until, "{wrong}: {} of 4 records", written(&file));
            std::thread::yield_now();
        }
        println!("| sink, {wrong} | {before} records before, 4 of 4 behind a good build |");
        server.stop();
    }
}
