//! Any loads, wishes for streams, floods and reports of loss: a worker sheds by single steps, no
//! tenant below its share is refused, counts are those of the streams that stand, a stream brings
//! no more than its pace, and an encoder is told what it takes. Each operation is four bytes.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use koukan_base::{StreamId, Time};
use koukan_media::{Overload, Pace, Redundancy, Shares, Shed, Workload};
use libfuzzer_sys::fuzz_target;

/// Streams of a worker, and tenants.
const MOST: usize = 20;
const TENANTS: u8 = 5;

fuzz_target!(|bytes: &[u8]| {
    let tenants: Vec<Arc<str>> = (0..TENANTS).map(|number| format!("t{number}").into()).collect();
    let (mut overload, mut shares) = (Overload::default(), Shares::new(2, MOST));
    let (mut pace, mut redundancy) = (Pace::default(), Redundancy::default());
    let (mut now, mut taken, mut open) = (Time::ZERO, 0u64, Vec::new());
    let (operations, _) = bytes.as_chunks::<4>();
    for (number, [what, a, b, c]) in (0u64..).zip(operations) {
        now = now + Duration::from_millis(u64::from(*c));
        match what % 5 {
            0 => {
                let before = overload.shed().number();
                let load = Workload {
                    ticks: u32::from(*a),
                    late: u32::from(*b),
                    lasted: Duration::from_millis(u64::from(*c)),
                    busy: Duration::from_millis(u64::from(*a)),
                };
                let changed = overload.look(now, load);
                let after = overload.shed().number();
                assert_eq!(changed.is_some(), before != after);
                assert!(before.abs_diff(after) <= 1);
            }
            1 => {
                let (worker, tenant) = (usize::from(b % 2), &tenants[usize::from(a % TENANTS)]);
                let held: Vec<u32> = tenants.iter().map(|t| shares.held(worker, t)).collect();
                let (all, own) = (held.iter().sum::<u32>(), shares.held(worker, tenant));
                let shed = overload.shed();
                let with = u32::try_from(held.iter().filter(|held| **held > 0).count()).unwrap();
                let with = (with + u32::from(own == 0)).max(2);
                let of = if shed >= Shed::Streams { all } else { 20 };
                let outcome = shares.open(StreamId(number), worker, tenant, shed);
                assert!(outcome.is_ok() || all >= 20 || own >= of / with, "{outcome:?}");
                assert!(outcome.is_err() || all < 20);
                open.extend(outcome.ok().map(|()| StreamId(number)));
            }
            2 if !open.is_empty() => {
                let at = usize::from(*a) % open.len();
                if b % 2 == 0 {
                    shares.close(open.swap_remove(at));
                } else {
                    shares.moved(open[at], usize::from(*c % 2));
                }
            }
            3 => {
                for _ in 0..*a {
                    if pace.permits(now) {
                        pace.took();
                        taken += 1;
                    }
                }
            }
            _ => {
                redundancy.report(*a);
            }
        }
        let held = (0..2).flat_map(|worker| tenants.iter().map(move |tenant| (worker, tenant)));
        let held: u32 = held.map(|(worker, tenant)| shares.held(worker, tenant)).sum();
        assert_eq!(usize::try_from(held).unwrap(), open.len());
        let elapsed = u64::try_from(now.since(Time::ZERO).as_millis()).unwrap();
        assert!(taken <= 250 + elapsed / 4, "{taken} in {elapsed} ms");
        assert!(redundancy.expected() <= 25);
    }
});
