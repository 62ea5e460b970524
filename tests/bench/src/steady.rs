//! A minute of 400 calls, most of them passed on and some converted: what the worker allocates, and
//! how many of its ticks come more than 5 ms late, without the moments in which somebody else had
//! its core; then the same with so many converted calls more that four fifths of its time are used.

use std::io;
use std::time::{Duration, Instant};

use koukan_media::Codec;

use crate::load::Load;
use crate::media::{self, LOAD_CORE, WORKER_CORE};
use crate::phases::Watched;
use crate::transcode::Talk;
use crate::{Figure, allocations, proc};

/// Calls whose packets are passed on, those from PCMU to PCMA, and those from PCMU to Opus.
const PASSED: usize = 320;
const LAWS: usize = 40;
const OPUS: usize = 40;
const CALLS: usize = PASSED + LAWS + OPUS;

const MEASURED: Duration = Duration::from_secs(60);
const WARM: Duration = Duration::from_secs(5);

/// What the worker is loaded to behind that minute, and for how long.
const LOADED: f64 = 0.8;
const MEASURED_LOADED: Duration = Duration::from_secs(12);
/// Converted calls that are added at a time, and how often at most.
const MORE: usize = 10;
const STEPS: usize = 8;

pub(crate) fn bench() -> io::Result<Vec<Figure>> {
    let mut engine = media::start_engine(true)?;
    let codec = |number: usize| {
        let (call, other) = (number / 2, !number.is_multiple_of(2));
        media::params(match call {
            PASSED.. if other && call < PASSED + LAWS => Codec::Pcma,
            PASSED.. if other => Codec::Opus,
            _ => Codec::Pcmu,
        })
    };
    let pairs = media::open_calls(&mut engine, 0..CALLS, codec)?;
    let load = Load::start(pairs, LOAD_CORE, Mixed(Talk::new()?));
    std::thread::sleep(WARM);
    let watched = Watched::new(&[(proc::thread_named(media::THREAD)?, WORKER_CORE)]);
    let (begun, packets) = (Instant::now(), load.received());
    let used = Share::begin()?;
    allocations::begin();
    let (late, taken, calm) = watched.count(MEASURED, || late_ticks(&engine))?;
    let allocated = allocations::end();
    let packets = load.received().saturating_sub(packets);
    println!(
        "steady: {CALLS} calls ({PASSED} passed on, {LAWS} PCMU-PCMA, {OPUS} PCMU-Opus), {:.0} s, \
         {packets} packets came, {:.0} % of a core: {allocated} allocations and frees on the \
         worker, {late} ticks more than 5 ms late in the {:.0} s in which it had its core, {taken} \
         besides",
        begun.elapsed().as_secs_f64(),
        used.end()? * 100.0,
        calm.as_secs_f64(),
    );
    let loaded = loaded(&mut engine, &watched)?;
    drop(load.stop()?);
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let figure =
        |name, unit, value: u64| Figure { name, unit, value: value as f64, floor: 0.0, goal: 0.0 };
    Ok(vec![
        figure("allocations on the worker in a minute of 400 calls", "allocations", allocated),
        figure("ticks more than 5 ms late in that minute", "ticks", late),
        figure("the same at 80 % of a core", "ticks", loaded),
    ])
}

/// Converted calls more until the worker has little time left; its late ticks then.
fn loaded(engine: &mut koukan_engine::Engine, watched: &Watched) -> io::Result<u64> {
    let mut loads = Vec::new();
    let codec = |number: usize| {
        media::params(if number.is_multiple_of(2) { Codec::Pcmu } else { Codec::Opus })
    };
    for step in 0..STEPS {
        let used = Share::begin()?;
        std::thread::sleep(Duration::from_secs(1));
        if used.end()? >= LOADED - 0.02 {
            break;
        }
        let first = CALLS + step * MORE;
        let pairs = media::open_calls(engine, first..first + MORE, codec)?;
        loads.push(Load::start(pairs, LOAD_CORE, Talk::new()?));
        std::thread::sleep(Duration::from_secs(1));
    }
    let used = Share::begin()?;
    let (late, taken, calm) = watched.count(MEASURED_LOADED, || late_ticks(engine))?;
    println!(
        "steady: with {} calls PCMU-Opus more, {:.0} % of a core: {late} ticks more than 5 ms late \
         in the {:.0} s in which it had its core, {taken} besides",
        loads.len() * MORE,
        used.end()? * 100.0,
        calm.as_secs_f64(),
    );
    for load in loads {
        drop(load.stop()?);
    }
    Ok(late)
}

/// The share of a core that the worker has from a moment on.
struct Share {
    begun: Instant,
    cpu: u64,
}

impl Share {
    fn begin() -> io::Result<Self> {
        Ok(Self { begun: Instant::now(), cpu: media::thread_cpu(media::THREAD)()? })
    }

    fn end(&self) -> io::Result<f64> {
        let cpu = media::thread_cpu(media::THREAD)()?.saturating_sub(self.cpu);
        Ok(Duration::from_nanos(cpu).as_secs_f64() / self.begun.elapsed().as_secs_f64())
    }
}

fn late_ticks(engine: &koukan_engine::Engine) -> u64 {
    engine.stats().workers.iter().map(|worker| worker.late_ticks).sum()
}

/// Opus from the phones that speak it, µ-law and A-law from the others.
struct Mixed(Talk);

impl crate::load::Voice for Mixed {
    fn say(
        &mut self,
        phone: usize,
        turn: u64,
        at: Duration,
        payload: &mut [u8; crate::load::PAYLOAD],
    ) -> crate::load::Said {
        let other = !phone.is_multiple_of(2);
        match phone / 2 {
            call if other && call >= PASSED + LAWS => self.0.say(phone, turn, at, payload),
            call if other && call >= PASSED => {
                let said = self.0.say(phone & !1, turn, at, payload);
                koukan_codecs::g711::ulaw_to_alaw(payload);
                crate::load::Said { payload_type: 8, ..said }
            }
            _ => self.0.say(phone & !1, turn, at, payload),
        }
    }

    fn hear(&mut self, _: usize, _: &[u8], _: Duration) {}
}
