//! Properties: no text and no call makes the dialplan panic; every decision ends; the grid is
//! whole.

mod office;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::civil::date;
use jiff::tz::TimeZone;
use koukan_dialplan::{Caller, Capabilities, Change, Facts, Live, Mode, Origin, State, Step};
use office::world::World;
use office::{load, sample, wednesday};
use proptest::prelude::*;

/// A switch in any state.
struct Any {
    reachable: bool,
    used: u32,
}

impl State for Any {
    fn reachable(&self, _tenant: &str, device: &str) -> bool {
        self.reachable || device == "C"
    }
    fn tenant_channels(&self, _tenant: &str) -> u32 {
        self.used
    }
    fn number_channels(&self, _tenant: &str, _number: &str) -> u32 {
        self.used
    }
    fn trunk_channels(&self, _tenant: Option<&str>, _trunk: &str) -> u32 {
        self.used
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_mutated_text_panics(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..40, ".{0,12}"), 1..6),
    ) {
        let mut text = sample();
        for (at, length, put) in cuts {
            let mut start = at.index(text.len() + 1);
            while !text.is_char_boundary(start) {
                start -= 1;
            }
            let mut end = (start + length).min(text.len());
            while !text.is_char_boundary(end) {
                end += 1;
            }
            text.replace_range(start..end, &put);
        }
        let loaded = load(&text, &Capabilities::all());
        let _ = loaded.report.to_string();
    }

    #[test]
    fn no_text_at_all_panics(text in "\\PC{0,400}") {
        let _ = load(&text, &Capabilities::all()).report.to_string();
    }

    #[test]
    fn every_decision_ends_with_a_final_status(
        called in "[+]?[0-9*#]{0,40}",
        known in prop::sample::select(vec![
            "0312340001", "0312340002", "0312340003", "0120000001", "600", "700", "*97", "8101",
            "801", "119", "09012345678", "+81312340001", "184110", "",
        ]),
        pick in any::<bool>(),
        inside in any::<bool>(),
        hours in 0_i64..20_000,
        reachable in any::<bool>(),
        used in 0_u32..40,
        caller in prop::option::of("0[0-9]{5,10}"),
        anonymous in any::<bool>(),
    ) {
        let plans = PLANS.with(Clone::clone);
        let tenant: Arc<str> = Arc::from("acme");
        let origin = if inside {
            Origin::Device { tenant, device: Arc::from("C") }
        } else {
            Origin::Trunk { tenant: Some(tenant), trunk: Arc::from("carrier") }
        };
        let caller = Caller { number: caller.map(Arc::from), anonymous, ..Caller::default() };
        let at = wednesday() + jiff::SignedDuration::from_hours(hours);
        let state = Any { reachable, used };
        let called = if pick { known } else { called.as_str() };
        let facts = Facts { at, origin: &origin, caller: &caller, called, state: &state };
        let decision = plans.decide(&facts);
        prop_assert!((400..700).contains(&decision.release.status));
        prop_assert!(!decision.reasons.is_empty());
        prop_assert!(decision.lines().len() > decision.reasons.len());
        // Nothing that is blocked reaches a trunk, however it is asked for.
        for step in &decision.steps {
            if let Step::Trunk(leg) | Step::Forward(leg) = step {
                let blocked = ["emergency", "international", "carrier", "premium", "data", "service"];
                prop_assert!(!blocked.contains(&&*leg.class), "{leg:?}");
                prop_assert!(!leg.trunks.is_empty());
            }
        }
    }
}

thread_local! {
    static PLANS: Arc<koukan_dialplan::Plans> =
        Arc::new(load(&sample(), &Capabilities::all()).plans);
}

/// What a half hour says of the sample's schedule; `class` is the place of its day among the four.
fn cell_says(class: usize, cell: i8) -> &'static str {
    match (class, cell) {
        (0, 18..24 | 26..36) => "ring 5",
        (0, 24..26) => "lunch",
        (0, 36..40) | (1, 20..30) => "forward",
        _ => "closed",
    }
}

#[test]
fn all_half_hours_of_the_four_kinds_of_day_follow_the_grid_and_the_mode() {
    let plans = load(&sample(), &Capabilities::all()).plans;
    let trunk = Origin::Trunk { tenant: Some(Arc::from("acme")), trunk: Arc::from("carrier") };
    let caller = Caller { number: Some(Arc::from("0455550001")), ..Caller::default() };
    let tokyo = TimeZone::get("Asia/Tokyo").expect("a time zone");
    // A Wednesday, a Saturday, a Sunday, Marine Day.
    let days = [date(2026, 7, 1), date(2026, 7, 4), date(2026, 7, 5), date(2026, 7, 20)];
    let modes = [Mode::Schedule, Mode::Ring, Mode::Forward];
    for (mode, is_closed) in modes.into_iter().flat_map(|mode| [(mode, false), (mode, true)]) {
        let number: Arc<str> = Arc::from("number1");
        let mut live = Live::new();
        for change in [
            Change::Mode { number: Arc::clone(&number), mode: Some(mode) },
            Change::Closed { number, closed: Some(is_closed) },
        ] {
            let by = Arc::from("ctl");
            plans.change("acme", &mut live, &change, &by, wednesday()).expect("allowed");
        }
        let world = World { live: HashMap::from([("acme".into(), live)]), ..World::default() };
        let moments = days.into_iter().enumerate().flat_map(|(class, day)| {
            // The first and the last second of each half hour.
            let seconds = [(0, 0), (29, 59)];
            (0_i8..48).flat_map(move |cell| seconds.map(|second| (class, day, cell, second)))
        });
        for (class, day, cell, (minute, second)) in moments {
            let at = day.at(cell / 2, cell % 2 * 30 + minute, second, 0);
            let at = tokyo.to_timestamp(at).expect("Japan has no summer time");
            let (origin, called, state) = (&trunk, "0312340001", &world);
            let outcome =
                plans.decide(&Facts { at, origin, caller: &caller, called, state }).outcome();
            let got = match (&outcome.announces, &outcome.forwards) {
                (Some(name), _) => name.to_string(),
                (None, Some(_)) => String::from("forward"),
                (None, None) => format!("ring {}", outcome.rings.len()),
            };
            let wanted = match mode {
                _ if is_closed => "closed",
                Mode::Schedule => cell_says(class, cell),
                Mode::Ring => "ring 5",
                Mode::Forward => "forward",
            };
            assert_eq!(got, wanted, "{mode:?}, closed {is_closed}, day {class}, half hour {cell}");
        }
    }
}
