//! A page is confirmed when it is on the disk and not before: whoever has its MCF throws the paper
//! away.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, as it should"
)]

mod ends;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ends::*;
use koukan_base::Time;
use koukan_fax::protocol::{Event, Law, Media, Task};
use koukan_fax::queue::Rate;
use koukan_fax::{Bitmap, Cause, Resolution};
use koukan_faxworker::process::store;
use koukan_faxworker::session::TICK;

fn pages() -> Vec<(Bitmap, Resolution)> {
    vec![
        (page(Kind::Text, 1_728, 400), Resolution::Fine),
        (page(Kind::Dense, 1_728, 60), Resolution::Fine),
    ]
}

/// Who sends and who receives, over this medium.
fn two(by_t38: bool, ecm: bool, directory: &Path) -> [End2; 2] {
    let station = |calling| station(Rate::V17, ecm, calling);
    let (file, first_page) = ("out.tif".to_owned(), 1);
    let send = Task::Send { file, first_page, station: station(true) };
    let (file, max_pages) = ("in.tif".to_owned(), 30);
    let receive = Task::Receive { file, max_pages, station: station(false) };
    let media = |to| match by_t38 {
        true => Media::T38(t38(to)),
        false => Media::Audio(audio(to, Law::Mu)),
    };
    [End2::new(1, &send, media(2), directory), End2::new(2, &receive, media(1), directory)]
}

/// Runs both; the disk takes so long for each page, and says whether it has so many of them. `each`
/// sees both at every tick, and whether the disk is at work.
fn call(
    ends: &mut [End2; 2],
    (takes, disk): (Duration, &dyn Fn(u32) -> bool),
    mut each: impl FnMut(&[End2; 2], bool),
) {
    let mut flying = VecDeque::new();
    let (mut now, last) = (START, START + Duration::from_secs(300));
    let mut stored: Option<(Time, u32)> = None;
    while now < last && !ends.iter().all(|end| end.session.is_over()) {
        now = now + TICK;
        for (from, to, line, datagram) in std::mem::take(&mut flying) {
            let datagram: Vec<u8> = datagram;
            for end in ends.iter_mut().filter(|end| address(end.port) == to) {
                end.session.receive(now, line, from, &datagram);
            }
        }
        for end in ends.iter_mut() {
            let from = address(end.port);
            end.session.tick(now, |line, to, datagram| {
                flying.push_back((from, to, line, datagram.to_vec()));
            });
            if let Some(pages) = end.session.take_store() {
                stored = Some((now + takes, pages));
            }
            end.events.extend(end.session.take_events());
        }
        each(ends, stored.is_some());
        if let Some((_, pages)) = stored.take_if(|(at, _)| *at <= now) {
            ends[1].session.stored(now, disk(pages));
        }
    }
    for end in ends.iter_mut() {
        end.session.stop(now);
        end.events.extend(end.session.take_events());
    }
}

#[test]
fn a_page_is_confirmed_when_it_is_on_the_disk_and_not_before() {
    for (by_t38, ecm) in [(false, true), (false, false), (true, true), (true, false)] {
        let (pages, directory) = (pages(), Directory::new());
        document(&directory.path().join("out.tif"), &pages);
        let mut ends = two(by_t38, ecm, directory.path());
        let mut waited = 0;
        let mut before = (0, 0);
        let file = directory.path().join("in.tif");
        let disk = |pages| store(&file, pages, None).is_ok();
        call(&mut ends, (Duration::from_millis(900), &disk), |[sends, receives], busy| {
            let confirmed = (sends.pages(), receives.pages());
            if busy {
                waited += 1;
                assert_eq!(confirmed, before, "by T.38 {by_t38}, ECM {ecm}");
            }
            before = confirmed;
        });
        assert!(waited >= 2 * 44, "it waited {waited} ticks for two pages");
        let name = format!("by T.38 {by_t38}, ECM {ecm}");
        assert_eq!(ends[0].end().cause(), Cause::Done, "{name}: {:?}", ends[0].end());
        assert_eq!(ends[1].end().cause(), Cause::Done, "{name}: {:?}", ends[1].end());
        assert_same(&directory.path().join("in.tif"), &pages);
        let took: Vec<u32> = ends[1]
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Page(page) => Some(page.stored_us),
                _ => None,
            })
            .collect();
        assert_eq!(took, [900_000, 900_000], "{name}");
    }
}

#[test]
fn a_page_that_the_disk_refuses_is_confirmed_to_nobody() {
    for (by_t38, ecm) in [(false, true), (false, false), (true, true)] {
        let (pages, directory) = (pages(), Directory::new());
        document(&directory.path().join("out.tif"), &pages);
        let mut ends = two(by_t38, ecm, directory.path());
        call(&mut ends, (Duration::from_millis(20), &|_| false), |_, _| {});
        assert_eq!(ends[1].end().cause(), Cause::Storage, "{:?}", ends[1].end());
        assert_eq!((ends[0].pages(), ends[1].pages()), (0, 0));
        assert_ne!(ends[0].end().cause(), Cause::Done);
    }
}

/// Where the child finds what it sends.
const WITHIN: &str = "KOUKAN_TEST_SMALL_DISK";

/// A process that may write eight blocks of 512 bytes: the second page does not fit.
#[test]
fn a_page_that_does_not_fit_on_the_disk_is_confirmed_to_nobody() {
    let directory = Directory::new();
    let pages = vec![
        (page(Kind::Blank, 1_728, 400), Resolution::Fine),
        (page(Kind::Dense, 1_728, 300), Resolution::Fine),
    ];
    let out = directory.path().join("out.tif");
    document(&out, &pages);
    assert!(std::fs::metadata(&out).unwrap().len() > 8_192, "the second page is large");
    let own = std::env::current_exe().unwrap();
    let limited = "trap '' XFSZ; ulimit -f 8; exec \"$0\" --exact within --nocapture";
    let mut command = Command::new("sh");
    command.args(["-c", limited]).arg(own).env(WITHIN, directory.path());
    let done = command.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    println!("{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("confirmed 1 of 2, then Storage"), "{said}");
}

/// The child of the test before.
#[test]
fn within() {
    let Some(within) = std::env::var_os(WITHIN).map(PathBuf::from) else { return };
    let mut ends = two(false, true, &within);
    let file = within.join("in.tif");
    let disk = |pages| store(&file, pages, None).is_ok();
    call(&mut ends, (Duration::from_millis(20), &disk), |_, _| {});
    let (sent, came) = (ends[0].pages(), ends[1].pages());
    assert_eq!(sent, came, "who sends knows what is kept");
    println!("confirmed {sent} of 2, then {:?}", ends[1].end().cause());
}
