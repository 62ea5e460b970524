//! The simulation says what the switch does: generated calls of the sample office, from a seed, at
//! any time of a year and with any phones registered, are run and simulated. The same devices ring,
//! the same prompt is played, the same number is called with the same caller, the same status ends
//! it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use koukan_base::Rng;
use koukan_dialplan::{Decision, Start, State, Step};
use office::{Office, TRUNK, only};

const CASES: u32 = 1_000;
const CALLED: [&str; 24] = [
    "0312340001",
    "0312340002",
    "0312340003",
    "+81312340001",
    "0312340009",
    "600",
    "601",
    "801",
    "803",
    "806",
    "119",
    "110",
    "104",
    "0455550001",
    "1840455550001",
    "1860455550001",
    "52345678",
    "09012345678",
    "0570123456",
    "0120123456",
    "01014155550001",
    "0990123456",
    "999",
    "*99",
];

/// The phones that are registered, in a switch that is idle otherwise.
struct Registered<'r>(&'r str);

impl State for Registered<'_> {
    fn reachable(&self, _tenant: &str, device: &str) -> bool {
        self.0.contains(device)
    }
    fn tenant_channels(&self, _tenant: &str) -> u32 {
        0
    }
    fn number_channels(&self, _tenant: &str, _number: &str) -> u32 {
        0
    }
    fn trunk_channels(&self, _tenant: Option<&str>, _trunk: &str) -> u32 {
        0
    }
}

/// What a decision must come to at the phones, in one line.
fn expected(decision: &Decision, registered: &str) -> String {
    match decision.steps.first() {
        Some(Step::Ring { targets, .. }) => {
            let begins = |start| matches!(start, Start::After(delay) if delay.is_zero());
            let mut rung: Vec<&str> = targets
                .iter()
                .filter(|target| begins(target.start) && registered.contains(&*target.device))
                .map(|target| &*target.device)
                .collect();
            rung.sort_unstable();
            format!("rings {}", rung.concat())
        }
        Some(Step::Trunk(leg)) => {
            let shown = leg.shown_caller.as_deref().filter(|_| !leg.anonymous);
            format!("calls {} as {}", leg.number, shown.unwrap_or("anonymous"))
        }
        Some(Step::Announce { prompt, .. }) => format!("plays {}", prompt.name),
        Some(Step::Echo) => String::from("answers"),
        None => {
            let prompt = decision.release.prompt.as_ref();
            let prompt = prompt.map(|prompt| format!("plays {}, ", prompt.name));
            format!("{}ends {}", prompt.unwrap_or_default(), decision.release.status)
        }
        other => panic!("the sample office has no {other:?}"),
    }
}

/// What the phones and the carrier saw, in the same words.
fn seen(office: &mut Office, caller: char, refused: bool) -> String {
    let rung: String = ('A'..='F').filter(|name| office.phones[name].heard("invite")).collect();
    if !rung.is_empty() {
        return format!("rings {rung}");
    }
    if caller != TRUNK && office.phones[&TRUNK].heard("invite") {
        let invite = office.phones[&TRUNK].invite.as_ref().unwrap();
        let number = String::from_utf8(invite.request_user().unwrap()).unwrap();
        let from = String::from_utf8_lossy(invite.header(koukan_sip::Header::From).unwrap());
        let shown = from.split("sip:").nth(1).and_then(|rest| rest.split('@').next()).unwrap();
        return format!("calls {number} as {shown}");
    }
    let prompt = office.modules.started.first().map(|arguments| {
        let arguments: serde_json::Value = serde_json::from_str(arguments).unwrap();
        format!("plays {}", arguments["prompts"][0]["name"].as_str().unwrap())
    });
    if !refused {
        return prompt.unwrap_or_else(|| String::from("answers"));
    }
    office.run(Duration::from_secs(60));
    let status = only(office.finals()).status;
    format!("{}ends {status}", prompt.map(|prompt| format!("{prompt}, ")).unwrap_or_default())
}

#[test]
fn a_thousand_generated_calls_do_what_their_simulation_says() {
    let mut dice = Rng::from_number(5);
    let mut below = |sides: u32| dice.next_u32() % sides;
    let start: Timestamp = "2026-01-01T00:00:10+09:00".parse().unwrap();
    let mut kinds = std::collections::BTreeMap::new();
    for case in 0..CASES {
        let date = start + SignedDuration::from_mins(i64::from(below(365 * 48)) * 30 + 1);
        let mut office = Office::at(&date.to_string());
        let mut registered = String::new();
        for name in 'A'..='F' {
            if below(4) > 0 {
                registered.push(name);
            } else {
                office.register(name, &[("Expires", "0")]);
            }
        }
        office.run(Duration::from_secs(1));
        let caller = [TRUNK, TRUNK, TRUNK, 'A', 'C', 'E'][below(6) as usize];
        let called = CALLED[below(24) as usize];
        let plans = std::sync::Arc::clone(&office.switch.directory().plans);
        let from = office.phones[&caller].user.clone();
        let state = Registered(&registered);
        let now = office.now().date;
        let simulation = plans.simulate(&from, called, None, now, &state).unwrap();
        let refused = simulation.decision.steps.is_empty();
        office.call(caller, called);
        office.run(Duration::from_millis(900));
        let found = seen(&mut office, caller, refused);
        let wanted = expected(&simulation.decision, &registered);
        let lines = simulation.lines().join("\n");
        assert_eq!(
            found, wanted,
            "case {case}: {from} calls {called} at {date}, {registered}\n{lines}"
        );
        let kind = wanted.split(' ').next().unwrap().to_owned();
        *kinds.entry(kind).or_insert(0) += 1;
    }
    // Each kind of end is among them, and not once by chance.
    assert!(
        ["rings", "calls", "plays", "answers", "ends"].iter().all(|kind| kinds[*kind] > 10),
        "{kinds:?}"
    );
}
