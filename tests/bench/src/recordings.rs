//! 200 voicemail messages and 200 calls recorded at once by one worker and one thread for the disk,
//! both on one core: no tick more than 5 ms late, and every sample that was said is in its file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use koukan_base::OpId;
use koukan_codecs::g711;
use koukan_engine::Engine;
use koukan_media::{
    Codec, Command, Event, RecordFormat, RecordReport, Recorded, Recording, Source,
};

use crate::load::{Load, PAYLOAD, Said, Voice};
use crate::media::{self, LOAD_CORE, WORKER, WORKER_CORE};
use crate::proc;
use crate::{Figure, late};

const MESSAGES: usize = 200;
const CALLS: usize = 200;
const MEASURED: Duration = Duration::from_secs(30);
/// What phones say goes round so often, in packets.
const ROUND: u64 = 100;
/// A G.711 packet, and such samples a second.
const PACKET: usize = 160;
const RATE: u64 = 8_000;

/// Every packet holds one value, the next packet the next one.
struct Counting;

impl Voice for Counting {
    fn say(&mut self, _: usize, turn: u64, _: Duration, payload: &mut [u8; PAYLOAD]) -> Said {
        payload.fill(value(turn));
        Said { payload_type: 0, units: 160, length: PACKET }
    }

    fn hear(&mut self, _: usize, _: &[u8], _: Duration) {}
}

fn value(turn: u64) -> u8 {
    0x80 | u8::try_from(turn % ROUND).unwrap_or(0)
}

pub(crate) fn bench() -> io::Result<Vec<Figure>> {
    let directory = std::env::temp_dir().join(format!("koukan-recordings-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let figures = measured(&directory);
    fs::remove_dir_all(&directory)?;
    figures
}

fn measured(directory: &Path) -> io::Result<Vec<Figure>> {
    let mut engine = media::start_engine(true)?;
    proc::pin(disk_thread()?, WORKER_CORE)?;
    let codec = |_| media::params(Codec::Pcmu);
    let mut pairs = media::open(&mut engine, 0..MESSAGES, codec)?;
    for number in 0..MESSAGES {
        let stream = media::stream(number);
        engine.send(WORKER, Command::Feed { stream, source: Source::Silence });
    }
    let first = MESSAGES / 2;
    pairs.extend(media::open_calls(&mut engine, first..first + CALLS, codec)?);
    let load = Load::start(pairs, LOAD_CORE, Counting);
    std::thread::sleep(Duration::from_secs(2));

    let files = record(&mut engine, directory);
    let worker = media::thread_cpu(media::THREAD);
    let (begun, cpu) = (Instant::now(), worker()?);
    let late = late::watch(&engine, MEASURED)?;
    let share = Duration::from_nanos(worker()?.saturating_sub(cpu)).as_secs_f64()
        / begun.elapsed().as_secs_f64();
    let reports = stop(&mut engine, files.len())?;
    load.stop()?;

    let dropped: u64 = reports.iter().map(|report| report.dropped).sum();
    let mut lost = dropped;
    for (file, channels) in &files {
        lost += missing(&fs::read(file)?, *channels)?;
    }
    println!(
        "recordings: {MESSAGES} messages and {CALLS} calls for {:.0} s, worker {:.0} % of a core: \
         {} ticks more than 5 ms late, {} more while its core was taken from it, in all for {:.0} \
         ms; {lost} samples missing, {dropped} of them dropped",
        begun.elapsed().as_secs_f64(),
        share * 100.0,
        late.ours,
        late.hosts,
        late.taken.as_secs_f64() * 1e3,
    );
    #[expect(clippy::cast_precision_loss, reason = "counts")]
    let figure =
        |name, unit, value: u64| Figure { name, unit, value: value as f64, floor: 0.0, goal: 0.0 };
    Ok(vec![
        figure("ticks more than 5 ms late under 400 recordings", "ticks", late.ours),
        figure("samples missing in 400 recordings", "samples", lost),
    ])
}

/// The thread that writes; it takes its name when it runs first.
fn disk_thread() -> io::Result<u32> {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        match proc::thread_named("media-job-disk") {
            Err(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(10)),
            found => return found,
        }
    }
}

/// Orders every recording: the files, with their channels.
fn record(engine: &mut Engine, directory: &Path) -> Vec<(PathBuf, usize)> {
    let messages = (0..MESSAGES).map(|number| (number, Recorded::Peer, RecordFormat::Linear8k));
    let calls = (0..CALLS).map(|call| (MESSAGES + 2 * call, Recorded::Stereo, RecordFormat::Ulaw));
    let mut files = Vec::new();
    for (number, what, format) in messages.chain(calls) {
        let path = directory.join(format!("{number}.wav"));
        let recording = Box::new(Recording {
            path: Arc::from(path.as_path()),
            seal: false,
            what,
            format,
            longest: Duration::from_secs(600),
            silence: None,
            stop_digits: None,
        });
        let (stream, op) = (media::stream(number), op(number));
        engine.send(WORKER, Command::Record { stream, op, recording });
        files.push((path, usize::from(what.channels())));
    }
    files
}

fn op(number: usize) -> OpId {
    OpId(u64::try_from(number).unwrap_or(u64::MAX))
}

fn stop(engine: &mut Engine, count: usize) -> io::Result<Vec<RecordReport>> {
    let calls = (0..CALLS).map(|call| MESSAGES + 2 * call);
    for number in (0..MESSAGES).chain(calls) {
        let (stream, op) = (media::stream(number), op(number));
        engine.send(WORKER, Command::StopRecord { stream, op });
    }
    // The disk takes its time for each file.
    let until = Instant::now() + Duration::from_secs(60);
    let mut reports = Vec::new();
    while reports.len() < count && Instant::now() < until {
        match engine.try_recv() {
            Some(Event::Recorded { report, .. }) => reports.push(report),
            Some(_) => {}
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    if reports.len() < count {
        return Err(io::Error::other(format!("{} of {count} recordings ended", reports.len())));
    }
    Ok(reports)
}

/// Samples that are not in a file: what is missing or too many between its first packet and its
/// last, and what it is shorter than it was recorded.
fn missing(file: &[u8], channels: usize) -> io::Result<u64> {
    let samples = sound(file).ok_or_else(|| io::Error::other("no sound is in a file"))?;
    let due = MEASURED.as_secs().saturating_mul(RATE);
    let mut missing = 0;
    for channel in 0..channels {
        let heard: Vec<i16> = samples.iter().skip(channel).step_by(channels).copied().collect();
        let length = u64::try_from(heard.len()).unwrap_or(u64::MAX);
        missing += gaps(&heard) + due.saturating_sub(length);
    }
    Ok(missing)
}

/// The samples of a WAV file of 16 bits or in µ-law, its channels interleaved.
fn sound(file: &[u8]) -> Option<Vec<i16>> {
    let mut rest = file.get(12..)?;
    let mut is_ulaw = false;
    loop {
        let (head, body) = rest.split_at_checked(8)?;
        let size = u32::from_le_bytes(*head.get(4..)?.first_chunk()?);
        let body = body.get(..usize::try_from(size).ok()?)?;
        match head.get(..4)? {
            b"fmt " => is_ulaw = body.first() == Some(&7),
            b"data" if is_ulaw => {
                let mut samples = vec![0; body.len()];
                g711::decode_ulaw(body, &mut samples);
                return Some(samples);
            }
            b"data" => {
                let sample = |pair: &[u8]| Some(i16::from_le_bytes(*pair.first_chunk()?));
                return body.chunks_exact(2).map(sample).collect();
            }
            _ => {}
        }
        rest = rest.get(8 + body.len() + body.len() % 2..)?;
    }
}

/// What does not go on from packet to packet, in samples; ends that are cut are none.
fn gaps(heard: &[i16]) -> u64 {
    let mut values = [0; 256];
    let all: Vec<u8> = (0..=255).collect();
    g711::decode_ulaw(&all, &mut values);
    let turn_of = |sample: i16| {
        (0..ROUND).find(|turn| values.get(usize::from(value(*turn))) == Some(&sample))
    };
    let runs: Vec<&[i16]> = heard.chunk_by(|a, b| a == b).collect();
    let packet = u64::try_from(PACKET).unwrap_or(0);
    let mut missing = 0_u64;
    let mut before: Option<u64> = None;
    let mut at = 0;
    for (number, run) in runs.iter().enumerate() {
        let known = missing;
        at += run.len();
        let length = u64::try_from(run.len()).unwrap_or(0);
        let Some(turn) = run.first().and_then(|sample| turn_of(*sample)) else {
            // Silence before the first packet is none that is missing.
            missing += before.map_or(0, |_| length);
            continue;
        };
        if let Some(before) = before {
            missing += (turn + ROUND - before - 1) % ROUND * packet;
            let is_last = number + 1 == runs.len();
            missing += if is_last { 0 } else { length.abs_diff(packet) };
        }
        if missing > known {
            let seconds = Duration::from_micros(u64::try_from(at).unwrap_or(0) * 125).as_secs_f64();
            println!(
                "recordings: {} samples wrong before {seconds:.2} s: {length} of packet {turn}, \
                 behind {before:?}",
                missing - known
            );
        }
        before = Some(turn);
    }
    missing
}
