//! The store over real files: what was appended is there after any end of the process, once.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use koukan_store::{Opened, Position, StoreConfig, open};
use koukan_switch::{
    CallCause, Cdr, CdrCharge, CdrLeg, CdrPrice, Contact, Note, PastCharge, Record, SettingRecord,
    Watch,
};

/// The variables that make this test binary a child: one that will be killed, one on a full disk.
const CHILD: &str = "KOUKAN_STORE_CHILD";
const FULL_CHILD: &str = "KOUKAN_STORE_FULL_CHILD";

fn directory(name: &str) -> PathBuf {
    let directory =
        std::env::temp_dir().join(format!("koukan-store-{}-{name}", std::process::id()));
    if directory.exists() {
        fs::remove_dir_all(&directory).expect("an old directory can be removed");
    }
    directory
}

fn config(directory: &Path) -> StoreConfig {
    let (data, database) = (directory.to_owned(), directory.join("koukan.db"));
    StoreConfig { data, database, outbox: false }
}

fn start() -> Timestamp {
    "2026-07-01T03:00:00.123Z".parse().expect("a date")
}

fn after(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

fn opened(directory: &Path) -> Opened {
    open(&config(directory), start()).expect("the state opens")
}

fn contact(index: u32, lasts: i64) -> Contact {
    Contact {
        user: format!("acme-{index}"),
        uri: format!("sip:acme-{index}@192.0.2.1:5060"),
        transport: "udp".to_owned(),
        listener: 0,
        source: ([192, 0, 2, 1], 5060).into(),
        q: 1000,
        call_id: format!("call-{index}"),
        cseq: index,
        expires: after(lasts),
        user_agent: "a phone".to_owned(),
        path: vec!["<sip:edge.example;lr>".to_owned()],
        instance: Some("<urn:uuid:0-1>".to_owned()),
        reg_id: None,
    }
}

/// Of an even call by a tariff, of an odd one without.
fn charge(number: u32) -> CdrCharge {
    CdrCharge {
        payer: "acme".to_owned(),
        leg: "out".to_owned(),
        device: Some("C".to_owned()),
        price: number.is_multiple_of(2).then(|| CdrPrice {
            class: "fixed".to_owned(),
            amount: "40".to_owned(),
            month: "2026-07".to_owned(),
            billed: "2026-07".to_owned(),
            text: "out fixed 0:58: 2 x 20 for each 30 s = 40".to_owned(),
        }),
    }
}

fn call(number: u32, ended: bool) -> Cdr {
    let leg = |party: &str| CdrLeg {
        party: party.to_owned(),
        call_id: format!("{party}-{number}"),
        started: start(),
        answered: Some(after(2)),
        ended: ended.then(|| after(60)),
        status: 200,
        rtp_received: 3000,
        rtp_sent: 2999,
        quality_mean: Some(881),
        quality_worst: number.is_multiple_of(2).then_some(412),
        quality_cause: number.is_multiple_of(2).then(|| "loss".to_owned()),
        charge: (party == "trunk carrier").then(|| charge(number)),
    };
    Cdr {
        call: format!("{number:016}"),
        tenant: "acme".to_owned(),
        generation: 7,
        direction: "inbound".to_owned(),
        caller: "0455550001".to_owned(),
        called: "0312340001".to_owned(),
        number: Some("number1".to_owned()),
        started: after(i64::from(number)),
        answered: Some(after(2)),
        ended: ended.then(|| after(60)),
        last_seen: after(60),
        cause: ended.then_some(CallCause::CallerHungUp),
        status: 200,
        price: Some("40".to_owned()),
        legs: vec![leg("trunk carrier"), leg("device A")],
    }
}

fn calls(opened: &Opened, limit: u32) -> Vec<Cdr> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(opened.cdrs.latest(limit)).expect("the database is readable")
}

#[test]
fn what_was_appended_is_there_after_an_orderly_end() {
    let directory = directory("orderly");
    let mut first = opened(&directory);
    assert!(first.contacts.is_empty() && first.closed_calls.is_empty());
    let gone = contact(3, 3600);
    let removed =
        Record::Unregistered { user: gone.user.clone(), uri: gone.uri.clone(), reg_id: None };
    assert!(first.journal.append([
        Record::Registered(contact(1, 3600)),
        Record::Registered(contact(2, -1)),
        Record::Registered(gone),
        removed,
        Record::Call(call(1, false)),
        Record::Call(call(1, true)),
    ]));
    first.journal.close();
    assert_eq!(first.journal.counts().behind_bytes, 0);
    assert_eq!(calls(&first, 10), [call(1, true)]);
    drop(first);

    let second = opened(&directory);
    assert_eq!(second.contacts, [contact(1, 3600)], "expired and removed ones do not come back");
    assert!(second.closed_calls.is_empty(), "a finished call is not closed again");
    assert_eq!(second.damage, []);
}

#[test]
fn the_flows_of_one_contact_are_kept_apart() {
    let directory = directory("flows");
    let mut first = opened(&directory);
    let flow = |number| Contact { reg_id: Some(number), ..contact(2, 3600) };
    let bound = [1, 2, 3].map(|number| Record::Registered(flow(number)));
    assert!(first.journal.append(bound));
    let (user, uri) = (flow(2).user, flow(2).uri);
    assert!(first.journal.append([Record::Unregistered { user, uri, reg_id: Some(2) }]));
    first.journal.close();
    drop(first);
    assert_eq!(opened(&directory).contacts, [flow(1), flow(3)]);
}

fn setting(tenant: &str, key: &str, value: Option<&str>, second: i64) -> SettingRecord {
    SettingRecord {
        tenant: tenant.to_owned(),
        key: key.to_owned(),
        value: value.map(str::to_owned),
        by: "ctl".to_owned(),
        at: after(second),
    }
}

#[test]
fn settings_stand_as_they_were_set_last_and_every_change_is_kept() {
    let directory = directory("settings");
    let mut first = opened(&directory);
    let mode = |value, second| setting("acme", "number.number1.mode", value, second);
    let changes = [
        mode(Some("forward"), 1),
        setting("acme", "device.A.dnd", Some("true"), 2),
        setting("other", "number.number1.mode", Some("ring"), 3),
        mode(None, 4),
        mode(Some("schedule"), 5),
        setting("acme", "device.A.dnd", None, 6),
    ];
    let (taken, journaled) = changes.split_at(4);
    assert!(first.journal.append(taken.iter().cloned().map(Record::Setting)));
    first.journal.close();
    drop(first);
    let mut second = opened(&directory);
    let expected = [setting("acme", "device.A.dnd", Some("true"), 2), changes[2].clone()];
    assert_eq!(second.settings, expected);
    assert!(second.journal.append(journaled.iter().cloned().map(Record::Setting)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let history = runtime.expect("a runtime").block_on(second.cdrs.setting_history("acme", 4));
    let latest: Vec<SettingRecord> = [5, 4, 3, 1].map(|at: usize| changes[at].clone()).to_vec();
    assert_eq!(history.expect("the database is readable"), latest);
    second.journal.close();
    drop(second);
    assert_eq!(opened(&directory).settings, [changes[4].clone(), changes[2].clone()]);
}

#[test]
fn a_database_of_the_first_version_is_brought_to_this_one() {
    let directory = directory("version-1");
    fs::create_dir_all(&directory).expect("a directory");
    let text = include_str!("data/version_1.sql");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        use sqlx::Connection;
        let path = directory.join("koukan.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let options = options.create_if_missing(true);
        let mut database = sqlx::SqliteConnection::connect_with(&options).await.expect("a file");
        sqlx::raw_sql(text).execute(&mut database).await.expect("the first schema");
        database.close().await.expect("it is written");
    });
    let opened = opened(&directory);
    let old = Contact { instance: None, expires: opened.contacts[0].expires, ..contact(1, 0) };
    assert_eq!(opened.contacts, [old]);
}

#[test]
fn a_call_that_was_up_is_closed_where_it_was_last_seen() {
    let directory = directory("open-call");
    let mut first = opened(&directory);
    assert!(first.journal.append([Record::Call(call(1, false)), Record::Call(call(2, true))]));
    first.journal.close();
    drop(first);
    let mut second = opened(&directory);
    let mut expected = call(1, true);
    expected.cause = Some(CallCause::ServerStopped);
    assert_eq!(second.closed_calls, [expected.clone()]);
    let second_charges = std::mem::take(&mut second.charges);
    second.journal.close();
    assert_eq!(calls(&second, 10), [call(2, true), expected]);
    drop(second);
    let third = opened(&directory);
    assert!(third.closed_calls.is_empty(), "it was closed once");
    // What both calls cost is known after every start: from the journal, then from the database.
    let past = [1, 2].map(|number| {
        let (answered, ended) = (after(2), after(60));
        PastCharge { charge: charge(number), answered, ended }
    });
    assert_eq!(second_charges, past);
    assert_eq!(third.charges, past);
}

/// The child: appends for ever, and says of each batch that it is safe.
#[test]
fn child_that_appends_until_it_is_killed() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let mut opened = opened(Path::new(&directory));
    let mut said = std::io::stdout();
    for number in 0.. {
        let records = [
            Record::Call(call(number, number % 2 == 0)),
            Record::Registered(contact(number % 50, 3600)),
        ];
        assert!(opened.journal.append(records));
        // The parent is gone when nobody reads any more.
        if writeln!(said, "safe {number}").and_then(|()| said.flush()).is_err() {
            return;
        }
    }
}

#[test]
fn a_killed_process_loses_nothing_that_it_had_promised() {
    for (round, promises) in [1, 40, 700].into_iter().enumerate() {
        let directory = directory(&format!("killed-{round}"));
        let mut child = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "child_that_appends_until_it_is_killed", "--nocapture"])
            .env(CHILD, &directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the child starts");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let last = lines
            .map_while(Result::ok)
            .filter_map(|line| line.split_once("safe ")?.1.trim().parse::<u32>().ok())
            .take_while(|number| *number < promises)
            .last()
            .expect("it appended");
        child.kill().expect("it runs");
        child.wait().expect("it ends");

        let mut opened = opened(&directory);
        opened.journal.close();
        let read = calls(&opened, 1_000_000);
        for number in 0..=last {
            let known: Vec<_> =
                read.iter().filter(|cdr| cdr.call == format!("{number:016}")).collect();
            assert_eq!(known.len(), 1, "call {number} of {last}");
            assert!(known[0].ended.is_some());
            assert_eq!(known[0].legs.len(), 2);
        }
        assert!(opened.contacts.len() >= usize::try_from(last + 1).unwrap_or(0).min(50));
        println!("killed after {last}: {} calls, damage {:?}", read.len(), opened.damage);
    }
}

#[test]
fn a_segment_whose_deletion_was_lost_is_not_applied_twice() {
    let directory = directory("twice");
    let mut first = opened(&directory);
    assert!(first.journal.append([Record::Registered(contact(1, 3600))]));
    first.journal.close();
    drop(first);
    let segment = directory.join("journal-000001.kkj");
    let old = fs::read(&segment).expect("the first segment is kept until the next one is begun");
    let mut second = opened(&directory);
    let gone = contact(1, 3600);
    assert!(second.journal.append([Record::Unregistered {
        user: gone.user,
        uri: gone.uri,
        reg_id: None
    }]));
    second.journal.close();
    drop(second);
    assert!(!segment.exists(), "it is applied and of no use any more");
    fs::write(&segment, old).expect("as if it had never been deleted");
    assert!(opened(&directory).contacts.is_empty(), "the old registration came back");
}

#[test]
fn damage_and_a_torn_end_cost_only_themselves_and_are_told() {
    let directory = directory("damage");
    let mut first = opened(&directory);
    for index in 0..3 {
        assert!(first.journal.append([Record::Registered(contact(index, 3600))]));
    }
    first.journal.close();
    drop(first);
    fs::remove_file(directory.join("koukan.db")).expect("the database is a file");
    for rest in ["koukan.db-wal", "koukan.db-shm"] {
        // Only there when the end was not orderly.
        let _ = fs::remove_file(directory.join(rest));
    }
    let path = directory.join("journal-000001.kkj");
    let mut text = fs::read(&path).expect("the journal");
    let frame = text.len() / 3;
    text[frame + 30] ^= 1;
    text.truncate(text.len() - 5);
    fs::write(&path, &text).expect("it can be written");
    let second = opened(&directory);
    assert_eq!(second.contacts, [contact(0, 3600)]);
    // The damaged frame and the torn one stand beside each other.
    assert_eq!(second.damage.len(), 1, "{:?}", second.damage);
    assert_eq!(second.damage[0].at, Position { segment: 1, offset: frame as u64 });
    assert!(second.damage[0].torn);
}

#[test]
fn a_later_versions_database_is_refused_by_name() {
    let directory = directory("newer");
    drop(opened(&directory));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        use sqlx::{ConnectOptions, Connection};
        let options =
            sqlx::sqlite::SqliteConnectOptions::new().filename(directory.join("koukan.db"));
        let mut connection = options.connect().await.expect("it opens");
        sqlx::raw_sql("PRAGMA user_version = 9").execute(&mut connection).await.expect("it is set");
        connection.close().await.expect("it closes");
    });
    let error = open(&config(&directory), start()).expect_err("it is newer").to_string();
    assert!(error.contains("koukan.db") && error.contains("schema 9"), "{error}");
}

/// The child: appends until the system refuses; what is refused waits, and the file stays whole.
#[test]
fn child_that_appends_until_its_disk_is_full() {
    let Some(directory) = std::env::var_os(FULL_CHILD) else { return };
    let mut opened = opened(Path::new(&directory));
    let safe = (0..)
        .take_while(|index| opened.journal.append([Record::Registered(contact(*index, 3600))]));
    let safe = safe.count();
    assert!(!opened.journal.retry());
    let counts = opened.journal.counts();
    assert_eq!((counts.waiting, counts.failures, counts.lost), (1, 2, 0));
    println!("safe {safe}");
    // The database has no room either; the parent looks at what the journal kept.
    std::process::exit(0);
}

#[test]
fn a_full_disk_refuses_whole_batches_and_keeps_what_was_promised() {
    let directory = directory("full");
    let binary = std::env::current_exe().expect("this binary");
    // A file may grow to 96 kB; beyond it the system refuses, as a full disk does.
    let limited = "trap '' XFSZ; ulimit -f 96; exec \"$0\" --exact \
                   child_that_appends_until_its_disk_is_full --nocapture";
    let output = Command::new("bash")
        .args(["-c", limited])
        .arg(binary)
        .env(FULL_CHILD, &directory)
        .output()
        .expect("bash is there");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let safe = text.lines().find_map(|line| line.split_once("safe ")?.1.trim().parse().ok());
    let safe: usize = safe.unwrap_or_else(|| panic!("{text}{:?}", output.stderr));
    assert!(safe > 10, "{safe}");
    let again = opened(&directory);
    assert_eq!((again.contacts.len(), again.damage), (safe, Vec::new()));
}

#[test]
fn a_thousand_contacts_open_and_append_in_figures() {
    let directory = directory("figures");
    let mut first = opened(&directory);
    let begin = Instant::now();
    for index in 0..1000 {
        assert!(first.journal.append([Record::Registered(contact(index, 3600))]));
    }
    let appended = begin.elapsed();
    first.journal.close();
    drop(first);
    let begin = Instant::now();
    let second = opened(&directory);
    println!(
        "append {:?} a record, open with 1,000 contacts {:?}",
        appended / 1000,
        begin.elapsed()
    );
    assert_eq!(second.contacts.len(), 1000);
}

fn watch(key: &str, expires: i64) -> Watch {
    Watch {
        key: key.to_owned(),
        package: "dialog".to_owned(),
        event_id: None,
        user: "acme-801".to_owned(),
        entity: "sip:802@192.0.2.1".to_owned(),
        members: vec![("acme-802".to_owned(), String::new(), String::new())],
        list: false,
        call_id: "c".to_owned(),
        remote_tag: "t".to_owned(),
        local: "<sip:802@192.0.2.1>".to_owned(),
        remote: "<sip:acme-801@192.0.2.1>;tag=t".to_owned(),
        remote_target: "sip:acme-801@192.0.2.9".to_owned(),
        routes: Vec::new(),
        transport: "udp".to_owned(),
        listener: 0,
        source: ([192, 0, 2, 9], 5060).into(),
        remote_cseq: 4,
        reserved: 64,
        expires: after(expires),
    }
}

#[test]
fn subscriptions_are_there_after_an_end_until_they_are_over() {
    let directory = directory("watches");
    let mut first = opened(&directory);
    let newer = Watch { reserved: 128, ..watch("a", 600) };
    assert!(first.journal.append([
        Record::Watching(watch("a", 600).into()),
        Record::Watching(watch("b", -1).into()),
        Record::Watching(watch("c", 600).into()),
        Record::Unwatched { key: "c".to_owned() },
        Record::Watching(newer.clone().into()),
    ]));
    first.journal.close();
    drop(first);
    assert_eq!(opened(&directory).watches, [newer]);
}

fn note(key: &str, value: Option<&str>) -> Note {
    Note {
        module: "voicemail".to_owned(),
        tenant: "acme".to_owned(),
        key: key.to_owned(),
        value: value.map(str::to_owned),
    }
}

#[test]
fn notes_of_modules_are_there_as_they_stood_last() {
    let directory = directory("notes");
    let mut first = opened(&directory);
    assert!(first.journal.append([
        Record::Note(note("m/1", Some("old"))),
        Record::Note(note("m/2", Some("\"gone\""))),
        Record::Note(note("m/1", Some("伝言 \"new\""))),
        Record::Note(note("m/2", None)),
    ]));
    first.journal.close();
    drop(first);
    let mut second = opened(&directory);
    assert_eq!(second.notes, [note("m/1", Some("伝言 \"new\""))]);
    assert!(
        second
            .journal
            .append([Record::Note(note("m/3", Some("later"))), Record::Note(note("m/1", None)),])
    );
    drop(second);
    assert_eq!(opened(&directory).notes, [note("m/3", Some("later"))]);
}
