//! `kill -9` in the middle of everything: what was acknowledged is there.

use std::time::Duration;

use koukan_e2e::killing;

#[test]
fn nothing_that_was_acknowledged_is_lost_by_kills_at_random_moments() {
    let report = killing::run(Duration::from_secs(80), Duration::from_secs(40), 7);
    let report = report.expect("the server starts again each time");
    println!("{}", report.text);
    assert!(report.faults.is_empty(), "{:#?}", report.faults);
    for what in [" 0 messages", " 0 faxes", " 0 records", " 0 settings", " 0 registrations"] {
        assert!(!report.text.contains(what), "nothing was acknowledged: {}", report.text);
    }
}
