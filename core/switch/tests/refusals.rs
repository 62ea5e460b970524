//! What a caller hears of a network that does not take the call: its busy tone is the status alone,
//! a number that is not in use and a phone out of reach have their words.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use office::{Does, Office, TRUNK, ending, only};

#[test]
fn a_refusal_beyond_the_trunk_is_told_in_its_own_words() {
    for (status, words) in [
        (404, Some("unallocated")),
        (410, Some("unallocated")),
        (484, Some("unallocated")),
        (604, Some("unallocated")),
        (480, Some("not-reachable")),
        (486, None),
        (600, None),
        (603, None),
        (488, None),
        (403, Some("trunks-busy")),
        (500, Some("trunks-busy")),
        (503, Some("trunks-busy")),
    ] {
        let mut office = Office::open();
        office.phone(TRUNK).does = Does::Refuses(status);
        office.call('A', "0455550001");
        office.run(Duration::from_secs(40));
        let told = match status {
            403 | 500 => 503,
            600 => 486,
            other => other,
        };
        assert_eq!(ending(&only(office.finals())).1, told, "{status}");
        let started = office.modules.started.join(" ");
        match words {
            Some(name) => assert!(started.contains(name), "{status}: {started}"),
            None => assert_eq!(started, "", "{status}"),
        }
    }
}
