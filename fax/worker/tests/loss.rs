//! Faxes with a machine that no one here wrote over a network that loses: the sessions of the
//! worker on a virtual clock, so that a fax of a minute takes a part of a second. Every run has a
//! seed; `cargo xtask faxloss` runs twenty of each line, and these tests a few.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a test that panics has failed, as it should"
)]

#[path = "ends/agent.rs"]
mod agent_end;
mod ends;

use agent_end::{Agent, run_with};
use ends::*;
use koukan_fax::protocol::{End, Event, FEC, Law, Media, REDUNDANCY, T38, Task};
use koukan_fax::queue::Rate;
use koukan_fax::{Bitmap, Cause, Resolution, tiff};
use koukan_faxworker::session::Line;

/// Runs of each line where nothing else is said.
const FEW: u64 = 3;

/// The seeds: `KOUKAN_RUNS` of them.
fn seeds() -> std::ops::RangeInclusive<u64> {
    let runs = std::env::var("KOUKAN_RUNS").ok().and_then(|runs| runs.parse().ok());
    1..=runs.unwrap_or(FEW)
}

fn pages() -> Vec<(Bitmap, Resolution)> {
    vec![
        (page(Kind::Text, 1_728, 500), Resolution::Fine),
        (page(Kind::Dense, 1_728, 100), Resolution::Fine),
    ]
}

/// How the lost is repaired, as both sides have agreed.
#[derive(Clone, Copy, Debug)]
enum Way {
    Audio,
    Redundancy,
    Fec,
}

fn agreed(way: Way, to: u16) -> T38 {
    match way {
        Way::Fec => T38 { redundancy: 0, fec: Some(FEC), ..t38(to) },
        Way::Audio | Way::Redundancy => T38 { redundancy: REDUNDANCY, fec: None, ..t38(to) },
    }
}

/// One fax: whether every page came as it was, how long it took, and what was said at the end.
fn fax(way: Way, lost_per_mille: u64, seed: u64) -> (bool, f64, End) {
    let pages = pages();
    let directory = Directory::new();
    let (out, came) = (directory.path().join("out.tif"), directory.path().join("in.tif"));
    document(&out, &pages);
    // We send with the odd seeds, the other machine with the even ones.
    let we_send = seed % 2 == 1;
    let station = station(Rate::V17, true, we_send);
    let task = if we_send {
        Task::Send { file: "out.tif".to_owned(), first_page: 1, station }
    } else {
        Task::Receive { file: "in.tif".to_owned(), max_pages: 30, station }
    };
    let (media, over) = match way {
        Way::Audio => (Media::Audio(audio(2, Law::Mu)), Line::Audio),
        Way::Redundancy | Way::Fec => (Media::T38(agreed(way, 2)), Line::T38),
    };
    let mut ours = [End2::new(1, &task, media, directory.path())];
    let file = if we_send { &came } else { &out };
    let role = (!we_send, !we_send);
    let mut agent = Agent::new((2, 1), over, role, file, (Rate::V17, true));
    if over == Line::T38 {
        agent = agent.agreed(&agreed(way, 1));
    }
    let mut theirs = [agent];
    let took = run_with(&mut ours, &mut theirs, lost_per_mille, seed);
    let status = theirs[0].status;
    drop(theirs);
    let [own] = &mut ours;
    if !own.session.is_over() {
        own.session.stop(START);
        own.events.extend(own.session.take_events());
    }
    let end = own.end();
    let confirmed = own.events.iter().filter(|event| matches!(event, Event::Page(_))).count();
    let counted = confirmed == pages.len() && usize::from(status.pages) == pages.len();
    let said = (end.cause(), status.code) == (Cause::Done, 0) && counted;
    let same = tiff::read(&std::fs::read(&came).unwrap_or_default()).is_ok_and(|kept| {
        kept.len() == pages.len()
            && kept
                .iter()
                .zip(&pages)
                .all(|(kept, (page, _))| kept.decode().is_ok_and(|kept| kept == *page))
    });
    assert!(!said || same, "{way:?} {lost_per_mille} seed {seed}: a success without its pages");
    (said && same, took, end)
}

/// All runs of a line, told; how many failed.
fn runs(way: Way, lost_per_mille: u64) -> usize {
    let mut failed = Vec::new();
    let (mut seconds, mut all) = (Vec::new(), 0);
    for seed in seeds() {
        let (good, took, end) = fax(way, lost_per_mille, seed);
        all += 1;
        if good {
            seconds.push(took);
        } else {
            failed.push(format!("seed {seed}: {} ({})", end.words, end.code));
        }
    }
    seconds.sort_by(f64::total_cmp);
    let middle = seconds.get(seconds.len() / 2).copied().unwrap_or_default();
    println!(
        "{way:?}, {:.1} % lost: {} of {all}, {middle:.0} s in the middle, {:.0} at most {failed:?}",
        lost_per_mille as f64 / 10.0,
        seconds.len(),
        seconds.last().copied().unwrap_or_default(),
    );
    failed.len()
}

#[test]
fn every_fax_by_t38_with_copies_comes_through_a_tenth_of_loss() {
    for lost in [10, 50, 100] {
        assert_eq!(runs(Way::Redundancy, lost), 0);
    }
    runs(Way::Redundancy, 200);
}

#[test]
fn every_fax_by_t38_with_parities_comes_through_a_tenth_of_loss() {
    for lost in [10, 50, 100] {
        assert_eq!(runs(Way::Fec, lost), 0);
    }
    runs(Way::Fec, 200);
}

/// Sound has no copies: what is lost is made up in phase, so that carriers go on, and its frames
/// are asked for again. A thousandth costs no fax; of more it is told how many come through, and
/// none that does may have a picture element wrong.
#[test]
fn a_fax_over_g711_comes_through_a_thousandth_of_loss_and_never_says_so_wrongly() {
    assert_eq!(runs(Way::Audio, 1), 0);
    for lost in [3, 10] {
        runs(Way::Audio, lost);
    }
}
