//! Media workers that refuse streams: calls go to others while there are any.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_base::WorkerId;
use koukan_switch::CallCause;
use office::{Does, Office, ending};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Whether a call of A to B comes about, and goes both ways.
fn talks(office: &mut Office) -> bool {
    office.phone('B').does = Does::Answers(300);
    office.call('A', "802");
    office.run(secs(2));
    let [a, b] = ['A', 'B'].map(|name| office.phone(name).media);
    office.media.joined(a, b)
}

#[test]
fn a_worker_that_takes_no_call_leaves_it_to_the_next_one() {
    let mut office = Office::on_two_workers();
    office.media.takes.insert(WorkerId(0), 0);
    for _ in 0..4 {
        assert!(talks(&mut office), "{:?}", office.explained);
        office.hang_up('A');
        office.run(secs(1));
    }
    let cdrs = office.finish();
    assert_eq!(cdrs.len(), 4);
    assert!(cdrs.iter().all(|cdr| ending(cdr) == (CallCause::CallerHungUp, 200)));
}

#[test]
fn a_worker_that_is_full_behind_the_caller_gives_it_away_with_the_call() {
    let mut office = Office::on_two_workers();
    for _ in 0..2 {
        office.media.takes.insert(WorkerId(0), 1);
        assert!(talks(&mut office), "{:?}", office.explained);
        office.hang_up('B');
        office.run(secs(1));
    }
    assert!((1..=2).contains(&office.media.moved), "a call began on the worker that is full");
    assert!(office.media.crossed.is_empty(), "{:?}", office.media.crossed);
    assert_eq!(office.finish().len(), 2);
}

#[test]
fn a_call_that_all_workers_refuse_is_refused_once() {
    let mut office = Office::on_two_workers();
    office.media.takes.extend([(WorkerId(0), 0), (WorkerId(1), 0)]);
    assert!(!talks(&mut office));
    let cdrs = office.finish();
    assert_eq!(ending(&cdrs[0]), (CallCause::Internal, 503));
}
