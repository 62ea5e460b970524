//! The table of faxes, all at once through the running server with machines that nobody here wrote:
//! each way of a fax with each modem, with and without error correction, and each kind of page, so
//! that every two of these meet. What comes is what was sent, to the picture element.
#![allow(clippy::indexing_slicing, reason = "a panic is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use koukan_e2e::fax::{
    Adapter, Line, Modem, Outcome, Sending, T38, Taking, page, pages_of_pdf, received,
};
use koukan_e2e::server::{Server, binary};
use koukan_e2e::wait::wait_for;
use koukan_fax::render::{Options, render};
use koukan_fax::{Bitmap, EncodedPage, Resolution, tiff};
use serde_json::Value;

/// All of them begin together, on a machine that has other work.
const LIMIT: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    ReceiveAudio,
    ReceiveT38,
    SendAudio,
    SendT38,
    /// An adapter with T.38, a trunk in audio.
    GatewayToAudio,
    /// An adapter in audio, a trunk with T.38.
    GatewayToT38,
}

const WAYS: [Way; 6] = [
    Way::ReceiveAudio,
    Way::ReceiveT38,
    Way::SendAudio,
    Way::SendT38,
    Way::GatewayToAudio,
    Way::GatewayToT38,
];

/// V.17, V.29, V.27ter: what a machine can that can no faster one.
const KINDS: [(&str, &str); 3] = [("V.17", "7"), ("V.29", "3"), ("V.27ter", "1")];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pages {
    Text,
    Dense,
    Blank,
    Long,
    B4,
    Mixed,
}

const PAGES: [Pages; 6] =
    [Pages::Text, Pages::Dense, Pages::Blank, Pages::Long, Pages::B4, Pages::Mixed];

/// One line of the table.
#[derive(Clone, Copy, Debug)]
struct Row {
    number: usize,
    way: Way,
    kind: (&'static str, &'static str),
    ecm: bool,
    pages: Pages,
}

impl Row {
    fn modem(self) -> Modem {
        Modem { kinds: self.kind.1, ecm: self.ecm }
    }

    /// The number of its own that this fax goes to, or comes from.
    fn outside(self) -> String {
        format!("04555512{:02}", self.number)
    }
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (at, way) in WAYS.into_iter().enumerate() {
        for (of, pages) in PAGES.into_iter().enumerate() {
            let (kind, ecm) = (KINDS[(at + of) % 3], (at + of) % 2 == 0);
            rows.push(Row { number: rows.len(), way, kind, ecm, pages });
        }
    }
    rows
}

#[test]
fn every_two_values_of_the_table_meet_in_a_line() {
    let pairs = |left: fn(&Row) -> String, right: fn(&Row) -> String| {
        rows().iter().map(|row| (left(row), right(row))).collect::<BTreeSet<_>>().len()
    };
    let way = |row: &Row| format!("{:?}", row.way);
    let kind = |row: &Row| row.kind.0.to_owned();
    let ecm = |row: &Row| row.ecm.to_string();
    let pages = |row: &Row| format!("{:?}", row.pages);
    assert_eq!((pairs(way, kind), pairs(way, ecm), pairs(way, pages)), (18, 12, 36));
    assert_eq!((pairs(kind, ecm), pairs(kind, pages), pairs(ecm, pages)), (6, 18, 12));
}

/// A tint: much code for its size.
fn dense(width: u32, height: u32) -> Bitmap {
    let mut page = Bitmap::white(width, height);
    for y in 0..height {
        for x in 0..width {
            if (x % 6).abs_diff(3) + (y % 6).abs_diff(3) < x * 5 / width {
                page.set_black(x, y);
            }
        }
    }
    page
}

/// Lines of words at the top of a page of this size.
fn words(width: u32, height: u32) -> Bitmap {
    let (text, mut sheet) = (page(1, 120), Bitmap::white(width, height));
    for y in 0..120 {
        for x in 0..1_700 {
            if text.is_black(x, y) {
                sheet.set_black(x, y);
            }
        }
    }
    sheet
}

fn drawn(pages: Pages) -> Vec<(Bitmap, Resolution)> {
    match pages {
        Pages::Text => vec![(page(1, 500), Resolution::Fine)],
        Pages::Dense => vec![(dense(1_728, 100), Resolution::Fine)],
        Pages::Blank => vec![(Bitmap::white(1_728, 1_100), Resolution::Standard)],
        Pages::Long => vec![(words(1_728, 4_000), Resolution::Fine)],
        Pages::B4 => vec![(words(2_048, 700), Resolution::Fine)],
        Pages::Mixed => vec![
            (words(1_728, 300), Resolution::Standard),
            (words(1_728, 300), Resolution::Fine),
            (words(1_728, 300), Resolution::Superfine),
        ],
    }
}

fn coded(pages: &[(Bitmap, Resolution)]) -> Vec<u8> {
    let coded = |(page, resolution): &(Bitmap, Resolution)| EncodedPage::t6(page, resolution.dpi());
    tiff::write(&pages.iter().map(coded).collect::<Vec<_>>())
}

/// What a document is drawn as, without a header line.
fn as_sent(document: &[u8]) -> Vec<Bitmap> {
    let pages = render(document, &Options::default(), None).expect("it can be sent");
    pages.iter().map(|page| page.decode().expect("our own code")).collect()
}

fn office() -> Server {
    let server = Server::start("fax-matrix").expect("the server starts");
    let file = server.directory.join("conf/tenants/acme/office.toml");
    let text = fs::read_to_string(&file).expect("the sample");
    let number = "ring = { devices = [\"A\", \"B\", \"C\"], strategy = \"all\" }\nmode = \"ring\"";
    let for_faxes =
        format!("{number}\noptions = [\"fax\"]\nfax = {{ box = \"main\", detect = \"only\" }}");
    let changed = text
        .replace(number, &for_faxes)
        .replace("channels = \"per-id\"", "channels = 90")
        .replace("channels = 30", "channels = 90");
    assert!(changed.matches("channels = 90").count() == 2 && changed.contains("detect = \"only\""));
    fs::write(&file, format!("{changed}\n[fax_box.main]\n")).expect("it is written");
    // The sample's caps against fraud let six calls out at once.
    fs::remove_file(file.with_file_name("limits.toml")).expect("the sample has caps");
    fs::remove_file(file.with_file_name("expect.toml")).expect("the sample has expectations");
    server.ctl(&["reload", "acme"]).expect("it is in order");
    server
}

fn koukan(server: &Server, arguments: &[&str]) -> Value {
    let socket = server.directory.join("data/koukan.sock");
    let mut command = Command::new(binary("koukan").expect("it is built"));
    command.arg("fax").arg("--socket").arg(socket).arg("--json").args(arguments);
    let done = command.output().expect("it runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap_or(Value::Null)
}

/// The pages of the fax that came from this number.
fn kept(server: &Server, caller: &str) -> Vec<Bitmap> {
    let found = wait_for(LIMIT, || {
        let list = koukan(server, &["list", "acme"]);
        let fax = list.as_array()?.iter().find(|fax| fax["caller"] == caller)?.clone();
        Some(fax["id"].as_str()?.to_owned())
    });
    let id = found.expect("it is kept");
    let file = server.directory.join(format!("{id}.pdf"));
    koukan(server, &["get", "acme", &id, &file.to_string_lossy()]);
    pages_of_pdf(&file).expect("pdfimages reads it")
}

/// How a fax went: how long it took, or what was wrong.
fn run(server: &Server, line: &Line, adapter: &Adapter, row: Row) -> Result<f64, String> {
    let pages = drawn(row.pages);
    let name = |what: &str| server.directory.join(format!("{what}-{}.tif", row.number));
    let (file, came) = (name("sent"), name("came"));
    fs::write(&file, coded(&pages)).map_err(|error| error.to_string())?;
    let plain: Vec<Bitmap> = pages.iter().map(|(page, _)| page.clone()).collect();
    let number = row.outside();
    let from = |t38| Sending {
        from: &number,
        modem: row.modem(),
        ..Sending::new("0312340002", &file, t38)
    };
    let to = |t38| Taking { modem: row.modem(), ..Taking::new(&came, t38) };
    let words = |error: std::io::Error| error.to_string();
    match row.way {
        Way::ReceiveAudio | Way::ReceiveT38 => {
            let by_t38 = row.way == Way::ReceiveT38;
            let t38 = if by_t38 { T38::Takes } else { T38::Refuses };
            let outcome = line.send(server, &from(t38)).map_err(words)?;
            ended(outcome, by_t38)?;
            same(&kept(server, &number), &plain)?;
            Ok(outcome.seconds)
        }
        Way::SendAudio | Way::SendT38 => {
            let by_t38 = row.way == Way::SendT38;
            let path = file.to_string_lossy();
            let order = ["send", "acme", &*path, "--to", &number, "--no-wait", "--no-header"];
            koukan(server, &order);
            let t38 = if by_t38 { T38::Takes } else { T38::Refuses };
            let outcome = line.take_for(server, &number, &to(t38), LIMIT).map_err(words)?;
            ended(outcome, by_t38)?;
            same(&came_in(&came)?, &as_sent(&fs::read(&file).map_err(|e| e.to_string())?))?;
            Ok(outcome.seconds)
        }
        Way::GatewayToAudio | Way::GatewayToT38 => {
            let by_t38 = row.way == Way::GatewayToAudio;
            let (sends, takes) =
                if by_t38 { (T38::Asks, T38::Refuses) } else { (T38::Refuses, T38::Asks) };
            let sending = Sending { number: &number, ..from(sends) };
            let (sent, taken) = thread::scope(|scope| {
                let taken = scope.spawn(|| line.take_for(server, &number, &to(takes), LIMIT));
                (adapter.send(server, &sending), taken.join())
            });
            let sent = sent.map_err(words)?;
            let taken = taken.map_err(|_| "a panic".to_owned())?.map_err(words)?;
            ended(sent, by_t38)?;
            ended(taken, !by_t38)?;
            same(&came_in(&came)?, &plain)?;
            Ok(sent.seconds)
        }
    }
}

fn came_in(file: &Path) -> Result<Vec<Bitmap>, String> {
    received(file).map_err(|error| error.to_string())
}

fn ended(outcome: Outcome, by_t38: bool) -> Result<(), String> {
    let good = outcome.code == 0 && outcome.by_t38 == by_t38;
    if good { Ok(()) } else { Err(format!("{outcome:?}")) }
}

fn same(came: &[Bitmap], sent: &[Bitmap]) -> Result<(), String> {
    let size = |pages: &[Bitmap]| {
        pages.iter().map(|page| (page.width(), page.height())).collect::<Vec<_>>()
    };
    if size(came) != size(sent) {
        return Err(format!("{:?} came, {:?} were sent", size(came), size(sent)));
    }
    let differ = came.iter().zip(sent).position(|(came, sent)| came != sent);
    differ.map_or(Ok(()), |page| Err(format!("page {} differs", page + 1)))
}

#[test]
fn every_way_modem_correction_and_kind_of_page_at_once_arrives_as_it_was_sent() {
    let server = office();
    let line = Line::open(&server).expect("the port is free");
    let adapter = Adapter::register(&server, 'E').expect("it is let in");
    let begun = Instant::now();
    let (server, line, adapter) = (&server, &line, &adapter);
    let outcomes: Vec<(Row, Result<f64, String>)> = thread::scope(|scope| {
        let started: Vec<_> = rows()
            .into_iter()
            .map(|row| {
                // Calls come one behind the other, as from different people.
                thread::sleep(Duration::from_millis(150));
                (row, scope.spawn(move || run(server, line, adapter, row)))
            })
            .collect();
        let wait = |(row, thread): (Row, thread::ScopedJoinHandle<'_, _>)| {
            (row, thread.join().unwrap_or_else(|_| Err("a panic".to_owned())))
        };
        started.into_iter().map(wait).collect()
    });
    println!("| way | modem | ECM | pages | outcome |\n| --- | --- | --- | --- | --- |");
    for (row, outcome) in &outcomes {
        let ecm = if row.ecm { "on" } else { "off" };
        let said = match outcome {
            Ok(seconds) => format!("{seconds:.1} s"),
            Err(words) => format!("FAIL {words}"),
        };
        println!("| {:?} | {} | {ecm} | {:?} | {said} |", row.way, row.kind.0, row.pages);
    }
    println!("{} faxes in {:.0} s", outcomes.len(), begun.elapsed().as_secs_f64());
    let failed = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).count();
    assert_eq!(failed, 0, "{}", server.log_tail());
    server.wait_empty(Duration::from_secs(60)).expect("nothing is left");
}
