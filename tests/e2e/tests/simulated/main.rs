//! The simulation says what the running server does. More than a thousand calls from a seed, in
//! thirty offices of one server, on a test clock that goes through a year: before each call the
//! server is asked what would become of it (`POST /v1/sim`, and the command line's
//! `koukan sim --running`), then it is made. The same devices ring in the same order, the same
//! prompt is heard in the RTP, the carrier is called with the same number and shown the same
//! caller, the same status refuses, and the record of the call has the same charges.

#![expect(
    clippy::indexing_slicing,
    reason = "JSON is indexed by name, offices and phones by their own places; a panic fails"
)]

mod call;
mod dice;
mod office;
mod price;
mod story;

use std::collections::BTreeMap;
use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use koukan_e2e::api::Api;
use koukan_e2e::ear::Ear;
use koukan_e2e::server::{Server, binary};
use koukan_e2e::stations::{Place, Saw, Stations};
use serde_json::{Value, json};

use call::Call;
use dice::{Dice, Drawn};
use office::{DEVICES, Office};
use story::Manner;

const SEED: u64 = 5;
const OFFICES: usize = 30;
const ROUNDS: usize = 12;
/// What is left to be seen when nothing comes.
const TURN: Duration = Duration::from_millis(10);
/// So many calls are asked for through the command line too: each is a process.
const BY_COMMAND_LINE: usize = 25;
/// Seconds of talk, one in the middle of each half minute: no price changes within one.
const TALKS: [u64; 8] = [15, 45, 75, 105, 135, 165, 195, 225];

/// A server with its offices, and the calls that were made.
struct Run {
    server: Server,
    api: Api,
    stations: Stations,
    offices: Vec<Office>,
    /// The office that a station belongs to.
    home: BTreeMap<Place, usize>,
    dice: Dice,
    calls: Vec<Call>,
    /// The call whose phones may be called, by office.
    active: Vec<Option<usize>>,
    /// When the round began, and its date.
    clock: (Instant, Timestamp),
}

impl Run {
    fn start(seed: u64) -> io::Result<Self> {
        let (server, stations, offices) = office::start(OFFICES)?;
        let mut home = BTreeMap::new();
        for (index, office) in offices.iter().enumerate() {
            let phones = (0..DEVICES.len()).map(|device| office.phone(device));
            home.extend(phones.chain([office.carrier]).map(|place| (place, index)));
        }
        Ok(Self {
            api: Api::new(server.directory.join("data/koukan.sock")),
            server,
            stations,
            home,
            dice: Dice::new(seed),
            calls: Vec::new(),
            active: vec![None; offices.len()],
            offices,
            clock: (Instant::now(), Timestamp::UNIX_EPOCH),
        })
    }

    /// The date that the server has, as far as the test knows.
    fn date(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.clock.0.elapsed()).unwrap_or_default();
        self.clock.1.saturating_add(passed).unwrap_or(self.clock.1)
    }

    fn set_clock(&mut self, date: Timestamp) -> io::Result<()> {
        self.api.done("POST", "/v1/clock", Some(&json!({ "date": date.to_string() })))?;
        self.clock = (Instant::now(), date);
        Ok(())
    }

    /// A round: what the customers flipped and who is registered, three calls an office one after
    /// the other, the later ones while the earlier stand.
    fn round(&mut self, date: Timestamp) -> io::Result<()> {
        self.set_clock(date)?;
        self.flip()?;
        self.register()?;
        self.wave(true)?;
        self.wave(false)?;
        self.wave(false)?;
        for call in &mut self.calls {
            call.hang_up(&mut self.stations);
        }
        self.come_to(0)?;
        self.active.fill(None);
        Ok(())
    }

    fn flip(&mut self) -> io::Result<()> {
        for office in &self.offices {
            for _ in 0..self.dice.below(4) {
                let (key, value) = self.dice.flipped();
                let body = json!({ "value": value, "by": "a customer" });
                self.api.done("PUT", &Api::setting(&office.id, key), Some(&body))?;
            }
        }
        Ok(())
    }

    /// About a quarter of the phones is plugged in or out.
    fn register(&mut self) -> io::Result<()> {
        let mut waiting = 0;
        for office in &mut self.offices {
            for device in 0..DEVICES.len() {
                let wanted = self.dice.below(5) > 0;
                if wanted != office.registered[device] && self.dice.below(3) > 0 {
                    office.registered[device] = wanted;
                    self.stations.register(office.phone(device), wanted);
                    waiting += 1;
                }
            }
        }
        let begun = Instant::now();
        while waiting > 0 {
            for (_, saw) in self.stations.turn(TURN)? {
                match saw {
                    Saw::Registered(200) => waiting -= 1,
                    Saw::Registered(status) => {
                        return Err(io::Error::other(format!("REGISTER: {status}")));
                    }
                    _ => {}
                }
            }
            if begun.elapsed() > Duration::from_secs(20) {
                return Err(io::Error::other("the phones do not register"));
            }
        }
        Ok(())
    }

    /// A call of every office, each until nothing more is to come. `neighbours`: some call the
    /// office beside them, which makes none then.
    fn wave(&mut self, neighbours: bool) -> io::Result<()> {
        self.active.fill(None);
        let mut called = None;
        for index in 0..self.offices.len() {
            if called.take() == Some(index) {
                continue;
            }
            let drawn = self.dice.call(&self.offices[index].registered);
            let beside = (index % 2 == 0 && index + 1 < self.offices.len()).then_some(index + 1);
            let neighbour = beside.filter(|_| neighbours && self.dice.below(6) == 0);
            let neighbour = neighbour.filter(|_| drawn.device.is_some());
            called = neighbour;
            self.place(index, neighbour, &drawn)?;
        }
        while self.calls.iter().any(|call| !call.settled) {
            for (place, saw) in self.stations.turn(TURN)? {
                self.dispatch(place, &saw)?;
            }
            for call in self.calls.iter_mut().filter(|call| !call.settled) {
                call.advance(&mut self.stations)?;
            }
        }
        for call in self.calls.iter_mut().filter(|call| call.wrong.is_some()) {
            call.hang_up(&mut self.stations);
        }
        let standing = self.calls.iter().filter(|call| !call.ended).count();
        self.come_to(standing)
    }

    fn dispatch(&mut self, place: Place, saw: &Saw) -> io::Result<()> {
        let Some(home) = self.home.get(&place).copied() else { return Ok(()) };
        let office = self.offices.get(home);
        let active = self.active.get(home).copied().flatten();
        if matches!(saw, Saw::Invited(_)) {
            let active = active.ok_or_else(|| {
                io::Error::other(format!("{place} of office {home} is called by nobody: {saw:?}"))
            })?;
            self.calls[active].see(office, &mut self.stations, (place, saw))?;
            return Ok(());
        }
        // What a round before saw is over.
        for call in self.calls.iter_mut().rev().take(4 * OFFICES) {
            if call.see(office, &mut self.stations, (place, saw))? {
                break;
            }
        }
        Ok(())
    }

    /// Asks what would become of a call, and makes it.
    fn place(&mut self, index: usize, beside: Option<usize>, drawn: &Drawn) -> io::Result<()> {
        let office = &self.offices[index];
        let number = |of: &Office, text: &str| match text.split_once('@') {
            Some(("", place)) => of.did(place.parse().unwrap_or(0)),
            Some((start, place)) => {
                let did = of.did(place.parse().unwrap_or(0));
                format!("{start}{}", did.trim_start_matches('0'))
            }
            None => text.to_owned(),
        };
        let to = match beside {
            Some(beside) => number(&self.offices[beside], self.dice.pick(&["@0", "@1", "@2"])),
            None => number(office, drawn.to),
        };
        let (caller, mut question) = match drawn.device {
            Some(device) => {
                let user = format!("{}-80{}", office.id, device + 1);
                (office.phone(device), json!({ "device": user, "to": to }))
            }
            None => {
                let (tenant, trunk) = (&office.id, "carrier");
                let question =
                    json!({ "from": drawn.from, "to": to, "tenant": tenant, "trunk": trunk });
                (office.carrier, question)
            }
        };
        let mut priced = Vec::new();
        for talk in TALKS {
            question["talk"] = json!(talk);
            priced.push(self.api.done("POST", "/v1/sim", Some(&question))?);
        }
        let simulated = priced.last().cloned().unwrap_or_default();
        if self.calls.len().is_multiple_of(BY_COMMAND_LINE) {
            self.compare_command_line(&question, &simulated)?;
        }
        let timeouts = simulated["steps"].as_array().into_iter().flatten();
        let long = timeouts.filter_map(|step| step["timeout_s"].as_u64()).any(|s| s > 4);
        let manner = match drawn.manner {
            Manner::Waits if long => Manner::Answers,
            // A phone's own forwarding when it is busy is asked for only then.
            Manner::Refuses if forwards_when_busy(&simulated) => Manner::Answers,
            manner => manner,
        };
        let title = format!("call {} at {}: {question}, {manner:?}", self.calls.len(), self.date());
        let ear = Ear::new()?;
        let shown = drawn.device.is_none().then_some(drawn.from);
        let tx = self.stations.call(caller, &to, shown, ear.address()?);
        let story = story::of(&simulated, manner);
        // A phone calls back whom it is shown: of a colleague that is the SIP user.
        let colleague = |shown: &str| shown.starts_with("80");
        let caller_shown = simulated["caller"].as_str().map(|shown| match colleague(shown) {
            true => format!("{}-{shown}", self.offices[index].id),
            false => shown.to_owned(),
        });
        let said = (manner, simulated, priced, caller_shown);
        let call = Call::new(title, said, story, (caller, tx, ear));
        for office in [Some(index), beside].into_iter().flatten() {
            self.active[office] = Some(self.calls.len());
        }
        self.calls.push(call);
        Ok(())
    }

    /// `koukan sim --running --json` says the same.
    fn compare_command_line(&self, question: &Value, simulated: &Value) -> io::Result<()> {
        let mut command = Command::new(binary("koukan")?);
        command.args(["sim", "--running", "--json", "--socket"]);
        command.arg(self.server.directory.join("data/koukan.sock"));
        for (key, value) in question.as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            command.args([format!("--{key}"), value]);
        }
        let output = command.output()?;
        let mut said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let mut wanted = simulated.clone();
        (said["at"], wanted["at"]) = (Value::Null, Value::Null);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said, wanted, "{command:?}\n{complaint}");
        Ok(())
    }

    /// Waits until the server has so many calls.
    fn come_to(&mut self, calls: usize) -> io::Result<()> {
        let begun = Instant::now();
        loop {
            for (place, saw) in self.stations.turn(TURN)? {
                self.dispatch(place, &saw)?;
            }
            let status = self.api.done("GET", "/v1/status", None)?;
            if status["tables"]["calls"] == calls {
                return Ok(());
            }
            if begun.elapsed() > Duration::from_secs(20) {
                let running = self.api.done("GET", "/v1/calls", None)?;
                return Err(io::Error::other(format!("not {calls} calls: {running}")));
            }
        }
    }
}

fn forwards_when_busy(simulated: &Value) -> bool {
    let lines = simulated["lines"].as_array().into_iter().flatten();
    lines.filter_map(Value::as_str).any(|line| line.contains(", when busy to"))
}

/// Moments of a year, in their order, at any minute of a half hour but its first and its last.
fn moments(dice: &mut Dice) -> Vec<Timestamp> {
    let start: Timestamp = "2026-01-01T00:00:00+09:00".parse().expect("a date");
    let mut moments: Vec<Timestamp> = (0..ROUNDS)
        .map(|_| {
            let minutes = dice.below(365 * 48) * 30 + 1 + dice.below(26);
            start + SignedDuration::from_mins(i64::try_from(minutes).unwrap_or(0))
        })
        .collect();
    moments.sort();
    moments
}

#[test]
fn a_thousand_calls_on_the_wire_do_what_the_simulation_says() {
    let mut run = Run::start(SEED).expect("the server starts");
    let begun = Instant::now();
    for date in moments(&mut run.dice) {
        run.round(date).unwrap_or_else(|error| panic!("{error}\n{}", run.server.log_tail()));
    }
    for call in &mut run.calls {
        call.check_silence();
        call.check_quiet();
    }
    let prices = price::compare(&run.api, &mut run.calls).expect("the records can be read");
    let (mut kinds, mut causes): (BTreeMap<_, usize>, BTreeMap<_, usize>) = Default::default();
    for call in &run.calls {
        *kinds.entry(call.kind).or_default() += 1;
        if let Some(cause) = call.simulated["refused"].as_str() {
            *causes.entry(cause).or_default() += 1;
        }
    }
    let wrong: Vec<String> = run
        .calls
        .iter()
        .filter_map(|call| {
            let lines: Vec<&str> = call.simulated["lines"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            Some(format!("{}\n  {}\n  {}", call.title, call.wrong.as_ref()?, lines.join("\n  ")))
        })
        .collect();
    let (count, seconds) = (run.calls.len(), begun.elapsed().as_secs());
    println!("{count} calls in {seconds} s: {kinds:?}, {prices:?}; refused: {causes:?}");
    let first: Vec<&str> = wrong.iter().take(12).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} went otherwise:\n{}", wrong.len(), first.join("\n"));
    assert!(count >= 1_000, "only {count} calls");
    for kind in ["rings", "calls", "forwards", "announces", "refused", "voicemail", "echo", "sets"]
    {
        let found = kinds.get(kind).copied().unwrap_or(0);
        assert!(found >= 8, "{kind} occurs {found} times");
    }
    assert!(causes.len() >= 12, "{causes:?}");
    assert!(prices.paid >= 50 && prices.free >= 50, "{prices:?}");
    assert!(prices.later >= 1, "{prices:?}");
}
