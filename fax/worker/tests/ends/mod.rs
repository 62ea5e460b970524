//! Two ends of a fax on a virtual clock: pages that are easy and pages that are hard, a link with
//! loss and delay from a seed, and calls that run as fast as the machine can.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use koukan_base::{Rng, Time};
use koukan_fax::protocol::{Audio, End, Event, Law, Media, Station, T38, Task};
use koukan_fax::queue::Rate;
use koukan_fax::{Bitmap, Dpi, EncodedPage, Resolution, tiff};
use koukan_faxworker::session::{Line, Session, TICK};

/// A directory that is gone when the test ends.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("koukan-call-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Kinds of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Lines of words.
    Text,
    /// A halftone: long code for its size.
    Dense,
    /// Nothing on it.
    Blank,
}

/// A page of that kind.
pub(crate) fn page(kind: Kind, width: u32, height: u32) -> Bitmap {
    let mut page = Bitmap::white(width, height);
    for y in 0..height {
        for x in 0..width {
            let black = match kind {
                Kind::Text => {
                    let letter = (x / 9).wrapping_mul(7) ^ (y / 22).wrapping_mul(13);
                    y % 22 < 13 && x % 9 < 6 && (letter >> (x % 3)) & 1 == 1 && x > 100
                }
                Kind::Dense => (x % 6).abs_diff(3) + (y % 6).abs_diff(3) < (x * 5 / width),
                Kind::Blank => false,
            };
            if black {
                page.set_black(x, y);
            }
        }
    }
    page
}

/// Writes pages as what is to be sent.
pub(crate) fn document(path: &Path, pages: &[(Bitmap, Resolution)]) {
    let coded: Vec<EncodedPage> =
        pages.iter().map(|(page, resolution)| EncodedPage::t6(page, resolution.dpi())).collect();
    std::fs::write(path, tiff::write(&coded)).unwrap();
}

/// Asserts that a received file has these pages, to the picture element.
pub(crate) fn assert_same(path: &Path, pages: &[(Bitmap, Resolution)]) {
    let came = tiff::read(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(came.len(), pages.len(), "pages");
    for (number, (came, (page, resolution))) in came.iter().zip(pages).enumerate() {
        let Dpi { y, .. } = came.dpi;
        assert_eq!(Resolution::nearest(y), *resolution, "page {number}");
        let came = came.decode().unwrap();
        assert_eq!((came.width(), came.height()), (page.width(), page.height()), "page {number}");
        assert!(came == *page, "page {number} differs");
    }
}

pub(crate) fn station(rate: Rate, ecm: bool, calling: bool) -> Station {
    let ident = if calling { "+81 3 1111 2222" } else { "+81 3 3333 4444" };
    Station { ident: ident.to_owned(), rate, ecm, calling }
}

pub(crate) fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Audio towards that port.
pub(crate) fn audio(to: u16, law: Law) -> Audio {
    let payload_type = if law == Law::Mu { 0 } else { 8 };
    Audio { remote: address(to), law, payload_type, ssrc: 7, sequence: 65_500, timestamp: 9 }
}

/// T.38 towards that port.
pub(crate) fn t38(to: u16) -> T38 {
    T38 {
        remote: address(to),
        max_datagram: 400,
        redundancy: 3,
        fec: None,
        local_tcf: false,
        max_bit_rate: 14_400,
    }
}

/// One end: a session and its address.
pub(crate) struct End2 {
    pub(crate) session: Session,
    pub(crate) port: u16,
    pub(crate) events: Vec<Event>,
}

impl End2 {
    pub(crate) fn new(port: u16, task: &Task, media: Media, directory: &Path) -> Self {
        let session = Session::new(START, task, media, directory).unwrap();
        Self { session, port, events: Vec::new() }
    }

    pub(crate) fn end(&self) -> End {
        let end = self.events.iter().find_map(|event| match event {
            Event::End(end) => Some(end.clone()),
            _ => None,
        });
        end.expect("the session is over")
    }

    pub(crate) fn pages(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::Page(_))).count()
    }
}

pub(crate) const START: Time = Time::from_millis(1_000);

/// A link between any ends: each datagram is lost with so many thousandths.
pub(crate) struct Link {
    pub(crate) lost_per_mille: u64,
    random: Rng,
    flying: VecDeque<(Time, SocketAddr, SocketAddr, Line, Vec<u8>)>,
}

impl Link {
    pub(crate) fn new(lost_per_mille: u64, seed: u64) -> Self {
        Self { lost_per_mille, random: Rng::from_number(seed), flying: VecDeque::new() }
    }
}

/// Runs ends until all are over, at most so many seconds; says how long it took. `each` is called
/// once a tick.
pub(crate) fn run(
    ends: &mut [End2],
    link: &mut Link,
    seconds: u64,
    mut each: impl FnMut(Time, &mut [End2]),
) -> f64 {
    let mut now = START;
    let last = START + std::time::Duration::from_secs(seconds);
    while now < last && !ends.iter().all(|end| end.session.is_over()) {
        now = now + TICK;
        while let Some((due, ..)) = link.flying.front()
            && *due <= now
        {
            let Some((_, from, to, line, datagram)) = link.flying.pop_front() else { break };
            if let Some(end) = ends.iter_mut().find(|end| address(end.port) == to) {
                end.session.receive(now, line, from, &datagram);
            }
        }
        for end in ends.iter_mut() {
            let from = address(end.port);
            end.session.tick(now, |line, to, datagram| {
                if link.random.next_u64() % 1_000 >= link.lost_per_mille {
                    let due = now + TICK;
                    link.flying.push_back((due, from, to, line, datagram.to_vec()));
                }
            });
            if end.session.take_store().is_some() {
                end.session.stored(now, true);
            }
            end.events.extend(end.session.take_events());
        }
        each(now, ends);
    }
    for end in ends.iter_mut() {
        end.events.extend(end.session.take_events());
    }
    now.since(START).as_secs_f64()
}
