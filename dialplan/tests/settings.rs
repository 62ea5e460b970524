//! Live settings by their names: set, given back, kept aside when the plan of today has no place
//! for them, and flipped by feature codes.

mod office;

use std::collections::HashMap;
use std::sync::Arc;

use koukan_dialplan::{
    Capabilities, CellValue, Change, ChangeError, DayClass, Entry, Feature, Mode, Plans, Settings,
    Step,
};
use office::load;
use office::world::{World, at, call_in, call_out, changed, plans};
use proptest::prelude::*;

const ONE: &str = "0312340001";
const TEN: &str = "2026-07-01T10:00:00";

fn set(
    plans: &Plans,
    settings: &mut Settings,
    key: &str,
    value: &str,
) -> Result<usize, ChangeError> {
    flip(plans, settings, key, Some(value))
}

fn flip(
    plans: &Plans,
    settings: &mut Settings,
    key: &str,
    value: Option<&str>,
) -> Result<usize, ChangeError> {
    let change = Change::parse(key, value)?;
    let by = Arc::from("ctl");
    let when = at("2026-07-01T09:55:00");
    plans.set("acme", settings, &change, &by, when).map(|entries| entries.len())
}

fn world(settings: &Settings) -> World {
    let live = HashMap::from([(String::from("acme"), settings.live().clone())]);
    World { live, ..World::default() }
}

fn comes_to(plans: &Plans, settings: &Settings) -> String {
    call_in(plans, at(TEN), ONE, &world(settings)).outcome().to_string()
}

const RINGS: &str = "rings A, B, C, D, E, then voicemail:main";
const FORWARDS: &str = "forwards 09012345678, then hangup, shows 0312340001";

#[test]
fn keys_and_values_are_read_and_what_is_none_is_named() {
    let name = |text: &str| Arc::from(text);
    let good = [
        ("n.mode", Some("forward"), Change::Mode { number: name("n"), mode: Some(Mode::Forward) }),
        ("number.n.mode", None, Change::Mode { number: name("n"), mode: None }),
        // An object may be called like a kind.
        ("number.mode", None, Change::Mode { number: name("number"), mode: None }),
        ("a.b.closed", Some("on"), Change::Closed { number: name("a.b"), closed: Some(true) }),
        ("n.off_hours", Some("off"), Change::OffHours { number: name("n"), on: false }),
        ("device.A.dnd", Some("true"), Change::Dnd { device: name("A"), on: Some(true) }),
        (
            "office.saturday.23:30",
            Some("announce:x"),
            Change::Cells {
                schedule: name("office"),
                day: DayClass::Saturday,
                from: 47,
                to: 48,
                value: Some(CellValue::Announce(name("x"))),
            },
        ),
        (
            "schedule.office.weekday.09:00-24:00",
            None,
            Change::Cells {
                schedule: name("office"),
                day: DayClass::Weekday,
                from: 18,
                to: 48,
                value: None,
            },
        ),
    ];
    for (key, value, change) in good {
        assert_eq!(Change::parse(key, value), Ok(change), "{key}");
    }
    let wrong = [
        ("", None),
        ("mode", Some("ring")),
        (".mode", Some("ring")),
        ("n.colour", Some("red")),
        ("n.mode", Some("sometimes")),
        ("n.off_hours", None),
        ("office.weekday.09:10", Some("ring")),
        ("office.someday.09:00", Some("ring")),
        ("office.2026-02-30", Some("closed")),
        ("office.2026-02-03", Some("shut")),
        ("office.weekday.09:00", Some("announce:")),
    ];
    let errors: Vec<String> = wrong
        .into_iter()
        .map(|(key, value)| Change::parse(key, value).expect_err(key).to_string())
        .collect();
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn s_60_and_s_61_hold_for_the_mode_by_its_name_too() {
    let plans = plans(&changed(&[]));
    // What is pressed, and what the mode is then; the files say schedule.
    let walk = [
        ("number1.forwarding", "on", "forward"),
        ("number1.off_hours", "off", "forward"),
        ("number1.forwarding", "off", "ring"),
        ("number1.off_hours", "on", "schedule"),
        ("number1.forwarding", "off", "schedule"),
        ("number1.mode", "forward", "forward"),
        ("number1.off_hours", "on", "schedule"),
        ("number1.mode", "ring", "ring"),
    ];
    let mut settings = Settings::default();
    for (key, value, expected) in walk {
        set(&plans, &mut settings, key, value).expect("allowed");
        let effective = plans.effective("acme", settings.live());
        let mode = effective.iter().find(|found| found.key == "number.number1.mode");
        assert_eq!(mode.map(|mode| mode.value.as_str()), Some(expected), "{key} {value}");
    }
    assert_eq!(flip(&plans, &mut settings, "number1.mode", None), Ok(1));
    assert!(settings.is_empty() && plans.effective("acme", settings.live())[0].changed.is_none());
}

#[test]
fn what_is_in_force_says_where_it_stands() {
    let text = changed(&[]);
    let plans = plans(&text);
    let mut settings = Settings::default();
    set(&plans, &mut settings, "A.caller_id", "number2").expect("allowed");
    let line = |what: &str, from: &str| {
        let start = text.find(from).expect("the sample has it");
        let at = start + text[start..].find(what).expect("the sample has it");
        format!("office.toml:{}", text[..at].matches('\n').count() + 1)
    };
    let effective = plans.effective("acme", settings.live());
    let found = |key: &str| effective.iter().find(|found| found.key == key).expect(key);
    let mode = found("number.number1.mode");
    assert_eq!(mode.place.as_deref(), Some(line("mode =", "[number.number1]").as_str()));
    // A key that is not written: the object that lacks it.
    let to = found("number.number2.forward_to");
    assert_eq!(to.place.as_deref(), Some(line("number2]", "[number.number2]").as_str()));
    let caller = found("device.A.caller_id");
    assert_eq!(caller.place.as_deref(), Some(line("\"number1\"", "caller_id").as_str()));
    assert_eq!(caller.value, "number2");
    let (default, by, when) = caller.changed.clone().expect("it was set");
    assert_eq!((default.as_str(), &*by, when), ("number1", "ctl", at("2026-07-01T09:55:00")));
}

#[test]
fn a_setting_whose_object_is_gone_is_kept_aside_and_named_and_comes_back_with_it() {
    let whole = plans(&changed(&[]));
    let mut settings = Settings::default();
    set(&whole, &mut settings, "number1.forward_to", "09011112222").expect("allowed");
    set(&whole, &mut settings, "number1.mode", "forward").expect("allowed");
    set(&whole, &mut settings, "A.caller_id", "number3").expect("allowed");
    set(&whole, &mut settings, "office.2026-07-01", "closed").expect("allowed");
    let all: Vec<Entry> = settings.entries().cloned().collect();
    // The number has become another, the option was cancelled.
    let smaller = plans(&changed(&[
        ("number3", "number4"),
        ("\"forwarding\", ", ""),
        ("forward_to = \"09012345678\"\n", ""),
        (", { from = \"18:00\", to = \"20:00\", do = \"forward\" }", ""),
        ("saturday = [{ from = \"10:00\", to = \"15:00\", do = \"forward\" }]\n", ""),
    ]));
    settings.fit(&smaller, "acme");
    let aside: Vec<(String, String)> = settings
        .aside()
        .iter()
        .map(|aside| (aside.entry.key.to_string(), aside.why.to_string()))
        .collect();
    let no_option = String::from("number.number1 has no option \"forwarding\"");
    assert_eq!(
        aside,
        [
            ("device.A.caller_id".into(), String::from("there is no number \"number3\"")),
            ("number.number1.forward_to".into(), no_option.clone()),
            ("number.number1.mode".into(), no_option),
        ]
    );
    assert_eq!(comes_to(&smaller, &settings), "announces closed, then voicemail:main");
    // One that is aside can be given back, set anew, or waits.
    assert_eq!(flip(&smaller, &mut settings, "A.caller_id", None), Ok(1));
    assert_eq!(set(&smaller, &mut settings, "number1.mode", "ring"), Ok(1));
    assert_eq!(settings.aside().len(), 1);
    settings.fit(&whole, "acme");
    assert_eq!(settings.aside(), []);
    assert_eq!(settings.entries().count(), all.len() - 1);
    assert_eq!(comes_to(&whole, &settings), RINGS);
    // A tenant that is gone takes nothing with it.
    settings.fit(&Plans::default(), "acme");
    assert_eq!(settings.aside().len(), all.len() - 1);
    let restored = Settings::restore(all);
    assert!(restored.live().entries().is_empty(), "nothing holds before it is fitted");
}

#[test]
fn what_the_server_cannot_execute_is_not_set() {
    let text = changed(&[("mode = \"schedule\"", "mode = \"ring\"")]);
    let without = Capabilities::this_version();
    if without.has(Feature::Forwarding) {
        return;
    }
    let text = text.replace("verified = true", "verified = true\nplan = \"none\"");
    assert!(!load(&text, &without).report.is_ok());
}

#[test]
fn do_not_disturb_takes_a_phone_out_of_every_ring() {
    let plans = plans(&changed(&[]));
    let mut settings = Settings::default();
    set(&plans, &mut settings, "A.dnd", "on").expect("allowed");
    assert_eq!(comes_to(&plans, &settings), "rings B, C, D, E, then voicemail:main");
    let inside = call_out(&plans, "C", "801", &world(&settings));
    assert_eq!(inside.outcome().to_string(), "refused do-not-disturb");
    assert_eq!(inside.release.status, 486);
    set(&plans, &mut settings, "A.dnd", "off").expect("allowed");
    assert_eq!(comes_to(&plans, &settings), RINGS);
}

#[test]
fn feature_codes_flip_settings_and_confirm_with_beeps() {
    let codes = "[feature_codes]\nnight = \"*28\"\nforward_on = \"*21\"\nforward_off = \"#21\"\n\
                 dnd = \"*78\"\ndivert_always = \"*72\"\ndivert_busy = \"*73\"\n[tariff]";
    let text = changed(&[("[tariff]", codes)]);
    let plans = plans(&text);
    let mut settings = Settings::default();
    let mut dial = |device: &str, code: &str| {
        let decision = call_out(&plans, device, code, &world(&settings));
        let beeps = decision.steps.iter().filter(|step| matches!(step, Step::Announce { .. }));
        let outcome = (decision.outcome().to_string(), beeps.count());
        for step in &decision.steps {
            if let Step::Set { changes } = step {
                for change in changes {
                    let by = Arc::from("acme-801");
                    plans.set("acme", &mut settings, change, &by, at(TEN)).expect("asked before");
                }
            }
        }
        (outcome, comes_to(&plans, &settings))
    };
    let closed = "announces closed, then voicemail:main";
    let walk = [
        ("A", "*28", "then set:number1.closed=on", 1, closed),
        ("A", "*28", "then set:number1.closed=off", 2, RINGS),
        ("A", "*21", "then set:number1.forwarding=on", 1, FORWARDS),
        ("A", "#21", "then set:number1.forwarding=off", 2, RINGS),
        (
            "A",
            "*2109011112222",
            "then set:number1.forward_to=09011112222,number1.forwarding=on",
            1,
            "forwards 09011112222, then hangup, shows 0312340001",
        ),
        ("A", "#21", "then set:number1.forwarding=off", 2, RINGS),
        ("B", "*78", "then set:B.dnd=on", 1, "rings A, C, D, E, then voicemail:main"),
        ("B", "*78", "then set:B.dnd=off", 2, RINGS),
        // A phone's own calls, for a reason; another phone dials nothing of it.
        ("B", "*73801", "then set:B.forward_busy=801", 1, RINGS),
        ("B", "*73", "then set:B.forward_busy=off", 2, RINGS),
        ("B", "*7209011112222", "then set:B.forward_always=09011112222", 1, RINGS),
        ("B", "*72", "then set:B.forward_always=off", 2, RINGS),
        ("B", "*72110", "refused setting", 0, RINGS),
        ("B", "*72899", "refused setting", 0, RINGS),
        // Number 2 has no such option; the emergency call is no target; nothing follows *28.
        ("C", "*21", "refused setting", 0, RINGS),
        ("A", "*21110", "refused setting", 0, RINGS),
        ("A", "*285", "refused no-class", 0, RINGS),
    ];
    for (device, code, outcome, beeps, then) in walk {
        assert_eq!(dial(device, code), ((outcome.to_owned(), beeps), then.to_owned()), "{code}");
    }
}

#[test]
fn an_office_keeps_no_more_settings_than_its_bound() {
    let plans = plans(&changed(&[]));
    let mut settings = Settings::default();
    let mut day = jiff::civil::date(2026, 1, 1);
    let most = koukan_dialplan::limits::SETTINGS.default;
    for _ in 0..most {
        set(&plans, &mut settings, &format!("office.{day}"), "open").expect("there is room");
        day = day.tomorrow().expect("a day");
    }
    let more = set(&plans, &mut settings, &format!("office.{day}"), "open");
    assert_eq!(more, Err(ChangeError::TooMany { most }));
    assert_eq!(set(&plans, &mut settings, "office.2026-01-01", "closed"), Ok(1));
    assert_eq!(settings.entries().count() as u64, most);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is asked for in whatever order: what is in force is what a restart restores.
    #[test]
    fn what_is_stored_is_what_is_in_force(
        asked in prop::collection::vec(
            (
                prop::sample::select(vec![
                    "number1.mode", "number1.off_hours", "number1.forwarding", "number1.closed",
                    "number1.forward_to", "number2.mode", "number2.closed", "A.caller_id", "A.dnd",
                    "office.weekday.09:00-10:30", "office.weekday.09:30", "office.2026-07-01", "x.y",
                ]),
                prop::option::of(prop::sample::select(vec![
                    "ring", "schedule", "forward", "on", "off", "09012345678", "110", "number2",
                    "free", "closed", "open", "announce:lunch", "announce:none", "",
                ])),
            ),
            0..30,
        ),
    ) {
        let plans = PLANS.with(Clone::clone);
        let mut settings = Settings::default();
        let mut stored: HashMap<Arc<str>, Entry> = HashMap::new();
        for (key, value) in asked {
            let Ok(change) = Change::parse(key, value) else { continue };
            let before = settings.clone();
            let by = Arc::from("ctl");
            match plans.set("acme", &mut settings, &change, &by, at(TEN)) {
                Ok(written) => written.into_iter().for_each(|entry| {
                    match entry.value {
                        Some(_) => stored.insert(Arc::clone(&entry.key), entry),
                        None => stored.remove(&entry.key),
                    };
                }),
                Err(_) => prop_assert_eq!(&before, &settings),
            }
            let mut restored = Settings::restore(stored.values().cloned());
            restored.fit(&plans, "acme");
            prop_assert_eq!(restored.live().entries(), settings.live().entries());
            prop_assert_eq!(restored.aside(), settings.aside());
        }
    }
}

thread_local! {
    static PLANS: Arc<Plans> = Arc::new(plans(&changed(&[])));
}
