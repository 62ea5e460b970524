//! A device's own forwarding as decisions, and targets that `check` refuses.

mod office;

use koukan_dialplan::{Capabilities, Change, Diversion, DiversionCause, Live, Step};
use office::load;
use office::world::{World, at, call_in, call_out, changed, plans};

fn with(keys: &str) -> String {
    changed(&[("[device.B]\n", &format!("[device.B]\nforward = {{ {keys} }}\n"))])
}

fn diverted(cause: DiversionCause) -> Vec<Diversion> {
    vec![Diversion { number: "802".into(), cause }]
}

#[test]
fn a_device_that_always_forwards_is_not_rung_and_its_target_is() {
    let plans = plans(&with("always = \"803\""));
    let decision = call_out(&plans, "A", "802", &World::default());
    assert_eq!(&*decision.outcome().rings, [std::sync::Arc::from("C")]);
    assert_eq!(decision.diverted, diverted(DiversionCause::Unconditional));
}

#[test]
fn a_ring_list_rings_the_device_itself() {
    let plans = plans(&with("always = \"803\""));
    let decision = call_in(&plans, at("2026-07-01T10:00"), "0312340002", &World::default());
    assert!(decision.outcome().rings.iter().any(|device| &**device == "B"));
    assert_eq!(decision.diverted, []);
}

#[test]
fn what_comes_of_ringing_is_told_to_the_switch_behind_the_ring_step() {
    let plans = plans(&with("busy = \"803\", no_answer = \"0455550001\", after = \"7s\""));
    let decision = call_out(&plans, "A", "802", &World::default());
    let [Step::Ring { timeout, .. }, Step::Divert { device, busy, no_answer, unreachable, .. }] =
        decision.steps.as_slice()
    else {
        panic!("{:?}", decision.steps)
    };
    assert_eq!((timeout.as_secs(), &**device), (7, "B"));
    assert_eq!((busy.as_deref(), no_answer.as_deref()), (Some("803"), Some("0455550001")));
    assert_eq!(*unreachable, None);
}

#[test]
fn what_a_customer_sets_stands_over_the_plan_until_it_is_given_back() {
    let plans = plans(&with("always = \"803\", busy = \"804\""));
    let (by, when) = (std::sync::Arc::from("test"), at("2026-07-01T10:00"));
    let mut live = Live::new();
    let set = |live: &mut Live, key: &str, value: Option<&str>| {
        let change = Change::parse(key, value).expect("a setting");
        plans.change("acme", live, &change, &by, when)
    };
    let rings = |live: &Live| {
        let mut world = World::default();
        world.live.insert("acme".to_owned(), live.clone());
        call_out(&plans, "A", "802", &world).outcome().rings.join("")
    };
    assert_eq!(rings(&live), "C");
    set(&mut live, "B.forward_always", Some("805")).expect("an extension");
    assert_eq!(rings(&live), "E");
    set(&mut live, "B.forward_always", Some("off")).expect("off");
    assert_eq!(rings(&live), "B");
    let entries = live.entries();
    assert_eq!(&*entries[0].key, "device.B.forward_always");
    assert_eq!(Live::restore(entries).0, live);
    set(&mut live, "device.B.forward_always", None).expect("given back");
    assert_eq!(rings(&live), "C");
    for wrong in ["999", "119", "x"] {
        assert!(set(&mut live, "B.forward_busy", Some(wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn a_target_that_no_trunk_would_be_asked_for_is_an_error_at_its_place() {
    for (target, message) in
        [("999", "999 is of no class"), ("119", "119 is of the blocked class emergency")]
    {
        let text = with(&format!("busy = \"{target}\""));
        let loaded = load(&text, &Capabilities::all());
        let found: Vec<String> =
            loaded.report.errors().map(|error| error.message.clone()).collect();
        assert_eq!(found, [message]);
    }
}
