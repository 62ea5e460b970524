//! Resident memory that a bridged call takes in the server for its signalling: the slope up to two
//! thousand calls that are up at once, less what the same streams take in a media engine of this
//! process. Descriptions and streams are there as in any call; the phones have agreed that no
//! packets flow.

use std::io;
use std::time::Duration;

use koukan_media::Codec;

use crate::Figure;
use crate::load::{Load, Stamped};
use crate::media::{self, LOAD_CORE};
use crate::office::{DEVICES, Office};
use crate::phones::Phones;
use crate::proc;
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
    let (silent, talking) = (streams(false)?, streams(true)?);
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
         transactions wait for timers; {silent:.2} kB of it are both streams', which take \
         {talking:.2} kB while both phones talk"
    );
    let signalling = whole - silent;
    let figure = |name, value, floor, goal| Figure { name, unit: "kB", value, floor, goal };
    Ok(vec![
        figure("RSS of a bridged call without its media", signalling, 40.0, 12.0),
        figure("RSS of a bridged call with its media", signalling + talking, 60.0, 30.0),
    ])
}

/// Kilobytes of both streams of a call, with everything that an engine keeps for them; while both
/// phones talk or while both are silent.
fn streams(talk: bool) -> io::Result<f64> {
    let own = std::process::id();
    let codec = |_| media::params(Codec::Pcmu);
    let mut engine = media::start_engine(false)?;
    let mut loads = Vec::new();
    let mut silent = Vec::new();
    let mut open = |engine: &mut _, calls| -> io::Result<u64> {
        let pairs = media::open_calls(engine, calls, codec)?;
        if talk {
            loads.push(Load::start(pairs, LOAD_CORE, Stamped::default()));
        } else {
            silent.push(pairs);
        }
        std::thread::sleep(FIRST_REPORTS);
        proc::rss_kb(own)
    };
    let few = open(&mut engine, 0..ENGINE_FEW)?;
    let many = open(&mut engine, ENGINE_FEW..ENGINE_MANY)?;
    loads.into_iter().try_for_each(|load| load.stop().map(drop))?;
    Ok(slope(few, many, ENGINE_MANY - ENGINE_FEW))
}
