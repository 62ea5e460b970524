//! Outcomes over a day and a week, as `koukan sim --timeline` prints them.

mod office;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::civil::date;
use koukan_dialplan::{Caller, Change, Facts, Idle, Origin, Plans, Settings};
use office::world::{World, at, changed, plans};

fn origin() -> Origin {
    Origin::Trunk { tenant: Some(Arc::from("acme")), trunk: Arc::from("carrier") }
}

fn week(plans: &Plans, called: &str, world: &World) -> String {
    let caller = Caller { number: Some(Arc::from("0455550001")), ..Caller::default() };
    // A week with a national holiday on its Monday.
    let days = (date(2026, 7, 17), 7);
    plans.timeline((&origin(), &caller, called), days, world).to_string()
}

#[test]
fn a_week_of_a_number_with_a_schedule() {
    let plans = plans(&changed(&[]));
    insta::assert_snapshot!(week(&plans, "0312340001", &World::default()));
    let mut settings = Settings::default();
    for (key, value) in
        [("office.weekday.09:00-10:00", "announce:lunch"), ("office.2026-07-23", "closed")]
    {
        let change = Change::parse(key, Some(value)).expect("a setting");
        let by = Arc::from("ctl");
        plans.set("acme", &mut settings, &change, &by, at("2026-07-01T00:00:00")).expect("allowed");
    }
    let live = HashMap::from([(String::from("acme"), settings.live().clone())]);
    insta::assert_snapshot!(week(&plans, "0312340001", &World { live, ..World::default() }));
}

#[test]
fn a_number_without_a_schedule_is_the_same_all_day() {
    let plans = plans(&changed(&[]));
    let text = week(&plans, "0312340002", &World::default());
    assert!(
        text.ends_with("a  rings A, B, C, then hangup\n   Fri 17 to Thu 23  all day\n"),
        "{text}"
    );
}

#[test]
fn every_letter_is_what_the_decision_of_that_half_hour_says() {
    let plans = plans(&changed(&[]));
    let (origin, caller) = (origin(), Caller::default());
    let asked = (&origin, &caller, "0120000001");
    let timeline = plans.timeline(asked, (date(2026, 12, 26), 14), &Idle);
    assert_eq!(timeline.days.len(), 14);
    for day in &timeline.days {
        assert_eq!(day.cells.len(), 48);
        for (cell, place) in &day.cells {
            let (hour, minute) = (cell / 2, cell % 2 * 30 + 29);
            let when = at(&format!("{}T{hour:02}:{minute:02}:59", day.date));
            let facts =
                Facts { at: when, origin: &origin, caller: &caller, called: asked.2, state: &Idle };
            assert_eq!(timeline.outcomes[*place], plans.decide(&facts).outcome().to_string());
        }
    }
}

#[test]
fn a_day_whose_clock_is_put_forward_has_a_gap() {
    let text = changed(&[("Asia/Tokyo", "Europe/Berlin")]);
    let plans = plans(&text);
    let caller = Caller::default();
    let asked = (&origin(), &caller, "0312340001");
    let timeline = plans.timeline(asked, (date(2026, 3, 29), 1), &Idle);
    let cells: Vec<u8> = timeline.days[0].cells.iter().map(|(cell, _)| *cell).collect();
    assert_eq!(cells, (0..4).chain(6..48).collect::<Vec<u8>>());
}
