//! Some virtual minutes of several seeds, and the proof that a seed replays.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::time::Duration;

use koukan_sim::{Report, Settings, run};

/// Three offices that are busier than any.
fn short(seed: u64, minutes: u64) -> Report {
    let length = Duration::from_secs(minutes * 60);
    let pause = Duration::from_secs(15);
    let settings = Settings { offices: 3, pause, ..Settings::new(seed, length) };
    match run(settings) {
        Ok(report) => report,
        Err(violation) => panic!("{}{violation} (seed {seed})", violation.trace),
    }
}

#[test]
fn minutes_of_mixed_traffic_leave_nothing_behind_whatever_the_seed() {
    let reports: Vec<Report> = (1..=3).map(|seed| short(seed, 15)).collect();
    for report in &reports {
        print!("{}", report.text());
        assert!(report.calls > 200 && report.answered > 100, "{}", report.text());
    }
    // Each kind of traffic is among it, and not once by chance.
    for what in [
        "registered",
        "not registered",
        "unregistered",
        "held",
        "blind transfers",
        "attended transfers",
        "pickups tried",
        "given up",
        "watchings begun",
        "notified",
        "phones vanished",
        "carriers vanished",
        "storms",
        "calls killed",
    ] {
        let count: u64 = reports.iter().map(|report| report.count(what)).sum();
        assert!(count > 1, "{what}: {count}");
    }
}

#[test]
fn a_seed_replays_message_for_message() {
    let (first, again) = (short(99, 8), short(99, 8));
    assert_eq!(first.fingerprint, again.fingerprint);
    assert_eq!((first.steps, first.messages), (again.steps, again.messages));
    assert_ne!(first.fingerprint, short(100, 2).fingerprint);
}
