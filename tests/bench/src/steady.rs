//! A minute of 400 calls, most of them passed on and some converted: what the worker allocates, and
//! how many of its ticks come more than 5 ms late, without the moments in which the host had taken
//! the core away.

use std::io;
use std::time::{Duration, Instant};

use koukan_media::Codec;

use crate::load::Load;
use crate::media::{self, LOAD_CORE, WORKER_CORE};
use crate::transcode::Talk;
use crate::{Figure, allocations, proc};

/// Calls whose packets are passed on, those from PCMU to PCMA, and those from PCMU to Opus.
const PASSED: usize = 320;
const LAWS: usize = 40;
const OPUS: usize = 40;
const CALLS: usize = PASSED + LAWS + OPUS;

const MEASURED: Duration = Duration::from_secs(60);
const WARM: Duration = Duration::from_secs(5);

/// The machine's account is read so often.
const LOOK: Duration = Duration::from_millis(100);

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
    let worker = media::thread_cpu(media::THREAD);
    let (begun, cpu, packets) = (Instant::now(), worker()?, load.received());
    let (mut late, mut stolen_late) = (0, 0);
    let (mut ticks, mut stolen) = (late_ticks(&engine), proc::stolen_ticks(WORKER_CORE)?);
    allocations::begin();
    while begun.elapsed() < MEASURED {
        std::thread::sleep(LOOK);
        let (ticks_now, stolen_now) = (late_ticks(&engine), proc::stolen_ticks(WORKER_CORE)?);
        let count = ticks_now.saturating_sub(ticks);
        if stolen_now == stolen {
            late += count;
        } else {
            stolen_late += count;
        }
        (ticks, stolen) = (ticks_now, stolen_now);
    }
    let allocated = allocations::end();
    let share = Duration::from_nanos(worker()?.saturating_sub(cpu)).as_secs_f64()
        / begun.elapsed().as_secs_f64();
    let packets = load.received().saturating_sub(packets);
    drop(load.stop()?);
    println!(
        "steady: {CALLS} calls ({PASSED} passed on, {LAWS} PCMU-PCMA, {OPUS} PCMU-Opus), {:.0} s, \
         {packets} packets came, {:.0} % of a core: {allocated} allocations and frees on the \
         worker, {late} ticks more than 5 ms late, {stolen_late} more while the host had the core",
        begun.elapsed().as_secs_f64(),
        share * 100.0,
    );
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let figure =
        |name, unit, value: u64| Figure { name, unit, value: value as f64, floor: 0.0, goal: 0.0 };
    Ok(vec![
        figure("allocations on the worker in a minute of 400 calls", "allocations", allocated),
        figure("ticks more than 5 ms late in that minute", "ticks", late),
    ])
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
