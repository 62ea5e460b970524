//! Whole faxes between two of our own sessions, by every modem and medium: the pages that come are
//! the pages that were sent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that panics has failed, as it should"
)]

mod ends;

use ends::*;
use koukan_fax::protocol::{Event, Law, Media, T38, Task};
use koukan_fax::queue::Rate;
use koukan_fax::{Bitmap, Cause, Resolution};

fn pages() -> Vec<(Bitmap, Resolution)> {
    vec![
        (page(Kind::Text, 1_728, 1_100), Resolution::Standard),
        (page(Kind::Dense, 1_728, 150), Resolution::Fine),
    ]
}

/// A call; returns its ends and how long it took.
fn call(
    pages: &[(Bitmap, Resolution)],
    (rate, ecm): (Rate, bool),
    media: impl Fn(u16) -> Media,
    loss: (u64, u64),
    directory: &Directory,
) -> (Vec<End2>, f64) {
    document(&directory.path().join("out.tif"), pages);
    let send =
        Task::Send { file: "out.tif".to_owned(), first_page: 1, station: station(rate, ecm, true) };
    let receive = Task::Receive {
        file: "in.tif".to_owned(),
        max_pages: 30,
        station: station(rate, ecm, false),
    };
    let mut ends = vec![
        End2::new(1, &send, media(2), directory.path()),
        End2::new(2, &receive, media(1), directory.path()),
    ];
    let took = run(&mut ends, &mut Link::new(loss.0, loss.1), 900, |_, _| {});
    (ends, took)
}

fn check(name: &str, call: (Vec<End2>, f64), pages: &[(Bitmap, Resolution)], at: &Directory) {
    let (ends, took) = call;
    let (sent, came) = (ends[0].end(), ends[1].end());
    println!(
        "{name}: {took:.1} s, {} bit/s, ECM {}, retries {}",
        sent.bit_rate, sent.ecm, sent.ecm_retries
    );
    assert_eq!((sent.cause(), came.cause()), (Cause::Done, Cause::Done), "{name}: {sent:?}");
    assert_eq!((ends[0].pages(), ends[1].pages()), (pages.len(), pages.len()), "{name}");
    assert_same(&at.path().join("in.tif"), pages);
    let named = |end: &End2, ident: &str| {
        end.events.iter().any(|event| matches!(event, Event::Remote { ident: it } if it == ident))
    };
    assert!(named(&ends[0], "+81 3 3333 4444") && named(&ends[1], "+81 3 1111 2222"), "{name}");
}

#[test]
fn every_modem_with_and_without_error_correction_over_g711() {
    let pages = pages();
    for (rate, bit_rate) in [(Rate::V17, 14_400), (Rate::V29, 9_600), (Rate::V27ter, 4_800)] {
        for (ecm, law) in [(true, Law::Mu), (false, Law::A)] {
            let directory = Directory::new();
            let media = |to| Media::Audio(audio(to, law));
            let call = call(&pages, (rate, ecm), media, (0, 1), &directory);
            assert_eq!((call.0[0].end().bit_rate, call.0[0].end().ecm), (bit_rate, ecm));
            check(&format!("{rate:?} ECM {ecm} {law:?}"), call, &pages, &directory);
        }
    }
}

#[test]
fn every_modem_with_and_without_error_correction_over_t38() {
    let pages = pages();
    for rate in [Rate::V17, Rate::V29, Rate::V27ter] {
        for ecm in [true, false] {
            let directory = Directory::new();
            let media = |to| Media::T38(t38(to));
            let call = call(&pages, (rate, ecm), media, (0, 1), &directory);
            check(&format!("T.38 {rate:?} ECM {ecm}"), call, &pages, &directory);
        }
    }
}

#[test]
fn t38_stands_a_tenth_of_loss_with_copies() {
    let pages = pages();
    for (lost, seed) in [(10, 1), (50, 2), (50, 3), (100, 4), (100, 5), (100, 6)] {
        let directory = Directory::new();
        let media = |to| Media::T38(t38(to));
        let call = call(&pages, (Rate::V17, true), media, (lost, seed), &directory);
        check(&format!("T.38, {} % lost, seed {seed}", lost / 10), call, &pages, &directory);
    }
}

#[test]
fn t38_stands_some_loss_with_parities() {
    let pages = pages();
    for (lost, seed) in [(10, 1), (50, 2)] {
        let directory = Directory::new();
        let media = |to| Media::T38(T38 { redundancy: 0, fec: Some((3, 3)), ..t38(to) });
        let call = call(&pages, (Rate::V17, true), media, (lost, seed), &directory);
        check(&format!("T.38 FEC, {} % lost", lost / 10), call, &pages, &directory);
    }
}

#[test]
fn pages_of_b4_mixed_resolution_blank_and_long_ones() {
    let pages = vec![
        (page(Kind::Text, 2_048, 700), Resolution::Fine),
        (page(Kind::Blank, 2_048, 300), Resolution::Standard),
        (page(Kind::Text, 2_048, 900), Resolution::Superfine),
        (page(Kind::Text, 1_728, 5_000), Resolution::Fine),
    ];
    let directory = Directory::new();
    let media = |to| Media::Audio(audio(to, Law::Mu));
    let one = call(&pages, (Rate::V17, true), media, (0, 1), &directory);
    check("mixed pages", one, &pages, &directory);
}

#[test]
fn the_page_after_the_last_that_is_taken_ends_the_call_and_those_before_are_kept() {
    let pages: Vec<_> =
        (0..4).map(|_| (page(Kind::Text, 1_728, 300), Resolution::Standard)).collect();
    for over_t38 in [false, true] {
        let directory = Directory::new();
        document(&directory.path().join("out.tif"), &pages);
        let send = Task::Send {
            file: "out.tif".to_owned(),
            first_page: 1,
            station: station(Rate::V17, true, true),
        };
        let receive = Task::Receive {
            file: "in.tif".to_owned(),
            max_pages: 2,
            station: station(Rate::V17, true, false),
        };
        let media =
            |to| if over_t38 { Media::T38(t38(to)) } else { Media::Audio(audio(to, Law::Mu)) };
        let mut ends = vec![
            End2::new(1, &send, media(2), directory.path()),
            End2::new(2, &receive, media(1), directory.path()),
        ];
        run(&mut ends, &mut Link::new(0, 1), 300, |now, ends| {
            // The end of the receiver is the end of the call.
            if ends[1].session.is_over() {
                ends[0].session.stop(now);
            }
        });
        let (sent, came) = (ends[0].end(), ends[1].end());
        assert_eq!((came.cause(), came.confirmed), (Cause::PageLimit, 2), "{came:?}");
        assert_eq!(sent.confirmed, 2, "the second page's confirmation went out: {sent:?}");
        assert_ne!(sent.cause(), Cause::Done);
        let file = std::fs::read(directory.path().join("in.tif")).unwrap();
        let kept = koukan_fax::tiff::read(&file).unwrap();
        assert!(kept.len() >= 2);
        assert!(kept[1].decode().unwrap() == pages[1].0);
    }
}

#[test]
fn a_far_end_that_vanishes_within_the_second_page_leaves_the_first() {
    let pages: Vec<_> =
        (0..3).map(|_| (page(Kind::Text, 1_728, 1_100), Resolution::Standard)).collect();
    let directory = Directory::new();
    document(&directory.path().join("out.tif"), &pages);
    let send = Task::Send {
        file: "out.tif".to_owned(),
        first_page: 1,
        station: station(Rate::V17, true, true),
    };
    let receive = Task::Receive {
        file: "in.tif".to_owned(),
        max_pages: 30,
        station: station(Rate::V17, true, false),
    };
    let mut ends = vec![
        End2::new(1, &send, Media::T38(t38(2)), directory.path()),
        End2::new(2, &receive, Media::T38(t38(1)), directory.path()),
    ];
    let mut gone_at = None;
    run(&mut ends, &mut Link::new(0, 1), 400, |now, ends| {
        if ends[1].pages() == 1 {
            let at = *gone_at.get_or_insert(now + std::time::Duration::from_secs(3));
            if now >= at {
                ends[0].session.stop(now);
            }
        }
    });
    let came = ends[1].end();
    assert_eq!(came.confirmed, 1);
    assert_eq!(came.cause().class(), koukan_fax::Class::Transmission, "{came:?}");
    let kept = koukan_fax::tiff::salvage(&std::fs::read(directory.path().join("in.tif")).unwrap());
    assert!(kept[0].decode().unwrap() == pages[0].0);
}
