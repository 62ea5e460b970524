//! The simulation says what the switch does: generated calls of the sample office, from a seed, at
//! any time of a year, with any phones registered and anything flipped, are run and simulated. The
//! same devices ring, the same prompt is played, the same number is called or forwarded to with the
//! same caller, the same status ends it, and it costs the same.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use koukan_base::Rng;
use koukan_dialplan::{
    Account, Caller, Change, Decision, Facts, Live, Money, Origin, Plans, Settings, Start, State,
    Step,
};
use office::{Does, Office, TRUNK, only};

const CASES: u32 = 1_000;
const CALLED: [&str; 25] = [
    "0120000001",
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

/// What a customer may have flipped before a call: nothing, in the first.
const FLIPPED: [&[(&str, &str)]; 12] = [
    &[],
    &[("number1.mode", "ring")],
    &[("number1.mode", "forward")],
    &[("number1.forwarding", "on"), ("number1.forward_to", "0455550009")],
    &[("number1.off_hours", "off")],
    &[("number1.closed", "on"), ("number3.closed", "on")],
    &[("number1.closed", "off")],
    &[("number2.mode", "forward")],
    &[("A.caller_id", "number3"), ("C.caller_id", "number1")],
    &[("A.dnd", "on"), ("D.dnd", "on")],
    &[("office.weekday.09:00-13:00", "announce:lunch"), ("office.weekday.13:00-18:00", "forward")],
    &[("office.sunday.00:00-24:00", "ring"), ("office.holiday.00:00-24:00", "forward")],
];

/// The sample with cells that forward and numbers that may be forwarded.
fn plan(text: &str) -> String {
    let changes = [
        (
            "options = [\"off_hours\"]\n",
            "options = [\"off_hours\", \"forwarding\"]\n\
          forward_to = \"09012345678\"\n",
        ),
        (
            "busy_announcement = true",
            "busy_announcement = true\noptions = [\"forwarding\"]\n\
          forward_to = \"0455550007\"\n",
        ),
        (
            "do = \"ring\" },\n]\nsaturday = [{ from = \"10:00\", to = \"15:00\", do = \"ring\" }]",
            "do = \"ring\" },\n  { from = \"18:00\", to = \"20:00\", do = \"forward\" },\n]\n\
          saturday = [{ from = \"10:00\", to = \"15:00\", do = \"forward\" }]",
        ),
    ];
    changes.into_iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "the sample has no {from}");
        text.replace(from, to)
    })
}

/// The phones that are registered, in a switch that is idle otherwise, and what was flipped.
struct Registered<'r>(&'r str, Option<&'r Live>);

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
    fn live(&self, _tenant: &str) -> Option<&Live> {
        self.1
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
        Some(Step::Trunk(leg) | Step::Forward(leg)) => {
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
fn seen(office: &mut Office, refused: bool) -> String {
    let rung: String = ('A'..='F').filter(|name| office.phones[name].heard("invite")).collect();
    if !rung.is_empty() {
        return format!("rings {rung}");
    }
    if office.phones[&TRUNK].heard("invite") {
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

/// What the simulation says that a call costs.
fn price(plans: &Plans, case: &Case, decision: &Decision, talk: Duration) -> String {
    let number = (case.caller == TRUNK).then(|| Arc::from(case.from.as_str()));
    let origin = match number {
        Some(_) => plans.bringing_trunk(case.called).unwrap(),
        None => Origin::Device { tenant: "acme".into(), device: case.caller.to_string().into() },
    };
    let caller = Caller { number, ..Caller::default() };
    let state = &Registered(&case.registered, None);
    let facts =
        Facts { at: case.date, origin: &origin, caller: &caller, called: case.called, state };
    let legs = plans.charged_legs(decision, &facts, talk);
    let price = |(payer, leg): &(Arc<str>, _)| plans.rate(payer, leg, &Account::default());
    let sum = legs.iter().map(|leg| price(leg).unwrap().amount);
    sum.fold(Money::default(), Money::plus).to_string()
}

/// One generated call.
#[derive(Debug)]
struct Case {
    date: Timestamp,
    registered: String,
    flipped: &'static [(&'static str, &'static str)],
    caller: char,
    /// As the exchange knows the caller.
    from: String,
    called: &'static str,
    /// Half a second more, so that no unit of a rate ends by chance.
    talk: Duration,
}

impl Case {
    fn new(dice: &mut Rng) -> Self {
        let mut below = |sides: u32| dice.next_u32() % sides;
        let start: Timestamp = "2026-01-01T00:00:10+09:00".parse().unwrap();
        let date = start + SignedDuration::from_mins(i64::from(below(365 * 48)) * 30 + 1);
        let registered = ('A'..='F').filter(|_| below(4) > 0).collect();
        let caller = [TRUNK, TRUNK, TRUNK, 'A', 'C', 'E'][below(6) as usize];
        let called = CALLED[below(25) as usize];
        let flipped = FLIPPED[below(12) as usize];
        let talk = Duration::from_millis(u64::from(below(200)) * 1_000 + 500);
        Self { date, registered, flipped, caller, from: String::new(), called, talk }
    }

    /// The office as the call finds it.
    fn office(&mut self) -> Office {
        let mut office = Office::planned_at(&self.date.to_string(), plan);
        for name in ('A'..='F').filter(|name| !self.registered.contains(*name)) {
            office.register(name, &[("Expires", "0")]);
        }
        for (key, value) in self.flipped {
            let change = Change::parse(key, Some(value)).unwrap();
            let now = office.now();
            office.switch.set(now, "acme", &change, &Arc::from("tester")).unwrap();
        }
        office.run(Duration::from_secs(1));
        office.all(Does::Answers(300));
        office.phone(TRUNK).does = Does::Answers(300);
        self.from = office.phones[&self.caller].user.clone();
        self.date = office.now().date;
        office
    }
}

#[test]
fn a_thousand_generated_calls_do_what_their_simulation_says() {
    let mut dice = Rng::from_number(5);
    let mut kinds = BTreeMap::new();
    for number in 0..CASES {
        let mut case = Case::new(&mut dice);
        let mut office = case.office();
        let plans = Arc::clone(&office.switch.directory().plans);
        let settings = office.switch.settings("acme").cloned();
        let live = settings.as_ref().map(Settings::live);
        let state = Registered(&case.registered, live);
        let simulation = plans.simulate(&case.from, case.called, None, case.date, &state).unwrap();
        let refused = simulation.decision.steps.is_empty();
        office.call(case.caller, case.called);
        office.run(Duration::from_millis(900));
        let found = seen(&mut office, refused);
        let wanted = expected(&simulation.decision, &case.registered);
        let lines = simulation.lines().join("\n");
        assert_eq!(found, wanted, "{number}: {case:?}\n{lines}");
        let kind = match simulation.decision.steps.first() {
            Some(Step::Forward(_)) => "forwards",
            _ => wanted.split(' ').next().unwrap(),
        };
        *kinds.entry(kind.to_owned()).or_insert(0) += 1;
        if refused {
            continue;
        }
        // It was answered about 600 ms ago.
        office.run(
            (case.talk + Duration::from_millis(300)).saturating_sub(Duration::from_millis(900)),
        );
        office.hang_up(case.caller);
        office.give_up(case.caller);
        office.run(Duration::from_secs(40));
        let cdr = only(office.finals());
        if let (Some(paid), Some(answered), Some(ended)) = (&cdr.price, cdr.answered, cdr.ended) {
            // A prompt has ended by itself.
            let talk = ended.duration_since(answered).unsigned_abs();
            let said = price(&plans, &case, &simulation.decision, talk);
            assert_eq!(*paid, said, "{number}: {case:?}\n{lines}\n{cdr:#?}");
            *kinds.entry(if said == "0" { "free" } else { "paid" }.to_owned()).or_insert(0) += 1;
        }
    }
    println!("{kinds:?}");
    // Each kind of end is among them, and not once by chance.
    let all = ["rings", "calls", "forwards", "plays", "answers", "ends", "free", "paid"];
    assert!(all.iter().all(|kind| kinds[*kind] > 10), "{kinds:?}");
}
