//! Junk on the ports of a fax costs it nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that panics has failed, as it should"
)]

mod ends;

use std::time::Duration;

use ends::*;
use koukan_base::Rng;
use koukan_fax::protocol::{Law, Media, Task};
use koukan_fax::queue::Rate;
use koukan_fax::{Bitmap, Cause, Resolution};
use koukan_faxworker::session::Line;

fn pages() -> Vec<(Bitmap, Resolution)> {
    vec![
        (page(Kind::Text, 1_728, 1_100), Resolution::Standard),
        (page(Kind::Dense, 1_728, 150), Resolution::Fine),
    ]
}

/// What no machine says, at both ends of a fax, from strangers and from the other end's own port:
/// bytes at random, cut datagrams, and sequence numbers of elsewhere, twenty a second.
#[test]
fn junk_at_twenty_datagrams_a_second_changes_no_fax() {
    for by_t38 in [true, false] {
        let (pages, directory) = (pages(), Directory::new());
        document(&directory.path().join("out.tif"), &pages);
        let station = |calling| station(Rate::V17, true, calling);
        let (file, first_page) = ("out.tif".to_owned(), 1);
        let send = Task::Send { file, first_page, station: station(true) };
        let (file, max_pages) = ("in.tif".to_owned(), 30);
        let receive = Task::Receive { file, max_pages, station: station(false) };
        let media = |to| match by_t38 {
            true => Media::T38(t38(to)),
            false => Media::Audio(audio(to, Law::Mu)),
        };
        let line = if by_t38 { Line::T38 } else { Line::Audio };
        let mut ends = vec![
            End2::new(1, &send, media(2), directory.path()),
            End2::new(2, &receive, media(1), directory.path()),
        ];
        let mut random = Rng::from_number(1);
        let (mut due, mut said) = (START, 0_u32);
        run(&mut ends, &mut Link::new(0, 1), 900, |now, ends| {
            if now < due {
                return;
            }
            due = now + Duration::from_millis(50);
            for (end, peer) in [(0, 2), (1, 1)] {
                let length = random.next_u64() % 60;
                let mut junk: Vec<u8> = (0..length).map(|_| random.next_u64() as u8).collect();
                if by_t38 && length > 4 && said % 3 == 0 {
                    // It begins as a datagram does, of another time, and ends too soon.
                    junk[2] = 40;
                    junk.truncate(20);
                }
                let from = if said % 2 == 0 { address(peer) } else { address(9_999) };
                ends[end].session.receive(now, line, from, &junk);
                said += 1;
            }
        });
        let (sent, came) = (ends[0].end(), ends[1].end());
        println!("by T.38 {by_t38}: {said} datagrams of junk");
        assert_eq!((sent.cause(), came.cause()), (Cause::Done, Cause::Done), "{sent:?} {came:?}");
        assert!(said > 1_000);
        assert_same(&directory.path().join("in.tif"), &pages);
    }
}
