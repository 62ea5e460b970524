//! Session timers of calls (RFC 4028): who lives is kept, who is gone is noticed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_sip::Method;
use koukan_switch::CallCause;
use office::{Does, Office, TRUNK, ending, only};

const HOUR: Duration = Duration::from_secs(3600);

fn requests(office: &mut Office, name: char, method: Method) -> usize {
    let requests = &office.phone(name).requests;
    requests.iter().filter(|request| request.method() == Some(method)).count()
}

#[test]
fn a_callee_that_takes_update_is_refreshed_by_it() {
    let mut office = Office::open();
    office.phone('B').does = Does::Answers(1_500);
    office.call(TRUNK, "0312340002");
    office.run(2 * HOUR);
    // Every 900 s.
    assert_eq!(requests(&mut office, 'B', Method::Update), 7);
    assert_eq!(requests(&mut office, 'B', Method::Invite), 0);
    office.hang_up(TRUNK);
    assert_eq!(ending(&only(office.finish())), (CallCause::CallerHungUp, 200));
}

#[test]
fn a_callee_that_takes_no_update_is_refreshed_by_the_same_description() {
    let mut office = Office::open();
    office.phone('B').take_no_update();
    office.register('B', &[]);
    office.phone('B').does = Does::Answers(1_500);
    office.call(TRUNK, "0312340002");
    office.run(2 * HOUR);
    assert_eq!(requests(&mut office, 'B', Method::Update), 0);
    assert_eq!(requests(&mut office, 'B', Method::Invite), 7);
    let offers = office.phone('B').requests.iter().map(|request| request.body().to_vec());
    let mut offers: Vec<_> = offers.filter(|body| !body.is_empty()).collect();
    offers.dedup();
    assert_eq!(offers.len(), 1, "a refresh changes nothing");
    office.hang_up(TRUNK);
    assert_eq!(ending(&only(office.finish())), (CallCause::CallerHungUp, 200));
}

#[test]
fn a_refresh_that_crossed_another_re_invite_comes_again_within_four_seconds() {
    let mut office = Office::open();
    office.phone('B').take_no_update();
    office.register('B', &[]);
    office.phone('B').does = Does::Answers(1_500);
    office.call(TRUNK, "0312340002");
    office.run(Duration::from_secs(890));
    office.phone('B').crosses = 1;
    office.run(Duration::from_secs(13));
    assert_eq!(requests(&mut office, 'B', Method::Invite), 1);
    office.run(Duration::from_secs(4));
    assert_eq!(requests(&mut office, 'B', Method::Invite), 2);
    office.hang_up(TRUNK);
    assert_eq!(ending(&only(office.finish())), (CallCause::CallerHungUp, 200));
}
