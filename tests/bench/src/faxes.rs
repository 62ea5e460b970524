//! Faxes beside voice: a hundred calls and so many receptions on one core, sent from the other by a
//! second process of ours. All faxes must come through, and voice may come no later than half as
//! much again as without them.

mod process;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use koukan_fax::protocol::{
    Audio, End, Event, Law, Media, Order, REDUNDANCY, Report, SessionId, Station, T38, Task,
};
use koukan_fax::queue::Rate;
use koukan_fax::{Bitmap, EncodedPage, Resolution, tiff};
use koukan_media::Codec;

use crate::load::{Load, Stamped, quantile};
use crate::media::{self, LOAD_CORE, WORKER_CORE};
use crate::{Figure, proc};
use process::FaxProcess;

/// Voice calls beside them.
const CALLS: usize = 100;

/// How long voice is listened to without faxes, and while they run.
const MEASURED: Duration = Duration::from_secs(30);
const WARM: Duration = Duration::from_secs(5);

/// A fax of two pages takes a minute; one that trains anew, more.
const PATIENCE: Duration = Duration::from_secs(240);

/// One begins behind the other, as from different people.
const APART: Duration = Duration::from_millis(40);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Medium {
    Audio,
    T38,
}

pub(crate) fn bench() -> io::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let plans = [
        (Medium::Audio, "KOUKAN_FAXES_AUDIO", 300, "audio", (150.0, 300.0)),
        (Medium::T38, "KOUKAN_FAXES_T38", 1_000, "T.38", (400.0, 1_000.0)),
    ];
    for (medium, variable, usual, name, (floor, goal)) in plans {
        let said = std::env::var(variable).ok().and_then(|count| count.parse().ok());
        let outcome = beside_voice(medium, said.unwrap_or(usual))?;
        let Outcome { faxes, good, core, quiet, busy } = outcome;
        println!(
            "faxes: {good} of {faxes} {name} receptions beside {CALLS} calls came through, {:.0} % \
             of the core is theirs; voice p99 {quiet:.2} ms without and {busy:.2} ms with them",
            core * 100.0
        );
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let lost = (faxes - good) as f64;
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let reached = faxes as f64;
        println!("faxes: {reached} {name} receptions at once (floor {floor}, goal {goal})");
        let of = |name, unit, value, floor, goal| Figure { name, unit, value, floor, goal };
        let (failed, later) = match medium {
            Medium::Audio => ("audio receptions that failed", "voice p99 beside audio receptions"),
            Medium::T38 => ("T.38 receptions that failed", "voice p99 beside T.38 receptions"),
        };
        figures.push(of(failed, "faxes", lost, 0.0, 0.0));
        figures.push(of(later, "times", busy / quiet, 1.5, 1.5));
    }
    Ok(figures)
}

struct Outcome {
    faxes: usize,
    good: usize,
    /// The receiving process's share of its core.
    core: f64,
    /// The p99 of voice's way, in ms.
    quiet: f64,
    busy: f64,
}

fn beside_voice(medium: Medium, faxes: usize) -> io::Result<Outcome> {
    let mut engine = media::start_engine(true)?;
    let codec = |_| media::params(Codec::Pcmu);
    let pairs = media::open_calls(&mut engine, 0..CALLS, codec)?;
    let load = Load::start(pairs, LOAD_CORE, Stamped::default());
    std::thread::sleep(WARM);
    load.measure(true);
    std::thread::sleep(MEASURED);
    let quiet = heard(load)?;

    let mut receiver = FaxProcess::start("faxes-in", WORKER_CORE)?;
    let mut sender = FaxProcess::start("faxes-out", LOAD_CORE)?;
    sender.file("out.tif", &document())?;
    for fax in 0..faxes {
        start(medium, fax, &mut receiver, &mut sender)?;
        std::thread::sleep(APART);
    }
    let pairs = media::open_calls(&mut engine, CALLS..2 * CALLS, codec)?;
    let load = Load::start(pairs, LOAD_CORE, Stamped::default());
    std::thread::sleep(WARM);
    let (begun, before) = (Instant::now(), cpu(receiver.id())?);
    load.measure(true);
    let mut ends = Vec::new();
    while begun.elapsed() < MEASURED {
        std::thread::sleep(Duration::from_millis(50));
        collect(&mut receiver, &mut ends)?;
        collect(&mut sender, &mut Vec::new())?;
    }
    let spent = Duration::from_nanos(cpu(receiver.id())?.saturating_sub(before));
    let core = spent.as_secs_f64() / begun.elapsed().as_secs_f64();
    let busy = heard(load)?;
    while ends.len() < faxes && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(50));
        collect(&mut receiver, &mut ends)?;
        collect(&mut sender, &mut Vec::new())?;
    }
    let good = ends.iter().filter(|end| end.code == 0 && end.confirmed == 2).count();
    Ok(Outcome { faxes, good, core, quiet, busy })
}

/// The p99 of how long packets took, in ms.
fn heard(load: Load<Stamped>) -> io::Result<f64> {
    let (voice, _) = load.stop()?;
    let mut delays = voice.delays;
    delays.sort_unstable();
    Ok(quantile(&delays, 990))
}

fn cpu(process: u32) -> io::Result<u64> {
    Ok(proc::threads_cpu_ns(process)?.values().sum())
}

/// Two pages of text, which take about a minute.
fn document() -> Vec<u8> {
    let mut page = Bitmap::white(1_728, 2_200);
    for y in 0..page.height() {
        for x in 100..1_600_u32 {
            let letter = (x / 9).wrapping_mul(7) ^ (y / 22).wrapping_mul(13);
            if y % 22 < 13 && x % 9 < 6 && (letter >> (x % 3)) & 1 == 1 {
                page.set_black(x, y);
            }
        }
    }
    let page = EncodedPage::t6(&page, Resolution::Fine.dpi());
    tiff::write(&[page.clone(), page])
}

fn start(
    medium: Medium,
    fax: usize,
    receiver: &mut FaxProcess,
    sender: &mut FaxProcess,
) -> io::Result<()> {
    let bind = || {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok::<_, io::Error>((socket, address))
    };
    let ((theirs, from), (ours, to)) = (bind()?, bind()?);
    let session = SessionId(u64::try_from(fax).unwrap_or(0));
    let station = |calling| Station { ident: String::new(), rate: Rate::V17, ecm: true, calling };
    let receive =
        Task::Receive { file: format!("{fax}.tif"), max_pages: 30, station: station(false) };
    let send = Task::Send { file: "out.tif".to_owned(), first_page: 1, station: station(true) };
    receiver.order(&Order::Start { session, task: receive, media: over(medium, from) }, ours)?;
    sender.order(&Order::Start { session, task: send, media: over(medium, to) }, theirs)
}

fn over(medium: Medium, remote: SocketAddr) -> Media {
    match medium {
        Medium::Audio => Media::Audio(Audio {
            remote,
            law: Law::Mu,
            payload_type: 0,
            ssrc: u32::from(remote.port()),
            sequence: 1,
            timestamp: 1,
        }),
        Medium::T38 => Media::T38(T38 {
            remote,
            max_datagram: 400,
            redundancy: REDUNDANCY,
            fec: None,
            local_tcf: false,
            max_bit_rate: 14_400,
        }),
    }
}

/// Takes the ends that a process has told of.
fn collect(process: &mut FaxProcess, ends: &mut Vec<End>) -> io::Result<()> {
    while let Some(report) = process.poll()? {
        match report {
            Report::Event { event: Event::End(end), .. } => ends.push(end),
            Report::Refused { reason, .. } => return Err(io::Error::other(reason)),
            Report::Event { .. } | Report::Ready { .. } => {}
        }
    }
    Ok(())
}
