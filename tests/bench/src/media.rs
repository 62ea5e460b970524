//! A media engine of one worker in this process, its streams, and what a span of a load costs it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use koukan_base::{StreamId, WorkerId};
use koukan_engine::{Engine, EngineConfig, Io, OpusSettings};
use koukan_media::{
    Codec, CodecParams, Command, Direction, Event, OpenError, Source, StreamConfig, TelephoneEvent,
};
use mio::net::UdpSocket;

use crate::load::{self, Load, Voice};
use crate::proc;

/// The engine pins its first worker to the first core.
pub(crate) const WORKER_CORE: u32 = 0;
pub(crate) const LOAD_CORE: u32 = 1;
pub(crate) const WORKER: WorkerId = WorkerId(0);
/// The worker's thread.
pub(crate) const THREAD: &str = "media-0";
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const MOST_STREAMS: usize = 4_000;
/// By then what adapts has settled.
const WARM: Duration = Duration::from_secs(4);

/// An engine of one worker.
pub(crate) fn start_engine(pin: bool) -> io::Result<Engine> {
    Engine::start(EngineConfig {
        workers: 1,
        ports: 20_000..=29_999,
        prompts: std::env::temp_dir(),
        pin,
        real_time: pin,
        io: io(),
        max_streams: MOST_STREAMS,
        opus: OpusSettings::default(),
        seed: [7; 32],
        seal: None,
        notify: Arc::new(|| {}),
    })
    .map_err(io::Error::other)
}

/// How the engine waits and sends in the benches: by what `KOUKAN_IO` says (`mio`, `uring`), else
/// as it comes.
fn io() -> Io {
    match std::env::var("KOUKAN_IO").as_deref() {
        Ok("mio") => Io::Mio,
        Ok("uring") => Io::Uring,
        _ => Io::Auto,
    }
}

/// PCMU, PCMA or Opus with its usual payload type, 20 ms.
pub(crate) const fn params(codec: Codec) -> CodecParams {
    let payload_type = match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
        _ => 96,
    };
    CodecParams { codec, payload_type, receive_type: payload_type, ptime_ms: 20 }
}

pub(crate) fn stream(index: usize) -> StreamId {
    StreamId(u64::try_from(index).unwrap_or(u64::MAX))
}

/// Opens streams with these numbers; the sockets of their phones with the ports that they send to.
pub(crate) fn open(
    engine: &mut Engine,
    numbers: impl Iterator<Item = usize>,
    codec: impl Fn(usize) -> CodecParams,
) -> io::Result<Vec<(UdpSocket, SocketAddr)>> {
    open_of(engine, &"office".into(), numbers, codec)
}

/// The same of a tenant.
pub(crate) fn open_of(
    engine: &mut Engine,
    tenant: &Arc<str>,
    numbers: impl Iterator<Item = usize>,
    codec: impl Fn(usize) -> CodecParams,
) -> io::Result<Vec<(UdpSocket, SocketAddr)>> {
    let mut pairs = Vec::new();
    for number in numbers {
        let (socket, remote) =
            load::sockets(1)?.pop().ok_or_else(|| io::Error::other("no socket"))?;
        let stream = stream(number);
        engine.send(WORKER, Command::Open { stream, local: LOCAL, tenant: tenant.clone() });
        let target = opened(engine, stream)?;
        let config = config(remote, codec(number));
        engine.send(WORKER, Command::Configure { stream, config });
        pairs.push((socket, target));
    }
    Ok(pairs)
}

/// Opens the streams of calls, each heard by the other of its call: `2n` and `2n + 1`.
pub(crate) fn open_calls(
    engine: &mut Engine,
    calls: std::ops::Range<usize>,
    codec: impl Fn(usize) -> CodecParams,
) -> io::Result<Vec<(UdpSocket, SocketAddr)>> {
    open_calls_of(engine, &"office".into(), calls, codec)
}

/// The same of a tenant.
pub(crate) fn open_calls_of(
    engine: &mut Engine,
    tenant: &Arc<str>,
    calls: std::ops::Range<usize>,
    codec: impl Fn(usize) -> CodecParams,
) -> io::Result<Vec<(UdpSocket, SocketAddr)>> {
    let streams = calls.start * 2..calls.end * 2;
    let pairs = open_of(engine, tenant, streams.clone(), codec)?;
    for number in streams {
        let source = Source::Stream(stream(number ^ 1));
        engine.send(WORKER, Command::Feed { stream: stream(number), source });
    }
    Ok(pairs)
}

/// The next event that `wanted` takes.
pub(crate) fn wait<T>(
    engine: &mut Engine,
    mut wanted: impl FnMut(Event) -> Option<io::Result<T>>,
) -> io::Result<T> {
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        match engine.try_recv().and_then(&mut wanted) {
            Some(found) => return found,
            None => std::thread::yield_now(),
        }
    }
    Err(io::Error::other("the engine does not answer"))
}

/// Opens a stream of a tenant that nothing is sent to; whether it was taken.
pub(crate) fn try_open(
    engine: &mut Engine,
    stream: StreamId,
    tenant: &Arc<str>,
) -> Result<(), OpenError> {
    engine.send(WORKER, Command::Open { stream, local: LOCAL, tenant: tenant.clone() });
    let answer = wait(engine, |event| match event {
        Event::Opened { stream: opened, .. } if opened == stream => Some(Ok(Ok(()))),
        Event::OpenFailed { stream: failed, error } if failed == stream => Some(Ok(Err(error))),
        _ => None,
    });
    answer.unwrap_or(Err(OpenError::Full))
}

fn opened(engine: &mut Engine, wanted: StreamId) -> io::Result<SocketAddr> {
    wait(engine, |event| match event {
        Event::Opened { stream, rtp } if stream == wanted => Some(Ok(rtp)),
        Event::OpenFailed { error, .. } => Some(Err(io::Error::other(error))),
        _ => None,
    })
}

fn config(remote: SocketAddr, codec: CodecParams) -> StreamConfig {
    StreamConfig {
        remote,
        remote_rtcp: None,
        codec,
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

/// What a span of a load cost, and what became of its packets.
pub(crate) struct Span<V> {
    /// CPU time of a received packet.
    pub(crate) cpu_us: f64,
    /// Share of a core that the measured threads had.
    pub(crate) share: f64,
    /// Received packets over those that were due.
    pub(crate) received: f64,
    pub(crate) voice: V,
    /// How late the load itself was, for each millisecond, sorted.
    pub(crate) late: Vec<Duration>,
}

/// Measures a load for so long; `cpu_ns` says what the measured side has used so far, and `due`
/// how many packets a second shall arrive.
pub(crate) fn span<V: Voice>(
    load: Load<V>,
    length: Duration,
    due: usize,
    cpu_ns: impl Fn() -> io::Result<u64>,
) -> io::Result<Span<V>> {
    std::thread::sleep(WARM);
    load.measure(true);
    let (begun, cpu, received) = (Instant::now(), cpu_ns()?, load.received());
    std::thread::sleep(length);
    let cpu = Duration::from_nanos(cpu_ns()?.saturating_sub(cpu));
    let (received, lasted) = (load.received().saturating_sub(received), begun.elapsed());
    load.measure(false);
    let (voice, mut late) = load.stop()?;
    late.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "ratios of millions")]
    let (received, due) = (received as f64, due as f64);
    Ok(Span {
        cpu_us: cpu.as_secs_f64() * 1e6 / received,
        share: cpu.as_secs_f64() / lasted.as_secs_f64(),
        received: received / (due * lasted.as_secs_f64()),
        voice,
        late,
    })
}

/// CPU time of a thread of this process that is called so; it takes its name when it runs first.
pub(crate) fn thread_cpu(name: &str) -> impl Fn() -> io::Result<u64> {
    move || proc::cpu_ns(proc::thread_named(name)?)
}
