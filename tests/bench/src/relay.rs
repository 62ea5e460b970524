//! CPU time of the media worker for a forwarded packet of 200 G.711 calls, over that of the bare
//! forwarder with the same flows. Both take turns in one run, so that a noisy machine hurts both.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use koukan_base::{StreamId, WorkerId};
use koukan_engine::{Engine, EngineConfig, OpusSettings};
use koukan_media::{
    Codec, CodecParams, Command, Direction, Event, Source, StreamConfig, TelephoneEvent,
};

use crate::Figure;
use crate::forwarder::Forwarder;
use crate::load::{self, Load};
use crate::proc;

const CALLS: usize = 200;
const ROUNDS: usize = 5;
const WARM: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(4);
/// The engine pins its first worker to the first core.
const WORKER_CORE: u32 = 0;
const LOAD_CORE: u32 = 1;
const WORKER: WorkerId = WorkerId(0);
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub(crate) fn bench() -> io::Result<Vec<Figure>> {
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let bare = bare()?;
        let engine = engine()?;
        println!("relay, round {round}: bare {bare:.0} ns, engine {engine:.0} ns a packet");
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

/// CPU nanoseconds of a thread for each packet that `count` counts.
fn measure(thread: &str, count: impl Fn() -> u64, load: &Load) -> io::Result<f64> {
    std::thread::sleep(WARM);
    let thread = proc::thread_named(thread)?;
    let (cpu, packets, received) = (proc::cpu_ns(thread)?, count(), load.received());
    std::thread::sleep(MEASURED);
    let cpu = proc::cpu_ns(thread)?.saturating_sub(cpu);
    let packets = count().saturating_sub(packets);
    let received = load.received().saturating_sub(received);
    let wanted = u64::try_from(CALLS).unwrap_or(0) * 100 * MEASURED.as_secs();
    if packets < wanted * 95 / 100 || received < wanted * 95 / 100 {
        let text = format!("{packets} forwarded, {received} received of {wanted}");
        return Err(io::Error::other(text));
    }
    #[expect(clippy::cast_precision_loss, reason = "a ratio of thousands")]
    Ok(cpu as f64 / packets as f64)
}

fn bare() -> io::Result<f64> {
    let phones = load::sockets(CALLS * 2)?;
    let relays = load::sockets(CALLS * 2)?;
    let addresses: Vec<SocketAddr> = phones.iter().map(|(_, address)| *address).collect();
    let targets: Vec<SocketAddr> = relays.iter().map(|(_, address)| *address).collect();
    let sockets = |pairs: Vec<(mio::net::UdpSocket, SocketAddr)>, to: Vec<SocketAddr>| {
        pairs.into_iter().map(|(socket, _)| socket).zip(to).collect()
    };
    let forwarder = Forwarder::start(sockets(relays, addresses), WORKER_CORE)?;
    let load = Load::start(sockets(phones, targets), LOAD_CORE);
    let figure = measure("bare", || forwarder.forwarded(), &load);
    load.stop()?;
    forwarder.stop()?;
    figure
}

/// An engine of one worker.
pub(crate) fn start_engine(pin: bool) -> io::Result<Engine> {
    Engine::start(EngineConfig {
        workers: 1,
        ports: 20_000..=22_999,
        prompts: std::env::temp_dir(),
        pin,
        max_streams: CALLS * 4,
        opus: OpusSettings::default(),
        seed: [7; 32],
        notify: Arc::new(|| {}),
    })
    .map_err(io::Error::other)
}

/// Opens the streams of these calls, each heard by the other of its call; the sockets of their
/// phones with the ports that they send to.
pub(crate) fn open_calls(
    engine: &mut Engine,
    calls: Range<usize>,
) -> io::Result<Vec<(mio::net::UdpSocket, SocketAddr)>> {
    let streams = calls.start * 2..calls.end * 2;
    let mut pairs = Vec::new();
    for (index, (socket, address)) in streams.clone().zip(load::sockets(streams.len())?) {
        let stream = stream(index);
        engine.send(WORKER, Command::Open { stream, local: LOCAL });
        let target = opened(engine, stream)?;
        engine.send(WORKER, Command::Configure { stream, config: config(address) });
        pairs.push((socket, target));
    }
    for index in streams {
        let source = Source::Stream(stream(index ^ 1));
        engine.send(WORKER, Command::Feed { stream: stream(index), source });
    }
    Ok(pairs)
}

fn engine() -> io::Result<f64> {
    let mut engine = start_engine(true)?;
    let pairs = open_calls(&mut engine, 0..CALLS)?;
    let load = Load::start(pairs, LOAD_CORE);
    let sent = || engine.stats().workers.first().map_or(0, |worker| worker.sent);
    let figure = measure("media-0", sent, &load);
    load.stop()?;
    figure
}

fn stream(index: usize) -> StreamId {
    StreamId(u64::try_from(index).unwrap_or(u64::MAX))
}

fn opened(engine: &mut Engine, wanted: StreamId) -> io::Result<SocketAddr> {
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        match engine.try_recv() {
            Some(Event::Opened { stream, rtp }) if stream == wanted => return Ok(rtp),
            Some(Event::OpenFailed { error, .. }) => return Err(io::Error::other(error)),
            _ => std::thread::yield_now(),
        }
    }
    Err(io::Error::other("the stream does not open"))
}

fn config(remote: SocketAddr) -> StreamConfig {
    StreamConfig {
        remote,
        remote_rtcp: None,
        codec: CodecParams { codec: Codec::Pcmu, payload_type: 0, receive_type: 0, ptime_ms: 20 },
        telephone_event: Some(TelephoneEvent {
            payload_type: 101,
            receive_type: 101,
            clock_rate: 8_000,
        }),
        digit_tones: true,
        direction: Direction::SendRecv,
        srtp: None,
        silent_after: Some(Duration::from_secs(30)),
    }
}
