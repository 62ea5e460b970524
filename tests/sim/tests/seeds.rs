//! Many seeds, each some minutes of two offices with faults, every invariant after every step;
//! and the proof that a run that fails is made smaller and fails again.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::time::Duration;

use koukan_sim::{Planted, Settings, many, shrink, survived};

/// A build without optimisation takes a second of a core for each: there a few must do. The test
/// command runs a thousand in a profile of its own (`sim`) and names them by
/// `KOUKAN_SEEDS=FIRST-LAST`.
fn seeds() -> (u64, u64) {
    let set = std::env::var("KOUKAN_SEEDS").ok();
    let range = set.as_deref().and_then(|range| range.split_once('-'));
    let numbers = range.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    numbers.unwrap_or((1, 60))
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
fn a_store_that_forgets_is_found_by_a_restart_made_smaller_and_fails_again_by_its_recipe() {
    let forgetful = (1..50).map(|seed| Settings {
        planted: Some(Planted::Forgets),
        offices: 3,
        fault_every: Duration::from_secs(5),
        ..Settings::brief(seed)
    });
    let mut failing = forgetful.filter(|settings| survived(settings).is_err());
    let failing = failing.next().expect("one of fifty runs has a restart behind a registration");
    let sound = Settings { planted: None, ..failing.clone() };
    assert!(survived(&sound).is_ok(), "what fails is what was planted");
    let shrunk = shrink(&failing, 120).unwrap();
    println!("{failing} -> {} in {} runs", shrunk.settings, shrunk.runs);
    println!("{}", shrunk.violation);
    assert!(shrunk.violation.words.contains("was told that"), "{}", shrunk.violation);
    assert!(shrunk.settings.offices < 3 && shrunk.settings.length < failing.length);
    assert!(shrunk.settings.without.len() > 10, "of the faults a restart is needed");
    // What is printed is all that it takes.
    let recipe: Settings = shrunk.settings.to_string().parse().unwrap();
    assert_eq!(recipe, shrunk.settings);
    let again = survived(&recipe).unwrap_err();
    assert_eq!(*again, shrunk.violation);
    assert!(!again.trace.is_empty(), "the messages before it are shown");
}
