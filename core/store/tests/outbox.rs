//! Records for receivers: each final record of a call once, in its order, after any end of the
//! process, until every receiver has acknowledged it.

#![expect(clippy::indexing_slicing, reason = "a panic here is a failed test")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use koukan_store::{Kept, Kind, Opened, Receiver, StoreConfig, open};
use koukan_switch::{CallCause, Cdr, Note, Record, SettingRecord};

/// The variable that makes this test binary a child that will be killed.
const CHILD: &str = "KOUKAN_OUTBOX_CHILD";

fn directory(name: &str) -> PathBuf {
    let directory =
        std::env::temp_dir().join(format!("koukan-outbox-{}-{name}", std::process::id()));
    if directory.exists() {
        fs::remove_dir_all(&directory).expect("an old directory can be removed");
    }
    directory
}

fn opened(directory: &Path) -> Opened {
    let (data, database) = (directory.to_owned(), directory.join("koukan.db"));
    open(&StoreConfig { data, database, outbox: true }, date()).expect("the state opens")
}

fn date() -> Timestamp {
    "2026-07-01T03:00:00Z".parse().expect("a date")
}

fn call(number: u32, ended: bool) -> Record {
    Record::Call(Cdr {
        call: format!("{number:016}"),
        tenant: "acme".to_owned(),
        generation: 1,
        direction: "inbound".to_owned(),
        caller: "0455550001".to_owned(),
        called: "0312340001".to_owned(),
        number: None,
        started: date(),
        answered: None,
        ended: ended.then(date),
        last_seen: date(),
        cause: ended.then_some(CallCause::CallerHungUp),
        status: 200,
        price: Some("40".to_owned()),
        legs: Vec::new(),
    })
}

fn calls(kept: &[Kept]) -> Vec<String> {
    let call = |kept: &Kept| {
        let value: serde_json::Value = serde_json::from_str(&kept.record).expect("JSON");
        value["call"].as_str().expect("a call").to_owned()
    };
    kept.iter().map(call).collect()
}

/// Everything that comes within a second or two; the follower gathers meanwhile.
fn all(receiver: &mut Receiver, least: usize) -> Vec<Kept> {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let kept = receiver.next(&[Kind::Call], 10_000).expect("the database is readable");
        if kept.len() >= least || Instant::now() > until {
            return kept;
        }
        std::thread::yield_now();
    }
}

#[test]
fn what_is_not_acknowledged_comes_again_and_what_is_goes() {
    let directory = directory("again");
    let mut first = opened(&directory);
    let mut receiver = first.outbox.open("billing").expect("it opens");
    // The interim records of a call are no final ones.
    assert!(first.journal.append((1..=3).flat_map(|n| [call(n, false), call(n, true)])));
    let kept = all(&mut receiver, 3);
    assert_eq!(calls(&kept), ["0000000000000001", "0000000000000002", "0000000000000003"]);
    receiver.acknowledge(kept[1].sequence).expect("it is written");
    drop(receiver);
    first.journal.close();

    let mut second = opened(&directory);
    let mut receiver = second.outbox.open("billing").expect("it opens");
    assert_eq!(receiver.acknowledged(), kept[1].sequence);
    assert!(second.journal.append([call(4, true)]));
    let again = all(&mut receiver, 2);
    assert_eq!(calls(&again), ["0000000000000003", "0000000000000004"]);
    assert_eq!(again[0], kept[2], "the same record has the same number");
    receiver.acknowledge(again[1].sequence).expect("it is written");
    assert_eq!(receiver.next(&[Kind::Call], 10).expect("it reads"), []);
    second.journal.close();
    fs::remove_dir_all(directory).expect("it can be removed");
}

#[test]
fn each_receiver_has_its_own_place_and_the_slowest_keeps_the_records() {
    let directory = directory("two");
    let mut state = opened(&directory);
    let mut fast = state.outbox.open("fast").expect("it opens");
    let mut slow = state.outbox.open("slow").expect("it opens");
    assert!(state.journal.append([call(1, true), call(2, true)]));
    let kept = all(&mut fast, 2);
    fast.acknowledge(kept[1].sequence).expect("it is written");
    assert_eq!(calls(&all(&mut slow, 2)).len(), 2);
    // A receiver that is new gets what waits for others.
    let mut late = state.outbox.open("late").expect("it opens");
    assert_eq!(calls(&all(&mut late, 2)).len(), 2);
    // Nobody waits for those that are not named any more.
    assert_eq!(state.outbox.keep_only(&["fast".to_owned()]).expect("it is written"), 2);
    fast.acknowledge(kept[1].sequence + 1).expect("it is written");
    let mut last = state.outbox.open("last").expect("it opens");
    assert_eq!(last.next(&[Kind::Call], 10).expect("it reads"), []);
    state.journal.close();
    fs::remove_dir_all(directory).expect("it can be removed");
}

#[test]
fn events_are_of_their_own_kind_and_what_modules_keep_is_nobody_elses() {
    let directory = directory("kinds");
    let mut state = opened(&directory);
    let mut receiver = state.outbox.open("events").expect("it opens");
    let note = Note {
        module: "voicemail".to_owned(),
        tenant: "acme".to_owned(),
        key: "pin/main".to_owned(),
        value: Some("3 wrong".to_owned()),
    };
    let notice = |value: Option<&str>| Note {
        module: koukan_switch::NOTICES.to_owned(),
        tenant: "acme".to_owned(),
        key: "7".to_owned(),
        value: value.map(str::to_owned),
    };
    let setting = SettingRecord {
        tenant: "acme".to_owned(),
        key: "number.main.mode".to_owned(),
        value: Some("ring".to_owned()),
        by: "tester".to_owned(),
        at: date(),
    };
    assert!(state.journal.append([
        Record::Note(note),
        Record::Note(notice(Some("{\"number\":7,\"event\":\"fax_received\",\"id\":\"x\"}"))),
        Record::Note(notice(None)),
        Record::Setting(setting),
        call(1, false),
        call(1, true)
    ]));
    assert_eq!(all(&mut receiver, 1).len(), 1);
    let both = receiver.next(&[Kind::Call, Kind::Event], 10).expect("it reads");
    let kinds: Vec<u32> = both.iter().map(|kept| kept.kind).collect();
    assert_eq!(kinds, [2, 2, 2, 1]);
    let told: serde_json::Value = serde_json::from_str(&both[0].record).expect("JSON");
    let expected = serde_json::json!({
        "kind": "notice", "tenant": "acme", "number": 7, "event": "fax_received", "id": "x"
    });
    assert_eq!(told, expected, "what apps hear is an event for sinks");
    assert!(both.iter().all(|kept| !kept.record.contains("pin/main")));
    state.journal.close();
    fs::remove_dir_all(directory).expect("it can be removed");
}

/// The child: appends for ever, and says of each batch that it is safe.
#[test]
fn child_that_appends_until_it_is_killed() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let mut state = opened(Path::new(&directory));
    // It takes what it can meanwhile.
    let mut receiver = state.outbox.open("billing").expect("it opens");
    let mut said = std::io::stdout();
    for number in 0.. {
        assert!(state.journal.append([call(number, true)]));
        if number % 100 == 99 {
            let kept = receiver.next(&[Kind::Call], 50).expect("it reads");
            for taken in &kept {
                let call = &calls(std::slice::from_ref(taken))[0];
                let _ = writeln!(said, "taken {call}");
            }
            let _ = said.flush();
            if let Some(last) = kept.last() {
                receiver.acknowledge(last.sequence).expect("it is written");
            }
        }
        // The parent is gone when nobody reads any more.
        if writeln!(said, "safe {number}").and_then(|()| said.flush()).is_err() {
            return;
        }
    }
}

#[test]
fn a_kill_loses_no_record_of_a_call() {
    for (round, promises) in [7_u32, 350, 1_500].into_iter().enumerate() {
        let directory = directory(&format!("killed-{round}"));
        let mut child = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "child_that_appends_until_it_is_killed", "--nocapture"])
            .env(CHILD, &directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the child starts");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut taken = Vec::new();
        let mut last = 0;
        for line in lines.map_while(Result::ok) {
            if let Some((_, call)) = line.split_once("taken ") {
                taken.push(call.trim().to_owned());
            } else if let Some((_, number)) = line.split_once("safe ") {
                last = number.trim().parse().expect("a number");
            }
            if last >= promises {
                break;
            }
        }
        child.kill().expect("it runs");
        child.wait().expect("it ends");

        let mut state = opened(&directory);
        let mut receiver = state.outbox.open("billing").expect("it opens");
        let expected: Vec<String> = (0..=last).map(|number| format!("{number:016}")).collect();
        let least = expected.len() - taken.len().min(expected.len());
        let kept = calls(&all(&mut receiver, least));
        let mut got = taken.clone();
        // A batch that was taken and not acknowledged before the kill comes again.
        got.extend(kept.iter().filter(|call| !taken.contains(call)).cloned());
        let promised = got.get(..expected.len()).unwrap_or_default();
        assert_eq!(promised, expected, "in their order, none lost, none twice");
        println!("killed after {last}: {} taken before, {} after", taken.len(), kept.len());
        state.journal.close();
        fs::remove_dir_all(directory).expect("it can be removed");
    }
}
