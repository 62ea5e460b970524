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

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use agent_end::{Agent, program};
use ends::*;
use koukan_base::{Rng, Time};
use koukan_fax::protocol::{Law, Media, Task};
use koukan_fax::queue::Rate;
use koukan_fax::{Bitmap, Cause, Resolution};
use koukan_faxworker::session::{Line, TICK};

fn pages() -> Vec<(Bitmap, Resolution)> {
    vec![
        (page(Kind::Text, 1_728, 500), Resolution::Standard),
        (page(Kind::Dense, 1_728, 100), Resolution::Fine),
    ]
}

/// Our sessions and agents on one link until the agents are over and have said so.
fn run_with(ends: &mut [End2], agents: &mut [Agent], lost_per_mille: u64, seed: u64) -> f64 {
    let mut random = Rng::from_number(seed);
    let mut flying = VecDeque::<(Time, SocketAddr, SocketAddr, Line, Vec<u8>)>::new();
    let (mut now, last) = (START, START + Duration::from_secs(900));
    let over = |ends: &[End2], agents: &[Agent]| {
        agents.iter().all(|agent| agent.status.over)
            && ends.iter().all(|end| end.session.is_over() || agents.len() == 2)
    };
    while now < last && !over(ends, agents) {
        now = now + TICK;
        while let Some((due, ..)) = flying.front()
            && *due <= now
        {
            let Some((_, from, to, line, datagram)) = flying.pop_front() else { break };
            for end in ends.iter_mut().filter(|end| address(end.port) == to) {
                end.session.receive(now, line, from, &datagram);
            }
            for agent in agents.iter_mut().filter(|agent| address(agent.port) == to) {
                agent.receive(now, from, &datagram);
            }
        }
        let mut send = |from, to, line, datagram: &[u8]| {
            if random.next_u64() % 1_000 >= lost_per_mille {
                flying.push_back((now + TICK, from, to, line, datagram.to_vec()));
            }
        };
        for end in ends.iter_mut() {
            let from = address(end.port);
            end.session.tick(now, |line, to, datagram| send(from, to, line, datagram));
            end.events.extend(end.session.take_events());
        }
        for agent in agents.iter_mut() {
            let (from, to) = (address(agent.port), agent.line());
            agent.tick(now, |peer, datagram| send(from, peer, to, datagram));
        }
    }
    now.since(START).as_secs_f64()
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
        Line::T38 => Media::T38(t38(2)),
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
    if program().is_none() {
        return;
    }
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
    if program().is_none() {
        return;
    }
    for (lost, seed) in [(10, 1), (50, 2), (100, 3)] {
        for we_send in [true, false] {
            call(we_send, Line::T38, (Rate::V17, true), (lost, seed));
        }
    }
}

/// Two agents that know nothing of each other's medium, and our gateway between them.
#[test]
fn our_gateway_between_a_line_and_a_network() {
    if program().is_none() {
        return;
    }
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
