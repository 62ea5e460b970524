//! A storm of lamps (RFC 4235): every device watches ten others, then all of them begin a call at
//! once, end it at once, and every second one begins one again. After each the last thing that
//! every watcher was told is held against the truth, and its versions must only have risen.
//! Measured from the moment at which a phone answers or hangs up to the NOTIFY from which on the
//! lamp is right, in the phones' own process.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::Figure;
use crate::office::{Office, extension};
use crate::phones::{Notified, Phones};
use crate::proc;

const WATCHERS: usize = 500;
const LAMPS: usize = 10;
/// Each call has two of the devices.
const CALLS: usize = WATCHERS / 2;
/// By then every lamp must be right, a lost NOTIFY and its repetition counted in.
const PATIENCE: Duration = Duration::from_secs(20);
/// Nothing may change any more within this.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// Which of the calls stand.
type Truth = fn(usize) -> bool;

const STORMS: [(&str, Truth); 4] = [
    ("250 calls begin", |_| true),
    ("250 calls end", |_| false),
    ("125 calls begin", |call| call % 2 == 0),
    ("125 calls end, the other 125 begin", |call| call % 2 == 1),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Idle,
    /// Somebody rings or is rung.
    Early,
    Talks,
}

/// What one watcher was told of one device.
struct Lamp {
    version: u64,
    shown: Shown,
    /// Since when, without a change.
    since: Instant,
}

/// Every lamp by the phone that has it and the device that it shows.
#[derive(Default)]
struct Lamps {
    lamps: BTreeMap<(usize, usize), Lamp>,
    notifies: usize,
}

pub(crate) fn bench() -> io::Result<Vec<Figure>> {
    let office = Office::generate("lamps")?;
    let server = office.start()?;
    proc::pin(proc::thread_id()?, 0)?;
    proc::pin_process(server.pid(), 1)?;
    let mut phones = Phones::new(office.sip, WATCHERS)?;
    phones.register(0..WATCHERS)?;
    phones.watch(0..WATCHERS, LAMPS)?;
    let mut lamps = Lamps::default();
    lamps.settle(&mut phones, |_| false)?;
    let mut talks = [false; CALLS];
    for (what, truth) in STORMS {
        lamps.notifies = 0;
        let begun = Instant::now();
        let cpu = server.spent("lamps", || {
            for (call, talks) in talks.iter_mut().enumerate() {
                match (*talks, truth(call)) {
                    (false, true) => phones.dial_device(call, call + CALLS),
                    (true, false) => phones.hang_up_now(call),
                    (false, false) | (true, true) => {}
                }
                *talks = truth(call);
            }
            lamps.settle(&mut phones, truth)
        })?;
        lamps.report(what, &phones, begun, cpu);
    }
    Ok(Vec::new())
}

impl Lamps {
    /// Lets the phones run until every lamp shows the truth, and some time more.
    fn settle(&mut self, phones: &mut Phones, truth: Truth) -> io::Result<()> {
        let begun = Instant::now();
        let mut right: Option<Instant> = None;
        while right.is_none_or(|since| since.elapsed() < AFTERWARDS) {
            phones.run_for(Duration::from_millis(20))?;
            self.take(phones, 0..WATCHERS)?;
            let wrong = self.wrong(truth);
            if wrong > 0 {
                right = None;
            } else {
                right.get_or_insert_with(Instant::now);
            }
            if begun.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("{wrong} lamps are wrong")));
            }
        }
        Ok(())
    }

    fn take(&mut self, phones: &mut Phones, watchers: Range<usize>) -> io::Result<()> {
        for watcher in watchers {
            for Notified { at, message } in phones.notified(watcher) {
                self.notifies += 1;
                let (watched, version, shown) = document(message.body())
                    .ok_or_else(|| io::Error::other("a NOTIFY without a document"))?;
                let new = Lamp { version, shown, since: at };
                let mut entry = match self.lamps.entry((watcher, watched)) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(new);
                        continue;
                    }
                    Entry::Occupied(entry) => entry,
                };
                let lamp = entry.get_mut();
                if version <= lamp.version {
                    let text = format!("version {version} came after {}", lamp.version);
                    return Err(io::Error::other(text));
                }
                let since = if lamp.shown == shown { lamp.since } else { at };
                *lamp = Lamp { since, ..new };
            }
        }
        Ok(())
    }

    /// Lamps that nobody has told anything yet are wrong too.
    fn wrong(&self, truth: Truth) -> usize {
        let is_right = |((_, watched), lamp): &(&(usize, usize), &Lamp)| {
            lamp.shown == if truth(watched % CALLS) { Shown::Talks } else { Shown::Idle }
        };
        WATCHERS * LAMPS - self.lamps.iter().filter(is_right).count()
    }

    fn report(&self, what: &str, phones: &Phones, begun: Instant, cpu: Duration) {
        let mut waits = Vec::new();
        let mut whole = Duration::ZERO;
        for ((_, watched), lamp) in &self.lamps {
            let call = watched % CALLS;
            let changed = phones.changed(call).max(phones.changed(call + CALLS));
            let Some(changed) = changed.filter(|at| *at >= begun) else { continue };
            waits.push(lamp.since.saturating_duration_since(changed));
            whole = whole.max(lamp.since.saturating_duration_since(begun));
        }
        waits.sort_unstable();
        let part = |percent: usize| {
            let at = (waits.len() * percent / 100).min(waits.len().saturating_sub(1));
            waits.get(at).copied().unwrap_or_default().as_secs_f64() * 1e3
        };
        println!(
            "lamps: {what}: {} lamps change and end right, {} NOTIFYs, {:.0} ms after the change \
             (p50), {:.0} ms (p99), {:.0} ms after the first message (all); CPU {:.0} us a NOTIFY \
             with the calls' share",
            waits.len(),
            self.notifies,
            part(50),
            part(99),
            whole.as_secs_f64() * 1e3,
            cpu.as_secs_f64() * 1e6 / f64::from(u32::try_from(self.notifies).unwrap_or(1).max(1)),
        );
    }
}

/// The device, the version and the state of a dialog-info document.
fn document(body: &[u8]) -> Option<(usize, u64, Shown)> {
    let text = std::str::from_utf8(body).ok()?;
    let attribute = |name: &str| {
        let (_, rest) = text.split_once(&format!(" {name}=\""))?;
        Some(rest.split_once('"')?.0)
    };
    let number = attribute("entity")?.strip_prefix("sip:bench-")?.split('@').next()?;
    let device = number.parse::<usize>().ok()?.checked_sub(extension(0).parse().ok()?)?;
    // The XML declaration has a version too.
    let (_, root) = text.split_once("<dialog-info")?;
    let (_, rest) = root.split_once(" version=\"")?;
    let version = rest.split_once('"')?.0.parse().ok()?;
    let shown = if text.contains("<state>confirmed</state>") {
        Shown::Talks
    } else if text.contains("<dialog ") {
        Shown::Early
    } else {
        Shown::Idle
    };
    Some((device, version, shown))
}
