//! Many seeds, each some minutes of two offices with faults, every invariant after every step;
//! and the proof that a run that fails is made smaller and fails again.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::time::Duration;

use koukan_sim::{Settings, many, shrink, survived};

/// A build without optimisation takes a second of a core for each: there a few of the thousand must
/// do, which `cargo xtask sim seeds 1-1000` runs. `KOUKAN_SEEDS=FIRST-LAST` names others.
fn seeds() -> (u64, u64) {
    let set = std::env::var("KOUKAN_SEEDS").ok();
    let range = set.as_deref().and_then(|range| range.split_once('-'));
    let numbers = range.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    numbers.unwrap_or((1, if cfg!(debug_assertions) { 60 } else { 1_000 }))
}

#[test]
fn seeds_with_restarts_panics_and_a_store_that_refuses_hold() {
    let (first, last) = seeds();
    let outcome = many(first..=last);
    println!("{}", outcome.text());
    if let Some(settings) = outcome.failed.first() {
        let shrunk = shrink(settings, 100);
        let smaller = shrunk.map(|shrunk| {
            let trace = &shrunk.violation.trace;
            format!("{trace}{}\ncargo xtask sim again {}", shrunk.violation, shrunk.settings)
        });
        panic!("{}\n{}", outcome.text(), smaller.unwrap_or_default());
    }
    if last - first >= 59 {
        for (what, count) in &outcome.faults {
            assert!(*count >= 3, "{what}: {count} in {} seeds", outcome.passed);
        }
        assert!(outcome.calls > 2_000, "{}", outcome.calls);
    }
}

#[test]
fn a_run_that_fails_is_made_smaller_and_fails_again_in_the_same_way() {
    let never = Some("calls killed");
    let wanted = (1..200).map(|seed| Settings {
        never,
        offices: 3,
        fault_every: Duration::from_secs(5),
        ..Settings::brief(seed)
    });
    let failing = wanted.into_iter().find(|settings| survived(settings).is_err());
    let failing = failing.expect("an operator ends a call in one of two hundred runs");
    let shrunk = shrink(&failing, 120).unwrap();
    println!("{} -> {} in {} runs", failing, shrunk.settings, shrunk.runs);
    assert!(shrunk.violation.words.contains("calls killed"), "{}", shrunk.violation);
    assert!(shrunk.settings.offices < 3 && shrunk.settings.length < failing.length);
    assert!(shrunk.settings.without.len() > 10, "of the faults one is needed");
    let again = survived(&shrunk.settings).unwrap_err();
    assert_eq!(*again, shrunk.violation);
}
