//! Resident memory that a bridged call takes in the server for its signalling: the slope up to two
//! thousand calls that are up at once, less what the same streams take in a media engine of this
//! process. Descriptions and streams are there as in any call; the phones have agreed that no
//! packets flow.

use std::io;
use std::time::Duration;

use crate::Figure;
use crate::office::{DEVICES, Office};
use crate::phones::Phones;
use crate::proc;
use crate::relay;
use crate::signalling::{MEMORY_GIVEN_BACK, TRANSACTIONS_GONE, slope};

/// So many pairs of phones, of which each calls so often.
const PAIRS: usize = DEVICES / 2;
const ROUNDS: usize = 4;
/// Calls that are up before it is measured, so that what is taken once counts not.
const FEW: usize = 40;
/// Calls of the engine that is measured by itself.
const ENGINE_FEW: usize = 50;
const ENGINE_MANY: usize = 200;
/// By then every stream has sent a report of RTCP (RFC 3550, 6.2), which takes memory too.
const FIRST_REPORTS: Duration = Duration::from_secs(12);

pub(crate) fn bench() -> io::Result<Vec<Figure>> {
    let media = media()?;
    let office = Office::generate("calls")?;
    let server = office.start()?;
    let mut phones = Phones::new(office.sip, DEVICES)?;
    phones.register(0..DEVICES)?;
    phones.be_silent();
    phones.call(0..FEW, PAIRS)?;
    std::thread::sleep(TRANSACTIONS_GONE);
    let few = proc::rss_kb(server.pid())?;
    phones.call(FEW..PAIRS, PAIRS)?;
    (1..ROUNDS).try_for_each(|_| phones.call(0..PAIRS, PAIRS))?;
    std::thread::sleep(Duration::from_millis(500));
    let fresh = proc::rss_kb(server.pid())?;
    std::thread::sleep(TRANSACTIONS_GONE + MEMORY_GIVEN_BACK);
    let settled = proc::rss_kb(server.pid())?;
    let calls = PAIRS * ROUNDS - FEW;
    phones.run_for(Duration::from_millis(200))?;
    if phones.standing(0..PAIRS) != calls + FEW {
        return Err(io::Error::other("calls have ended while their memory was measured"));
    }
    let (with_transactions, whole) = (slope(few, fresh, calls), slope(few, settled, calls));
    println!(
        "calls: {calls} more calls take {whole:.2} kB each, {with_transactions:.2} kB while their \
         transactions wait for timers; {media:.2} kB of it are both streams'"
    );
    Ok(vec![Figure {
        name: "RSS of a bridged call without its media",
        unit: "kB",
        value: whole - media,
        floor: 40.0,
        goal: 12.0,
    }])
}

/// Kilobytes of both streams of a call, with everything that an engine keeps for them.
fn media() -> io::Result<f64> {
    let own = std::process::id();
    let mut engine = relay::start_engine(false)?;
    let mut sockets = Vec::new();
    sockets.extend(relay::open_calls(&mut engine, 0..ENGINE_FEW)?);
    std::thread::sleep(FIRST_REPORTS);
    let few = proc::rss_kb(own)?;
    sockets.extend(relay::open_calls(&mut engine, ENGINE_FEW..ENGINE_MANY)?);
    std::thread::sleep(FIRST_REPORTS);
    Ok(slope(few, proc::rss_kb(own)?, ENGINE_MANY - ENGINE_FEW))
}
