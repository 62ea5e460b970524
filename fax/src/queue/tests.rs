//! Whole lives of documents on a virtual clock.

use std::time::Duration;

use koukan_base::Time;
use proptest::prelude::*;

use super::{Ended, Job, Next, Rate, RetryTable};
use crate::cause::{Cause, Class};

const START: Time = Time::from_millis(1_000);

fn failed(cause: Cause, confirmed: u32) -> Ended {
    Ended { cause, confirmed, by_t38: true }
}

/// Lets a document be tried until it is over; says how often and when the last attempt began.
fn life(job: &mut Job, mut end: impl FnMut(u32) -> Ended) -> (u32, Time, Next) {
    let (mut attempts, mut now) = (0, START);
    loop {
        let attempt = job.begin(now).unwrap();
        assert_eq!(attempt.first_page, job.pages().1 + 1);
        attempts += 1;
        match job.ended(now, end(attempts)) {
            Next::Again { due } => {
                assert!(job.begin(due.before(Duration::from_millis(1))).is_none());
                now = due;
            }
            over => return (attempts, now, over),
        }
    }
}

trait Before {
    fn before(self, by: Duration) -> Self;
}

impl Before for Time {
    fn before(self, by: Duration) -> Self {
        Time::from_millis(u64::try_from((self.since(Time::ZERO) - by).as_millis()).unwrap())
    }
}

#[test]
fn a_busy_line_is_tried_three_times_more_and_then_no_more() {
    let mut job = Job::new(START, 2, 3, RetryTable::default());
    let (attempts, last, next) = life(&mut job, |_| failed(Cause::Busy, 0));
    assert_eq!((attempts, next), (4, Next::Failed { cause: Cause::Busy }));
    assert_eq!(last, START + Duration::from_secs(25 * 60));
}

#[test]
fn numbers_that_do_not_exist_and_calls_that_are_not_allowed_are_tried_once() {
    for cause in Cause::ALL.into_iter().filter(|cause| cause.class() == Class::Final) {
        let mut job = Job::new(START, 2, 3, RetryTable::default());
        assert_eq!(life(&mut job, |_| failed(cause, 0)).0, 1, "{cause:?}");
    }
    let mut job = Job::new(START, 2, 3, RetryTable::default());
    assert_eq!(life(&mut job, |_| failed(Cause::NoFax, 0)).0, 2, "a person is called once more");
}

#[test]
fn sending_goes_on_at_the_first_page_that_was_not_confirmed() {
    let mut job = Job::new(START, 10, 3, RetryTable::default());
    let mut pages = [4, 3, 3].into_iter();
    let end = |_| failed(Cause::Dropped, pages.next().unwrap());
    let (attempts, _, next) = life(&mut job, end);
    assert_eq!((attempts, next, job.pages()), (3, Next::Done, (10, 10)));
}

#[test]
fn a_call_that_is_cut_after_the_last_confirmation_is_a_success() {
    let mut job = Job::new(START, 3, 3, RetryTable::default());
    assert_eq!(life(&mut job, |_| failed(Cause::Timeout, 3)).2, Next::Done);
}

#[test]
fn each_failed_transmission_makes_one_thing_easier() {
    let mut job = Job::new(START, 3, 9, RetryTable::default());
    let mut seen = Vec::new();
    let mut now = START;
    while let Some(attempt) = job.begin(now) {
        seen.push((attempt.easier.rate, attempt.easier.ecm, attempt.easier.t38));
        let ended = Ended { by_t38: attempt.easier.t38, ..failed(Cause::BadPages, 0) };
        if let Next::Again { due } = job.ended(now, ended) {
            now = due;
        }
    }
    let wanted = [
        (Rate::V17, true, true),
        (Rate::V29, true, true),
        (Rate::V29, false, true),
        (Rate::V29, true, false),
        (Rate::V27ter, true, false),
    ];
    assert_eq!(seen, wanted);
}

#[test]
fn a_cancelled_document_is_over_whatever_comes_later() {
    let mut job = Job::new(START, 3, 3, RetryTable::default());
    job.begin(START).unwrap();
    let over = Next::Failed { cause: Cause::Cancelled };
    assert_eq!(job.cancel(), over);
    assert_eq!(job.ended(START, failed(Cause::Done, 3)), over);
    assert_eq!((job.due(), job.begin(START + Duration::from_secs(9_999))), (None, None));
}

#[test]
fn a_document_that_a_kill_interrupts_goes_on_where_it_was() {
    let mut job = Job::new(START, 10, 3, RetryTable::default());
    job.begin(START).unwrap();
    job.ended(START, failed(Cause::Dropped, 2));
    let kept = serde_json::to_string(&job.save()).unwrap();
    let later = START + Duration::from_secs(1_000);
    let saved: super::Saved = serde_json::from_str(&kept).unwrap();
    assert_eq!(saved.confirmed(), 2);
    let mut again = Job::restore(saved, RetryTable::default(), later);
    assert_eq!((again.due(), again.pages()), (Some(later), (10, 2)));
    let attempt = again.begin(later).unwrap();
    assert_eq!(attempt.first_page, 3);
    // It ran when the process was killed, and two more pages had been confirmed.
    let next = again.ended(later, failed(Cause::Worker, 2));
    assert!(matches!(next, Next::Again { .. }), "{next:?}");
    assert_eq!((again.pages(), again.save().retries_left), ((10, 4), 1));
}

proptest! {
    #[test]
    fn no_life_is_longer_than_its_retries_and_confirmed_pages_never_go_back(
        pages in 1_u32..40, retries in 0_u32..6,
        ends in prop::collection::vec((0_usize..20, 0_u32..60, any::<bool>()), 40),
    ) {
        let mut job = Job::new(START, pages, retries, RetryTable::default());
        let (mut now, mut attempts, mut last) = (START, 0, 0);
        for (cause, confirmed, by_t38) in ends {
            let Some(attempt) = job.begin(now) else { break };
            attempts += 1;
            prop_assert_eq!(attempt.first_page, last + 1);
            let cause = Cause::ALL[cause];
            let next = job.ended(now, Ended { cause, confirmed, by_t38 });
            let (all, sent) = job.pages();
            prop_assert!(sent >= last && sent <= all);
            prop_assert_eq!(next == Next::Done, sent == all);
            last = sent;
            match next {
                Next::Again { due } => now = due,
                Next::Done | Next::Failed { .. } => break,
            }
        }
        prop_assert!(attempts <= retries + 1);
        prop_assert!(job.due().is_none() || attempts <= retries);
    }
}
