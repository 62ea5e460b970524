//! Faxes that go (S-34 to S-37), taken by a machine that nobody here wrote: it receives what was
//! drawn, to the picture element; what breaks off goes on at the first page that it has not
//! confirmed, also behind a kill of the server.
#![allow(clippy::indexing_slicing, reason = "a panic is a failed test")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use koukan_e2e::capture::Capture;
use koukan_e2e::fax::{Line, Outcome, T38, Taking, page, received, written};
use koukan_e2e::server::{Server, binary};
use koukan_e2e::smtp::MailSink;
use koukan_e2e::wait::wait_for;
use koukan_fax::render::{Options, render};
use koukan_fax::{Bitmap, EncodedPage, Resolution, Stamp, pdf, picture};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);
const TO: &str = "0355551234";

/// The office whose second number has a box that tries again soon.
fn office(name: &str) -> Server {
    let server = Server::start(name).expect("the server starts");
    let file = server.directory.join("conf/tenants/acme/office.toml");
    let text = fs::read_to_string(&file).expect("the sample");
    let number = "ring = { devices = [\"A\", \"B\", \"C\"], strategy = \"all\" }\nmode = \"ring\"";
    assert!(text.contains(number), "the sample has no {number}");
    let for_faxes =
        format!("{number}\noptions = [\"fax\"]\nfax = {{ box = \"main\", detect = \"only\" }}");
    let mailbox = "[fax_box.main]\nnotify = [\"office@example.jp\"]\nsend = { after = { \
                   busy = [\"1s\", \"1s\", \"1s\"], transmission = [\"1s\", \"1s\", \"1s\"] } }\n";
    let text = format!("{}\n{mailbox}", text.replace(number, &for_faxes));
    fs::write(&file, text).expect("it is written");
    // They expect of the second number that it rings.
    fs::remove_file(file.with_file_name("expect.toml")).expect("the sample has expectations");
    server.ctl(&["reload", "acme"]).expect("it is in order");
    server
}

fn koukan(server: &Server, arguments: &[&str]) -> Command {
    let socket = server.directory.join("data/koukan.sock");
    let mut command = Command::new(binary("koukan").expect("it is built"));
    command.arg("fax").arg("--socket").arg(socket);
    command.args(arguments);
    command
}

fn asked(server: &Server, arguments: &[&str]) -> Value {
    let mut all = vec!["--json"];
    all.extend(arguments);
    let done = koukan(server, &all).output().expect("it runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap_or(Value::Null)
}

/// Hands a document in, and does not wait; its id.
fn hand_in(server: &Server, file: &Path, more: &[&str]) -> String {
    let file = file.to_string_lossy();
    let mut arguments = vec!["send", "acme", &*file, "--to", TO, "--no-wait"];
    arguments.extend(more);
    let view = asked(server, &arguments);
    view["id"].as_str().expect("an id").to_owned()
}

/// What is known of a fax once it is in this state.
fn shown(server: &Server, id: &str, state: &str) -> Value {
    let found = wait_for(LIMIT, || {
        let view = asked(server, &["show", "acme", id]);
        (view["state"] == state).then_some(view)
    });
    found.unwrap_or_else(|| {
        panic!("not {state}: {}\n{}", asked(server, &["show", "acme", id]), server.log_tail())
    })
}

fn paper(server: &Server, pages: &[Bitmap]) -> PathBuf {
    let file = server.directory.join("document.tif");
    written(&file, pages, Resolution::Fine).expect("it is written");
    file
}

fn taking(file: &Path, t38: T38) -> Taking<'_> {
    Taking::new(file, t38)
}

fn takes(server: &Server, line: &Line, taking: &Taking<'_>) -> Outcome {
    let outcome = line.take(server, taking, LIMIT);
    let outcome = outcome.unwrap_or_else(|error| panic!("{error}\n{}", server.log_tail()));
    println!("{outcome:?}");
    outcome
}

fn assert_same(file: &Path, sent: &[Bitmap]) {
    let came = received(file).expect("it was received");
    assert_eq!(came.len(), sent.len(), "pages");
    for (number, (came, sent)) in came.iter().zip(sent).enumerate() {
        assert_eq!((came.width(), came.height()), (sent.width(), sent.height()), "page {number}");
        assert!(came == sent, "page {number} differs");
    }
}

/// What a document is drawn as, without a header line.
fn drawn(document: &[u8]) -> Vec<Bitmap> {
    let pages = render(document, &Options::default(), None).expect("it can be sent");
    pages.iter().map(|page| page.decode().expect("our own code")).collect()
}

/// `koukan fax send` says how far it is, page by page, and ends with the fax.
#[test]
fn s_34_a_document_goes_over_g711_page_by_page_and_arrives_as_it_was() {
    let server = office("fax-send");
    let mails = MailSink::start(server.smtp_port).expect("the port is free");
    let line = Line::open(&server).expect("the port is free");
    let pages = [page(1, 500), page(2, 300)];
    let (file, came) = (paper(&server, &pages), server.directory.join("came.tif"));
    let name = file.to_string_lossy().into_owned();
    let from = ["--from", "0312340002", "--no-header"];
    let mut command = koukan(&server, &["send", "acme", &name, "--to", "03-5555-1234"]);
    let child = command.args(from).stdout(std::process::Stdio::piped()).spawn().expect("it runs");
    let outcome = takes(&server, &line, &taking(&came, T38::Refuses));
    assert_eq!((outcome.code, outcome.pages, outcome.by_t38), (0, 2, false), "{outcome:?}");
    let Output { status, stdout, .. } = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&stdout);
    println!("{said}");
    assert!(status.success(), "{said}");
    for part in [
        "2 pages, about",
        "0 of 2 pages are confirmed. (14400 bit/s over G.711)",
        "1 of 2 pages are confirmed.",
        "The fax was sent: 2 pages at 14400 bit/s.",
    ] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    assert_same(&came, &pages);
    let list = asked(&server, &["list", "acme", "--sent"]);
    let view = &list[0];
    assert_eq!((&view["state"], &view["attempts"]), (&"done".into(), &1.into()), "{view}");
    assert_eq!((&view["station"], &view["from"]), (&"0.0.6".into(), &"0312340002".into()));
    let call = view["calls"][0].as_str().expect("a call");
    let why = server.ctl(&["why", call]).expect("it is known").to_string();
    for part in ["asked by fax", "page 2 is there, the other machine confirms it", "T.38: 488"] {
        assert!(why.contains(part), "no {part} in {why}");
    }
    let mail = wait_for(LIMIT, || mails.mails().first().cloned()).expect("a mail");
    assert!(mail.contains("image/jpeg") && mail.contains("To: office@example.jp"), "{mail}");
    server.wait_empty(LIMIT).expect("nothing is left");
}

/// PDF, JPEG, PNG and text become pages; T.38 is asked for by us, and by the other side.
#[test]
fn s_34_documents_of_every_kind_go_over_t38_and_arrive_as_they_were_drawn() {
    let server = office("fax-send-t38");
    let line = Line::open(&server).expect("the port is free");
    let came = server.directory.join("came.tif");
    let sheet = page(3, 700);
    let coded = [EncodedPage::t6(&sheet, Resolution::Fine.dpi())];
    let about = pdf::About { title: "a document", came: Stamp::default(), truncated: None };
    let documents = [
        ("pdf", pdf::wrap(&coded, &about), T38::Takes),
        ("jpg", picture::jpeg(&sheet, Resolution::Fine.dpi()).expect("a picture"), T38::Asks),
    ];
    for (kind, document, t38) in documents {
        let file = server.directory.join(format!("document.{kind}"));
        fs::write(&file, &document).expect("it is written");
        let id = hand_in(&server, &file, &["--no-header"]);
        let outcome = takes(&server, &line, &taking(&came, t38));
        assert_eq!((outcome.code, outcome.pages, outcome.by_t38), (0, 1, true), "{outcome:?}");
        let view = shown(&server, &id, "done");
        assert_eq!((&view["medium"], &view["confirmed"]), (&"t38".into(), &1.into()), "{view}");
        assert_same(&came, &drawn(&document));
    }
}

/// S-36: once, and three times more; then the failure is told.
#[test]
fn s_36_a_busy_line_is_called_four_times_and_a_failure_is_mailed() {
    let server = office("fax-send-busy");
    let mails = MailSink::start(server.smtp_port).expect("the port is free");
    let line = Line::open(&server).expect("the port is free");
    let file = paper(&server, &[page(1, 300)]);
    let id = hand_in(&server, &file, &[]);
    for _ in 0..4 {
        let called = line.refuse(&server, "486 Busy Here", LIMIT).expect("it calls");
        assert_eq!(called, TO);
    }
    let view = shown(&server, &id, "failed");
    let words = "The fax was not sent after 4 attempts: the line was busy.";
    assert_eq!((&view["result"], &view["attempts"]), (&words.into(), &4.into()), "{view}");
    assert!(line.is_quiet(Duration::from_secs(3)).expect("it listens"), "a fifth call");
    let mail = wait_for(LIMIT, || mails.mails().first().cloned()).expect("a mail");
    assert!(mail.contains("To: office@example.jp"), "{mail}");
}

/// S-34, S-35: what cannot be sent is refused before anything is dialled, in a sentence.
#[test]
fn s_35_what_cannot_be_sent_is_refused_before_anything_is_dialled() {
    let server = office("fax-send-refused");
    let line = Line::open(&server).expect("the port is free");
    let many: Vec<Bitmap> = (0..11).map(|seed| page(seed, 100)).collect();
    let coded = [EncodedPage::t6(&page(1, 500), Resolution::Fine.dpi())];
    let about = pdf::About { title: "a document", came: Stamp::default(), truncated: None };
    let whole = pdf::wrap(&coded, &about);
    let mut large = whole.clone();
    large.resize(10_000_001, b' ');
    let cases: [(&str, Vec<u8>, &str); 4] = [
        ("large", large, "the document has 10000001 bytes, 10000000 are allowed"),
        ("cut", whole[..whole.len() / 2].to_vec(), "the document is damaged"),
        ("program", b"\x7fELF\x02\x01\x01\0\0".to_vec(), "no PDF, JPEG, PNG, TIFF or text"),
        ("empty", Vec::new(), "no PDF, JPEG, PNG, TIFF or text"),
    ];
    let refused = |file: &Path, more: &[&str], words: &str| {
        let file = file.to_string_lossy();
        let mut arguments = vec!["send", "acme", &*file];
        arguments.extend(more);
        let done = koukan(&server, &arguments).output().expect("it runs");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!done.status.success() && said.contains(words), "{more:?}: {said}");
    };
    let eleven = server.directory.join("eleven.tif");
    written(&eleven, &many, Resolution::Fine).expect("it is written");
    refused(&eleven, &["--to", TO], "the document has 11 pages, 10 are allowed");
    for (name, document, words) in cases {
        let file = server.directory.join(name);
        fs::write(&file, document).expect("it is written");
        refused(&file, &["--to", TO], words);
    }
    let fine = paper(&server, &[page(1, 300)]);
    refused(&fine, &["--to", "sip:evil@example.com"], "is no number");
    refused(&fine, &["--to", TO, "--from", "0312340001"], "has no fax box");
    refused(&fine, &["--to", TO, "--from", "0312349999"], "is no number of acme");
    // A premium number is refused by the gate: tried once, and not dialled.
    let name = fine.to_string_lossy().into_owned();
    let words = "calls to this number are not allowed here";
    let done = koukan(&server, &["send", "acme", &name, "--to", "0990123456"]).output();
    let done = done.expect("it runs");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && said.contains(words), "{said}");
    assert!(line.is_quiet(Duration::from_secs(2)).expect("it listens"), "somebody was called");
    assert_eq!(asked(&server, &["list", "acme", "--sent"]).as_array().map(Vec::len), Some(1));
}

/// A request of the API: its status and what it says.
fn posted(server: &Server, query: &str, document: &[u8]) -> (u16, String) {
    let socket = server.directory.join("data/koukan.sock");
    let mut stream = UnixStream::connect(socket).expect("it listens");
    let head = format!(
        "POST /v1/tenants/acme/sent-faxes?{query} HTTP/1.1\r\nHost: koukan\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n",
        document.len()
    );
    // In one piece: what is refused by its first line is answered before the rest is read.
    stream.write_all(&[head.as_bytes(), document].concat()).expect("it is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), answer)
}

/// S-37: a document goes to one number.
#[test]
fn s_37_a_document_has_one_destination_and_two_are_refused() {
    let server = office("fax-send-one");
    let line = Line::open(&server).expect("the port is free");
    let document = fs::read(paper(&server, &[page(1, 300)])).expect("it was written");
    for query in ["to=0355551234&to=0355551235", "from=0312340002", "to=0355551234,0355551235"] {
        let (status, answer) = posted(&server, query, &document);
        assert_eq!(status / 100, 4, "{query}: {answer}");
    }
    assert!(line.is_quiet(Duration::from_secs(2)).expect("it listens"), "somebody was called");
    let (status, answer) = posted(&server, "to=0355551234", &document);
    assert_eq!(status, 201, "{answer}");
    line.refuse(&server, "404 Not Found", LIMIT).expect("it calls");
}

/// A disk that does not take the document: 507, and nobody is called.
#[test]
fn a_disk_that_refuses_a_document_is_told_and_nothing_is_dialled() {
    let server = office("fax-send-disk");
    let line = Line::open(&server).expect("the port is free");
    let document = fs::read(paper(&server, &[page(1, 300)])).expect("it was written");
    let spool = server.directory.join("data/fax");
    let aside = spool.with_extension("aside");
    fs::rename(&spool, &aside).expect("it is there");
    fs::write(&spool, b"").expect("a file where the directory is to be");
    let (status, answer) = posted(&server, "to=0355551234", &document);
    assert_eq!(status, 507, "{answer}");
    assert!(line.is_quiet(Duration::from_secs(2)).expect("it listens"), "somebody was called");
    assert_eq!(asked(&server, &["list", "acme", "--sent"]).as_array().map(Vec::len), Some(0));
    fs::remove_file(&spool).expect("it is there");
    fs::rename(&aside, &spool).expect("it is there");
    let (status, answer) = posted(&server, "to=0355551234", &document);
    assert_eq!(status, 201, "{answer}");
    line.refuse(&server, "404 Not Found", LIMIT).expect("it calls");
}

/// S-43: app C has three pages a month; a fax costs 1 for each second begun.
#[test]
fn s_43_pages_of_an_app_are_counted_over_a_kill_and_the_price_says_how_many_were_free() {
    let mut server = office("fax-send-free");
    let office = server.directory.join("conf/tenants/acme/office.toml");
    let text = fs::read_to_string(&office).expect("the sample");
    let rate = "  { leg = \"fax-out\", class = [\"fixed\"], price = \"1\", per = \"1s\" },\n";
    let option = "option.fax3 = { free_pages = 3, per = \"month\", from = [\"app\"] }\n";
    let text = text
        .replacen("]\n# The first ten", &format!("{rate}]\n# The first ten"), 1)
        .replacen("option.free10 =", &format!("{option}option.free10 ="), 1)
        .replacen("[\"free10\"]", "[\"free10\", \"fax3\"]", 1);
    assert!(text.contains(rate) && text.contains(option) && text.contains("\"fax3\"]"));
    fs::write(&office, text).expect("it is written");
    server.ctl(&["reload", "acme"]).expect("it is in order");
    let line = Line::open(&server).expect("the port is free");
    let (file, came) =
        (paper(&server, &[page(1, 200), page(2, 200)]), server.directory.join("c.tif"));
    let charge = |server: &Server, app: &[&str]| {
        let mut more = vec!["--no-header"];
        more.extend(app);
        let id = hand_in(server, &file, &more);
        let outcome = takes(server, &line, &taking(&came, T38::Takes));
        assert_eq!((outcome.code, outcome.pages), (0, 2), "{outcome:?}");
        let call = shown(server, &id, "done")["calls"][0].clone();
        let record = wait_for(LIMIT, || {
            let records = server.ctl(&["cdrs"]).ok()?;
            let mut records = records.as_array()?.iter();
            records.find(|record| record["call"] == call && !record["ended"].is_null()).cloned()
        });
        let record = record.expect("its record");
        let legs = record["legs"].as_array().into_iter().flatten();
        let text = legs.filter_map(|leg| leg["charge"]["text"].as_str()).next();
        let (price, text) = (record["price"].as_str().expect("a price"), text.expect("a charge"));
        println!("{app:?}: {price}, {text}");
        (price.parse::<u32>().expect("whole"), text.to_owned())
    };
    let (price, text) = charge(&server, &["--app", "C"]);
    assert!(price == 0 && text.contains("2 of 2 pages free (fax3)"), "{price}, {text}");
    server.kill().expect("it was killed");
    server.run().expect("it starts again");
    let (half, text) = charge(&server, &["--app", "C"]);
    assert!(half > 0 && text.contains("1 of 2 pages free (fax3)"), "{half}, {text}");
    let (full, text) = charge(&server, &["--app", "C"]);
    assert!(full > half && !text.contains("pages"), "{full}, {text}");
    let (full, text) = charge(&server, &[]);
    assert!(full > half && !text.contains("pages"), "{full}, {text}");
    let wrong =
        koukan(&server, &["send", "acme", &file.to_string_lossy(), "--to", TO, "--app", "A"]);
    let said = { wrong }.output().expect("it runs").stderr;
    assert!(String::from_utf8_lossy(&said).contains("A is no app of acme"));
}

/// The machine confirms one page and hangs up in the second: the next attempt begins there.
#[test]
fn a_fax_that_breaks_off_goes_on_at_the_first_page_that_was_not_confirmed() {
    let server = office("fax-send-resume");
    let line = Line::open(&server).expect("the port is free");
    let pages = [page(1, 200), page(2, 1_000), page(3, 200)];
    let (file, came) = (paper(&server, &pages), server.directory.join("came.tif"));
    let id = hand_in(&server, &file, &["--no-header"]);
    let mut first = taking(&came, T38::Refuses);
    first.hangs_up = Some((1, Duration::from_secs(5)));
    let outcome = takes(&server, &line, &first);
    assert_eq!((outcome.pages, outcome.hung_up), (1, false), "{outcome:?}");
    let outcome = takes(&server, &line, &taking(&came, T38::Refuses));
    assert_eq!((outcome.code, outcome.pages), (0, 2), "{outcome:?}");
    assert_same(&came, &pages[1..]);
    let view = shown(&server, &id, "done");
    assert_eq!((&view["attempts"], &view["confirmed"]), (&2.into(), &3.into()), "{view}");
}

/// A server that is killed goes on with its queue, and a page that was confirmed is not sent again.
#[test]
fn a_server_that_is_killed_in_mid_fax_goes_on_at_its_next_start() {
    let mut server = office("fax-send-kill");
    let line = Line::open(&server).expect("the port is free");
    let pages = [page(1, 200), page(2, 1_000)];
    let (file, came) = (paper(&server, &pages), server.directory.join("came.tif"));
    let id = hand_in(&server, &file, &["--no-header"]);
    let mut first = taking(&came, T38::Refuses);
    first.after = Some((1, Duration::from_secs(5), |server| kill(server, "koukan")));
    first.hangs_up = Some((1, Duration::from_secs(8)));
    let outcome = takes(&server, &line, &first);
    assert_eq!(outcome.pages, 1, "{outcome:?}");
    server.kill().expect("it was killed");
    server.run().expect("it starts again");
    let outcome = takes(&server, &line, &taking(&came, T38::Refuses));
    assert_eq!((outcome.code, outcome.pages), (0, 1), "{outcome:?}");
    assert_same(&came, &pages[1..]);
    let view = shown(&server, &id, "done");
    assert_eq!((&view["attempts"], &view["confirmed"]), (&2.into(), &2.into()), "{view}");
}

/// A worker that dies costs the attempt; the next one goes on behind the confirmed pages.
#[test]
fn a_worker_that_is_killed_in_mid_fax_costs_an_attempt_alone() {
    let mut server = office("fax-send-worker");
    let line = Line::open(&server).expect("the port is free");
    let pages = [page(1, 200), page(2, 1_000)];
    let (file, came) = (paper(&server, &pages), server.directory.join("came.tif"));
    let id = hand_in(&server, &file, &["--no-header"]);
    let mut first = taking(&came, T38::Refuses);
    first.after = Some((1, Duration::from_secs(5), |server| kill(server, "koukan-faxworke")));
    let outcome = takes(&server, &line, &first);
    assert_eq!((outcome.pages, outcome.hung_up), (1, true), "{outcome:?}");
    assert!(server.is_up());
    let outcome = takes(&server, &line, &taking(&came, T38::Refuses));
    assert_eq!((outcome.code, outcome.pages), (0, 1), "{outcome:?}");
    assert_same(&came, &pages[1..]);
    shown(&server, &id, "done");
}

/// `koukan fax cancel` in the middle of a fax, as the wire has it: behind the BYE there is no
/// packet of sound or T.38 and no further call.
#[test]
fn a_fax_that_is_cancelled_is_hung_up_and_nothing_is_sent_behind_its_bye() {
    for (name, t38) in [("fax-cancel-audio", T38::Refuses), ("fax-cancel-t38", T38::Takes)] {
        let server = office(name);
        let line = Line::open(&server).expect("the port is free");
        let (file, came) = (paper(&server, &[page(1, 1_800)]), server.directory.join("came.tif"));
        let media = server.media_ports();
        let capture = Capture::start(&server.directory, server.sip.port(), media);
        let capture = capture.expect("dumpcap runs");
        let id = hand_in(&server, &file, &[]);
        let mut first = taking(&came, t38);
        first.after = Some((0, Duration::from_secs(9), |server| {
            let list = asked(server, &["list", "acme", "--sent"]);
            asked(server, &["cancel", "acme", list[0]["id"].as_str().expect("an id")]);
        }));
        let outcome = takes(&server, &line, &first);
        assert!(outcome.hung_up && outcome.pages == 0, "{outcome:?}");
        assert_eq!(outcome.by_t38, t38 == T38::Takes);
        let view = shown(&server, &id, "failed");
        assert_eq!(view["cause"], "cancelled");
        assert!(line.is_quiet(Duration::from_secs(3)).expect("it listens"));
        let wire = capture.end().expect("the capture ends");
        let times = |filter: &str| -> Vec<f64> {
            let lines = wire.packets(filter, &["frame.time_epoch"]).expect("tshark reads it");
            lines.iter().filter_map(|line| line.trim().parse().ok()).collect()
        };
        let bye = times("sip.Method == \"BYE\"");
        let sent = times(&format!("udp.srcport >= {} && udp.srcport <= {}", media.0, media.1));
        let (bye, last) = (bye[0], sent.iter().copied().fold(0.0, f64::max));
        println!(
            "{name}: {} packets, the last {:.1} ms before the BYE",
            sent.len(),
            (bye - last) * 1e3
        );
        assert!(sent.len() > 100 && last < bye, "{} packets, {last} and {bye}", sent.len());
        let calls = times("sip.Method == \"INVITE\" && sip.CSeq.seq == 1");
        assert!(calls.iter().all(|at| *at < bye), "another call behind it");
    }
}

/// Kills the server, or a child of it.
fn kill(server: &Server, name: &str) {
    let pid = server.pid().expect("it runs");
    let mut killed = 0;
    let mut candidates = vec![pid.to_string()];
    for thread in fs::read_dir(format!("/proc/{pid}/task")).expect("it runs").flatten() {
        let list = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        candidates.extend(list.split_whitespace().map(str::to_owned));
    }
    for candidate in candidates {
        let comm = fs::read_to_string(Path::new("/proc").join(&candidate).join("comm"));
        if comm.is_ok_and(|comm| comm.trim() == name) {
            Command::new("kill").args(["-KILL", &candidate]).status().expect("kill runs");
            killed += 1;
        }
    }
    assert_eq!(killed, 1, "one {name} runs");
}
