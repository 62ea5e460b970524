//! What modules, their store, their files and a mail server do wrong, while two others talk: their
//! audio has no gap, and everything that goes wrong ends its own call alone.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use koukan_e2e::baresip::Baresip;
use koukan_e2e::office::{phone, phone_spec};
use koukan_e2e::party::{CALLER, Party};
use koukan_e2e::server::{Server, source_root, target};
use koukan_e2e::sipp::{Sipp, SippSpec};
use koukan_e2e::smtp::MailSink;
use koukan_e2e::wait::wait_for;

use super::settings::{clock, hang_up};
use super::voicemail::messages;
use super::{SmallDisk, write_plan};

const LIMIT: Duration = Duration::from_secs(8);

/// Applications that do something wrong, by module, and what becomes of their call.
const FAULTS: [(&str, &str, Outcome); 13] = [
    ("faulty", "at_once", Outcome::Refused),
    ("faulty", "payload", Outcome::Refused),
    ("faulty", "arguments", Outcome::Refused),
    ("faulty", "message", Outcome::Refused),
    ("faulty", "later", Outcome::Released),
    ("faulty", "on_hang_up", Outcome::HangsUp),
    ("faulty", "held", Outcome::HangsUp),
    ("unruly", "garbage-start", Outcome::Refused),
    ("unruly", "negative", Outcome::Refused),
    ("unruly", "garbage-event", Outcome::Released),
    ("unruly", "null", Outcome::HangsUp),
    ("unruly", "slow", Outcome::HangsUp),
    ("unruly", "lingers", Outcome::HangsUp),
];

/// How the call of a fault ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// At the plan's `on_error`, which refuses it.
    Refused,
    /// After it was answered.
    Released,
    /// The application does nothing; the caller goes.
    HangsUp,
}

fn faulty() -> PathBuf {
    let target = target().expect("where cargo builds");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "-p", "koukan-sdk", "--example", "faulty", "--target-dir"])
        .arg(&target)
        .current_dir(source_root())
        .status()
        .expect("cargo runs");
    assert!(built.success());
    target.join("debug/examples/libfaulty.so")
}

/// The module in C that breaks the contract.
fn unruly(server: &Server, macros: &[&str]) -> PathBuf {
    let file = server.directory.join("unruly.so");
    let root = source_root();
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-shared", "-fPIC", "-fvisibility=hidden", "-I"]);
    cc.arg(root.join("core/abi/include")).args(macros).arg("-o").arg(file.with_extension("new"));
    cc.arg(root.join("core/server/tests/unruly.c")).arg("-pthread");
    assert!(cc.status().expect("a C compiler").success());
    // As packages replace files.
    fs::rename(file.with_extension("new"), &file).expect("it is put there");
    file
}

/// The office with an extension for each fault, and a box.
fn office() -> Server {
    let server = Server::start("faults").expect("the server starts");
    let file = server.directory.join("conf/koukan.toml");
    let mut text = fs::read_to_string(&file).expect("the configuration");
    for (name, path) in [("faulty", faulty()), ("unruly", unruly(&server, &[]))] {
        let path = path.display();
        text += &format!("[module.{name}]\npath = \"{path}\"\ngrants = [\"call\"]\n");
    }
    fs::write(&file, text).expect("it is written");
    for name in ["faulty", "unruly"] {
        server.ctl(&["module", "load", name]).expect("it is loaded");
    }
    let mut more = String::from(
        "[voicemail_box.main]\nnotify = [\"office@example.jp\"]\n[extension.messages]\n\
         dial = \"*97\"\ndo = \"voicemail_menu\"\n[extension.leave]\ndial = \"*98\"\n\
         do = { voicemail = \"main\" }\n",
    );
    for (number, (module, app, _)) in FAULTS.iter().enumerate() {
        more += &format!(
            "[extension.fault{number}]\ndial = \"{}\"\ndo = {{ module = \"{module}\", \
             app = \"{app}\", on_error = {{ reject = 486 }} }}\n",
            7_000 + number
        );
    }
    let number = "ring = { devices = [\"D\", \"E\"], strategy = \"all\", timeout = \"30s\" }";
    let with_box = "ring = { devices = [\"D\", \"E\"], strategy = \"all\" }\n\
                    options = [\"voicemail\"]\nvoicemail = { box = \"main\", after = \"30s\" }";
    write_plan(&server, &[(number, with_box)], &more);
    println!("reload: {}", server.ctl(&["reload", "acme"]).expect("it is in order"));
    clock(&server, "2026-07-01T10:00:00");
    server
}

/// A calls every fault.
fn every_fault(a: &mut Baresip) {
    for (number, (module, app, outcome)) in FAULTS.iter().enumerate() {
        a.dial(&(7_000 + number).to_string()).expect("the control link stands");
        match outcome {
            Outcome::HangsUp => {
                sleep(Duration::from_millis(700));
                a.hang_up().expect("the control link stands");
            }
            Outcome::Refused | Outcome::Released => {}
        }
        let ended = a.wait("CALL_CLOSED", LIMIT);
        let ended = ended.unwrap_or_else(|| panic!("{module}/{app} does not end:\n{}", a.log()));
        println!("| {module} {app} | {outcome:?} | {ended} |");
        assert!(*outcome != Outcome::Refused || ended.contains("486"), "{app}: {ended}");
    }
}

fn states(server: &Server, name: &str) -> Vec<String> {
    let listed = server.ctl(&["module", "list"]).expect("the server answers");
    let own = listed.as_array().into_iter().flatten().filter(|module| module["name"] == name);
    own.map(|build| build["state"].as_str().unwrap_or_default().to_owned()).collect()
}

fn log(server: &Server) -> String {
    fs::read(server.directory.join("log.txt"))
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

/// Builds come and go, one of them with a thread that runs on.
fn builds_come_and_go(server: &Server) {
    for _ in 0..5 {
        server.ctl(&["module", "replace", "faulty"]).expect("it is replaced");
    }
    unruly(server, &["-DUNRULY_THREAD=3000"]);
    server.ctl(&["module", "replace", "unruly"]).expect("it is replaced");
    server.ctl(&["module", "unload", "unruly"]).expect("it is unloaded");
    let stuck = || states(server, "unruly").iter().any(|state| state.contains("threads run still"));
    wait_for(LIMIT, || stuck().then_some(())).expect("it is held by its thread, and says so");
    let closed = || states(server, "unruly").iter().all(|state| state == "closed").then_some(());
    wait_for(LIMIT, closed).unwrap_or_else(|| panic!("{:?}", states(server, "unruly")));
    println!("a build with a thread: stuck while it runs, closed after it");
    let drained = || {
        let states = states(server, "faulty");
        (states.iter().filter(|state| *state != "closed").count() == 1).then_some(())
    };
    wait_for(LIMIT, drained).unwrap_or_else(|| panic!("{:?}", states(server, "faulty")));
}

/// A message whose disk is full, and what is there of it.
fn a_message_on_a_full_disk(server: &Server, a: &mut Baresip) {
    let disk = SmallDisk::on(server.directory.join("data/objects/voicemail/acme"), 64);
    a.dial("*98").expect("the control link stands");
    a.wait("CALL_CLOSED", Duration::from_secs(60)).expect("the call ends by itself");
    let kept: u64 =
        messages(server).iter().filter_map(|f| fs::metadata(f).ok()).map(|m| m.len()).sum();
    println!("a full disk: the call ends, {kept} bytes of the message are kept");
    assert!(log(server).contains("disk"), "nobody is told");
    drop(disk);
}

/// A message whose file was cut short: the menu goes on.
fn a_message_cut_short(server: &Server, a: &mut Baresip, e: &mut Baresip) {
    a.dial("*98").expect("the control link stands");
    let is_part = |file: &PathBuf| file.extension().is_some_and(|e| e == "part");
    wait_for(Duration::from_secs(30), || messages(server).iter().any(is_part).then_some(()))
        .expect("the message begins");
    sleep(Duration::from_secs(2));
    hang_up(a);
    let whole = |file: &PathBuf| file.extension().is_some_and(|e| e == "wav");
    let find = || messages(server).into_iter().find(whole);
    let file: PathBuf = wait_for(LIMIT, find).expect("it is whole");
    cut(&file);
    e.dial("*97").expect("the control link stands");
    e.wait("CALL_ESTABLISHED", LIMIT).unwrap_or_else(|| panic!("{}", e.log()));
    let told = || log(server).contains("a message cannot be played").then_some(());
    wait_for(Duration::from_secs(40), told).unwrap_or_else(|| panic!("{}", server.log_tail()));
    assert!(e.wait("CALL_CLOSED", Duration::from_secs(2)).is_none(), "the menu goes on");
    hang_up(e);
    println!("a message cut short: named in the log, the menu goes on");
}

fn cut(file: &Path) {
    let opened = fs::OpenOptions::new().write(true).open(file).expect("it is there");
    opened.set_len(20).expect("it is cut");
}

#[test]
fn the_audio_of_others_has_no_gap_whatever_modules_and_their_world_do() {
    let server = office();
    // A mail server that takes connections and never says a word.
    let silent = TcpListener::bind(("127.0.0.1", server.smtp_port)).expect("the port is free");
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    let mut d = phone(&server, "d", &phone_spec(&server, 'D')).expect("D registers");
    let party = Party::start().expect("a port is free");
    let scenario = CALLER.replace("MEDIA_PORT", &party.port().to_string());
    let caller = SippSpec {
        scenario: &scenario,
        server: server.sip,
        port: server.trunk_port,
        service: "0312340003",
        calls: 1,
    };
    let more = ["-timeout", "400s", "-trace_msg"];
    let mut sipp = Sipp::start_with(&server.directory.join("sipp"), &caller, &more)
        .expect("sipp is installed");
    d.wait("CALL_INCOMING", LIMIT).expect("D rings");
    d.answer().expect("the control link stands");
    d.wait("CALL_ESTABLISHED", LIMIT).expect("D is connected");

    every_fault(&mut a);
    builds_come_and_go(&server);
    let mut e = phone(&server, "e", &phone_spec(&server, 'E')).expect("E registers");
    a_message_cut_short(&server, &mut a, &mut e);
    a_message_on_a_full_disk(&server, &mut a);
    // The mail of that message waits for the silent server meanwhile.
    silent.set_nonblocking(true).expect("a listener");
    let held = wait_for(Duration::from_secs(20), || silent.accept().ok());
    assert!(held.is_some(), "the mail server was not asked");
    sleep(Duration::from_secs(2));

    d.hang_up().expect("the control link stands");
    assert!(sipp.succeeded(Duration::from_secs(10)), "the caller is released");
    let heard = party.stop().expect("the endpoint ran");
    println!("meanwhile: {}", heard.checked(2_000).expect("one stream without a gap"));
    drop((held, silent));
    // A process that another test forks just now holds the listener until it becomes its program.
    let sink = wait_for(Duration::from_secs(5), || MailSink::start(server.smtp_port).ok())
        .expect("the port is free again");
    let mail = wait_for(Duration::from_secs(150), || sink.mails().pop()).expect("the mail comes");
    assert!(mail.contains("To: office@example.jp"), "{mail:.300}");
    drop((a, d, e));
    server.wait_empty(Duration::from_secs(60)).expect("nothing is left");
}
