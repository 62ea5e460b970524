//! From the start of the process to the first answered OPTIONS, with a thousand devices.

use std::io;

use crate::Figure;
use crate::office::Office;

const RUNS: usize = 7;

pub(crate) fn bench() -> io::Result<Vec<Figure>> {
    let office = Office::generate("start")?;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        times.push(office.start()?.answered_after.as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    let median = times.get(RUNS / 2).copied().unwrap_or(f64::NAN);
    Ok(vec![Figure {
        name: "start to the first answered OPTIONS, 1,000 devices",
        unit: "ms",
        value: median,
        floor: 500.0,
        goal: 50.0,
    }])
}
