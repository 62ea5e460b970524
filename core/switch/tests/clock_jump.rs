//! The date is set while calls are up: their records are as long as the calls were.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_switch::CallCause;
use office::{Does, Office, ending, only};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_date_that_jumps_makes_no_call_longer_or_shorter() {
    for jump in [86_400, -86_400, 3_600] {
        let mut office = Office::open();
        office.phone('D').does = Does::Answers(500);
        office.call('A', "804");
        office.run(secs(30));
        office.date += jiff::SignedDuration::from_secs(jump);
        office.run(secs(30));
        office.hang_up('A');
        let cdr = only(office.finish());
        assert_eq!(ending(&cdr), (CallCause::CallerHungUp, 200));
        let talked = cdr.ended.unwrap().duration_since(cdr.answered.unwrap()).as_millis();
        assert!((59_000..60_500).contains(&talked), "{jump}: {talked} ms");
        assert!(cdr.legs.iter().all(|leg| leg.answered.unwrap() >= leg.started), "{:?}", cdr.legs);
    }
}
