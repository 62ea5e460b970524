//! Rows S-11, S-20 to S-28 and S-50 to S-65: schedules, forwarding, and what a customer flips.

mod office;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::date;
use koukan_dialplan::{
    Capabilities, CellValue, Change, ChangeError, DayClass, Live, Mode, Plans, Step,
};
use office::world::{World, at, call_in, call_out, changed, plans};
use office::{load, sample, wednesday};

const ONE: &str = "0312340001";

fn world(live: Live) -> World {
    World { live: HashMap::from([(String::from("acme"), live)]), ..World::default() }
}

fn flip(plans: &Plans, live: &mut Live, change: Change) -> Result<usize, ChangeError> {
    let by = Arc::from("acme-801");
    plans.change("acme", live, &change, &by, at("2026-07-01T09:55:00")).map(|entries| entries.len())
}

fn off_hours(on: bool) -> Change {
    Change::OffHours { number: Arc::from("number1"), on }
}

fn forwarding(on: bool) -> Change {
    Change::Forwarding { number: Arc::from("number1"), on }
}

fn outcome(plans: &Plans, when: Timestamp, world: &World) -> String {
    call_in(plans, when, ONE, world).outcome().to_string()
}

const RINGS: &str = "rings A, B, C, D, E, then voicemail:main";
const CLOSED: &str = "announces closed, then voicemail:main";
const LUNCH: &str = "announces lunch, then voicemail:main";
const FORWARDS: &str = "forwards 09012345678, then hangup, shows 0312340001";

#[test]
fn s_11_the_caller_number_of_a_device_is_a_setting_that_holds_for_the_next_call() {
    let plans = plans(&sample());
    let mut live = Live::new();
    let shown = |world: &World| {
        let decision = call_out(&plans, "A", "0455550001", world);
        decision.outcome().shown_caller.map(|shown| shown.to_string())
    };
    assert_eq!(shown(&World::default()).as_deref(), Some("0312340001"));
    let caller_id =
        |number: &str| Change::CallerId { device: Arc::from("A"), number: Some(Arc::from(number)) };
    flip(&plans, &mut live, caller_id("number3")).expect("allowed");
    assert_eq!(shown(&world(live.clone())).as_deref(), Some("0312340003"));
    let toll_free = flip(&plans, &mut live, caller_id("free"));
    assert!(matches!(toll_free, Err(ChangeError::NotShown { .. })));
}

#[test]
fn s_20_every_half_hour_begins_and_ends_on_the_second() {
    let plans = plans(&sample());
    let world = World::default();
    let cases = [
        ("2026-07-01T08:59:59", CLOSED),
        ("2026-07-01T09:00:00", RINGS),
        ("2026-07-01T11:59:59", RINGS),
        ("2026-07-01T12:00:00", LUNCH),
        ("2026-07-01T12:29:59", LUNCH),
        ("2026-07-01T12:30:00", LUNCH),
        ("2026-07-01T13:00:00", RINGS),
        ("2026-07-01T18:00:00", FORWARDS),
        ("2026-07-01T20:00:00", CLOSED),
        ("2026-07-04T10:00:00", FORWARDS),
        ("2026-07-04T15:00:00", CLOSED),
        ("2026-07-05T12:00:00", CLOSED),
    ];
    for (when, expected) in cases {
        assert_eq!(outcome(&plans, at(when), &world), expected, "{when}");
    }
}

#[test]
fn s_21_a_cell_rings_announces_or_forwards_and_a_customer_may_change_it() {
    let plans = plans(&sample());
    let mut live = Live::new();
    let cells = |value| Change::Cells {
        schedule: Arc::from("office"),
        day: DayClass::Weekday,
        from: 20,
        to: 22,
        value,
    };
    let ten = at("2026-07-01T10:59:59");
    let values = [
        (Some(CellValue::Announce(Arc::from("lunch"))), LUNCH),
        (Some(CellValue::Forward), FORWARDS),
        (Some(CellValue::Ring), RINGS),
        (None, RINGS),
    ];
    for (value, expected) in values {
        flip(&plans, &mut live, cells(value)).expect("allowed");
        assert_eq!(outcome(&plans, ten, &world(live.clone())), expected);
        assert_eq!(outcome(&plans, at("2026-07-01T11:00:00"), &world(live.clone())), RINGS);
    }
    assert_eq!(live.entries(), []);
    let unknown = flip(&plans, &mut live, cells(Some(CellValue::Announce(Arc::from("party")))));
    assert!(matches!(unknown, Err(ChangeError::Unknown { kind: "announcement", .. })));
    // Forwarding is a value for whoever has subscribed it.
    let without = changed(&[
        ("\"fax\", \"forwarding\", \"recording\"", "\"fax\", \"recording\""),
        ("forward_to = \"09012345678\"\n", ""),
        ("{ from = \"18:00\", to = \"20:00\", do = \"forward\" }", ""),
        ("{ from = \"10:00\", to = \"15:00\", do = \"forward\" }", ""),
    ]);
    let plans = office::world::plans(&without);
    let refused = flip(&plans, &mut Live::new(), cells(Some(CellValue::Forward)));
    assert!(
        matches!(refused, Err(ChangeError::NotSubscribed { option: "forwarding", .. })),
        "{refused:?}"
    );
}

#[test]
fn s_22_a_holiday_beats_the_weekday_and_so_does_a_day_that_a_customer_closes() {
    let plans = plans(&sample());
    let marine_day = at("2026-07-20T10:00:00");
    assert_eq!(outcome(&plans, marine_day, &World::default()), CLOSED);
    let mut live = Live::new();
    let day = |day, closed| Change::Day { schedule: Arc::from("office"), date: day, closed };
    flip(&plans, &mut live, day(date(2026, 7, 20), Some(false))).expect("allowed");
    flip(&plans, &mut live, day(date(2026, 7, 1), Some(true))).expect("allowed");
    let world = world(live);
    assert_eq!(outcome(&plans, marine_day, &world), RINGS);
    assert_eq!(outcome(&plans, wednesday(), &world), CLOSED);
    assert_eq!(outcome(&plans, at("2026-08-13T10:00:00"), &World::default()), CLOSED);
}

#[test]
fn s_23_off_hours_and_the_night_key_are_one_touch_and_the_next_call_differs() {
    let plans = plans(&sample());
    let mut live = Live::new();
    let lunch = at("2026-07-01T12:15:00");
    assert_eq!(flip(&plans, &mut live, off_hours(false)), Ok(1));
    assert_eq!(outcome(&plans, lunch, &world(live.clone())), RINGS);
    assert_eq!(flip(&plans, &mut live, off_hours(true)), Ok(1));
    assert_eq!(outcome(&plans, lunch, &world(live.clone())), LUNCH);
    let closed = |closed| Change::Closed { number: Arc::from("number1"), closed: Some(closed) };
    flip(&plans, &mut live, closed(true)).expect("allowed");
    assert_eq!(outcome(&plans, wednesday(), &world(live.clone())), CLOSED);
    let decision = call_in(&plans, wednesday(), ONE, &world(live.clone()));
    let reasons: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
    let who = "number.number1.closed: closed by acme-801 at 2026-07-01T00:55:00Z";
    assert!(reasons.iter().any(|reason| reason == who), "{reasons:?}");
    flip(&plans, &mut live, closed(false)).expect("allowed");
    assert_eq!(outcome(&plans, wednesday(), &world(live)), RINGS);
}

#[test]
fn s_23_the_night_key_does_what_the_number_says_or_plays_the_closed_prompt() {
    let plans = plans(&changed(&[(
        "mode = \"ring\"\nbusy_announcement = true",
        "mode = \"ring\"\nbusy_announcement = true\nclosed = { announce = \"lunch\" }",
    )]));
    let mut live = Live::new();
    for number in ["number2", "number3"] {
        let change = Change::Closed { number: Arc::from(number), closed: Some(true) };
        flip(&plans, &mut live, change).expect("allowed");
    }
    let world = world(live);
    let two = call_in(&plans, wednesday(), "0312340002", &world).outcome().to_string();
    assert_eq!(two, "announces lunch, then hangup");
    let three = call_in(&plans, wednesday(), "0312340003", &world).outcome().to_string();
    assert_eq!(three, "announces closed, then voicemail:main");
}

#[test]
fn s_24_three_templates_are_selectable() {
    for (template, prompt) in [(1, "closed"), (2, "closed-2"), (3, "closed-3")] {
        let template = format!("closed = {{ template = {template} }}");
        let plans = plans(&changed(&[("closed = { template = 1 }", &template)]));
        let decision = call_in(&plans, at("2026-07-05T10:00:00"), ONE, &World::default());
        let Some(Step::Announce { prompt: found, .. }) = decision.steps.first() else { panic!() };
        assert_eq!(&*found.name, prompt);
    }
}

#[test]
fn s_25_an_eleventh_own_file_is_refused() {
    let files: String =
        (0..10).map(|n| format!("a{n} = {{ file = \"sounds/{n}.wav\" }}\n")).collect();
    let text = changed(&[("[announcement]\n", &format!("[announcement]\n{files}"))]);
    let report = load(&text, &Capabilities::all()).report;
    let errors: Vec<_> = report.errors().map(|error| error.hint.as_str()).collect();
    assert_eq!(errors, ["at most 10 own files (S-25)"]);
}

#[test]
fn s_26_the_announcement_comes_before_voicemail() {
    let plans = plans(&sample());
    let decision = call_in(&plans, at("2026-07-05T10:00:00"), ONE, &World::default());
    let [Step::Announce { .. }, Step::Voicemail { .. }] = decision.steps.as_slice() else {
        panic!("{decision:?}")
    };
}

#[test]
fn s_27_and_s_65_wait_for_the_verified_office_in_the_files_and_live() {
    let text = changed(&[("verified = true", "verified = false")]);
    let report = load(&text, &Capabilities::all()).report;
    let hints = report.errors().filter(|error| error.hint.contains("(S-27, S-65)"));
    assert_eq!(hints.count(), 2, "{report}");
    // An office that uses neither is taken, and cannot flip them on.
    let quiet = text
        .replace("mode = \"schedule\"\nschedule = \"office\"\nforward_to = \"09012345678\"", "")
        .replace("\"yearly:08-13..08-15\"]", "\"yearly:08-13..08-15\"]\n");
    let plans = plans(&quiet);
    let mut live = Live::new();
    for change in [off_hours(true), forwarding(true)] {
        let refused = flip(&plans, &mut live, change);
        assert!(matches!(refused, Err(ChangeError::NotVerified { .. })), "{refused:?}");
    }
    assert_eq!(live, Live::new());
}

#[test]
fn s_28_lunch_is_a_cell_like_any_other() {
    let plans = plans(&sample());
    assert_eq!(outcome(&plans, at("2026-07-01T12:30:00"), &World::default()), LUNCH);
    assert_eq!(outcome(&plans, at("2026-07-01T13:00:00"), &World::default()), RINGS);
}

#[test]
fn s_50_and_s_55_forwarding_is_unconditional_and_knows_no_voicemail() {
    let plans = plans(&sample());
    let mut live = Live::new();
    flip(&plans, &mut live, forwarding(true)).expect("allowed");
    let decision = call_in(&plans, wednesday(), ONE, &world(live));
    let [Step::Forward(leg)] = decision.steps.as_slice() else { panic!("{decision:?}") };
    assert_eq!(&*leg.number, "09012345678");
    assert_eq!(decision.record, None, "S-75: forwarded calls are not recorded");
}

#[test]
fn s_56_each_number_has_a_target_of_its_own() {
    let plans = plans(&changed(&[(
        "mode = \"ring\"\nbusy_announcement = true",
        "mode = \"forward\"\nbusy_announcement = true\noptions = [\"forwarding\"]\n\
         forward_to = \"09087654321\"",
    )]));
    let mut live = Live::new();
    flip(&plans, &mut live, forwarding(true)).expect("allowed");
    let to =
        Change::ForwardTo { number: Arc::from("number1"), to: Some(Arc::from("+819011112222")) };
    flip(&plans, &mut live, to).expect("allowed");
    let world = world(live.clone());
    let target = |did| call_in(&plans, wednesday(), did, &world).outcome().forwards;
    assert_eq!(target(ONE).as_deref(), Some("09011112222"));
    assert_eq!(target("0312340002").as_deref(), Some("09087654321"));
    let wrong = [
        ("119", "blocked:emergency"),
        ("01014155550001", "blocked:international"),
        ("0999", "of no class"),
        ("12a", "no number"),
    ];
    for (to, expected) in wrong {
        let change = Change::ForwardTo { number: Arc::from("number1"), to: Some(Arc::from(to)) };
        let Err(ChangeError::Target { why, .. }) = flip(&plans, &mut live, change) else {
            panic!("{to}")
        };
        assert_eq!(why, expected);
    }
}

#[test]
fn s_57_forwarding_needs_no_device() {
    let plans = plans(&sample());
    let mut live = Live::new();
    flip(&plans, &mut live, forwarding(true)).expect("allowed");
    let world = World { off: vec!["A", "B", "C", "D", "E", "F"], ..world(live) };
    assert_eq!(outcome(&plans, wednesday(), &world), FORWARDS);
}

#[test]
fn s_58_the_forwarded_phone_sees_the_number_that_forwards() {
    let plans = plans(&sample());
    let decision = call_in(&plans, at("2026-07-01T18:30:00"), ONE, &World::default());
    assert_eq!(decision.outcome().shown_caller.as_deref(), Some("0312340001"));
    // S-59: the history keeps the caller itself.
    assert_eq!(decision.caller.as_deref(), Some("0455550001"));
}

/// S-60, S-61: every walk of eight flips from every mode, against the guide's four sentences.
#[test]
fn s_60_and_s_61_hold_on_every_walk() {
    let plans = plans(&sample());
    let by: Arc<str> = Arc::from("ctl");
    for walk in 0_u32..4_u32.pow(6) {
        let mut live = Live::new();
        let (mut hours, mut forward) = (true, false);
        for step in 0..6 {
            let change = match walk / 4_u32.pow(step) % 4 {
                0 => {
                    (hours, forward) = (true, false);
                    off_hours(true)
                }
                1 => {
                    hours = false;
                    off_hours(false)
                }
                2 => {
                    (hours, forward) = (false, true);
                    forwarding(true)
                }
                _ => {
                    forward = false;
                    forwarding(false)
                }
            };
            plans.change("acme", &mut live, &change, &by, wednesday()).expect("allowed");
            let mode = match (hours, forward) {
                (true, false) => Mode::Schedule,
                (false, true) => Mode::Forward,
                (false, false) => Mode::Ring,
                (true, true) => unreachable!("the guide excludes it"),
            };
            let effective = plans.effective("acme", &live);
            let found = effective.iter().find(|entry| entry.key == "number.number1.mode");
            assert_eq!(found.map(|entry| entry.value.as_str()), Some(mode.as_str()), "walk {walk}");
        }
    }
}

#[test]
fn s_62_both_by_time_only_through_cells() {
    let text = sample();
    let from = text.find("weekday = [").expect("the sample has weekdays");
    let to = text.find("saturday = [").expect("the sample has Saturdays");
    let cells = "weekday = [{ from = \"09:00\", to = \"18:00\", do = \"forward\" }]\n";
    let plans = plans(&changed(&[(&text[from..to], cells)]));
    let world = World::default();
    assert_eq!(outcome(&plans, at("2026-07-01T08:59:59"), &world), CLOSED);
    assert_eq!(outcome(&plans, at("2026-07-01T09:00:00"), &world), FORWARDS);
    assert_eq!(outcome(&plans, at("2026-07-01T17:59:59"), &world), FORWARDS);
    assert_eq!(outcome(&plans, at("2026-07-01T18:00:00"), &world), CLOSED);
}

#[test]
fn s_63_a_fax_is_received_while_the_number_is_forwarded() {
    let plans = plans(&sample());
    let decision = call_in(&plans, at("2026-07-01T18:30:00"), ONE, &World::default());
    assert!(matches!(decision.steps.as_slice(), [Step::Forward(_)]));
    let fax = decision.fax.expect("it listens for CNG");
    assert_eq!((fax.mailbox.as_deref(), fax.deliver_to.as_deref()), (Some("main"), Some("F")));
    assert_eq!((fax.listen.as_secs(), fax.answer_early), (10, false));
    let other = call_in(&plans, wednesday(), "0312340002", &World::default());
    assert_eq!(other.fax, None);
}

#[test]
fn settings_survive_the_way_through_the_store_and_name_who_and_when() {
    let plans = plans(&sample());
    let mut live = Live::new();
    let changes = [
        forwarding(true),
        Change::ForwardTo { number: Arc::from("number1"), to: Some(Arc::from("09011112222")) },
        Change::Closed { number: Arc::from("number2"), closed: Some(true) },
        Change::CallerId { device: Arc::from("C"), number: Some(Arc::from("number1")) },
        Change::Day { schedule: Arc::from("office"), date: date(2026, 12, 28), closed: Some(true) },
        Change::Cells {
            schedule: Arc::from("office"),
            day: DayClass::Saturday,
            from: 0,
            to: 48,
            value: Some(CellValue::Announce(Arc::from("lunch"))),
        },
    ];
    let mut stored = Vec::new();
    for change in changes {
        let by = Arc::from("portal:sato");
        let entries = plans.change("acme", &mut live, &change, &by, wednesday()).expect("allowed");
        stored.extend(entries);
    }
    assert_eq!(stored.len(), 5 + 48);
    assert!(stored.iter().all(|entry| &*entry.by == "portal:sato" && entry.at == wednesday()));
    let (restored, wrong) = Live::restore(stored);
    assert_eq!((restored, wrong), (live, Vec::new()));
    let nonsense = ["number.number1.colour", "room.main.pin", "schedule.office.monday.09:00", "x"];
    let entries = nonsense.map(|key| koukan_dialplan::Entry {
        key: Arc::from(key),
        value: Some(Arc::from("ring")),
        by: Arc::from("ctl"),
        at: wednesday(),
    });
    assert_eq!(Live::restore(entries).1.len(), nonsense.len());
}
