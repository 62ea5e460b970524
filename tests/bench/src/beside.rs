//! One table in one run: the bare forwarder, Debian's rtpengine in user space and the engine, each
//! on one pinned core with the same G.711 calls; CPU time of a packet, what is added to its way,
//! and how late the load itself was.

use std::io;
use std::time::Duration;

use crate::Figure;
use crate::load::{Stamped, quantile};
use crate::media::Span;
use crate::relay;
use crate::rtpengine;

const ROWS: [usize; 3] = [100, 400, 700];
const MEASURED: Duration = Duration::from_secs(8);

pub(crate) fn bench() -> io::Result<Vec<Figure>> {
    let version = rtpengine::version();
    if version.is_none() {
        println!("beside: Debian's rtpengine-daemon is not installed: its rows are left out");
    }
    println!(
        "beside: calls  what                         us a packet  core   came   p50 ms p99 ms \
         p99.9 ms  load late p99 ms"
    );
    let mut worst: f64 = 0.0;
    let mut over_bare: f64 = 0.0;
    let mut p99: f64 = 0.0;
    for calls in ROWS {
        let bare = row(calls, "bare forwarder", relay::bare(calls, MEASURED)?);
        let theirs = match &version {
            Some(version) => Some(row(calls, version, rtpengine::relayed(calls, MEASURED)?)),
            None => None,
        };
        let ours = row(calls, "koukan", relay::engine(calls, MEASURED)?);
        if let Some(theirs) = theirs {
            worst = worst.max(ours.0 / theirs.0);
        }
        over_bare = over_bare.max(ours.0 / bare.0);
        p99 = p99.max(ours.1);
    }
    let figure = |name, unit, value, floor, goal| Figure { name, unit, value, floor, goal };
    let mut figures = vec![
        figure(
            "CPU of a packet over the bare forwarder's, worst row",
            "times",
            over_bare,
            2.0,
            1.1,
        ),
        figure("p99 of what is added to a packet's way, worst row", "ms", p99, 2.0, 1.0),
    ];
    if version.is_some() {
        figures.push(figure(
            "CPU of a packet over rtpengine's, worst row",
            "times",
            worst,
            1.0,
            0.6,
        ));
    }
    Ok(figures)
}

/// Prints a row; CPU time of a packet in us, and the 99th percentile of its delay in ms.
fn row(calls: usize, what: &str, mut span: Span<Stamped>) -> (f64, f64) {
    span.voice.delays.sort_unstable();
    let delays = &span.voice.delays;
    println!(
        "beside: {calls:>5}  {what:<28} {:>11.2}  {:>3.0} %  {:>5.1} %  {:>5.2}  {:>5.2}  {:>7.2}  {:>15.2}",
        span.cpu_us,
        span.share * 100.0,
        span.received * 100.0,
        quantile(delays, 500),
        quantile(delays, 990),
        quantile(delays, 999),
        quantile(&span.late, 990),
    );
    (span.cpu_us, quantile(delays, 990))
}
