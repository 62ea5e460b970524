//! Who calls, by a module that the office asks: a name on the phone, a refusal, and a source that
//! does not answer.

use std::fs;
use std::time::{Duration, Instant};

use koukan_e2e::office::{carrier, phone, phone_spec};
use koukan_e2e::server::{Server, binary};

const LIMIT: Duration = Duration::from_secs(8);

/// The office that asks the module, which has its book.
fn office(name: &str, book: &str) -> Server {
    let server = Server::start(name).expect("the server starts");
    let books = server.directory.join("books");
    fs::create_dir_all(&books).expect("a directory");
    fs::write(books.join("acme.toml"), book).expect("it is written");
    let file = server.directory.join("conf/koukan.toml");
    let text = fs::read_to_string(&file).expect("the configuration");
    let module = binary("libcallers.so").expect("it is built");
    let table = format!(
        "\n[module.callers]\npath = \"{}\"\ngrants = [\"lookups\"]\n\
         options = {{ directory = \"{}\" }}\n",
        module.display(),
        books.display()
    );
    fs::write(&file, text + &table).expect("it is written");
    println!("load: {}", server.ctl(&["module", "load", "callers"]).expect("it is loaded"));
    let file = server.directory.join("conf/tenants/acme/office.toml");
    let text = fs::read_to_string(&file).expect("the sample");
    let lookup = "\n[lookup]\nmodule = \"callers\"\nwithin_ms = 500\n";
    fs::write(&file, text + lookup).expect("it is written");
    println!("reload: {}", server.ctl(&["reload", "acme"]).expect("it is in order"));
    server.ctl(&["clock", "2026-07-01T10:00:00+09:00"]).expect("the test clock can be set");
    server
}

#[test]
fn a_known_caller_has_its_name_on_the_phone_and_a_blocked_one_is_refused() {
    let book = "\"0455550001\" = \"Tanaka Shoten\"\n\"0900*\" = { refuse = \"nuisance\" }\n";
    let server = office("callers", book);
    let mut b = phone(&server, "b", &phone_spec(&server, 'B')).expect("B registers");
    let mut caller = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    caller.dial("0312340002").expect("the control link stands");
    b.wait("CALL_INCOMING", LIMIT).unwrap_or_else(|| panic!("{}", caller.log()));
    let from = b.log().lines().rfind(|line| line.starts_with("From:")).map(str::to_owned);
    println!("B is rung: {from:?}");
    assert!(b.log().contains("\"Tanaka Shoten"), "B does not see who calls:\n{}", b.log());
    b.answer().expect("the control link stands");
    caller.wait("CALL_ESTABLISHED", LIMIT).expect("the caller is connected");
    caller.hang_up().expect("the control link stands");
    b.wait("CALL_CLOSED", LIMIT).expect("B is cleared");
    drop(caller);

    let mut blocked = carrier(&server, "09001234567", 1000.0).expect("the carrier starts");
    blocked.dial("0312340002").expect("the control link stands");
    let reason = blocked.wait("CALL_CLOSED", LIMIT).expect("it is refused");
    println!("the blocked one hears: {reason}");
    assert!(reason.contains("603"), "{reason}");
    b.saw("");
    let rung = b.history.iter().filter(|event| event["type"] == "CALL_INCOMING").count();
    assert_eq!(rung, 1, "the blocked call has rung B");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

/// The book is a pipe that nobody writes: reading it never ends.
#[test]
fn a_source_that_never_answers_costs_a_call_half_a_second() {
    let server = office("callers-hang", "");
    let book = server.directory.join("books/acme.toml");
    fs::remove_file(&book).expect("it is removed");
    let made = std::process::Command::new("mkfifo").arg(&book).status().expect("mkfifo runs");
    assert!(made.success());
    let mut b = phone(&server, "b", &phone_spec(&server, 'B')).expect("B registers");
    let mut caller = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    for call in 0..2 {
        let began = Instant::now();
        caller.dial("0312340002").expect("the control link stands");
        b.wait("CALL_INCOMING", LIMIT).unwrap_or_else(|| panic!("{}", caller.log()));
        let waited = began.elapsed();
        println!("call {call} rings after {} ms", waited.as_millis());
        assert!(waited >= Duration::from_millis(450), "nobody was asked: {waited:?}");
        assert!(waited < Duration::from_millis(1_500), "{waited:?}");
        caller.hang_up().expect("the control link stands");
        b.wait("CALL_CLOSED", LIMIT).expect("B is cleared");
    }
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
    // Whoever reads is let go, so that the module can end.
    fs::OpenOptions::new().write(true).open(&book).expect("somebody reads");
}
