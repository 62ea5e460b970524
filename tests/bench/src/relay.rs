//! CPU time of the media worker for a forwarded packet of 200 G.711 calls, over that of the bare
//! forwarder with the same flows. Both take turns in one run, so that a noisy machine hurts both.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use koukan_media::Codec;
use mio::net::UdpSocket;

use crate::Figure;
use crate::forwarder::Forwarder;
use crate::load::{self, Load, Stamped};
use crate::media::{self, LOAD_CORE, Span, WORKER_CORE};

const CALLS: usize = 200;
const ROUNDS: usize = 5;
const MEASURED: Duration = Duration::from_secs(4);

pub(crate) fn bench() -> io::Result<Vec<Figure>> {
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let bare = whole(bare(CALLS, MEASURED)?)?.cpu_us;
        let engine = whole(engine(CALLS, MEASURED)?)?.cpu_us;
        println!("relay, round {round}: bare {bare:.2} us, engine {engine:.2} us a packet");
        ratios.push(engine / bare);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios.get(ROUNDS / 2).copied().unwrap_or(f64::NAN);
    Ok(vec![Figure {
        name: "CPU of a forwarded packet over a bare forwarder's",
        unit: "times",
        value: median,
        floor: 2.0,
        goal: 1.25,
    }])
}

/// A span in which hardly a packet was lost.
fn whole(span: Span<Stamped>) -> io::Result<Span<Stamped>> {
    if span.received >= 0.95 {
        return Ok(span);
    }
    Err(io::Error::other(format!("only {:.1} % of the packets came", span.received * 100.0)))
}

/// The bare forwarder with so many calls.
pub(crate) fn bare(calls: usize, length: Duration) -> io::Result<Span<Stamped>> {
    let phones = load::sockets(calls * 2)?;
    let relays = load::sockets(calls * 2)?;
    let addresses: Vec<SocketAddr> = phones.iter().map(|(_, address)| *address).collect();
    let targets: Vec<SocketAddr> = relays.iter().map(|(_, address)| *address).collect();
    let sockets = |pairs: Vec<(UdpSocket, SocketAddr)>, to: Vec<SocketAddr>| {
        pairs.into_iter().map(|(socket, _)| socket).zip(to).collect()
    };
    let forwarder = Forwarder::start(sockets(relays, addresses), WORKER_CORE)?;
    let load = Load::start(sockets(phones, targets), LOAD_CORE, Stamped::default());
    let span = media::span(load, length, calls * 100, media::thread_cpu("bare"))?;
    forwarder.stop()?;
    Ok(span)
}

/// The engine with so many calls.
pub(crate) fn engine(calls: usize, length: Duration) -> io::Result<Span<Stamped>> {
    let mut engine = media::start_engine(true)?;
    let pairs = media::open_calls(&mut engine, 0..calls, |_| media::params(Codec::Pcmu))?;
    let load = Load::start(pairs, LOAD_CORE, Stamped::default());
    media::span(load, length, calls * 100, media::thread_cpu(media::THREAD))
}
