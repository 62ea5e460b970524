//! One tenant brings more than a core carries, in converted calls and then in packets on one port;
//! another tenant has ten calls that are passed on. What the worker gives up and when, what the
//! other tenant's packets lose by it, and who still gets a stream.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use koukan_base::StreamId;
use koukan_engine::{Engine, WorkerStats};
use koukan_media::{Codec, HEADER_BYTES, OpenError, RtpHeader};
use mio::net::UdpSocket;

use crate::Figure;
use crate::load::{Load, PAYLOAD, Said, Stamped, Voice};
use crate::media::{self, LOAD_CORE, WORKER_CORE};
use crate::phases::{self, Phase, Watched};
use crate::proc;
use crate::transcode::Talk;

/// Calls of the tenant that is measured.
const OFFICE: usize = 10;

/// Calls by which it is found out what one costs here, and by how much of a core those are too many
/// that the other tenant then has: it carries them only when its encoders are spared.
const TRIED: usize = 24;
const TOO_MUCH: f64 = 1.15;
const TRYING: Duration = Duration::from_secs(4);

const OVERLOADED: Duration = Duration::from_secs(10);

/// Phases of a second, in which nobody else had the cores.
const PHASES: usize = 7;

pub(crate) fn bench() -> io::Result<Vec<Figure>> {
    let shed = converted()?;
    let attack = attacked()?;
    let figure = |name, value, floor, goal| Figure { name, unit: "ms", value, floor, goal };
    Ok(vec![
        figure("p99 of another tenant's packets on a worker that sheds", shed, 20.0, 5.0),
        figure("p99 of another tenant's packets while a port is flooded", attack, 5.0, 2.0),
    ])
}

/// How many converted calls are more than a core carries at its best, by what one costs now.
fn too_many() -> io::Result<usize> {
    let mut engine = media::start_engine(true)?;
    let pairs = media::open_calls(&mut engine, 0..TRIED, converted_codec)?;
    let load = Load::start(pairs, LOAD_CORE, Talk::new()?);
    std::thread::sleep(Duration::from_secs(2));
    let cpu = media::thread_cpu(media::THREAD);
    let (used, since) = (cpu()?, Instant::now());
    std::thread::sleep(TRYING);
    let used = Duration::from_nanos(cpu()?.saturating_sub(used)).as_secs_f64();
    let share = used / since.elapsed().as_secs_f64();
    drop(load.stop()?);
    #[expect(clippy::cast_precision_loss, reason = "tens")]
    let calls = TOO_MUCH * TRIED as f64 / share;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "hundreds")]
    let calls = calls as usize;
    println!(
        "overload: {TRIED} calls PCMU-Opus take {:.0} % of a core: {calls} are too many",
        share * 100.0
    );
    Ok(calls.clamp(TRIED, 1_000))
}

fn converted_codec(number: usize) -> koukan_media::CodecParams {
    media::params(if number.is_multiple_of(2) { Codec::Pcmu } else { Codec::Opus })
}

/// More converted calls than a core carries; the p99 of the other tenant's packets.
fn converted() -> io::Result<f64> {
    let calls = too_many()?;
    let mut engine = media::start_engine(true)?;
    let (office, flood): (Arc<str>, Arc<str>) = ("office".into(), "flood".into());
    let mut pairs =
        media::open_calls_of(&mut engine, &office, 0..OFFICE, |_| media::params(Codec::Pcmu))?;
    let numbers = OFFICE..OFFICE + calls;
    pairs.extend(media::open_calls_of(&mut engine, &flood, numbers, converted_codec)?);
    let load = Load::start(pairs, LOAD_CORE, Tenants::new()?);
    let begun = Instant::now();
    let (mut seen, before) = (0, stats(&engine));
    while begun.elapsed() < OVERLOADED {
        std::thread::sleep(Duration::from_millis(50));
        let now = stats(&engine);
        if now.shed != seen {
            println!(
                "overload: behind {:.1} s the worker sheds {} of 4; {} ticks were late until then",
                begun.elapsed().as_secs_f64(),
                now.shed,
                now.late_ticks - before.late_ticks,
            );
            seen = now.shed;
        }
    }
    let before = stats(&engine);
    let phases = measured(&load)?;
    let now = stats(&engine);
    let refused = words(open(&mut engine, &flood));
    let taken = words(open(&mut engine, &"newcomer".into()));
    let (voice, _) = load.stop()?;
    let p99 = phases::median(&phases, &voice.seen, 990);
    let (calm, of) = phases::calm(&phases);
    println!(
        "overload: {calls} calls PCMU-Opus of one tenant: {:.0} % of the core, step {} of 4, {} \
         ticks late in {of} s; another tenant's packets {p99:.2} ms later (p99, median of the \
         {calm} calm of {of} seconds); a stream more of the first: {refused}; the first of a \
         third: {taken}",
        phases::share(&phases) * 100.0,
        now.shed,
        now.late_ticks - before.late_ticks,
    );
    Ok(p99)
}

/// A flood on one port of a tenant; the p99 of the other's packets.
fn attacked() -> io::Result<f64> {
    let mut engine = media::start_engine(true)?;
    let (office, flood): (Arc<str>, Arc<str>) = ("office".into(), "flood".into());
    let pairs =
        media::open_calls_of(&mut engine, &office, 0..OFFICE, |_| media::params(Codec::Pcmu))?;
    let calls = OFFICE..OFFICE + 1;
    let attacked =
        media::open_calls_of(&mut engine, &flood, calls, |_| media::params(Codec::Pcmu))?;
    let load = Load::start(pairs, LOAD_CORE, Tenants::new()?);
    let stop = AtomicBool::new(false);
    let begun = Instant::now();
    let (sent, phases) = std::thread::scope(|scope| {
        let attacker = scope.spawn(|| attack(&attacked, &stop));
        std::thread::sleep(Duration::from_secs(2));
        let phases = measured(&load);
        stop.store(true, Ordering::Relaxed);
        let sent = attacker.join().map_err(|_| io::Error::other("the attacker has panicked"))?;
        io::Result::Ok((sent, phases?))
    })?;
    let lasted = begun.elapsed();
    let (voice, _) = load.stop()?;
    let p99 = phases::median(&phases, &voice.seen, 990);
    let (stats, (calm, of)) = (stats(&engine), phases::calm(&phases));
    println!(
        "overload: {sent} packets in {:.0} s on one port: {} of all were read, {:.1} % of the \
         core; another tenant's packets {p99:.2} ms later (p99, median of the {calm} calm of {of} \
         seconds)",
        lasted.as_secs_f64(),
        stats.received + stats.dropped,
        phases::share(&phases) * 100.0,
    );
    Ok(p99)
}

/// Phases of a load; the load shares its core with the attacker and is not held against that.
fn measured<V: Voice>(load: &Load<V>) -> io::Result<Vec<Phase>> {
    let watched = Watched::new(&[(proc::thread_named(media::THREAD)?, WORKER_CORE)]);
    load.measure(true);
    let phases = watched.phases(load.begun(), PHASES)?;
    load.measure(false);
    Ok(phases)
}

/// Sends packets of the peer to its own port as fast as half a core can.
fn attack(pairs: &[(UdpSocket, SocketAddr)], stop: &AtomicBool) -> u64 {
    let Some((socket, target)) = pairs.first() else { return 0 };
    let mut sent = 0u64;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..50u8 {
            let [.., high, low] = sent.to_be_bytes();
            let header = RtpHeader {
                marker: false,
                payload_type: 0,
                sequence: u16::from_be_bytes([high, low]),
                timestamp: u32::from(u16::from_be_bytes([high, low])) * 160,
                ssrc: 1,
                payload_start: HEADER_BYTES,
                payload_end: HEADER_BYTES,
            };
            let packet = [header.bytes().as_slice(), &[0x55; 160]].concat();
            sent += u64::from(socket.send_to(&packet, *target).is_ok());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    sent
}

fn stats(engine: &Engine) -> WorkerStats {
    engine.stats().workers.first().copied().unwrap_or_default()
}

/// Whether a tenant gets one stream more.
fn open(engine: &mut Engine, tenant: &Arc<str>) -> Result<(), OpenError> {
    let stream = StreamId(9_000 + u64::from(tenant.len() > 5));
    media::try_open(engine, stream, tenant)
}

fn words(outcome: Result<(), OpenError>) -> String {
    outcome.map_or_else(|error| format!("refused ({error})"), |()| "taken".to_owned())
}

/// The first phones say when they speak, the others what is converted.
struct Tenants {
    stamped: Stamped,
    talk: Talk,
    /// When a packet of the first came, and how long it took.
    seen: Vec<(Duration, Duration)>,
}

impl Tenants {
    fn new() -> io::Result<Self> {
        Ok(Self { stamped: Stamped::default(), talk: Talk::new()?, seen: Vec::new() })
    }
}

impl Voice for Tenants {
    fn say(&mut self, phone: usize, turn: u64, at: Duration, payload: &mut [u8; PAYLOAD]) -> Said {
        if phone < OFFICE * 2 {
            self.stamped.say(phone, turn, at, payload)
        } else {
            self.talk.say(phone, turn, at, payload)
        }
    }

    fn hear(&mut self, phone: usize, packet: &[u8], at: Duration) {
        if phone < OFFICE * 2 {
            let before = self.stamped.delays.len();
            self.stamped.hear(phone, packet, at);
            let new = self.stamped.delays.get(before..).unwrap_or_default();
            self.seen.extend(new.iter().map(|delay| (at, *delay)));
        }
    }
}
