//! The outbound gate: whoever asks, by whatever way, in whatever state: a leg to outside exists
//! only when its class is allowed for who asks and no cap is hit.

mod office;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use koukan_dialplan::{
    Ask, Asker, Caller, Cap, Change, Decision, Facts, Live, Money, Origin, OutsideLeg, Plans,
    Resumed, Step, Usage, Way,
};
use office::wednesday;
use office::world::{World, at, call_in, call_out, changed, plans};
use proptest::prelude::*;

const LIMITS: &str = "[limits]\noutside_yen_per_day = \"20000\"\noutside_minutes_per_day = 600\n\
                      outside_concurrent = 6\nforwards_per_number = 3\n\
                      night = { from = \"22:00\", to = \"06:00\", outside_concurrent = 1 }\n";

/// The sample with every cap, every kind of action that leads outside, and narrower askers.
fn office() -> String {
    let text = changed(&[
        (
            "[limits]\noutside_yen_per_day = \"20000\"\noutside_concurrent = 6\nforwards_per_number = 3\n",
            LIMITS,
        ),
        (
            "[room.main]",
            "[menu.front]\nprompt = \"lunch\"\ndigits = { 1 = { forward = \"09011112222\" }, \
             2 = { queue = \"line\" }, 3 = { forward = \"0120123456\" }, 4 = { group = \"all\" }, \
             5 = { module = \"bot\", on_error = { forward = \"0455550009\" } } }\n\
             on_timeout = { forward = \"0570123456\" }\n\
             [queue.line]\nagents = [\"A\"]\noverflow = { forward = \"09022223333\" }\n\
             [group.all]\nmembers = [\"A\", \"B\"]\nno_answer = { forward = \"0455550008\" }\n\
             [extension.front]\ndial = \"650\"\ndo = { menu = \"front\" }\n\
             [extension.out]\ndial = \"651\"\ndo = { forward = \"09033334444\" }\n[room.main]",
        ),
        (
            "area_code = \"03\"",
            "area_code = \"03\"\nallow = { app = [\"fixed\", \"mobile\"], \
             transfer = [\"fixed\"], module = [\"fixed\", \"mobile\"], fax = [\"fixed\"] }",
        ),
    ]);
    text.split_once("[tariff]").expect("the sample has a tariff").0.to_owned()
}

fn legs(step: &Step) -> Option<&OutsideLeg> {
    match step.unguarded() {
        Step::Trunk(leg) | Step::Forward(leg) => Some(leg),
        _ => None,
    }
}

/// What must be true of every leg to outside, worked out anew from the number itself.
fn proven(decision: &Decision, world: &World, when: Timestamp, kind: Option<&str>) {
    let blocked = ["emergency", "international", "carrier", "premium", "data", "service"];
    for leg in decision.steps.iter().filter_map(legs) {
        let number = &*leg.number;
        let class = match number {
            _ if number.starts_with("00") || number.starts_with("010") => "carrier",
            _ if number.starts_with("0120") && number.len() == 10 => "tollfree",
            _ if number.starts_with("0800") && number.len() == 11 => "tollfree",
            _ if number.starts_with("0570") => "navi",
            _ if number.starts_with("0990") => "premium",
            _ if number.starts_with("050") && number.len() == 11 => "ip050",
            _ if number.len() == 11 => "mobile",
            _ => "fixed",
        };
        assert_eq!(&*leg.class, class, "{leg:?}");
        assert!(!blocked.contains(&class), "{leg:?}");
        assert!(!leg.trunks.is_empty());
        match leg.asker {
            Asker::Transfer | Asker::Fax => assert_eq!(class, "fixed", "{leg:?}"),
            Asker::Module => assert!(["fixed", "mobile"].contains(&class), "{leg:?}"),
            _ => {}
        }
        if kind == Some("C") && leg.asker != Asker::Forward {
            assert!(["fixed", "mobile"].contains(&class), "{leg:?}");
        }
        let Usage { spent, talked, outside_legs, .. } = world.usage;
        assert!(spent < Money::parse("20000").expect("money"));
        assert!(talked < Duration::from_secs(36_000));
        assert!(outside_legs < 6);
        let hour = jiff::tz::TimeZone::get("Asia/Tokyo").expect("a zone").to_datetime(when).hour();
        assert!((6..22).contains(&hour) || outside_legs < 1, "{leg:?} at {hour}");
        assert!(leg.asker != Asker::Forward || world.forwards < 3);
        assert!(world.tenant < 6 || decision.toll_free.is_some() || !decision.uses_channel);
    }
    let refused = decision.steps.iter().all(|step| legs(step).is_none());
    assert!(decision.alert.is_none() || refused, "an alert is a refusal");
}

/// Every way that a step names, with those behind it.
fn ways(decision: &Decision) -> Vec<Way> {
    let mut ways = Vec::new();
    for step in &decision.steps {
        if let Step::Guarded { on_error, .. } = step {
            ways.push(on_error.clone());
        }
        match step.unguarded() {
            Step::Menu { spec, .. } => {
                ways.extend(spec.keys.iter().map(|(_, way)| way.clone()));
                ways.extend(spec.on_timeout.clone());
            }
            Step::Queue { spec, .. } => ways.extend(spec.overflow.clone()),
            _ => {}
        }
    }
    ways
}

struct Walk<'w> {
    plans: &'w Plans,
    world: &'w World,
    when: Timestamp,
    origin: Origin,
    kind: Option<&'w str>,
}

impl Walk<'_> {
    /// A decision and everything that can follow from it.
    fn prove(&self, decision: &Decision, depth: u32) {
        proven(decision, self.world, self.when, self.kind);
        if depth == 0 {
            return;
        }
        for way in ways(decision) {
            let resumed = Resumed {
                tenant: Arc::from("acme"),
                number: decision.number.clone(),
                holds_channel: decision.uses_channel,
            };
            let caller = Caller { number: Some(Arc::from("0455550001")), ..Caller::default() };
            let (at, state) = (self.when, self.world);
            let facts = Facts { at, origin: &self.origin, caller: &caller, called: "", state };
            self.prove(&self.plans.go_on(&facts, &resumed, &way), depth - 1);
        }
    }
}

fn a_world() -> impl Strategy<Value = World> {
    let usage =
        (0_u32..25_000, 0_u64..40_000, 0_u32..8).prop_map(|(yen, seconds, outside_legs)| {
            let spent = Money::parse(&yen.to_string()).expect("money");
            let talked = Duration::from_secs(seconds);
            Usage { spent, talked, outside_legs, ..Usage::default() }
        });
    (usage, 0_u32..5, 0_u32..8, any::<bool>(), prop::option::of("0[0-9]{9,10}")).prop_map(
        |(usage, forwards, tenant, forwarded, target)| {
            let plans = PLANS.with(Clone::clone);
            let (mut live, by) = (Live::new(), Arc::from("test"));
            let number: Arc<str> = Arc::from("number1");
            let on = Change::Forwarding { number: Arc::clone(&number), on: forwarded };
            plans.change("acme", &mut live, &on, &by, wednesday()).expect("allowed");
            if let Some(to) = target {
                let to = Change::ForwardTo { number, to: Some(Arc::from(to)) };
                // A target that may not be called is refused here already.
                let _ = plans.change("acme", &mut live, &to, &by, wednesday());
            }
            let live = HashMap::from([(String::from("acme"), live)]);
            World { usage, forwards, tenant, live, ..World::default() }
        },
    )
}

thread_local! {
    static PLANS: Arc<Plans> = Arc::new(plans(&office()));
}

const ASKERS: [Asker; 8] = [
    Asker::Phone,
    Asker::Forward,
    Asker::Transfer,
    Asker::Redirect,
    Asker::Conference,
    Asker::CallBack,
    Asker::Module,
    Asker::Fax,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn no_path_leads_outside_around_the_gate(
        world in a_world(),
        digits in "(184|186|0033|0091200|\\+81|\\+8100|)(0[0-9]{8,10}|0990[0-9]{6}|010[0-9]{6}|1[0-9]{2}|[2-9][0-9]{7})",
        known in prop::option::of(prop::sample::select(vec!["650", "651", "0312340001", "0120000001"])),
        device in prop::sample::select(vec!["A", "C", "E"]),
        asker in prop::sample::select(ASKERS.to_vec()),
        way_in in 0_u8..4,
        hours in 0_i64..48,
    ) {
        let plans = PLANS.with(Clone::clone);
        let tenant: Arc<str> = Arc::from("acme");
        let when = wednesday() + SignedDuration::from_hours(hours);
        let called = known.unwrap_or(digits.as_str());
        let caller = Caller { number: Some(Arc::from("0455550001")), ..Caller::default() };
        let inside = way_in != 0;
        let origin = if inside {
            Origin::Device { tenant: Arc::clone(&tenant), device: Arc::from(device) }
        } else {
            Origin::Trunk { tenant: Some(Arc::clone(&tenant)), trunk: Arc::from("carrier") }
        };
        let facts = Facts { at: when, origin: &origin, caller: &caller, called, state: &world };
        let by_device = way_in < 3;
        let decision = if way_in < 2 {
            plans.decide(&facts)
        } else {
            let asked_by = by_device.then(|| Arc::from(device));
            let number = (!by_device).then(|| Arc::from("number2"));
            let ask = Ask { asker, tenant, device: asked_by, number, holds_channel: false };
            plans.ask(&facts, &ask)
        };
        let kind = (inside && by_device).then_some(device);
        let walk = Walk { plans: &plans, world: &world, when, origin: origin.clone(), kind };
        walk.prove(&decision, 4);
    }
}

#[test]
fn each_cap_refuses_with_its_own_word_and_alerts() {
    let office = office().replace(LIMITS, &format!("{LIMITS}alert = [\"boss@example.jp\"]\n"));
    let plans = plans(&office.replace("alert = [\"office@example.co.jp\"]\n", ""));
    let money = |text| Money::parse(text).expect("money");
    let with = |usage| World { usage, ..World::default() };
    let cases = [
        (Usage { spent: money("19999.9999"), ..Usage::default() }, None),
        (Usage { spent: money("20000"), ..Usage::default() }, Some(Cap::Spend)),
        (Usage { talked: Duration::from_secs(35_999), ..Usage::default() }, None),
        (Usage { talked: Duration::from_secs(36_000), ..Usage::default() }, Some(Cap::Minutes)),
        (Usage { outside_legs: 5, ..Usage::default() }, None),
        (Usage { outside_legs: 6, ..Usage::default() }, Some(Cap::Concurrent)),
    ];
    for (usage, cap) in cases {
        let decision = call_out(&plans, "A", "0455550001", &with(usage));
        assert_eq!(decision.alert.as_ref().map(|alert| alert.cap), cap, "{usage:?}");
        assert_eq!(decision.steps.is_empty(), cap.is_some());
        if let Some(cap) = cap {
            assert_eq!(*decision.release.cause, format!("cap:{cap}"));
            assert_eq!(decision.release.status, 403);
            let receivers = decision.alert.map(|alert| alert.receivers.join(","));
            assert_eq!(receivers.as_deref(), Some("boss@example.jp"));
        }
    }
    let one = with(Usage { outside_legs: 1, ..Usage::default() });
    let night = |hour: &str, device| {
        let when = at(&format!("2026-07-01T{hour}"));
        let decision = office::world::call_out_at(&plans, when, device, "0455550001", &one);
        decision.alert.map(|alert| alert.cap)
    };
    assert_eq!(night("21:59:59", "A"), None);
    assert_eq!(night("22:00:00", "A"), Some(Cap::Night));
    assert_eq!(night("05:59:59", "A"), Some(Cap::Night));
    assert_eq!(night("06:00:00", "A"), None);
}

#[test]
fn forwards_of_a_number_are_capped_by_the_number_or_the_office() {
    let evening = at("2026-07-01T18:30:00");
    let causes = |text: &str| -> Vec<String> {
        let plans = plans(text);
        let decide = |forwards| {
            let world = World { forwards, ..World::default() };
            call_in(&plans, evening, "0312340001", &world)
        };
        (0..5).map(|forwards| decide(forwards).release.cause.to_string()).collect()
    };
    let (sent, capped) = ("forward-failed", "cap:forwards");
    assert_eq!(causes(&office()), [sent, sent, sent, capped, capped]);
    let own = office().replace("schedule = \"office\"", "schedule = \"office\"\nforwards_max = 1");
    assert_eq!(causes(&own), [sent, capped, capped, capped, capped]);
}

#[test]
fn a_carriers_prefix_hides_nothing_from_the_gate() {
    let open = office().replace("\"carrier\", \"premium\"", "\"premium\"");
    let plans = plans(&open);
    let cause = |called| {
        let decision = call_out(&plans, "A", called, &World::default());
        (decision.steps.len(), decision.release.cause.to_string())
    };
    assert_eq!(cause("00330455550001"), (1, String::from("trunk-failed")));
    assert_eq!(cause("00330990123456"), (0, String::from("blocked:premium")));
    assert_eq!(cause("0033010441234567"), (0, String::from("blocked:international")));
    assert_eq!(cause("00330088010441234567"), (0, String::from("blocked:international")));
    assert_eq!(cause("0033110"), (0, String::from("blocked:emergency")));
}

#[test]
fn what_has_no_price_is_not_called_by_whatever_way() {
    let plans = plans(&changed(&[]));
    let world = World::default();
    let ask = |asker, device: Option<&str>, called: &str| {
        let ask = Ask {
            asker,
            tenant: Arc::from("acme"),
            device: device.map(Arc::from),
            number: None,
            holds_channel: false,
        };
        let origin = Origin::Trunk { tenant: Some("acme".into()), trunk: "carrier".into() };
        let (caller, at) = (Caller::default(), wednesday());
        let facts = Facts { at, origin: &origin, caller: &caller, called, state: &world };
        plans.ask(&facts, &ask)
    };
    // The sample prices forwarding to fixed and mobile numbers, and no other.
    assert!(ask(Asker::Forward, None, "0455550001").steps.iter().any(|step| legs(step).is_some()));
    for (asker, device) in
        [(Asker::Forward, None), (Asker::Forward, Some("A")), (Asker::Module, None)]
    {
        let decision = ask(asker, device, "0570123456");
        assert_eq!(decision.outcome().refused.as_deref(), Some("no-rate:navi"), "{asker:?}");
        assert_eq!(decision.release.status, 403);
    }
    // A phone's transfer is charged to it.
    assert!(
        ask(Asker::Transfer, Some("C"), "0455550002").steps.iter().any(|step| legs(step).is_some())
    );
    let change = Change::parse("number1.forward_to", Some("0570123456")).expect("a setting");
    let mut settings = koukan_dialplan::Settings::default();
    let refused = plans.set("acme", &mut settings, &change, &Arc::from("x"), wednesday());
    assert!(refused.expect_err("nobody has a price").to_string().contains("no-rate:navi"));
}

#[test]
fn toll_free_callers_are_capped_and_nobody_else_is() {
    let caps = "tollfree_yen_per_day = \"500\"\ntollfree_concurrent = 3\n";
    let plans = plans(&office().replace(LIMITS, &format!("{LIMITS}{caps}")));
    let money = |text| Money::parse(text).expect("money");
    let spent = |text| Usage { tollfree_spent: money(text), ..Usage::default() };
    let callers = |tollfree_legs| Usage { tollfree_legs, ..Usage::default() };
    let cases = [
        (spent("499.9999"), None),
        (spent("500"), Some(Cap::TollfreeSpend)),
        (callers(2), None),
        (callers(3), Some(Cap::TollfreeConcurrent)),
    ];
    for (usage, cap) in cases {
        let world = World { usage, ..World::default() };
        let decide = |called| call_in(&plans, wednesday(), called, &world);
        let decision = decide("0120000001");
        assert_eq!(decision.alert.as_ref().map(|alert| alert.cap), cap, "{usage:?}");
        assert_eq!(decision.steps.is_empty(), cap.is_some());
        if let Some(cap) = cap {
            assert_eq!(*decision.release.cause, format!("cap:{cap}"));
            assert_eq!((decision.release.status, decision.release.prompt), (486, None));
        }
        assert_eq!(decide("0312340001").alert, None, "its own number is not capped");
        assert_eq!(call_out(&plans, "A", "0120000001", &world).alert, None, "nor a colleague");
    }
}
