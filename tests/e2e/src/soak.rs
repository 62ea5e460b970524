//! Mixed traffic for as long as one likes: phones register, talk, hold and give up, a carrier
//! calls, some are refused, and rubbish comes in between. What the server holds is written down
//! over time; at the end nothing may be left and nothing may have grown.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::garbage::{Dice, by_tcp, torture_messages};
use crate::office::user;
use crate::ports::{free_port, phone_media_block};
use crate::server::{PASSWORD, Server};
use crate::sipp::{Sipp, SippSpec};

/// Rubbish by UDP in a second; a tenth of it comes by TCP too, and as much on the media ports.
const RUBBISH_A_SECOND: u32 = 50;

/// One kind of traffic.
struct Traffic {
    name: &'static str,
    scenario: &'static str,
    /// New ones in a second; none for those that wait to be called.
    rate: u32,
    service: &'static str,
    /// Who does it: fields of sipp's lines.
    fields: Vec<String>,
    /// Whether the port is the carrier's.
    carrier: bool,
}

macro_rules! scenario {
    ($name:literal) => {
        include_str!(concat!("../tests/data/soak/", $name, ".xml"))
    };
}

/// A moment's state of the server.
#[derive(Clone, Debug)]
struct Sample {
    at: Duration,
    rss_kb: u64,
    files: usize,
    status: Value,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The whole account, for people.
    pub text: String,
    /// What is wrong; empty when all is well.
    pub faults: Vec<String>,
}

/// Runs the traffic for `length`, and waits until the server is at rest.
///
/// # Errors
/// The server or sipp does not start.
pub fn run(length: Duration) -> io::Result<Report> {
    // Those who come with a wrong password have the address of all others, and each is to be told;
    // and a machine that stands still for a moment is no overload of the server.
    let lines = "[defence]\ntrusted = [\"127.0.0.0/8\", \"::1\"]\n[limits]\noverload_ms = 10000\n";
    let mut server = Server::start_also("soak", &[], lines)?;
    server.ctl(&["clock", "2026-07-01T10:00:00+09:00"])?;
    // As many channels as the load may ever want: an office whose lines are busy answers 486.
    let office = server.directory.join("conf/tenants/acme/office.toml");
    let text = fs::read_to_string(&office)?.replace("\"per-id\"", "100");
    fs::write(&office, text)?;
    server.ctl(&["reload"])?;
    let begin = Instant::now();
    let stop = AtomicBool::new(false);
    let rubbish = AtomicU64::new(0);
    let messages = torture_messages()?;
    let mut waiting = Vec::new();
    for (devices, traffic) in [(['B'].as_slice(), answering()), (&['C', 'D'], ringing())] {
        let port = free_port();
        let fields = devices.iter().map(|device| line(*device, PASSWORD, 3600)).collect();
        let registering =
            Traffic { name: "registering", scenario: scenario!("register"), fields, ..answering() };
        let length = Duration::from_secs(devices.len() as u64);
        // From the port that they will be called at: that is where the server answers.
        let mut registered = start(&server, &Traffic { rate: 1, ..registering }, port, length)?;
        if !registered.succeeded(Duration::from_secs(10)) {
            return Err(io::Error::other("the phones that wait for calls do not register"));
        }
        waiting.push((traffic.name, start(&server, &traffic, port, length)?));
    }
    let mut active = Vec::new();
    for traffic in traffic() {
        let port = if traffic.carrier { server.trunk_port } else { free_port() };
        active.push((traffic.name, start(&server, &traffic, port, length)?));
    }
    let samples = std::thread::scope(|scope| {
        scope.spawn(|| throw(&server, &messages, &stop, &rubbish));
        let samples = watch(&server, begin, length);
        stop.store(true, Ordering::Relaxed);
        samples
    });
    let mut faults = Vec::new();
    for (name, run) in &mut active {
        if !run.ended(Duration::from_secs(60)) {
            faults.push(format!("{name}: does not come to its end"));
        }
    }
    if !server.is_up() {
        faults.push(format!("the server has ended:\n{}", server.log_tail()));
    }
    if let Err(error) = server.wait_empty(Duration::from_secs(90)) {
        faults.push(error.to_string());
    }
    let text = report(&samples, &mut faults, &server, rubbish.load(Ordering::Relaxed));
    Ok(Report { text, faults })
}

fn answering() -> Traffic {
    let scenario = scenario!("answer");
    let fields = Vec::new();
    Traffic { name: "answering", scenario, rate: 0, service: "phone", fields, carrier: false }
}

fn ringing() -> Traffic {
    Traffic { name: "ringing", scenario: scenario!("ring"), ..answering() }
}

/// A device as sipp's fields: user, credentials, how long it wants to be registered.
fn line(device: char, password: &str, expires: u32) -> String {
    let user = user(device);
    format!("{user};[authentication username={user} password={password}];{expires}")
}

/// Everything that acts by itself; B answers, C and D only ring.
fn traffic() -> Vec<Traffic> {
    let one = |device| vec![line(device, PASSWORD, 120)];
    let active = |name, scenario, rate, service, fields| Traffic {
        name,
        scenario,
        rate,
        service,
        fields,
        carrier: false,
    };
    let registering = ['E', 'F'].map(|device| line(device, PASSWORD, 120)).to_vec();
    let wrong = vec![line('A', "wrong", 120)];
    let mut all = vec![
        active("register", scenario!("register"), 5, "registrar", registering),
        active("echo, hold, resume", scenario!("echo"), 2, "600", one('A')),
        active("carrier calls", scenario!("carrier"), 1, "0312340002", one('A')),
        active("ring and cancel", scenario!("cancel"), 1, "804", one('E')),
        active("unknown extension", scenario!("refused"), 2, "899", one('A')),
        active("wrong password", scenario!("wrong_password"), 1, "registrar", wrong),
    ];
    for traffic in &mut all {
        traffic.carrier = traffic.name == "carrier calls";
    }
    all
}

fn start(server: &Server, traffic: &Traffic, port: u16, length: Duration) -> io::Result<Sipp> {
    let directory = server.directory.join(traffic.name.replace([' ', ','], "-"));
    fs::create_dir_all(&directory)?;
    fs::write(directory.join("voice.ulaw"), [0x55; 8000])?;
    fs::write(
        directory.join("fields.csv"),
        format!("SEQUENTIAL\n{}\n", traffic.fields.join("\n")),
    )?;
    let seconds = u32::try_from(length.as_secs()).unwrap_or(u32::MAX);
    let spec = SippSpec {
        scenario: traffic.scenario,
        server: server.sip,
        port,
        service: traffic.service,
        calls: if traffic.rate == 0 { 1_000_000 } else { traffic.rate.saturating_mul(seconds) },
    };
    let rate = traffic.rate.max(1).to_string();
    let media = phone_media_block().to_string();
    // Without -l sipp begins no more than it expects to run at a time.
    let mut more =
        vec!["-r", &rate, "-l", "1000", "-trace_stat", "-stf", "statistics.csv", "-fd", "10"];
    more.extend(["-mp", &media, "-trace_err"]);
    if traffic.rate > 0 {
        more.extend(["-inf", "fields.csv"]);
    } else {
        // Of two that echo, each would send what the other does, as fast as both can.
        more.push("-rtp_echo");
    }
    Sipp::start_with(&directory, &spec, &more)
}

/// Rubbish at the SIP ports and at the media ports.
fn throw(server: &Server, messages: &[Vec<u8>], stop: &AtomicBool, count: &AtomicU64) {
    let mut dice = Dice(0x5eed_0003);
    let Ok(socket) = UdpSocket::bind("127.0.0.1:0") else { return };
    let (first, last) = server.media_ports();
    while !stop.load(Ordering::Relaxed) {
        let pick = dice.roll(messages.len());
        let message = dice.mutate(&messages[pick]);
        // Loopback refuses what is larger than a datagram; nothing of it is judged here.
        let _ = socket.send_to(&message, server.sip);
        let port = first + u16::try_from(dice.roll(usize::from(last - first))).unwrap_or(0);
        let _ = socket.send_to(&dice.noise(400), ("127.0.0.1", port));
        if count.fetch_add(1, Ordering::Relaxed).is_multiple_of(10) {
            by_tcp(server.sip, &message);
        }
        std::thread::sleep(Duration::from_secs(1) / RUBBISH_A_SECOND);
    }
}

/// Looks at the server until `length` has passed, 60 times at least.
fn watch(server: &Server, begin: Instant, length: Duration) -> Vec<Sample> {
    let step = (length / 60).clamp(Duration::from_secs(1), Duration::from_secs(30));
    let mut samples = Vec::new();
    while begin.elapsed() < length {
        std::thread::sleep(step);
        let (Ok((rss_kb, files)), Ok(status)) = (server.resources(), server.ctl(&["status"]))
        else {
            break;
        };
        samples.push(Sample { at: begin.elapsed(), rss_kb, files, status });
    }
    samples
}

fn report(samples: &[Sample], faults: &mut Vec<String>, server: &Server, rubbish: u64) -> String {
    let mut text = format!(
        "{:>7} {:>8} {:>6} {:>6} {:>7} {:>8} {:>8} {:>8}\n",
        "seconds", "RSS kB", "files", "calls", "streams", "dialogs", "server", "client"
    );
    for sample in samples {
        let table = |name: &str| sample.status["tables"][name].as_u64().unwrap_or(0);
        let line = format!(
            "{:>7} {:>8} {:>6} {:>6} {:>7} {:>8} {:>8} {:>8}",
            sample.at.as_secs(),
            sample.rss_kb,
            sample.files,
            table("calls"),
            table("streams"),
            table("dialogs"),
            table("server_transactions"),
            table("client_transactions"),
        );
        text.push_str(&line);
        text.push('\n');
    }
    let _ = writeln!(text, "rubbish: {rubbish} messages by UDP, as many packets at media ports");
    for (name, successful, failed) in outcomes(server) {
        let _ = writeln!(text, "{name}: {successful} as the scenario says, {failed} not");
        // One in a hundred may meet a machine that leaves sipp without a processor for seconds.
        if failed * 100 > successful {
            faults.push(format!("{name}: {failed} did not go as the scenario says"));
        }
    }
    judge(samples, faults, server, &mut text);
    text
}

/// Memory and descriptors in the run's second fifth beside its last.
fn judge(samples: &[Sample], faults: &mut Vec<String>, server: &Server, text: &mut String) {
    let fifth = samples.len() / 5;
    let mean = |part: &[Sample]| {
        part.iter().map(|sample| sample.rss_kb).sum::<u64>() / (part.len().max(1) as u64)
    };
    let early = samples.get(fifth..2 * fifth).unwrap_or_default();
    let late = samples.get(4 * fifth..).unwrap_or_default();
    let (early_kb, late_kb) = (mean(early), mean(late));
    let most = |part: &[Sample]| part.iter().map(|sample| sample.files).max().unwrap_or(0);
    let _ = writeln!(
        text,
        "RSS: {early_kb} kB in the second fifth, {late_kb} kB in the last; descriptors at most {} \
         and {}",
        most(early),
        most(late)
    );
    if late_kb > early_kb + early_kb / 20 + 2048 {
        faults.push(format!("RSS grew from {early_kb} kB to {late_kb} kB"));
    }
    let first = samples.first().map_or(0, |sample| sample.files);
    match (server.resources(), server.ctl(&["status"])) {
        (Ok((rss, files)), Ok(status)) => {
            let tables = &status["tables"];
            let _ = writeln!(text, "at rest: {rss} kB, {files} descriptors, tables {tables}");
            if files > first + 16 {
                faults.push(format!("{files} descriptors at rest, {first} in the beginning"));
            }
        }
        (Err(error), _) | (_, Err(error)) => faults.push(error.to_string()),
    }
}

/// Successful and failed calls of each sipp, from the last line of its statistics.
fn outcomes(server: &Server) -> Vec<(String, u64, u64)> {
    let mut found = Vec::new();
    let entries = fs::read_dir(&server.directory).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.path().join("statistics.csv")).filter(|p| p.is_file()).collect();
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let mut lines = text.lines();
        let names: Vec<&str> = lines.next().unwrap_or_default().split(';').collect();
        let last: Vec<&str> = lines.next_back().unwrap_or_default().split(';').collect();
        let value = |wanted: &str| {
            let at = names.iter().position(|name| *name == wanted)?;
            last.get(at)?.parse().ok()
        };
        let parent = file.parent().and_then(|directory| directory.file_name());
        let name = parent.unwrap_or_default().to_string_lossy().replace('-', " ");
        found.push((
            name,
            value("SuccessfulCall(C)").unwrap_or(0),
            value("FailedCall(C)").unwrap_or(0),
        ));
    }
    found
}
