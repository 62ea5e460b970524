//! Faxes with a machine that no one here wrote: Debian's libspandsp2 0.0.6, both ways, by every
//! modem and medium, with loss, and through our gateway. What comes is what was sent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that panics has failed, as it should"
)]

#[path = "ends/agent.rs"]
mod agent_end;
mod ends;

use agent_end::{Agent, run_with};
use ends::*;
use koukan_fax::protocol::{Law, Media, Task};
use koukan_fax::queue::Rate;
use koukan_fax::{Bitmap, Cause, Resolution};
use koukan_faxworker::session::Line;

fn pages() -> Vec<(Bitmap, Resolution)> {
    vec![
        (page(Kind::Text, 1_728, 500), Resolution::Standard),
        (page(Kind::Dense, 1_728, 100), Resolution::Fine),
    ]
}

/// One call between us and the agent; the caller sends.
fn call(we_send: bool, over: Line, (rate, ecm): (Rate, bool), loss: (u64, u64)) {
    let pages = pages();
    let directory = Directory::new();
    let (out, came) = (directory.path().join("out.tif"), directory.path().join("in.tif"));
    document(&out, &pages);
    let station = station(rate, ecm, we_send);
    let task = if we_send {
        Task::Send { file: "out.tif".to_owned(), first_page: 1, station }
    } else {
        Task::Receive { file: "in.tif".to_owned(), max_pages: 30, station }
    };
    let media = match over {
        Line::Audio => Media::Audio(audio(2, Law::Mu)),
        Line::T38 | Line::Far => Media::T38(t38(2)),
    };
    let mut ours = [End2::new(1, &task, media, directory.path())];
    let file = if we_send { &came } else { &out };
    let mut theirs = [Agent::new((2, 1), over, (!we_send, !we_send), file, (rate, ecm))];
    let took = run_with(&mut ours, &mut theirs, loss.0, loss.1);
    let (end, status) = (ours[0].end(), theirs[0].status);
    let name = format!("we send {we_send}, {over:?}, {rate:?}, ECM {ecm}, loss {loss:?}");
    println!("{name}: {took:.1} s at {} bit/s", end.bit_rate);
    assert_eq!((end.cause(), status.code), (Cause::Done, 0), "{name}: {end:?} {status:?}");
    assert_eq!(end.ecm, ecm, "{name}");
    drop(theirs);
    assert_same(&came, &pages);
}

fn every_modem(we_send: bool, over: Line) {
    for rate in [Rate::V17, Rate::V29, Rate::V27ter] {
        for ecm in [true, false] {
            call(we_send, over, (rate, ecm), (0, 1));
        }
    }
}

#[test]
fn we_send_over_g711() {
    every_modem(true, Line::Audio);
}

#[test]
fn we_receive_over_g711() {
    every_modem(false, Line::Audio);
}

#[test]
fn we_send_over_t38() {
    every_modem(true, Line::T38);
}

#[test]
fn we_receive_over_t38() {
    every_modem(false, Line::T38);
}

#[test]
fn t38_with_loss() {
    for (lost, seed) in [(10, 1), (50, 2), (100, 3)] {
        for we_send in [true, false] {
            call(we_send, Line::T38, (Rate::V17, true), (lost, seed));
        }
    }
}

/// Two agents that know nothing of each other's medium, and our gateway between them.
#[test]
fn our_gateway_between_a_line_and_a_network() {
    for (audio_sends, ecm) in [(true, true), (false, true), (true, false), (false, false)] {
        let pages = pages();
        let directory = Directory::new();
        let (out, came) = (directory.path().join("out.tif"), directory.path().join("in.tif"));
        document(&out, &pages);
        let task = Task::Gateway { station: station(Rate::V17, ecm, false) };
        let media = Media::Gateway { audio: audio(2, Law::Mu), t38: t38(3) };
        let mut gateway = [End2::new(1, &task, media, directory.path())];
        let file = |sends| if sends { &out } else { &came };
        let rate = (Rate::V17, ecm);
        let roles = |sends| (sends, sends);
        let mut agents = [
            Agent::new((2, 1), Line::Audio, roles(audio_sends), file(audio_sends), rate),
            Agent::new((3, 1), Line::T38, roles(!audio_sends), file(!audio_sends), rate),
        ];
        let took = run_with(&mut gateway, &mut agents, 0, 1);
        let name = format!("gateway, audio sends {audio_sends}, ECM {ecm}");
        println!("{name}: {took:.1} s");
        for agent in &agents {
            assert_eq!((agent.status.code, agent.status.pages), (0, 2), "{name}");
        }
        drop(agents);
        assert_same(&came, &pages);
    }
}
