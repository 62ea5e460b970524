//! What a bad network leaves of a voice: real speech through our receiver (jitter buffer,
//! concealment, decoder) and through a fixed buffer of 80 ms with spandsp's concealment (for Opus:
//! libopus' own), on the same packets, in the PESQ of ITU-T P.862 (wide-band P.862.2 for G.722 and
//! Opus). All on a virtual clock: nothing of the machine is in the figures.
//!
//! The environment variable `KOUKAN_QUALITY` names what a row must contain to be run.

mod baresip;
pub(crate) mod live;
mod receivers;
mod trace;

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use koukan_codecs::{WavEncoding, sample_rate, wav_head};
use koukan_media::Codec;

use crate::{Figure, speech};
use receivers::Heard;
use trace::Network;

/// Recordings and traces at each point.
const SEEDS: u64 = 24;

/// Seconds that a receiver has heard before what is judged, a pause, and the seconds judged.
const LEAD_SECONDS: usize = 4;
const JUDGED_SECONDS: usize = 8;

/// At the 97.5th percentile of Student's t with 23 degrees of freedom.
const STUDENT: f64 = 2.069;

const CODECS: [(Codec, &str); 3] =
    [(Codec::Pcma, "PCMA"), (Codec::G722, "G.722"), (Codec::Opus, "Opus")];

/// What a point's scores came to: mean and half of the 95 % confidence interval.
#[derive(Clone, Copy)]
struct Spread {
    mean: f64,
    half: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.collect();
        let count = f64::from(u32::try_from(values.len().max(2)).unwrap_or(2));
        let mean = values.iter().sum::<f64>() / count;
        let square: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self { mean, half: STUDENT * (square / (count - 1.0) / count).sqrt() }
    }
}

/// By how much the reference was better, at worst.
#[derive(Clone, Copy)]
struct Worst {
    anywhere: f64,
    heavy: f64,
}

pub(crate) fn bench() -> io::Result<Vec<Figure>> {
    let wanted = std::env::var("KOUKAN_QUALITY").unwrap_or_default();
    println!(
        "quality: MOS (PESQ), {SEEDS} recordings and traces a row, 95 % confidence\n\
         {:<6} {:<22} {:>12} {:>12} {:>15} {:>9}",
        "codec", "network", "ours", "80 ms fixed", "ours - fixed", "our delay"
    );
    let mut figures = Vec::new();
    for (codec, name) in CODECS {
        let speech = speech::read(usize::try_from(sample_rate(codec)).unwrap_or(8_000), false)?;
        let mut worst = Worst { anywhere: f64::MIN, heavy: f64::MIN };
        for network in networks() {
            let row = format!("{name:<6} {:<22}", describe(network));
            if !row.contains(&wanted) {
                continue;
            }
            let better = point(codec, network, &speech, &row)?;
            worst.anywhere = worst.anywhere.max(better);
            if network.loss_percent >= 5 {
                worst.heavy = worst.heavy.max(better);
            }
        }
        let (anywhere, heavy) = match codec {
            Codec::Pcma => (NAMES[0], NAMES[1]),
            Codec::G722 => (NAMES[2], NAMES[3]),
            Codec::Pcmu | Codec::Opus | Codec::L16 => (NAMES[4], NAMES[5]),
        };
        let figure = |name, value, floor, goal| Figure { name, unit: "MOS", value, floor, goal };
        if worst.anywhere > f64::MIN {
            figures.push(figure(anywhere, worst.anywhere, 0.05, 0.0));
        }
        if worst.heavy > f64::MIN {
            figures.push(figure(heavy, worst.heavy, 0.0, -0.1));
        }
    }
    Ok(figures)
}

const NAMES: [&str; 6] = [
    "PCMA: what the reference is better by at worst",
    "PCMA: the same at 5 and 10 % loss",
    "G.722: what the reference is better by at worst",
    "G.722: the same at 5 and 10 % loss",
    "Opus: what the reference is better by at worst",
    "Opus: the same at 5 and 10 % loss",
];

fn networks() -> impl Iterator<Item = Network> {
    let loss = [0, 1, 3, 5, 10].into_iter().flat_map(|loss_percent| {
        let bursts: &[u32] = if loss_percent == 0 { &[1] } else { &[1, 3] };
        bursts.iter().map(move |burst| Network { loss_percent, burst: *burst, jitter_ms: 0 })
    });
    let jitter =
        [10, 20, 40, 60, 80].map(|jitter_ms| Network { loss_percent: 0, burst: 1, jitter_ms });
    let both = [(5, 40), (10, 80)].map(|(loss_percent, jitter_ms)| Network {
        loss_percent,
        burst: 1,
        jitter_ms,
    });
    loss.chain(jitter).chain(both)
}

fn describe(network: Network) -> String {
    let Network { loss_percent, burst, jitter_ms } = network;
    match (loss_percent, jitter_ms, burst) {
        (0, 0, _) => "nothing lost".to_owned(),
        (0, _, _) => format!("jitter {jitter_ms} ms"),
        (_, 0, 1) => format!("{loss_percent} % lost"),
        (_, 0, _) => format!("{loss_percent} % lost in bursts"),
        _ => format!("{loss_percent} %, jitter {jitter_ms} ms"),
    }
}

/// Runs and prints one row; by how much the reference is better.
fn point(codec: Codec, network: Network, speech: &[i16], row: &str) -> io::Result<f64> {
    let directory = scratch(codec)?;
    let rate = sample_rate(codec);
    let second = usize::try_from(rate).unwrap_or(8_000);
    let mut orders = String::new();
    let mut delay_ms = 0.0;
    for seed in 0..SEEDS {
        let said = recording(speech, second, seed, false);
        let packets = receivers::packets(codec, &said, network.loss_percent)?;
        let delays = network.delays(seed, packets.len());
        let ours = receivers::ours(codec, &packets, &delays, seed)?;
        let fixed = receivers::fixed(codec, &packets, &delays)?;
        delay_ms += ours.delay_ms / f64::from(u32::try_from(SEEDS).unwrap_or(1));
        // In the middle of the pause.
        let from = LEAD_SECONDS * second + second / 4;
        let file = |name: &str, samples: &[i16]| {
            let path = directory.join(format!("{seed}.{name}.wav"));
            write_wav(&path, rate, samples).map(|()| path)
        };
        let said = file("said", &said)?;
        let mask = if codec == Codec::Opus { String::new() } else { mask(&fixed) };
        for (name, heard, mask) in [("ours", &ours, ""), ("fixed", &fixed, mask.as_str())] {
            let path = file(name, &heard.sound)?;
            let written =
                writeln!(orders, "{}\t{}\t{from}\t{mask}", said.display(), path.display());
            written.map_err(io::Error::other)?;
        }
    }
    let scores = score(&directory, &orders)?;
    let (pairs, _) = scores.as_chunks::<2>();
    let [ours, fixed] =
        [0, 1].map(|side| Spread::of(pairs.iter().filter_map(move |pair| pair.get(side).copied())));
    let difference = Spread::of(pairs.iter().map(|[ours, fixed]| ours - fixed));
    println!(
        "{row} {:>5.2} ± {:.2} {:>6.2} ± {:.2} {:>8.3} ± {:.3} {delay_ms:>6.1} ms",
        ours.mean, ours.half, fixed.mean, fixed.half, difference.mean, difference.half,
    );
    Ok(-difference.mean)
}

/// What is said: a lead, a pause of half a second, what is judged, and half a second more; or what
/// lies half-way to the next such recording.
fn recording(speech: &[i16], second: usize, seed: u64, between: bool) -> Vec<i16> {
    let whole = (LEAD_SECONDS + JUDGED_SECONDS) * second;
    let places = speech.len().saturating_sub(whole);
    let places_32 = u32::try_from(places).unwrap_or(u32::MAX);
    let seeds = u32::try_from(SEEDS).unwrap_or(1);
    // Spread over all that is said, so that no two are alike.
    let number = u32::try_from(seed).unwrap_or(0);
    let stride = places_32 / seeds;
    let at = stride * number + if between { stride / 2 } else { 0 };
    let at = usize::try_from(at).unwrap_or(0);
    let part = speech.get(at..at + whole).unwrap_or_default();
    let (lead, judged) = part.split_at(LEAD_SECONDS * second);
    let pause = vec![0; second / 2];
    [lead, &pause, judged, &pause].concat()
}

fn mask(heard: &Heard) -> String {
    heard.missing.iter().map(|missing| if *missing { '1' } else { '0' }).collect()
}

fn write_wav(path: &Path, rate: u32, samples: &[i16]) -> io::Result<()> {
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let head = wav_head(WavEncoding::Linear16, 1, rate, length);
    std::fs::write(path, [head.as_slice(), &bytes].concat())
}

/// The target directory, where the bench stands in `release` or `debug`.
fn target() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(2).map(Path::to_path_buf);
    target.ok_or_else(|| io::Error::other("the bench stands in no target directory"))
}

/// Where the files of a row stand until the next.
fn scratch(codec: Codec) -> io::Result<PathBuf> {
    let directory = target()?.join("quality").join(format!("{codec:?}"));
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// The scores of what `orders` names, in their order.
fn score(directory: &Path, orders: &str) -> io::Result<Vec<f64>> {
    let list = directory.join("orders");
    std::fs::write(&list, orders)?;
    let python = target()?.join("pesq/bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("score.py");
    let output = Command::new(&python).arg(script).arg(&list).output().map_err(|error| {
        io::Error::other(format!("{}: {error}; `cargo xtask bench` makes it", python.display()))
    })?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    words.lines().map(|line| line.trim().parse().map_err(io::Error::other)).collect()
}
