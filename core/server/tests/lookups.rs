//! Sources of answers from built libraries: good ones, and every fault that the border must hold.
//! The control loop is never held up, and every question has one answer.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

#[expect(dead_code, reason = "the other tests of modules use the rest")]
mod house;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use house::{Host, NOW, Room, built};
use koukan_switch::{CallerQuestion, Found, LookupId, ModuleOrder, ModuleRequest, Now};

const LOOKUPS: &str = "grants = [\"lookups\"]";
/// No order of the control loop may take longer: a source never has its thread.
const AT_ONCE: Duration = Duration::from_millis(100);

fn oracle() -> PathBuf {
    built(&["-p", "koukan-sdk", "--example", "oracle"], "examples/liboracle.so")
}

fn callers() -> PathBuf {
    built(&["-p", "koukan-callers"], "libcallers.so")
}

fn house(wrong: &str) -> (Room, Host) {
    let room = Room::new();
    let grants = format!("{LOOKUPS}\noptions = {{ wrong = \"{wrong}\" }}");
    let host = room.load(&[("oracle", &oracle(), &grants)]).unwrap();
    (room, host)
}

fn question(module: &str, national: &str) -> Box<CallerQuestion> {
    Box::new(CallerQuestion {
        tenant: "acme".into(),
        module: module.into(),
        number: format!("+81{}", &national[1..]).into(),
        national: national.into(),
        called: "+81312340001".into(),
        within: Duration::from_millis(300),
    })
}

/// Puts a question, which takes no time whatever the source does.
fn put(host: &mut Host, number: u64, question: Box<CallerQuestion>) {
    let began = Instant::now();
    host.modules.handle(NOW, ModuleOrder::Ask { lookup: LookupId(number), question });
    assert!(began.elapsed() < AT_ONCE, "the control loop was held up");
}

type Answer = Result<Option<Found>, Arc<str>>;

/// The next answer.
fn answer(host: &mut Host, now: Now) -> (LookupId, Answer) {
    let until = Instant::now() + Duration::from_secs(15);
    loop {
        let began = Instant::now();
        let request = host.modules.poll_request(now);
        assert!(began.elapsed() < AT_ONCE, "the control loop was held up");
        match request {
            Some(ModuleRequest::Answered { lookup, answer }) => return (lookup, answer),
            Some(other) => panic!("{other:?}"),
            None => std::thread::yield_now(),
        }
        assert!(Instant::now() < until, "no answer");
    }
}

/// Asks the oracle, and gives its answer.
fn ask(host: &mut Host, national: &str) -> Answer {
    put(host, 7, question("oracle", national));
    let (lookup, answer) = answer(host, NOW);
    assert_eq!(lookup, LookupId(7));
    answer
}

fn name(answer: Answer) -> String {
    answer.unwrap().unwrap().name.unwrap().to_string()
}

fn why(answer: Answer) -> String {
    answer.unwrap_err().to_string()
}

#[test]
fn questions_are_answered_and_what_holds_is_not_asked_again() {
    let (_room, mut host) = house("");
    assert_eq!(name(ask(&mut host, "0455550001")), "who dials 0455550001, of acme");
    let refused = ask(&mut host, "0100000007").unwrap().unwrap();
    assert_eq!((refused.name, refused.refuse.as_deref()), (None, Some("unwanted")));
    assert_eq!(ask(&mut host, "0100000009"), Ok(None));
    for _ in 0..3 {
        assert_eq!(name(ask(&mut host, "0100000008")), "asked 4 times");
    }
    let later = Now { time: NOW.time + Duration::from_secs(61), ..NOW };
    let order =
        ModuleOrder::Ask { lookup: LookupId(8), question: question("oracle", "0100000008") };
    host.modules.handle(later, order);
    assert_eq!(name(answer(&mut host, later).1), "asked 5 times");
    let listed = host.modules.list(NOW.time);
    assert_eq!((listed[0].questions, listed[0].late, listed[0].failures), (Some(5), Some(0), 0));
}

#[test]
fn every_fault_in_a_question_is_told_and_the_next_one_is_answered() {
    let (_room, mut host) = house("");
    let matrix = [
        ("0100000001", "panicked"),
        ("0100000002", "panicked"),
        ("0100000003", "failed"),
        ("0100000004", "too much at once"),
    ];
    for (number, words) in matrix {
        assert_eq!(why(ask(&mut host, number)), words, "{number}");
        assert_eq!(name(ask(&mut host, "0455550001")), "who dials 0455550001, of acme");
    }
    assert_eq!(host.modules.list(NOW.time)[0].failures, 4);
}

#[test]
fn a_source_that_does_not_open_answers_that_it_cannot() {
    for (wrong, words) in [("open", "panicked"), ("refuse", "failed")] {
        let (_room, mut host) = house(wrong);
        let said = why(ask(&mut host, "0455550001"));
        assert_eq!(said, format!("its source does not open: {words}"));
    }
}

#[test]
fn a_source_that_panics_on_closing_is_closed() {
    let (_room, mut host) = house("close");
    assert_eq!(name(ask(&mut host, "0455550001")), "who dials 0455550001, of acme");
    host.modules.unload(NOW, "oracle").unwrap();
    until_closed(&mut host);
}

fn until_closed(host: &mut Host) {
    let until = Instant::now() + Duration::from_secs(15);
    while host.modules.list(NOW.time)[0].state != "closed" {
        assert!(Instant::now() < until, "{}", host.modules.list(NOW.time)[0].state);
        assert_eq!(host.modules.poll_request(NOW), None);
        std::thread::yield_now();
    }
}

#[test]
fn a_slow_source_holds_nothing_up_and_what_is_too_late_is_not_asked() {
    let (_room, mut host) = house("");
    put(&mut host, 1, question("oracle", "0100000005"));
    for number in 2..5 {
        put(&mut host, number, question("oracle", "0455550001"));
    }
    let answers: Vec<_> = (0..4).map(|_| answer(&mut host, NOW)).collect();
    assert_eq!(answers[0].0, LookupId(1));
    assert_eq!(answers[0].1.as_ref().unwrap().as_ref().unwrap().name.as_deref(), Some("late"));
    for (_, answer) in &answers[1..] {
        assert_eq!(answer.as_ref().unwrap_err().as_ref(), "its turn came too late");
    }
    assert_eq!(host.modules.list(NOW.time)[0].late, Some(4));
    assert_eq!(name(ask(&mut host, "0455550001")), "who dials 0455550001, of acme");
}

#[test]
fn a_build_is_closed_after_its_last_question_and_those_who_wait_are_told() {
    let (room, mut host) = house("");
    put(&mut host, 1, question("oracle", "0100000006"));
    while host.modules.list(NOW.time)[0].questions != Some(1) {
        std::thread::yield_now();
    }
    put(&mut host, 2, question("oracle", "0455550001"));
    host.modules.unload(NOW, "oracle").unwrap();
    let (first, _) = answer(&mut host, NOW);
    let (second, told) = answer(&mut host, NOW);
    assert_eq!((first, second), (LookupId(1), LookupId(2)));
    assert_eq!(why(told), "its build is being taken out");
    until_closed(&mut host);
    put(&mut host, 3, question("oracle", "0455550001"));
    assert_eq!(why(answer(&mut host, NOW).1), "it is not loaded");
    assert_eq!(room.copies(), 0);
}

#[test]
fn more_questions_than_may_wait_are_told_at_once() {
    let (_room, mut host) = house("");
    put(&mut host, 0, question("oracle", "0100000005"));
    while host.modules.list(NOW.time)[0].questions != Some(1) {
        std::thread::yield_now();
    }
    for number in 1..=400 {
        put(&mut host, number, question("oracle", "0455550001"));
    }
    let refused = (1..=400)
        .map(|_| answer(&mut host, NOW).1)
        .filter(|told| matches!(told, Err(why) if &**why == "too many questions wait for it"))
        .count();
    assert_eq!(refused, 400 - 256);
}

#[test]
fn what_is_no_source_is_told_and_a_source_wants_its_grant() {
    let room = Room::new();
    let mut host = room.load(&[("faulty", &house::faulty(), house::CALL)]).unwrap();
    put(&mut host, 1, question("faulty", "0455550001"));
    assert_eq!(why(answer(&mut host, NOW).1), "it answers no lookups");
    put(&mut host, 2, question("nobody", "0455550001"));
    assert_eq!(why(answer(&mut host, NOW).1), "it is not loaded");
    let refusal = room.refusal(&oracle(), house::CALL);
    assert!(refusal.contains("needs kk.source/1: add \"lookups\" to its `grants`"), "{refusal}");
}

#[test]
fn the_callers_of_an_office_are_known_by_its_book() {
    let room = Room::new();
    fs::create_dir_all(room.directory.join("callers")).unwrap();
    let book = "\"0455550001\" = \"Tanaka\"\n\"0455550*\" = { refuse = \"nuisance\" }\n";
    fs::write(room.directory.join("callers/acme.toml"), book).unwrap();
    let directory = room.directory.join("callers");
    let grants = format!("{LOOKUPS}\noptions = {{ directory = \"{}\" }}", directory.display());
    let mut host = room.load(&[("callers", &callers(), &grants)]).unwrap();
    let mut know = |national: &str| {
        put(&mut host, 1, question("callers", national));
        answer(&mut host, NOW).1.unwrap()
    };
    assert_eq!(know("0455550001").unwrap().name.as_deref(), Some("Tanaka"));
    assert_eq!(know("0455550002").unwrap().refuse.as_deref(), Some("nuisance"));
    assert_eq!(know("0312340000"), None);
}
