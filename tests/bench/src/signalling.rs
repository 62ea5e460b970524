//! CPU time of the whole server a registration and a call, beside what a bare UDP responder takes
//! for one datagram, and Kamailio for a registration, in the same run; memory a contact; and how
//! much of a burst's memory comes back. The server has core 1, the phones and the responder's load
//! core 0.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use crate::Figure;
use crate::kamailio::{self, Kamailio};
use crate::office::{DEVICES, Office};
use crate::phones::Phones;
use crate::proc;

/// Registrations and calls that are measured: so many rounds of so many phones.
const ROUNDS: usize = 10;
const CALLERS: usize = 200;
/// Answers stay in memory until timer J and timer I have ended (RFC 3261, 17.2): 64 × T1.
pub(crate) const TRANSACTIONS_GONE: Duration = Duration::from_secs(34);

/// The server gives memory back when a burst has been over for ten seconds.
pub(crate) const MEMORY_GIVEN_BACK: Duration = Duration::from_secs(12);

pub(crate) fn bench() -> io::Result<Vec<Figure>> {
    proc::pin(proc::thread_id()?, 0)?;
    println!("signalling: a bare responder takes {:.2} us a datagram", responder()? * 1e6);
    let office = Office::generate("signalling")?;
    let server = office.start()?;
    proc::pin_process(server.pid(), 1)?;
    let mut phones = Phones::new(office.sip, DEVICES)?;
    let mut figures = Vec::new();

    phones.register(0..DEVICES / 2)?;
    std::thread::sleep(TRANSACTIONS_GONE);
    let half = proc::rss_kb(server.pid())?;
    phones.register(DEVICES / 2..DEVICES)?;
    std::thread::sleep(TRANSACTIONS_GONE);
    let idle = proc::rss_kb(server.pid())?;
    println!("signalling: {half} kB with half of the phones registered, {idle} kB with all");
    figures.push(Figure {
        name: "RSS of a registered contact",
        unit: "kB",
        value: slope(half, idle, DEVICES / 2),
        floor: 6.0,
        goal: 2.0,
    });

    let count = ROUNDS * CALLERS;
    let cpu =
        server.spent("signalling", || (0..ROUNDS).try_for_each(|_| phones.register(0..CALLERS)))?;
    let register = cpu_figure("CPU of a digest REGISTER (401 + 200)", cpu, count, 100.0, 40.0);
    beside_kamailio(register.value)?;
    figures.push(register);
    let cpu = server.spent("signalling", || {
        (0..ROUNDS).try_for_each(|_| {
            phones.call_number(0..CALLERS, "600")?;
            phones.hang_up(0..CALLERS)
        })
    })?;
    figures.push(cpu_figure("CPU of a call that the server answers", cpu, count, 300.0, 120.0));
    let cpu = server.spent("signalling", || {
        (0..ROUNDS).try_for_each(|_| {
            phones.call(0..CALLERS, CALLERS)?;
            phones.hang_up(0..CALLERS)
        })
    })?;
    figures.push(cpu_figure("CPU of a bridged call", cpu, count, 700.0, 250.0));

    std::thread::sleep(TRANSACTIONS_GONE + MEMORY_GIVEN_BACK);
    let after = proc::rss_kb(server.pid())?;
    println!("signalling: {idle} kB before the calls, {after} kB after them");
    figures.push(Figure {
        name: "RSS after the burst over RSS before it",
        unit: "times",
        value: slope(0, after, 1) / slope(0, idle, 1),
        floor: 1.2,
        goal: 1.05,
    });
    Ok(figures)
}

/// Kilobytes of one out of `count`.
pub(crate) fn slope(before: u64, after: u64, count: usize) -> f64 {
    let kilobytes = u32::try_from(after.saturating_sub(before)).unwrap_or(u32::MAX);
    f64::from(kilobytes) / f64::from(u32::try_from(count).unwrap_or(1).max(1))
}

fn cpu_figure(name: &'static str, cpu: Duration, count: usize, floor: f64, goal: f64) -> Figure {
    let count = f64::from(u32::try_from(count).unwrap_or(1).max(1));
    Figure { name, unit: "us", value: cpu.as_secs_f64() * 1e6 / count, floor, goal }
}

/// Prints what Kamailio takes for the same registrations on the same core.
fn beside_kamailio(own: f64) -> io::Result<()> {
    let Some(version) = kamailio::version() else {
        println!("signalling: Debian's kamailio is not installed: nothing is measured beside us");
        return Ok(());
    };
    let kamailio = Kamailio::start()?;
    kamailio.pin(1)?;
    let mut phones = Phones::new(kamailio.sip, CALLERS)?;
    phones.register(0..CALLERS)?;
    let cpu = kamailio.spent(|| (0..ROUNDS).try_for_each(|_| phones.register(0..CALLERS)))?;
    let theirs = cpu_figure("", cpu, ROUNDS * CALLERS, 0.0, 0.0).value;
    println!(
        "signalling: a digest REGISTER takes {own:.2} us here, {theirs:.2} us in {version} with \
         everything in memory and one worker: {:.2} times",
        own / theirs
    );
    Ok(())
}

/// CPU seconds of a thread that answers one datagram of SIP's size with another.
fn responder() -> io::Result<f64> {
    const DATAGRAMS: u32 = 50_000;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = socket.local_addr()?;
    let answering = std::thread::spawn(move || -> io::Result<u64> {
        let thread = proc::thread_id()?;
        proc::pin(thread, 1)?;
        let mut buffer = [0; 2048];
        let before = proc::cpu_ns(thread)?;
        for _ in 0..DATAGRAMS {
            let (length, from) = socket.recv_from(&mut buffer)?;
            socket.send_to(buffer.get(..length).unwrap_or_default(), from)?;
        }
        Ok(proc::cpu_ns(thread)?.saturating_sub(before))
    });
    let asking = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    asking.connect(address)?;
    asking.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut buffer = [b'x'; 600];
    for _ in 0..DATAGRAMS {
        asking.send(&buffer)?;
        asking.recv(&mut buffer)?;
    }
    let spent = answering.join().map_err(|_| io::Error::other("the responder panicked"))??;
    Ok(Duration::from_nanos(spent).as_secs_f64() / f64::from(DATAGRAMS))
}
