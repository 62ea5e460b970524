//! The exporter over real files: each record once, whatever comes again, and no half of a line.

#![expect(clippy::unwrap_used, reason = "a panic here is a failed test")]

use std::fs;
use std::path::PathBuf;

use cdr::{Exporter, Options};
use koukan_sdk::{Opened, Record, RecordKind, Sink};

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let directory =
            std::env::temp_dir().join(format!("koukan-cdr-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        Self(directory)
    }

    fn open(&self, acknowledged: u64, events: bool) -> Exporter {
        let options = Options { file: "out/cdr.jsonl".into(), events };
        let base = self.0.to_str().unwrap();
        Exporter::open(options, &Opened { base, acknowledged }).unwrap()
    }

    fn file(&self) -> PathBuf {
        self.0.join("out/cdr.jsonl")
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(self.file()).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn record(sequence: u64, kind: RecordKind, text: &str) -> Record<'_> {
    Record { sequence, kind, text }
}

fn deliver(exporter: &mut Exporter, records: &[Record<'_>]) -> u64 {
    let mut safe = 0;
    exporter.deliver(records, &mut safe).unwrap();
    safe
}

const FIRST: &str = r#"{"call":"1"}"#;
const SECOND: &str = r#"{"call":"2"}"#;

#[test]
fn records_of_calls_are_lines_and_events_only_where_they_are_wanted() {
    for (events, lines) in [(false, 1), (true, 2)] {
        let place = Place::new(if events { "events" } else { "calls" });
        let mut exporter = place.open(0, events);
        let batch = [
            record(4, RecordKind::Call, FIRST),
            record(5, RecordKind::Event, SECOND),
            record(9, RecordKind::Other(7), "{}"),
        ];
        assert_eq!(deliver(&mut exporter, &batch), 9, "what is not written is done with too");
        assert_eq!(place.lines().len(), lines);
        assert_eq!(place.lines()[0], r#"{"sequence":4,"kind":"call","record":{"call":"1"}}"#);
    }
}

#[test]
fn what_comes_again_after_a_kill_is_not_written_twice() {
    let place = Place::new("again");
    let both = [record(1, RecordKind::Call, FIRST), record(2, RecordKind::Call, SECOND)];
    deliver(&mut place.open(0, false), &both);
    // The kill came between the write and the acknowledgement, and cut a third line off.
    let mut text = fs::read_to_string(place.file()).unwrap();
    text.push_str("{\"sequence\":3,\"ki");
    fs::write(place.file(), text).unwrap();
    let mut exporter = place.open(0, false);
    let third = record(3, RecordKind::Call, FIRST);
    assert_eq!(deliver(&mut exporter, &[both[0], both[1], third]), 3);
    let sequences: Vec<_> = place
        .lines()
        .iter()
        .map(|line| line.split([':', ',']).nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(sequences, ["1", "2", "3"]);
}

#[test]
fn what_comes_again_since_its_acknowledgement_failed_is_not_written_twice() {
    let place = Place::new("unacknowledged");
    let mut exporter = place.open(0, false);
    let both = [record(1, RecordKind::Call, FIRST), record(2, RecordKind::Call, SECOND)];
    deliver(&mut exporter, &both[..1]);
    deliver(&mut exporter, &both);
    deliver(&mut exporter, &both);
    assert_eq!(place.lines().len(), 2);
}

#[test]
fn numbers_that_begin_anew_are_other_records() {
    let place = Place::new("anew");
    deliver(&mut place.open(0, false), &[record(1, RecordKind::Call, FIRST)]);
    // The data directory was made anew, the file stayed.
    deliver(&mut place.open(0, false), &[record(1, RecordKind::Call, SECOND)]);
    assert_eq!(place.lines().len(), 2);
}

#[test]
fn a_file_that_was_moved_aside_is_begun_anew() {
    let place = Place::new("rotated");
    let mut exporter = place.open(0, false);
    deliver(&mut exporter, &[record(1, RecordKind::Call, FIRST)]);
    fs::rename(place.file(), place.file().with_extension("1")).unwrap();
    deliver(&mut exporter, &[record(2, RecordKind::Call, SECOND)]);
    assert_eq!(place.lines(), [r#"{"sequence":2,"kind":"call","record":{"call":"2"}}"#]);
}

#[test]
fn a_disk_that_refuses_acknowledges_nothing() {
    let options = Options { file: "/dev/full".into(), events: false };
    let opened = Opened { base: "/", acknowledged: 0 };
    let mut exporter = Exporter::open(options, &opened).unwrap();
    let mut safe = 0;
    let refused = exporter.deliver(&[record(1, RecordKind::Call, FIRST)], &mut safe);
    let words = refused.unwrap_err().to_string();
    assert!(words.contains("/dev/full") && safe == 0, "{words}");
}
