//! Faxes from outside, sent by a machine that no one here wrote (S-17, S-30, S-31, S-33): what it
//! sends is what is kept, to the picture element; what breaks off leaves what was confirmed.
#![allow(clippy::indexing_slicing, reason = "a panic is a failed test")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use koukan_e2e::fax::{self, Outcome, Sending, T38, document, page, pages_of_pdf};
use koukan_e2e::office::{phone, phone_spec};
use koukan_e2e::server::{Server, binary};
use koukan_e2e::smtp::MailSink;
use koukan_e2e::wait::wait_for;
use koukan_fax::Bitmap;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(10);

/// The office whose second number takes faxes, of two pages at most.
fn office(name: &str) -> Server {
    office_of(name, "detect = \"only\"")
}

fn office_of(name: &str, fax: &str) -> Server {
    let server = Server::start(name).expect("the server starts");
    let file = server.directory.join("conf/tenants/acme/office.toml");
    let text = fs::read_to_string(&file).expect("the sample");
    let number = "ring = { devices = [\"A\", \"B\", \"C\"], strategy = \"all\" }\nmode = \"ring\"";
    assert!(text.contains(number), "the sample has no {number}");
    let for_faxes = format!("{number}\noptions = [\"fax\"]\nfax = {{ box = \"main\", {fax} }}");
    let mailbox = "[fax_box.main]\nreceive_max_pages = 2\nnotify = [\"office@example.jp\"]\n";
    let text = format!("{}\n{mailbox}", text.replace(number, &for_faxes));
    fs::write(&file, text).expect("it is written");
    // They expect of the second number that it rings.
    fs::remove_file(file.with_file_name("expect.toml")).expect("the sample has expectations");
    let report = server.ctl(&["reload", "acme"]).expect("it is in order");
    println!("reload: {report}");
    server
}

/// `koukan fax … --json`.
fn koukan(server: &Server, arguments: &[&str]) -> Value {
    let socket = server.directory.join("data/koukan.sock");
    let mut command = Command::new(binary("koukan").expect("it is built"));
    command.arg("fax").arg("--socket").arg(socket).arg("--json").args(arguments);
    let done = command.output().expect("it runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap_or(Value::Null)
}

/// The faxes that are kept, when there are so many.
fn kept(server: &Server, count: usize) -> Vec<Value> {
    let list = wait_for(LIMIT, || {
        let list = koukan(server, &["list", "acme"]);
        list.as_array().filter(|list| list.len() == count).cloned()
    });
    list.unwrap_or_else(|| panic!("not {count} faxes:\n{}", server.log_tail()))
}

fn send(server: &Server, pages: &[Bitmap]) -> Outcome {
    sends(server, pages, |sending| sending)
}

fn sends(
    server: &Server,
    pages: &[Bitmap],
    how: impl for<'a> FnOnce(Sending<'a>) -> Sending<'a>,
) -> Outcome {
    let file = server.directory.join("sent.tif");
    document(&file, pages).expect("it is written");
    let (number, t38) = ("0312340002", T38::Refuses);
    let sending = Sending::new(number, &file, t38);
    let outcome = fax::send(server, &how(sending));
    let outcome = outcome.unwrap_or_else(|error| panic!("{error}\n{}", server.log_tail()));
    println!("{outcome:?}");
    outcome
}

/// A fax's pages, fetched as PDF.
fn fetched(server: &Server, id: &str) -> Vec<Bitmap> {
    let file = server.directory.join(format!("{id}.pdf"));
    koukan(server, &["get", "acme", id, &file.to_string_lossy()]);
    let checked = Command::new("qpdf").arg("--check").arg(&file).output().expect("qpdf runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    pages_of_pdf(&file).expect("pdfimages reads it")
}

fn assert_same(came: &[Bitmap], sent: &[Bitmap]) {
    assert_eq!(came.len(), sent.len(), "pages");
    for (number, (came, sent)) in came.iter().zip(sent).enumerate() {
        assert_eq!((came.width(), came.height()), (sent.width(), sent.height()), "page {number}");
        assert!(came == sent, "page {number} differs");
    }
}

fn why(server: &Server, fax: &Value) -> String {
    let call = fax["call"].as_str().unwrap_or_default();
    let why = server.ctl(&["why", call]).expect("the call is known");
    let lines = why["lines"].as_array().into_iter().flatten();
    lines.filter_map(|line| Some(format!("{}\n", line["text"].as_str()?))).collect()
}

/// N-12: a machine that offers T.38 alone where no fax is taken is refused at once, and whoever
/// asks why finds its record.
#[test]
fn a_call_by_t38_alone_that_is_refused_is_in_the_records_with_its_reason() {
    let server = office("fax-alone-refused");
    let file = server.directory.join("sent.tif");
    document(&file, &[page(1, 200)]).expect("it is written");
    let refused = fax::send(&server, &Sending::new("0312340001", &file, T38::Alone));
    assert!(refused.is_err(), "{refused:?}");
    let record = wait_for(LIMIT, || server.ctl(&["cdrs"]).ok()?.get(0).cloned()).expect("a record");
    assert_eq!((&record["called"], &record["status"]), (&"0312340001".into(), &488.into()));
    assert_eq!((&record["answered"], &record["cause"]), (&Value::Null, &"plan".into()));
    let lines = why(&server, &record);
    assert!(lines.contains("it offers T.38 alone, and no fax is taken here"), "{lines}");
    // Timers H and J of its transactions are 32 s long.
    server.wait_empty(Duration::from_secs(40)).expect("nothing is left");
}

#[test]
fn s_30_a_fax_over_g711_is_kept_mailed_and_fetched_in_both_formats() {
    let server = office("fax");
    let mails = MailSink::start(server.smtp_port).expect("the port is free");
    let pages = [page(1, 500), page(2, 300)];
    let outcome = send(&server, &pages);
    assert_eq!((outcome.code, outcome.pages, outcome.hung_up), (0, 2, true), "{outcome:?}");
    let list = kept(&server, 1);
    let (fax, id) = (&list[0], list[0]["id"].as_str().expect("an id"));
    assert_eq!((&fax["pages"], &fax["station"]), (&2.into(), &"0.0.6".into()), "{fax}");
    assert_eq!((&fax["caller"], &fax["cause"]), (&"0455550001".into(), &"done".into()));
    assert_same(&fetched(&server, id), &pages);
    // An office's apps hear of it, at once or as soon as it is there.
    let told = server.ctl(&["notices", "acme", "--wait", "20"]).expect("it answers");
    let notice = &told[0];
    assert_eq!((&notice["number"], &notice["event"]), (&1.into(), &"fax_received".into()));
    assert_eq!(
        (&notice["id"], &notice["box"], &notice["pages"]),
        (&id.into(), &"main".into(), &2.into())
    );
    assert_eq!((&notice["from"], &notice["to"]), (&"0455550001".into(), &"0312340002".into()));
    let none = server.ctl(&["notices", "acme", "--after", "1"]).expect("it answers");
    assert_eq!(none.as_array().map(Vec::len), Some(0));
    let jpeg = server.directory.join("page.jpg");
    koukan(&server, &["get", "acme", id, &jpeg.to_string_lossy(), "--page", "2"]);
    assert!(fs::read(&jpeg).expect("it is written").starts_with(&[0xFF, 0xD8, 0xFF]));
    let lines = why(&server, fax);
    assert!(!outcome.by_t38);
    let refused = "T.38: 488; the fax stays in audio";
    for part in
        [refused, "answered as a fax machine", "bit/s with error correction", "page 2 is here"]
    {
        assert!(lines.contains(part), "no {part} in:\n{lines}");
    }
    let mail = wait_for(LIMIT, || mails.mails().first().cloned()).expect("a mail");
    assert!(mail.contains("application/pdf") && mail.contains(&format!("fax-{id}.pdf")), "{mail}");
    assert!(mail.contains("To: office@example.jp"), "{mail}");
    server.wait_empty(LIMIT).expect("nothing is left");
    koukan(&server, &["delete", "acme", id]);
    kept(&server, 0);
}

/// The machine refuses T.38 in the other tests, and the fax stays in audio.
/// S-33: the notice waits in the spool, and the fax can be read meanwhile.
#[test]
fn a_mail_server_that_is_down_gets_the_notice_when_it_is_up_again() {
    let server = office("fax-mail-down");
    let sent = [page(4, 200)];
    send(&server, &sent);
    let list = kept(&server, 1);
    assert_same(&fetched(&server, list[0]["id"].as_str().expect("an id")), &sent);
    // The first attempt has failed by then; the next one comes five seconds later.
    std::thread::sleep(Duration::from_secs(2));
    let mails = MailSink::start(server.smtp_port).expect("the port is free");
    let mail = wait_for(Duration::from_secs(60), || mails.mails().first().cloned());
    let mail = mail.expect("it comes");
    assert!(mail.contains("To: office@example.jp") && mail.contains(".pdf"), "{mail}");
}

#[test]
fn s_30_a_fax_goes_over_to_t38_when_it_is_taken_or_asked_for() {
    let server = office("fax-t38");
    let pages = [page(1, 500), page(2, 300)];
    for (count, t38) in [(1, T38::Takes), (2, T38::Asks), (3, T38::Alone)] {
        let outcome = sends(&server, &pages, |sending| Sending { t38, ..sending });
        assert_eq!((outcome.code, outcome.pages), (0, 2), "{t38:?}: {outcome:?}");
        assert!(outcome.by_t38 && outcome.hung_up, "{t38:?}: {outcome:?}");
        let list = kept(&server, count);
        assert_eq!((&list[0]["medium"], &list[0]["cause"]), (&"t38".into(), &"done".into()));
        assert_same(&fetched(&server, list[0]["id"].as_str().expect("an id")), &pages);
        let lines = why(&server, &list[0]);
        assert!(lines.contains("T.38 at 127.0.0.1:"), "{lines}");
        assert_eq!(lines.contains("asks for T.38"), t38 == T38::Takes, "{lines}");
    }
}

/// S-39: a phone has answered, and what calls is a machine: its tone moves it to the box.
#[test]
fn a_machine_that_a_phone_answers_ends_in_the_box() {
    let server = office_of("fax-shared", "detect = \"auto\"");
    let mut phone = phone(&server, "A", &phone_spec(&server, 'A')).expect("it registers");
    let answers = std::thread::spawn(move || {
        phone.wait("CALL_INCOMING", LIMIT).expect("it rings");
        phone.answer().expect("it answers");
        phone.wait("CALL_CLOSED", Duration::from_secs(30)).is_some()
    });
    let pages = [page(1, 400)];
    let outcome = send(&server, &pages);
    assert!(answers.join().expect("no panic"), "the phone is let go");
    assert_eq!((outcome.code, outcome.pages, outcome.hung_up), (0, 1, true), "{outcome:?}");
    let list = kept(&server, 1);
    assert_same(&fetched(&server, list[0]["id"].as_str().expect("an id")), &pages);
    let lines = why(&server, &list[0]);
    for part in ["device A answers", "the caller is a fax machine: a calling tone"] {
        assert!(lines.contains(part), "no {part} in:\n{lines}");
    }
}

/// S-31: the page behind the last that a box takes ends the fax, and those before are kept.
#[test]
fn s_31_a_fax_of_more_pages_than_the_box_takes_is_kept_up_to_them() {
    let server = office("fax-limit");
    let pages = [page(1, 200), page(2, 200), page(3, 200)];
    let outcome = send(&server, &pages);
    assert_eq!((outcome.pages, outcome.hung_up), (2, true), "{outcome:?}");
    let list = kept(&server, 1);
    assert_eq!(list[0]["cause"], "page_limit");
    assert_same(&fetched(&server, list[0]["id"].as_str().expect("an id")), &pages[..2]);
}

#[test]
fn a_caller_that_hangs_up_within_the_second_page_leaves_the_first() {
    let server = office("fax-cut");
    let pages = [page(1, 200), page(2, 1_100)];
    let outcome = sends(&server, &pages, |sending| Sending {
        hangs_up: Some((1, Duration::from_secs(4))),
        ..sending
    });
    assert_eq!((outcome.pages, outcome.hung_up), (1, false), "{outcome:?}");
    let list = kept(&server, 1);
    assert_ne!(list[0]["cause"], "done");
    let came = fetched(&server, list[0]["id"].as_str().expect("an id"));
    assert_same(&came[..1], &pages[..1]);
    assert!(list[0]["result"].as_str().is_some_and(|words| words.contains("only in part")));
    // The answer to its BYE is kept for half a minute.
    server.wait_empty(Duration::from_secs(40)).expect("nothing is left");
}

/// A worker that dies ends its faxes, with their finished pages kept, and nothing else: the next
/// fax finds another one.
#[test]
fn a_worker_that_is_killed_in_the_middle_of_a_fax_costs_that_fax_alone() {
    let mut server = office("fax-kill");
    let pages = [page(1, 200), page(2, 1_100)];
    let outcome = sends(&server, &pages, |sending| Sending { after: Some((1, kill)), ..sending });
    assert_eq!((outcome.pages, outcome.hung_up), (1, true), "{outcome:?}");
    let list = kept(&server, 1);
    assert_eq!(list[0]["cause"], "worker");
    let came = fetched(&server, list[0]["id"].as_str().expect("an id"));
    assert_same(&came[..1], &pages[..1]);
    assert!(server.is_up());
    let again = send(&server, &pages[..1]);
    assert_eq!((again.code, again.pages), (0, 1), "{again:?}");
    let list = kept(&server, 2);
    assert_same(&fetched(&server, list[0]["id"].as_str().expect("an id")), &pages[..1]);
}

/// Kills the worker of a server.
fn kill(server: &Server) {
    let pid = server.pid().expect("it runs");
    let children = format!("/proc/{pid}/task");
    let mut killed = 0;
    for thread in fs::read_dir(children).expect("it runs").flatten() {
        let list = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        for child in list.split_whitespace() {
            let name = fs::read_to_string(Path::new("/proc").join(child).join("comm"));
            if name.is_ok_and(|name| name.starts_with("koukan-faxwork")) {
                Command::new("kill").args(["-KILL", child]).status().expect("kill runs");
                killed += 1;
            }
        }
    }
    assert_eq!(killed, 1, "one worker runs");
}

/// V.152 and gateways of the market offer both in the first INVITE: one is answered, and T.38 is
/// gone over to behind it.
#[test]
fn t38_beside_the_audio_of_the_first_offer_begins_in_audio_and_goes_over() {
    let server = office("fax-beside");
    let pages = [page(1, 400)];
    let outcome = sends(&server, &pages, |sending| Sending { t38: T38::Beside, ..sending });
    assert_eq!((outcome.code, outcome.pages, outcome.by_t38), (0, 1, true), "{outcome:?}");
    let list = kept(&server, 1);
    assert_eq!(list[0]["medium"], "t38", "{list:?}");
    assert_same(&fetched(&server, list[0]["id"].as_str().expect("an id")), &pages);
}
