//! Mixed load under `kill -9`: phones register, call and leave messages, documents are handed in,
//! settings are flipped, and the server is killed at random moments. Whatever it has acknowledged
//! must be there after every start: the checker counts it and names what is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::caller::{Caller, Ended};
use crate::garbage::Dice;
use crate::office::user;
use crate::server::{PASSWORD, Server, binary};

/// What the server has promised.
#[derive(Debug, Default)]
struct Promised {
    /// User and contact of registrations that were answered with 200.
    registrations: BTreeSet<(String, String)>,
    /// Values that were set; several when an answer did not come, one of which must stand.
    settings: BTreeMap<&'static str, BTreeSet<String>>,
    /// SIP Call-IDs of calls that were answered.
    calls: BTreeSet<String>,
    /// Messages whose taking was confirmed to the caller.
    messages: usize,
    /// Documents that were taken.
    faxes: BTreeSet<String>,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The account, for people.
    pub text: String,
    /// What is lost.
    pub faults: Vec<String>,
}

/// The server's addresses, for whoever has to do with it while it may be dead.
struct Target {
    sip: SocketAddr,
    carrier: u16,
    directory: PathBuf,
    stop: AtomicBool,
    promised: Mutex<Promised>,
}

/// Places of each user.
const PLACES: u16 = 8;

/// As many messages as a box holds (S-47).
const MESSAGES: usize = 15;

/// Runs the load for `length`, with a kill every `every` on average.
///
/// # Errors
/// The server does not start, or not again.
pub fn run(length: Duration, every: Duration, seed: u64) -> io::Result<Report> {
    let lines = "[defence]\ntrusted = [\"127.0.0.0/8\"]\n";
    let mut server = Server::start_also("killing", &[], lines)?;
    prepare(&server)?;
    let target = Target {
        sip: server.sip,
        carrier: server.trunk_port,
        directory: server.directory.clone(),
        stop: AtomicBool::new(false),
        promised: Mutex::default(),
    };
    let mut dice = Dice(seed);
    let begun = Instant::now();
    let mut kills = 0_u32;
    let mut faults = Vec::new();
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| register(&target));
        scope.spawn(|| set(&target));
        scope.spawn(|| call(&target));
        scope.spawn(|| leave_messages(&target));
        scope.spawn(|| hand_in(&target));
        let mut outcome = Ok(());
        while begun.elapsed() < length && outcome.is_ok() && faults.is_empty() {
            let spread = usize::try_from(every.as_millis()).unwrap_or(60_000);
            let pause = u64::try_from(spread / 2 + dice.roll(spread.max(1))).unwrap_or(60_000);
            std::thread::sleep(Duration::from_millis(pause));
            // Nobody is told anything between the kill and the look at what was promised.
            let promised = target.lock();
            outcome = server.kill().and_then(|()| server.run());
            kills += 1;
            if outcome.is_ok() {
                check(&target, &promised, &mut faults);
            }
        }
        target.stop.store(true, Ordering::Relaxed);
        outcome
    });
    outcome?;
    let promised = target.lock();
    check(&target, &promised, &mut faults);
    let text = format!(
        "{:.0} s, {kills} times killed and started again; acknowledged and there: {} messages, \
         {} faxes, {} records of calls, {} settings, {} registrations\n",
        begun.elapsed().as_secs_f64(),
        promised.messages,
        promised.faxes.len(),
        promised.calls.len(),
        promised.settings.len(),
        promised.registrations.len(),
    );
    Ok(Report { text, faults })
}

/// Boxes for messages and faxes, and as many channels as the load may want.
fn prepare(server: &Server) -> io::Result<()> {
    let office = server.directory.join("conf/tenants/acme/office.toml");
    let text = fs::read_to_string(&office)?;
    let places = |text: String, device: &str| {
        text.replace(device, &format!("{device}\ncontacts = {PLACES}"))
    };
    let text = places(places(text, "[device.E]"), "[device.F]");
    let support = "ring = { devices = [\"D\", \"E\"], strategy = \"all\", timeout = \"30s\" }";
    let lines = "options = [\"voicemail\"]\nvoicemail = { box = \"support\", after = \"5s\" }";
    let text = text
        .replace("\"per-id\"", "100")
        .replace(
            "\nbusy_announcement",
            "\noptions = [\"fax\"]\nfax = { box = \"main\" }\n\
                 busy_announcement",
        )
        .replace(support, &format!("{}\n{lines}", support.replace(", timeout = \"30s\"", "")));
    let boxes = "[voicemail_box.support]\nmax_message = \"5s\"\n[fax_box.main]\n";
    fs::write(&office, format!("{text}\n{boxes}"))?;
    let _ = fs::remove_file(office.with_file_name("expect.toml"));
    server.ctl(&["reload"]).map(drop)
}

impl Target {
    fn lock(&self) -> MutexGuard<'_, Promised> {
        self.promised.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn koukan(&self, arguments: &[&str]) -> io::Result<Value> {
        let (command, rest) = arguments.split_first().unwrap_or((&"ctl", &[]));
        let output = Command::new(binary("koukan")?)
            .arg(command)
            .arg("--socket")
            .arg(self.directory.join("data/koukan.sock"))
            .arg("--json")
            .args(rest)
            .output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        serde_json::from_slice(&output.stdout).map_err(io::Error::other)
    }
}

fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// Two users, each at several places in turn.
fn register(target: &Target) {
    for turn in 0_u16.. {
        if !target.goes_on() {
            break;
        }
        let who = user(if turn.is_multiple_of(2) { 'E' } else { 'F' });
        let Ok(mut phone) = Caller::new(target.sip, &who, PASSWORD, 0) else { continue };
        let contact = format!("sip:{who}@127.0.0.1:{}", 40_000 + turn % PLACES);
        if phone.register(&contact, 3_600).is_ok_and(|status| status == 200) {
            target.lock().registrations.insert((who, contact));
        }
        pause(400);
    }
}

/// One live setting after the other.
fn set(target: &Target) {
    const KEYS: [&str; 2] = ["A.caller_id", "B.caller_id"];
    for turn in 0_usize.. {
        if !target.goes_on() {
            break;
        }
        let key = KEYS[turn % 2];
        let value = ["number1", "number2", "number3"][turn % 3];
        // Before the order: whoever dies in between may have done it.
        target.lock().settings.entry(key).or_default().insert(value.to_owned());
        if target.koukan(&["ctl", "set", "acme", key, value]).is_ok() {
            target.lock().settings.insert(key, BTreeSet::from([value.to_owned()]));
        }
        pause(700);
    }
}

/// Calls to the echo that last a second or two.
fn call(target: &Target) {
    for turn in 0_u64.. {
        if !target.goes_on() {
            break;
        }
        let Ok(mut phone) = Caller::new(target.sip, &user('A'), PASSWORD, 0) else { continue };
        if let Ok(Some(answered)) = phone.call("600") {
            target.lock().calls.insert(answered.call_id.clone());
            phone.talk(&answered, Duration::from_millis(500 + turn % 4 * 500), |_| ());
            phone.hang_up(&answered);
        }
        pause(200);
    }
}

/// The carrier calls a number that nobody answers, hears the greeting and speaks until the box
/// thanks and hangs up, which takes half a minute.
fn leave_messages(target: &Target) {
    while target.goes_on() && target.lock().messages < MESSAGES {
        let Ok(mut carrier) = Caller::new(target.sip, "0455550001", "", target.carrier) else {
            pause(500);
            continue;
        };
        if let Ok(Some(answered)) = carrier.call("0312340003") {
            target.lock().calls.insert(answered.call_id.clone());
            let mut confirmed = false;
            let ended = carrier.talk(&answered, Duration::from_secs(60), |end| {
                if end == Ended::ByServer {
                    // Counted before the server can be killed: its thanks were heard.
                    target.lock().messages += 1;
                    confirmed = true;
                }
            });
            if ended == Ended::ByUs && !confirmed {
                carrier.hang_up(&answered);
            }
        }
        pause(500);
    }
}

/// A document for a machine that is never there.
fn hand_in(target: &Target) {
    let file = target.directory.join("letter.txt");
    if fs::write(&file, "A letter that waits for its machine.\n").is_err() {
        return;
    }
    while target.goes_on() {
        let path = file.to_string_lossy().into_owned();
        let order = ["fax", "send", "acme", &path, "--to", "0355559999", "--no-wait"];
        if let Ok(taken) = target.send(&order) {
            target.lock().faxes.extend(taken);
        }
        for _ in 0..40 {
            if target.goes_on() {
                pause(250);
            }
        }
    }
}

impl Target {
    /// The id of a document that was taken.
    fn send(&self, arguments: &[&str]) -> io::Result<Option<String>> {
        let (command, rest) = arguments.split_first().unwrap_or((&"fax", &[]));
        let output = Command::new(binary("koukan")?)
            .arg(command)
            .arg("--socket")
            .arg(self.directory.join("data/koukan.sock"))
            .args(rest)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let id = text.split_whitespace().next().map(str::to_owned);
        Ok(id.filter(|_| output.status.success()))
    }
}

/// Holds what is there against what was promised.
fn check(target: &Target, promised: &Promised, faults: &mut Vec<String>) {
    let mut ask = |arguments: &[&str]| match target.koukan(arguments) {
        Ok(value) => value,
        Err(error) => {
            faults.push(format!("{arguments:?}: {error}"));
            Value::Null
        }
    };
    let registrations = ask(&["ctl", "registrations"]);
    let cdrs = ask(&["ctl", "cdrs", "--limit", "10000"]);
    let faxes = ask(&["fax", "list", "acme", "--sent"]);
    let settings: Vec<(&str, Value)> =
        promised.settings.keys().map(|key| (*key, ask(&["ctl", "get", "acme", key]))).collect();
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let bound: BTreeSet<(String, String)> = list(&registrations)
        .iter()
        .map(|known| (text(known, "user"), text(known, "contact")))
        .collect();
    let lost = promised.registrations.difference(&bound);
    faults.extend(lost.map(|lost| format!("a registration is lost: {lost:?}")));
    let known: BTreeSet<String> = list(&cdrs)
        .iter()
        .flat_map(|cdr| list(&cdr["legs"]))
        .map(|leg| text(&leg, "call_id"))
        .collect();
    let lost = promised.calls.difference(&known);
    faults.extend(lost.map(|lost| format!("the record of a call is lost: {lost}")));
    let there: BTreeSet<String> = list(&faxes).iter().map(|fax| text(fax, "id")).collect();
    let lost = promised.faxes.difference(&there);
    faults.extend(lost.map(|lost| format!("a fax is lost: {lost}")));
    for (key, value) in settings {
        let value = text(&value, "value");
        let allowed = promised.settings.get(key).cloned().unwrap_or_default();
        if !allowed.contains(&value) {
            faults.push(format!("{key} is {value}, and one of {allowed:?} was acknowledged"));
        }
    }
    let messages = messages(&target.directory);
    if messages < promised.messages {
        let promised = promised.messages;
        faults.push(format!("{messages} messages are there, {promised} were acknowledged"));
    }
}

/// Messages whose sound is there.
fn messages(directory: &Path) -> usize {
    let place = directory.join("data/objects/voicemail/acme");
    let files = fs::read_dir(place).into_iter().flatten().flatten();
    files.filter(|file| file.metadata().is_ok_and(|data| data.len() > 8_000)).count()
}
