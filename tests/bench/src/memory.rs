//! Resident memory of the server: idle with its thousand devices, and for each call that it bridges
//! (the slope between fifty calls and two hundred and fifty, so that what is taken once counts
//! not).

use std::io;
use std::time::Duration;

use crate::Figure;
use crate::office::Office;
use crate::phones::Phones;
use crate::proc;

const FEW: usize = 50;
const MANY: usize = 250;

pub(crate) fn bench() -> io::Result<Vec<Figure>> {
    let office = Office::generate("memory")?;
    let server = office.start()?;
    let settled = || {
        std::thread::sleep(Duration::from_millis(500));
        proc::rss_kb(server.pid())
    };
    let idle = settled()?;
    let mut phones = Phones::new(office.sip, MANY * 2)?;
    phones.register(0..MANY * 2)?;
    let registered = settled()?;
    phones.call(0..FEW, MANY)?;
    let few = settled()?;
    phones.call(FEW..MANY, MANY)?;
    let many = settled()?;
    println!(
        "memory: idle {idle} kB, 500 registered {registered} kB, 50 calls {few} kB, 250 calls {many} kB"
    );
    let calls = u32::try_from(MANY - FEW).unwrap_or(1);
    let kilobytes = |kb: u64| f64::from(u32::try_from(kb).unwrap_or(u32::MAX));
    let figure = |name, unit, value, floor, goal| Figure { name, unit, value, floor, goal };
    Ok(vec![
        figure("RSS idle, 1,000 devices", "MB", kilobytes(idle) / 1000.0, 40.0, 15.0),
        figure(
            "RSS of a bridged call",
            "kB",
            kilobytes(many.saturating_sub(few)) / f64::from(calls),
            80.0,
            25.0,
        ),
    ])
}
