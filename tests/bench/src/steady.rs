//! A minute of 400 calls, most of them passed on and some converted: what the worker allocates, and
//! how many of its ticks come more than 5 ms late, without those that are late since the
//! host took its core; then with so many calls that four fifths of a worker's time are used.

use std::io;
use std::time::{Duration, Instant};

use koukan_media::{Codec, CodecParams};

use crate::load::{Load, PAYLOAD, Said, Voice};
use crate::media::{self, LOAD_CORE};
use crate::transcode::Talk;
use crate::{Figure, allocations, late};

/// Calls of that minute.
const CALLS: usize = 400;

const MEASURED: Duration = Duration::from_secs(60);
const WARM: Duration = Duration::from_secs(5);

/// What the worker is loaded to behind that minute, and for how long.
const LOADED: f64 = 0.8;
const MEASURED_LOADED: Duration = Duration::from_secs(30);
/// Calls that are added at a time, and how often at most.
const STEP: usize = 40;
const STEPS: usize = 25;

pub(crate) fn bench() -> io::Result<Vec<Figure>> {
    let mut engine = media::start_engine(true)?;
    let pairs = media::open_calls(&mut engine, 0..CALLS, |stream| codec(stream, CALLS))?;
    let load = Load::start(pairs, LOAD_CORE, Mixed { talk: Talk::new()?, calls: CALLS });
    std::thread::sleep(WARM);
    let (begun, packets) = (Instant::now(), load.received());
    let used = Share::begin()?;
    allocations::begin();
    let late = late::watch(&engine, MEASURED)?;
    let allocated = allocations::end();
    let packets = load.received().saturating_sub(packets);
    println!(
        "steady: {CALLS} calls (a tenth of them PCMU-PCMA, another PCMU-Opus), {:.0} s, {packets} \
         packets came, {:.0} % of a core: {allocated} allocations and frees on the worker, \
         {} ticks more than 5 ms late, {} more while its core was taken from it, in all for {:.0} \
         ms",
        begun.elapsed().as_secs_f64(),
        used.end()? * 100.0,
        late.ours,
        late.hosts,
        late.taken.as_secs_f64() * 1e3,
    );
    drop(load.stop()?);
    drop(engine);
    let loaded = loaded()?;
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let figure =
        |name, unit, value: u64| Figure { name, unit, value: value as f64, floor: 0.0, goal: 0.0 };
    Ok(vec![
        figure("allocations on the worker in a minute of 400 calls", "allocations", allocated),
        figure("ticks more than 5 ms late in that minute", "ticks", late.ours),
        figure("the same at 80 % of a core", "ticks", loaded),
    ])
}

/// Calls of the same kinds on a worker of their own until it has little time left; its late ticks
/// then.
fn loaded() -> io::Result<u64> {
    let mut engine = media::start_engine(true)?;
    let mut loads = Vec::new();
    let mut share = 0.0;
    while share < LOADED - 0.02 && loads.len() < STEPS {
        let first = loads.len() * STEP;
        let pairs = media::open_calls(&mut engine, first..first + STEP, |number| {
            codec(number - 2 * first, STEP)
        })?;
        loads.push(Load::start(pairs, LOAD_CORE, Mixed { talk: Talk::new()?, calls: STEP }));
        std::thread::sleep(Duration::from_secs(1));
        let used = Share::begin()?;
        std::thread::sleep(Duration::from_secs(1));
        share = used.end()?;
    }
    // What adapts has settled then.
    std::thread::sleep(WARM);
    let used = Share::begin()?;
    let late = late::watch(&engine, MEASURED_LOADED)?;
    println!(
        "steady: {} calls of these kinds, {:.0} % of a core, {:.0} s: {} ticks more than 5 ms \
         late, {} more while its core was taken from it, in all for {:.0} ms",
        loads.len() * STEP,
        used.end()? * 100.0,
        MEASURED_LOADED.as_secs_f64(),
        late.ours,
        late.hosts,
        late.taken.as_secs_f64() * 1e3,
    );
    for load in loads {
        drop(load.stop()?);
    }
    Ok(late.ours)
}

/// What a stream of so many calls speaks: most calls are passed on, a tenth of them is PCMU-PCMA,
/// another one PCMU-Opus.
fn codec(stream: usize, calls: usize) -> CodecParams {
    let (call, other) = (stream / 2, !stream.is_multiple_of(2));
    media::params(match call * 10 / calls {
        8 if other => Codec::Pcma,
        9 if other => Codec::Opus,
        _ => Codec::Pcmu,
    })
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

/// Opus from the phones that speak it, µ-law and A-law from the others.
struct Mixed {
    talk: Talk,
    /// As many as [`codec`] was asked about.
    calls: usize,
}

impl Voice for Mixed {
    fn say(&mut self, phone: usize, turn: u64, at: Duration, payload: &mut [u8; PAYLOAD]) -> Said {
        match codec(phone, self.calls).codec {
            Codec::Opus => self.talk.say(phone, turn, at, payload),
            Codec::Pcma => {
                let said = self.talk.say(phone & !1, turn, at, payload);
                koukan_codecs::g711::ulaw_to_alaw(payload);
                Said { payload_type: 8, ..said }
            }
            _ => self.talk.say(phone & !1, turn, at, payload),
        }
    }

    fn hear(&mut self, _: usize, _: &[u8], _: Duration) {}
}
