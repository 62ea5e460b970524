//! Our receiver beside Debian's baresip, which hears the same packets in real time, and beside the
//! fixed buffer: on traces and recordings by which nothing was chosen. A figure of baresip's is one
//! of a machine that has time for it; ours are on a virtual clock.
//!
//! The environment variable `KOUKAN_QUALITY` names what a row must contain to be run.

use std::fmt::Write as _;
use std::io;

use koukan_codecs::sample_rate;
use koukan_media::Codec;

use super::baresip::{self, Receiver, Trace};
use super::trace::Network;
use super::{
    LEAD_SECONDS, SEEDS, Spread, Worst, describe, mask, receivers, recording, score, scratch,
    target, write_wav,
};
use crate::{Figure, speech};

/// Where these seeds begin: far from those of the other table.
const FRESH: u64 = 5_000;

const CODECS: [(Codec, &str); 2] = [(Codec::Pcma, "PCMA"), (Codec::G722, "G.722")];

const fn network(loss_percent: u32, burst: u32, jitter_ms: u32) -> Network {
    Network { loss_percent, burst, jitter_ms }
}

const NETWORKS: [Network; 11] = [
    network(0, 1, 0),
    network(1, 1, 0),
    network(3, 1, 0),
    network(5, 1, 0),
    network(5, 3, 0),
    network(10, 1, 0),
    network(10, 3, 0),
    network(0, 1, 20),
    network(0, 1, 40),
    network(0, 1, 80),
    network(5, 1, 40),
];

pub(crate) fn bench() -> io::Result<Vec<Figure>> {
    let Some(version) = Receiver::version() else {
        println!("receivers: Debian's baresip-core is not installed: nothing is measured");
        return Ok(Vec::new());
    };
    let wanted = std::env::var("KOUKAN_QUALITY").unwrap_or_default();
    let directory = target()?.join("quality");
    let count = u16::try_from(SEEDS).unwrap_or(24);
    let mut ears: Vec<Receiver> =
        (0..count).map(|number| Receiver::start(&directory, number)).collect::<Result<_, _>>()?;
    println!(
        "receivers: MOS (PESQ), {SEEDS} recordings and traces a row, 95 % confidence; {version}\n\
         {:<6} {:<22} {:>12} {:>12} {:>12} {:>15} {:>15}  ours to the better of both",
        "codec", "network", "ours", "baresip", "80 ms fixed", "ours - baresip", "ours - fixed"
    );
    let mut worst = Worst { anywhere: f64::MIN, heavy: f64::MIN };
    for (codec, name) in CODECS {
        let speech = speech::read(usize::try_from(sample_rate(codec)).unwrap_or(8_000), false)?;
        for network in NETWORKS {
            let row = format!("{name:<6} {:<22}", describe(network));
            if !row.contains(&wanted) {
                continue;
            }
            let better = point((codec, network), &speech, &row, &mut ears)?;
            worst.anywhere = worst.anywhere.max(better);
            if network.loss_percent >= 5 {
                worst.heavy = worst.heavy.max(better);
            }
        }
    }
    let figure = |name, value, floor, goal| Figure { name, unit: "MOS", value, floor, goal };
    let mut figures = Vec::new();
    if worst.anywhere > f64::MIN {
        let name = "what the better of baresip and the fixed buffer is better by at worst";
        figures.push(figure(name, worst.anywhere, 0.05, 0.0));
    }
    if worst.heavy > f64::MIN {
        let name = "the same at 5 and 10 % loss";
        figures.push(figure(name, worst.heavy, 0.0, -0.1));
    }
    Ok(figures)
}

/// What a difference to the better reference says of a row, with its uncertainty.
fn verdict(to_better: Spread) -> String {
    let Spread { mean, half } = to_better;
    let word = match () {
        () if mean - half > 0.0 => "above it",
        () if mean >= -WITHIN => "within 0.05",
        () => "BELOW",
    };
    format!("{word} ({mean:+.3} ± {half:.3})")
}

/// As good as the better reference, in MOS.
const WITHIN: f64 = 0.05;

/// Runs and prints one row; by how much the better of the two others is better.
fn point(
    (codec, network): (Codec, Network),
    speech: &[i16],
    row: &str,
    ears: &mut [Receiver],
) -> io::Result<f64> {
    let directory = scratch(codec)?;
    let rate = sample_rate(codec);
    let second = usize::try_from(rate).unwrap_or(8_000);
    let (mut said, mut packets, mut delays) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..SEEDS {
        let sound = recording(speech, second, number, true);
        packets.push(receivers::packets(codec, &sound, network.loss_percent)?);
        delays.push(network.delays(FRESH + number, packets.last().map_or(0, Vec::len)));
        said.push(sound);
    }
    let traces: Vec<Trace<'_>> =
        packets.iter().zip(&delays).map(|(packets, delays)| Trace { packets, delays }).collect();
    let theirs = baresip::heard(ears, codec, &traces, &said)?;
    let mut orders = String::new();
    let from = LEAD_SECONDS * second + second / 4;
    for (number, ((said, theirs), trace)) in (0..).zip(said.iter().zip(&theirs).zip(&traces)) {
        let ours = receivers::ours(codec, trace.packets, trace.delays, FRESH + number)?;
        let fixed = receivers::fixed(codec, trace.packets, trace.delays)?;
        let file = |name: &str, samples: &[i16]| {
            let path = directory.join(format!("{number}.{name}.wav"));
            write_wav(&path, rate, samples).map(|()| path)
        };
        let original = file("said", said)?;
        let missing = mask(&fixed);
        for (name, sound, mask) in [
            ("ours", &ours.sound, ""),
            ("fixed", &fixed.sound, missing.as_str()),
            ("baresip", theirs, ""),
        ] {
            let path = file(name, sound)?;
            let written =
                writeln!(orders, "{}\t{}\t{from}\t{mask}", original.display(), path.display());
            written.map_err(io::Error::other)?;
        }
    }
    let scores = score(&directory, &orders)?;
    let (triples, _) = scores.as_chunks::<3>();
    let [ours, fixed, theirs] = [0, 1, 2]
        .map(|side| Spread::of(triples.iter().filter_map(move |all| all.get(side).copied())));
    let over_theirs = Spread::of(triples.iter().map(|[ours, _, theirs]| ours - theirs));
    let over_fixed = Spread::of(triples.iter().map(|[ours, fixed, _]| ours - fixed));
    let to_better = if theirs.mean > fixed.mean { over_theirs } else { over_fixed };
    println!(
        "{row} {:>5.2} ± {:.2} {:>6.2} ± {:.2} {:>6.2} ± {:.2} {:>7.3} ± {:.3} {:>8.3} ± {:.3}  {}",
        ours.mean,
        ours.half,
        theirs.mean,
        theirs.half,
        fixed.mean,
        fixed.half,
        over_theirs.mean,
        over_theirs.half,
        over_fixed.mean,
        over_fixed.half,
        verdict(to_better),
    );
    Ok((-over_theirs.mean).max(-over_fixed.mean))
}
