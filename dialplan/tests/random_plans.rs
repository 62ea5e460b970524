//! Whole random plans: whatever an office writes, whoever calls whom in whatever state, and
//! whatever follows from it, a leg to outside exists only when its class is allowed for who asks,
//! it has a price where there is a tariff, no cap is hit, and its trunk is one of the office's with
//! a channel free.
#![allow(clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use koukan_base::Rng;
use koukan_dialplan::{
    Account, Ask, Asker, Caller, Capabilities, Charged, Decision, Facts, Loaded, Money, Origin,
    OutsideLeg, Plans, Resumed, Step, Usage, Way,
};
use office::world::World;
use office::{load, wednesday};

const PLANS: u64 = 1_500;
const CALLS: u32 = 24;

const CLASSES: &str = "[class]\nemergency = { exact = [\"110\", \"119\"] }\n\
    international = { prefix = [\"010\"] }\ncarrier = { prefix = [\"00\"] }\n\
    tollfree = { prefix = [\"0120\"], digits = 10 }\nnavi = { prefix = [\"0570\"], digits = 10 }\n\
    premium = { prefix = [\"0990\"], digits = 10 }\nmobile = { prefix = [\"090\"], digits = 11 }\n\
    fixed = { prefix = [\"03\", \"04\"], digits = 10 }\n";
const ALWAYS_BLOCKED: [&str; 4] = ["emergency", "international", "carrier", "premium"];
const OTHERS: [&str; 4] = ["tollfree", "navi", "mobile", "fixed"];
const OUTSIDE: [&str; 10] = [
    "0455550001",
    "09011112222",
    "0570123456",
    "0120123456",
    "0990123456",
    "110",
    "0101415555",
    "00330455550001",
    "0399990001",
    "+819033334444",
];
const INSIDE: [&str; 12] = [
    "0312340001",
    "0312340002",
    "801",
    "802",
    "803",
    "650",
    "651",
    "652",
    "660",
    "*21",
    "#21",
    "*28",
];

/// The class of a number, worked out anew.
fn class_of(number: &str) -> &'static str {
    match number {
        "110" | "119" => "emergency",
        _ if number.starts_with("010") => "international",
        _ if number.starts_with("00") => "carrier",
        _ if number.starts_with("0120") => "tollfree",
        _ if number.starts_with("0570") => "navi",
        _ if number.starts_with("0990") => "premium",
        _ if number.starts_with("090") => "mobile",
        _ => "fixed",
    }
}

/// What the dice made of an office, as the proof needs it.
#[derive(Debug, Default)]
struct Office {
    text: String,
    blocked: Vec<&'static str>,
    /// Who reaches these classes only.
    allow: Vec<(&'static str, Vec<&'static str>)>,
    spend: Option<u32>,
    minutes: Option<u32>,
    concurrent: Option<u32>,
    forwards: Option<u32>,
    trunk_channels: [u32; 2],
    /// What the tariff has no rate for when somebody forwards; none: there is no tariff.
    holes: Option<Vec<&'static str>>,
}

struct Dice(Rng);

impl Dice {
    fn below(&mut self, sides: u32) -> u32 {
        self.0.next_u32() % sides.max(1)
    }

    fn once_in(&mut self, sides: u32) -> bool {
        self.below(sides) == 0
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(u32::try_from(list.len()).unwrap_or(1)) as usize]
    }

    /// A target that the office may mostly call, else anything.
    fn target(&mut self, blocked: &[&str]) -> &'static str {
        loop {
            let target = self.pick(&OUTSIDE[..]);
            let open = !blocked.contains(&class_of(target)) && !target.starts_with('+');
            if open || self.once_in(200) {
                return target;
            }
        }
    }

    fn action(&mut self, blocked: &[&str], of_number: bool) -> String {
        let word = match self.below(if of_number { 12 } else { 10 }) {
            0 | 1 => format!("{{ forward = \"{}\"", self.target(blocked)),
            2 => String::from("{ announce = \"a\""),
            3 => format!("{{ menu = \"{}\"", self.pick(&["m1", "m2"])),
            4 => format!("{{ group = \"{}\"", self.pick(&["g1", "g2"])),
            5 => String::from("{ queue = \"q\""),
            6 => String::from("{ reject = 486"),
            7 => String::from("{ module = \"bot\""),
            8 => String::from("{ conference = \"room\""),
            9 => return String::from("\"echo\""),
            10 => return String::from("\"ring\""),
            _ => return String::from("\"forward\""),
        };
        if self.once_in(3) && !word.contains("reject") {
            let then = self.action(blocked, false);
            return format!("{word}, on_error = {then} }}");
        }
        format!("{word} }}")
    }

    fn office(&mut self) -> Office {
        let mut blocked = ALWAYS_BLOCKED.to_vec();
        blocked.extend(OTHERS.into_iter().filter(|_| self.once_in(6)));
        let mut office = Office { blocked, ..Office::default() };
        let blocked = office.blocked.clone();
        let askers = ["desk", "app", "phone", "forward", "transfer", "redirect", "module", "fax"];
        for asker in askers {
            if self.once_in(5) {
                let classes: Vec<&str> = OTHERS
                    .into_iter()
                    .filter(|c| !self.once_in(3) && !blocked.contains(c))
                    .collect();
                office.allow.push((asker, classes));
            }
        }
        for cap in
            [&mut office.spend, &mut office.minutes, &mut office.concurrent, &mut office.forwards]
        {
            *cap = self.once_in(2).then(|| 1 + self.below(4));
        }
        office.trunk_channels = [1 + self.below(4), 1 + self.below(4)];
        if self.once_in(2) {
            let holes = OTHERS.into_iter().filter(|_| self.once_in(3));
            office.holes = Some(holes.collect());
        }
        office.text = self.text(&office);
        office
    }

    fn text(&mut self, office: &Office) -> String {
        // What has no rate is as closed to what the files forward to as what is blocked.
        let closed: Vec<&str> =
            office.blocked.iter().chain(office.holes.iter().flatten()).copied().collect();
        let (blocked, open_to) = (&closed, &office.blocked);
        let mut text = String::from(
            "schema = 1\n[tenant]\nid = \"acme\"\ntimezone = \"Asia/Tokyo\"\nverified = true\n\
             channels = 20\n[announcement]\na = { template = 1 }\n[room.room]\nmax_members = 5\n",
        );
        text.push_str(CLASSES);
        for (device, kind, ext) in [("A", "desk", 801), ("B", "app", 802), ("C", "ata", 803)] {
            let _ = writeln!(
                text,
                "[device.{device}]\next = \"{ext}\"\nkind = \"{kind}\"\nsecret = \"file:{device}\"\n\
                 caller_id = \"{}\"",
                self.pick(&["n1", "n2"])
            );
            if self.once_in(3) {
                let when = self.pick(&["always", "busy", "no_answer", "unreachable"]);
                let _ = writeln!(text, "forward = {{ {when} = \"{}\" }}", self.target(blocked));
            }
        }
        for (number, role, did) in
            [("n1", "contract", "0312340001"), ("n2", "additional", "0312340002")]
        {
            let _ = writeln!(
                text,
                "[number.{number}]\ndid = \"{did}\"\nrole = \"{role}\"\n\
                 options = [\"off_hours\", \"forwarding\"]\nschedule = \"s\"\n\
                 forward_to = \"{}\"\nmode = \"{}\"\nring = {{ devices = [\"A\", \"B\"] }}\n\
                 no_answer = {}\nclosed = {}",
                self.target(blocked),
                self.pick(&["ring", "schedule", "forward"]),
                self.action(blocked, false),
                self.action(blocked, true),
            );
        }
        let _ =
            writeln!(text, "[schedule.s]\ndefault = {}\nweekday = [", self.action(blocked, true));
        for hour in (0..24).step_by(4) {
            let action = self.action(blocked, true);
            let _ = writeln!(
                text,
                "{{ from = \"{hour:02}:00\", to = \"{:02}:00\", do = {action} }},",
                hour + 3
            );
        }
        text.push_str("]\n");
        for name in ["m1", "m2"] {
            let (one, two, late) = (
                self.action(blocked, false),
                self.action(blocked, false),
                self.action(blocked, false),
            );
            let _ = writeln!(
                text,
                "[menu.{name}]\nprompt = \"a\"\ndigits = {{ 1 = {one}, 2 = {two} }}\non_timeout = {late}"
            );
        }
        let over = self.action(blocked, false);
        let _ = writeln!(text, "[queue.q]\nagents = [\"A\"]\noverflow = {over}");
        for (name, dial) in [("g1", "660"), ("g2", "661")] {
            let then = self.action(blocked, false);
            let _ = writeln!(
                text,
                "[group.{name}]\ndial = \"{dial}\"\nmembers = [\"A\", \"C\"]\nno_answer = {then}"
            );
        }
        for (name, dial) in [("e1", "650"), ("e2", "651"), ("e3", "652")] {
            let action = self.action(blocked, false);
            let _ = writeln!(text, "[extension.{name}]\ndial = \"{dial}\"\ndo = {action}");
        }
        text.push_str(
            "[feature_codes]\nforward_on = \"*21\"\nforward_off = \"#21\"\nnight = \"*28\"\n",
        );
        let [one, two] = office.trunk_channels;
        let _ = writeln!(
            text,
            "[trunk.t1]\naddress = \"127.0.0.1:5070\"\nchannels = {one}\n\
             [trunk.t2]\naddress = \"127.0.0.1:5071\"\nchannels = {two}\n[outbound]\n\
             block = {open_to:?}\ndefault_trunk = \"t1\"\nroute = {{ mobile = [\"t2\", \"t1\"] }}\n\
             area_code = \"03\""
        );
        if !office.allow.is_empty() {
            let entry = |(who, classes): &(&str, Vec<&str>)| format!("{who} = {classes:?}");
            let allow: Vec<String> = office.allow.iter().map(entry).collect();
            let _ = writeln!(text, "allow = {{ {} }}", allow.join(", "));
        }
        if let Some(holes) = &office.holes {
            let priced: Vec<&str> = OTHERS.into_iter().filter(|c| !holes.contains(c)).collect();
            let _ = writeln!(
                text,
                "[tariff]\ncurrency = \"JPY\"\nrate = [\n\
                 {{ leg = \"out\", price = \"8\", per = \"3m\" }},"
            );
            if !priced.is_empty() {
                let _ = writeln!(
                    text,
                    "{{ leg = \"forward\", class = {priced:?}, price = \"9\", per = \"1m\" }},"
                );
            }
            text.push_str("]\n");
        }
        text.push_str("[limits]\nalert = [\"a@example.jp\"]\n");
        let mut cap = |key: &str, cap: Option<u32>, quote: &str| {
            if let Some(most) = cap {
                let _ = writeln!(text, "{key} = {quote}{most}{quote}");
            }
        };
        cap("outside_yen_per_day", office.spend, "\"");
        cap("outside_minutes_per_day", office.minutes, "");
        cap("outside_concurrent", office.concurrent, "");
        cap("forwards_per_number", office.forwards, "");
        text
    }

    fn world(&mut self) -> World {
        let mut used = |most: u32| if self.once_in(3) { self.below(most) } else { 0 };
        let usage = Usage {
            spent: Money::parse(&used(6).to_string()).expect("money"),
            talked: Duration::from_secs(u64::from(used(400))),
            outside_legs: used(6),
            ..Usage::default()
        };
        let trunk = used(5);
        let off = ["A", "B", "C"].into_iter().filter(|_| self.once_in(3)).collect();
        let (forwards, tenant) = (self.below(4), self.below(22));
        World { usage, off, forwards, trunk, tenant, ..World::default() }
    }
}

/// Everything that is looked at, and how often a leg was found at all.
struct Proof<'p> {
    office: &'p Office,
    plans: &'p Plans,
    world: &'p World,
    origin: Origin,
    /// The kind of the device that asks, when one does.
    kind: Option<&'static str>,
    legs: u32,
    steps: u32,
}

impl Proof<'_> {
    fn leg(&mut self, leg: &OutsideLeg) {
        let office = self.office;
        let class = class_of(&leg.number);
        let words = || format!("{leg:?}\n{:?}\n{}", self.world, office.text);
        assert_eq!(&*leg.class, class, "{}", words());
        assert!(!office.blocked.contains(&class), "{}", words());
        for (who, classes) in &office.allow {
            let kind = leg.asker == Asker::Phone && Some(*who) == self.kind;
            if *who == leg.asker.as_str() || kind {
                assert!(classes.contains(&class), "{}", words());
            }
        }
        if office.holes.is_some() && leg.asker != Asker::Fax {
            let over = Charged::outside(leg).finished(wednesday(), Duration::from_secs(60));
            let price = self.plans.rate(&leg.payer, &over, &Account::default());
            assert!(price.is_ok(), "{price:?} {}", words());
        }
        let usage = self.world.usage;
        let below = |cap: Option<u32>, used: u64| cap.is_none_or(|most| used < u64::from(most));
        let spent = |most: u32| usage.spent < Money::parse(&most.to_string()).expect("money");
        assert!(office.spend.is_none_or(spent), "{}", words());
        assert!(below(office.minutes, usage.talked.as_secs() / 60), "{}", words());
        assert!(below(office.concurrent, u64::from(usage.outside_legs)), "{}", words());
        let forwarded = leg.asker == Asker::Forward && leg.shown_caller.is_some();
        assert!(
            !forwarded || below(office.forwards, u64::from(self.world.forwards)),
            "{}",
            words()
        );
        assert!(!leg.trunks.is_empty(), "{}", words());
        for (owner, name) in &leg.trunks {
            assert_eq!(owner.as_deref(), Some("acme"), "{}", words());
            let most = office.trunk_channels[usize::from(&**name == "t2")];
            assert!(self.world.trunk < most, "{}", words());
        }
        self.legs += 1;
    }

    fn decision(&mut self, decision: &Decision, depth: u32) {
        self.steps += 1;
        let mut ways: Vec<Way> = Vec::new();
        for step in &decision.steps {
            if let Step::Guarded { on_error, .. } = step {
                ways.push(on_error.clone());
            }
            match step.unguarded() {
                Step::Trunk(leg) | Step::Forward(leg) => self.leg(leg),
                Step::Menu { spec, .. } => {
                    ways.extend(spec.keys.iter().map(|(_, way)| way.clone()));
                    ways.extend(spec.on_timeout.clone());
                }
                Step::Queue { spec, .. } => ways.extend(spec.overflow.clone()),
                Step::Divert { device, busy, no_answer, unreachable, .. } => {
                    let targets = [busy, no_answer, unreachable].into_iter().flatten();
                    for target in targets.filter(|_| depth > 0) {
                        let kind = self.kind.take();
                        self.ask(Asker::Forward, Some(device), target, depth - 1);
                        self.kind = kind;
                    }
                }
                _ => {}
            }
        }
        for way in ways.iter().filter(|_| depth > 0) {
            let resumed = Resumed {
                tenant: Arc::from("acme"),
                number: decision.number.clone(),
                holds_channel: decision.uses_channel,
            };
            let (origin, plans) = (self.origin.clone(), self.plans);
            let caller = Caller::default();
            let (at, state) = (wednesday(), self.world);
            let facts = Facts { at, origin: &origin, caller: &caller, called: "", state };
            self.decision(&plans.go_on(&facts, &resumed, way), depth - 1);
        }
    }

    fn ask(&mut self, asker: Asker, device: Option<&Arc<str>>, called: &str, depth: u32) {
        let ask = Ask {
            asker,
            tenant: Arc::from("acme"),
            device: device.cloned(),
            number: None,
            holds_channel: false,
        };
        let (origin, plans) = (self.origin.clone(), self.plans);
        let caller = Caller::default();
        let (at, state) = (wednesday(), self.world);
        let facts = Facts { at, origin: &origin, caller: &caller, called, state };
        self.decision(&plans.ask(&facts, &ask), depth);
    }
}

#[test]
fn no_plan_at_all_lets_a_call_out_around_the_gate() {
    let (mut taken, mut legs, mut steps) = (0_u32, 0, 0);
    for seed in 0..PLANS {
        let mut dice = Dice(Rng::from_number(seed));
        let office = dice.office();
        let Loaded { plans, report, .. } = load(&office.text, &Capabilities::all());
        if !report.is_ok() {
            continue;
        }
        taken += 1;
        for _ in 0..CALLS {
            let world = dice.world();
            let device = dice.pick(&[("A", "desk"), ("B", "app"), ("C", "ata")]);
            let inside = !dice.once_in(3);
            let tenant: Arc<str> = Arc::from("acme");
            let origin = match inside {
                true => Origin::Device { tenant, device: Arc::from(device.0) },
                false => Origin::Trunk { tenant: Some(tenant), trunk: Arc::from("t1") },
            };
            let called =
                if dice.once_in(2) { dice.pick(&INSIDE[..]) } else { dice.pick(&OUTSIDE[..]) };
            let at = wednesday() + SignedDuration::from_hours(i64::from(dice.below(200)));
            let kind = inside.then_some(device.1);
            let mut proof = Proof {
                office: &office,
                plans: &plans,
                world: &world,
                origin: origin.clone(),
                kind,
                legs: 0,
                steps: 0,
            };
            let caller = Caller { number: Some(Arc::from("0455550009")), ..Caller::default() };
            let state = &world;
            let facts = Facts { at, origin: &origin, caller: &caller, called, state };
            proof.decision(&plans.decide(&facts), 3);
            let asker = dice.pick(&[
                Asker::Transfer,
                Asker::Redirect,
                Asker::Conference,
                Asker::CallBack,
                Asker::Module,
                Asker::Fax,
            ]);
            proof.kind = None;
            proof.ask(asker, None, called, 3);
            legs += proof.legs;
            steps += proof.steps;
        }
    }
    println!("{taken} of {PLANS} plans in order, {steps} decisions, {legs} legs to outside");
    assert!(u64::from(taken) * 3 > PLANS, "{taken} of {PLANS} plans are in order");
    assert!(legs > 5_000 && steps > 50_000, "{legs} legs in {steps} decisions");
}
