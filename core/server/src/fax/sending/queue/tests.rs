//! Documents in a store of a test, on clocks that are handed in.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use koukan_base::{CallId, ShardId};
use koukan_fax::queue::{Rate, RetryTable};

use super::super::sent::Sent;
use super::*;
use crate::module::shelf::{Of, Shelf};
use crate::notices::{News, Notices};

struct Bench {
    directory: PathBuf,
    shelf: Arc<Shelf>,
    now: Now,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Bench {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("koukan-fax-queue-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let shelf = Arc::new(Shelf::new(directory.join("objects"), Vec::new(), None));
        let now = Now { time: Time::from_millis(1_000), date: Timestamp::UNIX_EPOCH };
        Self { directory, shelf, now }
    }

    fn drawer(&self) -> Drawer {
        let notices = Notices::new(Arc::clone(&self.shelf));
        Drawer::new(Arc::clone(&self.shelf), notices, self.directory.clone())
    }

    fn queue(&self) -> Queue {
        Queue::new(self.drawer(), self.now)
    }

    fn wait(&mut self, seconds: u64) {
        let by = Duration::from_secs(seconds);
        self.now.time = self.now.time + by;
        self.now.date += SignedDuration::try_from(by).unwrap();
    }

    /// Hands in a document of three pages.
    fn hand_in(&self, queue: &mut Queue, id: &str, to: &str) {
        std::fs::write(self.drawer().file(id), b"II*\0").unwrap();
        let table = RetryTable::default();
        let job = Job::new(self.now.time, 3, 3, table.clone()).save();
        let entry = Entry { sent: sent(to, self.now.date), job, table };
        assert!(self.drawer().write("acme", id, &entry));
        queue.add("acme".into(), id.to_owned(), entry, self.now);
    }

    fn shown(&self, id: &str) -> Sent {
        self.drawer().entry("acme", id).unwrap().sent
    }
}

fn sent(to: &str, now: Timestamp) -> Sent {
    Sent {
        state: State::Waiting,
        number: "number1".to_owned(),
        from: "0312340001".to_owned(),
        mailbox: "main".to_owned(),
        to: to.to_owned(),
        to_device: false,
        app: None,
        created: now,
        ended: None,
        due: Some(now),
        pages: 3,
        confirmed: 0,
        estimate_s: 60,
        attempts: 0,
        calls: Vec::new(),
        station: String::new(),
        medium: String::new(),
        bit_rate: 0,
        ecm: false,
        cause: None,
        notify: Vec::new(),
        language: "en".to_owned(),
        utc_offset_s: 0,
    }
}

fn call(number: u64) -> CallId {
    CallId::new(ShardId(0), number)
}

fn progress(confirmed: u32) -> Progress {
    Progress { first_page: 1, confirmed, bit_rate: 14_400, ecm: true, ..Progress::default() }
}

fn one(mut calls: Vec<FaxCall>) -> FaxCall {
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls.remove(0)
}

#[test]
fn a_busy_line_is_called_four_times_and_the_failure_is_told() {
    let mut bench = Bench::new();
    let mut queue = bench.queue();
    bench.hand_in(&mut queue, "s1", "0355551234");
    let mut delays = Vec::new();
    while let Some(due) = queue.poll_timeout() {
        let wait = due.since(bench.now.time).as_secs();
        delays.push(wait);
        bench.wait(wait);
        let fax = one(queue.due(bench.now)).fax;
        assert!(queue.due(bench.now).is_empty(), "once");
        queue.not_sent(fax, Some(call(1)), &NotSent::Failed { status: 486 }, bench.now);
    }
    assert_eq!(delays, [0, 300, 300, 900]);
    let shown = bench.shown("s1");
    assert_eq!((shown.state, shown.attempts, shown.cause), (State::Failed, 4, Some(Cause::Busy)));
    assert_eq!(shown.calls.len(), 4);
    assert_eq!(shown.result(), "The fax was not sent after 4 attempts: the line was busy.");
    assert!(!bench.drawer().file("s1").exists(), "its pages are gone");
}

#[test]
fn what_our_own_rules_refuse_is_tried_once() {
    let bench = Bench::new();
    let mut queue = bench.queue();
    bench.hand_in(&mut queue, "s1", "0990123456");
    let fax = one(queue.due(bench.now)).fax;
    let refused = |status, cause: &str| NotSent::Refused { status, cause: cause.into() };
    queue.not_sent(fax, None, &refused(403, "blocked:premium"), bench.now);
    assert_eq!((bench.shown("s1").cause, queue.poll_timeout()), (Some(Cause::Blocked), None));
}

#[test]
fn an_office_without_a_line_waits_for_one_and_no_attempt_is_counted() {
    let mut bench = Bench::new();
    let mut queue = bench.queue();
    for number in 0..40 {
        bench.hand_in(&mut queue, &format!("s{number:02}"), &format!("03555512{number:02}"));
    }
    let refused = |cause: &str| NotSent::Refused { status: 486, cause: cause.into() };
    let first = queue.due(bench.now);
    assert_eq!(first.len(), 40);
    for call in &first[1..] {
        queue.not_sent(call.fax, None, &refused("channels:fax"), bench.now);
    }
    assert!(queue.due(bench.now).is_empty(), "nothing is tried meanwhile");
    for cause in ["channels:tenant", "cap:concurrent", "cap:night", "channels:fax"] {
        assert_eq!(queue.poll_timeout(), Some(bench.now.time + Duration::from_secs(30)), "{cause}");
        bench.wait(30);
        for call in queue.due(bench.now) {
            queue.not_sent(call.fax, None, &refused(cause), bench.now);
        }
        let shown = bench.shown("s39");
        assert_eq!(
            (shown.state, shown.attempts, shown.cause),
            (State::Waiting, 0, None),
            "{cause}"
        );
    }
    queue.answered(first[0].fax, call(1), bench.now).unwrap();
    queue.ended(first[0].fax, Cause::Done, &progress(3), bench.now).unwrap();
    bench.wait(30);
    assert_eq!(queue.due(bench.now).len(), 39, "the lines are free again");
    assert_eq!(bench.shown("s39").attempts, 1);
}

#[test]
fn an_attempt_whose_end_nobody_tells_keeps_the_pages_that_were_confirmed() {
    let mut bench = Bench::new();
    let mut queue = bench.queue();
    bench.hand_in(&mut queue, "s1", "0355551234");
    let fax = one(queue.due(bench.now)).fax;
    queue.answered(fax, call(1), bench.now).unwrap();
    queue.progress(fax, &progress(2));
    bench.wait(4 * 3_600 + 60);
    assert_eq!(queue.overdue(bench.now), [fax]);
    assert_eq!(bench.shown("s1").confirmed, 2);
    let wait = queue.poll_timeout().unwrap().since(bench.now.time).as_secs();
    bench.wait(wait);
    let fax = one(queue.due(bench.now)).fax;
    assert_eq!(queue.answered(fax, call(2), bench.now).unwrap().how.first_page, 3);
}

#[test]
fn an_attempt_goes_on_behind_the_pages_that_were_confirmed() {
    let mut bench = Bench::new();
    let mut queue = bench.queue();
    bench.hand_in(&mut queue, "s1", "0355551234");
    let fax = one(queue.due(bench.now)).fax;
    let begun = queue.answered(fax, call(1), bench.now).unwrap();
    assert_eq!((begun.how.first_page, &*begun.file, &*begun.ident), (1, "s1.tif", "0312340001"));
    queue.progress(fax, &progress(2));
    assert_eq!((bench.shown("s1").confirmed, bench.shown("s1").state), (2, State::Sending));
    let words = queue.ended(fax, Cause::Dropped, &progress(2), bench.now).unwrap();
    assert!(words.contains("2 of 3 pages at 14400 bit/s"), "{words}");
    assert!(words.contains("tried again at 00:01:00"), "{words}");
    bench.wait(60);
    let fax = one(queue.due(bench.now)).fax;
    let begun = queue.answered(fax, call(2), bench.now).unwrap();
    assert_eq!((begun.how.first_page, begun.how.easier.rate), (3, Rate::V17));
    let words = queue.ended(fax, Cause::Done, &progress(1), bench.now).unwrap();
    assert_eq!(words, "The fax was sent: 3 pages at 14400 bit/s.");
    assert_eq!(bench.shown("s1").state, State::Done);
    assert!(queue.ended(fax, Cause::Dropped, &progress(0), bench.now).is_none(), "once");
}

#[test]
fn a_server_that_was_killed_goes_on_with_its_documents() {
    let mut bench = Bench::new();
    let mut queue = bench.queue();
    bench.hand_in(&mut queue, "s1", "0355551234");
    bench.hand_in(&mut queue, "s2", "0355555678");
    bench.hand_in(&mut queue, "s3", "0355559999");
    let calls = queue.due(bench.now);
    assert_eq!(calls.len(), 3);
    queue.answered(calls[0].fax, call(1), bench.now).unwrap();
    queue.progress(calls[0].fax, &progress(1));
    queue.not_sent(calls[1].fax, Some(call(2)), &NotSent::Failed { status: 486 }, bench.now);
    queue.answered(calls[2].fax, call(3), bench.now).unwrap();
    queue.progress(calls[2].fax, &progress(3));
    drop(queue);
    bench.wait(100);
    let mut queue = bench.queue();
    // The first is due soon, with one page less; the second when it would have been; all pages of
    // the third were confirmed.
    assert_eq!(queue.poll_timeout(), Some(bench.now.time + Duration::from_secs(5)));
    assert_eq!(bench.shown("s3").state, State::Done);
    bench.wait(5);
    let fax = one(queue.due(bench.now)).fax;
    assert_eq!(queue.answered(fax, call(4), bench.now).unwrap().how.first_page, 2);
    bench.wait(195);
    assert_eq!(&*one(queue.due(bench.now)).tenant, "acme");
    assert_eq!(bench.shown("s2").attempts, 2);
}

#[test]
fn a_document_whose_pages_are_gone_is_given_up() {
    let bench = Bench::new();
    let mut queue = bench.queue();
    bench.hand_in(&mut queue, "s1", "0355551234");
    let fax = one(queue.due(bench.now)).fax;
    std::fs::remove_file(bench.drawer().file("s1")).unwrap();
    queue.not_sent(fax, None, &NotSent::Failed { status: 486 }, bench.now);
    assert_eq!(bench.shown("s1").cause, Some(Cause::Document));
}

#[test]
fn two_documents_for_one_machine_go_one_after_the_other() {
    let bench = Bench::new();
    let mut queue = bench.queue();
    bench.hand_in(&mut queue, "s1", "0355551234");
    bench.hand_in(&mut queue, "s2", "0355551234");
    let fax = one(queue.due(bench.now)).fax;
    assert!(queue.due(bench.now).is_empty());
    assert!(queue.poll_timeout().unwrap() > bench.now.time, "nothing spins meanwhile");
    queue.answered(fax, call(1), bench.now).unwrap();
    queue.ended(fax, Cause::Done, &progress(3), bench.now).unwrap();
    assert_eq!(queue.due(bench.now).len(), 1);
}

#[test]
fn a_cancelled_document_is_hung_up_and_stays_cancelled() {
    let bench = Bench::new();
    let mut queue = bench.queue();
    bench.hand_in(&mut queue, "s1", "0355551234");
    let fax = one(queue.due(bench.now)).fax;
    assert_eq!(queue.cancel("s1", bench.now), Some(fax));
    assert_eq!(queue.cancel("s1", bench.now), None);
    assert!(queue.answered(fax, call(1), bench.now).is_none());
    assert_eq!(bench.shown("s1").cause, Some(Cause::Cancelled));
    assert_eq!(queue.poll_timeout(), None);
}

#[test]
fn an_attempt_that_nobody_tells_the_end_of_is_given_up() {
    let mut bench = Bench::new();
    let mut queue = bench.queue();
    bench.hand_in(&mut queue, "s1", "0355551234");
    let fax = one(queue.due(bench.now)).fax;
    assert!(queue.overdue(bench.now).is_empty());
    bench.wait(ANSWERS.as_secs());
    assert_eq!(queue.overdue(bench.now), [fax]);
    assert_eq!(bench.shown("s1").state, State::Waiting);
}

#[test]
fn an_office_lists_its_newest_two_hundred() {
    let bench = Bench::new();
    let mut queue = bench.queue();
    for number in 0..203 {
        let id = format!("s{number:04}");
        bench.hand_in(&mut queue, &id, &format!("03{number:08}"));
        queue.cancel(&id, bench.now);
    }
    let entries = bench.drawer().entries();
    assert_eq!((entries.len(), entries[0].1.as_str()), (200, "s0003"));
    assert!(Path::new(&bench.directory).read_dir().unwrap().count() <= 1, "no file is left");
}

/// S-40.
#[test]
fn s_40_a_stored_fax_goes_on_to_a_machine_and_stays_where_it_is() {
    let bench = Bench::new();
    let mut queue = bench.queue();
    let kept = bench.directory.join("kept.tif");
    std::fs::write(&kept, b"II*\0").unwrap();
    let fax = Fax {
        call: "1".to_owned(),
        mailbox: "main".to_owned(),
        caller: "0455550001".to_owned(),
        called: "0312340002".to_owned(),
        station: String::new(),
        medium: "g711".to_owned(),
        started: bench.now.date,
        ended: Some(bench.now.date),
        pages: 2,
        bit_rate: 14_400,
        ecm: true,
        cause: Some(Cause::Done),
        keep: 200,
        notify: Vec::new(),
        deliver_to: Some(("number2".to_owned(), "F".to_owned())),
        language: "ja".to_owned(),
        utc_offset_s: 32_400,
    };
    queue.deliver(&"acme".into(), "0000000000001-1", &fax, &kept, bench.now).unwrap();
    let call = one(queue.due(bench.now));
    assert_eq!((&call.to, &*call.number), (&Destination::Device("F".into()), "number2"));
    let begun = queue.answered(call.fax, CallId::new(ShardId(0), 9), bench.now).unwrap();
    assert_eq!(std::fs::read(bench.directory.join(&begun.file)).unwrap(), b"II*\0");
    queue.ended(call.fax, Cause::Done, &progress(2), bench.now).unwrap();
    assert!(kept.is_file());
    assert_eq!(bench.shown("s0000000000001-1").state, State::Done);
    let told = Notices::new(Arc::clone(&bench.shelf)).behind("acme", 0, 10).remove(0);
    let News::FaxSent(notice) = told.news else { panic!("it went") };
    assert_eq!((&*notice.to, notice.confirmed, notice.cause), ("F", 2, Some(Cause::Done)));
}

#[test]
fn what_a_run_that_was_killed_left_in_the_spool_is_removed_and_no_document_under_way() {
    let bench = Bench::new();
    let mut queue = bench.queue();
    bench.hand_in(&mut queue, "s1", "0355551234");
    drop(queue);
    for name in ["s2.tif", "s3.new", "s4.jpg", "7f03.tif"] {
        std::fs::write(bench.directory.join(name), b"II*\0").unwrap();
    }
    drop(bench.queue());
    let there = ["s1.tif", "s2.tif", "s3.new", "s4.jpg", "7f03.tif"]
        .map(|name| bench.directory.join(name).exists());
    assert_eq!(there, [true, false, false, false, true], "a fax that came is not the queue's");
}

#[test]
fn an_entry_that_another_version_wrote_keeps_its_pages_and_stays_as_it_is() {
    let bench = Bench::new();
    let mut queue = bench.queue();
    bench.hand_in(&mut queue, "s1", "0355551234");
    drop(queue);
    let of = Of { module: "kk:fax-sent", tenant: "acme" };
    let newer = bench.shelf.get(of, "s1").unwrap().replace("\"waiting\"", "\"scheduled\"");
    bench.shelf.put(of, "s5", &newer).unwrap();
    for name in ["s5.tif", "s5.jpg"] {
        std::fs::write(bench.directory.join(name), b"II*\0").unwrap();
    }
    let mut queue = bench.queue();
    assert!(bench.directory.join("s5.tif").exists() && bench.directory.join("s5.jpg").exists());
    assert_eq!(one(queue.due(bench.now)).to, Destination::Number("0355551234".into()));
    // Nor does room for others cost it anything.
    for number in 0..203 {
        let id = format!("s6{number:04}");
        bench.hand_in(&mut queue, &id, &format!("03{number:08}"));
        queue.cancel(&id, bench.now);
    }
    assert_eq!(bench.shelf.get(of, "s5"), Ok(newer));
    assert!(bench.directory.join("s5.tif").exists());
}
